"""Whether an object's tracks move as one, or as several parts of which each moves as one.

A part is what one similarity for every pair of frames explains. Parts are looked for greedily: a
motion is fitted to a few neighbours that the motions so far do not explain, and kept if many tracks
come to fit it. A split counts only where enough tracks fall from clearly wrong to right. What a
smooth bend of the whole explains, as one sheet can follow it, is not wrong.
"""

from dataclasses import dataclass

import numpy as np

from nvd_core.priors.tracks import Tracks

GAP = 8
"""frames between those that are compared, at most"""
WRONG, RIGHT = 2.0, 1.0
"""pixels at 480 lines from which a track is explained wrongly, and up to which it is right"""
LINES = 480
GAIN = 0.1
"""share of the tracks' pairs of frames that a split must bring from wrong to right"""
EACH = 0.03
"""and each of its parts"""
MOST = 4
FEWEST, NEIGHBOURS, SEEDS, ROUNDS = 8, 10, 40, 6
_FAR = 20.0


@dataclass(frozen=True)
class Split:
    """Parts of an object, as tracks tell them."""

    number: np.ndarray  # int [N] by track, 0 for the largest
    gain: float
    """share of the tracks' pairs of frames that one sheet has wrong and these have right"""

    @property
    def count(self) -> int:
        """Number of parts."""
        return int(self.number.max()) + 1


def find_split(tracks: Tracks, lines: int, most: int = MOST) -> Split | None:
    """The parts of what the tracks show of a frame with so many `lines`; None: it moves as one."""
    pairs = _Pairs(tracks, lines)
    if pairs.alive.sum(1).astype(bool).sum() < 2 * FEWEST:
        return None
    random = np.random.default_rng(0)
    everyone = np.ones(len(tracks), bool)
    errors = [pairs.errors(pairs.fitted(everyone))]
    wrong = pairs.alive & (np.minimum(errors[0], pairs.bent_errors()) > WRONG)
    for _ in range(1, most):
        found = _next_part(pairs, errors, wrong, random)
        if found is None:
            break
        errors.append(found)
    number = _cost(errors, pairs).argmin(0)
    for _ in range(ROUNDS):
        errors = [pairs.errors(pairs.fitted(number == k)) for k in range(len(errors))]
        number = _cost(errors, pairs).argmin(0)
    number, errors = _largest_first(number, errors)
    together = np.take_along_axis(np.stack(errors), number[None, :, None], 0)[0]
    gain = float((wrong & (together < RIGHT)).sum() / pairs.alive.sum())
    if len(errors) < 2 or gain < GAIN:
        return None
    return Split(number, round(gain, 4))


