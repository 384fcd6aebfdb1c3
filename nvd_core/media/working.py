"""The colours that the engine works with, straight Rec.709, made of stored values and back.

Integers stay display-encoded as they are. Linear values of other primaries pass through a matrix.
Where the user named the colour space of the frames, whatever their depth, the working colours are
linear, made by OpenColorIO's conversion and brought back by its inverse.
"""

import numpy as np

from nvd_core.media import primaries
from nvd_core.media.alpha import NONE, STRAIGHT, with_alpha
from nvd_core.media.conversion import conversion_of
from nvd_core.media.images import encode_srgb, to_float, to_integers
from nvd_core.media.picture import Picture


def working_colours(frame: np.ndarray, picture: Picture) -> np.ndarray:
    """The straight Rec.709 colours [H, W, 3] of a stored frame, which is returned if it has them.

    Integers stay display-encoded, in their depth; others become linear float32, and all do where
    the picture has a space.
    """
    if picture.space:
        values = with_alpha(to_float(frame), picture.alpha, NONE)
        return conversion_of(picture.space).to_linear(values)
    linear = frame.dtype.kind == "f"
    if picture.alpha == NONE and (not linear or picture.is_rec709):
        return frame
    if not linear:
        return np.ascontiguousarray(frame[..., :3])
    colours = with_alpha(frame.astype(np.float32), picture.alpha, NONE)
    if not picture.is_rec709:
        colours = primaries.converted(colours, primaries.to_rec709(picture.primaries))
    return np.ascontiguousarray(colours)


def stored_colours(colours: np.ndarray, alpha: np.ndarray, picture: Picture) -> np.ndarray:
    """The inverse: colours [H, W, 3] with an alpha [H, W, 0 or 1] as `picture` has them.

    Values of a picture with a space are float32, those of integers too.
    """
    if picture.space:
        colours = conversion_of(picture.space).from_linear(colours)
    elif colours.dtype.kind == "f" and not picture.is_rec709:
        back = np.linalg.inv(primaries.to_rec709(picture.primaries))
        colours = primaries.converted(colours, back)
    if picture.alpha == NONE:
        return colours
    straight = np.concatenate([colours, alpha.astype(colours.dtype)], axis=2)
    return with_alpha(straight, STRAIGHT, picture.alpha)


def as_display_bytes(frame: np.ndarray) -> np.ndarray:
    """A frame of any depth as display-encoded uint8; floating point is taken as linear."""
    if frame.dtype == np.uint8:
        return frame
    display = to_float(frame) if frame.dtype.kind == "u" else encode_srgb(frame)
    return to_integers(display, np.uint8)
