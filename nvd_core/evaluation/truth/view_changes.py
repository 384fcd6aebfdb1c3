"""Points of a layer with windows in time, taken into its next window as paint is.

Each window has a part of the texture of its own, so that a point's place on the texture changes
where one ends: `editing/window_bridges.py` says where the frames beside the border show it.
"""

from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from nvd_core.editing.window_bridges import Bridge, LayerFrames, next_frame, seen_again
from nvd_core.shot.shot import Shot

NEAR = 1.5
"""pixels from a point at which a pixel of the other frame is to come from"""


class ViewChanges:
    """The layers of `shot` at the borders of their windows."""

    def __init__(self, shot: Shot) -> None:
        self._windows = [layer.windows for layer in shot.manifest.layers]
        self._frames = [LayerFrames(shot, name) for name in shot.names]
        self._ends: dict[tuple[int, int, int], _End | None] = {}

    def begins(self, n: int, t: int) -> bool:
        """Whether a window of layer `n` other than its first begins in frame `t`."""
        return t > 0 and any(first == t for first, _ in self._windows[n])

    def over_border(
        self, n: int, t: int, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:  # [K, 2], bool [K]
        """(u, v) in the window that begins in frame `t`, of pixels [K, 2] of the frame before.

        And of which that is certain; of the others it is the nearest guess.
        """
        key = n, t - 1, t
        if key not in self._ends:
            self._ends[key] = _End(self._frames[n], next_frame(self._frames[n], t - 1, 1))
        return self._ends[key].places(pixels)

    def again(
        self, n: int, frame: int, t: int, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:  # [K, 2], bool [K]
        """The same of pixels of any `frame`, where a frame of the window shows its view again."""
        key = n, frame, t
        if key not in self._ends:
            window = next(window for window in self._windows[n] if window[0] == t)
            bridge = seen_again(self._frames[n], frame, window)
            self._ends[key] = None if bridge is None else _End(self._frames[n], bridge)
        end = self._ends[key]
        if end is None:
            return np.zeros((len(pixels), 2)), np.zeros(len(pixels), bool)
        return end.places(pixels)


class _End:
    """The other frame of a bridge, asked for places of the first."""

    def __init__(self, frames: LayerFrames, bridge: Bridge) -> None:
        maps = frames.maps(bridge.other)
        self._uva = np.stack([maps.u, maps.v, maps.alpha], -1)
        self._size = np.array(maps.alpha.shape[::-1])
        self._rows, self._columns = np.nonzero(maps.alpha > 0)
        self._place = bridge.place[self._rows, self._columns]
        self._seen = bridge.seen[self._rows, self._columns]

    @cached_property
    def _trees(self) -> tuple[cKDTree, cKDTree]:
        return cKDTree(self._place[self._seen]), cKDTree(self._place)

    def places(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, v) [K, 2] of where the other frame shows these pixels, and where that is certain."""
        uv, certain = np.zeros((len(pixels), 2)), np.zeros(len(pixels), bool)
        if not len(self._place):
            return uv, certain
        sure, every = self._trees
        seen = np.flatnonzero(self._seen)
        for k, pixel in enumerate(pixels):
            away, at = sure.query(pixel) if len(seen) else (np.inf, 0)
            certain[k] = away < NEAR
            best = seen[at] if certain[k] else every.query(pixel)[1]
            x, y = np.array([self._columns[best], self._rows[best]]) + (pixel - self._place[best])
            height, width = self._uva.shape[:2]
            uv[k] = between(
                self._uva, float(np.clip(x, 0, width - 1)), float(np.clip(y, 0, height - 1))
            )
        return uv, certain


def between(uva: np.ndarray, x: float, y: float) -> np.ndarray:
    """(u, v) at a place between pixels: bilinear over those neighbours that show the layer."""
    height, width = uva.shape[:2]
    column, row = min(int(x), width - 2), min(int(y), height - 2)
    fx, fy = x - column, y - row
    patch = uva[row : row + 2, column : column + 2].astype(np.float64)
    weights = np.outer((1 - fy, fy), (1 - fx, fx)) * (patch[..., 2] > 0)
    if weights.sum() < 1e-9:
        return uva[round(y), round(x), :2]
    return (weights[..., None] * patch[..., :2]).sum((0, 1)) / weights.sum()
