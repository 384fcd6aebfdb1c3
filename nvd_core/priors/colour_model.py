"""Histograms of the colours inside and outside of a mask: on which side is a pixel likelier?"""

import cv2
import numpy as np


class Colours:
    """Which colours the object has and which its surroundings: two histograms that go along."""

    BINS = 16

    def __init__(self, frame: np.ndarray, mask: np.ndarray):
        self.seen = 1
        self.object = self._histogram(frame, mask > 0.7)
        self.rest = self._histogram(frame, mask < 0.1)

    def odds(self, frame: np.ndarray) -> np.ndarray:  # float32 [h, w]
        """Log odds that a pixel's colour is the object's, between -3 and 3."""
        ratio = np.log((self.object + 2e-5) / (self.rest + 2e-5)).clip(-3, 3).astype(np.float32)
        return cv2.blur(ratio[self._cells(frame)], (3, 3))

    def learn(self, frame: np.ndarray, mask: np.ndarray, belief: np.ndarray) -> None:
        """Go along with slow changes, from the pixels that are beyond doubt."""
        sure = (mask > 0.9) & (belief > 0.9)
        if sure.sum() > 50:
            self.object += 0.02 * (self._histogram(frame, sure) - self.object)
        self.rest += 0.1 * (self._histogram(frame, mask < 0.1) - self.rest)

    def power(self) -> float:
        """How well colour tells the two apart: 0 where both have the same colours, 1 at best."""
        return 1 - float(np.minimum(self.object, self.rest).sum())

    def add(self, frame: np.ndarray, mask: np.ndarray) -> None:
        """Take in one more frame, all frames counting the same."""
        self.seen += 1
        self.object += (self._histogram(frame, mask > 0.7) - self.object) / self.seen
        self.rest += (self._histogram(frame, mask < 0.1) - self.rest) / self.seen

    def _cells(self, frame: np.ndarray) -> np.ndarray:  # int [h, w]
        r, g, b = np.moveaxis(frame // (256 // self.BINS), -1, 0).astype(np.int32)
        return (r * self.BINS + g) * self.BINS + b

    def _histogram(self, frame: np.ndarray, where: np.ndarray) -> np.ndarray:  # [BINS ** 3]
        side = self.BINS
        counts = np.bincount(self._cells(frame)[where], minlength=side**3).reshape(side, side, side)
        smooth = counts.astype(np.float64)
        for axis in range(3):  # neighbouring colours count half
            padded = np.pad(smooth, [(1, 1) if a == axis else (0, 0) for a in range(3)])
            low, high = (np.take(padded, range(k, k + side), axis) for k in (0, 2))
            smooth = smooth + 0.5 * (low + high)
        return (smooth / max(smooth.sum(), 1)).ravel()
