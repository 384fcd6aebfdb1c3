"""Whether a layer's coordinates hold still under the surface: how far paint trembles."""

from dataclasses import dataclass, field

import numpy as np

from nvd_core.evaluation.metrics import OPAQUE
from nvd_core.runtime.time_windows import Window
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_numbers

_MOST_POINTS = 10_000
"""pixels of a frame that are looked at"""
_LEAST_POINTS = 12
"""fewer say nothing of how a whole layer moves"""


@dataclass
class FlickerMeter:
    """How far paint on a layer trembles against its surroundings from frame to frame, in pixels.

    At a pixel that shows the layer in three frames on end, the second difference of its texel
    coordinates over time, brought back into pixels by the Jacobian, is how much the texture's
    motion changes there. What an affine motion of the whole layer explains, the camera's jolts
    among it, is taken off; the root mean square of the lower nine tenths of the rest is the
    frame's flicker, and that of the clip is the mean over its frames. Real changes of an
    object's shape count too, so that a walking animal has more of it than a wall.
    """

    size: tuple[float, float]  # width and height of the texture
    pixel: float = 1.0  # pixels of the maps that count as one
    windows: tuple[Window, ...] = ()  # in time, of which each has its own part of the texture
    parts: tuple[PartRecord, ...] = ()  # of the texture; what changes them tells nothing
    per_frame: list[float] = field(default_factory=list)
    _taken: int = field(default=0, repr=False)
    _last: list[np.ndarray] = field(default_factory=list, repr=False)

    def add(self, maps: FrameMaps, n: int) -> None:
        """Take in layer `n` of the next frame."""
        if any(first == self._taken for first, _ in self.windows):
            self._last = []
        self._taken += 1
        uva = maps.uva[n]
        step = max(1, int(np.sqrt(uva.shape[0] * uva.shape[1] / _MOST_POINTS)))
        # each sampled pixel with its neighbours on the right and below
        here, right, below = (
            part[: (uva.shape[0] - 1) : step, : (uva.shape[1] - 1) : step].astype(np.float64)
            for part in (uva, uva[:, 1:], uva[1:])
        )
        self._last = [*self._last[-2:], np.stack([here, right, below])]
        if len(self._last) == 3:
            before, now, after = self._last
            flicker = _flicker(before, now, after, np.array(self.size), step, self.parts)
            if flicker is not None:
                self.per_frame.append(flicker / self.pixel)

    @property
    def value(self) -> float | None:
        """Pixels, 0 at best; None where no three frames on end show the layer."""
        return float(np.mean(self.per_frame)) if self.per_frame else None


def _flicker(
    before: np.ndarray,  # [3, h, w, 3]: u, v, alpha of pixels and of their two neighbours
    now: np.ndarray,
    after: np.ndarray,
    size: np.ndarray,
    step: int,
    parts: tuple[PartRecord, ...],
) -> float | None:
    shown = np.minimum(np.minimum(before[0], after[0])[..., 2], now[..., 2].min(0)) > OPAQUE
    if parts:
        own, *others = (
            part_numbers(parts, side[..., 0], side[..., 1]) for side in (*now, before[0], after[0])
        )
        shown &= np.all([own == other for other in others], 0)
    if np.count_nonzero(shown) < _LEAST_POINTS:
        return None
    texels = [part[0, shown, :2] * size for part in (before, now, after)]
    right, below = (now[k, shown, :2] * size - texels[1] for k in (1, 2))
    change = texels[0] - 2 * texels[1] + texels[2]
    determinant = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
    steady = np.abs(determinant) > 1e-3  # elsewhere a pixel is no place in the texture
    if np.count_nonzero(steady) < _LEAST_POINTS:
        return None
    change, right, below = change[steady], right[steady], below[steady]
    moved = np.stack(
        [
            change[:, 0] * below[:, 1] - change[:, 1] * below[:, 0],
            change[:, 1] * right[:, 0] - change[:, 0] * right[:, 1],
        ],
        1,
    )
    moved /= determinant[steady, None]
    places = np.argwhere(shown)[steady] * step
    rest = _without_affine(places, moved)
    kept = np.sort(rest)[: int(np.ceil(0.9 * len(rest)))]
    return float(np.sqrt(np.mean(kept**2)))


def _without_affine(places: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Lengths [N] of what an affine motion leaves of `moved` [N, 2]; outliers do not bend it."""
    ground = np.column_stack([places - places.mean(0), np.ones(len(places))])
    kept = np.ones(len(places), bool)
    rest = np.zeros(len(places))
    for _ in range(3):
        motion = np.linalg.lstsq(ground[kept], moved[kept], rcond=None)[0]
        rest = np.linalg.norm(moved - ground @ motion, axis=1)
        kept = rest <= max(3 * float(np.median(rest)), 1e-9)
    return rest
