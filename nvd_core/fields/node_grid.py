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
from numba import njit

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
    finest: int = 1,
    jumps: np.ndarray | None = None,  # bool [H, W]: pixels beside which the field jumps
) -> np.ndarray:
    """The field at all pixels, float32 [H', W', C], H' and W' filled up to the lattice's cells.

    tolerance: by how much a guess may be off for its cell to be settled, in the field's unit.
    step: of the coarsest lattice, pixels; a power of two from 2 on. What is narrower than half of
    it may be stepped over. settled_range: a cell whose nodes differ by more is never settled.
    finest: the least step at which the field is asked, a power of two; between, guesses stand.
    jumps: no cell near these is settled, nor left to guesses below `finest`.
    Pixels that are not wanted have guesses.
    """
    cells = _wanted_cells(wanted, step)
    torn = None if jumps is None or not jumps.any() else _wanted_cells(jumps, step)
    open_cells = cells[step]
    values = _ask_all(ask, open_cells.shape[0] + 1, open_cells.shape[1] + 1, step)
    while step > 1:
        step //= 2
        values = doubled(values)
        if step < finest:
            if torn is None:
                continue
            open_cells = open_cells & torn[2 * step]
        rows, columns = _new_nodes(open_cells)
        failed = np.zeros(open_cells.shape, bool)
        if len(rows):
            answers = ask(columns * step, rows * step)
            _take(values, failed, rows, columns, answers, np.float32(tolerance))
        if step > 1:
            if np.isfinite(settled_range):
                _mark_steep(values, failed, settled_range)
            if torn is not None:
                failed |= torn[2 * step]
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
    """Values float32 [h, w, C] guessed at half the step, [2 h - 1, 2 w - 1, C].

    Beyond the border the parabola of the last three nodes goes on, or the line of the last two.
    """
    height, width, channels = coarse.shape
    fine = np.empty((2 * height - 1, 2 * width - 1, channels), np.float32)
    lines = fine.reshape(len(fine), -1)
    _double(np.ascontiguousarray(coarse).reshape(height, -1), channels, lines)
    return fine


@njit(cache=True, nogil=True)
def _double(coarse, channels, fine):
    """Lines [h, w C] into every second of [2 h - 1, (2 w - 1) C], then those between."""
    height, size = coarse.shape
    wide = np.empty(size + 2 * channels, np.float32)
    middles = np.empty(size - channels, np.float32)
    for i in range(height):
        line, out = coarse[i], fine[2 * i]
        wide[channels:-channels] = line
        for c in range(channels):
            reach = 2 * channels if size > 2 * channels else channels
            back = size - channels + c
            wide[c] = _beyond(line[c], line[c + channels], line[c + reach], size > 2 * channels)
            wide[size + channels + c] = _beyond(
                line[back], line[back - channels], line[back - reach], size > 2 * channels
            )
        _between(wide, wide[channels:], wide[2 * channels :], wide[3 * channels :], middles)
        for k in range(0, size, channels):
            for c in range(channels):
                out[2 * k + c] = line[k + c]
        for k in range(0, size - channels, channels):
            for c in range(channels):
                out[2 * k + channels + c] = middles[k + c]
    above, below = np.empty(fine.shape[1], np.float32), np.empty(fine.shape[1], np.float32)
    last, reach, bent = 2 * height - 2, 4 if height > 2 else 2, height > 2
    for x in range(fine.shape[1]):
        above[x] = _beyond(fine[0, x], fine[2, x], fine[reach, x], bent)
        below[x] = _beyond(fine[last, x], fine[last - 2, x], fine[last - reach, x], bent)
    for i in range(1, last, 2):
        outer = above if i == 1 else fine[i - 3]
        other = below if i == last - 1 else fine[i + 3]
        _between(outer, fine[i - 1], fine[i + 1], other, fine[i])


@njit(cache=True, nogil=True)
def _beyond(end, inner, third, bent):
    if bent:
        return np.float32(3) * (end - inner) + third
    return np.float32(2) * end - inner


@njit(cache=True, nogil=True)
def _between(first, second, third, fourth, out):
    for k in range(out.shape[0]):
        near = (second[k] + third[k]) * _NEAR
        out[k] = near - (first[k] + fourth[k]) * _FAR


@njit(cache=True, nogil=True)
def _new_nodes(open_cells):
    """Rows and columns, on the halved lattice, of the new nodes of open cells; each once."""
    down, across = open_cells.shape
    most = 5 * open_cells.sum()
    rows, columns = np.empty(most, np.int64), np.empty(most, np.int64)
    count = 0
    for row in range(2 * down + 1):
        above, below = max((row - 1) // 2, 0), min(row // 2, down - 1)
        for column in range(1 - row % 2, 2 * across + 1, 2 - row % 2):
            left, right = max((column - 1) // 2, 0), min(column // 2, across - 1)
            if (
                open_cells[above, left]
                or open_cells[below, right]
                or open_cells[above, right]
                or open_cells[below, left]
            ):
                rows[count], columns[count] = row, column
                count += 1
    return rows[:count], columns[:count]


@njit(cache=True, nogil=True)
def _take(values, failed, rows, columns, answers, tolerance):
    """Put the answers in place of the guesses; mark the cells around those that were off."""
    last_down, last_across = failed.shape[0] - 1, failed.shape[1] - 1
    for p in range(len(rows)):
        y, x = rows[p], columns[p]
        settled = True
        for c in range(answers.shape[1]):
            settled &= abs(values[y, x, c] - answers[p, c]) <= tolerance  # of NaN it is not
            values[y, x, c] = answers[p, c]
        if not settled:
            above, below = max((y - 1) // 2, 0), min(y // 2, last_down)
            left, right = max((x - 1) // 2, 0), min(x // 2, last_across)
            failed[above, left] = failed[above, right] = True
            failed[below, left] = failed[below, right] = True


def _mark_steep(values: np.ndarray, failed: np.ndarray, most: float) -> None:
    """Mark cells of the lattice before over whose nodes a value differs by more than `most`."""
    for channel in np.moveaxis(values, 2, 0):
        nodes = np.ascontiguousarray(channel)
        around = np.ones((3, 3), np.uint8)
        spread = cv2.dilate(nodes, around) - cv2.erode(nodes, around)
        failed |= spread[1::2, 1::2] > most
