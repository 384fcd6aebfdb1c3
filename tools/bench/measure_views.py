"""Ask for every object of a folder of clips whether it turns, nothing else, and print one table.

    .envs/engine/bin/python tools/bench/measure_views.py samples/truth --out /tmp/views
    .envs/engine/bin/python tools/bench/measure_views.py CLIPS --masks given drawn --out OUT

Each clip is CLIPS/<name>/frames with CLIPS/<name>/masks, or masks/<object> for several. Its masks
are all given, or that of the first frame that shows most of the object, the others carried. Flow,
masks' and motion's stages are the product's, the flow at most --flow pixels along its longer side.
Seconds are of the processor, for what decides on windows, an object. Writes OUT/table.md.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.motion_matches import MatchedClip
from nvd_core.priors.views import view_evidence
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASK_WEIGHT, MASKS, MOTION_FACTS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware

SHOWN = 0.9  # of the most that a frame shows, from which on its mask is the one that is drawn
EVIDENCE = "part", "alive", "slip", "followed", "alike"
PRESETS = 1280  # the flow of all presets but draft, which has 448


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("names", nargs="*", help="default: all in the folder")
    parser.add_argument("--masks", nargs="+", choices=("given", "drawn"), default=["given"])
    parser.add_argument("--height", type=int, help="of the frames; theirs if left out")
    parser.add_argument("--flow", type=int, default=PRESETS, metavar="PIXELS")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.clips.glob("*/masks"))
    rows = [
        "| clip, size, frames | object | masks | part | alive | slip | followed | alike | windows "
        "| seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(rows), flush=True)
    for kind in arguments.masks:
        for name in names:
            rows += measure(arguments, name, kind)
    rows.append(f"\n{hardware()}, commit {commit()}, flow of {arguments.flow} pixels at most")
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    return 0


def measure(arguments: argparse.Namespace, name: str, kind: str) -> list[str]:
    """Ask for the objects of one clip; a row of the table for each."""
    work = arguments.out / f"{name}-{kind}"
    objects = prepared(arguments.clips / name, work, arguments, kind == "drawn")
    count, high, wide = np.load(work / FRAMES, "r").shape[:3]
    estimate_global_motion(work, Progress(), windows=[None] * len(objects) + [1])
    facts = json.loads((work / MOTION_FACTS).read_text("utf-8"))
    clip, rows = MatchedClip(work), []
    for n, (one, fact) in enumerate(zip(objects, facts, strict=False)):
        started = time.process_time()
        view_evidence(clip, n, [])
        seconds = time.process_time() - started
        evidence = " | ".join(shown(fact["evidence"].get(key)) for key in EVIDENCE)
        found = ", ".join(f"{first}-{last}" for first, last in fact["windows"]) or "none"
        rows.append(
            f"| {name}, {wide}x{high}, {count} | {one} | {kind} | {evidence} | {found} "
            f"| {seconds:.1f} |"
        )
    print("\n".join(rows), flush=True)
    return rows


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def prepared(clip: Path, work: Path, arguments: argparse.Namespace, drawn: bool) -> list[str]:
    """Frames, flow and masks of a clip in the folder `work`; the names of its objects."""
    folders = sorted(p for p in (clip / "masks").iterdir() if p.is_dir()) or [clip / "masks"]
    images = [cv2.imread(str(path)) for path in sorted((clip / "frames").iterdir())]
    high, wide = images[0].shape[:2]
    height = arguments.height or high
    size = round(wide * height / high / 2) * 2, height
    if not (work / FRAMES).exists():
        work.mkdir(parents=True, exist_ok=True)
        small = [resized(image, size)[..., ::-1] for image in images]
        masks = np.stack([
            [resized(cv2.imread(str(path), 0), size) for path in sorted(folder.iterdir())]
            for folder in folders
        ])  # fmt: skip
        keys = {n: [first_whole(masks[n])] for n in range(len(masks))}
        if drawn:
            for n, (key,) in keys.items():
                masks[n, np.arange(masks.shape[1]) != key] = 0
        np.save(work / MASKS, masks)
        np.save(work / MASK_WEIGHT, masks if drawn else np.full_like(masks, 255))
        np.save(work / FRAMES, np.stack(small))
        compute_flow(work, Progress(), longest=arguments.flow)
        if drawn:
            propagate_masks(work, keys, Progress())
    else:  # the motion put it right
        compute_flow(work, Progress(), longest=arguments.flow)
    return [folder.name if folder != clip / "masks" else clip.name for folder in folders]


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def first_whole(masks: np.ndarray) -> int:  # uint8 [T, H, W]
    """The first frame that shows most of the object."""
    areas = (masks > 127).sum((1, 2))
    return int(np.argmax(areas >= SHOWN * areas.max()))


if __name__ == "__main__":
    sys.exit(main())
