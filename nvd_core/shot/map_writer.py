"""Writing the maps of frames, and with them which texture tiles each frame looks up."""

import math
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import OpenEXR

from nvd_core.runtime.files import written_beside
from nvd_core.runtime.frame_threads import worker_count
from nvd_core.shot import tile_index
from nvd_core.shot.maps import ADDED, CHANNELS, FINE, LayerMaps, frames_ahead

MAP_BITS = 16
"""PXR24 holds multiples of 2 ** -16 from 0 to 1, and drops what is finer"""
MOST_ERROR = 0.02
"""texels by which a stored place may be off"""


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


def keeps_places(layer: LayerMaps) -> bool:
    """Whether `write_maps` leaves the layer's u and v as they are."""
    places = zip((layer.u, layer.v), layer.texture, strict=True)
    return all((_rounded(place, _bits(texels)) == place).all() for place, texels in places)


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
    header = {"compression": OpenEXR.PXR24_COMPRESSION, "type": OpenEXR.scanlineimage}
    types = {"half": np.float16, "float": np.float32}
    channels = {
        name: np.ascontiguousarray(plane, types[kind]) for name, (plane, kind) in planes.items()
    }
    with written_beside(path) as temporary:
        try:
            OpenEXR.File(header, channels).write(str(temporary))
        except RuntimeError as error:
            raise OSError(None, "the maps could not be written") from error


Written = Callable[[int, list[np.ndarray]], None]
"""takes the checksum of a frame's maps, and by layer the tiles that it looks up"""


class MapWriter:
    """Writes maps in background threads, then the index of the texture tiles that they look up.

    Leaving it waits for all and raises what failed. Without `index` the index is left to
    `save_index`, as where other processes write other frames.
    """

    def __init__(self, folder: Path, names: list[str], index: bool = True):
        self._folder, self._names, self._index = Path(folder), list(names), index

    def __enter__(self) -> "MapWriter":
        self._pool = ThreadPoolExecutor(worker_count())
        self._pending: deque[Future] = deque()
        self._tiles: dict[int, tuple[int, list[np.ndarray]]] = {}
        return self

    def write(
        self,
        index: int,
        layers: list[LayerMaps],
        added: np.ndarray | None = None,
        written: Written | None = None,
    ) -> None:
        """Queue the maps of frame `index`; NvdError where an earlier frame could not be written.

        `written` is called, in a thread, as soon as they stand there.
        """
        while len(self._pending) >= frames_ahead(len(layers), *layers[0].u.shape):
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._write, index, layers, added, written))

    def _write(
        self,
        index: int,
        layers: list[LayerMaps],
        added: np.ndarray | None,
        written: Written | None,
    ) -> None:
        path = self._folder / f"{index:05d}.exr"
        write_maps(path, self._names, layers, added)
        tiles = [tiles_of(layer) for layer in layers]
        number = tile_index.checksum(path)
        if self._index:
            self._tiles[index] = number, tiles
        if written:
            written(number, tiles)

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is not None:
            return
        for future in self._pending:
            future.result()
        if self._tiles:
            save_index(self._folder, self._names, self._tiles)


def save_index(
    folder: Path, names: list[str], looked_up: dict[int, tuple[int, list[np.ndarray]]]
) -> None:
    """Write the index: by frame, its maps' checksum and the tiles that each layer looks up."""
    frames = max(looked_up) + 1
    checksums = np.zeros(frames, np.uint32)
    first = next(iter(looked_up.values()))[1]
    tiles = {
        name: np.zeros((frames, *tiles.shape), bool)
        for name, tiles in zip(names, first, strict=True)
    }
    for index, (number, of_layers) in looked_up.items():
        checksums[index] = number
        for name, of_layer in zip(names, of_layers, strict=True):
            tiles[name][index] = of_layer
    tile_index.TileIndex(tiles, checksums).save(folder)


def tiles_of(layer: LayerMaps, grid: tuple[int, int] | None = None) -> np.ndarray:
    """The tiles of its texture that the layer looks up where it shows, as stored.

    `grid`: rows and columns of the tiles; None: as its texture's size has them.
    """
    shown = layer.alpha > 0
    places = zip((layer.u, layer.v), layer.texture, strict=True)
    u, v = (_rounded(place[shown], _bits(texels)) for place, texels in places)
    return tile_index.looked_up(u, v, grid or tile_index.grid_of(layer.texture))
