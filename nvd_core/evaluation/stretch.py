"""Whether a layer's coordinates are good to paint on: how far they stretch."""

from dataclasses import dataclass

import numpy as np

from nvd_core.evaluation.metrics import OPAQUE
from nvd_core.shot.maps import FrameMaps

EXTREME = 4.0
"""texels for a pixel, or pixels for a texel, from which paint looks coarse or is lost"""


@dataclass
class StretchMeter:
    """The share of a layer's pixels where the mapping stretches or squeezes extremely.

    With J the Jacobian of texel coordinates by pixels (forward differences), a pixel is extreme
    where J's larger singular value exceeds EXTREME or its smaller one falls below 1 / EXTREME.
    Baking makes the typical pixel about one texel wide. Only pixels count that belong to the layer
    together with their right and lower neighbours.
    """

    size: tuple[float, float]  # width and height of the texture
    extreme: int = 0
    total: int = 0

    def add(self, maps: FrameMaps, n: int) -> None:
        """Take in layer `n` of a frame."""
        _, right, below = jacobians(maps, n, self.size)
        largest, smallest = singular_values(right, below)
        self.extreme += int(np.count_nonzero((largest > EXTREME) | (smallest < 1 / EXTREME)))
        self.total += len(right)

    @property
    def value(self) -> float | None:
        """The extreme share, 0 at best; None for a layer without pixels."""
        return self.extreme / self.total if self.total else None


def jacobians(
    maps: FrameMaps, n: int, size: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # bool [H-1, W-1], [N, 2], [N, 2]
    """Which pixels belong to layer `n` with their right and lower neighbours, and what of texels,
    counted right and up, a step to the right and one below is at each. `size` is the texture's.
    """
    texels = maps.uva[n, ..., :2].astype(np.float64) * size
    inside = maps.uva[n, ..., 2] > OPAQUE
    inside = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1]
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
