"""All motions of a chain refined together by Gauss-Newton, so that drift is shared, not piled up.

Matches of equally many points are stacked, so that numpy works on many of them at once: one after
another a clip of thousands of frames would take minutes. What is added up is added in the order of
the matches, however they were stacked.

A point's derivative by any parameter is linear in the point, so its products are sums of 24 moments
of the points (`_moments`), whatever the model: the equations of a match are made from these, and
not from derivatives of every point by every parameter.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nvd_core.priors.motion_fit import Matches, apply, generators

MOST_POINTS = 8192
"""points that are worked on at once: what is known of them stays in the processor's cache"""


def refine(
    motions: np.ndarray,  # [T, 3, 3]
    matches: "list[Matches] | Stacks",
    model: str,
    reference: int,
    scales: tuple[float, ...],
    anchor: np.ndarray | None = None,  # [T, 3, 3]
    pull: float = 0.0,
    tick: Callable[[float], object] = lambda share: None,
) -> np.ndarray:  # [T, 3, 3]
    """The motions that minimise Geman-McClure of the distance in frame j of every match.

    `scales` are its widths, one an iteration. Every motion changes to H (I + sum p_k G_k); the
    reference stays. A step that does not lower the cost is not taken. With an `anchor`, every
    motion is pulled towards its motion there: `pull` squared times the squared distance, in the
    reference frame, of nine points. `tick` is told often which share of an iteration was done
    since it was last told; it may raise.
    """
    motions = motions.copy()
    basis = generators(model)
    stacks = matches if isinstance(matches, Stacks) else Stacks(matches)
    system = _System(len(motions), len(basis), stacks)

    def cost(at: np.ndarray, scale: float) -> float:
        squares = (stacks.distances(at, lambda done: tick(0.1 * done)) / scale) ** 2
        whole = float(np.sum(squares / (1 + squares)))
        return whole + (_anchor_cost(at, anchor, pull, scale) if pull else 0.0)

    known = None  # (scale, cost) of the motions as they stand
    for scale in scales:
        if known is None or known[0] != scale:
            known = scale, cost(motions, scale)
        else:
            tick(0.1)
        system.build(motions, basis, scale, lambda done: tick(0.7 * done))
        if pull:
            _add_anchor(system, motions, anchor, basis, pull)
        change = system.solve(reference, lambda done: tick(0.1 * done))  # [T, P]
        for step in (1.0, 0.5, 0.25):
            moved = motions @ (np.eye(3) + np.einsum("tp,pij->tij", step * change, basis))
            moved /= moved[:, 2:, 2:]
            costs = cost(moved, scale)
            if np.isfinite(moved).all() and costs <= known[1]:
                motions, known = moved, (scale, costs)
                break
    return motions


