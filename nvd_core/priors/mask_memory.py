"""Finding a carried object again that something else has hidden.

Flow says nothing of what is hidden, so a mask that is carried into an occlusion is lost there. As
long as the object is whole its looks are kept. Where the mask falls to a part of what it was, the
object is looked for around the place where its motion leads: by those looks, at several scales,
pixel against pixel, each with a bounded say, so that a half that shows can be found. Until as much
as before is found the frames are searched anew, and what cannot be found is hidden.
"""

from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np

LOST = 0.5
"""share of its expected area below which a carried mask is taken for lost"""
FOUND = 0.7
"""share of it from which what was found is followed by its flow again"""
FADES = 0.97
"""of the expected area is left after a frame in which less was seen"""
WHOLE = 0.85
"""share of it from which the middle of the mask's box is taken for that of the object"""
VIEWS, EVERY = 6, 4
"""looks that are kept, the drawn one among them, and frames between two of them"""
SIMILAR = 60.0
"""distance of two colours, 0 to 255 a channel, from which they say nothing of each other"""
LEAST = 0.25
"""of a match above chance, from which an object is taken for found"""
SHOWN, TINT = 0.2, 0.5
"""likeness from which a pixel shows the object, and what the odds of its colour add to it"""
COLOURED = 0.6
"""what the odds of the colours count in a match, beside the likeness pixel by pixel"""
FAR, RESIZED = 0.1, 0.3
"""what a match loses at the end of the search, and by another size, of its logarithm"""
SCALES = 0.85, 1.0, 1.15
COARSE = 3
"""px between the places that are looked at first, at the least; there are at most 13 in a row"""
FARTHEST = 0.6
"""of the object's size: how far from where it is expected it may be after a frame"""


@dataclass
class _View:
    """How the object looked in a frame: its box of the picture and of the mask, and its area."""

    picture: np.ndarray  # float32 [h, w, 3]
    mask: np.ndarray  # float32 [h, w]
    area: float


@dataclass
class _Match:
    """Where a look of the object fits; 0 is what any place would give, 1 the same picture."""

    score: float
    chance: float  # mean likeness of places taken at random
    view: _View
    scale: float
    place: np.ndarray  # x, y of the middle of its box


class Memory:
    """What is known of an object on its way from a drawn frame through the clip."""

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        """`frame` uint8 [H, W, 3] and `mask` float32 [H, W] of the drawn frame."""
        self.lost = 0  # frames since it was seen whole
        self._views: list[_View] = []
        self._expected, self._age = float(mask.sum()), 0
        self._places: list[np.ndarray] = []
        self._remember(frame, mask)
        if (place := _middle(mask)) is not None:
            self._places.append(place)

    def is_lost(self, mask: np.ndarray) -> bool:
        """Whether the carried `mask` is too little of the object; else it is taken in."""
        return bool(self._views) and (self.lost > 0 or mask.sum() < LOST * self._expected)

    def seen(self, frame: np.ndarray, mask: np.ndarray) -> None:
        """Take in a frame in which the mask was carried well."""
        self.lost, self._age = 0, self._age + 1
        whole = mask.sum() >= WHOLE * self._expected
        self._expected = max(float(mask.sum()), FADES * self._expected)
        place = _middle(mask) if whole else None
        self._places.append(self._predicted() if place is None else place)
        if whole and self._age % EVERY == 0:
            self._remember(frame, mask)

    def find(self, frame: np.ndarray, odds: np.ndarray) -> np.ndarray:  # float32 [H, W]
        """The mask of what can be seen of the lost object in the next frame; empty: nothing.

        `odds` [H, W] says where the colours are the object's, -1 to 1.
        """
        self.lost += 1
        expected = self._predicted()
        best = self._search(frame, odds, expected)
        if best is None or best.score < LEAST:
            self._places.append(expected)
            return np.zeros(frame.shape[:2], np.float32)
        picture, mask, corner = _placed(best.view, best.scale, best.place)
        shape, alike = _laid(frame, picture, mask, corner)
        shown = cv2.GaussianBlur(alike, (0, 0), 1.5) + TINT * odds > SHOWN
        found = (shape * shown).astype(np.float32)
        self._places.append(best.place)
        if found.sum() >= FOUND * self._expected:
            self.lost, self._expected = 0, float(found.sum())
        return found

    def _remember(self, frame: np.ndarray, mask: np.ndarray) -> None:
        left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
        if not wide:
            return
        part = np.s_[top : top + high, left : left + wide]
        view = _View(frame[part].astype(np.float32), mask[part].copy(), float(mask.sum()))
        if len(self._views) == VIEWS:
            del self._views[1]  # the drawn one stays
        self._views.append(view)

    def _predicted(self) -> np.ndarray:
        """Where the middle of the object's box should be, by its motion of the last frames."""
        places = np.array(self._places[-6:])
        if len(places) < 3:
            return places[-1] if len(places) else np.zeros(2)
        return places[-1] + np.median(np.diff(places, axis=0), axis=0)

    def _search(self, frame: np.ndarray, odds: np.ndarray, expected: np.ndarray) -> "_Match | None":
        """The best match around a place; None where no look can be laid over the picture."""
        reach = FARTHEST * np.sqrt(self._expected) * min(1 + 0.25 * self.lost, 3)
        steps = np.arange(-reach, reach + 1, max(COARSE, reach / 6))
        away = np.array(list(product(steps, steps)))
        far = FAR * (away**2).sum(-1) / (reach * reach)
        best = None
        for view, share in product(self._views[:1] + self._views[-3:], SCALES):
            scale = share * np.sqrt(max(self._expected, 16) / view.area)
            if min(view.mask.shape) * scale < 6:
                continue
            told = [_told(frame, odds, view, scale, expected + at) for at in away]
            alike, coloured = np.array(told).T
            chance = float(np.median(alike))
            score = (alike - chance) / (1 - chance) + COLOURED * coloured
            score -= far + RESIZED * abs(np.log(share))
            k = int(score.argmax())
            if best is None or score[k] > best.score:
                best = _Match(float(score[k]), chance, view, float(scale), expected + away[k])
        return best and self._refined(frame, odds, best)

    def _refined(self, frame: np.ndarray, odds: np.ndarray, found: "_Match") -> "_Match":
        """The match, moved by single pixels to where it is best."""
        near = [found.place + np.array(at) for at in product(range(-3, 4), range(-3, 4))]
        alike = [_told(frame, odds, found.view, found.scale, place)[0] for place in near]
        return replace(found, place=near[int(np.argmax(alike))])


