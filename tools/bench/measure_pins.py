"""What pins mend: a decomposition whose coordinates are the truth's own, spoilt and pinned.

    .envs/engine/bin/python tools/bench/measure_pins.py samples/truth/turning /tmp/pins_turning

The maps of the first layer drift over the clip, in a smooth way that is right in the frame that is
painted. Then points of its texture are pinned where the truth has them, on three frames. Prints how
far the pinned points and all others lie from the truth, and the fidelity of the true edit, for the
maps as they are, spoilt, and pinned. OUT is a folder to make. `--picture FILE` shows three frames
spoilt and pinned, under a grid and in doubt.

    .envs/engine/bin/python tools/bench/measure_pins.py bear.nvd /tmp/pins_bear --joints bear.json

On a copy of a decomposition, with joints that people have marked (BADJA's file, whose places are
(y, x) of 1920x1080): each joint is pinned where it is marked first, in the middle and last. The
frames in between, which no pin names, tell whether it is better followed.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.truth_shot import shot_of_truth, true_maps
from nvd_core.editing.pin_edit import add_pin
from nvd_core.editing.pin_maps import apply_pins
from nvd_core.editing.render import render
from nvd_core.evaluation.truth.compare import measure_truth
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.pins import read_pins
from nvd_core.shot.shot import Shot

DRIFT = 0.05, -0.03
"""of the texture's width and height, at the clip's farther end"""
PINS, TARGETS = 5, 3
NEAR = 0.75
"""pixels within which a point has to be seen"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--joints", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    if given.joints:
        print(json.dumps(joints(given.truth, given.joints, given.out), indent=1))
        return 0
    truth = Truth.open(given.truth)
    shutil.rmtree(given.out, ignore_errors=True)
    shot = shot_of_truth(given.out / "true.nvd", truth)
    spoilt = drifted(shot, given.out / "pinned.nvd", truth.edit_frame)
    rows = {"true": measured(shot, truth), "spoilt": measured(spoilt, truth)}
    before = overlays(spoilt, given.out) if given.picture else None
    facts = pin(spoilt, shot, truth)
    if before is not None:
        sheet = np.vstack([before, overlays(spoilt, given.out)])
        write_image(given.picture, cv2.resize(sheet, None, fx=2, fy=2))
    rows["pinned"] = measured(spoilt, truth)
    print(json.dumps({"pins": facts, **rows}, indent=1))
    return 0


def drifted(shot: Shot, folder: Path, still: int) -> Shot:
    """A copy of `shot` whose first layer's coordinates drift, but in the frame `still`."""
    shutil.copytree(shot.folder, folder)
    copy = Shot.open(folder)
    sizes = [(r.texture_width, r.texture_height) for r in shot.manifest.layers]
    far = max(still, shot.frames - 1 - still)
    with MapWriter(folder / "maps", shot.names) as writer:
        for t in range(shot.frames):
            maps = read_maps(shot.map_path(t), shot.names)
            layers = [maps.layer(n) for n in range(len(shot.names))]
            for own, size in zip(layers, sizes, strict=True):
                own.texture = size
            drift(layers[0], (t - still) / far)
            writer.write(t, layers)
    return copy


def drift(own: LayerMaps, share: float) -> None:
    """Move coordinates by a share of DRIFT, not the same everywhere; in place."""
    shows = own.alpha > 0
    u, v = own.u[shows], own.v[shows]
    own.u[shows] = (u + share * DRIFT[0] * (1 + 0.5 * np.sin(5 * v))).clip(0, 1)
    own.v[shows] = (v + share * DRIFT[1] * (1 + 0.5 * np.cos(4 * u))).clip(0, 1)


def pin(spoilt: Shot, shot: Shot, truth: Truth) -> dict:
    """Pin points of the first layer where the truth has them; facts of the last."""
    numbers = np.linspace(0, shot.frames - 1, TARGETS).round().astype(int)
    numbers = sorted({*map(int, numbers), truth.edit_frame})
    layers = {t: true_maps(truth, t)[0] for t in numbers}
    start = layers[truth.edit_frame]
    rows, columns = np.nonzero(start.alpha > 0.99)
    generator = np.random.default_rng(0)
    facts, held = {}, []
    for at in generator.permutation(len(rows)):
        x, y = columns[at] + 0.5, rows[at] + 0.5
        point = np.array([start.u[rows[at], columns[at]], 1 - start.v[rows[at], columns[at]]])
        if any(np.hypot(*(point - other)) < 0.12 for other in held):
            continue
        targets = {t: found for t in numbers if (found := place_of(layers[t], point)) is not None}
        targets.pop(truth.edit_frame, None)
        if len(targets) < 2:
            continue
        said = {"name": f"pin {len(held) + 1}", "layer": shot.names[0]}
        said["to"] = [[t, *place] for t, place in sorted(targets.items())]
        try:
            with writing(spoilt.folder, "measure_pins", Progress()):
                facts = add_pin(spoilt, said, (truth.edit_frame, float(x), float(y)))
        except NvdError as error:
            print(f"{said['name']} at {x}, {y}: {error}", file=sys.stderr)
            continue
        held.append(point)
        if len(held) == PINS:
            break
    return facts


