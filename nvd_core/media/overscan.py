"""EXRs whose pixels are not those of their display window: more (overscan), or a part of it."""

from dataclasses import dataclass

import numpy as np
import OpenImageIO as oiio


@dataclass(frozen=True)
class Window:
    """Where a data window lies, in pixels of the display window."""

    left: int
    top: int
    width: int
    height: int

    @property
    def origin(self) -> tuple[int, int]:
        """Its left and upper edge."""
        return self.left, self.top

    @property
    def end(self) -> tuple[int, int]:
        """The pixels behind its right and lower edge."""
        return self.left + self.width, self.top + self.height


def window_of(spec: oiio.ImageSpec) -> Window | None:
    """The data window of a file; None where it is the display window, or nothing is displayed."""
    window = Window(spec.x - spec.full_x, spec.y - spec.full_y, spec.width, spec.height)
    size = spec.full_width, spec.full_height
    if window == Window(0, 0, *size) or not all(size):
        return None
    return window


def in_display_window(pixels: np.ndarray, spec: oiio.ImageSpec) -> np.ndarray:
    """Cut or fill (with 0) the data window's pixels to the display window."""
    window = window_of(spec)
    if window is None:
        return pixels
    whole = np.zeros((spec.full_height, spec.full_width, pixels.shape[2]), pixels.dtype)
    inner, outer = overlap(window, *whole.shape[:2])
    whole[outer] = pixels[inner]
    return whole


def overlap(window: Window, height: int, width: int) -> tuple[tuple, tuple]:
    """What both share: slices of the window's own pixels, and of a display of that size."""
    x0, x1 = max(window.left, 0), max(min(window.end[0], width), 0)
    y0, y1 = max(window.top, 0), max(min(window.end[1], height), 0)
    x1, y1 = max(x0, x1), max(y0, y1)
    inner = slice(y0 - window.top, y1 - window.top), slice(x0 - window.left, x1 - window.left)
    return inner, (slice(y0, y1), slice(x0, x1))
