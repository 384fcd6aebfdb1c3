"""The grid encoding as Numba kernels for CPUs.

Threads share the points in the forward pass and the levels in the backward pass: no two ever write
one place, and every sum has a fixed order, so results are the same bit for bit from run to run,
whatever the number of threads. They are OpenMP's, torch's own where Numba has that layer: between
two products of matrices a thread of another pool would wait for a core that is still taken.

A kernel takes the points in blocks. It first locates a block's corners, axis by axis in arrays, so
that hashing and weights compile to vector instructions; what remains for each corner is one read,
or one addition, in the table.
"""

from functools import lru_cache

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from nvd_core.fields.hash_grid.grid import PRIMES, GridLayout, check_arguments, gradient_buffer
from nvd_core.runtime.kernel_threads import parallel_njit, sharing_threads

PRIME_Y = np.uint32(PRIMES[1])
PRIME_Z = np.uint32(PRIMES[2])
CELL_LIMIT = 2**30
BLOCK = 64  # points located together
CHUNK = 256  # points that a thread of the forward pass takes at a time


def encode(
    x: Tensor,  # [P, D]
    table: Tensor,  # [entries, F]
    layout: GridLayout,
    accumulate_in_place: bool = False,
) -> Tensor:  # [P, L * F]
    """Interpolate every level at x. Differentiable once in x and in table.

    With `accumulate_in_place` the backward pass adds to `table.grad` itself (see `HashGrid`).
    """
    check_arguments(x, table, layout)
    if x.device.type != "cpu":
        raise ValueError(f"the Numba backend runs on the CPU, x is on {x.device}")
    return _Encode.apply(x, table, layout, accumulate_in_place and table.is_leaf)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, table, layout, accumulate_in_place):
        out = x.new_empty(len(x), layout.out_features)
        arrays = (_array(x), _array(table), out.numpy())
        levels = _level_arrays(layout, x.dtype)
        with sharing_threads():
            _encode_chunks(*arrays, *levels)
        ctx.save_for_backward(x, table)
        ctx.layout = layout
        ctx.accumulate_in_place = accumulate_in_place
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_out):
        x, table = ctx.saved_tensors
        layout = ctx.layout
        needs_x, needs_table = ctx.needs_input_grad[:2]
        in_place = needs_table and ctx.accumulate_in_place
        grad_table = gradient_buffer(table, in_place) if needs_table else x.new_empty(0, 1)
        grad_x_parts = x.new_empty(layout.levels if needs_x else 0, layout.dims, len(x))
        arrays = (_array(x), _array(table), _array(grad_out), grad_table.numpy())
        arrays += (grad_x_parts.numpy(), needs_table, needs_x)
        levels = _level_arrays(layout, x.dtype)

        with sharing_threads() as threads:
            _backward_levels(_dealt(layout.levels, threads), *arrays, *levels)
        grad_x = grad_x_parts.sum(dim=0).t().contiguous() if needs_x else None
        return grad_x, grad_table if needs_table and not in_place else None, None, None


@lru_cache(maxsize=64)
def _dealt(levels: int, threads: int) -> np.ndarray:
    """The levels in the order in which each thread takes a run of them: finer ones take longer."""
    return np.concatenate([np.arange(first, levels, threads) for first in range(threads)])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


@lru_cache(maxsize=64)
def _level_arrays(layout: GridLayout, dtype: torch.dtype) -> tuple[np.ndarray, ...]:
    """scales, resolutions, offsets, entries and dense flags of the levels, for the kernels."""
    return (
        np.array(layout.scales, dtype=np.float32 if dtype == torch.float32 else np.float64),
        np.array(layout.resolutions, dtype=np.int64),
        np.array(layout.offsets, dtype=np.int64),
        np.array(layout.level_entries, dtype=np.int64),
        np.array(layout.dense, dtype=np.bool_),
    )


