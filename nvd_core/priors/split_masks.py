"""The masks of a clip with parts, as motion is found of them: each part is an object by itself."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from nvd_core.runtime.mapped_arrays import release

LEAST_AREA = 24
"""pixels of a mask from which on it tells where a part lies"""
LONG = 1.6
"""length by width from which on a mask tells how it is turned"""


def outline_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:  # [3, 3]
    """How a part moves from the one mask to the other, uint8 [H, W]: a rotation and a shift.

    Their middles and, where they are long, their axes; None where one of them is too small.
    """
    before, after = _pose(first), _pose(second)
    if before is None or after is None:
        return None
    (middle, angle, long), (other, other_angle, other_long) = before, after
    turn = (other_angle - angle + np.pi / 2) % np.pi - np.pi / 2 if long and other_long else 0.0
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    motion = np.eye(3)
    motion[:2, :2], motion[:2, 2] = linear, other - linear @ middle
    return motion


def motion_to_next(
    mask_of: Callable[[int], np.ndarray], t: int, count: int
) -> tuple[np.ndarray, bool]:
    """How a part moves from frame t of `count` on by its masks, [3, 3], and whether frame t + 1
    shows it.

    Where that does not, the motion goes to the next frame that does, so that the part lies there
    meanwhile; where none does, or t does not show it, it stands still.
    """
    first = mask_of(t)
    if _pose(first) is not None:
        for other in range(t + 1, count):
            motion = outline_motion(first, mask_of(other))
            if motion is not None:
                return motion, other == t + 1
    return np.eye(3), False


def grid_points(width: int, height: int) -> np.ndarray:  # float64 [16, 2]
    """Points all over a frame."""
    x, y = (np.linspace(0.1, 0.9, 4) * side for side in (width, height))
    return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


def _pose(mask: np.ndarray) -> tuple[np.ndarray, float, bool] | None:
    """A mask's middle (x, y), the angle of its axis, and whether it is long."""
    m = cv2.moments((mask > 127).astype(np.uint8), binaryImage=True)
    if m["m00"] < LEAST_AREA:
        return None
    angle = 0.5 * np.arctan2(2 * m["mu11"], m["mu20"] - m["mu02"])
    spread = np.hypot(2 * m["mu11"], m["mu20"] - m["mu02"])
    total = m["mu20"] + m["mu02"]
    long = (total + spread) > LONG**2 * max(total - spread, 1e-9)
    return np.array([m["m10"], m["m01"]]) / m["m00"], float(angle), bool(long)


class SplitMasks:
    """The masks of objects and parts, as if each part were an object before its layer.

    Reads as work/masks.npy does, uint8 [V, T, H, W]: the parts of the first object, that object
    itself, those of the second, and so on; those of the background last.
    """

    def __init__(self, masks: np.ndarray, labels: np.ndarray, counts: Sequence[int]) -> None:
        """counts: parts of each layer beside the rest, the background's last."""
        self._masks, self._labels = masks, labels
        self.order = [
            (n, number) for n, count in enumerate(counts) for number in (*range(1, count + 1), 0)
        ]
        """(layer, number of its part) of each row, and of the background's rest"""

    def __len__(self) -> int:
        return len(self.order) - 1

    def __getitem__(self, place: tuple[int, int]) -> np.ndarray:  # row and frame
        (n, number), t = self.order[place[0]], place[1]
        mask = self._masks[n, t] if n < len(self._masks) else np.uint8(255)
        return np.where(self._labels[n, t] == number, mask, np.uint8(0))

    def are_parts(self, row: int) -> bool:
        """Whether a row is a part, or the rest, of a layer that has parts."""
        layer = self.order[row][0]
        return sum(n == layer for n, _ in self.order) > 1

    def release(self) -> None:
        """Give the memory of the arrays back."""
        release(self._masks, self._labels)
