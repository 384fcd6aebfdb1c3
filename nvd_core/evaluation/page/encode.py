"""Pictures as data URIs that never take more room than they were given."""

import base64

import cv2
import numpy as np

QUALITIES = (82, 70, 58, 46)
"""of WebP, tried in this order; below the last a picture is made smaller instead"""
_SMALLER = 0.75
_LEAST_SIDE = 8  # pixels; a picture this small fits wherever anything does
_MOST_SIDE = 16383  # pixels along a side of a WebP


class Encoder:
    """Encodes pictures of one kind, each into at most `share` bytes of WebP.

    It begins as the last picture came out, since the next is likely the same.
    """

    def __init__(self, share: int) -> None:
        self.share = share
        self._level = 0  # quality first, then size, in one count

    def encode(self, picture: np.ndarray) -> bytes:
        """`picture`, uint8 [H, W, 3 or 4] in RGB(A), as WebP of at most `share` bytes.

        What does not even fit at its smallest comes out that small.
        """
        level = self._level
        data, smallest = _webp(picture, level)
        while len(data) > self.share and not smallest:
            level += 1
            data, smallest = _webp(picture, level)
        while 0 < level <= self._level:
            better, _ = _webp(picture, level - 1)
            if len(better) > self.share:
                break
            data, level = better, level - 1
        self._level = level
        return data


def data_uri(data: bytes) -> str:
    """An encoded WebP as what an <img> shows."""
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")


def _webp(picture: np.ndarray, level: int) -> tuple[bytes, bool]:
    """The picture at a level, and whether there is no smaller one."""
    quality = QUALITIES[min(level, len(QUALITIES) - 1)]
    shrinks = max(level - len(QUALITIES) + 1, 0)
    height, width = picture.shape[:2]
    factor = min(_SMALLER**shrinks, _MOST_SIDE / max(height, width))
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    if size != (width, height):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    swapped = cv2.cvtColor(
        picture, cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    )
    _, data = cv2.imencode(".webp", swapped, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return data.tobytes(), max(size) <= _LEAST_SIDE
