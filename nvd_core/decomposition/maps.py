"""The maps of a frame: where each pixel lies in each layer's texture, alpha, and light.

One multi-layer EXR a frame; docs/decomposition-folder.md describes the channels.
"""

import math
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from nvd_core.decomposition import pxr24, tile_index
from nvd_core.decomposition.folder import Shot
from nvd_core.errors import NvdError
from nvd_core.files import written_beside
from nvd_core.frame_threads import in_order, worker_count

CHANNELS = {
    "Map.X": "float",
    "Map.Y": "float",
    "Map.Z": "float",
    "Residual.R": "half",
    "Residual.G": "half",
    "Residual.B": "half",
}
"""what each layer stores in the file, under `<layer>.`"""
FINE = ("Fine.X", "Fine.Y", "Fine.Z")
"""half channels of a layer whose texture is so large that Map alone would be too coarse: u and v
are the sums of both, and Fine.Z is 0"""
ADDED = ("Added.R", "Added.G", "Added.B")
"""half channels of the whole frame, only where the residual is additive (ablation)"""
COMPRESSION = "pxr24"
MAP_BITS = 16
"""PXR24 holds multiples of 2 ** -16 from 0 to 1, and drops what is finer"""
MOST_ERROR = 0.02
"""texels by which a stored place may be off"""
MOST_TEXELS = 8192
"""longest side of a texture"""
MOST_AHEAD = 1 << 30
"""bytes of maps that may wait in memory to be used or written, beyond the frame at hand"""


@dataclass
class LayerMaps:
    """One layer of one frame, as it is written."""

    u: np.ndarray  # float32 [H, W], right, 0..1
    v: np.ndarray  # float32 [H, W], UP, 0..1
    alpha: np.ndarray  # float32 [H, W]
    residual: np.ndarray  # float16 or float32 [H, W, 3]
    texture: tuple[int, int] = (MOST_TEXELS, MOST_TEXELS)
    """width and height of the texture, texels: how exact u and v have to be"""


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
    """Write the maps of one frame, beside and renamed; NvdError where the disk refuses.

    u and v are rounded as far as MOST_ERROR allows, which packs better.
    """
    planes: dict[str, tuple[np.ndarray, str]] = {}
    for name, layer in zip(names, layers, strict=True):
        values = [layer.u, layer.v, layer.alpha, *np.moveaxis(layer.residual, 2, 0)]
        steps = [_bits(texels) for texels in layer.texture]
        values[:2] = [_rounded(value, bits) for value, bits in zip(values[:2], steps, strict=True)]
        if max(steps) > MAP_BITS:
            coarse = [_coarse(value) for value in values[:2]]
            fine = [value - near for value, near in zip(values[:2], coarse, strict=True)]
            planes |= _named(name, FINE, [*fine, np.zeros_like(layer.u)], ["half"] * 3)
            values[:2] = coarse
        planes |= _named(name, CHANNELS, values, CHANNELS.values())
    if added is not None:
        planes |= dict(zip(ADDED, ((added[..., c], "half") for c in range(3)), strict=True))
    _write(path, planes)


def _named(layer: str, channels: Iterable[str], values: list, kinds: Iterable[str]) -> dict:
    names = [f"{layer}.{channel}" for channel in channels]
    return dict(zip(names, zip(values, kinds, strict=True), strict=True))


def _bits(texels: int) -> int:
    """How many binary digits a place within a texture of this size needs."""
    return math.ceil(math.log2(max(texels, 1) / (2 * MOST_ERROR)))


def _rounded(place: np.ndarray, bits: int) -> np.ndarray:
    scale = np.float32(2**bits)
    return np.rint(place * scale) / scale


def _coarse(place: np.ndarray) -> np.ndarray:
    """What PXR24 keeps of float32 values: the upper 24 bits, rounded."""
    return ((place.view(np.uint32) + np.uint32(0x80)) & np.uint32(0xFFFFFF00)).view(np.float32)


