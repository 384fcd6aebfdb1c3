"""Masks without drawing: the objects that move by themselves, as many as there are.

What moves against the background (`motion_evidence`) is grouped into objects over the whole clip
(`moving_groups`), each gets an outline wherever it moves (`object_masks`), and they are brought
into their order in depth (`object_order`). Where an object stands still or is hidden its mask is
carried from the frames in which it moves, as a drawn one is (`mask_propagation`).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.cautions import ranges
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.motion_evidence import SmallClip, gather, steps
from nvd_core.priors.moving_groups import MOVES, grouped
from nvd_core.priors.object_masks import outlined
from nvd_core.priors.object_order import LEAST, front_to_back, hidden_by
from nvd_core.priors.pieces import MOST_APART, apart
from nvd_core.runtime.files import temporary_name, written_beside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FRAMES, MASK_WEIGHT, MASKS, open_array

WHOLE = 0.55
"""Share of its usual area that an outline has at least; in other frames the mask is carried."""
USUAL = 15
"""Frames before and after that tell the usual area."""
NAMED = "object-{}"
DOUBTFUL = 0.5
"""Confidence in an object below which it is worth a word."""


@dataclass
class Found:
    """An object that was found. Frames are those of the clip, counted from 0."""

    seen: list[int]
    """frames in which it has a mask"""
    moves: list[int]
    """those in which it moves by itself, and the mask comes from there; others are carried"""
    lost: list[int]
    """those in which its carried mask was lost, and it was looked for: they need an eye"""
    confidence: float
    """0 to 1: how far masks and motion agree, and in how much of its time it moves"""
    in_front_of: list[int]
    """numbers of the objects that were seen to go behind it"""
    cautions: list[str]
    """what is to be said of it, in words that go on from its name"""


def found_names(count: int) -> list[str]:
    """What so many objects are called, from front to back."""
    return [NAMED.format(n + 1) for n in range(count)]


def find_objects(work: Path, progress: Progress, near: bool = False) -> list[Found]:
    """Write masks.npy and mask_weight.npy, uint8 [N, T, H, W], of what moves by itself.

    Objects are numbered from front to back, six at most; N is 0 where nothing moves by itself.
    `near`: then what stands still is looked for as well that is so near that it moves otherwise.
    """
    work = Path(work)
    keys, confidence, hidden = _searched(SmallClip(work), progress)
    if near and not keys:
        keys, confidence, hidden = _searched(SmallClip(work, crowded=True), progress)
    if not keys:
        no_masks(work)
        return []
    lost = propagate_masks(work, keys, progress, sure=False)
    return [
        _described(n, masks, keys[n], lost.get(n, []), confidence[n], hidden)
        for n, masks in enumerate(open_array(work, MASKS))
    ]


def _searched(
    clip: SmallClip, progress: Progress
) -> tuple[dict[int, list[int]], list[float], np.ndarray]:
    """Search once; by object the frames of which it has masks, its confidence, and what hides what.

    The masks are written where there are any.
    """
    # On Windows arrays that an exception still holds cannot go: the next run removes the folder
    name = temporary_name(clip.work / "motion") + "."
    with tempfile.TemporaryDirectory("", name, clip.work, ignore_cleanup_errors=True) as scratch:
        search = _Search(clip, Path(scratch), progress)
        search.run()
        keys = search.write() if search.order else {}
        found = keys, search.confidence(), search.hidden
        del search
    return found


def no_masks(work: Path) -> None:
    """Write masks.npy and mask_weight.npy of no object, for the clip in frames.npy."""
    shape = (0, *open_array(work, FRAMES).shape[:3])
    for name in (MASK_WEIGHT, MASKS):
        with written_beside(Path(work) / name) as path:
            np.save(path, np.zeros(shape, np.uint8))


class _Search:
    """One search for objects, its arrays in a scratch folder."""

    def __init__(self, clip: SmallClip, scratch: Path, progress: Progress):
        self.clip, self.scratch, self.progress = clip, scratch, progress
        self.shape = (clip.count, *clip.size[::-1])
        self.hidden = np.zeros((0, 0))
        self._done = 0

    def _update(self) -> None:
        self._done += 1
        self.progress.update(self._done)

    def run(self) -> None:
        """Find the objects' masks at the working size, from front to back."""
        clip = self.clip
        self.progress.stage("what moves", steps(clip))
        self.evidence = gather(clip, self.scratch, self._update)
        self.groups = new_array(self.scratch / "groups.npy", self.shape)
        count = grouped(clip, self.evidence, self.groups)
        self._done = 0
        self.progress.stage("moving objects", max(1, 2 * count * clip.count))
        self.masks = new_array(self.scratch / "small.npy", (max(count, 1), *self.shape))
        for n in range(count):
            outlined(clip, self.evidence, self.groups, n + 1, self.masks[n], self._update)
        self._in_order(count)

    def _in_order(self, count: int) -> None:
        """Bring the objects into their order in depth; what two claim is the nearer one's."""
        masks = self.masks[:count]
        bottoms = np.zeros(count)
        for t in range(self.clip.count):
            rows = (masks[:, t] > 127).any(-1)
            last = np.where(rows.any(1), self.shape[1] - rows[:, ::-1].argmax(1), 0)
            bottoms = np.maximum(bottoms, last / self.shape[1])
            release(self.masks)
        hidden = hidden_by(self.clip, masks)
        there = bottoms > 0  # of what moves in patches alone nothing may be left
        self.order = [n for n in front_to_back(hidden, bottoms) if there[n]]
        self.hidden = hidden[np.ix_(self.order, self.order)]
        for t in range(self.clip.count):
            taken = np.zeros(self.shape[1:], bool)
            for n in self.order:
                others = (self.groups[t] > 0) & (self.groups[t] != n + 1) & (masks[:, t].max(0) > 0)
                mask = (masks[n, t] > 127) & ~taken & ~_claimed(masks, self.groups[t], n, t, others)
                masks[n, t] = mask * np.uint8(255)
                taken |= mask
            release(self.masks, self.groups)

    def write(self) -> dict[int, list[int]]:
        """Write masks and weights at full size; returns the frames that were not carried."""
        clip, masks = self.clip, self.masks
        shape = (len(self.order), clip.count, clip.height, clip.width)
        keys = {n: _whole_frames(masks[old]) for n, old in enumerate(self.order)}
        with (
            written_beside(clip.work / MASK_WEIGHT) as weight_path,
            written_beside(clip.work / MASKS) as mask_path,
        ):
            full, weights = new_array(mask_path, shape), new_array(weight_path, shape)
            size = (clip.width, clip.height)
            for n, old in enumerate(self.order):
                for t in keys[n]:
                    small = cv2.GaussianBlur(masks[old, t].astype(np.float32) / 255, (0, 0), 0.7)
                    weight = _weight(small, self.evidence[t].astype(np.float32))
                    full[n, t] = np.rint(255 * cv2.resize(small, size))
                    weights[n, t] = np.rint(255 * cv2.resize(weight, size))
                    release(full, weights, masks, self.evidence)
            full.flush()
            weights.flush()
            del full, weights  # an open map cannot be renamed on Windows
        return keys

    def confidence(self) -> list[float]:
        """For each object, how far its masks are where something moves, and how often it moves."""
        found = []
        for old in self.order:
            agree = []
            for t in range(self.clip.count):
                inside = self.masks[old, t] > 127
                if inside.any():
                    agree.append(float((self.evidence[t][inside] > MOVES).mean()))
                release(self.masks, self.evidence)
            share = min(1.0, len(agree) / (0.5 * self.clip.count))
            found.append(float(np.mean(agree)) * share**0.5 if agree else 0.0)
        return found


