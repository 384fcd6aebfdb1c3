"""Maps read and written, the memory of a decomposition, and what its folder holds on disk."""

import time
from contextlib import closing
from pathlib import Path

from bench.parts.figures import Figure
from bench.parts.subject import Bench, Decomposed
from nvd_core.shot.map_files import iter_maps, map_files
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

PART = "storage"
MOST_BYTES = 1 << 30
"""of maps held in memory to be written again"""


def measure(bench: Bench) -> list[Figure]:
    """Of the clip's decomposition that stands."""
    run = bench.any_decomposed()
    shot = Shot.open(run.shot)
    maps, seconds = read(shot)
    files = map_files(shot)
    images = per_frame(shot, {files.exr(t) for t in range(shot.frames)})
    compact = per_frame(shot, {files.chunk(t) for t in range(shot.frames)})
    clip = shot.manifest.clip
    case = f"maps, {clip.width}x{clip.height}, {len(shot.names)} layers"
    writing = write(bench.folder / "rewritten", shot.names, maps)
    return [
        Figure(PART, case, "reading", shot.frames / seconds, "fps", f"{shot.frames} frames"),
        Figure(PART, case, "writing", len(maps) / writing, "fps", f"{len(maps)} frames"),
        Figure(PART, case, "a frame, EXR", images, "MB", "for compositors"),
        Figure(PART, case, "a frame, compact", compact, "MB", "what the engine reads"),
        *memory(run),
        *disk(shot.folder),
    ]


def per_frame(shot: Shot, files: set[Path]) -> float:
    """MB of those of the files that are there, over all frames."""
    return sum(f.stat().st_size for f in files if f.is_file()) / shot.frames / 1e6


def read(shot: Shot) -> tuple[list[FrameMaps], float]:
    """The first maps, as many as may be held, and the seconds that reading all took."""
    kept, held = [], 0
    begun = time.perf_counter()
    with closing(iter_maps(shot, range(shot.frames))) as maps:
        for frame in maps:
            held += frame.uva.nbytes + frame.residual.nbytes
            if held <= MOST_BYTES or not kept:
                kept.append(frame)
    return kept, time.perf_counter() - begun


def write(folder: Path, names: list[str], maps: list[FrameMaps]) -> float:
    """Seconds to write them all, until the last is on disk (as far as the system says so)."""
    begun = time.perf_counter()
    with MapWriter(folder, names) as writer:
        for index, frame in enumerate(maps):
            layers = [frame.layer(n) for n in range(len(names))]
            writer.write(index, layers, frame.added)
    return time.perf_counter() - begun


def memory(run: Decomposed) -> list[Figure]:
    """The most that `nvd decompose` held at once."""
    note = f"{run.steps} iterations; mapped files counted as far as resident"
    return [Figure(PART, "nvd decompose", "peak memory", run.finished.peak_mb, "MB", note)]


def disk(folder: Path) -> list[Figure]:
    """Sizes of what lies in the folder; `report` is there only once it was evaluated."""
    sizes = {}
    for entry in sorted(folder.iterdir()):
        files = entry.rglob("*") if entry.is_dir() else [entry]
        sizes[entry.name] = sum(f.stat().st_size for f in files if f.is_file())
    small = sum(sizes.pop(name) for name, size in list(sizes.items()) if size < 10_000)
    figures = [Figure(PART, "on disk", name, size / 1e6, "MB") for name, size in sizes.items()]
    total = (sum(sizes.values()) + small) / 1e6
    return [
        *figures,
        Figure(PART, "on disk", "other files", small / 1e6, "MB", "each under 10 kB"),
        Figure(PART, "on disk", "the whole folder", total, "MB"),
    ]
