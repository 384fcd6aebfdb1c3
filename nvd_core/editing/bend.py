"""How pins bend a layer's texture: a smooth displacement of its coordinates in space and time.

A pin says that a point p of the texture belongs at a pixel, where the maps have another point c.
So the coordinates are bent until c becomes p. With the pins' c_j(t) and shifts d_j(t) = p_j - c_j,
place x of the texture goes in frame t to

    x + sum_j w_j(t) phi(|x - c_j(t)| / r_j),    phi(s) = (1 - s)^4 (4 s + 1) for s < 1, else 0,

Wendland's function, which is 0 from the radius on and has a continuous second derivative. The
weights w_j solve the small linear system that makes it exact at every c_j. The bend is a
function of the texture's own coordinates, so it travels with the surface, wherever a layer goes.

Between its targets a pin's c_j(t) is a monotone cubic (PCHIP). Places are counted in the longer
side of the texture, x to the right and y down.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.time_windows import Window

RADIUS = 0.25
"""of the texture's longer side: how far a pin reaches by itself"""
WIDER = 4.0
"""times a pin's longest shift that it reaches at least, by itself: alone it never folds then"""
LEAST = 0.1
"""area that the bend may leave of an area of the texture, at least"""
ILL = 1e6
"""condition of the system from which on pins contradict each other"""
LATTICE = 160
"""nodes along the longer side at which folds are looked for"""
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Track:
    """One pin on its layer's texture: what the maps have at its targets, by frame."""

    name: str
    point: np.ndarray  # float64 [2], p
    frames: tuple[int, ...]
    seen: np.ndarray  # float64 [K, 2], c at these frames
    radius: float | None
    fade: tuple[int, int] | None
    window: Window | None = None
    """the frames whose part of the texture it is on, where the layer has windows"""

    @property
    def reach(self) -> float:
        """r: how far it reaches."""
        longest = float(np.hypot(*(self.point - self.seen).T).max())
        return self.radius or max(RADIUS, WIDER * longest)

    def at(self, t: int) -> tuple[np.ndarray, float]:
        """c, and how strong the pin is in frame `t`, 0 to 1."""
        first, last = self.frames[0], self.frames[-1]
        inner = min(max(t, first), last)
        seen = self.seen[0]
        if len(self.frames) > 1:
            seen = PchipInterpolator(self.frames, self.seen)(inner)
        if self.window is not None and not self.window[0] <= t <= self.window[1]:
            return seen, 0.0
        if self.fade is None or t == inner:
            return seen, 1.0
        away, frames = (first - t, self.fade[0]) if t < first else (t - last, self.fade[1])
        share = max(1 - away / (frames + 1), 0.0)
        return seen, share * share * (3 - 2 * share)


