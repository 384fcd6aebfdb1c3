"""The two forms of a finished folder's maps, made from each other: `nvd maps`."""

import time
import zlib
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import make_durable
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_chunks import FRAMES, chunk_name, new_header, read_block, write_chunk
from nvd_core.shot.map_files import MapFiles, map_files
from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import FrameMaps, LayerMaps, frames_ahead, read_maps
from nvd_core.shot.node_bytes import from_bytes, to_bytes
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_fit import fitted
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex

COMMAND = "nvd maps"
KINDS = {"place": "texels", "alpha": "1/255", "light": "1/255"}


def make_exrs(shot: Shot, progress: Progress) -> dict:
    """Write the EXR of every frame that has none, of its compact maps; returns how many.

    NvdError where a frame has neither, or another process writes in the folder.
    """
    begun = time.monotonic()
    shot.check()
    with writing(shot.folder, COMMAND, progress):
        count = write_exrs(shot, progress)
    seconds = round(time.monotonic() - begun, 1)
    return {"folder": str(shot.folder), "written": count, "seconds": seconds}


def write_exrs(shot: Shot, progress: Progress, frames: Iterable[int] | None = None) -> int:
    """The same of `frames`, all if None, by whoever holds the folder's lock."""
    files = map_files(shot)
    frames = range(shot.frames) if frames is None else frames
    missing = [t for t in frames if not files.exr(t).is_file() and files.has_compact(t)]
    if not missing:
        return 0

    def write(t: int) -> None:
        header, data = files.block(t)
        frame = from_bytes(data, *files.size, len(header.layers), header.added)
        full = FrameMaps(*decode(pack(frame), list(range(len(header.layers)))))
        layers = _with_textures(full, [(r.width, r.height) for r in header.layers])
        write_maps(files.exr(t), [r.name for r in header.layers], layers, frame.added)

    progress.stage("exr", len(missing))
    ahead = frames_ahead(len(shot.names), *files.size)
    with closing(in_order(write, missing, ahead)) as written:
        for done, _ in enumerate(written):
            progress.update(done + 1)
    make_durable(files.exr(0).parent)
    return len(missing)


def compact(shot: Shot, progress: Progress) -> dict:
    """Make compact maps of the frames that have none, and remove the EXR files of all.

    Returns by layer how far the new ones are off the EXR files, `megabytes` before and after.
    NvdError where maps are missing or damaged: then every EXR stays.
    """
    begun = time.monotonic()
    shot.check()
    with writing(shot.folder, COMMAND, progress):
        files = map_files(shot)
        if pinned := sum(files.is_pinned(t) for t in range(shot.frames)):
            raise NvdError(
                f"the maps of {pinned} frames of {shot.folder} have pins",
                expected="maps as they were baked",
                remedy="take the pins out first: nvd pins remove",
            )
        before = _bytes(files, shot.frames)
        missing = [t for t in range(shot.frames) if not files.has_compact(t)]
        errors = _compact(shot, files, missing, progress)
        make_durable(files.exr(0).parent)
        for t in range(shot.frames):  # read once more, before what it was made of goes
            files.block(t)
        for t in range(shot.frames):
            files.exr(t).unlink(missing_ok=True)
    after = _bytes(files, shot.frames)
    return {
        "folder": str(shot.folder),
        "written": len(missing),
        "off": errors,
        "megabytes": [round(size / 1e6, 2) for size in (before, after)],
        "seconds": round(time.monotonic() - begun, 1),
    }


def _compact(shot: Shot, files: MapFiles, missing: list[int], progress: Progress) -> dict:
    records = shot.manifest.layers
    textures = [(r.texture_width, r.texture_height) for r in records]
    index = TileIndex.load(files.exr(0).parent, shot.names, shot.frames)
    sums = None if index is None else index.checksums.copy()
    found: list[dict[str, float]] = [dict.fromkeys(KINDS, 0.0) for _ in records]

    def make(t: int) -> tuple[bytes, list[dict[str, float]], int, bool]:
        full = read_maps(files.exr(t), shot.names, files.size)
        nodes = fitted(_with_textures(full, textures), full.added)
        made = FrameMaps(*decode(pack(nodes), list(range(len(records)))))
        block = to_bytes(nodes)
        return block, _off(full, made, textures), zlib.crc32(block), full.added is not None

    chunks = sorted({t // FRAMES for t in missing})
    progress.stage("compact", len(missing))
    done = 0
    for chunk in chunks:
        own = [t for t in missing if t // FRAMES == chunk]
        old = {t: files.checksum(t) for t in own}
        blocks, with_light = [], False
        with closing(in_order(make, own, frames_ahead(len(records), *files.size))) as made:
            for t, (block, errors, number, added) in zip(own, made, strict=True):
                blocks.append(block)
                with_light = added
                for total, of_layer in zip(found, errors, strict=True):
                    for kind, value in of_layer.items():
                        total[kind] = max(total[kind], value)
                if sums is not None and sums[t] == old[t]:
                    sums[t] = number
                done += 1
                progress.update(done)
        height, width = files.size
        layers = list(zip(shot.names, textures, strict=True))
        header = new_header(own[0], width, height, layers, with_light)
        write_chunk(files.chunk(own[0]), header, blocks)
    if index is not None and missing:
        TileIndex(index.tiles, sums).save(files.exr(0).parent)
    return {name: found[n] for n, name in enumerate(shot.names)} if missing else {}


def _with_textures(maps: FrameMaps, textures: list[tuple[int, int]]) -> list[LayerMaps]:
    layers = [maps.layer(n) for n in range(len(textures))]
    for layer, texture in zip(layers, textures, strict=True):
        layer.texture = texture
    return layers


def _off(
    before: FrameMaps, after: FrameMaps, textures: list[tuple[int, int]]
) -> list[dict[str, float]]:
    """By layer: the largest difference of place, in texels, and of alpha and light, in 1/255."""
    result = []
    for n, texture in enumerate(textures):
        both = (before.uva[n, ..., 2] > 0) & (after.uva[n, ..., 2] > 0)
        place = np.abs(after.uva[n, ..., :2] - before.uva[n, ..., :2])[both] * np.array(texture)
        light = np.abs(after.residual[n] - before.residual[n])[both]
        alpha = np.abs(after.uva[n, ..., 2] - before.uva[n, ..., 2])
        result.append(
            {
                "place": round(float(place.max(initial=0)), 4),
                "alpha": round(float(alpha.max() * 255), 4),
                "light": round(float(light.max(initial=0) * 255), 4),
            }
        )
    return result


def _bytes(files: MapFiles, frames: int) -> int:
    paths = {path for t in range(frames) for path in (files.exr(t), files.chunk(t))}
    return sum(path.stat().st_size for path in paths if path.is_file())


def join(apart: Path, files: MapFiles, frames: int) -> None:
    """Make a folder's compact maps of files of single frames that lie `apart`."""
    for first in range(0, frames, FRAMES):
        own = range(first, min(first + FRAMES, frames))
        read = [read_block(apart / chunk_name(t, 1), t) for t in own]
        write_chunk(files.chunk(first), read[0][0], [block for _, block in read])