def _claimed(
    masks: np.ndarray, groups: np.ndarray, number: int, t: int, others: np.ndarray
) -> np.ndarray:  # bool [h, w]
    """Where another object moves whose mask says so too."""
    claimed = np.zeros(groups.shape, bool)
    for n in range(len(masks)):
        if n != number:
            claimed |= others & (groups == n + 1) & (masks[n, t] > 127)
    return claimed


def _whole_frames(masks: np.ndarray) -> list[int]:  # uint8 [T, h, w]
    """Frames in which an object is outlined with about the area that it has around that time."""
    areas = []
    for mask in masks:
        areas.append(int((mask > 127).sum()))
        release(masks)
    sizes = np.array(areas)
    whole = []
    for t in np.flatnonzero(sizes):
        around = sizes[max(t - USUAL, 0) : t + USUAL + 1]
        if sizes[t] >= WHOLE * np.median(around[around > 0]):
            whole.append(int(t))
    return whole


def _weight(mask: np.ndarray, evidence: np.ndarray) -> np.ndarray:  # float32 [h, w], 0..1
    """How far to believe: as the evidence agrees with the mask, less near the edge."""
    agrees = np.clip(np.where(mask > 0.5, evidence, -evidence) / 4, 0, 1)
    edge = 1 - 2 * np.abs(cv2.GaussianBlur(mask, (0, 0), 2.0) - 0.5)
    return ((0.35 + 0.45 * agrees) * (1 - 0.7 * edge)).astype(np.float32)


def _described(
    number: int,
    masks: np.ndarray,
    keys: list[int],
    lost: list[int],
    confidence: float,
    hidden: np.ndarray,
) -> Found:
    """What is known of an object, from its masks uint8 [T, H, W]."""
    seen, pieces = [], []
    for t, mask in enumerate(masks):
        inside = mask > 127
        if inside.any():
            seen.append(t)
            pieces.append(apart(inside))
        release(masks)
    outside, whole = np.sum(pieces, axis=0) if pieces else (0, 1)
    cautions = []
    if outside > MOST_APART * whole:
        cautions.append(f"is a scatter of pieces ({outside / whole:.0%} outside its largest piece)")
    if lost:
        frames = f"{len(lost)} frames ({ranges(np.array(lost))})"
        cautions.append(f"was lost or is in doubt in {frames}: look at them")
    if confidence < DOUBTFUL:
        cautions.append("is doubtful: much of it was not seen to move by itself")
    moved = hidden[:, number] > np.maximum(hidden[number], LEAST)
    behind = [int(k) for k in np.flatnonzero(moved)]
    return Found(seen, keys, lost, round(confidence, 2), behind, cautions)
