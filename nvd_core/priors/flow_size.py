"""The size that flow is found and kept at, and pictures brought to it.

Flow of large frames is found and kept at a fraction of their size: it is smooth nearly everywhere,
and would be most of what a decomposition takes of time and disk.
"""

import cv2
import numpy as np

LONGEST = 1280
"""Flow has this many pixels along its longer side at most."""

CONTRAST_PX, CONTRAST_NOISE, CONTRAST_GAIN = 2.0, 8.0, 40.0
"""Standard deviation of what is around a pixel; differences of so many of the 255 steps are no
contrast yet; steps that one standard deviation of contrast is shown as."""


def flow_size(height: int, width: int) -> tuple[int, int]:
    """Height and width (h, w) of the flow of frames of that size: theirs, by a whole number."""
    part = -(-max(height, width) // LONGEST)
    return round(height / part), round(width / part)


def flow_scale(height: int, width: int) -> np.ndarray:  # float32 [2]
    """How many pixels of the frame one of the flow is wide and high."""
    rows, columns = flow_size(height, width)
    return np.array([width / columns, height / rows], np.float32)


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


def at_flow_size(image: np.ndarray) -> np.ndarray:  # [H, W] or [H, W, C] -> [h, w] or [h, w, C]
    """A frame or a mask brought to the size of the flow, area means."""
    rows, columns = flow_size(*image.shape[:2])
    if image.shape[:2] == (rows, columns):
        return image
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
