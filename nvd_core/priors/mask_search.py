"""Where a lost object may be, in each frame, and the path through several frames that fits best.

Behind a tree nothing of an object can be seen, and beside it much looks like a part of it: the best
place of one frame alone is often a wrong one. So the next frames are looked at as well. In each,
every place gets a score: by the object's former looks, by its colours, and by whether what is there
moves as the object did. Where it does not show nothing is scored, and the path goes on as the
object moved last, which is told against the background, since the camera follows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.motion_fit import apply

SIDE, POINTS = 16, 64
"""Cells along the object (the root of its area) in which it is looked for, and points compared."""
AHEAD = 12
"""Frames that are looked at to tell where it is in the first of them."""
SIMILAR = 60.0
"""Distance of two colours, 0 to 255 a channel, from which they say nothing of each other."""
COLOURED, MOVED = 0.6, 0.6
"""What colours and motion count in a score beside the likeness point by point."""
AGAINST = -0.2
"""What colours speak against it at most: something may stand in front."""
SCALES, RESIZED = (0.85, 1.0, 1.15), 0.3
"""Sizes looked for, of the expected one; what another size loses, of its logarithm."""
REACH, WANDER = 24, 1.0
"""Cells around where it is expected; and by how many a frame it leaves that, standard deviation."""
STRAYS = 0.15
"""What a step of that many cells beside the expected one loses."""
STEP = 3
"""Cells that it leaves the expected place by in a frame at most."""
FOUND = 0.4
"""Score from which it is known again where it is."""
FULLEST = 0.75
"""Quantile of a mask's cells from which they are compared where it fills hardly any by half."""
OWN = 0.4
"""Share of the expected motion by which motion may differ and still be the object's own."""


@dataclass
class View:
    """How the object looked in a frame: its box of the picture and of the mask, and its area."""

    picture: np.ndarray  # float32 [h, w, 3]
    mask: np.ndarray  # float32 [h, w]
    area: float


@dataclass
class Sight:
    """A frame in which the object is looked for."""

    frame: np.ndarray  # uint8 [h, w, 3]
    odds: np.ndarray  # float32 [h, w], whether the colours are the object's, -1 to 1
    behind: np.ndarray  # [3, 3], how the background moves from the frame before to this one
    residual: np.ndarray  # float32 [h, w, 2], how pixels move on against the background
    steady: np.ndarray  # float32 [h, w], how far that is believed, 0 to 1


@dataclass
class Match:
    """Where a look of the object fits; 0 is what any place would give, 1 the same picture."""

    score: float
    view: View
    scale: float
    place: np.ndarray  # x, y of the middle of its box


@dataclass
class _Pattern:
    """A view at a scale, in cells: where its points are, by the middle of its box, and colours."""

    view: View
    scale: float  # of the frame's pixels
    share: float
    spots: np.ndarray  # int [n, 2], x and y
    colours: np.ndarray  # float32 [n, 3]
    kernel: np.ndarray  # float32 [h, w], sums to 1; its middle is that of the box


