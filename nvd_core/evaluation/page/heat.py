"""Stretch and folds as colours: over a frame, and gathered over a texture."""

import cv2
import numpy as np

from nvd_core.editing.strain import coloured, jacobians, singular_values, strain_of
from nvd_core.evaluation.pictures import to_bytes
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps

_LONGEST = 320
"""cells along the longer side of a texture"""


class LayerHeat:
    """Strain and folds of one layer over the frames that are pictured.

    Strain is |log2| of the texels that a pixel spans in the worst direction, as a share of
    EXTREME: 0 where a texel is a pixel wide, 1 where it is stretched or squeezed EXTREME times.
    """

    def __init__(self, size: tuple[int, int], parts: tuple[PartRecord, ...] = ()) -> None:
        """`size`: width and height of the texture; `parts`: the layer's."""
        self.size, self.parts = size, parts
        factor = min(1.0, _LONGEST / max(size))
        self._shape = max(round(size[1] * factor), 1), max(round(size[0] * factor), 1)
        cells = self._shape[0] * self._shape[1]
        self._strain, self._folds = np.zeros(cells), np.zeros(cells)
        self._count = np.zeros(cells)
        self._signs = [0, 0]  # pixels whose mapping keeps its side, and turns it over

    def add(self, maps: FrameMaps, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take in layer `n` of a frame; which pixels [H-1, W-1] are the layer's, and of these [N]
        the strain and whether they are folded.
        """
        inside, right, below = jacobians(maps, n, self.size, self.parts)
        strain = strain_of(*singular_values(right, below))
        determinant = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
        self._signs[0] += int(np.count_nonzero(determinant > 0))
        self._signs[1] += int(np.count_nonzero(determinant < 0))
        # the rarer side is the folded one, as in FoldMeter
        folded = determinant < 0 if self._signs[0] >= self._signs[1] else determinant > 0
        height, width = self._shape
        u, v = (maps.uva[n, :-1, :-1, c][inside] for c in (0, 1))
        column = (u * width).astype(int).clip(0, width - 1)
        row = ((1 - v) * height).astype(int).clip(0, height - 1)
        cell = row * width + column
        for sums, values in (
            (self._strain, strain), (self._folds, folded), (self._count, np.ones(len(cell))),
        ):  # fmt: skip
            sums += np.bincount(cell, values, len(sums))
        return inside, strain, folded

    def over_texture(self, colours: np.ndarray) -> np.ndarray:
        """The layer's texture [h, w, 3], 0..1, in grey with its strain and folds: uint8."""
        height, width = colours.shape[:2]
        count = np.maximum(self._count, 1)
        heat = (
            coloured((self._strain / count).clip(0, 1), self._folds / count > 0.5)
            * (self._count > 0)[:, None]
        )
        heat = heat.reshape(*self._shape, 4).astype(np.float32)
        heat = cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
        grey = np.repeat(colours.mean(2, keepdims=True), 3, axis=2) * 0.55 + 0.1
        return to_bytes(grey * (1 - heat[..., 3:]) + heat[..., :3])


def over_frame(
    shape: tuple[int, int], parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """What LayerHeat.add returned of every layer, as one picture uint8 RGBA [H, W, 4]."""
    heat = np.zeros((*shape, 4), np.float32)
    for inside, strain, folded in parts:
        heat[:-1, :-1][inside] = coloured(strain, folded)
    colours = heat[..., :3] / np.maximum(heat[..., 3:], 1e-6)
    return np.dstack([to_bytes(colours), to_bytes(heat[..., 3:])[..., 0]])
