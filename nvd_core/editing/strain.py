"""Strain and folds of a layer's coordinates, and the colours in which they are shown."""

from collections.abc import Sequence

import numpy as np

from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_numbers

EXTREME = 4.0
"""texels for a pixel, or pixels for a texel, from which paint looks coarse or is lost"""
OPAQUE = 0.5
"""alpha above which a pixel is a layer's own"""
RAMP = np.array(
    [[0.99, 0.91, 0.51], [0.99, 0.68, 0.28], [0.91, 0.33, 0.22], [0.62, 0.09, 0.25]], np.float32
)
"""from no strain worth a colour to EXTREME; page.css shows the same"""
FOLD = np.array([0.13, 0.78, 0.95], np.float32)
FAINT = 0.35
"""strain, as a share of EXTREME's, below which nothing is drawn"""


def jacobians(
    maps: FrameMaps, n: int, size: tuple[float, float], parts: Sequence[PartRecord] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # bool [H-1, W-1], [N, 2], [N, 2]
    """Which pixels belong to layer `n` with their right and lower neighbours, and what of texels,
    counted right and up, a step to the right and one below is at each. `size` is the texture's.
    Neighbours of different `parts` tell nothing.
    """
    texels = maps.uva[n, ..., :2].astype(np.float64) * size
    inside = maps.uva[n, ..., 2] > OPAQUE
    inside = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1]
    if parts:
        numbers = part_numbers(parts, maps.uva[n, ..., 0], maps.uva[n, ..., 1])
        here = numbers[:-1, :-1]
        inside &= (numbers[:-1, 1:] == here) & (numbers[1:, :-1] == here)
    right = (texels[:-1, 1:] - texels[:-1, :-1])[inside]
    below = (texels[1:, :-1] - texels[:-1, :-1])[inside]
    return inside, right, below


def singular_values(
    right: np.ndarray,  # [N, 2], first columns of 2 x 2 matrices
    below: np.ndarray,  # [N, 2], second columns
) -> tuple[np.ndarray, np.ndarray]:  # [N] larger and smaller
    """Singular values in closed form: half of sum and difference of the two |a +- ib| below."""
    sum_ = np.hypot(right[:, 0] + below[:, 1], right[:, 1] - below[:, 0])
    difference = np.hypot(right[:, 0] - below[:, 1], right[:, 1] + below[:, 0])
    return (sum_ + difference) / 2, np.abs(sum_ - difference) / 2


def strain_of(largest: np.ndarray, smallest: np.ndarray) -> np.ndarray:
    """Strain [N], 0 to 1, by singular values: |log2| of the worse one as a share of EXTREME's."""
    least = EXTREME**-2  # what is beyond is all the same
    worst = np.maximum(np.log2(np.maximum(largest, least)), -np.log2(np.maximum(smallest, least)))
    return (worst / np.log2(EXTREME)).clip(0, 1)


def coloured(strain: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """RGBA [N, 4], premultiplied, of strain [N] and folds [N]."""
    share = ((strain - FAINT) / (1 - FAINT)).clip(0, 1)
    place = share * (len(RAMP) - 1)
    low = place.astype(int).clip(0, len(RAMP) - 2)
    mix = (place - low)[:, None]
    colours = RAMP[low] * (1 - mix) + RAMP[low + 1] * mix
    alpha = np.where(strain > FAINT, 0.35 + 0.5 * share, 0)
    colours = np.where(folded[:, None], FOLD, colours)
    alpha = np.where(folded, 0.95, alpha)[:, None]
    return np.concatenate([colours * alpha, alpha], 1)