class _Pairs:
    """Tracks at pairs of frames; lengths in pixels of a frame of LINES lines."""

    def __init__(self, tracks: Tracks, lines: int) -> None:
        frames = tracks.seen.shape[1]
        gap = max(1, min(GAP, frames // 3))
        firsts = np.arange(0, frames - gap, max(1, gap // 4))
        self.alive = tracks.seen[:, firsts] & tracks.seen[:, firsts + gap]  # [N, P]
        points = tracks.points.astype(np.float64) * (LINES / lines)
        self.start, self.end = points[:, firsts], points[:, firsts + gap]  # [N, P, 2]

    def fitted(self, members: np.ndarray) -> list[np.ndarray | None]:
        """The similarity [2, 3] of each pair that most of the `members`, bool [N], agree on."""
        return [self._fit(np.flatnonzero(members & alive), p) for p, alive in self._each()]

    def _each(self):
        return enumerate(self.alive.T)

    def _fit(self, chosen: np.ndarray, p: int) -> np.ndarray | None:
        if len(chosen) < 3:
            return None
        a, b = self.start[chosen, p], self.end[chosen, p]
        weight = np.ones(len(a))
        fit = np.zeros((2, 3))
        for width in (8.0, 4.0, 2.0, 1.0, 1.0):
            fit = _similarity(a, b, weight)
            off = np.hypot(*(a @ fit[:, :2].T + fit[:, 2] - b).T)
            weight = 1 / (1 + (off / width) ** 2) ** 2
        return fit

    def bent_errors(self) -> np.ndarray:
        """How far off each track is at each pair where all of them bend smoothly, float [N, P]."""
        errors = np.full(self.alive.shape, _FAR)
        for p, alive in self._each():
            a, b = self.start[alive, p], self.end[alive, p]
            if len(a) < 2 * FEWEST:
                continue
            x, y = ((a - a.mean(0)) / max(float(a.std()), 1e-6)).T
            ground = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1)
            off = np.zeros(len(a))
            for width in (8.0, 4.0, 2.0, 2.0):
                root = np.sqrt(1 / (1 + (off / width) ** 2) ** 2)[:, None]
                fit = np.linalg.lstsq(ground * root, b * root, rcond=None)[0]
                off = np.hypot(*(ground @ fit - b).T)
            errors[alive, p] = off
        return np.minimum(errors, _FAR)

    def errors(self, fits: list[np.ndarray | None]) -> np.ndarray:
        """How far off each track is at each pair, float [N, P]; _FAR where nothing is known."""
        errors = np.full(self.alive.shape, _FAR)
        for p, fit in enumerate(fits):
            if fit is not None:
                at = self.start[:, p] @ fit[:, :2].T + fit[:, 2]
                errors[:, p] = np.hypot(*(at - self.end[:, p]).T)
        return np.minimum(errors, _FAR)


def _similarity(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The [2, 3] similarity that takes a to b, [n, 2] each, by weighted least squares."""
    total = max(float(weight.sum()), 1e-9)
    middle_a, middle_b = (weight @ a) / total, (weight @ b) / total
    za, zb = ((p - m) @ np.array([1, 1j]) for p, m in ((a, middle_a), (b, middle_b)))
    turn = (weight * za.conj() * zb).sum() / max((weight * np.abs(za) ** 2).sum(), 1e-9)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, middle_b - linear @ middle_a])


def _cost(errors: list[np.ndarray], pairs: _Pairs) -> np.ndarray:  # [K, N]
    """How badly each motion explains each track: the mean of its errors, each at most _FAR."""
    told = pairs.alive
    count = np.maximum(told.sum(1), 1)
    return np.stack([np.where(told, np.minimum(e, 4 * WRONG), 0).sum(1) / count for e in errors])


def _next_part(
    pairs: _Pairs, errors: list[np.ndarray], wrong: np.ndarray, random: np.random.Generator
) -> np.ndarray | None:
    """Errors by the motion that explains most of what no other does; None where none explains
    enough."""
    best = np.min(errors, 0)
    wrong = wrong & (best > WRONG)
    worst = _cost(errors, pairs).min(0) * pairs.alive.any(1)
    bad = np.flatnonzero(wrong.sum(1) > 0.3 * np.maximum(pairs.alive.sum(1), 1))
    if len(bad) < FEWEST:
        return None
    weight = worst[bad] / worst[bad].sum()
    seeds = random.choice(bad, min(SEEDS, len(bad)), replace=False, p=weight)
    found, most = None, EACH * pairs.alive.sum()
    for seed in seeds:
        members = _neighbours(pairs, bad, seed)
        for _ in range(3):
            now = pairs.errors(pairs.fitted(members))
            gained = wrong & (now < RIGHT)
            members = gained.sum(1) > 0.5 * np.maximum(pairs.alive.sum(1), 1)
            if members.sum() < 3:
                break
        if (wrong & (now < RIGHT)).sum() > most:
            found, most = now, (wrong & (now < RIGHT)).sum()
    return found


def _neighbours(pairs: _Pairs, chosen: np.ndarray, seed: int) -> np.ndarray:
    """The tracks among `chosen` that stay nearest to one, where both are seen, bool [N]."""
    shared = pairs.alive[chosen] & pairs.alive[seed]
    far = np.linalg.norm(pairs.start[chosen] - pairs.start[seed], axis=-1)
    mean = np.where(shared, far, 0).sum(1) / np.maximum(shared.sum(1), 1)
    mean[shared.sum(1) < 0.5 * pairs.alive[seed].sum()] = np.inf
    members = np.zeros(len(pairs.alive), bool)
    near = np.argsort(mean)[:NEIGHBOURS]
    members[chosen[near[np.isfinite(mean[near])]]] = True
    return members


def _largest_first(
    number: np.ndarray, errors: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parts numbered by their tracks, those without any left out."""
    counts = np.bincount(number, minlength=len(errors))
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k]]
    new = np.zeros(len(errors), int)
    new[order] = range(len(order))
    return new[number], [errors[k] for k in order]
