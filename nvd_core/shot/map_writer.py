"""Writing the maps of frames, and with them which texture tiles each frame looks up."""

import zlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import OpenEXR

from nvd_core.runtime.files import written_beside
from nvd_core.runtime.frame_threads import worker_count
from nvd_core.shot import tile_index
from nvd_core.shot.map_chunks import FRAMES, chunk_name, new_header, write_chunk
from nvd_core.shot.maps import ADDED, CHANNELS, FINE, LayerMaps, frames_ahead
from nvd_core.shot.node_bytes import to_bytes
from nvd_core.shot.node_maps import NodeFrame, place_bits

MAP_BITS = 16
"""PXR24 holds multiples of 2 ** -16 from 0 to 1, and drops what is finer"""


def write_maps(
    path: Path, names: list[str], layers: list[LayerMaps], added: np.ndarray | None = None
) -> None:
    """Write the maps of one frame, beside and renamed; NvdError where the disk refuses.

    u and v are rounded as far as MOST_ERROR allows, which packs better.
    """
    planes: dict[str, tuple[np.ndarray, str]] = {}
    for name, layer in zip(names, layers, strict=True):
        values = [layer.u, layer.v, layer.alpha, *np.moveaxis(layer.residual, 2, 0)]
        steps = [place_bits(texels) for texels in layer.texture]
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
    return all((_rounded(place, place_bits(texels)) == place).all() for place, texels in places)


def _named(layer: str, channels: Iterable[str], values: list, kinds: Iterable[str]) -> dict:
    names = [f"{layer}.{channel}" for channel in channels]
    return dict(zip(names, zip(values, kinds, strict=True), strict=True))


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


Written = Callable[[int, int, list[np.ndarray]], None]
"""takes the checksums of a frame's maps and of its EXR (0: there is none), and by layer the tiles
that it looks up"""


class MapWriter:
    """Writes maps in background threads, then the index of the texture tiles that they look up.

    Leaving it waits for all and raises what failed. Without `index` the index is left to
    `save_index`, as where other processes write other frames. Of a frame that is given in compact
    form that is written too, and an EXR only where `exr` asks for it. `apart` is a folder in which
    each frame's compact maps become a file of their own, in place of files of FRAMES.
    """

    def __init__(
        self,
        folder: Path,
        names: list[str],
        index: bool = True,
        exr: bool = True,
        apart: Path | None = None,
    ):
        self._folder, self._names, self._index = Path(folder), list(names), index
        self._exr, self._apart = exr, apart

    def __enter__(self) -> "MapWriter":
        self._pool = ThreadPoolExecutor(worker_count())
        self._pending: deque[Future] = deque()
        self._tiles: dict[int, tuple[int, list[np.ndarray]]] = {}
        self._blocks: dict[int, bytes] = {}
        self._like: NodeFrame | None = None
        self._textures = [(1, 1)] * len(self._names)
        return self

    def write(
        self,
        index: int,
        layers: list[LayerMaps],
        added: np.ndarray | None = None,
        written: Written | None = None,
        nodes: NodeFrame | None = None,
    ) -> None:
        """Queue the maps of frame `index`; NvdError where an earlier frame could not be written.

        `nodes` are the same in compact form. `written` is called, in a thread, as soon as the EXR
        and what lies apart stand there.
        """
        while len(self._pending) >= frames_ahead(len(layers), *layers[0].u.shape):
            self._pending.popleft().result()
        self._textures = [layer.texture for layer in layers]
        self._like = nodes
        task = self._pool.submit(self._write, index, layers, added, written, nodes)
        self._pending.append(task)
        if nodes is not None and not self._apart:
            self._write_chunks(index // FRAMES)

    def _write(
        self,
        index: int,
        layers: list[LayerMaps],
        added: np.ndarray | None,
        written: Written | None,
        nodes: NodeFrame | None,
    ) -> None:
        path = self._folder / f"{index:05d}.exr"
        number = of_exr = 0
        if self._exr or nodes is None:
            write_maps(path, self._names, layers, added)
            number = of_exr = tile_index.checksum(path)
        if nodes is None:  # compact maps of another kind would be believed before the EXR
            (self._folder / chunk_name(index)).unlink(missing_ok=True)
        else:
            block = to_bytes(nodes)
            number = zlib.crc32(block)
            if self._apart:
                self._write_chunk(self._apart / chunk_name(index, 1), {index: block})
            else:
                self._blocks[index] = block
        tiles = [tiles_of(layer) for layer in layers]
        if self._index:
            self._tiles[index] = number, tiles
        if written:
            written(number, of_exr, tiles)

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is not None:
            return
        for future in self._pending:
            future.result()
        if self._blocks:
            self._write_chunks(None)
        if self._tiles:
            save_index(self._folder, self._names, self._tiles)

    def _write_chunks(self, before: int | None) -> None:
        """Write the chunks that are whole, those `before` a number; all if None."""
        for chunk in sorted({t // FRAMES for t in list(self._blocks)}):
            if before is not None and chunk >= before:
                break
            own = range(chunk * FRAMES, (chunk + 1) * FRAMES)
            if before is not None and not all(t in self._blocks for t in own):
                break
            blocks = {t: self._blocks.pop(t) for t in own if t in self._blocks}
            self._write_chunk(self._folder / chunk_name(own[0]), blocks)

    def _write_chunk(self, path: Path, blocks: dict[int, bytes]) -> None:
        frame = self._like
        layers = list(zip(self._names, self._textures, strict=True))
        added = frame.added is not None
        header = new_header(min(blocks), frame.width, frame.height, layers, added)
        write_chunk(path, header, [block for _, block in sorted(blocks.items())])


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
    bits = place_bits(layer.texture[0]), place_bits(layer.texture[1])
    grid = grid or tile_index.grid_of(layer.texture)
    return tile_index.looked_up_where_shown(layer.u, layer.v, layer.alpha, bits, grid)
