"""What is behind an object, as far as it was seen, and whether a frame can be explained by that.

A picture of the background goes along with the background's motion and keeps what the object has
covered since. A pixel is explained by it where a patch around it is the same but for the light: one
factor, since a shadow is the background multiplied by something smooth. How large the rest is
beside the object, and in it, is learned from the frames themselves: where the background can not be
laid over itself (parallax, water) the two are alike, and nothing is said.
"""

import cv2
import numpy as np

from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.mask_canvas import Canvas
from nvd_core.priors.motion_fit import apply

MARGIN = 3
"""Pixels around the object that are not taken for background."""
FADES = 0.97
"""What is left of a background that was not seen, after one more frame."""
PATCH = 5
"""Pixels along a patch."""
SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Pixels by which the background may be off."""
BINS = 16
REST, LIGHT = 64.0, (-1.2, 0.6)
"""Largest rest told apart, 0 to 255 a channel; smallest and largest logarithm of the factor."""
LEARNS = 0.15
"""How fast it goes along with what it learns."""
MOST, LEAST = 2.5, -1.0
"""Log odds of what is not explained, at most, and of what is: flat things are easily alike."""
KNOWN = 0.3
"""How far the background must be known to be learned from."""


class Plate:
    """The background around an object, on the way from a drawn frame through the clip."""

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        """`frame` uint8 [h, w, 3]; `mask` float32 [h, w], all that is not background."""
        self._picture = frame.astype(np.float32)
        self._known = _free(mask)
        self._object = np.zeros((BINS, BINS))
        self._rest = np.zeros((BINS, BINS))

    def move(self, behind: np.ndarray) -> None:
        """One frame on: how the background moves to it, [3, 3]."""
        height, width = self._known.shape
        grid = pixel_grid(height, width).reshape(-1, 2).astype(np.float64)
        place = apply(np.linalg.inv(behind), grid).reshape(height, width, 2).astype(np.float32)
        self._picture = cv2.remap(
            self._picture, place, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        known = cv2.remap(self._known, place, None, cv2.INTER_LINEAR, borderValue=0)
        self._known = FADES * known

    def add(self, frame: np.ndarray, mask: np.ndarray) -> None:
        """Take in what a frame shows of the background."""
        free = _free(mask)
        self._picture += free[..., None] * (frame - self._picture)
        self._known = np.maximum(self._known, free)

    def look(self, frame: np.ndarray, canvas: Canvas) -> tuple[np.ndarray, np.ndarray]:
        """By pixel of a canvas of the newest frame the number of its rest and factor, int [h, w],
        and how far the background is known there, float32 [h, w]."""
        here, there = canvas.take(frame), canvas.take(self._picture)
        own, others = _summed(here * here), _summed(there * there)
        best = np.full(own.shape, np.inf, np.float32)
        light = np.ones_like(best)
        for x, y in SHIFTS:
            shift = np.float32([[1, 0, x], [0, 1, y]])
            moved, square = (
                cv2.warpAffine(v, shift, canvas.size, borderMode=cv2.BORDER_REPLICATE)
                for v in (there, others)
            )
            both = _summed(here * moved)
            rest = own - both * both / (square + 1)
            better = rest < best
            best[better], light[better] = rest[better], ((both + 1) / (square + 1))[better]
        rest = np.sqrt(np.maximum(best, 0) / 3)
        first = np.minimum(rest * (BINS / REST), BINS - 1).astype(int)
        low, high = LIGHT
        factor = (np.log(np.maximum(light, 1e-3)) - low) / (high - low)
        second = np.clip(factor * BINS, 0, BINS - 1).astype(int)
        return first * BINS + second, canvas.take(self._known)

    def odds(self, looked: tuple[np.ndarray, np.ndarray]) -> np.ndarray:  # float32 [h, w]
        """Log odds that pixels are the object's and not background, by what `look` gave."""
        if not self._object.any() or not self._rest.any():
            return np.zeros(looked[0].shape, np.float32)
        ours, rest = (_smooth(counts) for counts in (self._object, self._rest))
        odds = np.clip(np.log(ours / rest), LEAST, MOST).ravel()[looked[0]]
        return (odds * looked[1]).astype(np.float32)

    def learn(self, looked: tuple[np.ndarray, np.ndarray], mask: np.ndarray) -> None:
        """Learn from the mask that was decided on, float32 [h, w] of the same canvas."""
        cells, known = looked
        for counts, where in ((self._object, mask > 0.9), (self._rest, mask < 0.1)):
            found = np.bincount(cells[where & (known > KNOWN)], minlength=BINS * BINS)
            if found.sum() > 50:
                part = found.reshape(BINS, BINS) / found.sum()
                share = LEARNS if counts.any() else 1.0
                counts += share * (part - counts)


def _free(mask: np.ndarray) -> np.ndarray:
    """Where there is background beyond doubt, 0 or 1, float32."""
    side = 2 * MARGIN + 1
    return (cv2.dilate(mask, np.ones((side, side), np.uint8)) < 0.1).astype(np.float32)


def _summed(values: np.ndarray) -> np.ndarray:
    """The mean over a patch of the sum of the channels."""
    return cv2.blur(values.sum(-1), (PATCH, PATCH))


def _smooth(counts: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(counts, (0, 0), 0.8, borderType=cv2.BORDER_REPLICATE) + 2e-3
