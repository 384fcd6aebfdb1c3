"""Which part of an object slips along under its outline, if not the whole does.

A head turns on shoulders that stand still; of a pot that turns, a band whose pattern repeats may
look as if it stood still (as a wheel's spokes in a film). The median over the object tells of
neither. In places that go with the outline, each a cell of a grid over it, the surface's steps from
frame to frame are added up: those of what turns lead on and on, those of a limb come back. And what
turns goes one way at a time, while one leg swings forward and the other back.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.motion_matches import MatchedClip, Regions, textured_points

CELLS = 6
"""of the grid, along the root of the object's area"""
REACH = 2.0
"""roots of the area that the grid reaches from the object's middle"""
SIDE = round(2 * REACH * CELLS)
LEAST_POINTS = 3
"""of a cell, in a frame; the median of fewer is nothing"""
LEAST_SLIP = 0.35
"""roots of the object's area by which the surface of the part's cells moves on"""
LEAST_SHARE = 0.2
"""of the object, below which a part is none that wants views of its own"""
LEAST_TOGETHER = 0.87
"""how far the part has to move as one: legs and a skirt go both ways at a time"""
TURNING = 0.5
"""by the speed of its fastest tenth, from which on a pixel of the part counts as turning"""
LEAST_SEEN = 0.3
"""of the frames, in which a cell shows the object"""
KEPT_SIDE = 0.12
"""by how much of its side an outline may grow or shrink from one frame to the next"""


@dataclass(frozen=True)
class Outlines:
    """Where an object is in every frame, in pixels of the flow."""

    middles: np.ndarray  # [T, 2]
    areas: np.ndarray  # int [T]
    cut: np.ndarray
    """bool [T, 2]: whether the frame cuts it off across and down"""

    @property
    def sides(self) -> np.ndarray:
        """The roots of its areas [T]."""
        return np.sqrt(self.areas)


@dataclass(frozen=True)
class TurningPart:
    """A part of an object, as cells that go with its outline."""

    cells: np.ndarray
    """bool [SIDE, SIDE]"""
    share: float
    """of the object"""
    slip: float
    """how far its surface moves on under the outline, by the root of its own area"""
    together: float
    """how far its surface moves as one: its mean steps' lengths, by the mean of their lengths"""
    middles: np.ndarray
    sides: np.ndarray

    def holds(self, points: np.ndarray, t: int) -> np.ndarray:  # bool [n]
        """Which of the points [n, 2] of frame t, in pixels of the flow, lie in it."""
        column, row = cell_of((points - self.middles[t]) / max(self.sides[t], 1)).T
        return self.cells[row, column]


class PartRegions(Regions):
    """What of the layer's certain pixels lies in a part of it and turns on, a frame at a time."""

    def __init__(self, clip: MatchedClip, layer: int, part: TurningPart):
        super().__init__(clip, layer)
        self.part = part

    def __getitem__(self, t: int) -> np.ndarray:
        if t not in self.kept:
            region = super().__getitem__(t)
            row, column = np.nonzero(region)
            held = self.part.holds(np.column_stack([column, row]), t)
            row, column = row[held], column[held]
            if t < self.clip.count - 1:  # a pattern that repeats stands still beside the rest
                drift = self.part.middles[t + 1] - self.part.middles[t]
                moved = self.clip.flow(t)[row, column] / self.clip.scale - drift
                speed = np.linalg.norm(moved, axis=1)
                moves = speed > TURNING * np.percentile(speed, 90) if len(speed) else held[held]
                row, column = row[moves], column[moves]
            self.kept[t] = np.zeros_like(region)
            self.kept[t][row, column] = True
        return self.kept[t]


