"""The part of a frame around an object, at a size at which looking at it costs the same for all."""

from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.flow_size import pixel_grid

AREA = 260.0**2
"""Pixels that a canvas has at most."""
LEAST = 16
"""Pixels that it is wide and high at the least."""
AROUND, FRINGE = 0.18, 0.016
"""What it shows beside the object on each side: so much of the object's longer side, and so much of
the frame's."""


@dataclass
class Canvas:
    """A window of frames [h, w], seen at a `scale` of 1 or less."""

    corner: np.ndarray  # x, y of its upper left pixel's outer corner in the frame
    scale: np.ndarray  # across, down
    size: tuple[int, int]  # its width and height
    frame_size: tuple[int, int]  # the frame's

    def places(self, spots: np.ndarray | None = None) -> np.ndarray:  # float32 [..., 2]
        """Where `spots` of the canvas, by themselves all its pixels, are in the frame, (x, y)."""
        spots = pixel_grid(self.size[1], self.size[0]) if spots is None else spots
        return ((spots + 0.5) / self.scale - 0.5 + self.corner).astype(np.float32)

    def of_frame(self) -> np.ndarray:  # [3, 3]
        """The motion from the canvas's pixels to the frame's."""
        across, down = 1 / self.scale
        x, y = self.corner + 0.5 / self.scale - 0.5
        return np.array([[across, 0, x], [0, down, y], [0, 0, 1]])

    def take(self, image: np.ndarray) -> np.ndarray:
        """What the canvas shows of an image of the frame's size, float32."""
        return look_up(self.softened(image), self.places())

    def softened(self, image: np.ndarray) -> np.ndarray:
        """An image without what is too fine for the canvas, float32."""
        image = image.astype(np.float32, copy=False)
        coarse = 1 / float(self.scale.min())
        return cv2.GaussianBlur(image, (0, 0), 0.5 * coarse) if coarse > 1.3 else image

    def put(self, values: np.ndarray) -> np.ndarray:  # float32 [h, w]
        """Values of the canvas in the frame, 0 outside."""
        width, height = self.frame_size
        place = (pixel_grid(height, width) + 0.5 - self.corner) * self.scale - 0.5
        within = ((place > -0.5) & (place < np.array(self.size) - 0.5)).all(-1)
        return look_up(values.astype(np.float32), place.astype(np.float32)) * within


def around(mask: np.ndarray) -> Canvas | None:  # float32 [h, w]
    """The canvas around a mask; None around an empty one."""
    height, width = mask.shape
    left, top, wide, high = cv2.boundingRect((mask > 0.5).astype(np.uint8))
    if not wide:
        return None
    pad = AROUND * max(wide, high) + FRINGE * max(width, height)
    pad = int(np.ceil(max(pad, LEAST / 2)))
    first = np.maximum([left - pad, top - pad], 0)
    last = np.minimum([left + wide + pad, top + high + pad], [width, height])
    shown = last - first
    part = min(1.0, float(np.sqrt(AREA / np.prod(shown))))
    size = np.maximum(np.rint(shown * part), np.minimum(shown, LEAST)).astype(int)
    return Canvas(first, size / shown, (int(size[0]), int(size[1])), (width, height))


def look_up(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The image at places (x, y) of its own, as far as it goes; its border goes on outside."""
    return cv2.remap(image, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
