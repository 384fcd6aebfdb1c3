"""Pictures at another size."""

import cv2
import numpy as np

from nvd_core.media.alpha import PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.images import to_float, to_integers
from nvd_core.runtime.errors import NvdError

_SMALLEST = 16  # pixels; below that there is nothing to decompose


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """`image` [H, W] or [H, W, C] at another size, same dtype: area means down, cubic up.

    At its own size it is returned untouched.
    """
    if image.shape[:2] == (height, width):
        return image
    shrinks = width * height < image.shape[0] * image.shape[1]
    # cv2 knows no float16, and drops the last axis where it is 1
    values = image.astype(np.float32) if image.dtype == np.float16 else image
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    result = cv2.resize(values, (width, height), interpolation=method)
    return result.reshape(height, width, *image.shape[2:]).astype(image.dtype, copy=False)


def resized_picture(frame: np.ndarray, width: int, height: int, alpha: str) -> np.ndarray:
    """A frame at another size; colours count by their alpha, which is of the kind `alpha`."""
    if frame.shape[:2] == (height, width):
        return frame
    if alpha != STRAIGHT:
        return resized(frame, width, height)
    whole = resized(with_alpha(to_float(frame), STRAIGHT, PREMULTIPLIED), width, height)
    straight = with_alpha(whole, PREMULTIPLIED, STRAIGHT)
    if frame.dtype.kind == "f":
        return straight.astype(frame.dtype)
    return to_integers(straight, frame.dtype)


def working_size(width: int, height: int, wanted: int | None) -> tuple[int, int]:
    """Width and height in proportion, of a source, at a height; NvdError where that is tiny."""
    if wanted is None or wanted == height:
        return width, height
    new_width = 2 * round(width * wanted / height / 2)
    if min(wanted, new_width) < _SMALLEST:
        raise NvdError(
            f"a height of {wanted} makes frames of {new_width} x {wanted}",
            expected=f"at least {_SMALLEST} pixels each way",
            remedy="choose a larger height, or leave it out to keep the source's size",
        )
    return new_width, wanted