def turning_part(clip: MatchedClip, layer: int, outlines: Outlines) -> TurningPart | None:
    """The largest part of object `layer` whose surface moves on as one under the outline, if any.

    Along an axis on which the frame cuts the outline off nothing is told.
    """
    middles, sides, cut = outlines.middles, outlines.sides, outlines.cut
    steps = _Steps(clip.count)
    for t in range(clip.count - 1):
        now, then = sides[t], sides[t + 1]
        if not (now and then) or abs(np.log(then / now)) > KEPT_SIDE:
            continue
        points = textured_points(clip.grey(t), clip.region(layer, t), clip.cell(layer))
        moved = clip.flow(t)[points[:, 1], points[:, 0]] / clip.scale
        sure = clip.ok(t)[points[:, 1], points[:, 0]] > 0
        clip.release()
        places = (points - middles[t]) / now
        number = _flat(cell_of(places))
        steps.seen += np.bincount(np.unique(number), minlength=SIDE * SIDE)
        taken = ((points + moved - middles[t + 1]) / then - places)[sure]
        taken[:, cut[t] | cut[t + 1]] = 0
        steps.add(t, number[sure], taken)
    steps.seen /= max(int(np.count_nonzero(sides)), 1)
    return _largest(steps, middles, sides)


class _Steps:
    """Of every cell how its surface goes on, frame by frame."""

    def __init__(self, count: int):
        """`count` of the frames."""
        self.path, self.low, self.high = (np.zeros((SIDE * SIDE, 2)) for _ in range(3))
        self.sums = np.zeros((count, SIDE * SIDE, 2), np.float32)
        self.lengths = np.zeros(SIDE * SIDE)
        self.seen = np.zeros(SIDE * SIDE)
        """share of the frames in which it shows the object"""

    def add(self, t: int, number: np.ndarray, steps: np.ndarray) -> None:
        """Steps [n, 2] of frame t, each in the cell of that number."""
        lengths = np.linalg.norm(steps, axis=1)
        self.lengths += np.bincount(number, lengths, SIDE * SIDE)
        for axis in (0, 1):
            self.sums[t, :, axis] = np.bincount(number, steps[:, axis], SIDE * SIDE)
        order = np.argsort(number, kind="stable")
        cells, begins, counts = np.unique(number[order], return_index=True, return_counts=True)
        for cell, begin, count in zip(cells, begins, counts, strict=True):
            if count >= LEAST_POINTS:
                self.path[cell] += np.median(steps[order[begin : begin + count]], axis=0)
        self.low, self.high = np.minimum(self.low, self.path), np.maximum(self.high, self.path)


def cell_of(places: np.ndarray) -> np.ndarray:  # int [n, 2]
    """Column and row of places [n, 2] around the object's middle, by the root of its area."""
    return np.floor((places + REACH) * CELLS).astype(int).clip(0, SIDE - 1)


def _flat(cells: np.ndarray) -> np.ndarray:
    return cells[:, 1] * SIDE + cells[:, 0]


def _largest(steps: _Steps, middles: np.ndarray, sides: np.ndarray) -> TurningPart | None:
    slips = (steps.high - steps.low).max(-1).reshape(SIDE, SIDE)
    seen = steps.seen.reshape(SIDE, SIDE)
    slipping = (slips > LEAST_SLIP) & (seen > LEAST_SEEN)
    count, labels = cv2.connectedComponents(slipping.astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    weights = [seen[labels == k].sum() for k in range(1, count)]
    cells = labels == 1 + int(np.argmax(weights))
    share = float(max(weights) / seen.sum())
    if share < LEAST_SHARE:
        return None
    slip = float(np.median(slips[cells])) / np.sqrt(share)
    of_part = cells.ravel()
    as_one = np.linalg.norm(steps.sums[:, of_part].sum(1), axis=1).sum()
    together = float(as_one / max(steps.lengths[of_part].sum(), 1e-9))
    if together < LEAST_TOGETHER:
        return None
    return TurningPart(cells, share, slip, together, middles, sides)


def outlines_of(clip: MatchedClip, layer: int) -> Outlines:
    """Those of object `layer`."""
    middles, areas = np.zeros((clip.count, 2)), np.zeros(clip.count, int)
    cut = np.zeros((clip.count, 2), bool)
    for t in range(clip.count):
        inside = clip.mask(layer, t) > 127
        rows, columns = np.nonzero(inside)
        areas[t] = len(rows)
        if len(rows):
            middles[t] = columns.mean(), rows.mean()
            cut[t] = inside[:, [0, -1]].any(), inside[[0, -1]].any()
    clip.release()
    return Outlines(middles, areas, cut)
