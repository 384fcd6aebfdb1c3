"""What the two forms of the maps cost, and a draft's rendering beside a fine one's.

    .envs/engine/bin/python tools/bench/measure_maps.py shot.nvd --frames 3 --movie 12

Processor time, milliseconds a frame, the least of three; the two forms in turns, so that what else
the machine does slows both. SHOT is a finished folder with its networks; it is not written to, but
for a copy of its maps and edits beside it, which goes. `--movie N` also renders N frames with both
layers painted everywhere, from EXR as `fine` and from compact maps as `fine` and `draft`, and says
how far the draft is off the fine one. `--exact` asks the networks at every pixel as well.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.parts import measures
from nvd_core.editing.render import render
from nvd_core.fields.inference import frame_layers
from nvd_core.fields.node_layers import frame_layers_by_nodes
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_files import map_files
from nvd_core.shot.map_forms import compact, make_exrs
from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.node_bytes import to_bytes
from nvd_core.shot.node_fit import fitted
from nvd_core.shot.shot import Shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--movie", type=int, default=0)
    parser.add_argument("--exact", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.shot.parent) as place:
        folder = Path(shutil.copytree(arguments.shot, Path(place) / "shot.nvd"))
        shot = Shot.open(folder)
        baking(shot, arguments.frames, arguments.exact)
        if arguments.movie:
            movies(shot, arguments.movie, Path(place))


def spent(task: Callable[[], object], times: int = 3) -> float:
    """Milliseconds of processor time, the least of so many after one that compiles and warms up."""
    task()
    return measures.spent(task, times)


def baking(shot: Shot, frames: int, exact: bool) -> None:
    make_exrs(shot, Progress())
    model, boxes = load_model(shot.folder), load_texture_boxes(shot.folder)
    records = shot.manifest.layers
    textures = [(r.texture_width, r.texture_height) for r in records]
    texels = [
        float((np.array(size) / (high - low)).max())
        for size, (low, high) in zip(textures, boxes, strict=True)
    ]
    files = map_files(shot)
    for t in np.linspace(0, shot.frames - 1, frames).round().astype(int):
        maps = read_maps(files.exr(t), shot.names, files.size)
        layers = [LayerMaps(**vars(maps.layer(n))) for n in range(len(textures))]
        for layer, size in zip(layers, textures, strict=True):
            layer.texture = size
        nodes = fitted(layers)
        block, out = to_bytes(nodes), shot.folder / "again.exr"
        row = {"frame": t}
        if shot.manifest.clip.analysis is None:
            row["networks"] = spent(lambda t=t: frame_layers_by_nodes(model, t, texels), 1)
            if exact:
                row["at every pixel"] = spent(lambda t=t: frame_layers(model, t), 1)
        row["compacting"] = spent(lambda layers=layers: fitted(layers))
        row["packing"] = spent(lambda nodes=nodes: to_bytes(nodes))
        row["EXR written"] = spent(lambda out=out, ls=layers: write_maps(out, shot.names, ls))
        row["EXR read"] = spent(lambda t=t: read_maps(files.exr(t), shot.names, files.size))
        if files.has_compact(t):
            row["compact read"] = spent(lambda t=t: files.read(t))
            row["compact for the kernel"] = spent(lambda t=t: files.packed(t, shot.names))
        row["MB EXR"] = files.exr(t).stat().st_size / 1e6
        row["MB compact"] = len(block) / 1e6
        print(", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
        out.unlink()


def movies(shot: Shot, frames: int, place: Path) -> None:
    """EXR as before, then compact maps, twice in turns."""
    for name in shot.names:
        image = read_image(shot.texture_path(name))
        rows, columns = np.indices(image.shape[:2]) // 40
        checks = ((rows + columns) % 2)[..., None]
        image[..., :3] = np.where(checks, image[..., :3] // 2, image[..., :3])
        write_image(shot.edit_path(name), image)
    aside = place / "compact"
    files = map_files(shot)
    if not all(files.has_compact(t) for t in range(shot.frames)):
        compact(shot, Progress())
    make_exrs(shot, Progress())
    maps = files.exr(0).parent
    for _ in range(2):
        for form, quality in (("EXR", "fine"), ("compact", "fine"), ("compact", "draft")):
            aside.mkdir(exist_ok=True)
            if form == "EXR":
                for path in maps.glob("*.nodes"):
                    shutil.move(path, aside / path.name)
            out = place / f"{form}-{quality}.mp4"
            costs = []
            for count in (2, frames + 2):  # the difference leaves out what comes but once
                begun, clock = time.process_time(), time.perf_counter()
                render(shot, out, frames=(0, count - 1), quality=quality)
                costs.append((time.process_time() - begun, time.perf_counter() - clock))
            cpu, wall = (1000 * (b - a) / frames for a, b in zip(*costs, strict=True))
            size = out.stat().st_size / 1e6
            print(f"{form}, {quality}: {cpu:.0f} ms of processor, {wall:.0f} ms, {size:.2f} MB")
            for path in aside.iterdir():
                shutil.move(path, maps / path.name)
    fine, draft = (place / f"compact-{quality}.mp4" for quality in ("fine", "draft"))
    print(f"draft against fine: {measures.alike(fine, draft):.1f} dB")


if __name__ == "__main__":
    main()
