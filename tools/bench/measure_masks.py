"""Carry drawn masks through clips with true ones, nothing else, and print one table.

    .envs/engine/bin/python tools/bench/measure_masks.py /work/shared/clips --out /tmp/masks
    .envs/engine/bin/python tools/bench/measure_masks.py CLIPS bmx-trees --keys 0 40 --out OUT
    .envs/engine/bin/python tools/bench/measure_masks.py CLIPS --first 20 --frames 20 --out OUT
    .envs/engine/bin/python tools/bench/measure_masks.py samples/truth crossing --together --out OUT

Each clip is CLIPS/<name>/frames with CLIPS/<name>/masks, which has the files or a folder of them
for each object: then each is carried alone, or all --together, in the order of their names from
front to back. Of the clip the --frames from --first on are taken. The masks of the frames --keys of
these are given (one: the first), the others carried; flow and masks' stage are the product's.

The table says where the wrong pixels are, in shares of what either mask has: outside of the true
mask, within 2 pixels of its edge and farther off; and missing, the same, or in parts that a disc
of 7 pixels does not fit into. Writes OUT/table.md, and OUT/<name>.json with the IoU of each frame.
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

NEAR = 2  # pixels from the true edge
HIDDEN = 20  # pixels of the true mask below which a frame shows nothing of the object


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("names", nargs="*", help="default: all in the folder")
    parser.add_argument("--keys", type=int, nargs="+", default=[0], help="drawn frames")
    parser.add_argument("--first", type=int, default=0, help="the first frame taken, from 0")
    parser.add_argument("--frames", type=int, help="how many are taken; default: all")
    parser.add_argument("--together", action="store_true", help="all objects of a clip at once")
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.clips.glob("*/masks"))
    rows = [
        "| clip | frames | IoU | worst tenth | below .5 | of these named | named at .7 "
        "| outside: near, far | missing: near, far, thin | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        made = measure(arguments, name)
        print("\n".join(made), flush=True)
        rows += made
    drawn = ", ".join(map(str, arguments.keys))
    rows.append(f"\n{hardware()}, commit {commit()}, {arguments.height} lines, drawn: {drawn}")
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    return 0


def measure(arguments: argparse.Namespace, name: str) -> list[str]:
    """Carry the masks of one clip; a row of the table for each of its objects."""
    first, wanted = arguments.first, arguments.frames
    chosen = slice(first, None if wanted is None else first + wanted)
    work = arguments.out / f"{name}-{first}-{wanted or 'all'}"
    true = prepared(arguments.clips / name, work, arguments.height, chosen)
    rows = []
    for group in [list(true)] if arguments.together else [[one] for one in true]:
        rows += carried(arguments, name, work, {one: true[one] for one in group})
    return rows


def carried(
    arguments: argparse.Namespace, name: str, work: Path, true: dict[str, np.ndarray]
) -> list[str]:
    """Carry the masks of some objects, uint8 [T, H, W] each; a row of the table for each."""
    count = len(next(iter(true.values())))
    keys = sorted(key % count for key in arguments.keys)
    drawn = np.zeros_like(np.stack(list(true.values())))
    for n, masks in enumerate(true.values()):
        drawn[n, keys] = masks[keys]
    np.save(work / MASKS, drawn)
    np.save(work / MASK_WEIGHT, np.zeros_like(drawn))
    started = time.process_time()
    doubted = propagate_masks(work, dict.fromkeys(range(len(true)), keys), Progress())
    seconds = time.process_time() - started
    found, rows = np.load(work / MASKS), []
    for n, (one, masks) in enumerate(true.items()):
        said = f"{name}: {one}" if one else name
        scores = overlaps(found[n], masks, keys)
        told = json.dumps({"keys": keys, "iou": scores, "named": doubted[n]})
        (arguments.out / f"{said.replace(': ', '-')}.json").write_text(told)
        wrong = wrong_pixels(found[n], masks, scores)
        rows.append(row(said, scores, set(doubted[n]), wrong, seconds))
    return rows


def row(
    name: str, scores: list[float | None], named: set[int], wrong: np.ndarray, seconds: float
) -> str:
    known = np.array([score for score in scores if score is not None])
    bad = {t for t, score in enumerate(scores) if score is not None and score < 0.5}
    good = {t for t, score in enumerate(scores) if score is not None and score >= 0.7}
    worst = np.sort(known)[: max(1, len(known) // 10)].mean()
    outside, missing = (", ".join(f"{x:.3f}" for x in part) for part in (wrong[:2], wrong[2:]))
    return (
        f"| {name} | {len(scores)} | {known.mean():.3f} | {worst:.3f} | {len(bad)} "
        f"| {len(bad & named)} | {len(good & named)} | {outside} | {missing} | {seconds:.0f} |"
    )


def prepared(
    clip: Path, work: Path, height: int, chosen: slice
) -> dict[str, np.ndarray]:  # uint8 [T, H, W] each
    """The chosen frames of a clip and their flow in the folder `work`; returns its true masks by
    their names, "" for the only one."""
    paths = sorted((clip / "frames").iterdir())
    folders = sorted(p for p in (clip / "masks").iterdir() if p.is_dir())
    high, wide = cv2.imread(str(paths[0])).shape[:2]
    size = round(wide * height / high / 2) * 2, height
    true = {}
    for folder in folders or [clip / "masks"]:
        files = sorted(folder.iterdir())
        if len(files) != len(paths):
            sys.exit(f"{clip} has {len(paths)} frames and {len(files)} masks")
        masks = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in files[chosen]]
        true[folder.name if folders else ""] = np.stack(
            [cv2.resize(mask, size, interpolation=cv2.INTER_AREA) for mask in masks]
        )
    work.mkdir(parents=True, exist_ok=True)
    if not (work / FLOW_FORWARD).exists() or np.load(work / FRAMES, "r").shape[1:3] != size[::-1]:
        images = (cv2.imread(str(path)) for path in paths[chosen])
        small = [cv2.resize(i, size, interpolation=cv2.INTER_AREA)[..., ::-1] for i in images]
        np.save(work / FRAMES, np.stack(small))
        compute_flow(work, Progress())
    return true


def wrong_pixels(
    found: np.ndarray, true: np.ndarray, scores: list[float | None]
) -> np.ndarray:  # [5]
    """Shares of what either mask has: outside near the true edge and farther off, missing near it,
    farther in, and in thin parts; means over the frames that have a score."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    shares = []
    for ours, theirs, score in zip(found > 127, true > 127, scores, strict=True):
        if score is None:
            continue
        inside = theirs.astype(np.uint8)
        off, within = (cv2.distanceTransform(x, cv2.DIST_L2, 5) for x in (1 - inside, inside))
        near = np.where(theirs, within, off) <= NEAR
        thin = theirs & (cv2.morphologyEx(inside, cv2.MORPH_OPEN, disc) == 0)
        outside, missing = ours & ~theirs, theirs & ~ours
        rest = missing & ~thin
        kinds = outside & near, outside & ~near, rest & near, rest & ~near, missing & thin
        shares.append([kind.sum() / (ours | theirs).sum() for kind in kinds])
    return np.mean(shares, axis=0)


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