def _told(
    frame: np.ndarray, odds: np.ndarray, view: _View, scale: float, place: np.ndarray
) -> tuple[float, float]:
    """Mean likeness and mean odds of the object's pixels at a place, every third of them; those
    outside of the picture have none."""
    rows, columns, colours = _points(view, scale, 3)
    corner = np.rint(place - np.array([view.mask.shape[1], view.mask.shape[0]]) * scale / 2)
    x, y = columns + int(corner[0]), rows + int(corner[1])
    inside = (x >= 0) & (y >= 0) & (x < frame.shape[1]) & (y < frame.shape[0])
    if inside.sum() < 0.2 * len(rows):
        return 0.0, 0.0
    x, y = x[inside], y[inside]
    apart = np.abs(frame[y, x] - colours[inside]).mean(-1)
    alike = np.clip(1 - apart / SIMILAR, 0, 1).sum() / len(rows)
    return float(alike), float(odds[y, x].sum() / len(rows))


def _points(view: _View, scale: float, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and colours of pixels of a view at a scale."""
    high, wide = view.mask.shape
    size = max(round(wide * scale), 1), max(round(high * scale), 1)
    key = (size, step)
    kept = view.__dict__.setdefault("_kept", {})
    if key not in kept:
        mask = cv2.resize(view.mask, size, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(view.picture, size, interpolation=cv2.INTER_AREA)
        rows, columns = (at[::step] for at in np.nonzero(mask > 0.5))
        kept[key] = rows, columns, picture[rows, columns]
    return kept[key]


def _placed(view: _View, scale: float, place: np.ndarray):
    """Picture and mask of a view at a scale, and the corner (x, y) where they come to lie."""
    high, wide = view.mask.shape
    size = max(round(wide * scale), 1), max(round(high * scale), 1)
    picture = cv2.resize(view.picture, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(view.mask, size, interpolation=cv2.INTER_AREA)
    corner = np.rint(place - np.array([wide, high]) * scale / 2).astype(int)
    return picture, mask, corner


def _laid(
    frame: np.ndarray, picture: np.ndarray, mask: np.ndarray, corner: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # float32 [H, W], both
    """The mask in the frame, and how alike the pixels are there, 0 to 1."""
    height, width = frame.shape[:2]
    high, wide = mask.shape
    left, top = corner
    there = np.s_[max(top, 0) : min(top + high, height), max(left, 0) : min(left + wide, width)]
    here = np.s_[
        max(-top, 0) : high - max(top + high - height, 0),
        max(-left, 0) : wide - max(left + wide - width, 0),
    ]
    shape, alike = np.zeros((2, height, width), np.float32)
    if mask[here].size and shape[there].shape == mask[here].shape:
        apart = np.abs(frame[there] - picture[here]).mean(-1)
        shape[there] = mask[here]
        alike[there] = np.clip(1 - apart / SIMILAR, 0, 1)
    return shape, alike


def _middle(mask: np.ndarray) -> np.ndarray | None:
    left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    return np.array([left + wide / 2, top + high / 2]) if wide else None
