"""How well parts drawn on some frames of a scene are carried, against its true ones.

    .envs/engine/bin/python tools/bench/measure_carried_parts.py TRUTH/walker walker \
        --parts arm_near leg_near leg_far arm_far --drawn 2

TRUTH/walker/parts is written by tools/scenes/make_part_masks.py. The object's own masks are the
true ones. Prints the share of the object's pixels that have the right part, and by part the IoU and
the frames in doubt.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nvd_core.media.images import read_image
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.part_masks import numbered
from nvd_core.priors.part_propagation import propagate_parts
from nvd_core.runtime.parts import REST
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASKS, PART_MASKS, PART_WEIGHT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("layer")
    parser.add_argument("--parts", nargs="+", required=True, help="front to back")
    parser.add_argument("--drawn", nargs="+", type=int, required=True, help="frames, from 0")
    parser.add_argument("--apart", action="store_true", help="carry each by itself, as an object")
    given = parser.parse_args()
    frames = pictures(given.truth / "frames")[..., :3]
    mask = pictures(given.truth / "masks" / given.layer)[..., 0]
    true = np.array([pictures(given.truth / "parts" / name)[..., 0] for name in given.parts])
    drawn = np.zeros_like(true)
    drawn[:, given.drawn] = true[:, given.drawn]
    keys = {row: given.drawn for row in range(len(true))}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        arrays = {FRAMES: frames, MASKS: mask[None], PART_MASKS: drawn, PART_WEIGHT: 0 * drawn}
        for name, array in arrays.items():
            np.save(work / name, array)
        compute_flow(work, Progress())
        began = time.process_time()
        if given.apart:
            doubted = propagate_masks(work, keys, Progress(), arrays=(PART_MASKS, PART_WEIGHT))
        else:
            doubted = propagate_parts(work, 0, keys, Progress())
        seconds = time.process_time() - began
        carried = np.load(work / PART_MASKS)
    seen = mask > 127
    right, found = (labels(masks, seen) for masks in (true, carried))
    print(f"right {(right == found)[seen].mean():.3f}   {seconds:.1f} s of processor time")
    for number, name in enumerate([REST, *given.parts]):
        one, other = (right == number) & seen, (found == number) & seen
        iou = (one & other).sum() / max((one | other).sum(), 1)
        print(f"{name:12} {iou:.3f}   in doubt: {doubted.get(number - 1, [])}")


def pictures(folder: Path) -> np.ndarray:  # uint8 [T, H, W, C]
    return np.array([read_image(path) for path in sorted(folder.iterdir())])


def labels(masks: np.ndarray, seen: np.ndarray) -> np.ndarray:  # uint8 [T, H, W]
    return np.array([numbered(list(masks[:, t] > 127), seen[t]) for t in range(len(seen))])


if __name__ == "__main__":
    main()
