"""What baking a frame costs, and how far its maps are off the networks.

    .envs/engine/bin/python tools/bench/measure_baking.py shot.nvd other.nvd --frames 3

Each SHOT is a folder with its networks, finished or left by `nvd decompose --until training`; it is
not written to, but for the textures' layout in work/bake/. Frames that lie evenly in the clip are
baked as `nvd bake` bakes them, into a temporary folder, with one thread: milliseconds of processor
time of a frame, the least of `--times`; with `--parts` of some parts alone. Errors are those of
`--pixels` random pixels a frame, where the networks are asked themselves; 0: those that baking asks
of each frame in any case. `--json` prints one line
for all, which `bench.py --before` reads. To see what takes the time: `--profile`.
"""

import argparse
import cProfile
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.parts.measures import spent
from nvd_core.baking import map_errors
from nvd_core.baking.bake import Baking, TextureFrame, coverage_of
from nvd_core.baking.chunks import shared_layout
from nvd_core.begun import SETTINGS, is_finished
from nvd_core.fields.node_layers import frame_layers_by_nodes
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.runtime.malloc import keep_freed_memory
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.node_bytes import to_bytes
from nvd_core.shot.shot import Shot

WITHOUT_EXR = {"lit": False} if "lit" in signature(Baking.frame).parameters else {}
"""as `nvd decompose` bakes; an earlier state of the program knows no such thing"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shots", type=Path, nargs="+", metavar="SHOT")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--pixels", type=int, default=20_000)
    parser.add_argument("--parts", action="store_true", help="networks and packing alone, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as after a training
    found = {}
    for shot in arguments.shots:
        baking = Baking(load_model(shot), shot, load_settings(shot / SETTINGS), 8, None)
        layout = layout_of(shot, baking)
        if arguments.profile:
            profiled(baking, layout)
            continue
        found[shot.stem] = one = measured(baking, layout, arguments)
        if not arguments.json:
            print(shot.stem, shown(one), sep=": ", flush=True)
    if arguments.json:
        print(json.dumps(found))


def layout_of(shot: Path, baking: Baking) -> list[TextureFrame]:
    """Where the textures lie, as the folder has them."""
    if not is_finished(shot):
        return shared_layout(baking, Progress())
    records, boxes = Shot.open(shot).manifest.layers, load_texture_boxes(shot)
    return [
        TextureFrame(*box, record.texture_width, record.texture_height)
        for record, box in zip(records, boxes, strict=True)
    ]


def measured(baking: Baking, layout: list[TextureFrame], arguments: argparse.Namespace) -> dict:
    """Milliseconds and megabytes of a frame, and by layer the errors of all frames."""
    last = baking.model.shape.frames - 1
    numbers = sorted({round(t) for t in np.linspace(0, last, arguments.frames)})
    texels = [frame.texels_per_unit for frame in layout]
    parts: dict[str, list[float]] = {}
    sizes, found, coverage = [], [], coverage_of(layout)
    with tempfile.TemporaryDirectory() as place:
        written(baking, layout, numbers[0], coverage, Path(place))  # compiles, and takes its memory
        for t in numbers:
            tasks: dict[str, Callable] = {
                "frame": lambda t=t: found.append(written(baking, layout, t, coverage, Path(place)))
            }
            if arguments.parts:
                nodes = baking.frame(layout, t).nodes
                tasks["networks"] = lambda t=t: frame_layers_by_nodes(baking.model, t, texels)
                tasks["packing"] = lambda nodes=nodes: to_bytes(nodes)
            for name, task in tasks.items():
                parts.setdefault(name, []).append(spent(task, arguments.times))
            sizes.append(sum(p.stat().st_size for p in Path(place).glob("*.nodes")) / 1e6)
    return {
        "frames": numbers,
        "size": [baking.model.shape.width, baking.model.shape.height],
        "ms": {name: round(float(np.mean(values)), 1) for name, values in parts.items()},
        "MB": round(float(np.mean(sizes)), 3),
        "off": errors(baking, layout, numbers, arguments.pixels, found),
    }


def written(
    baking: Baking, layout: list[TextureFrame], t: int, coverage: object, place: Path
) -> map_errors.Found:
    """What `nvd decompose` does with each frame; the errors that it finds."""
    for path in place.glob("*.nodes"):
        path.unlink()
    with MapWriter(place, baking.model.names, exr=False) as writer:
        baked = baking.frame(layout, t, **WITHOUT_EXR)
        coverage.add(baked.uva)
        writer.write(t, baked.maps, baked.added, nodes=baked.nodes)
    return baked.errors


def errors(
    baking: Baking,
    layout: list[TextureFrame],
    numbers: list[int],
    pixels: int,
    known: list[map_errors.Found],
) -> dict:
    """By layer and kind: largest error and the one that 99.9 % are below, as errors.json has it.

    Of as many pixels a frame; 0: of those that are `known`.
    """
    before = map_errors.PIXELS, map_errors.MOST
    if pixels:
        map_errors.PIXELS, map_errors.MOST = pixels, pixels * baking.model.shape.frames
    try:
        found = baking.errors(layout)
        for of_frame in [baking.frame(layout, t).errors for t in numbers] if pixels else known:
            found.take(of_frame)
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "maps").mkdir()
            found.save(Path(place))
            return json.loads((Path(place) / map_errors.FILE).read_text("utf-8"))["layers"]
    finally:
        map_errors.PIXELS, map_errors.MOST = before


def profiled(baking: Baking, layout: list[TextureFrame]) -> None:
    """Print where the time of a frame goes."""
    coverage = coverage_of(layout)
    with tempfile.TemporaryDirectory() as place:
        written(baking, layout, 0, coverage, Path(place))
        profile = cProfile.Profile(time.process_time)
        profile.enable()
        for _ in range(3):
            written(baking, layout, 0, coverage, Path(place))
        profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def shown(found: dict) -> str:
    """One line for people."""
    words = [f"{name} {value:.0f} ms" for name, value in found["ms"].items()]
    words.append(f"{found['MB']:.2f} MB")
    for name, kinds in found["off"].items():
        off = [f"{kind} {of['p99.9']:.3f} ({of['max']:.3f})" for kind, of in kinds.items()]
        words.append(f"{name} off {', '.join(off)}")
    return "; ".join(words)


if __name__ == "__main__":
    main()
