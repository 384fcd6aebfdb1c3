"""Matches of two frames within one layer: where its textured points lie in the other frame.

Neighbours are matched by the stored flow. Frames farther apart, and objects whose motion is nearly
known, are brought onto each other first; what is left is tracked point by point.

Everything is measured at the size of the flow, which for large frames is a part of theirs
(`flow.flow_size`), in coordinates that are the same at both.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow import CONSISTENT_PX
from nvd_core.priors.flow_parts import Parts
from nvd_core.priors.flow_size import at_flow_size, flow_scale, grey, local_contrast
from nvd_core.priors.garbage import NEAR_GARBAGE, near_garbage
from nvd_core.priors.motion_fit import Matches, apply, normaliser
from nvd_core.priors.split_masks import SplitMasks
from nvd_core.runtime.arena import Arena
from nvd_core.runtime.mapped_arrays import release
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    FRAMES,
    MASKS,
    PARTS,
    open_array,
    open_garbage,
)

CELLS = 40
"""Grid cells along the frame's longer side; each gives one match, its best textured pixel."""
AROUND = 16
"""Pixels around a layer that tracking sees, at least."""
LUMAS = 32
"""Of so many frames luma is kept: pairs that are a few frames apart are matched in their order."""
TRACKING = {"winSize": (11, 11), "maxLevel": 2}
"""How OpenCV tracks points of which the motion is nearly known."""