# The parallel loops hold nothing but a call: what they hold themselves takes long to compile.
@parallel_njit
def _encode_chunks(x, table, out, scales, resolutions, offsets, entries, dense):
    for chunk in prange((len(x) + CHUNK - 1) // CHUNK):
        end = min((chunk + 1) * CHUNK, len(x))
        _encode_points(
            chunk * CHUNK, end, x, table, out, scales, resolutions, offsets, entries, dense
        )


@parallel_njit
def _backward_levels(
    order, x, table, grad_out, grad_table, grad_x_parts, needs_table, needs_x,
    scales, resolutions, offsets, entries, dense,
):  # fmt: skip
    for n in prange(len(order)):
        _backward_level(
            order[n], x, table, grad_out, grad_table, grad_x_parts, needs_table, needs_x,
            scales, resolutions, offsets, entries, dense,
        )  # fmt: skip


@njit(cache=True, nogil=True, fastmath={"contract"})
def _encode_points(start, end, x, table, out, scales, resolutions, offsets, entries, dense):
    """Rows start..end of out."""
    features = table.shape[1]
    cells, fractions, rows, weights = _block_arrays(x)
    for level in range(len(scales)):
        level_table = table[offsets[level] : offsets[level + 1]]
        for first in range(start, end, BLOCK):
            n = min(BLOCK, end - first)
            _locate(
                x, first, n, scales[level], resolutions[level], entries[level], dense[level],
                cells, fractions, rows, weights,
            )  # fmt: skip
            _interpolate(level_table, rows, weights, out, first, n, level * features)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _backward_level(
    level, x, table, grad_out, grad_table, grad_x_parts, needs_table, needs_x,
    scales, resolutions, offsets, entries, dense,
):  # fmt: skip
    """Add to the level's part of grad_table; write its share of grad_x."""
    column = level * table.shape[1]
    cells, fractions, rows, weights = _block_arrays(x)
    level_table = table[offsets[level] : offsets[level + 1]]
    level_grad = grad_table[offsets[level] : offsets[level + 1]]
    for first in range(0, len(x), BLOCK):
        n = min(BLOCK, len(x) - first)
        _locate(
            x, first, n, scales[level], resolutions[level], entries[level], dense[level],
            cells, fractions, rows, weights,
        )  # fmt: skip
        if needs_table:
            _scatter(level_grad, rows, weights, grad_out, first, n, column)
        if needs_x:
            values = weights  # their room is free again
            _corner_values(level_table, rows, grad_out, first, n, column, values)
            slopes = grad_x_parts[level, :, first : first + n]
            if len(fractions) == 2:
                _slopes_2d(values, fractions, scales[level], slopes)
            else:
                _slopes_3d(values, fractions, scales[level], slopes)


@njit(nogil=True)
def _block_arrays(x):
    """Cells and fractions [D, BLOCK], rows and weights [2^D, BLOCK]; bit 0 of a corner is x."""
    dims = x.shape[1]
    return (
        np.empty((dims, BLOCK), np.uint32),
        np.empty((dims, BLOCK), x.dtype),
        np.empty((2**dims, BLOCK), np.uint32),
        np.empty((2**dims, BLOCK), x.dtype),
    )


@njit(nogil=True, fastmath={"contract"})
def _locate(
    x, first, n, scale, resolution, entries, dense, cells, fractions, rows, weights
):  # fmt: skip
    """Fill cells, fractions, rows and weights for the n points from `first` on."""
    for axis in range(len(cells)):
        for i in range(n):
            fractions[axis, i] = x[first + i, axis]
        _split(fractions[axis, :n], scale, cells[axis])
    if len(cells) == 2:
        _weights_2d(fractions, weights, n)
        if dense:
            _dense_2d(cells, resolution, rows, n)
        else:
            _hash_2d(cells, entries, rows, n)
    else:
        _weights_3d(fractions, weights, n)
        if dense:
            _dense_3d(cells, resolution, rows, n)
        else:
            _hash_3d(cells, entries, rows, n)
    if dense:
        _wrap(rows, entries, n)


@njit(nogil=True, fastmath=False)
def _split(values, scale, cells):
    """Replace values by their fractions within the cells.

    A fused multiply-add would round differently from torch and now and then give another cell, so
    the caller's fast-math is declined here.
    """
    half = type(scale)(0.5)
    limit = type(scale)(CELL_LIMIT)
    for i in range(len(values)):
        position = values[i] * scale + half
        cell = np.floor(position)
        values[i] = position - cell
        cell = cell if cell > -limit else -limit  # NaN comes out here too
        cell = cell if cell < limit else limit
        cells[i] = np.uint32(np.int32(cell))


@njit(nogil=True)
def _hash_2d(cells, entries, rows, n):
    mask = np.uint32(entries - 1)  # a hashed level has a power of two
    for i in range(n):
        x0 = cells[0, i]
        x1 = np.uint32(x0 + np.uint32(1))
        y0 = np.uint32(cells[1, i] * PRIME_Y)
        y1 = np.uint32(y0 + PRIME_Y)
        rows[0, i] = (x0 ^ y0) & mask
        rows[1, i] = (x1 ^ y0) & mask
        rows[2, i] = (x0 ^ y1) & mask
        rows[3, i] = (x1 ^ y1) & mask


@njit(nogil=True)
def _hash_3d(cells, entries, rows, n):
    mask = np.uint32(entries - 1)
    for i in range(n):
        x0 = cells[0, i]
        x1 = np.uint32(x0 + np.uint32(1))
        y0 = np.uint32(cells[1, i] * PRIME_Y)
        y1 = np.uint32(y0 + PRIME_Y)
        z0 = np.uint32(cells[2, i] * PRIME_Z)
        z1 = np.uint32(z0 + PRIME_Z)
        rows[0, i] = (x0 ^ y0 ^ z0) & mask
        rows[1, i] = (x1 ^ y0 ^ z0) & mask
        rows[2, i] = (x0 ^ y1 ^ z0) & mask
        rows[3, i] = (x1 ^ y1 ^ z0) & mask
        rows[4, i] = (x0 ^ y0 ^ z1) & mask
        rows[5, i] = (x1 ^ y0 ^ z1) & mask
        rows[6, i] = (x0 ^ y1 ^ z1) & mask
        rows[7, i] = (x1 ^ y1 ^ z1) & mask


@njit(nogil=True)
def _dense_2d(cells, resolution, rows, n):
    one, step_y = np.uint32(1), np.uint32(resolution)
    for i in range(n):
        row = np.uint32(cells[0, i] + np.uint32(cells[1, i] * step_y))
        rows[0, i] = row
        rows[1, i] = row + one
        rows[2, i] = row + step_y
        rows[3, i] = row + step_y + one


@njit(nogil=True)
def _dense_3d(cells, resolution, rows, n):
    one, step_y, step_z = np.uint32(1), np.uint32(resolution), np.uint32(resolution * resolution)
    for i in range(n):
        row = np.uint32(cells[0, i] + cells[1, i] * step_y + cells[2, i] * step_z)
        rows[0, i] = row
        rows[1, i] = row + one
        rows[2, i] = row + step_y
        rows[3, i] = row + step_y + one
        rows[4, i] = row + step_z
        rows[5, i] = row + step_z + one
        rows[6, i] = row + step_z + step_y
        rows[7, i] = row + step_z + step_y + one


@njit(nogil=True)
def _wrap(rows, entries, n):
    """rows modulo entries; few rows need it, so the slow division waits until one does."""
    size = np.uint32(entries)
    for corner in range(len(rows)):
        part = rows[corner, :n]
        largest = np.uint32(0)
        for row in part:
            largest = max(largest, row)
        if largest >= size:
            for i in range(n):
                part[i] = part[i] % size


@njit(nogil=True, fastmath={"contract"})
def _weights_2d(fractions, weights, n):
    one = type(fractions[0, 0])(1)
    for i in range(n):
        fx, fy = fractions[0, i], fractions[1, i]
        gx, gy = one - fx, one - fy
        weights[0, i] = gx * gy
        weights[1, i] = fx * gy
        weights[2, i] = gx * fy
        weights[3, i] = fx * fy


@njit(nogil=True, fastmath={"contract"})
def _weights_3d(fractions, weights, n):
    one = type(fractions[0, 0])(1)
    for i in range(n):
        fx, fy, fz = fractions[0, i], fractions[1, i], fractions[2, i]
        gx, gy, gz = one - fx, one - fy, one - fz
        weights[0, i] = gx * gy * gz
        weights[1, i] = fx * gy * gz
        weights[2, i] = gx * fy * gz
        weights[3, i] = fx * fy * gz
        weights[4, i] = gx * gy * fz
        weights[5, i] = fx * gy * fz
        weights[6, i] = gx * fy * fz
        weights[7, i] = fx * fy * fz


@njit(nogil=True, fastmath={"contract"})
def _interpolate(table, rows, weights, out, first, n, column):
    """out[first + i, column + f] = sum over corners of weight * entry."""
    features = table.shape[1]
    if features == 2 and len(rows) == 8:
        _interpolate_pairs(table, rows, weights, out, first, n, column, 8)
    elif features == 2:
        _interpolate_pairs(table, rows, weights, out, first, n, column, 4)
    else:
        for i in range(n):
            for f in range(features):
                a = weights[0, i] * table[rows[0, i], f]
                for c in range(1, len(rows)):
                    a += weights[c, i] * table[rows[c, i], f]
                out[first + i, column + f] = a


@njit(nogil=True, fastmath={"contract"})
def _interpolate_pairs(table, rows, weights, out, first, n, column, corners):
    """The usual case: two features stay in registers, and `corners` is known while compiling."""
    for i in range(n):
        a = weights[0, i] * table[rows[0, i], 0]
        b = weights[0, i] * table[rows[0, i], 1]
        for c in range(1, corners):
            a += weights[c, i] * table[rows[c, i], 0]
            b += weights[c, i] * table[rows[c, i], 1]
        out[first + i, column] = a
        out[first + i, column + 1] = b


@njit(nogil=True, fastmath={"contract"})
def _scatter(grad_table, rows, weights, grad_out, first, n, column):
    """grad_table[row, f] += weight * grad_out[first + i, column + f], corner after corner."""
    features = grad_table.shape[1]
    if features == 2 and len(rows) == 8:
        _scatter_pairs(grad_table, rows, weights, grad_out, first, n, column, 8)
    elif features == 2:
        _scatter_pairs(grad_table, rows, weights, grad_out, first, n, column, 4)
    else:
        for i in range(n):
            for c in range(len(rows)):
                for f in range(features):
                    grad_table[rows[c, i], f] += weights[c, i] * grad_out[first + i, column + f]


@njit(nogil=True, fastmath={"contract"})
def _scatter_pairs(grad_table, rows, weights, grad_out, first, n, column, corners):
    for i in range(n):
        a, b = grad_out[first + i, column], grad_out[first + i, column + 1]
        for c in range(corners):
            row, weight = rows[c, i], weights[c, i]
            grad_table[row, 0] += weight * a
            grad_table[row, 1] += weight * b


@njit(nogil=True, fastmath={"contract"})
def _corner_values(table, rows, grad_out, first, n, column, values):
    """values[c, i] = the corner's entry times the level's grad_out, the two seen as vectors."""
    features = table.shape[1]
    if features == 2 and len(rows) == 8:
        _corner_values_pairs(table, rows, grad_out, first, n, column, values, 8)
    elif features == 2:
        _corner_values_pairs(table, rows, grad_out, first, n, column, values, 4)
    else:
        for i in range(n):
            for c in range(len(rows)):
                row = rows[c, i]
                total = table[row, 0] * grad_out[first + i, column]
                for f in range(1, features):
                    total += table[row, f] * grad_out[first + i, column + f]
                values[c, i] = total


@njit(nogil=True, fastmath={"contract"})
def _corner_values_pairs(table, rows, grad_out, first, n, column, values, corners):
    for i in range(n):
        a, b = grad_out[first + i, column], grad_out[first + i, column + 1]
        for c in range(corners):
            row = rows[c, i]
            values[c, i] = table[row, 0] * a + table[row, 1] * b


@njit(nogil=True, fastmath={"contract"})
def _slopes_2d(v, fractions, scale, slopes):
    """slopes[axis, i] = scale * the interpolated difference of the corners along that axis."""
    one = type(scale)(1)
    for i in range(slopes.shape[1]):
        fx, fy = fractions[0, i], fractions[1, i]
        gx, gy = one - fx, one - fy
        slopes[0, i] = scale * ((v[1, i] - v[0, i]) * gy + (v[3, i] - v[2, i]) * fy)
        slopes[1, i] = scale * ((v[2, i] - v[0, i]) * gx + (v[3, i] - v[1, i]) * fx)


@njit(nogil=True, fastmath={"contract"})
def _slopes_3d(v, fractions, scale, slopes):
    one = type(scale)(1)
    for i in range(slopes.shape[1]):
        fx, fy, fz = fractions[0, i], fractions[1, i], fractions[2, i]
        gx, gy, gz = one - fx, one - fy, one - fz
        slopes[0, i] = scale * (
            ((v[1, i] - v[0, i]) * gy + (v[3, i] - v[2, i]) * fy) * gz
            + ((v[5, i] - v[4, i]) * gy + (v[7, i] - v[6, i]) * fy) * fz
        )
        slopes[1, i] = scale * (
            ((v[2, i] - v[0, i]) * gx + (v[3, i] - v[1, i]) * fx) * gz
            + ((v[6, i] - v[4, i]) * gx + (v[7, i] - v[5, i]) * fx) * fz
        )
        slopes[2, i] = scale * (
            ((v[4, i] - v[0, i]) * gx + (v[5, i] - v[1, i]) * fx) * gy
            + ((v[6, i] - v[2, i]) * gx + (v[7, i] - v[3, i]) * fx) * fy
        )
