"""A smooth field over a frame's pixels, asked for at few of them.

The field is asked at the nodes of a coarse lattice. Halving the lattice's step, the values of the
new nodes are first guessed from the old ones by cubic interpolation (Deslauriers and Dubuc's
four-point rule: -1, 9, 9, -1 over 16). Then they are asked for, but only in cells that are not
settled. A cell all of whose new nodes were guessed well enough is settled: from there on, the
guesses stand. Where the field has a kink or an edge, cells stay open down to the single pixels,
whose values are the field's own. So no question is put only to test: every answer is used.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numba import njit, prange

from nvd_core.runtime.kernel_threads import parallel_njit

Ask = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""the field's values float32 [P, C] at columns and rows int64 [P] of the lattice"""
_NEAR, _FAR = np.float32(9 / 16), np.float32(1 / 16)
"""the four-point rule's weights"""


def sampled(
    ask: Ask,
    wanted: np.ndarray,  # bool [H, W]: the pixels whose values are used
    tolerance: float,
    step: int,
    settled_range: float = np.inf,
) -> np.ndarray:
    """The field at all pixels, float32 [H', W', C], H' and W' filled up to the lattice's cells.

    tolerance: by how much a guess may be off for its cell to be settled, in the field's unit.
    step: of the coarsest lattice, pixels; a power of two from 2 on. What is narrower than half of
    it may be stepped over. settled_range: a cell whose nodes differ by more is never settled.
    Pixels that are not wanted have guesses.
    """
    cells = _wanted_cells(wanted, step)
    open_cells = cells[step]
    values = _ask_all(ask, open_cells.shape[0] + 1, open_cells.shape[1] + 1, step)
    while step > 1:
        step //= 2
        values = doubled(values)
        rows, columns = _new_nodes(open_cells)
        failed = np.zeros(open_cells.shape, bool)
        if len(rows):
            answers = ask(columns * step, rows * step)
            _take(values, failed, rows, columns, answers, np.float32(tolerance))
        if step > 1:
            if np.isfinite(settled_range):
                _mark_steep(values, failed, np.float32(settled_range))
            open_cells = np.repeat(np.repeat(failed & open_cells, 2, 0), 2, 1) & cells[step]
    return values


def _ask_all(ask: Ask, down: int, across: int, step: int) -> np.ndarray:
    rows, columns = np.divmod(np.arange(down * across), across)
    return np.ascontiguousarray(ask(columns * step, rows * step).reshape(down, across, -1))


