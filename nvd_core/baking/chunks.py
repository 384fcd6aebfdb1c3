"""Frames that are baked apart, by several processes or machines: what each leaves for the rest.

The textures need what all frames look up. A process that bakes a part of the frames therefore keeps
a record of each in `work/bake/`, from which another takes that up in the order of the frames, so
that the result is the one of a single process, bit for bit. A record speaks for its frame's maps by
their checksum: maps that are not whole, or not those, count as missing.
"""

import math
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.baking.bake import Baking, TextureFrame, coverage_of
from nvd_core.baking.map_errors import KINDS, Found
from nvd_core.media.numbering import as_text
from nvd_core.runtime.array_files import read_npz
from nvd_core.runtime.documents import Unreadable
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.malloc import keep_freed_memory
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import reading
from nvd_core.shot.manifest import LayerRecord
from nvd_core.shot.map_chunks import chunk_name, read_block
from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.map_forms import join
from nvd_core.shot.map_writer import MapWriter, save_index
from nvd_core.shot.maps import MOST_TEXELS
from nvd_core.shot.node_bytes import from_bytes
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_maps import tiles_of
from nvd_core.shot.tile_index import checksum, grid_of

FOLDER = "work/bake"
LAYOUT = f"{FOLDER}/layout.npz"
_AGAIN = "remove it, and run `nvd bake` for this frame again"


@dataclass
class FrameRecord:
    """What the textures and the index need of a frame whose maps are written."""

    checksum: int  # of the maps' file
    tiles: list[np.ndarray]  # by layer: bool [rows, columns], as the tile index has them
    uva: np.ndarray  # float32 [L, H, W, 3], zero where the layer does not show
    errors: Found | None  # what map_errors found; None where the networks were asked themselves


def shared_layout(baking: Baking, progress: Progress) -> list[TextureFrame]:
    """The textures' crops and sizes, kept in work/bake/, so that all who bake take the same."""
    path = inside(baking.folder, LAYOUT)
    stored = _stored_layout(path, baking.model.layers)
    if stored is not None:
        return stored
    layout = baking.layout(progress)
    rows = [[*frame.low, *frame.high, frame.width, frame.height] for frame in layout]
    with written_beside(path, durable=True) as temporary:
        np.savez(temporary, layout=np.array(rows, np.float64))
    return layout


def _stored_layout(path: Path, layers: int) -> list[TextureFrame] | None:
    """What is kept; None where there is none, or it is damaged and has to be found again."""
    try:
        with reading(path, "the layout", _AGAIN):
            rows = read_npz(path)["layout"]
            if rows.shape != (layers, 6) or rows.dtype != np.float64 or not np.isfinite(rows).all():
                raise Unreadable("a layout of another form")
            sizes = rows[:, 4:]
            if (rows[:, 2:4] <= rows[:, :2]).any() or sizes.min() < 1 or sizes.max() > MOST_TEXELS:
                raise Unreadable("textures of no size")
    except NvdError:
        return None
    return [TextureFrame(row[:2], row[2:4], int(row[4]), int(row[5])) for row in rows]


def bake_chunk(
    baking: Baking, layout: list[TextureFrame], numbers: Iterable[int], progress: Progress
) -> int:
    """Write maps and records of those of the frames `numbers` that have none; returns how many."""
    folder, model = baking.folder, baking.model
    numbers = list(numbers)
    missing = [t for t in numbers if not is_baked(folder, t, baking.wants_exr)]
    keep_freed_memory()
    progress.stage("maps", len(numbers))
    exr, apart = baking.wants_exr, inside(folder, FOLDER)
    with (
        MapWriter(inside(folder, "maps"), model.names, False, exr, apart) as writer,
        closing(baking.frames(layout, missing, exr, progress.check)) as all_baked,
    ):
        for done, (t, baked) in enumerate(zip(missing, all_baked, strict=True)):
            uva = baked.uva if baked.nodes is None else None
            record = _Recorder(folder, t, uva, baked.errors)
            writer.write(t, baked.maps, baked.added, record, baked.nodes)
            progress.update(len(numbers) - len(missing) + done + 1)
    return len(missing)


def finish_chunks(baking: Baking, progress: Progress) -> list[LayerRecord]:
    """Write what needs all frames: the index, textures/ and edits/; the manifest's layers.

    NvdError where a frame is not baked.
    """
    folder, model = baking.folder, baking.model
    frames = range(model.shape.frames)
    missing = [t for t in frames if not is_baked(folder, t, baking.is_exact)]
    if missing:
        raise NvdError(
            f"{len(missing)} of {len(frames)} frames of {folder} are not baked",
            found=f"missing, counted from 0: {as_text(missing)}"[:200],
            remedy="bake them with `nvd bake --frames`, and run this again",
        )
    layout = shared_layout(baking, progress)
    errors, coverage = baking.errors(layout), coverage_of(layout)
    looked_up = {}
    progress.stage("coverage", len(frames))
    for t in frames:
        record = read_record(baking, layout, t)
        coverage.add(record.uva)
        if record.errors is not None:
            errors.take(record.errors)
        looked_up[t] = record.checksum, record.tiles
        progress.update(t + 1)
    shape = baking.shown.shape
    if not baking.is_exact:
        files = MapFiles(folder, model.names, (shape.height, shape.width))
        join(inside(folder, FOLDER), files, shape.frames)
    save_index(inside(folder, "maps"), model.names, looked_up)
    errors.save(folder)
    return baking.textures(layout, coverage, progress)


