"""Cut objects out of clips with true masks by one click or a box each, and print one table.

    .envs/engine/bin/python tools/bench/measure_clicks.py /work/shared/clips --out /tmp/clicks

Each clip is CLIPS/<name>/frames with CLIPS/<name>/masks. In --frames frames of each, spread over
the clip, the point deepest inside of the true mask is clicked (of several pieces the largest), or
its bounding box is given, a twentieth larger. Writes OUT/table.md and the masks.
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.job import Job
from nvd_core.priors.click_mask import Clicks
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.segment import segment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools/

from bench.measure_clips import commit, hardware


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("names", nargs="*", help="default: all in the folder")
    parser.add_argument("--frames", type=int, default=5, help="how many of each clip")
    parser.add_argument("--still", action="store_true", help="by the frame alone")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    names = arguments.names or sorted(p.parent.name for p in arguments.clips.glob("*/masks"))
    rows = ["| clip | by | IoU of each frame | mean | seconds |", "|---|---|---|---|---|"]
    for name in names:
        for how in (clicked, boxed):
            rows.append(measure(arguments, name, how))
            print(rows[-1], flush=True)
    rows.append(f"\n{hardware()}, commit {commit()}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "table.md").write_text("\n".join(rows) + "\n")
    return 0


def measure(arguments: argparse.Namespace, name: str, how) -> str:
    """One clip by clicks or boxes; a row of the table."""
    clip = arguments.clips / name
    masks = sorted((clip / "masks").iterdir())
    scores, seconds = [], []
    for t in np.linspace(0, len(masks) - 1, arguments.frames).round().astype(int):
        true = cv2.imread(str(masks[t]), cv2.IMREAD_GRAYSCALE) > 127
        if not true.any():
            continue
        out = arguments.out / name / f"{t:05d}-{how.__name__}.png"
        started = time.process_time()
        job = Job(str((clip / "frames").absolute()))
        try:
            segment(job, int(t), how(true), out, Progress(), still=arguments.still)
            found = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE) > 127
        except NvdError:
            found = np.zeros_like(true)
        seconds.append(time.process_time() - started)
        scores.append((found & true).sum() / (found | true).sum())
    listed = " ".join(f"{score:.2f}" for score in scores)
    how_long = np.mean(seconds)
    return f"| {name} | {how.__name__} | {listed} | {np.mean(scores):.3f} | {how_long:.1f} |"


def clicked(true: np.ndarray) -> Clicks:
    """One click, at the point deepest inside of a mask."""
    deep = cv2.distanceTransform(np.pad(true, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(deep.argmax()), deep.shape)
    return Clicks(((float(column), float(row)),))


def boxed(true: np.ndarray) -> Clicks:
    """A box around the whole mask."""
    left, top, wide, high = cv2.boundingRect(true.astype(np.uint8))
    across, down = 0.025 * wide, 0.025 * high
    return Clicks(box=(left - across, top - down, left + wide + across, top + high + down))


if __name__ == "__main__":
    sys.exit(main())
