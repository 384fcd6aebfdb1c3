"""What every writer of frames does: it takes them one by one, in values that its file holds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nvd_core.media.alpha import NONE, STRAIGHT, with_alpha
from nvd_core.media.draft import Draft
from nvd_core.media.images import decode_srgb, encode_srgb, to_float, to_integers
from nvd_core.media.overscan import Window
from nvd_core.media.picture import Picture
from nvd_core.media.working import working_colours

Placed = tuple[Window, tuple[int, int]]
"""where an EXR's pixels lie, and width and height of the display that they lie in"""


class FrameWriter:
    """A context manager that takes frames one by one; see `open_writer`."""

    cautions: Sequence[str] = ()
    """what of the picture the format does not hold, in words"""
    draft: Draft | None = None
    """of a movie that is written as a draft: what it takes"""

    def write(self, index: int, frame: np.ndarray, window: Placed | None = None) -> None:
        """Write `frame` [H, W, C] as number `index`; a movie whose `draft` has weights takes
        Planes as well.

        An EXR may lie in a `window` of a display of that width and height, and have its size.
        """
        raise NotImplementedError

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def check_shape(frame: np.ndarray, shape: tuple[int, int]) -> None:
    """ValueError for a frame that is not RGB or RGBA of that height and width."""
    if frame.ndim != 3 or frame.shape[:2] != shape or frame.shape[2] not in (3, 4):
        raise ValueError(f"expected [{shape[0]}, {shape[1]}, 3 or 4], got {frame.shape}")


def picture_of(frame: np.ndarray, picture: Picture) -> Picture:
    """What a frame is: one with alpha of a picture without is straight, and the other way."""
    if frame.shape[2] == 3 and picture.alpha != NONE:
        return replace(picture, alpha=NONE)
    if frame.shape[2] == 4 and picture.alpha == NONE:
        return replace(picture, alpha=STRAIGHT)
    return picture


def converted(
    frame: np.ndarray, dtype: np.dtype, encoding: str, picture: Picture, kind: str, keeps: bool
) -> np.ndarray:
    """The frame in `dtype`, with alpha of a `kind`: display-encoded integers or linear floats.

    Linear values keep their primaries in floating-point files; others become Rec.709. Values of a
    space of their own are converted where the file does not keep it.
    """
    linear = frame.dtype.kind == "f" and encoding == "linear"
    to_linear = dtype.kind == "f"
    linear, same = (True, keeps) if picture.space else (linear, linear == to_linear)
    if same:
        if frame.dtype == dtype:
            return with_alpha(frame, picture.alpha, kind)
        values = with_alpha(to_float(frame), picture.alpha, kind)
        return values.astype(dtype) if to_linear else to_integers(values, dtype)
    colours, alpha = frame[..., :3], to_float(frame[..., 3:])
    if linear:
        colours = working_colours(frame, picture)
        colours = colours if to_linear else encode_srgb(colours)
    else:
        colours = decode_srgb(to_float(colours))
    straight = np.concatenate([colours, alpha], axis=-1)
    values = with_alpha(straight, NONE if picture.alpha == NONE else STRAIGHT, kind)
    return values.astype(dtype) if to_linear else to_integers(values, dtype)
