"""What moves in a frame that was clicked: a witness of what belongs together.

The same search as for objects without masks (`found_objects`), over the few frames around the one
that was clicked.
"""

from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.click_mask import Clicks, Motion
from nvd_core.priors.motion_evidence import SmallClip, gather, steps
from nvd_core.priors.moving_groups import grouped
from nvd_core.priors.object_masks import ANOTHERS, motion_odds, outlined
from nvd_core.runtime.mapped_arrays import new_array
from nvd_core.runtime.progress import Progress

AROUND = 7
"""Frames before and after that are looked at: as far as frames are compared."""
NEAR = 0.02
"""How near to something that moves a click has to be to mean it, of the longer side."""
BOXED = 0.5
"""Share of what moves that lies in a box, from which the box means it."""


def motion_around(
    work: Path,  # with frames.npy and flow
    t: int,
    clicks: Clicks,  # in pixels of frames.npy
    progress: Progress,
) -> Motion | None:
    """What the frames around t say of the object clicked in it; None where it does not move.

    At the size of the evidence (`SmallClip`).
    """
    clip = SmallClip(work)
    progress.stage("what moves", steps(clip) + 1)
    done = iter(range(1, steps(clip) + 1))
    evidence = gather(clip, work, lambda: progress.update(next(done)))
    shape = (clip.count, *clip.size[::-1])
    groups = new_array(work / "groups.npy", shape)
    count = grouped(clip, evidence, groups)
    meant = _meant(groups[t], count, clicks, clip.factor)
    if not meant:
        return None
    progress.stage("what was clicked", 2 * clip.count * len(meant))
    whole = np.zeros(shape[1:], np.float32)
    seen = iter(range(1, 2 * clip.count * len(meant) + 1))
    for number in meant:
        masks = np.zeros(shape, np.uint8)
        outlined(clip, evidence, groups, number, masks, lambda: progress.update(next(seen)))
        whole = np.maximum(whole, masks[t].astype(np.float32) / 255)
    one = np.where(np.isin(groups[t], meant), np.uint8(1), groups[t] + np.uint8(1))
    one[groups[t] == 0] = 0
    odds = motion_odds(evidence[t], one, 1)
    return Motion(whole, np.maximum(odds, ANOTHERS).astype(np.float32))


def _meant(groups: np.ndarray, count: int, clicks: Clicks, factor: float) -> list[int]:
    """The numbers of the moving objects, of `count`, that were clicked or lie in the box."""
    height, width = groups.shape
    away = [
        cv2.distanceTransform((groups != n).astype(np.uint8), cv2.DIST_L2, 3)
        for n in range(1, count + 1)
    ]
    near = NEAR * max(height, width)

    def nearest(points: tuple[tuple[float, float], ...]) -> set[int]:
        found = set()
        for x, y in points:
            row = min(max(round(y * factor), 0), height - 1)
            column = min(max(round(x * factor), 0), width - 1)
            there = [(float(far[row, column]), n + 1) for n, far in enumerate(away)]
            if there and min(there)[0] <= near:
                found.add(min(there)[1])
        return found

    meant = nearest(clicks.inside)
    if clicks.box is not None and not clicks.inside:
        left, top, right, bottom = (round(value * factor) for value in clicks.box)
        boxed = groups[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
        for n in range(1, count + 1):
            whole = int((groups == n).sum())
            if whole and (boxed == n).sum() >= BOXED * whole:
                meant.add(n)
    return sorted(meant - (nearest(clicks.outside) - nearest(clicks.inside)))