def is_baked(folder: Path, t: int, exr: bool = False) -> bool:
    """Whether frame `t` has maps, as `exr` too if asked for, and the record that tells of them."""
    path = _record_path(folder, t)
    try:
        with reading(path, "the record", _AGAIN):
            stored = read_npz(path, only=["checksum", "exr"])
            known, of_exr = (int(stored[name].reshape(())) for name in ("checksum", "exr"))
            if exr and not of_exr:
                return False
            if of_exr and checksum(inside(folder, f"maps/{t:05d}.exr")) != of_exr:
                return False
            apart = inside(folder, f"{FOLDER}/{chunk_name(t, 1)}")
            return known == of_exr or zlib.crc32(read_block(apart, t)[1]) == known
    except NvdError:
        return False


def read_record(baking: Baking, layout: list[TextureFrame], t: int) -> FrameRecord:
    """The record of frame `t`; NvdError where it is damaged."""
    shape, layers = baking.shown.shape, baking.model.layers
    path = _record_path(baking.folder, t)
    size = layers, shape.height, shape.width
    with reading(path, "what was baked", _AGAIN):
        stored = read_npz(path)
        tiles = [stored[f"tiles.{n}"] for n in range(layers)]
        for of_layer, frame in zip(tiles, layout, strict=True):
            if of_layer.dtype != bool or of_layer.shape != grid_of((frame.width, frame.height)):
                raise Unreadable(f"tiles {of_layer.dtype} {of_layer.shape}")
        number = int(stored["checksum"].reshape(()))
        if not 0 <= number < 2**32:
            raise Unreadable("a checksum that is none")
        errors = _errors_in(stored, layers)
        if "places" in stored:  # of maps from every pixel, and of records of older versions
            uva = _uva_in(stored, size)
        else:
            header, data = read_block(inside(baking.folder, f"{FOLDER}/{chunk_name(t, 1)}"), t)
            if zlib.crc32(data) != number:
                raise Unreadable("a record of other maps")
            frame = from_bytes(data, *size[1:], layers, header.added)
            dark = np.zeros(tiles_of(*size[1:])[0], bool)
            uva = baking.counted(t, decode(pack(frame), list(range(layers)), dark)[0])
    return FrameRecord(number, tiles, uva, errors)


def _uva_in(stored: dict[str, np.ndarray], size: tuple[int, int, int]) -> np.ndarray:
    """The lookups in a record, float32 [L, H, W, 3]; Unreadable where they are damaged."""
    if stored["shown"].dtype != np.uint8 or stored["shown"].size != -(-math.prod(size) // 8):
        raise Unreadable("a frame of another size")
    shown = np.unpackbits(stored["shown"], count=math.prod(size)).view(bool).reshape(size)
    places = stored["places"]
    if places.dtype != np.float32 or places.shape != (int(shown.sum()), 3):
        raise Unreadable(f"places {places.dtype} {places.shape}")
    if places.size and not (places.min() >= 0 and places.max() <= 1):
        raise Unreadable("places that are none")
    uva = np.zeros((*size, 3), np.float32)
    uva[shown] = places
    return uva


def _errors_in(stored: dict[str, np.ndarray], layers: int) -> Found | None:
    """The errors in a record; None where it has none. Unreadable where they are damaged."""
    if not any(name.startswith("errors.") for name in stored):
        return None
    errors = [{kind: stored[f"errors.{n}.{kind}"] for kind in KINDS} for n in range(layers)]
    for values in (values for of_layer in errors for values in of_layer.values()):
        if values.ndim != 1 or values.dtype.kind != "f" or not np.isfinite(values).all():
            raise Unreadable(f"errors {values.dtype} {values.shape}")
    return errors


@dataclass
class _Recorder:
    """Keeps the record of a frame as soon as its maps are written."""

    folder: Path
    t: int
    uva: np.ndarray | None  # None: they are in the compact maps beside the record
    errors: Found | None

    def __call__(self, number: int, of_exr: int, tiles: list[np.ndarray]) -> None:
        arrays = {f"tiles.{n}": of_layer for n, of_layer in enumerate(tiles)}
        if self.uva is not None:
            shown = self.uva[..., 2] > 0
            arrays |= {"shown": np.packbits(shown), "places": self.uva[shown]}
        for n, found in enumerate(self.errors or []):
            arrays |= {f"errors.{n}.{kind}": values for kind, values in found.items()}
        with written_beside(_record_path(self.folder, self.t)) as temporary:
            np.savez(
                temporary,
                checksum=np.uint32(number),
                exr=np.uint32(of_exr),
                **arrays,
            )


def _record_path(folder: Path, t: int) -> Path:
    return inside(folder, f"{FOLDER}/{t:05d}.npz")
