"""Masks without drawing: the region that moves against the background.

For every pair of frames the background's homography is fitted to all consistent flow (RANSAC);
what the flow leaves over is evidence of something moving by itself. The evidence is gathered along
the flow over neighbouring frames, cut into regions, and the strongest region is followed through
the clip. Its colours then decide about the edge (as in `mask_propagation`).
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.colour_model import Colours
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.mask_edge import snapped
from nvd_core.priors.motion_fit import apply, fit_pair
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import temporary_name, written_beside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    FRAMES,
    MASK_WEIGHT,
    MASKS,
    open_array,
)

LONGEST = 480
"""Evidence is gathered at this many pixels along the longer side at most."""
KEPT = 0.85
"""Share of the gathered evidence that goes on to the next frame."""
SLACK = 0.35
"""Pixels (at the longer side of 480) that flow may miss the background's motion by, at least."""
STRONG = 0.15
"""Share of a strong mover's squared motion below which nothing counts: flow bleeds around it."""
STAYS = 0.4
"""Evidence that counts for having been in the object a frame ago."""
SMALLEST = 0.002
"""A moving region covers at least this share of the frame where it is largest."""


def masks_from_motion(work: Path, progress: Progress) -> None:
    """Write masks.npy and mask_weight.npy, uint8 [1, T, H, W], of the one moving object.

    NvdError where nothing moves against the background.
    """
    work = Path(work)
    clip = _Clip(work)
    progress.stage("moving object", 4 * clip.count)
    # On Windows arrays that an exception still holds cannot go: the next run removes the folder
    name = temporary_name(work / "motion") + "."
    with tempfile.TemporaryDirectory("", name, work, ignore_cleanup_errors=True) as scratch:
        shape = (clip.count, *clip.size[::-1])
        own, evidence = (
            new_array(Path(scratch) / f"{name}.npy", shape, np.float16)
            for name in ("own", "evidence")
        )
        _gather(clip, own, evidence, progress)
        chosen = new_array(Path(scratch) / "chosen.npy", shape)
        _follow(clip, evidence, chosen, progress)
        _write(clip, evidence, chosen, progress)
        del own, evidence, chosen


