"""The maps of a frame: where each pixel lies in each layer's texture, alpha, and light.

One multi-layer EXR a frame; docs/reference/decomposition-folder.md describes the channels.
map_writer.py writes them; map_files.py is the door through which they are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.frame_threads import worker_count
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import check_bytes, check_file, check_image
from nvd_core.shot import pxr24

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
MOST_TEXELS = 8192
"""longest side of a texture"""
MOST_AHEAD = 1 << 30
"""bytes of maps that may wait in memory to be used or written, beyond the frame at hand"""
MOST_BYTES = 1 << 33
"""of a frame's maps in memory"""
_REMEDY = "copy the file again, or make the folder again with `nvd decompose`"


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


def read_maps(path: Path, names: list[str], size: tuple[int, int] | None = None) -> FrameMaps:
    """Read the maps of one frame, the layers `names` in this order.

    NvdError where the file is missing, damaged, lacks a channel, holds NaN or infinity, or is not
    of the clip's `size` (height, width), where that is given.
    """
    if not there(Path(path).exists):
        raise NvdError(
            f"there are no maps {path}",
            remedy="copy the folder again with all its files, or make it again",
        )
    with reading(path, "the maps", _REMEDY):
        check_file(path)
        data = Path(path).read_bytes()
        header = pxr24.read_header(data)
        if header:
            _check_size(path, header.height, header.width, len(names), size, len(data))
        maps = (header and _unpacked(path, data, header, names)) or _read_any(path, names, size)
        arrays = [maps.uva, maps.residual, *([] if maps.added is None else [maps.added])]
        if not all(pxr24.all_finite(array) for array in arrays):
            raise _damaged(path, "NaN or infinity in them")
    return maps


def _check_size(
    path: Path, height: int, width: int, layers: int, size: tuple[int, int] | None, there: int
) -> None:
    """NvdError where maps claim another size than the clip's, or more than the file can hold."""
    if size is not None and (height, width) != size:
        clip = f"{size[1]} x {size[0]}"
        raise _damaged(path, f"a size of {width} x {height}, while the clip has {clip}")
    check_image(path, width, height, 1, 1)
    claimed = height * width * len(CHANNELS) * 2 * layers  # halves; floats are no smaller
    check_bytes(path, claimed, there, MOST_BYTES)


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


def _read_any(path: Path, names: list[str], size: tuple[int, int] | None) -> FrameMaps:
    """The maps of an EXR of any kind."""
    image = oiio.ImageInput.open(str(path))
    if image is None:
        raise _damaged(path, oiio.geterror())
    try:
        spec = image.spec()
        _check_size(path, spec.height, spec.width, len(names), size, path.stat().st_size)
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


def frames_ahead(layers: int, height: int, width: int, most: int = 4) -> int:
    """How many frames' maps may be read or written at once: one a core, at most `most`, less if
    they are big."""
    size = layers * height * width * len(CHANNELS) * 4
    return max(1, min(worker_count(most), MOST_AHEAD // max(size, 1)))


def _damaged(path: Path, reason: str) -> NvdError:
    lines = (reason or "").strip().splitlines()
    return NvdError(
        f"cannot read the maps {path}",
        found=lines[0] if lines else "",
        remedy=_REMEDY,
    )
