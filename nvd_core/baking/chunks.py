"""Frames that are baked apart, by several processes or machines: what each leaves for the rest.

The textures need what all frames look up. A process that bakes a part of the frames therefore keeps
a record of each in `work/bake/`, from which another takes that up in the order of the frames, so
that the result is the one of a single process, bit for bit. A record speaks for its frame's maps by
their checksum: maps that are not whole, or not those, count as missing.
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.baking.bake import Baking, TextureFrame, coverage_of
from nvd_core.baking.map_errors import KINDS, Found
from nvd_core.fields.model import LayeredVideo
from nvd_core.media.numbering import as_text
from nvd_core.runtime.array_files import read_npz
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import LayerRecord
from nvd_core.shot.map_writer import MapWriter, save_index
from nvd_core.shot.tile_index import checksum

FOLDER = "work/bake"
LAYOUT = f"{FOLDER}/layout.npz"


@dataclass
class FrameRecord:
    """What the textures and the index need of a frame whose maps are written."""

    checksum: int  # of the maps' file
    tiles: list[np.ndarray]  # by layer: bool [rows, columns], as the tile index has them
    uva: np.ndarray  # float32 [L, H, W, 3], zero where the layer does not show
    errors: Found | None  # what map_errors found; None where the networks were asked themselves


def shared_layout(baking: Baking, progress: Progress) -> list[TextureFrame]:
    """The textures' crops and sizes, kept in work/bake/, so that all who bake take the same."""
    path, model = inside(baking.folder, LAYOUT), baking.model
    try:
        stored = read_npz(path)["layout"]
        if stored.shape == (model.layers, 6) and stored.dtype == np.float64:
            return [TextureFrame(row[:2], row[2:4], int(row[4]), int(row[5])) for row in stored]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, NvdError):
        pass  # not there yet
    layout = baking.layout(progress)
    rows = [[*frame.low, *frame.high, frame.width, frame.height] for frame in layout]
    with written_beside(path, durable=True) as temporary:
        np.savez(temporary, layout=np.array(rows, np.float64))
    return layout


def bake_chunk(
    baking: Baking, layout: list[TextureFrame], numbers: Iterable[int], progress: Progress
) -> int:
    """Write maps and records of those of the frames `numbers` that have none; returns how many."""
    folder, model = baking.folder, baking.model
    numbers = list(numbers)
    missing = [t for t in numbers if not is_baked(folder, t)]
    progress.stage("maps", len(numbers))
    with MapWriter(inside(folder, "maps"), model.names, index=False) as writer:
        for done, t in enumerate(missing):
            baked = baking.frame(layout, t)
            record = _Recorder(folder, t, baked.uva, baked.errors)
            writer.write(t, baked.maps, baked.added, record)
            progress.update(len(numbers) - len(missing) + done + 1)
    return len(missing)


def finish_chunks(baking: Baking, progress: Progress) -> list[LayerRecord]:
    """Write what needs all frames: the index, textures/ and edits/; the manifest's layers.

    NvdError where a frame is not baked.
    """
    folder, model = baking.folder, baking.model
    frames = range(model.shape.frames)
    missing = [t for t in frames if not is_baked(folder, t)]
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
        record = read_record(folder, baking.shown, t)
        coverage.add(record.uva)
        if record.errors is not None:
            errors.take(record.errors)
        looked_up[t] = record.checksum, record.tiles
        progress.update(t + 1)
    save_index(inside(folder, "maps"), model.names, looked_up)
    errors.save(folder)
    return baking.textures(layout, coverage, progress)


def is_baked(folder: Path, t: int) -> bool:
    """Whether frame `t` has maps, and the record that speaks for them."""
    try:
        with np.load(_record_path(folder, t), allow_pickle=False) as stored:
            known = int(stored["checksum"])
        return checksum(inside(folder, f"maps/{t:05d}.exr")) == known
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def read_record(folder: Path, model: LayeredVideo, t: int) -> FrameRecord:
    """The record of frame `t`; NvdError where it is damaged."""
    shape = model.shape
    path = _record_path(folder, t)
    try:
        stored = read_npz(path)
        size = (model.layers, shape.height, shape.width)
        shown = np.unpackbits(stored["shown"], count=int(np.prod(size))).view(bool).reshape(size)
        uva = np.zeros((*size, 3), np.float32)
        uva[shown] = stored["places"]
        errors = None
        if "errors.0.alpha" in stored:
            errors = [{k: stored[f"errors.{n}.{k}"] for k in KINDS} for n in range(model.layers)]
        tiles = [stored[f"tiles.{n}"] for n in range(model.layers)]
        return FrameRecord(int(stored["checksum"]), tiles, uva, errors)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise NvdError(
            f"{path} is damaged",
            found=str(error)[:200],
            remedy="remove it, and run `nvd bake` for this frame again",
        ) from error


@dataclass
class _Recorder:
    """Keeps the record of a frame as soon as its maps are written."""

    folder: Path
    t: int
    uva: np.ndarray
    errors: Found | None

    def __call__(self, number: int, tiles: list[np.ndarray]) -> None:
        shown = self.uva[..., 2] > 0
        arrays = {f"tiles.{n}": of_layer for n, of_layer in enumerate(tiles)}
        for n, found in enumerate(self.errors or []):
            arrays |= {f"errors.{n}.{kind}": values for kind, values in found.items()}
        with written_beside(_record_path(self.folder, self.t)) as temporary:
            np.savez(
                temporary,
                checksum=np.uint32(number),
                shown=np.packbits(shown),
                places=self.uva[shown],
                **arrays,
            )


def _record_path(folder: Path, t: int) -> Path:
    return inside(folder, f"{FOLDER}/{t:05d}.npz")