class _Clip:
    """The arrays of `work/`, read at the working size."""

    def __init__(self, work: Path):
        self.work = work
        self.frames = open_array(work, FRAMES)
        self.flows = [open_array(work, name) for name in (FLOW_FORWARD, FLOW_BACKWARD)]
        self.ok = open_array(work, FLOW_OK)
        self.count, self.height, self.width = self.frames.shape[:3]
        self.factor = min(1.0, LONGEST / max(self.height, self.width))
        self.size = (round(self.width * self.factor), round(self.height * self.factor))
        self.grid = pixel_grid(self.size[1], self.size[0])

    @property
    def arrays(self) -> list[np.ndarray]:
        """All of them."""
        return [self.frames, *self.flows, self.ok]

    def flow(self, direction: int, pair: int) -> tuple[np.ndarray, np.ndarray]:
        """Forward (0) or backward (1) flow of a pair and its consistency, 0 to 1."""
        flow = self.flows[direction][pair].astype(np.float32)
        ok = self.ok[direction, pair] * np.float32(1)
        flow = cv2.resize(flow, self.size, interpolation=cv2.INTER_AREA) * self.factor
        return flow, cv2.resize(ok, self.size, interpolation=cv2.INTER_AREA)

    def frame(self, t: int) -> np.ndarray:
        """Frame t at the working size."""
        return cv2.resize(self.frames[t], self.size, interpolation=cv2.INTER_AREA)

    def from_neighbour(self, image: np.ndarray, t: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """`image` of frame t - step as it lies in frame t, and where the flow is to be trusted."""
        flow, ok = self.flow(1, t - 1) if step == 1 else self.flow(0, t)
        return cv2.remap(image, self.grid + flow, None, cv2.INTER_LINEAR), ok


def against_background(flow: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """Evidence (about -1 to 3) that a pixel of flow [h, w, 2] moves by itself; 0 if unknown."""
    height, width = ok.shape
    grid = pixel_grid(height, width)
    points = grid[::6, ::6].reshape(-1, 2).astype(np.float64)
    chosen = ok[::6, ::6].ravel() > 0.5
    points, moved = points[chosen], (points + flow[::6, ::6].reshape(-1, 2))[chosen]
    fit = fit_pair("homography", points, moved, 1.0)
    if fit is None:
        return np.zeros((height, width), np.float32)
    gap = apply(fit, grid.reshape(-1, 2)).reshape(grid.shape) - grid - flow
    square = np.sum(gap**2, axis=-1)
    slack = SLACK * max(height, width) / LONGEST
    usual, strong = np.percentile(square[ok > 0.5], (70, 98))
    typical = max(slack**2, 6 * float(usual), STRONG * float(strong))
    return (np.clip(square / typical - 1, -1, 3) * ok).astype(np.float32)


def _gather(clip: _Clip, own: np.ndarray, evidence: np.ndarray, progress: Progress) -> None:
    """Fill `own` [T, h, w] and `evidence`, which adds the neighbours' brought along the flow."""
    for t in range(clip.count):
        both = [clip.flow(0, t)] if t < clip.count - 1 else []
        both += [clip.flow(1, t - 1)] if t else []
        own[t] = sum(against_background(flow, ok) for flow, ok in both) / len(both)
        evidence[t] = own[t]
        release(own, evidence, *clip.arrays)
        progress.update(t + 1)
    for step in (1, -1):
        order = range(clip.count) if step == 1 else range(clip.count - 1, -1, -1)
        running = None
        for t in order:
            if running is not None:
                came, ok = clip.from_neighbour(running, t, step)
                carried = KEPT * came * ok
                evidence[t] += carried
                running = own[t] + carried
            else:
                running = own[t].astype(np.float32)
            running = np.clip(running, -8, 12)
            release(own, evidence, *clip.arrays)
        progress.update(clip.count + (1 if step == 1 else 2) * clip.count // 2)


def _follow(clip: _Clip, evidence: np.ndarray, chosen: np.ndarray, progress: Progress) -> None:
    """Fill `chosen` [T, h, w] with the strongest region of the clip, followed through it."""
    strengths = []
    for t in range(clip.count):
        labels, sums, areas = _regions(evidence[t])
        best = int(np.argmax(sums))
        large = areas[best] >= SMALLEST * labels.size
        strengths.append(sums[best] if large else 0.0)
        release(evidence)
    start = int(np.argmax(strengths))
    if strengths[start] <= 0:
        raise NvdError(
            "nothing in the clip moves against the background, so no object was found",
            remedy="draw the object white on black on one frame and give it with --mask NAME=FILE",
        )
    labels, sums, _ = _regions(evidence[start])
    chosen[start] = labels == int(np.argmax(sums))
    for step in (1, -1):
        order = range(start + 1, clip.count) if step == 1 else range(start - 1, -1, -1)
        expected = chosen[start].astype(np.float32)
        for t in order:
            expected = clip.from_neighbour(expected, t, step)[0]
            labels, sums, _ = _regions(evidence[t] + STAYS * expected)
            overlap = np.bincount(labels.ravel(), weights=expected.ravel(), minlength=len(sums))
            share = overlap / np.maximum(np.bincount(labels.ravel(), minlength=len(sums)), 1)
            taken = (share > 0.2) & (sums > 0)
            taken[0] = False
            if not taken.any() and sums.max() > 0.2 * strengths[start]:
                taken[int(np.argmax(sums))] = True  # lost, and found again
            chosen[t] = taken[labels]
            if taken.any():
                expected = chosen[t].astype(np.float32)
            release(evidence, chosen, *clip.arrays)
    progress.update(3 * clip.count)


def _regions(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Connected regions of evidence [h, w]: labels (0 = none), their evidence and their areas."""
    smooth = cv2.GaussianBlur(evidence.astype(np.float32), (0, 0), 1.5)
    moving = (smooth > 1.0).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, kernel)
    moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(moving)
    sums = np.bincount(labels.ravel(), weights=smooth.ravel(), minlength=count)
    areas = np.bincount(labels.ravel(), minlength=count)
    sums[0] = 0
    return labels, sums, areas


def _write(clip: _Clip, evidence: np.ndarray, chosen: np.ndarray, progress: Progress) -> None:
    """Bring the edges onto the picture's and write the masks at full size with their weights."""
    shape = (1, clip.count, clip.height, clip.width)
    seen = []  # the object may be there in a few frames only, between those a sample would take
    for t in range(clip.count):
        if chosen[t].any():
            seen.append(t)
        release(chosen)
    colours = Colours(clip.frame(seen[0]), chosen[seen[0]].astype(np.float32))
    step = max(1, len(seen) // 20)
    for t in seen[step::step]:
        colours.add(clip.frame(t), chosen[t].astype(np.float32))
        release(chosen, *clip.arrays)
    full = (clip.width, clip.height)
    with (
        written_beside(clip.work / MASK_WEIGHT) as weight_path,
        written_beside(clip.work / MASKS) as mask_path,
    ):
        masks, weights = new_array(mask_path, shape), new_array(weight_path, shape)
        for t in range(clip.count):
            gathered = evidence[t].astype(np.float32)
            odds = 3 * (2.0 * chosen[t] - 1) + 0.3 * np.clip(gathered, -6, 6)
            frame = clip.frame(t)
            odds += colours.odds(frame)
            belief = (1 / (1 + np.exp(-odds))).astype(np.float32)
            mask = snapped(frame, chosen[t].astype(np.float32), belief, 5, 0.6)
            weight = _weight(mask, gathered)
            masks[0, t] = np.rint(255 * cv2.resize(mask, full)).astype(np.uint8)
            weights[0, t] = np.rint(255 * cv2.resize(weight, full)).astype(np.uint8)
            release(masks, weights, evidence, chosen, *clip.arrays)
            progress.update(3 * clip.count + t + 1)
        masks.flush()
        weights.flush()
        del masks, weights  # an open map cannot be renamed on Windows


def _weight(mask: np.ndarray, evidence: np.ndarray) -> np.ndarray:  # float32 [h, w], 0..1
    """How far to believe: as the evidence agrees with the mask, less near the edge."""
    agrees = np.clip(np.where(mask > 0.5, evidence, -evidence) / 4, 0, 1)
    edge = 1 - 2 * np.abs(cv2.GaussianBlur(mask, (0, 0), 2.0) - 0.5)
    return ((0.35 + 0.45 * agrees) * (1 - 0.7 * edge)).astype(np.float32)