def _wanted_cells(wanted: np.ndarray, step: int) -> dict[int, np.ndarray]:
    """By the lattice's step: cells that hold a wanted pixel, and those around them, bool.

    Those around, because the rule looks one cell farther: were values guessed there that the field
    does not have, as behind an object's edge, a sixteenth of the difference would come in.
    """
    down, across = (-(-max(size - 1, 1) // step) for size in wanted.shape)
    nodes = np.zeros((down * step + 1, across * step + 1), bool)
    nodes[: wanted.shape[0], : wanted.shape[1]] = wanted
    rows = nodes[:-1:2] | nodes[1::2] | nodes[2::2]
    cells = {2: rows[:, :-1:2] | rows[:, 1::2] | rows[:, 2::2]}
    for size in [2**k for k in range(2, step.bit_length())]:
        finer = cells[size // 2]
        rows = finer[::2] | finer[1::2]
        cells[size] = rows[:, ::2] | rows[:, 1::2]
    around = np.ones((3, 3), np.uint8)
    return {size: cv2.dilate(of.view(np.uint8), around).view(bool) for size, of in cells.items()}


def doubled(coarse: np.ndarray) -> np.ndarray:
    """Values [h, w, C] guessed at half the step, [2 h - 1, 2 w - 1, C].

    Beyond the border the parabola of the last three nodes goes on, or the line of the last two.
    """
    across = _beyond(np.moveaxis(_beyond(coarse), 1, 0))
    return _between(np.ascontiguousarray(np.moveaxis(across, 1, 0)))


def _beyond(values: np.ndarray) -> np.ndarray:
    """`values` [n, ...] with one more at each end."""
    if len(values) == 2:
        first, last = 2 * values[0] - values[1], 2 * values[1] - values[0]
    else:
        first = 3 * (values[0] - values[1]) + values[2]
        last = 3 * (values[-1] - values[-2]) + values[-3]
    return np.concatenate([first[None], values, last[None]])


@parallel_njit
def _between(wide):
    """The four-point rule along both axes, of nodes [h + 2, w + 2, C] with one beyond each side."""
    h, w, channels = wide.shape[0] - 2, wide.shape[1] - 2, wide.shape[2]
    middles = np.empty((h + 2, 2 * w - 1, channels), wide.dtype)
    for y in prange(h + 2):
        row, line = middles[y], wide[y]
        row[::2] = line[1:-1]
        for x in range(w - 1):
            for c in range(channels):
                row[2 * x + 1, c] = _middle(
                    line[x, c], line[x + 1, c], line[x + 2, c], line[x + 3, c]
                )
    fine = np.empty((2 * h - 1, 2 * w - 1, channels), wide.dtype)
    for y in prange(h):
        fine[2 * y] = middles[y + 1]
        if y < h - 1:
            row, a, b, d, e = (
                fine[2 * y + 1],
                middles[y],
                middles[y + 1],
                middles[y + 2],
                middles[y + 3],
            )
            for x in range(2 * w - 1):
                for c in range(channels):
                    row[x, c] = _middle(a[x, c], b[x, c], d[x, c], e[x, c])
    return fine


@njit(cache=True, inline="always")
def _middle(before, near, far, after):
    return (near + far) * _NEAR - (before + after) * _FAR


@njit(cache=True, nogil=True)
def _new_nodes(open_cells):
    """Rows and columns, on the halved lattice, of the new nodes of open cells; each once."""
    down, across = open_cells.shape
    marked = np.zeros((2 * down + 1, 2 * across + 1), np.bool_)
    count = 0
    for y in range(down):
        for x in range(across):
            if open_cells[y, x]:
                for i in range(3):
                    for j in range(3):
                        new = i == 1 or j == 1
                        if new and not marked[2 * y + i, 2 * x + j]:
                            marked[2 * y + i, 2 * x + j] = True
                            count += 1
    rows, columns = np.empty(count, np.int64), np.empty(count, np.int64)
    k = 0
    for y in range(2 * down + 1):
        for x in range(2 * across + 1):
            if marked[y, x]:
                rows[k], columns[k] = y, x
                k += 1
    return rows, columns


@njit(cache=True, nogil=True)
def _take(values, failed, rows, columns, answers, tolerance):
    """Put the answers in place of the guesses; mark the cells around those that were off."""
    down, across = failed.shape
    for k in range(len(rows)):
        y, x = rows[k], columns[k]
        off = False
        for c in range(values.shape[2]):
            off |= not abs(values[y, x, c] - answers[k, c]) <= tolerance
            values[y, x, c] = answers[k, c]
        if off:
            for i in range(max((y - 1) // 2, 0), min(y // 2 + 1, down)):
                for j in range(max((x - 1) // 2, 0), min(x // 2 + 1, across)):
                    failed[i, j] = True


@njit(cache=True, nogil=True)
def _mark_steep(values, failed, most):
    """Mark cells of the lattice before over whose nodes a value differs by more than `most`."""
    for y in range(failed.shape[0]):
        for x in range(failed.shape[1]):
            for c in range(values.shape[2]):
                low = high = values[2 * y, 2 * x, c]
                for i in range(3):
                    for j in range(3):
                        value = values[2 * y + i, 2 * x + j, c]
                        low, high = min(low, value), max(high, value)
                if high - low > most:
                    failed[y, x] = True