class MatchedClip:
    """The arrays of `work/` at the size of the flow, and the matches read from them."""

    def __init__(
        self,
        work: Path,
        aspect: float = 1.0,
        parts: Sequence[int] = (),
        doubted: Mapping[tuple[int, int], Sequence[int]] | None = None,
    ):
        """`aspect` is a pixel's width by its height.

        `parts`: how many each layer has beside the rest, each of which counts as an object then,
        as `SplitMasks` has them in order; none: no layer has any. `doubted`: by layer and number
        the frames in which a part is in doubt.
        """
        self.work = work
        self.frames = open_array(work, FRAMES)
        self.masks: np.ndarray | SplitMasks = open_array(work, MASKS)
        if parts:
            self.masks = SplitMasks(self.masks, open_array(work, PARTS), parts)
        self._doubted = {part: frozenset(frames) for part, frames in (doubted or {}).items()}
        self._flows: dict[int, np.memmap] = {0: open_array(work, FLOW_FORWARD)}
        self._ok = open_array(work, FLOW_OK)
        self.righted: Parts = {}
        """what is laid over the flow, for the object that is looked at"""
        self.garbage = open_garbage(work)
        self.count, *size = self.frames.shape[:3]
        self.height, self.width = self.size = self._ok.shape[2:]
        self.scale = flow_scale(size, self.size)
        self.of_frames = normaliser(size[0], size[1], aspect)
        """from the frames' own pixels to normalised coordinates"""
        self.norm = self.of_frames @ enlarged(self.scale)
        self.px = self.norm[0, 0] / aspect  # one pixel's height in normalised units
        self.arena = Arena(work)
        """for what is kept of all frames"""
        self.margin = max(2, round(max(self.height, self.width) / 100))
        # by a function that does not hold this clip: it would keep it, and its files, open
        self._lumas = lru_cache(maxsize=LUMAS)(partial(_luma, self.frames, self.size))

    def grey(self, t: int) -> np.ndarray:  # uint8 [H, W]
        """Luma of frame t, not to be changed."""
        return self._lumas(t)

    def mask(self, layer: int, t: int) -> np.ndarray:  # uint8 [H, W]
        """The mask of an object in frame t, 0 to 255."""
        return at_flow_size(self.masks[layer, t], self.size)

    def flow(self, t: int, way: int = 0) -> np.ndarray:  # float16 [H, W, 2]
        """From frame t to the next, or (1) back, in pixels of the frames; not to be changed."""
        if way not in self._flows:
            self._flows[way] = open_array(self.work, FLOW_BACKWARD)
        part = self.righted.get((way, t))
        return self._flows[way][t] if part is None else part.on_flow(self._flows[way][t])

    def ok(self, t: int, way: int = 0) -> np.ndarray:  # uint8 [H, W]
        """Where that flow holds."""
        part = self.righted.get((way, t))
        return self._ok[way, t] if part is None else part.on_ok(self._ok[way, t])

    def doubted(self, layer: int) -> frozenset[int]:
        """The frames in which an object that is a part is in doubt."""
        if not self._doubted or not isinstance(self.masks, SplitMasks):
            return frozenset()
        return self._doubted.get(self.masks.order[layer], frozenset())

    def release(self) -> None:
        """Give the memory of the arrays back."""
        if isinstance(self.masks, SplitMasks):
            self.masks.release()
        else:
            release(self.masks)
        release(self.frames, *self._flows.values(), self._ok)

    def region(self, layer: int, t: int) -> np.ndarray:  # bool [H, W]
        """Where frame t shows the layer for certain: masks dilated for the background, eroded.

        Never in the garbage matte, nor so near to it that a point's surroundings are.
        """
        region, near = self._region(layer, t), self.near_garbage(t, max(self.margin, NEAR_GARBAGE))
        return region if near is None else region & ~near

    def near_garbage(self, t: int, around: int) -> np.ndarray | None:  # bool [H, W]
        """The pixels at most `around` from the garbage matte in frame t; None without a matte."""
        if self.garbage is None:
            return None
        garbage = self.garbage[t if len(self.garbage) > 1 else 0]
        return near_garbage(garbage, around, self.size)

    def _region(self, layer: int, t: int) -> np.ndarray:  # bool [H, W]
        size = 2 * self.margin + 1
        if layer == len(self.masks):
            covered = np.zeros((self.height, self.width), np.uint8)
            for n in range(len(self.masks)):
                covered |= (self.mask(n, t) > 64).astype(np.uint8)
            return cv2.dilate(covered, np.ones((size, size), np.uint8)) == 0
        inside = (self.mask(layer, t) > 127).astype(np.uint8)
        for nearer in range(layer):
            inside[self.mask(nearer, t) > 64] = 0
        return cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1) > 0

    def cell(self, layer: int) -> int:
        """Side of a grid cell in pixels; finer for objects, which cover less of the frame."""
        side = max(self.height, self.width) / CELLS
        return max(2, round(side if layer == len(self.masks) else side / 3))

    def matches(
        self,
        layer: int,
        i: int,
        j: int,
        regions: tuple[np.ndarray, np.ndarray],
        guess: np.ndarray | None,
    ) -> Matches:
        """Matches of neighbours from the stored flow; of others after warping j by `guess`."""
        first = self.grey(i)
        if guess is None:
            flow, ok = self.flow(i) / self.scale, self.ok(i) > 0
            points = textured_points(first, ok & regions[0], self.cell(layer))
            there = points + flow[points[:, 1], points[:, 0]].astype(np.float64)
        else:
            points, there = self._track(layer, first, self.grey(j), regions[0], guess)
        column, row = np.rint(there).astype(int).T
        seen = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        seen[seen] = regions[1][row[seen], column[seen]]
        return Matches(i, j, apply(self.norm, points[seen]), apply(self.norm, there[seen]))

    def kept(self, match: Matches) -> Matches:
        """The same in a file: all of a long clip's would be most of what this stage needs."""
        return Matches(match.i, match.j, *map(self.arena.keep, (match.start, match.end)))

    def _track(
        self,
        layer: int,
        first: np.ndarray,
        second: np.ndarray,
        region: np.ndarray,
        guess: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points of `first` in `region` and where they lie in `second`, each [n, 2].

        `guess` brings `second` onto `first`; what is left is small and is tracked there, point by
        point (Lucas-Kanade, forward and back).
        """
        left, top, wide, high = cv2.boundingRect(region.astype(np.uint8))
        if not wide:
            return np.zeros((0, 2)), np.zeros((0, 2))
        left, right = max(left - AROUND, 0), min(left + wide + AROUND, self.width)
        top, bottom = max(top - AROUND, 0), min(top + high + AROUND, self.height)
        part = slice(top, bottom), slice(left, right)
        there = guess @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], float)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

        def bring(image: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(image, there, (right - left, bottom - top), flags=flags)

        before, brought = np.ascontiguousarray(first[part]), bring(second)
        inner = cv2.erode(bring(np.full_like(second, 255)), np.ones((9, 9), np.uint8)) == 255
        points = textured_points(before, region[part] & inner, self.cell(layer))
        if not len(points):
            return points.astype(float), points.astype(float)
        start = points.astype(np.float32)
        before, brought = local_contrast(before), local_contrast(brought)  # light may change
        end, found, _ = cv2.calcOpticalFlowPyrLK(before, brought, start, None, **TRACKING)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(brought, before, end, None, **TRACKING)
        good = (found[:, 0] > 0) & (found_back[:, 0] > 0)
        good &= np.linalg.norm(back - start, axis=1) < CONSISTENT_PX
        corner = np.array([left, top], float)
        return points[good] + corner, apply(guess, end[good].astype(np.float64) + corner)


class Regions:
    """The layer's certain pixels, a frame at a time, the last few kept."""

    def __init__(self, clip: MatchedClip, layer: int):
        self.clip, self.layer = clip, layer
        self.kept: dict[int, np.ndarray] = {}

    def __getitem__(self, t: int) -> np.ndarray:
        if t not in self.kept:
            if len(self.kept) > 24:
                self.kept.pop(next(iter(self.kept)))
            self.kept[t] = self.clip.region(self.layer, t)
        return self.kept[t]


def _luma(frames: np.ndarray, size: tuple[int, int], t: int) -> np.ndarray:
    return grey(at_flow_size(frames[t], size))


def enlarged(scale: np.ndarray) -> np.ndarray:  # [2] -> [3, 3]
    """The matrix from pixels of an image to those of one that is `scale` times as wide and high."""
    x, y = scale.astype(float)
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def textured_points(
    image: np.ndarray, allowed: np.ndarray, cell: int
) -> np.ndarray:  # uint8 [H, W], bool [H, W] -> int [n, 2]
    """The (x, y) of the best textured allowed pixel in every cell of a grid."""
    texture = cv2.cornerMinEigenVal(image, 5)
    texture = np.where(allowed, np.maximum(texture, 1e-12), 0)
    rows, columns = image.shape[0] // cell, image.shape[1] // cell
    if not rows or not columns:
        return np.zeros((0, 2), int)
    cells = texture[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    cells = cells.transpose(0, 2, 1, 3).reshape(rows, columns, cell * cell)
    best, value = cells.argmax(axis=-1), cells.max(axis=-1)
    row, column = np.nonzero(value > 0)
    chosen = best[row, column]
    return np.column_stack([column * cell + chosen % cell, row * cell + chosen // cell])