def _write(path: Path, planes: dict[str, tuple[np.ndarray, str]]) -> None:
    """Write channels [H, W] of the kinds half or float by their names."""
    height, width = next(iter(planes.values()))[0].shape
    pixels = np.empty((height, width, len(planes)), np.float32)
    for y in range(height):  # line by line: each is written while it is in the cache
        for c, (plane, _) in enumerate(planes.values()):
            pixels[y, :, c] = plane[y]
    count = len(planes)
    spec = oiio.ImageSpec(width, height, count, "float")
    spec.channelnames = tuple(planes)
    spec.channelformats = tuple(oiio.TypeDesc(kind) for _, kind in planes.values())
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
    try:
        data = Path(path).read_bytes()
        header = pxr24.read_header(data)
        maps = header and _unpacked(path, data, header, names)
    except FileNotFoundError as error:
        raise NvdError(
            f"there are no maps {path}",
            remedy="copy the folder again with all its files, or make it again",
        ) from error
    except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
        raise _damaged(path, str(error)) from error
    return maps or _read_any(path, names)


def _unpacked(path: Path, data: bytes, header: pxr24.Header, names: list[str]) -> FrameMaps | None:
    """The maps of a file that pxr24.py can read; None where a part of it is stored otherwise."""
    stored = {name for name, _ in header.channels}
    _check_channels(path, names, stored)
    plane = header.height * header.width * 3
    has_added = ADDED[0] in stored
    values = np.empty((2 * len(names) + has_added, header.height, header.width, 3), np.float32)
    places = {}
    for n, name in enumerate(names):
        fine = f"{name}.{FINE[0]}" in stored
        for c, channel in enumerate(FINE if fine else ()):
            places[f"{name}.{channel}"] = n * plane + c, False
        for c, channel in enumerate(CHANNELS):
            start = n * plane + c if c < 3 else (len(names) + n) * plane + c - 3
            # Channels stand in alphabetical order: Fine comes before Map
            places[f"{name}.{channel}"] = start, fine and c < 3
    for c, channel in enumerate(ADDED if has_added else ()):
        places[channel] = 2 * len(names) * plane + c, False
    if not pxr24.read_channels(data, header, places, values):
        return None
    uva, residual = values[: len(names)], values[len(names) : 2 * len(names)]
    return FrameMaps(uva, residual, values[-1] if has_added else None)


def _read_any(path: Path, names: list[str]) -> FrameMaps:
    """The maps of an EXR of any kind."""
    image = oiio.ImageInput.open(str(path))
    if image is None:
        raise _damaged(path, oiio.geterror())
    try:
        spec = image.spec()
        stored = {name: index for index, name in enumerate(spec.channelnames)}
        _check_channels(path, names, stored)
        shape = (len(names), spec.height, spec.width, 3)
        maps = FrameMaps(np.empty(shape, np.float32), np.empty(shape, np.float32))
        for n, name in enumerate(names):
            places = [stored[f"{name}.{channel}"] for channel in CHANNELS]
            for target, three in ((maps.uva, places[:3]), (maps.residual, places[3:])):
                target[n] = _read_channels(path, image, three)
            if f"{name}.{FINE[0]}" in stored:
                fine = [stored[f"{name}.{channel}"] for channel in FINE]
                maps.uva[n] += _read_channels(path, image, fine)
        if ADDED[0] in stored:
            maps.added = _read_channels(path, image, [stored[channel] for channel in ADDED])
    finally:
        image.close()
    return maps


def _check_channels(path: Path, names: list[str], stored: Iterable[str]) -> None:
    missing = [f"{n}.{c}" for n in names for c in CHANNELS if f"{n}.{c}" not in stored]
    if missing:
        raise _damaged(path, f"no channel {missing[0]}")


def _read_channels(path: Path, image: oiio.ImageInput, places: list[int]) -> np.ndarray:
    """Channels of an open file as float32 [H, W, C]."""
    first, last = places[0], places[-1]
    if places != list(range(first, last + 1)):
        return np.concatenate([_read_channels(path, image, [place]) for place in places], axis=2)
    pixels = image.read_image(0, 0, first, last + 1, "float")
    if pixels is None:
        raise _damaged(path, image.geterror())
    return pixels