class Search:
    """One search for an object that was lost; frames are counted from the one it was lost in."""

    def __init__(
        self,
        views: list[View],
        area: float,
        motion: np.ndarray,
        sight: Callable[[int], Sight | None],
    ):
        """`area` is what is expected, in pixels, `motion` (x, y) a frame against the background;
        `sight` gives a frame by its number, None behind the last."""
        self._cell = max(1.0, float(np.sqrt(area)) / SIDE)
        self._patterns = _patterns(views, area, self._cell)
        self._motion, self._sight = motion, sight
        self._seen = 0  # the frame after the one in which it was seen last
        self._kept: dict[int, tuple[Sight, np.ndarray, np.ndarray] | None] = {}

    def find(self, number: int, start: np.ndarray) -> tuple[Match | None, np.ndarray]:
        """The best match of a frame and where the object should be by the whole path, from where it
        was in the frame before; None where it does not show."""
        maps, places = [], []
        place = start
        for k in range(number, number + AHEAD):
            told = self._told(k)
            if told is None:
                break
            place = apply(told[0].behind, place[None])[0] + self._motion
            places.append(place)
            maps.append(_around(told[1], np.rint(place / self._cell).astype(int)))
        self._kept.pop(number - 1, None)
        if not maps:
            return None, start
        away = best_start(maps, 1 + number - self._seen)
        cell = np.rint(places[0] / self._cell).astype(int) + away
        match = self._match(number, cell)
        if match is not None and match.score > FOUND:
            self._seen = number + 1
        if match is not None:
            return match, match.place
        height, width = self._kept[number][
            1
        ].shape  # what has left the frame comes back at its edge
        return None, np.clip(cell, 0, (width, height)) * self._cell

    def _told(self, number: int) -> tuple[Sight, np.ndarray, np.ndarray] | None:
        if number not in self._kept:
            sight = self._sight(number)
            self._kept[number] = None if sight is None else (sight, *self._scores(sight))
        return self._kept[number]

    def _scores(self, sight: Sight) -> tuple[np.ndarray, np.ndarray]:  # float32, uint8 [h, w]
        """The best score of each cell, and the number of the pattern that has it."""
        height, width = sight.odds.shape
        size = max(round(width / self._cell), 1), max(round(height / self._cell), 1)
        frame = cv2.resize(sight.frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        odds, moving = (
            cv2.resize(values, size, interpolation=cv2.INTER_AREA)
            for values in (np.maximum(sight.odds, AGAINST), along_with(sight, self._motion))
        )
        best = np.full(size[::-1], -np.inf, np.float32)
        which = np.zeros(size[::-1], np.uint8)
        for n, pattern in enumerate(self._patterns):
            alike = _likeness(frame, pattern)
            chance = float(np.median(alike))
            score = (alike - chance) / max(1 - chance, 1e-3)
            for weight, values in ((COLOURED, odds), (MOVED, moving)):
                score += weight * cv2.filter2D(
                    values, -1, pattern.kernel, borderType=cv2.BORDER_CONSTANT
                )
            score -= RESIZED * abs(np.log(pattern.share))
            better = score > best
            best[better], which[better] = score[better], n
        return best, which

    def _match(self, number: int, cell: np.ndarray) -> Match | None:
        """What fits at a cell of a frame, moved to the pixel where it fits best."""
        told = self._told(number)
        height, width = told[1].shape
        x, y = cell
        if not self._patterns or not (0 <= x < width and 0 <= y < height):
            return None
        pattern = self._patterns[told[2][y, x]]
        place = (cell + 0.5) * self._cell - 0.5
        return Match(float(told[1][y, x]), pattern.view, pattern.scale, place)


def along_with(sight: Sight, motion: np.ndarray) -> np.ndarray:  # float32 [h, w]
    """Whether pixels move with `motion` against the background, 1, or as the background, -1."""
    spread = OWN * float(np.hypot(*motion)) + 1.0
    with_it = np.sum((sight.residual - motion) ** 2, axis=-1)
    still = np.sum(sight.residual**2, axis=-1)
    odds = (np.minimum(still, 9 * spread**2) - np.minimum(with_it, 9 * spread**2)) / spread**2
    return (np.clip(odds, -1, 1) * sight.steady).astype(np.float32)


def residual_motion(flow: np.ndarray, behind: np.ndarray) -> np.ndarray:  # float32 [h, w, 2]
    """Flow [h, w, 2] without what the background's motion [3, 3] makes of it."""
    height, width = flow.shape[:2]
    grid = pixel_grid(height, width)
    still = apply(behind, grid.reshape(-1, 2).astype(np.float64)).reshape(flow.shape)
    return (flow - (still - grid)).astype(np.float32)


def best_start(maps: list[np.ndarray], unseen: int = 1) -> np.ndarray:  # int [2], x and y
    """Of scores [n, n] of places around where the object is expected in frames one after the other,
    the place in the first that the best path through all of them begins at, from the middle. The
    object was `unseen` in so many frames: the more, the less is known of where it is."""
    value = np.zeros_like(maps[0])
    for scores in reversed(maps):
        value = np.maximum(scores, 0) + _reached(value)
    side = np.arange(-REACH, REACH + 1)
    value = value - STRAYS * (side[:, None] ** 2 + side**2) / (WANDER * unseen) ** 2
    row, column = np.unravel_index(value.argmax(), value.shape)
    return np.array([side[column], side[row]])


def _reached(value: np.ndarray) -> np.ndarray:
    """The best that can be had from each place in one step."""
    for axis in (0, 1):
        padded = np.pad(
            value, [(STEP, STEP) if a == axis else (0, 0) for a in (0, 1)], constant_values=-1e9
        )
        length = value.shape[axis]
        value = np.max(
            [
                np.take(padded, range(k, k + length), axis) - STRAYS * ((k - STEP) / WANDER) ** 2
                for k in range(2 * STEP + 1)
            ],
            axis=0,
        )
    return value


def _around(scores: np.ndarray, middle: np.ndarray) -> np.ndarray:  # [2 REACH + 1, the same]
    """The part of a map around a cell (x, y); nothing is scored outside of the picture."""
    side = 2 * REACH + 1
    part = np.zeros((side, side), np.float32)
    height, width = scores.shape
    left, top = middle - REACH
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = (
            scores[rows, columns]
        )
    return part


def _patterns(views: list[View], area: float, cell: float) -> list[_Pattern]:
    random = np.random.default_rng(0)
    found = []
    for view in views:
        for share in SCALES:
            scale = share * float(np.sqrt(max(area, 16) / view.area))
            high, wide = view.mask.shape
            size = [max(round(side * scale / cell), 1) for side in (wide, high)]
            mask = cv2.resize(view.mask, size, interpolation=cv2.INTER_AREA)
            picture = cv2.resize(view.picture, size, interpolation=cv2.INTER_AREA)
            rows, columns = np.nonzero(mask > 0.5)
            if len(rows) < 4:  # a lattice, thinner than a cell: what is most the object's
                rows, columns = np.nonzero((mask > 0) & (mask >= np.quantile(mask, FULLEST)))
            if len(rows) < 4:
                continue
            chosen = random.permutation(len(rows))[:POINTS]
            spots = np.stack([columns - size[0] // 2, rows - size[1] // 2], -1)
            kernel = np.zeros((size[1] // 2 * 2 + 1, size[0] // 2 * 2 + 1), np.float32)
            kernel[: size[1], : size[0]] = mask[: kernel.shape[0], : kernel.shape[1]]
            kernel /= max(float(kernel.sum()), 1e-6)
            colours = picture[rows, columns]
            found.append(_Pattern(view, scale, share, spots[chosen], colours[chosen], kernel))
    return found


def _likeness(frame: np.ndarray, pattern: _Pattern) -> np.ndarray:  # float32 [h, w]
    """How alike the picture float32 [h, w, 3] and the pattern's points are at each cell, 0 to 1;
    points outside of the picture are not."""
    height, width = frame.shape[:2]
    pad = int(np.abs(pattern.spots).max()) + 1
    padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=[-1e4] * 3)
    alike = np.zeros((height, width), np.float32)
    for (x, y), colour in zip(pattern.spots, pattern.colours, strict=True):
        there = padded[pad + y : pad + y + height, pad + x : pad + x + width]
        apart = np.abs(there - colour).sum(-1)
        alike += np.maximum(1 - apart / (3 * SIMILAR), 0)
    return alike / len(pattern.spots)
