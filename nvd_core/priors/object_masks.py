"""Masks of moving objects, from where they move: their outlines brought onto the picture's.

Motion is blurred at an object's edge and says nothing of a foot that stands. So around what moves
colour decides: histograms of the object and of what is close around it, over neighbouring frames,
and a cut along the picture's edges (GrabCut). A second pass knows the first one's masks, brought
along the flow from the frames before and after.
"""

from collections.abc import Callable

import cv2
import numpy as np

from nvd_core.priors.colour_model import histogram, log_odds
from nvd_core.priors.motion_evidence import SmallClip
from nvd_core.runtime.mapped_arrays import release

EVIDENCE, COLOUR, BEFORE = 0.3, 2.0, 2.0
"""What motion, colour and the first pass's masks count, in log odds."""
LEAST_EVIDENCE, MOST_EVIDENCE = -1.0, 2.4
"""Log odds of motion at most, for and against."""
ANOTHERS = -3.0
"""Log odds where another object moves."""
REACH = 0.45
"""How far from what moves an object may reach, of the root of its area."""
FAR = 1.5
"""Log odds that are lost at that distance."""
AROUND = 0.5
"""How far what is around an object is looked at, of the root of its area."""
WINDOW, EVERY = 12, 3
"""Frames before and after whose colours count, every so many of them."""
SURE = 3.0
"""Log odds from which the cut has no say."""
PIECE = 0.08
"""Share of an object's largest piece below which another is noise."""


def outlined(
    clip: SmallClip,
    evidence: np.ndarray,  # float16 [T, h, w]
    groups: np.ndarray,  # uint8 [T, h, w]
    number: int,
    masks: np.ndarray,
    update: Callable[[], None],
) -> None:
    """Fill `masks` uint8 [T, h, w], 0 or 255, for the object `number` of `groups`.

    Frames in which it does not move stay empty. `update` is called twice a frame.
    """
    colours = _Looks(clip, evidence)
    for t in range(clip.count):
        colours.add(t, groups[t] == number, groups[t])
        release(groups, evidence)
    for t in range(clip.count):
        inside = groups[t] == number
        if inside.any():
            said = motion_odds(evidence[t], groups[t], number)
            masks[t] = _cut(clip.frame(t), said, inside, *colours.near(t), None)
        release(masks, groups, evidence, *clip.arrays)
        update()
    again = _Looks(clip, evidence)
    for t in range(clip.count):
        again.add(t, masks[t] > 127, groups[t])
        release(masks, groups, evidence)
    came: dict[int, np.ndarray] = {}
    for t in range(clip.count):
        for k in (t, t + 1):
            if k < clip.count and k not in came:
                came[k] = np.array(masks[k]).astype(np.float32) / 255
        came.pop(t - 2, None)
        if came[t].any():
            before = _from_both(clip, came, t)
            inside = came[t] > 0.5
            said = motion_odds(evidence[t], groups[t], number)
            masks[t] = _cut(clip.frame(t), said, inside, *again.near(t), before)
        release(masks, evidence, *clip.arrays)
        update()


def _from_both(clip: SmallClip, masks: dict[int, np.ndarray], t: int) -> np.ndarray:
    """The mean of a mask and of its neighbours' as they lie in frame t; float32 [h, w]."""
    found = [masks[t]]
    for step in (1, -1):
        if 0 <= t - step < clip.count:
            found.append(clip.from_neighbour(masks[t - step], t, step)[0])
    return np.mean(found, axis=0)


class _Looks:
    """Colours of an object and of what is close around it, in each frame."""

    def __init__(self, clip: SmallClip, evidence: np.ndarray):
        self._clip, self._evidence = clip, evidence
        self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, t: int, inside: np.ndarray, groups: np.ndarray) -> None:
        """Look at frame t, where the object is `inside`; every third frame is kept."""
        if t % EVERY or not inside.any():
            return
        own = inside.astype(np.uint8)
        reach = max(4, int(AROUND * np.sqrt(own.sum())))
        ring = cv2.dilate(own, _disc(reach)) > cv2.dilate(own, _disc(2))
        others = (groups > 0) & ~inside
        still = np.asarray(self._evidence[t]) < 0.5
        core = cv2.erode(own, _disc(2), borderValue=1) > 0
        frame = self._clip.frame(t)
        self._known[t] = (
            histogram(frame, core if core.any() else inside).astype(np.float32) * core.sum(),
            histogram(frame, ring & (still | others)).astype(np.float32) * ring.sum(),
        )

    def near(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Histograms of the object and of what is around it, over the frames near t."""
        close = [k for k in self._known if abs(k - t) <= WINDOW]
        close = close or sorted(self._known, key=lambda k: abs(k - t))[:1]
        if not close:
            return np.zeros(16**3), np.zeros(16**3)
        own, around = (np.sum([self._known[k][side] for k in close], axis=0) for side in (0, 1))
        return own / max(float(own.sum()), 1e-9), around / max(float(around.sum()), 1e-9)


def motion_odds(
    evidence: np.ndarray, groups: np.ndarray, number: int
) -> np.ndarray:  # float32 [h, w]
    """Log odds of a frame's motion that a pixel is the object's, and not another's."""
    odds = np.clip(EVIDENCE * evidence.astype(np.float32), LEAST_EVIDENCE, MOST_EVIDENCE)
    return np.where((groups > 0) & (groups != number), np.float32(ANOTHERS), odds)


def _cut(
    frame: np.ndarray,
    said: np.ndarray,
    inside: np.ndarray,
    own: np.ndarray,
    around: np.ndarray,
    before: np.ndarray | None,
) -> np.ndarray:  # uint8 [h, w], 0 or 255
    """The object's mask in a frame, from where it moves and from its colours."""
    reach = max(6, int(REACH * np.sqrt(inside.sum())))
    near = cv2.dilate(inside.astype(np.uint8), _disc(reach))
    base = inside if before is None else inside | (before > 0.5)
    away = cv2.distanceTransform((~base).astype(np.uint8), cv2.DIST_L2, 3) / reach
    odds = said + COLOUR * log_odds(frame, own, around) - FAR * away
    if before is not None:
        odds += BEFORE * (2 * before - 1)
    odds = cv2.GaussianBlur(odds, (0, 0), 1.0)
    labels = np.where(odds > 0, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[(near == 0) | (odds < -SURE)] = cv2.GC_BGD
    labels[(near > 0) & (odds > SURE)] = cv2.GC_FGD
    left, top, wide, high = cv2.boundingRect(near)
    part = np.s_[top : top + high, left : left + wide]
    local, result = labels[part].copy(), np.zeros(inside.shape, np.uint8)
    shown = np.isin(local, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if shown.sum() < 10:
        return result
    if not shown.all():
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        image = np.ascontiguousarray(frame[part])
        cv2.grabCut(image, local, None, *models, 1, cv2.GC_INIT_WITH_MASK)
    result[part] = np.isin(local, (cv2.GC_FGD, cv2.GC_PR_FGD)) * np.uint8(255)
    return _without_specks(result)


def _without_specks(mask: np.ndarray) -> np.ndarray:
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.isin(labels, np.flatnonzero(areas > PIECE * areas.max())) * np.uint8(255)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