class MapWriter:
    """Writes maps in background threads, then the index of the texture tiles that they look up.

    Leaving it waits for all and raises what failed.
    """

    def __init__(self, folder: Path, names: list[str]):
        self._folder, self._names = Path(folder), list(names)

    def __enter__(self) -> "MapWriter":
        self._pool = ThreadPoolExecutor(worker_count())
        self._pending: deque[Future] = deque()
        self._tiles: dict[int, tuple[int, list[np.ndarray]]] = {}
        return self

    def write(self, index: int, layers: list[LayerMaps], added: np.ndarray | None = None) -> None:
        """Queue the maps of frame `index`; NvdError where an earlier frame could not be written."""
        while len(self._pending) >= _frames_ahead(len(layers), *layers[0].u.shape):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, index, layers, added))

    def _write(self, index: int, layers: list[LayerMaps], added: np.ndarray | None) -> None:
        path = self._folder / f"{index:05d}.exr"
        write_maps(path, self._names, layers, added)
        tiles = [_tiles_of(layer) for layer in layers]
        self._tiles[index] = tile_index.checksum(path), tiles

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is not None:
            return
        for future in self._pending:
            future.result()
        if self._tiles:
            self._save_index()

    def _save_index(self) -> None:
        frames = max(self._tiles) + 1
        checksums = np.zeros(frames, np.uint32)
        first = next(iter(self._tiles.values()))[1]
        tiles = {
            name: np.zeros((frames, *tiles.shape), bool)
            for name, tiles in zip(self._names, first, strict=True)
        }
        for index, (number, of_layers) in self._tiles.items():
            checksums[index] = number
            for name, of_layer in zip(self._names, of_layers, strict=True):
                tiles[name][index] = of_layer
        tile_index.TileIndex(tiles, checksums).save(self._folder)


def _tiles_of(layer: LayerMaps) -> np.ndarray:
    """The tiles of its texture that the layer looks up where it shows, as stored."""
    shown = layer.alpha > 0
    places = zip((layer.u, layer.v), layer.texture, strict=True)
    u, v = (_rounded(place[shown], _bits(texels)) for place, texels in places)
    return tile_index.looked_up(u, v, tile_index.grid_of(layer.texture))


def iter_maps(
    shot: Shot, frames: Iterable[int], names: list[str] | None = None
) -> Iterator[FrameMaps]:
    """The maps of `frames` in order, read ahead in background threads.

    `names` are the layers wanted, None for all; the fewer, the sooner they are read.
    """
    names = shot.names if names is None else names
    height, width = shot.manifest.clip.height, shot.manifest.clip.width
    return read_ahead(shot.map_path, frames, names, height, width)


def read_ahead(
    path_of: Callable[[int], Path], frames: Iterable[int], names: list[str], height: int, width: int
) -> Iterator[FrameMaps]:
    """The maps of the layers `names` of `frames` in order, from the files that `path_of` names.

    NvdError where one has another size than the clip's.
    """

    def read(index: int) -> FrameMaps:
        path = path_of(index)
        maps = read_maps(path, names)
        if maps.uva.shape[1:3] != (height, width):
            found = f"{maps.uva.shape[2]} x {maps.uva.shape[1]}"
            raise _damaged(path, f"a size of {found}, while the clip has {width} x {height}")
        return maps

    return in_order(read, frames, _frames_ahead(len(names), height, width))


def _frames_ahead(layers: int, height: int, width: int) -> int:
    """How many frames' maps may be read or written at once: one a worker, less if they are big."""
    size = layers * height * width * len(CHANNELS) * 4
    return max(1, min(worker_count(), MOST_AHEAD // max(size, 1)))


def _damaged(path: Path, reason: str) -> NvdError:
    lines = (reason or "").strip().splitlines()
    return NvdError(
        f"cannot read the maps {path}",
        found=lines[0] if lines else "",
        remedy="copy the file again, or make the folder again with `nvd decompose`",
    )