@dataclass
class _Stack:
    """Matches with the same number of points."""

    which: np.ndarray  # int [G], numbers of the matches
    i: np.ndarray  # int [G]
    j: np.ndarray  # int [G]
    start: np.ndarray  # float64 [2, G, n], x and y apart
    end: np.ndarray  # float64 [2, G, n]
    place: np.ndarray  # int [G, n], among the points of all matches

    def pair(self, motions: np.ndarray, inverses: np.ndarray) -> np.ndarray:  # [G, 3, 3]
        """From frame i to frame j."""
        return inverses[self.j] @ motions[self.i]

    def moved(self, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [G, n] each
        """Where `pair` takes the points: x, y, and what these were divided by."""
        x, y = self.start
        rows = pair[..., None]  # [G, 3, 3, 1]
        across, down, depth = (
            rows[:, k, 0] * x + rows[:, k, 1] * y + rows[:, k, 2] for k in (0, 1, 2)
        )
        across /= depth
        down /= depth
        return across, down, depth


class Stacks:
    """All matches, stacked."""

    def __init__(
        self,
        matches: list[Matches],
        keep: Callable[[np.ndarray], np.ndarray] = lambda array: array,
    ) -> None:
        """`keep` may put an array elsewhere, as `Arena.keep` does."""
        self.matches = matches
        self.i = np.array([match.i for match in matches], int)
        self.j = np.array([match.j for match in matches], int)
        counts = np.array([len(match.start) for match in matches], int)
        self.points = int(counts.sum())
        first = np.cumsum(counts) - counts
        alike: dict[int, list[int]] = defaultdict(list)
        for number, count in enumerate(counts.tolist()):
            alike[count].append(number)
        self.stacks: list[_Stack] = []
        for count, numbers in alike.items():
            most = max(1, MOST_POINTS // max(count, 1))
            for at in range(0, len(numbers), most):
                which = np.array(numbers[at : at + most])
                start, end = (
                    np.ascontiguousarray(np.moveaxis(np.stack(points), -1, 0))
                    for points in zip(
                        *((matches[number].start, matches[number].end) for number in which),
                        strict=True,
                    )
                )
                self.stacks.append(
                    _Stack(
                        which,
                        self.i[which],
                        self.j[which],
                        keep(start),
                        keep(end),
                        keep(first[which, None] + np.arange(count)),
                    )
                )

    def __iter__(self) -> Iterator[_Stack]:
        return iter(self.stacks)

    def share(self, stack: _Stack) -> float:
        """What part of all points is in `stack`."""
        return stack.place.size / max(self.points, 1)

    def distances(
        self, motions: np.ndarray, tick: Callable[[float], object]
    ) -> np.ndarray:  # [sum of n], in the order of the matches
        """How far each point lies from where the motions put it, in frame j."""
        result = np.zeros(self.points)
        inverses = np.linalg.inv(motions)
        for stack in self:
            across, down, _ = stack.moved(stack.pair(motions, inverses))
            across -= stack.end[0]
            down -= stack.end[1]
            result[stack.place] = np.sqrt(across**2 + down**2)
            tick(self.share(stack))
        return result


_NINE = np.array([[x, y] for y in (-0.5, 0, 0.5) for x in (-1.0, 0, 1.0)])
"""Where an anchor holds a frame: normalised, about the outline of a wide frame."""


def _anchor_cost(motions: np.ndarray, anchor: np.ndarray, pull: float, scale: float) -> float:
    return float(np.sum((pull * (apply(motions, _NINE) - apply(anchor, _NINE)) / scale) ** 2))


def _add_anchor(
    system: "_System", motions: np.ndarray, anchor: np.ndarray, basis: np.ndarray, pull: float
) -> None:
    """Linearise the pull of every frame's nine points towards where the anchor has them."""
    points = np.column_stack([_NINE, np.ones(len(_NINE))])
    moved = points @ motions.transpose(0, 2, 1)  # [T, 9, 3]
    place = moved[..., :2] / moved[..., 2:]
    by_frame = points @ (motions[:, None] @ basis).transpose(0, 1, 3, 2)  # [T, P, 9, 3]
    change = by_frame[..., :2] - place[:, None] * by_frame[..., 2:]
    rows = pull * (change / moved[:, None, :, 2:]).reshape(*change.shape[:2], -1)  # [T, P, 18]
    goals = pull * (apply(anchor, _NINE) - place).reshape(len(motions), -1)
    system.add_single(rows, goals)


class _System:
    """The normal equations of `refine`: banded, solved as block tridiagonal by groups of frames."""

    def __init__(self, count: int, size: int, stacks: Stacks) -> None:
        self.stacks, self.count, self.size = stacks, count, size
        self.reach = max(1, int((stacks.j - stacks.i).max(initial=1)))
        self.groups = -(-count // self.reach)
        self.side = self.reach * size
        both = np.stack([stacks.i, stacks.j], 1).ravel()
        same = stacks.i // self.reach == stacks.j // self.reach
        self.own = self._block(both, both)
        self.inner = self._block(stacks.i, stacks.j)[same]
        self.mirrored = self._block(stacks.j, stacks.i)[same]
        self.outer = self._block(stacks.i, stacks.j)[~same]
        self.same = same
        self.of_right = both[:, None] * size + np.arange(size)

    def _block(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:  # int [n, P, P]
        """Where the block of frames i and j stands in the groups' flattened matrices."""
        within = np.arange(self.size)
        row = (i % self.reach * self.size)[:, None] + within
        column = (j % self.reach * self.size)[:, None] + within
        first = i // self.reach * self.side**2
        return first[:, None, None] + row[:, :, None] * self.side + column[:, None, :]

    def build(
        self, motions: np.ndarray, basis: np.ndarray, scale: float, tick: Callable[[float], object]
    ) -> None:
        """The equations of all matches, linearised at `motions`."""
        shape = len(self.stacks.i), self.size
        squares = np.empty((shape[0], 2, self.size, self.size))  # of frame i, of frame j
        crosses = np.empty((*shape, self.size))
        rights = np.empty((shape[0], 2, self.size))
        inverses = np.linalg.inv(motions)
        for stack in self.stacks:
            pair = stack.pair(motions, inverses)
            moments, goal = _moments(stack, pair, scale)
            # d/dp of pi((I - sum p_j G) M (I + sum p_i G) x), M = H_j^-1 H_i
            by_i, by_j = (
                rows.reshape(len(pair), self.size, 9)
                for rows in (pair[:, None] @ basis, -basis @ pair[:, None])
            )
            for side, rows in enumerate((by_i, by_j)):
                weighted = rows @ moments
                squares[stack.which, side] = weighted @ rows.swapaxes(1, 2)
                rights[stack.which, side] = (rows @ goal)[..., 0]
            crosses[stack.which] = by_i @ moments @ by_j.swapaxes(1, 2)
            tick(self.stacks.share(stack))
        self.diagonal = np.zeros((self.groups, self.side, self.side))
        self.upper = np.zeros((max(self.groups - 1, 0), self.side, self.side))
        self.right = np.zeros((self.groups, self.side))
        # in the order of the matches, so that no sum depends on how they were stacked
        np.add.at(self.diagonal.reshape(-1), self.own.ravel(), squares.ravel())
        inner = crosses[self.same]
        np.add.at(self.diagonal.reshape(-1), self.inner.ravel(), inner.ravel())
        mirrored = inner.swapaxes(1, 2)
        np.add.at(self.diagonal.reshape(-1), self.mirrored.ravel(), mirrored.ravel())
        np.add.at(self.upper.reshape(-1), self.outer.ravel(), crosses[~self.same].ravel())
        np.add.at(self.right.reshape(-1), self.of_right.ravel(), rights.ravel())

    def add_single(self, rows: np.ndarray, goals: np.ndarray) -> None:
        """Add each frame's weighted derivatives [T, P, n] and what they should amount to [T, n]."""
        frames = np.arange(self.count)
        self.diagonal.reshape(-1)[self._block(frames, frames)] += rows @ rows.swapaxes(1, 2)
        right = self.right.reshape(-1)[: self.count * self.size].reshape(self.count, self.size)
        right += (rows @ goals[..., None])[..., 0]

    def solve(self, fixed: int, tick: Callable[[float], object]) -> np.ndarray:  # [T, P]
        """The change of every frame's parameters; frames without matches stay where they are."""
        group, within = divmod(fixed, self.reach)
        at = slice(within * self.size, (within + 1) * self.size)
        trace = np.einsum("gii->gi", self.diagonal)
        mean = max(trace.mean(), 1e-12)
        trace += 1e-6 * mean + np.where(trace == 0, mean, 0)
        trace[group, at] += 1e9 * mean
        pivots, right = self.diagonal.copy(), self.right.copy()
        for g in range(1, self.groups):
            factor = np.linalg.solve(pivots[g - 1], self.upper[g - 1]).T
            pivots[g] -= factor @ self.upper[g - 1]
            right[g] -= factor @ right[g - 1]
            tick(0.8 / self.groups)
        change = np.zeros_like(right)
        for g in range(self.groups - 1, -1, -1):
            rest = self.upper[g] @ change[g + 1] if g + 1 < self.groups else 0
            change[g] = np.linalg.solve(pivots[g], right[g] - rest)
            tick(0.2 / self.groups)
        return change.reshape(-1, self.size)[: self.count]


_OF_PLACES = np.array([[0, 4, 1], [4, 0, 2], [1, 2, 3]])
"""which of the sums over J^T J stands where in it; the last is 0"""
_OF_POINTS = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])
"""which of the products of x, y, 1 stands where in their square"""


def _moments(
    stack: _Stack, pair: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:  # [G, 9, 9], [G, 9, 1]
    """What the equations of every match are made of, by the entries of a 3x3 matrix A.

    Where A changes `pair`, a point (x, y, 1) changes its place by J A (x, y, 1)^T, J the derivative
    of (x/w, y/w) by (x, y, w). So all products of two such changes, weighted and summed over the
    points, are sums of J^T J (x, y, 1)^T (x, y, 1); and what the changes should amount to, of
    J^T (x, y, 1).
    """
    across, down, depth = stack.moved(pair)
    gap_x, gap_y = across - stack.end[0], down - stack.end[1]
    weight = 1 / (1 + (gap_x**2 + gap_y**2) / scale**2)  # square root of Geman-McClure's weight
    weight /= depth
    square = weight**2
    of_places = np.empty((len(pair), 4, across.shape[1]))
    of_places[:, 0] = square
    np.multiply(square, -across, out=of_places[:, 1])
    np.multiply(square, -down, out=of_places[:, 2])
    np.multiply(square, across**2 + down**2, out=of_places[:, 3])
    x, y = stack.start
    of_points = np.empty((len(pair), 6, x.shape[1]))
    for number, product in enumerate((x * x, x * y, x, y * y, y, 1.0)):
        of_points[:, number] = product
    sums = np.zeros((len(pair), 5, 6))
    np.matmul(of_places, of_points.swapaxes(1, 2), out=sums[:, :4])
    whole = sums[:, _OF_PLACES[:, None, :, None], _OF_POINTS[None, :, None, :]]
    square *= depth  # weight squared, divided once by the depth
    rights = np.empty((len(pair), 3, x.shape[1]))
    np.multiply(square, -gap_x, out=rights[:, 0])
    np.multiply(square, -gap_y, out=rights[:, 1])
    np.multiply(square, across * gap_x + down * gap_y, out=rights[:, 2])
    goal = rights @ of_points[:, (2, 4, 5)].swapaxes(1, 2)
    return whole.reshape(-1, 9, 9), goal.reshape(-1, 9, 1)
