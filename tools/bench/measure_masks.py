"""Carry drawn masks through clips with true ones, nothing else, and print one table.

    .envs/engine/bin/python tools/bench/measure_masks.py /work/shared/clips --out /tmp/masks
    .envs/engine/bin/python tools/bench/measure_masks.py CLIPS bmx-trees --keys 0 40 --out OUT

Each clip is CLIPS/<name>/frames with CLIPS/<name>/masks. The masks of the frames --keys are given
(one: the first), the others carried; flow and masks' stage are the product's. Writes
OUT/table.md, and OUT/<name>.json with the IoU of each frame.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.runtime.progress import Progress
from nvd_core.work import FLOW_FORWARD, FRAMES, MASK_WEIGHT, MASKS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware

HIDDEN = 20  # pixels of the true mask below which a frame shows nothing of the object


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("names", nargs="*", help="default: all in the folder")
    parser.add_argument("--keys", type=int, nargs="+", default=[0], help="drawn frames")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.clips.glob("*/masks"))
    rows = [
        "| clip | frames | IoU | worst tenth | below .5 | of these named | named at .7 | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        rows.append(measure(arguments, name))
        print("\n".join(rows[-1:]), flush=True)
    drawn = ", ".join(map(str, arguments.keys))
    rows.append(f"\n{hardware()}, commit {commit()}, {arguments.height} lines, drawn: {drawn}")
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    return 0


def measure(arguments: argparse.Namespace, name: str) -> str:
    """Carry the masks of one clip; a row of the table."""
    work = arguments.out / name
    true = prepared(arguments.clips / name, work, arguments.height)
    keys = sorted(key % len(true) for key in arguments.keys)
    drawn = np.zeros_like(true)[None]
    drawn[0, keys] = true[keys]
    np.save(work / MASKS, drawn)
    np.save(work / MASK_WEIGHT, np.zeros_like(drawn))
    started = time.process_time()
    named = set(propagate_masks(work, {0: keys}, Progress())[0])
    seconds = time.process_time() - started
    scores = overlaps(np.load(work / MASKS)[0], true, keys)
    (arguments.out / f"{name}.json").write_text(json.dumps({"keys": keys, "iou": scores}))
    known = np.array([score for score in scores if score is not None])
    bad = {t for t, score in enumerate(scores) if score is not None and score < 0.5}
    good = {t for t, score in enumerate(scores) if score is not None and score >= 0.7}
    worst = np.sort(known)[: max(1, len(known) // 10)].mean()
    return (
        f"| {name} | {len(true)} | {known.mean():.3f} | {worst:.3f} | {len(bad)} "
        f"| {len(bad & named)} | {len(good & named)} | {seconds:.0f} |"
    )


def prepared(clip: Path, work: Path, height: int) -> np.ndarray:  # uint8 [T, H, W]
    """Frames and flow of a clip in the folder `work`; returns its true masks."""
    images = [cv2.imread(str(path)) for path in sorted((clip / "frames").iterdir())]
    masks = [
        cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted((clip / "masks").iterdir())
    ]
    if len(images) != len(masks):
        sys.exit(f"{clip} has {len(images)} frames and {len(masks)} masks")
    high, wide = images[0].shape[:2]
    size = round(wide * height / high / 2) * 2, height
    masks = np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_AREA) for mask in masks])
    work.mkdir(parents=True, exist_ok=True)
    if not (work / FLOW_FORWARD).exists() or np.load(work / FRAMES, "r").shape[1:3] != size[::-1]:
        small = [cv2.resize(i, size, interpolation=cv2.INTER_AREA)[..., ::-1] for i in images]
        np.save(work / FRAMES, np.stack(small))
        compute_flow(work, Progress())
    return masks


def overlaps(found: np.ndarray, true: np.ndarray, keys: list[int]) -> list[float | None]:
    """IoU of each frame; None where it was given, or where neither shows anything."""
    scores: list[float | None] = []
    for t, (ours, theirs) in enumerate(zip(found > 127, true > 127, strict=True)):
        either = int((ours | theirs).sum())
        nothing = theirs.sum() < HIDDEN and not ours.any()
        scores.append(None if t in keys or nothing else float((ours & theirs).sum() / either))
    return scores


if __name__ == "__main__":
    sys.exit(main())
