"""Whether a layer's coordinates are good to paint on: how far they stretch."""

from dataclasses import dataclass

import numpy as np

from nvd_core.editing.strain import EXTREME, jacobians, singular_values
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps


@dataclass
class StretchMeter:
    """The share of a layer's pixels where the mapping stretches or squeezes extremely.

    With J the Jacobian of texel coordinates by pixels (forward differences), a pixel is extreme
    where J's larger singular value exceeds EXTREME or its smaller one falls below 1 / EXTREME.
    Baking makes the typical pixel about one texel wide. Only pixels count that belong to the layer
    together with their right and lower neighbours.
    """

    size: tuple[float, float]  # width and height of the texture
    parts: tuple[PartRecord, ...] = ()
    extreme: int = 0
    total: int = 0

    def add(self, maps: FrameMaps, n: int) -> None:
        """Take in layer `n` of a frame."""
        _, right, below = jacobians(maps, n, self.size, self.parts)
        largest, smallest = singular_values(right, below)
        self.extreme += int(np.count_nonzero((largest > EXTREME) | (smallest < 1 / EXTREME)))
        self.total += len(right)

    @property
    def value(self) -> float | None:
        """The extreme share, 0 at best; None for a layer without pixels."""
        return self.extreme / self.total if self.total else None
