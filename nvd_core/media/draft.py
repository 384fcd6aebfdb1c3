"""What a movie that is written as a draft takes: colours that may be a little off, and Y, U and V.

Where whoever makes the frames makes the planes as well, no RGB is written, copied and read again.
"""

from dataclasses import dataclass

import numpy as np

from nvd_core.media.movie_tags import FULL, MovieTags

YUV420 = "yuv420p"
_LUMA = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""shares of red and blue in Y, by H.273's numbers of the matrix"""


@dataclass(frozen=True)
class Draft:
    """How a draft takes its frames."""

    weights: np.ndarray | None = None
    """float32 [3, 4], if it takes `Planes`: levels of R, G, B and 1 in Y, U and V"""


@dataclass(frozen=True)
class Planes:
    """A frame of even width and height, U and V halved along both."""

    values: np.ndarray
    """uint8 [H * 3 / 2, W], Y, U and V one behind the other, as YUV420 lies in memory"""


def weights_of(tags: MovieTags) -> np.ndarray | None:
    """`Draft.weights` for a movie with these tags; None where its matrix is not known."""
    if tags.matrix not in _LUMA:
        return None
    red, blue = _LUMA[tags.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    rows = [luma]
    for c in (2, 0):
        difference = (np.arange(3) == c) - luma
        rows.append(difference / (2 * (1 - luma[c])))
    scales, offsets = ((1, 1, 1), (0, 128, 128))
    if tags.range != FULL:
        scales, offsets = (219 / 255, 224 / 255, 224 / 255), (16, 128, 128)
    weights = np.array(rows) * np.array(scales)[:, None]
    return np.concatenate([weights, np.array(offsets)[:, None]], 1).astype(np.float32)
