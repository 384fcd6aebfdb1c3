"""Whether a layer's coordinates hold still under the surface: how far paint trembles."""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from nvd_core.evaluation.metrics import OPAQUE
from nvd_core.runtime.time_windows import Window
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_numbers

_MOST_POINTS = 10_000
"""pixels of a frame that are looked at"""
_LEAST_POINTS = 12
"""fewer say nothing of how a whole layer moves"""
_FINER = 4
"""times as dense as those pixels is what is kept of a frame to find them in"""
_STEPS = 8
"""of Newton, to where a texel lies in the frame beside"""
_ROUNDS, _TRIED, _TOLD_BY = 4, 100, 1000
"""in which places are shared out between two bodies; motions that are tried, and on how many"""
_CLEARLY = 0.4
"""times the flicker of one body two have to leave: of trembling they leave half, of a nod less"""
_THIN = 1e-3
"""of the texels that most pixels span: a pixel with less has no place in the texture"""
_FOUND = 0.05
"""pixels of what is kept, from which on it is found"""


@dataclass
class FlickerMeter:
    """How far paint on a layer trembles against its surroundings from frame to frame, in pixels.

    What a pixel shows of the texture is looked for in the frame before and the one behind; the
    second difference of the three places is how much its motion changes there. What an affine
    motion of the whole layer explains, the camera's jolts among it, is taken off; the root mean
    square of the lower nine tenths of the rest is the frame's flicker, and that of the clip is the
    mean over its frames. Real changes of an object's shape count too, so that a walking animal has
    more of it than a wall; a turn, however fast, has none. Of a layer with several views a part may
    turn beside the rest, as a head on its shoulders: each has an affine motion of its own, if what
    one for both leaves leads on from frame to frame. Of what trembles it comes back.
    """

    size: tuple[float, float]  # width and height of the texture
    pixel: float = 1.0  # pixels of the maps that count as one
    windows: tuple[Window, ...] = ()  # in time, of which each has its own part of the texture
    parts: tuple[PartRecord, ...] = ()  # of the texture; what changes them tells nothing
    _per_frame: list[tuple[float, float]] = field(default_factory=list, repr=False)
    """of one body, and of as many as there may be"""
    _led_on: float = field(default=0.0, repr=False)
    """how far what one body leaves is the same in the next frame, squared pixels; below 0: not"""
    _left: "_Left | None" = field(default=None, repr=False)
    _taken: int = field(default=0, repr=False)
    _last: list[np.ndarray] = field(default_factory=list, repr=False)

    def add(self, maps: FrameMaps, n: int) -> None:
        """Take in layer `n` of the next frame."""
        if any(first == self._taken for first, _ in self.windows):
            self._last, self._left = [], None
        self._taken += 1
        uva = maps.uva[n]
        step = max(1, int(np.sqrt(uva.shape[0] * uva.shape[1] / _MOST_POINTS)))
        kept = max(1, step // _FINER)
        places = uva[::kept, ::kept].astype(np.float32)  # a copy
        places[..., :2] *= self.size
        self._last = [*self._last[-2:], places]
        if len(self._last) == 3:
            self._take(step // kept, kept / self.pixel)

    def _take(self, step: int, unit: float) -> None:
        """The flicker of the last three frames, by pixels `step` apart, each `unit` pixels wide."""
        changed = _changes(self._last, step, np.array(self.size, np.float32), self.parts)
        if changed is None:
            self._left = None
            return
        at, then, change = changed
        left = _without_affine(at, change)
        rests = [np.linalg.norm(left, axis=1)] * 2
        if self.windows:
            rests[1] = _of_two_bodies(at, change, rests[0])
            if self._left is not None:
                self._led_on += self._left.goes_on_in(then, left)
            self._left = _Left(cKDTree(at), left, step)
        one, several = (unit * _root_mean_square(rest) for rest in rests)
        self._per_frame.append((one, several))

    @property
    def value(self) -> float | None:
        """Pixels, 0 at best; None where no three frames on end show the layer."""
        if not self._per_frame:
            return None
        return float(np.mean(self._per_frame, axis=0)[int(self._led_on > 0)])


@dataclass
class _Left:
    """What an affine motion of all leaves of a frame's changes."""

    places: cKDTree
    rest: np.ndarray  # [N, 2]
    near: float

    def goes_on_in(self, places: np.ndarray, rest: np.ndarray) -> float:
        """The mean product with what is left at the same texels, now there, in the next frame."""
        away, which = self.places.query(places)
        same = away <= self.near
        if not same.any():
            return 0.0
        return float((self.rest[which[same]] * rest[same]).sum(1).mean())


def _changes(
    frames: list[np.ndarray],  # three of [h, w, 3]: place in texels, alpha
    step: int,
    size: np.ndarray,
    parts: tuple[PartRecord, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:  # [N, 2] each
    """Places in the middle frame, where the one before shows their texels, and how much their
    motion changes; None where too few are known.
    """
    before, now, after = frames
    inner = (slice(0, now.shape[0] - 1, step), slice(0, now.shape[1] - 1, step))
    corners = now[inner], now[:, 1:][inner], now[1:][inner]
    shown = np.min([corner[..., 2] for corner in corners], 0) > OPAQUE
    if parts:
        numbers = [part_numbers(parts, c[..., 0] / size[0], c[..., 1] / size[1]) for c in corners]
        shown &= (numbers[1] == numbers[0]) & (numbers[2] == numbers[0])
    if np.count_nonzero(shown) < _LEAST_POINTS:
        return None
    at = np.argwhere(shown)[:, ::-1].astype(np.float32) * step
    texels = corners[0][shown][:, :2]
    (then, found), (since, again) = (_followed(one, at, texels) for one in (before, after))
    both = found & again
    if np.count_nonzero(both) < _LEAST_POINTS:
        return None
    change = (then - 2 * at + since)[both].astype(np.float64)
    return at[both].astype(np.float64), then[both].astype(np.float64), change


def _root_mean_square(rest: np.ndarray) -> float:
    """Of the lower nine tenths."""
    kept = np.sort(rest)[: int(np.ceil(0.9 * len(rest)))]
    return float(np.sqrt(np.mean(kept**2)))


def _followed(
    frame: np.ndarray, start: np.ndarray, texels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where a frame [h, w, 3] shows these texels [N, 2], looked for from `start`; which it does."""
    places, off = start.copy(), np.full(len(start), np.inf)
    for _ in range(_STEPS):
        here, right, below = (_shown(frame, places + shift) for shift in ((0, 0), (1, 0), (0, 1)))
        right, below, wanted = right - here, below - here, texels - here
        determinant = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
        spanned = np.abs(determinant)
        usual = np.median(spanned[np.isfinite(spanned)]) if np.isfinite(spanned).any() else 0.0
        determinant[~(spanned > _THIN * usual)] = np.nan
        move = np.column_stack(
            [
                wanted[:, 0] * below[:, 1] - wanted[:, 1] * below[:, 0],
                wanted[:, 1] * right[:, 0] - wanted[:, 0] * right[:, 1],
            ]
        )
        move /= determinant[:, None]
        off = np.linalg.norm(move, axis=1)
        places = places + move
    return places, off < _FOUND


def _shown(frame: np.ndarray, places: np.ndarray) -> np.ndarray:  # [N, 2]
    """Texels that a frame shows at places [N, 2] between its pixels; NaN beside the layer."""
    height, width = frame.shape[:2]
    inside = (places >= 0).all(1) & (places <= (width - 1, height - 1)).all(1)  # not NaN either
    found = np.full((len(places), 2), np.nan, np.float32)
    found[inside] = _between(frame, places[inside])
    return found


def _between(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear, of four pixels that all show the layer."""
    height, width = frame.shape[:2]
    x, y = (np.minimum(places[:, k].astype(int), most - 2) for k, most in ((0, width), (1, height)))
    across, down = (places - np.column_stack([x, y])).T[..., None]
    corners = frame[y, x], frame[y, x + 1], frame[y + 1, x], frame[y + 1, x + 1]
    upper = corners[0] * (1 - across) + corners[1] * across
    lower = corners[2] * (1 - across) + corners[3] * across
    values = upper * (1 - down) + lower * down
    opaque = np.min([corner[:, 2] for corner in corners], 0) > OPAQUE
    return np.where(opaque[:, None], values[:, :2], np.nan)


def _without_affine(places: np.ndarray, moved: np.ndarray) -> np.ndarray:  # [N, 2] each
    """What an affine motion leaves of `moved`; outliers do not bend it."""
    return _robust(_ground(places), moved, np.ones(len(places), bool))[0]


def _of_two_bodies(places: np.ndarray, moved: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Lengths [N] of what is left where two bodies have an affine motion each.

    A place goes with that which leaves less; where that is not clearly less than the `rest` [N]
    that one leaves, they are one.
    """
    ground = _ground(places)
    one, shared = _of_one_body(ground, moved), rest
    for _ in range(_ROUNDS):
        if min(np.count_nonzero(one), np.count_nonzero(~one)) < _LEAST_POINTS:
            break
        first, other = (
            np.linalg.norm(_robust(ground, moved, chosen)[0], axis=1) for chosen in (one, ~one)
        )
        one, both = first <= other, np.minimum(first, other)
        shared = min(shared, both, key=_root_mean_square)
    clearly = _root_mean_square(shared) < _CLEARLY * _root_mean_square(rest)
    return shared if clearly else rest


def _ground(places: np.ndarray) -> np.ndarray:  # [N, 2] -> [N, 3]
    return np.column_stack([places - places.mean(0), np.ones(len(places))])


def _of_one_body(ground: np.ndarray, moved: np.ndarray) -> np.ndarray:  # bool [N]
    """Places that go with one affine motion: of many that three places tell, the best for three
    tenths of all."""
    random = np.random.default_rng(0)
    some = random.choice(len(moved), min(len(moved), _TOLD_BY), replace=False)
    rests = []
    for triple in random.choice(some, (_TRIED, 3)):
        motion = np.linalg.lstsq(ground[triple], moved[triple], rcond=None)[0]
        rests.append(np.linalg.norm(moved[some] - ground[some] @ motion, axis=1))
    near = np.quantile(rests, 0.3, axis=1)
    best = np.argmin(near)
    chosen = np.zeros(len(moved), bool)
    chosen[some[rests[best] <= max(3 * float(near[best]), 1e-3)]] = True
    if np.count_nonzero(chosen) < _LEAST_POINTS:
        return chosen
    rest = np.linalg.norm(_robust(ground, moved, chosen)[0], axis=1)
    return rest <= max(3 * float(np.median(rest[chosen])), 1e-3)


def _robust(
    ground: np.ndarray, moved: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the affine motion of most of the `chosen` leaves of all [N, 2], and which go with it."""
    kept = chosen
    left = np.zeros_like(moved)
    for _ in range(3):
        motion = np.linalg.lstsq(ground[kept], moved[kept], rcond=None)[0]
        left = moved - ground @ motion
        rest = np.linalg.norm(left, axis=1)
        within = rest <= max(3 * float(np.median(rest[chosen])), 1e-9)
        kept = within & chosen
    return left, kept