@dataclass(frozen=True)
class FrameBend:
    """The bend of a layer's texture in one frame."""

    centres: np.ndarray  # float64 [N, 2]
    weights: np.ndarray  # float64 [N, 2]
    radii: np.ndarray  # float64 [N]

    @property
    def moves(self) -> bool:
        """Whether it is more than the identity."""
        return bool(self.weights.any())

    def shift(self, places: np.ndarray) -> np.ndarray:  # float64 [P, 2]
        """By how much places [P, 2] are moved."""
        moved = np.zeros(places.shape)
        for centre, weight, radius in zip(self.centres, self.weights, self.radii, strict=True):
            s = np.hypot(*(places - centre).T) / radius
            near = s < 1
            moved[near] += _phi(s[near])[:, None] * weight
        return moved

    def areas(self, places: np.ndarray) -> np.ndarray:  # float64 [P]
        """What becomes of a small area at the places: the bend's determinant, below 0 in a fold."""
        jacobian = np.broadcast_to(np.eye(2), (len(places), 2, 2)).copy()
        for centre, weight, radius in zip(self.centres, self.weights, self.radii, strict=True):
            away = places - centre
            s = np.hypot(*away.T) / radius
            slope = np.where(s < 1, -20 * (1 - np.minimum(s, 1)) ** 3, 0) / radius**2
            jacobian += weight[None, :, None] * (slope[:, None] * away)[:, None, :]
        return np.linalg.det(jacobian)

    def bent(self, uv: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Coordinates [P, 2], u right and v UP in 0..1, of a texture of this `size`; the same kind.

        Not clamped: what a pin pushes beyond the texture is beyond 0..1.
        """
        scale = np.array(size, np.float64) / max(size)
        result = np.empty(uv.shape)
        for first in range(0, len(uv), _CHUNK):
            part = uv[first : first + _CHUNK].astype(np.float64)
            part[:, 1] = 1 - part[:, 1]
            part += self.shift(part * scale) / scale
            part[:, 1] = 1 - part[:, 1]
            result[first : first + _CHUNK] = part
        return result


class LayerBend:
    """The bend of one layer's texture over the clip. NvdError where a frame would fold."""

    def __init__(self, layer: str, size: tuple[int, int], tracks: Sequence[Track]) -> None:
        """`size`: width and height of the texture."""
        self.layer, self.size, self.tracks = layer, size, list(tracks)
        self._checked: dict[bytes, float] = {}  # a bend that holds is the same in many frames

    def at(self, t: int) -> FrameBend:
        """The bend in frame `t`; NvdError where pins contradict each other."""
        found = [track.at(t) for track in self.tracks]
        centres = np.array([seen for seen, _ in found]).reshape(-1, 2)
        points = np.array([track.point for track in self.tracks]).reshape(-1, 2)
        strength = np.array([strong for _, strong in found])
        shifts = strength[:, None] * (points - centres)
        radii = np.array([track.reach for track in self.tracks])
        if not shifts.any():
            return FrameBend(centres, np.zeros_like(shifts), radii)
        apart = np.hypot(*np.moveaxis(centres[:, None] - centres[None], -1, 0)) / radii
        system = np.where(apart < 1, _phi(np.minimum(apart, 1)), 0)
        if np.linalg.cond(system) > ILL:
            raise self._contradiction(centres, t)
        return FrameBend(centres, np.linalg.solve(system, shifts), radii)

    def check(self, t: int) -> float:
        """The least that the bend leaves of an area in frame `t`; NvdError where it folds."""
        bend = self.at(t)
        if not bend.moves:
            return 1.0
        key = bend.centres.tobytes() + bend.weights.tobytes()
        if key not in self._checked:
            self._checked[key] = self._least(bend, t)
        return self._checked[key]

    def _least(self, bend: FrameBend, t: int) -> float:
        scale = np.array(self.size) / max(self.size)
        low = np.maximum((bend.centres - bend.radii[:, None]).min(0), 0)
        high = np.minimum((bend.centres + bend.radii[:, None]).max(0), scale)
        step = min(1 / LATTICE, float(bend.radii.min()) / 12)
        counts = np.clip(np.ceil((high - low) / step).astype(int) + 1, 2, 4 * LATTICE)
        axes = [np.linspace(*ends, count) for *ends, count in zip(low, high, counts, strict=True)]
        nodes = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
        nodes = np.concatenate([nodes, bend.centres])
        areas = bend.areas(nodes)
        worst = int(areas.argmin())
        if areas[worst] < LEAST:
            near = np.hypot(*(bend.centres - nodes[worst]).T).argmin()
            name, reach = self.tracks[near].name, bend.radii[near]
            raise NvdError(
                f"the pin {name} would fold the texture of {self.layer} in frame {t}",
                expected=f"a bend that leaves {LEAST:g} of every area",
                found=f"{areas[worst]:.2f} of it, with a radius of {reach:.3g}",
                remedy="give it a larger --radius, a place nearer by, or another pin between",
            )
        return float(areas[worst])

    def _contradiction(self, centres: np.ndarray, t: int) -> NvdError:
        apart = np.hypot(*np.moveaxis(centres[:, None] - centres[None], -1, 0))
        np.fill_diagonal(apart, np.inf)
        one, other = np.unravel_index(apart.argmin(), apart.shape)
        names = " and ".join(self.tracks[n].name for n in (one, other))
        return NvdError(
            f"the pins {names} hold one place of {self.layer} in frame {t}",
            expected="pins that lie apart",
            found=f"{apart[one, other]:.2g} of the texture's longer side between them",
            remedy="remove one of them, or move it",
        )


def _phi(s: np.ndarray) -> np.ndarray:
    return (1 - s) ** 4 * (4 * s + 1)
