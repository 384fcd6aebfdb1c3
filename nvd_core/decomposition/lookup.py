"""Where in a texture a place of the maps lies, for all compiled kernels."""

from numba import njit


@njit(cache=True)
def texel_place(u, v, width, height):
    """Texel coordinates x right, y down, float64, of the place u, v; clamped to the texture."""
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    # NaN fails every comparison, and must not become a place in memory
    x = min(x, width - 1.0) if x > 0.0 else 0.0
    y = min(y, height - 1.0) if y > 0.0 else 0.0
    return x, y
