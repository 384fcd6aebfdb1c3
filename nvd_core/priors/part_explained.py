"""The carried parts of an object put right by what their own sheets explain.

Carried parts are right but for their rims and for what was hidden a while. Once each part has its
motion, a pixel that shows its neighbour's sheet better than its own is its neighbour's.
What no other frame shows of a sheet speaks for none.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.resizing import resized
from nvd_core.priors.motion_matches import enlarged
from nvd_core.priors.part_masks import numbered
from nvd_core.priors.part_shares import without_specks
from nvd_core.priors.sheet_evidence import FAR, Sheets, evidence_scale
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASKS, PART_WEIGHT, PARTS, open_array

LONGEST = 480
"""pixels along the longer side at which that is looked at"""
INSIDE = 127
"""a mask's value above which a pixel is the object's"""

UNLIKE = 12.0
"""difference of two colours, 0 to 255, that makes a pixel e times less likely another's"""
UNSEEN = 24.0
"""the same of a pixel that its part shows in no other frame, at most"""
CARRIED = 1.0
"""how much the carried part counts, in log odds"""
AROUND = 5
"""pixels over which errors are taken together"""
SMOOTH, ROUNDS = 3.0, 3
"""how much a pixel goes along with its neighbours, and how often that is settled"""


def explain_parts(
    work: Path, layer: int, rows: Sequence[int], motions: np.ndarray, progress: Progress
) -> None:
    """Put the parts of an object right in parts.npy; nothing where they are drawn in all frames.

    `rows`: where they stand in part_masks.npy; `motions` [K + 1, T, 3, 3] in pixels, the rest's
    first.
    """
    drawn = _drawn(work, rows)
    if drawn.all():
        return
    frames, masks = open_array(work, FRAMES), open_array(work, MASKS)
    labels = open_array(work, PARTS, "r+")
    count, height, width = frames.shape[:3]
    progress.stage("parts in order", count)
    inside = sum(_pixels(masks[layer, t], masks, progress) for t in range(count))
    scale = evidence_scale((height, width), LONGEST, inside)
    size = round(width * scale), round(height * scale)
    small, shown, before = [], [], []
    for t in range(count):
        small.append(resized(np.array(frames[t]), *size))
        inside = [resized(np.array(masks[n, t]), *size) > INSIDE for n in range(layer + 1)]
        shown.append(inside[layer] & ~np.any([np.zeros_like(inside[0]), *inside[:layer]], axis=0))
        before.append(_nearest(np.array(labels[layer, t]), size))
        release(frames, masks, labels)
        progress.check()
    own = _at_size(motions, (width, height), size)
    known = np.flatnonzero(drawn.any(0)).tolist()
    arrays = np.array(small), np.array(shown), np.array(before)
    after = explained(*arrays, own, known, progress.check)
    for t in np.flatnonzero([(a != b).any() for a, b in zip(after, before, strict=True)]):
        changed = _nearest((after[t] != before[t]).astype(np.uint8), (width, height)) > 0
        new = np.where(changed, _nearest(after[t], (width, height)), labels[layer, t])
        seen = np.array(masks[layer, t]) > INSIDE
        labels[layer, t] = numbered([(new == k) & seen for k in range(1, len(motions))], seen)
        release(masks, labels)
        progress.update(int(t) + 1)
    labels.flush()


def _pixels(mask: np.ndarray, masks: np.ndarray, progress: Progress) -> int:
    """How many pixels of a frame are the object's."""
    number = int(np.count_nonzero(np.array(mask) > INSIDE))
    release(masks)
    progress.check()
    return number


def _drawn(work: Path, rows: Sequence[int]) -> np.ndarray:  # bool [K, T]
    """Whether a part was drawn in a frame, not carried there: then all of it is believed."""
    weights = open_array(work, PART_WEIGHT)
    drawn = [[np.array(weights[row, t]).min() == 255 for t in range(weights.shape[1])]
             for row in rows]  # fmt: skip
    release(weights)
    return np.array(drawn)


def _nearest(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Numbers of parts at another size, (w, h)."""
    return cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)


def _at_size(motions: np.ndarray, size: tuple[int, int], other: tuple[int, int]) -> np.ndarray:
    """The same motions in the pixels of another size."""
    change = enlarged(np.divide(other, size))
    return change @ motions @ np.linalg.inv(change)


def explained(
    frames: np.ndarray,  # uint8 [T, h, w, 3]
    shown: np.ndarray,  # bool [T, h, w]
    labels: np.ndarray,  # uint8 [T, h, w]
    motions: np.ndarray,  # float64 [K, T, 3, 3]
    drawn: Sequence[int] = (),
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:  # uint8 [T, h, w]
    """The labels where each pixel goes with the sheet that shows it best; `drawn` frames stay.

    `check` is asked often whether to stop.
    """
    sheets = Sheets(frames, shown, labels, motions, check)
    sheets.bend()
    out = labels.copy()
    for t, (errors, known) in enumerate(sheets.by_part()):
        check()
        if t not in drawn and errors.shape[1]:
            own = sheets.parts[t] == np.arange(len(errors))[:, None]
            unknown = np.where(own, np.minimum(errors, UNSEEN), FAR)
            out[t] = _settled(np.where(known, errors, unknown), shown[t], labels[t])
    return out


def _settled(errors: np.ndarray, shown: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label [h, w] of each pixel of a frame by its errors [K, n] and the carried ones."""
    weight = np.maximum(cv2.blur(shown.astype(np.float32), (AROUND, AROUND)), 1e-3)
    odds = np.zeros((len(errors), *shown.shape), np.float32)
    for k, error in enumerate(errors):
        one = np.zeros(shown.shape, np.float32)
        one[shown] = error
        odds[k] = -cv2.blur(one, (AROUND, AROUND)) / weight / UNLIKE + CARRIED * (labels == k)
    shares = _softmax(odds) * shown
    for _ in range(ROUNDS):
        around = np.array([cv2.blur(share, (5, 5)) for share in shares]) / weight
        shares = _softmax(odds + SMOOTH * around) * shown
    return np.where(shown, without_specks(shares).argmax(0).astype(np.uint8), labels)


def _softmax(odds: np.ndarray) -> np.ndarray:
    powers = np.exp(odds - odds.max(0))
    return powers / powers.sum(0)
