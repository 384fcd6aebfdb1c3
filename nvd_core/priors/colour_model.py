"""Histograms of the colours inside and outside of a mask: on which side is a pixel likelier?"""

import cv2
import numpy as np


class Colours:
    """Which colours the object has and which its surroundings: two histograms that go along."""

    BINS = 16

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        self.seen = 1
        self.object = histogram(frame, mask > 0.7)
        self.rest = histogram(frame, mask < 0.1)

    def odds(self, frame: np.ndarray) -> np.ndarray:  # float32 [h, w]
        """Log odds that a pixel's colour is the object's, between -3 and 3."""
        return log_odds(frame, self.object, self.rest)

    def learn(self, frame: np.ndarray, mask: np.ndarray, belief: np.ndarray) -> None:
        """Go along with slow changes, from the pixels that are beyond doubt."""
        sure = (mask > 0.9) & (belief > 0.9)
        if sure.sum() > 50:
            self.object += 0.02 * (histogram(frame, sure) - self.object)
        self.rest += 0.1 * (histogram(frame, mask < 0.1) - self.rest)

    def power(self) -> float:
        """How well colour tells the two apart: 0 where both have the same colours, 1 at best."""
        return 1 - float(np.minimum(self.object, self.rest).sum())

    def add(self, frame: np.ndarray, mask: np.ndarray) -> None:
        """Take in one more frame, all frames counting the same."""
        self.seen += 1
        self.object += (histogram(frame, mask > 0.7) - self.object) / self.seen
        self.rest += (histogram(frame, mask < 0.1) - self.rest) / self.seen


def cells(frame: np.ndarray, side: int = Colours.BINS) -> np.ndarray:  # int [h, w]
    """The histogram's cell of each pixel."""
    r, g, b = np.moveaxis(frame // (256 // side), -1, 0).astype(np.int32)
    return (r * side + g) * side + b


def histogram(frame: np.ndarray, where: np.ndarray, side: int = Colours.BINS) -> np.ndarray:
    """The share of each cell in the pixels `where`, bool [h, w]; its neighbours count half."""
    counts = np.bincount(cells(frame, side)[where], minlength=side**3).reshape(side, side, side)
    smooth = counts.astype(np.float64)
    for axis in range(3):
        padded = np.pad(smooth, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        low, high = (np.take(padded, range(k, k + side), axis) for k in (0, 2))
        smooth = smooth + 0.5 * (low + high)
    return (smooth / max(smooth.sum(), 1)).ravel()


def log_odds(frame: np.ndarray, inside: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Log odds that a pixel's colour is of the histogram `inside` and not of `rest`, -3 to 3."""
    ratio = np.log((inside + 2e-5) / (rest + 2e-5)).clip(-3, 3).astype(np.float32)
    return cv2.blur(ratio[cells(frame)], (3, 3))
