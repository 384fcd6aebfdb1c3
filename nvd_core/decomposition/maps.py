"""The maps of a frame: where each pixel lies in each layer's texture, alpha, and light.

One multi-layer EXR a frame; docs/decomposition-folder.md describes the channels.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from nvd_core.decomposition.folder import Shot
from nvd_core.errors import NvdError
from nvd_core.files import written_beside

CHANNELS = {
    "Map.X": "float",
    "Map.Y": "float",
    "Map.Z": "float",
    "Residual.R": "half",
    "Residual.G": "half",
    "Residual.B": "half",
}
"""what each layer stores in the file, under `<layer>.`"""
ADDED = ("Added.R", "Added.G", "Added.B")
"""half channels of the whole frame, only where the residual is additive (ablation)"""
COMPRESSION = "pxr24"
MOST_AHEAD = 1 << 30
"""bytes of maps that may wait in memory to be used or written, beyond the frame at hand"""


@dataclass
class LayerMaps:
    """One layer of one frame, as it is written."""

    u: np.ndarray  # float32 [H, W], right, 0..1
    v: np.ndarray  # float32 [H, W], UP, 0..1
    alpha: np.ndarray  # float32 [H, W]
    residual: np.ndarray  # float16 or float32 [H, W, 3]


@dataclass
class FrameMaps:
    """All layers of one frame, front to back, as renderers read them."""

    uva: np.ndarray  # float32 [L, H, W, 3]: u, v, alpha
    residual: np.ndarray  # float32 [L, H, W, 3]
    added: np.ndarray | None = None  # float32 [H, W, 3]: light that a full picture has on top

    def layer(self, n: int) -> LayerMaps:
        """Layer `n` as it was written."""
        uva = self.uva[n]
        return LayerMaps(uva[..., 0], uva[..., 1], uva[..., 2], self.residual[n])


def write_maps(
    path: Path, names: list[str], layers: list[LayerMaps], added: np.ndarray | None = None
) -> None:
    """Write the maps of one frame, beside and renamed; NvdError where the disk refuses."""
    height, width = layers[0].u.shape
    channels = _channel_names(names)
    formats = [kind for _ in names for kind in CHANNELS.values()]
    pixels = np.empty((height, width, len(layers), len(CHANNELS)), np.float32)
    for n, layer in enumerate(layers):
        pixels[:, :, n, 0] = layer.u
        pixels[:, :, n, 1] = layer.v
        pixels[:, :, n, 2] = layer.alpha
        pixels[:, :, n, 3:] = layer.residual
    pixels = pixels.reshape(height, width, -1)
    if added is not None:
        pixels = np.concatenate([pixels, added], 2, dtype=np.float32)
        channels += ADDED
        formats += ["half"] * len(ADDED)
    spec = oiio.ImageSpec(width, height, len(channels), "float")
    spec.channelnames = tuple(channels)
    spec.channelformats = tuple(map(oiio.TypeDesc, formats))
    spec.attribute("compression", COMPRESSION)
    spec.alpha_channel = -1
    with written_beside(path) as temporary:
        output = oiio.ImageOutput.create(str(temporary))
        good = output is not None and output.open(str(temporary), spec)
        good = good and output.write_image(pixels)
        if output is not None:
            good = output.close() and good
        if not good:
            reason = output.geterror() if output is not None else oiio.geterror()
            raise OSError(None, reason.strip() or "the file could not be written")


def read_maps(path: Path, names: list[str]) -> FrameMaps:
    """Read the maps of one frame, the layers `names` in this order.

    NvdError where the file is missing, damaged, or lacks a channel.
    """
    if not path.is_file():
        raise NvdError(
            f"there are no maps {path}",
            remedy="copy the folder again with all its files, or make it again",
        )
    image = oiio.ImageInput.open(str(path))
    if image is None:
        raise _damaged(path, oiio.geterror())
    try:
        spec = image.spec()
        stored = {name: index for index, name in enumerate(spec.channelnames)}
        missing = [name for name in _channel_names(names) if name not in stored]
        if missing:
            raise _damaged(path, f"no channel {missing[0]}")
        shape = (len(names), spec.height, spec.width, 3)
        maps = FrameMaps(np.empty(shape, np.float32), np.empty(shape, np.float32))
        for n, name in enumerate(names):
            places = [stored[channel] for channel in _channel_names([name])]
            for target, three in ((maps.uva, places[:3]), (maps.residual, places[3:])):
                target[n] = _read_channels(path, image, three)
        if ADDED[0] in stored:
            maps.added = _read_channels(path, image, [stored[channel] for channel in ADDED])
    finally:
        image.close()
    return maps


def _read_channels(path: Path, image: oiio.ImageInput, places: list[int]) -> np.ndarray:
    """Channels of an open file as float32 [H, W, C]."""
    first, last = places[0], places[-1]
    if places != list(range(first, last + 1)):
        return np.concatenate([_read_channels(path, image, [place]) for place in places], axis=2)
    # Half and float channels in one read take OpenImageIO a third longer than apart
    pixels = image.read_image(0, 0, first, last + 1, "float")
    if pixels is None:
        raise _damaged(path, image.geterror())
    return pixels


class MapWriter:
    """Writes maps in background threads; leaving it waits for all and raises what failed."""

    def __init__(self, folder: Path, names: list[str]):
        self._folder, self._names = Path(folder), list(names)

    def __enter__(self) -> "MapWriter":
        self._pool = ThreadPoolExecutor(worker_count())
        self._pending: deque[Future] = deque()
        return self

    def write(self, index: int, layers: list[LayerMaps], added: np.ndarray | None = None) -> None:
        """Queue the maps of frame `index`; NvdError where an earlier frame could not be written."""
        while len(self._pending) >= _frames_ahead(len(layers), *layers[0].u.shape):
            self._pending.popleft().result()
        path = self._folder / f"{index:05d}.exr"
        self._pending.append(self._pool.submit(write_maps, path, self._names, layers, added))

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for future in self._pending:
                future.result()


def iter_maps(
    shot: Shot, frames: Iterable[int], names: list[str] | None = None
) -> Iterator[FrameMaps]:
    """The maps of `frames` in order, read ahead in background threads.

    `names` are the layers wanted, None for all; the fewer, the sooner they are read.
    """
    names = shot.names if names is None else names
    height, width = shot.manifest.clip.height, shot.manifest.clip.width

    def read(index: int) -> FrameMaps:
        path = shot.map_path(index)
        maps = read_maps(path, names)
        if maps.uva.shape[1:3] != (height, width):
            found = f"{maps.uva.shape[2]} x {maps.uva.shape[1]}"
            raise _damaged(path, f"a size of {found}, while the clip has {width} x {height}")
        return maps

    return in_threads(read, frames, _frames_ahead(len(names), height, width))


def in_threads(
    function: Callable[[Any], Any], items: Iterable, workers: int | None = None
) -> Iterator:
    """Yield `function(item)` for each of `items` in order, computed a few ahead in threads.

    `items` itself is iterated in the caller's thread. Close the iterator to stop early.
    """
    workers = workers or worker_count()
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def worker_count() -> int:
    """How many threads read or write files at once: what this process may use, at most 4."""
    if hasattr(os, "sched_getaffinity"):
        return min(4, len(os.sched_getaffinity(0)))
    return min(4, os.cpu_count() or 1)


def _frames_ahead(layers: int, height: int, width: int) -> int:
    """How many frames' maps may be read or written at once: one a worker, less if they are big."""
    size = layers * height * width * len(CHANNELS) * 4
    return max(1, min(worker_count(), MOST_AHEAD // max(size, 1)))


def _channel_names(names: list[str]) -> list[str]:
    return [f"{name}.{channel}" for name in names for channel in CHANNELS]


def _damaged(path: Path, reason: str) -> NvdError:
    lines = (reason or "").strip().splitlines()
    return NvdError(
        f"cannot read the maps {path}",
        found=lines[0] if lines else "",
        remedy="copy the file again, or make the folder again with `nvd decompose`",
    )
