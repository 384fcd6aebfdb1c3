"""Where the background of a still camera may deform: where frames far apart do not agree.

A shadow that passes over a wall takes the flow along with it, and with the flow the coordinates of
a wall that stands still. But two frames far apart show the same bricks in the same place, in the
light or out of it: their local contrast correlates. Where something moves by itself or lies at
another distance, it does not.
"""

from itertools import pairwise

import cv2
import numpy as np

from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.work import ClipData

STILL_PX = 1.0
"""corners of the frame that move less than this through the whole clip stand still"""
CELLS = 32
"""cells of the texture square along a side"""
SHARES = (1 / 12, 1 / 4)
"""how far apart the frames are that are compared, as shares of the clip; the worse counts"""
PAIRS = 24
"""pairs of frames that are compared at most, for each share"""
STRIDE = 2
"""pixels between those that count"""
AROUND_PX, NOISE = 2.5, 4.0
"""standard deviation of what a correlation sees; contrast below which it says nothing, in 1/255"""
MARGIN = 1 / 36
"""share of the frame's longer side around the masks that does not count"""
APART, ALIKE = 0.5, 0.8
"""correlation up to which a cell is free, and from which it is held"""
UPPER = 0.75
"""quantile of a cell's correlations that counts: a shadow's edge lies in it at some times, and what
is out of line is so at most"""
LEAST = 8
"""samples below which nothing is known of a cell"""


def stands_still(data: ClipData, matrices: np.ndarray, pixels_per_unit: float) -> bool:
    """Whether the camera stands still: `matrices` [T, 3, 3] take all frames to one place.

    Where it moves, a plane's motion is never exact, and what is left of it is for the deformation
    to learn, be it half a pixel.
    """
    _, height, width = data.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]).T
    places = matrices @ corners
    places = places[:, :2] / places[:, 2:] * pixels_per_unit
    return bool(np.ptp(places, axis=0).max() < STILL_PX)


def deformation_mask(data: ClipData, matrices: np.ndarray) -> np.ndarray:
    """0 (the global motion alone) to 1 (free) over the texture square, float32 [CELLS, CELLS].

    `matrices` [T, 3, 3] take the background's pixels to texture coordinates. Rows are the second
    coordinate. Cells of which nothing is known are as those around them.
    """
    alike = np.full(CELLS * CELLS, np.nan)
    for share in SHARES:
        cell, value = _compared(data, matrices, max(1, round(share * data.shape[0])))
        order = np.argsort(cell, kind="stable")
        edges = np.flatnonzero(np.diff(cell[order], prepend=-1, append=-1))
        for first, last in pairwise(edges):
            if last - first >= LEAST:
                at, typical = cell[order[first]], np.quantile(value[order[first:last]], UPPER)
                alike[at] = np.fmin(alike[at], typical)
    known = np.isfinite(alike).astype(np.float32)
    free = ((ALIKE - np.nan_to_num(alike)) / (ALIKE - APART)).clip(0, 1).astype(np.float32)
    return _filled(free.reshape(CELLS, CELLS), known.reshape(CELLS, CELLS))


def _compared(data: ClipData, matrices: np.ndarray, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells [N] of background pixels, and how well they correlate with `gap` frames later."""
    frames, height, width = data.shape
    starts = np.unique(np.linspace(0, frames - 1 - gap, min(PAIRS, frames - gap)).round())
    grid = pixel_grid(height, width)[::STRIDE, ::STRIDE]
    cells, values = [np.zeros(0, int)], [np.zeros(0)]
    for t in starts.astype(int):
        back = np.linalg.inv(matrices[t + gap]) @ matrices[t]  # from here to there
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        later = cv2.warpPerspective(grey(data.frames[t + gap]), back, (width, height), flags=flags)
        shown = cv2.warpPerspective(
            _sure(data, t + gap), back, (width, height), flags=flags, borderValue=0
        )
        value, told = _correlation(grey(data.frames[t]), later)
        counts = (told & (shown == 255) & (_sure(data, t) == 255))[::STRIDE, ::STRIDE]
        place = np.column_stack([grid[counts], np.ones(counts.sum())]) @ matrices[t].T
        column, row = ((place[:, :2] / place[:, 2:] + 1) / 2 * CELLS).astype(int).T
        cells.append(row.clip(0, CELLS - 1) * CELLS + column.clip(0, CELLS - 1))
        values.append(value[::STRIDE, ::STRIDE][counts])
    return np.concatenate(cells), np.concatenate(values)


def _sure(data: ClipData, t: int) -> np.ndarray:  # uint8 [H, W]
    """255 where frame t shows the background for certain, away from its borders too."""
    size = 2 * max(2, round(MARGIN * max(data.shape[1:]))) + 1
    covered = (data.masks[:, t] > 64).any(0)
    if data.garbage is not None:
        covered |= data.garbage[t if len(data.garbage) > 1 else 0] > 0
    shown = 255 - covered.astype(np.uint8) * 255
    shown = cv2.erode(shown, np.ones((size, size), np.uint8), borderValue=255)
    shown[:3], shown[-3:], shown[:, :3], shown[:, -3:] = 0, 0, 0, 0
    return shown


def _correlation(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of two lumas around every pixel [H, W], and where both have the contrast to tell."""

    def around(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (0, 0), AROUND_PX)

    a, b = (image.astype(np.float32) for image in (first, second))
    a, b = a - around(a), b - around(b)
    of_a, of_b = around(a * a), around(b * b)
    told = np.minimum(of_a, of_b) > NOISE**2
    return around(a * b) / np.sqrt((of_a + 1) * (of_b + 1)), told


def _filled(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values, a little smoothed, and where they are not known the mean of those around; else 1."""
    found = np.ones_like(values)
    for sigma in (8.0, 4.0, 2.0, 0.7):  # the nearest that know anything have the last word
        sums = cv2.GaussianBlur(np.dstack([values * known, known]), (0, 0), sigma)
        found = np.where(sums[..., 1] > 0.02, sums[..., 0] / np.maximum(sums[..., 1], 0.02), found)
    return found
