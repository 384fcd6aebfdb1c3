"""The size that flow is found and kept at, and pictures brought to it.

Flow of large frames is found and kept at a fraction of their size: it is smooth nearly everywhere,
and would be most of what a decomposition takes of time and disk.
"""

import cv2
import numpy as np

LONGEST = 1280
"""Flow has this many pixels along its longer side at most, by itself."""

CONTRAST_PX, CONTRAST_NOISE, CONTRAST_GAIN = 2.0, 8.0, 40.0
"""Standard deviation of what is around a pixel; differences of so many of the 255 steps are no
contrast yet; steps that one standard deviation of contrast is shown as."""


def flow_size(height: int, width: int, longest: int | None = None) -> tuple[int, int]:
    """Height and width (h, w) of the flow of frames of that size: theirs, by a whole number.

    The longer is `longest` at most, by itself LONGEST. What reads flow that stands goes by the size
    that it has.
    """
    part = -(-max(height, width) // (longest or LONGEST))
    return max(round(height / part), 1), max(round(width / part), 1)


def flow_scale(size: tuple[int, int], flow: tuple[int, int]) -> np.ndarray:  # float32 [2]
    """How many pixels of a frame of that `size` one of the `flow` is wide and high.

    Both are height and width; the result is across and down.
    """
    return np.array([size[1] / flow[1], size[0] / flow[0]], np.float32)


def pixel_grid(height: int, width: int) -> np.ndarray:  # float32 [H, W, 2]
    """The (x, y) of every pixel."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def local_contrast(luma: np.ndarray) -> np.ndarray:  # uint8 [H, W] -> [H, W]
    """Difference from the mean around, by the spread around; 128 is none."""
    values = luma.astype(np.float32)
    values -= cv2.GaussianBlur(values, (0, 0), CONTRAST_PX)
    spread = np.sqrt(cv2.GaussianBlur(values * values, (0, 0), CONTRAST_PX) + CONTRAST_NOISE**2)
    return (128 + CONTRAST_GAIN * values / spread).clip(0, 255).astype(np.uint8)


def grey(frame: np.ndarray) -> np.ndarray:  # uint8 [H, W, 3] -> [H, W]
    """Luma of one frame."""
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)


def at_flow_size(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame or a mask, [H, W] or [H, W, C], at the `size` (h, w) of the flow, area means."""
    rows, columns = size
    if image.shape[:2] == (rows, columns):
        return image
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
