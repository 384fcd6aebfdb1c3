"""Whether the learned light changes as the true light does, at points that are known."""

from dataclasses import dataclass, field

import numpy as np

from nvd_core.evaluation.metrics import OPAQUE
from nvd_core.evaluation.truth.tracks import Tracks
from nvd_core.shot.maps import FrameMaps

STEADY = 0.03
"""standard deviation of the logarithm of the true light below which it does not change"""
_LEAST = 0.02


@dataclass
class LightMeter:
    """Correlation of the changes of the residual with those of the true light.

    How much of a surface's brightness its texture holds and how much its light is not determined,
    so only changes at one point of the surface are compared: at the true track points, in frames
    that show them, the mean logarithm over the track is taken off, channel by channel.
    """

    tracks: Tracks
    learned: list[np.ndarray] = field(default_factory=list)  # [N, 3] a frame, NaN where not seen
    true: list[np.ndarray] = field(default_factory=list)

    def add(self, maps: FrameMaps, light: np.ndarray, true_alpha: np.ndarray) -> None:
        """Take in the next frame, its true light [H, W, 3] and the true alphas [L, H, W]."""
        t, (height, width) = len(self.true), light.shape[:2]
        place = np.rint(self.tracks.points[:, t]).astype(int)
        column, row = place[:, 0].clip(0, width - 1), place[:, 1].clip(0, height - 1)
        layer = self.tracks.layer
        seen = ~self.tracks.occluded[:, t]
        seen &= (maps.uva[layer, row, column, 2] > OPAQUE) & (true_alpha[layer, row, column] > 0.99)
        values = maps.residual[layer, row, column], light[row, column]
        for kept, value in zip((self.learned, self.true), values, strict=True):
            kept.append(np.where(seen[:, None], np.log(np.maximum(value, _LEAST)), np.nan))

    def value(self, layer: int) -> float | None:
        """Pearson's correlation for one layer; None where its true light does not change."""
        chosen = self.tracks.layer == layer
        learned, true = (np.stack(a, 1)[chosen] for a in (self.learned, self.true))
        often = (~np.isnan(true[..., 0])).sum(1) >= 2
        if not often.any():
            return None
        learned, true = (a[often] - np.nanmean(a[often], 1, keepdims=True) for a in (learned, true))
        known = ~np.isnan(true)
        learned, true = learned[known], true[known]
        if true.std() < STEADY:
            return None
        if learned.std() < 1e-6:
            return 0.0
        return float(np.corrcoef(learned, true)[0, 1])
