"""Joint refinement match by match: the plain twin of `priors/motion_refine.py`."""

import numpy as np

from nvd_core.priors.motion_fit import Matches, apply, distances, generators


def refine(
    motions: np.ndarray,  # [T, 3, 3]
    matches: list[Matches],
    model: str,
    reference: int,
    scales: tuple[float, ...],
    anchor: np.ndarray | None = None,  # [T, 3, 3]
    pull: float = 0.0,
) -> np.ndarray:  # [T, 3, 3]
    """All motions together by Gauss-Newton, so that drift is shared instead of piled up.

    Minimises Geman-McClure of the distance in frame j of every match; `scales` are its widths,
    one an iteration. Every motion changes to H (I + sum p_k G_k); the reference stays. A step that
    does not lower the cost is not taken. With an `anchor`, every motion is pulled towards its
    motion there: `pull` squared times the squared distance, in the reference frame, of nine points.
    """
    motions = motions.copy()
    basis = generators(model)
    for scale in scales:
        system = _System(len(motions), len(basis), max((m.j - m.i for m in matches), default=1))
        for match in matches:
            _add_match(system, motions, match, basis, scale)
        if pull:
            _add_anchor(system, motions, anchor, basis, pull)
        change = system.solve(reference)  # [T, P]
        before = _cost(motions, matches, scale) + _anchor_cost(motions, anchor, pull, scale)
        for step in (1.0, 0.5, 0.25):
            moved = motions @ (np.eye(3) + np.einsum("tp,pij->tij", step * change, basis))
            moved /= moved[:, 2:, 2:]
            cost = _cost(moved, matches, scale) + _anchor_cost(moved, anchor, pull, scale)
            if np.isfinite(moved).all() and cost <= before:
                motions = moved
                break
    return motions


def _cost(motions: np.ndarray, matches: list[Matches], scale: float) -> float:
    squares = (distances(motions, matches) / scale) ** 2
    return float(np.sum(squares / (1 + squares)))


_NINE = np.array([[x, y] for y in (-0.5, 0, 0.5) for x in (-1.0, 0, 1.0)])
"""Where an anchor holds a frame: normalised, about the outline of a wide frame."""


def _anchor_cost(
    motions: np.ndarray, anchor: np.ndarray | None, pull: float, scale: float
) -> float:
    if not pull:
        return 0.0
    return float(np.sum((pull * (apply(motions, _NINE) - apply(anchor, _NINE)) / scale) ** 2))


def _add_anchor(
    system: "_System", motions: np.ndarray, anchor: np.ndarray, basis: np.ndarray, pull: float
) -> None:
    """Linearise the pull of every frame's nine points towards where the anchor has them."""
    points = np.column_stack([_NINE, np.ones(len(_NINE))])
    goals = apply(anchor, _NINE)
    for t, motion in enumerate(motions):
        moved = points @ motion.T
        place = moved[:, :2] / moved[:, 2:]
        direction = points @ (motion @ basis).transpose(0, 2, 1)  # [P, 9, 3]
        change = (direction[..., :2] - place * direction[..., 2:]) / moved[:, 2:]
        rows = pull * change.reshape(len(basis), -1).T
        goal = pull * (goals[t] - place).reshape(-1)
        system.add_single(t, rows, goal)


class _System:
    """The normal equations of `refine`: banded, solved as block tridiagonal by groups of frames."""

    def __init__(self, count: int, size: int, reach: int):
        self.size, self.reach = size, max(reach, 1)
        self.groups = -(-count // self.reach)
        side = self.reach * size
        self.count = count
        self.diagonal = np.zeros((self.groups, side, side))
        self.upper = np.zeros((max(self.groups - 1, 0), side, side))
        self.right = np.zeros((self.groups, side))

    def _place(self, frame: int) -> tuple[int, slice]:
        group, within = divmod(frame, self.reach)
        return group, slice(within * self.size, (within + 1) * self.size)

    def add(self, i: int, j: int, by_i: np.ndarray, by_j: np.ndarray, by_right: tuple) -> None:
        """Add one match: weighted derivatives [2n, P] by frame i and j, and two right sides."""
        (group_i, at_i), (group_j, at_j) = self._place(i), self._place(j)
        self.diagonal[group_i][at_i, at_i] += by_i.T @ by_i
        self.diagonal[group_j][at_j, at_j] += by_j.T @ by_j
        cross = by_i.T @ by_j
        if group_i == group_j:
            self.diagonal[group_i][at_i, at_j] += cross
            self.diagonal[group_i][at_j, at_i] += cross.T
        else:
            self.upper[group_i][at_i, at_j] += cross
        self.right[group_i][at_i] += by_right[0]
        self.right[group_j][at_j] += by_right[1]

    def add_single(self, frame: int, rows: np.ndarray, goal: np.ndarray) -> None:
        """Add weighted derivatives [n, P] by one frame and what they should amount to [n]."""
        group, at = self._place(frame)
        self.diagonal[group][at, at] += rows.T @ rows
        self.right[group][at] += rows.T @ goal

    def solve(self, fixed: int) -> np.ndarray:  # [T, P]
        """The change of every frame's parameters; frames without matches stay where they are."""
        group, at = self._place(fixed)
        trace = np.einsum("gii->gi", self.diagonal)
        mean = max(trace.mean(), 1e-12)
        trace += 1e-6 * mean + np.where(trace == 0, mean, 0)
        trace[group, at] += 1e9 * mean
        pivots, right = self.diagonal.copy(), self.right.copy()
        for g in range(1, self.groups):
            factor = np.linalg.solve(pivots[g - 1], self.upper[g - 1]).T
            pivots[g] -= factor @ self.upper[g - 1]
            right[g] -= factor @ right[g - 1]
        change = np.zeros_like(right)
        for g in range(self.groups - 1, -1, -1):
            rest = self.upper[g] @ change[g + 1] if g + 1 < self.groups else 0
            change[g] = np.linalg.solve(pivots[g], right[g] - rest)
        return change.reshape(-1, self.size)[: self.count]


def _add_match(
    system: _System, motions: np.ndarray, match: Matches, basis: np.ndarray, scale: float
) -> None:
    """Linearise one match: d/dp of pi((I - sum p_j G) M (I + sum p_i G) x), M = H_j^-1 H_i."""
    start = np.column_stack([match.start, np.ones(len(match.start))])  # [n, 3]
    pair = np.linalg.inv(motions[match.j]) @ motions[match.i]
    moved = start @ pair.T
    place = moved[:, :2] / moved[:, 2:]
    gap = place - match.end
    squares = np.sum(gap**2, axis=1) / scale**2
    weight = 1 / (1 + squares)  # square root of Geman-McClure's weight
    # derivative of (x/w, y/w) in direction d: (d_xy - place d_w) / w
    by_i = start @ np.swapaxes(pair @ basis, 1, 2)  # [P, n, 3]
    by_j = moved @ np.swapaxes(-basis, 1, 2)
    rows = []
    for direction in (by_i, by_j):
        change = (direction[..., :2] - place * direction[..., 2:]) / moved[:, 2:]
        rows.append((change * weight[:, None]).reshape(len(basis), -1).T)
    goal = -(gap * weight[:, None]).reshape(-1)
    system.add(match.i, match.j, rows[0], rows[1], (rows[0].T @ goal, rows[1].T @ goal))
