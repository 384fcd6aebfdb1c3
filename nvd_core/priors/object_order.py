"""Which object is in front of which: what of one disappears where another comes.

Each object's motion from a frame to the next says where all of it would be. What is missing there,
and lies in another object's mask, is hidden by that one. The same is asked backwards in time.
"""

from itertools import permutations

import cv2
import numpy as np

from nvd_core.priors.motion_evidence import SmallClip
from nvd_core.priors.motion_fit import fit_pair
from nvd_core.runtime.mapped_arrays import release

LEAST = 0.0005
"""Share of the frame, in all frames together, below which a pair is said to say nothing."""


def hidden_by(clip: SmallClip, masks: np.ndarray) -> np.ndarray:  # uint8 [N, T, h, w] -> [N, N]
    """How much of object i was seen to go behind object j, as a share of the frame, summed."""
    count = len(masks)
    hidden = np.zeros((count, count))
    for t in range(clip.count - 1) if count > 1 else ():
        here, there = masks[:, t] > 127, masks[:, t + 1] > 127
        near = cv2.dilate(here.sum(0).astype(np.uint8), np.ones((9, 9), np.uint8))
        if here.any((1, 2)).sum() > 1 and near.max() > 0:
            for step, before, after in ((1, here, there), (-1, there, here)):
                flow, ok = clip.flow_from(t if step == 1 else t + 1, step)
                hidden += _hidden(clip, before, after, flow, ok)
        release(masks, *clip.arrays)
    return hidden / (clip.size[0] * clip.size[1])


def _hidden(
    clip: SmallClip, before: np.ndarray, after: np.ndarray, flow: np.ndarray, ok: np.ndarray
) -> np.ndarray:  # [N, N]
    found = np.zeros((len(before), len(before)))
    for i, j in permutations(range(len(before)), 2):
        if not before[i].any() or not after[j].any():
            continue
        trusted = before[i] & (ok > 0.5)
        points = clip.grid[trusted][::3].astype(np.float64)
        motion = fit_pair("affine", points, points + flow[trusted][::3], 1.0)
        if motion is None:
            continue
        moved = cv2.warpPerspective(before[i].astype(np.uint8), motion, clip.size)
        gone = cv2.erode(moved, np.ones((3, 3), np.uint8)) > 0
        found[i, j] = np.count_nonzero(gone & ~after[i] & after[j])
    return found


def front_to_back(hidden: np.ndarray, bottoms: np.ndarray) -> list[int]:
    """The objects, the foremost first: who hides more than is hidden of it; where nothing tells,
    who reaches farther down (`bottoms`, 0 to 1) and so stands nearer."""
    left, order = list(range(len(hidden))), []
    while left:
        net = {i: sum(hidden[j, i] - hidden[i, j] for j in left) for i in left}
        told = {i: value if abs(value) > LEAST else 0.0 for i, value in net.items()}
        best = max(left, key=lambda i: (told[i], bottoms[i]))
        order.append(best)
        left.remove(best)
    return order
