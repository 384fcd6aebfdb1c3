"""Where the pictures are still off the clip: so that more points are drawn there.

The clip is divided into cells of CELL x CELL pixels and some frames. Each keeps the mean squared
error of the points that fell into it, older ones counting less. Points are drawn from a map that
stands for a block of steps and is then renewed, so that they can be looked up ahead.
"""

import math

import numpy as np
import torch
from torch import Tensor

CELL = 16
"""pixels along a side of a cell"""
FRAMES = 2
"""of a cell, at least"""
MOST_CELLS = 1 << 20
"""in a longer clip cells have more frames"""
RENEWALS = 20
"""of the map in a training that is not short"""
LEAST_BLOCK = 16
"""steps for which a map stands, at least"""
TRUST = 2
"""a cell's error counts beside the clip's mean as so many points"""
KEPT = 0.5
"""how much of what it knew a map keeps when it is renewed"""
NAMES = "sums", "counts", "chances", "renewed"
"""of the arrays that a checkpoint holds"""


class ErrorMap:
    """Takes errors in, step by step, and draws places where they are large.

    A cell is drawn with the root of its error: with the error itself, few places would get most of
    the points.
    """

    def __init__(self, shape: tuple[int, int, int], steps: int) -> None:
        """`shape`: frames, height, width; points lie up to the last row and column but one.

        `steps`: how many the training has.
        """
        self.extent = np.array([shape[0], shape[1] - 1, shape[2] - 1])
        rows, columns = (-(-int(n) // CELL) for n in self.extent[1:])
        frames = max(FRAMES, math.ceil(shape[0] * rows * columns / MOST_CELLS))
        self.size = np.array([frames, CELL, CELL])
        self.cells = tuple(int(n) for n in -(-self.extent // self.size))
        self.block = max(steps // RENEWALS, LEAST_BLOCK)
        self._sums, self._counts = (np.zeros(math.prod(self.cells)) for _ in range(2))
        self._chances: np.ndarray | None = None
        """of each cell, from the first on: float64, up to 1; None before anything is known"""
        self._renewed = 0
        self._unread: list[tuple[np.ndarray, Tensor]] = []

    def before(self, step: int) -> None:
        """To be called before the points of `step` are drawn; renews the map where that is due."""
        if step % self.block == 0 and step > self._renewed:
            self._renew(step)

    def add(self, places: tuple[np.ndarray, np.ndarray, np.ndarray], errors: Tensor) -> None:
        """The squared errors [P] of a step at t, x, y; on a GPU they are read when that is due."""
        t, x, y = places
        at = tuple(np.stack([t, y, x]) // self.size[:, None])
        self._unread.append((np.ravel_multi_index(at, self.cells), errors.detach()))

    def draw(
        self, count: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """`count` places t, x, y; None before anything is known."""
        if self._chances is None:
            return None
        cell = np.searchsorted(self._chances, random.random(count), side="right")
        cell = np.minimum(cell, len(self._chances) - 1)
        first = np.stack(np.unravel_index(cell, self.cells)) * self.size[:, None]
        size = np.minimum(self.size[:, None], self.extent[:, None] - first)
        t, y, x = first + (random.random((3, count)) * size).astype(np.int64)
        return t, x, y

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of it, by name."""
        self._read()
        chances = np.zeros(0) if self._chances is None else self._chances
        arrays = self._sums, self._counts, chances, np.array([self._renewed])
        return {n: torch.from_numpy(a.copy()) for n, a in zip(NAMES, arrays, strict=True)}

    def take(self, state: dict[str, Tensor]) -> bool:
        """Go on with the `state` of a checkpoint; whether it fits this clip."""
        if set(state) != set(NAMES):
            return False
        sums, counts, chances, renewed = (state[name].numpy() for name in NAMES)
        known = sums.shape == counts.shape == self._sums.shape and renewed.shape == (1,)
        if not known or chances.shape not in ((0,), sums.shape):
            return False
        if not all(np.isfinite(values).all() and (values >= 0).all() for values in (sums, counts)):
            return False
        if len(chances) and not (chances[0] >= 0 and chances[-1] == 1):
            return False
        if not np.isfinite(chances).all() or (chances[1:] < chances[:-1]).any():
            return False
        self._sums, self._counts = sums.astype(float), counts.astype(float)
        self._chances = chances.astype(float) if len(chances) else None
        self._renewed, self._unread = int(renewed[0]), []
        return True

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for cell, errors in unread:  # in their order, however often it is read
            off = errors.cpu().numpy()
            known = np.isfinite(off)  # one that is not would spoil the map for good
            np.add.at(self._sums, cell[known], off[known])
            np.add.at(self._counts, cell[known], 1)

    def _renew(self, step: int) -> None:
        self._read()
        self._renewed = step
        if not self._counts.any():
            return
        mean = self._sums.sum() / self._counts.sum()
        error = (self._sums + TRUST * mean) / (self._counts + TRUST)
        chance = np.sqrt(error.reshape(self.cells))
        for axis, cells in enumerate(self.cells):  # those at the end are smaller
            first = np.arange(cells) * self.size[axis]
            size = np.minimum(self.size[axis], self.extent[axis] - first)
            chance *= size.reshape([-1 if a == axis else 1 for a in range(3)])
        total = np.cumsum(chance)
        if total[-1] > 0:
            self._chances = total / total[-1]
        self._sums *= KEPT
        self._counts *= KEPT
