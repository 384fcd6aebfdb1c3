"""Where in a texture a place of the maps lies, for all compiled kernels."""

import numpy as np
from numba import njit

_WIDTH, _HEIGHT, _FIRST = range(3)  # columns of a texel table


def texel_table(sizes: list[tuple[int, int]]) -> np.ndarray:
    """The textures' widths, heights and first texels in one array of all texels, int64 [L, 3]."""
    counts = [width * height for width, height in sizes]
    firsts = np.cumsum([0, *counts[:-1]])
    return np.array([(*size, f) for size, f in zip(sizes, firsts, strict=True)], np.int64)


@njit(cache=True)
def texel_place(u, v, width, height):
    """Texel coordinates x right, y down, float64, of the place u, v; clamped to the texture."""
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    # NaN fails every comparison, and must not become a place in memory
    x = min(x, width - 1.0) if x > 0.0 else 0.0
    y = min(y, height - 1.0) if y > 0.0 else 0.0
    return x, y


@njit(cache=True)
def texel_corner(u, v, row):
    """A bilinear lookup, with its texture's row of the table.

    The upper left texel, the steps to those below it and right of it, and how far the place is from
    it to the right and down, 0..1.
    """
    width, height = row[_WIDTH], row[_HEIGHT]
    x, y = texel_place(np.float64(u), np.float64(v), width, height)
    x0, y0 = int(x), int(y)
    below = width if y0 + 1 < height else 0
    right = 1 if x0 + 1 < width else 0
    return row[_FIRST] + y0 * width + x0, below, right, x - x0, y - y0


@njit(cache=True)
def spread(values, c, corner, value):
    """Add `value` to channel c of the lookup's four texels, by their shares: the adjoint."""
    at, below, right, fx, fy = corner
    values[at, c] += value * (1.0 - fx) * (1.0 - fy)
    values[at + right, c] += value * fx * (1.0 - fy)
    values[at + below, c] += value * (1.0 - fx) * fy
    values[at + below + right, c] += value * fx * fy
