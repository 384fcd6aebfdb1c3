"""Pictures that their file says are turned or mirrored, brought upright as every viewer shows them.

An orientation is one of the eight of EXIF: 1 upright, 3 upside down, 6 and 8 on their sides, and
2, 4, 5 and 7 the same mirrored.
"""

import math

import numpy as np

UPRIGHT = 1
# Of an upright picture: whether the stored one has its axes exchanged, then is mirrored in x, in y
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def on_its_side(orientation: int) -> bool:
    """Whether width and height are exchanged."""
    return orientation in (5, 6, 7, 8)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The stored `pixels` [H, W, C] as they are to be shown; a view, or themselves."""
    exchanged, in_x, in_y = _STEPS.get(orientation, _STEPS[UPRIGHT])
    shown = pixels.swapaxes(0, 1) if exchanged else pixels
    shown = shown[:, ::-1] if in_x else shown
    return shown[::-1] if in_y else shown


def of_matrix(matrix: tuple[int, ...]) -> int | None:
    """The orientation that a movie's display matrix of 9 numbers means; None for any other turn.

    The matrix a b u / c d v / x y w takes a place (p, q) of the stored picture to
    (a p + c q + x, b p + d q + y). Numbers 0 to 5 are 16.16 fixed point; only the signs and the
    proportions of a, b, c, d count.
    """
    a, b, c, d = (float(matrix[n]) for n in (0, 1, 3, 4))
    scale = max(math.hypot(a, b), math.hypot(c, d))
    if scale == 0:
        return UPRIGHT
    exchanged = abs(b) > abs(a)
    along, across = ((c, b), (a, d)) if exchanged else ((a, d), (b, c))
    if any(abs(value) > 0.02 * scale for value in across) or 0 in along:
        return None
    wanted = (exchanged, along[0] < 0, along[1] < 0)
    return next(number for number, steps in _STEPS.items() if steps == wanted)
