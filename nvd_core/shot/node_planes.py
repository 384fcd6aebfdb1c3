"""Planes that go on with a layer's fields where they are not known, for nodes of its lattice."""

import cv2
import numpy as np
from numba import njit

from nvd_core.shot.node_maps import SIDE

_FEW = 2
"""pixels, of every second along lines and columns, by tiles of a window's side, that are enough for
a plane"""
_WINDOWS = (3, 9)
"""tiles along a side of the surroundings to which a plane is fitted, where there is no pixel"""


class Planes:
    """Planes fitted to a layer's fields around tiles: what goes on where they are not known."""

    def __init__(self, places: np.ndarray, lights: np.ndarray, shown: np.ndarray) -> None:
        """float32 [2, h, w] and [3, h, w], bool [h, w]. Only tiles that need planes get them."""
        self._size = float(max(*shown.shape, 1))
        counts = np.zeros((shown.shape[0] // SIDE, shown.shape[1] // SIDE), np.int32)
        _count_shown(shown, counts)
        self.shown_tiles = int((counts > 0).sum())
        needed = counts < SIDE * SIDE
        for border in (needed[:1], needed[-1:], needed[:, :1], needed[:, -1:]):
            border[:] = True  # for the nodes beyond it
        self._number: np.ndarray = np.full(counts.shape, -1, np.int32)
        self._number[needed] = np.arange(needed.sum(), dtype=np.int32)
        if needed.any():
            near = cv2.dilate(needed.view(np.uint8), np.ones((max(_WINDOWS),) * 2, np.uint8))
            sums = np.zeros((6 + 3 * (len(places) + len(lights)), *counts.shape))
            _add_moments(places, lights, shown, near.view(bool), 1 / self._size, sums)
            self._coefficients = self._fitted(sums, needed)

    def at(self, ys: np.ndarray, xs: np.ndarray, channels: slice) -> np.ndarray:
        """The planes' values at rows `ys` and columns `xs` [P] of some channels, [C, P]."""
        rows, columns = self._number.shape
        if not rows:
            return np.zeros((channels.stop - (channels.start or 0), len(ys)))
        tiles = (ys // SIDE).clip(0, rows - 1), (xs // SIDE).clip(0, columns - 1)
        own = self._coefficients[channels][..., self._number[tiles]]
        return own[:, 0] + own[:, 1] * (xs / self._size) + own[:, 2] * (ys / self._size)

    def _fitted(self, sums: np.ndarray, needed: np.ndarray) -> np.ndarray:
        """Constant, slope in x and in y of the tiles that are `needed`, [C, 3, n]."""
        whole = self._solved([part.sum() for part in sums])
        coefficients = np.repeat(whole[..., None], int(needed.sum()), -1)
        for window in _WINDOWS[::-1]:
            kernel = (window, window)
            around = [
                cv2.boxFilter(part, -1, kernel, normalize=False, borderType=cv2.BORDER_CONSTANT)
                for part in sums
            ]
            enough = around[0][needed] > _FEW * window
            if enough.any():
                own = [part[needed][enough] for part in around]
                coefficients[..., enough] = self._solved(own)
        return coefficients

    def _solved(self, sums: list) -> np.ndarray:
        """Constant, slope in x and in y, [C, 3, ...]."""
        w, x, y, xx, xy, yy, *of_values = sums
        w = np.maximum(w, 1e-9)
        mx, my = x / w, y / w
        cxx, cxy, cyy = xx / w - mx * mx, xy / w - mx * my, yy / w - my * my
        small = 1e-9 + 1e-4 * (cxx + cyy)
        cxx, cyy = cxx + small, cyy + small
        determinant = cxx * cyy - cxy * cxy
        result = []
        for c in range(0, len(of_values), 3):
            m, mxv, myv = (part / w for part in of_values[c : c + 3])
            a, b = mxv - mx * m, myv - my * m
            slope_x, slope_y = (cyy * a - cxy * b) / determinant, (cxx * b - cxy * a) / determinant
            result.append(np.stack([m - slope_x * mx - slope_y * my, slope_x, slope_y]))
        return np.stack(result)


@njit(cache=True, nogil=True)
def _count_shown(shown, counts):
    for y in range(shown.shape[0]):
        for x in range(shown.shape[1]):
            counts[y // SIDE, x // SIDE] += shown[y, x]


@njit(cache=True, nogil=True)
def _add_moments(places, lights, shown, near, scale, sums):
    """Of the shown pixels of tiles `near`: 1, x, y, xx, xy, yy, then of each value v: v, xv, yv.

    Of every second one along lines and columns, which is enough for a plane.
    """
    own = np.empty(len(sums))
    for row in range(near.shape[0]):
        for column in range(near.shape[1]):
            if not near[row, column]:
                continue
            own[:] = 0
            for py in range(row * SIDE, (row + 1) * SIDE, 2):
                for px in range(column * SIDE, (column + 1) * SIDE, 2):
                    if shown[py, px]:
                        _add_pixel(places, lights, py, px, scale, own)
            for k in range(len(own)):
                sums[k, row, column] = own[k]


@njit(cache=True, nogil=True)
def _add_pixel(places, lights, py, px, scale, sums):
    x, y = px * scale, py * scale
    sums[0] += 1
    sums[1] += x
    sums[2] += y
    sums[3] += x * x
    sums[4] += x * y
    sums[5] += y * y
    for c in range(places.shape[0]):
        _add_value(places[c, py, px], x, y, 6 + 3 * c, sums)
    for c in range(lights.shape[0]):
        _add_value(lights[c, py, px], x, y, 6 + 3 * (places.shape[0] + c), sums)


@njit(cache=True, nogil=True)
def _add_value(value, x, y, at, sums):
    sums[at] += value
    sums[at + 1] += x * value
    sums[at + 2] += y * value
