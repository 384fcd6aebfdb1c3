"""Where each texel of a layer's texture is in a frame: the maps turned round.

Between four neighbouring pixels that show the layer the map is taken for two flat triangles, and
every texel centre within them gets its place in the frame, as a straight line has it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.part_places import part_numbers, pieces_of

MOST_SPAN = 64.0
"""texels that a triangle may be wide: one that is wider lies across a break in the map"""


def inverse_map(
    maps: LayerMaps, width: int, height: int, parts: Sequence[PartRecord] = ()
) -> np.ndarray:
    """float32 [height, width, 3] of a texture of this size, top row first.

    Where the texel lies in the frame, x to the right and y UP, 0 to 1, pixel centres at
    (i + 0.5) / width; then the layer's alpha there, 0 where the frame does not show the texel (and
    its place is 0 as well). Where the map folds, the place with the largest alpha counts.
    Between two `parts` of the layer lies nothing.
    """
    out = np.zeros((height, width, 3), np.float32)
    for _, piece in pieces_of(maps, part_numbers(parts, maps.u, maps.v)):
        _turn_round(piece.u, piece.v, piece.alpha, out)
    return out


@njit(cache=True)
def _turn_round(u, v, alpha, out):
    rows, columns = u.shape
    height, width = out.shape[:2]
    corner = np.empty((4, 5))  # texel x, y; frame x, y; alpha
    for y in range(rows - 1):
        for x in range(columns - 1):
            shown = True
            for k in range(4):
                row, column = y + k // 2, x + k % 2
                if not alpha[row, column] > 0.0:
                    shown = False
                    break
                corner[k, 0] = np.float64(u[row, column]) * width - 0.5
                corner[k, 1] = (1.0 - np.float64(v[row, column])) * height - 0.5
                corner[k, 2] = (column + 0.5) / columns
                corner[k, 3] = 1.0 - (row + 0.5) / rows
                corner[k, 4] = alpha[row, column]
            if shown:
                _fill(corner[0], corner[1], corner[2], out)
                _fill(corner[3], corner[2], corner[1], out)


@njit(cache=True)
def _fill(a, b, c, out):
    """Texel centres in a triangle, its edges included."""
    left, right = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
    top, bottom = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    if area == 0.0 or right - left > MOST_SPAN or bottom - top > MOST_SPAN:
        return
    height, width = out.shape[:2]
    for y in range(max(math.ceil(top), 0), min(math.floor(bottom), height - 1) + 1):
        for x in range(max(math.ceil(left), 0), min(math.floor(right), width - 1) + 1):
            second = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
            third = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
            first = 1.0 - second - third
            if min(first, second, third) < -1e-9:
                continue
            shows = first * a[4] + second * b[4] + third * c[4]
            if shows > out[y, x, 2]:
                for k in range(3):
                    out[y, x, k] = first * a[k + 2] + second * b[k + 2] + third * c[k + 2]