def overlays(shot: Shot, out: Path) -> np.ndarray:
    """First, middle and last frame around the first layer, under a grid and in doubt: uint8."""
    numbers = sorted({0, shot.frames // 2, shot.frames - 1})
    own = [read_maps(shot.map_path(t), shot.names).layer(0).alpha > 0.5 for t in numbers]
    columns = np.flatnonzero(np.any(own, axis=(0, 1)))
    part = slice(max(columns[0] - 20, 0), columns[-1] + 20)
    cells = []
    for overlay in ("grid", "doubt"):
        pattern = out / f"{overlay}_%05d.png"
        render(shot, pattern, overlay=overlay, again=True, start=0)
        cells += [read_image(Path(str(pattern) % t))[:, part, :3] for t in numbers]
    return np.hstack(cells)


def place_of(own: LayerMaps, point: np.ndarray) -> list[float] | None:
    """The pixel that shows a point of the texture, u right and v DOWN; None where none does."""
    shows = own.alpha > 0.99
    places = np.stack([own.u, 1 - own.v], -1).astype(np.float64)
    away = np.where(shows, np.hypot(*np.moveaxis(places - point, -1, 0)), np.inf)
    row, column = np.unravel_index(away.argmin(), away.shape)
    height, width = shows.shape
    if not (1 <= row < height - 1 and 1 <= column < width - 1):
        return None
    if not shows[row - 1 : row + 2, column - 1 : column + 2].all():
        return None
    steps = np.stack(
        [
            (places[row, column + 1] - places[row, column - 1]) / 2,
            (places[row + 1, column] - places[row - 1, column]) / 2,
        ],
        -1,
    )
    off = np.linalg.solve(steps, point - places[row, column])
    return [column + 0.5 + off[0], row + 0.5 + off[1]] if np.abs(off).max() < NEAR else None


def joints(source: Path, marks: Path, out: Path) -> dict:
    """Pixels by which marked joints are missed, before and after they are pinned."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    shot, name = Shot.open(out), Shot.open(source).names[0]
    clip = shot.manifest.clip
    scale = np.array([clip.width / 1920, clip.height / 1080])
    marked: dict[int, dict[int, np.ndarray]] = {}
    for row in json.loads(marks.read_text()):
        t = int(Path(row["image_path"]).stem)
        for joint, (place, seen) in enumerate(zip(row["joints"], row["visibility"], strict=True)):
            if seen and t < shot.frames:
                marked.setdefault(joint, {})[t] = (np.array(place[::-1]) + 0.5) * scale
    held = {}
    for joint, places in marked.items():
        frames = sorted(places)
        if len(frames) < 5:
            continue
        first, middle, last = frames[0], frames[len(frames) // 2], frames[-1]
        said = {"name": f"joint {joint}", "layer": name, "radius": 0.3}
        said["to"] = [[t, *places[t]] for t in (first, last)]
        try:
            with writing(shot.folder, "measure_pins", Progress()):
                add_pin(shot, said, (middle, *places[middle]), later=True)
        except NvdError as error:
            print(f"joint {joint} is left out: {error.problem}", file=sys.stderr)
            continue
        held[joint] = {t: places[t] for t in frames if t not in (first, middle, last)}
    before = missed(shot, name, held)
    with writing(shot.folder, "measure_pins", Progress()):
        facts = apply_pins(shot, read_pins(shot))
    after = missed(shot, name, held)
    return {
        "pins": facts,
        "between": len(before),
        "missed_before_px": [round(float(np.percentile(before, p)), 2) for p in (50, 75, 90)],
        "missed_after_px": [round(float(np.percentile(after, p)), 2) for p in (50, 75, 90)],
    }


def missed(shot: Shot, layer: str, held: dict[int, dict[int, np.ndarray]]) -> list[float]:
    """Pixels from each mark to the place that shows the pinned point, where one shows it."""
    points = {int(pin.name.split()[1]): np.array(pin.at) for pin in read_pins(shot).pins}
    number, result = shot.names.index(layer), []
    for t in sorted({t for places in held.values() for t in places}):
        own = read_maps(shot.map_path(t), shot.names).layer(number)
        places = np.stack([own.u, 1 - own.v], -1).astype(np.float64)
        for joint, marks in held.items():
            if t in marks:
                away = np.hypot(*np.moveaxis(places - points[joint], -1, 0))
                away[own.alpha < 0.5] = np.inf
                row, column = np.unravel_index(away.argmin(), away.shape)
                result.append(float(np.hypot(*(marks[t] - [column + 0.5, row + 0.5]))))
    return result


def measured(shot: Shot, truth: Truth) -> dict:
    """The edit's fidelity, and the first layer's mean distance from the truth in pixels."""
    known = measure_truth(shot, truth.folder, Progress())
    apart = []
    for t in range(shot.frames):
        own, true = read_maps(shot.map_path(t), shot.names).layer(0), true_maps(truth, t)[0]
        inside = (own.alpha > 0.5) & (true.alpha > 0.5)
        inside = inside[1:-1, 1:-1] & inside[1:-1, 2:] & inside[2:, 1:-1]
        places = np.stack([true.u, true.v], -1).astype(np.float64)
        steps = np.stack(
            [
                places[1:-1, 2:] - places[1:-1, 1:-1],
                places[2:, 1:-1] - places[1:-1, 1:-1],
            ],
            -1,
        )[inside]
        off = (np.stack([own.u, own.v], -1) - places)[1:-1, 1:-1][inside]
        sound = np.abs(np.linalg.det(steps)) > 1e-9
        solved = np.linalg.solve(steps[sound], off[sound][..., None])[..., 0]
        apart.append(np.hypot(*solved.T))
    every = np.concatenate(apart)
    return {
        "edit_psnr": known["edit_psnr"],
        "edit_psnr_unpainted": known["edit_psnr_unpainted"],
        "median_off_px": round(float(np.median(every)), 2),
        "p90_off_px": round(float(np.percentile(every, 90)), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
