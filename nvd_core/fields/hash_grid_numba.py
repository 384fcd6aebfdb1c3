"""The grid encoding as Numba kernels for CPUs.

Forward runs in parallel over chunks of points, backward over levels: no two threads ever write one
place, and every sum has a fixed order, so results are the same bit for bit from run to run.
`dims` and `features` reach the kernels as tuples whose length is known while compiling, which
unrolls the loops over corners and features.
"""

import threading
from functools import lru_cache

import numba
import numpy as np
import torch
from numba import njit, prange
from numba.extending import overload
from torch import Tensor

from nvd_core.fields.hash_grid import PRIMES, GridLayout, check_arguments

PRIME_Y = PRIMES[1]
PRIME_Z = PRIMES[2]
CELL_LIMIT = 2**30
CHUNK = 512  # points a task of the forward pass

_one_at_a_time = threading.Lock()  # some of Numba's threading layers cannot be entered twice


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
        x, table_values = x.contiguous(), table.contiguous()
        out = x.new_empty(len(x), layout.out_features)
        with _one_at_a_time:
            _forward(
                x.detach().numpy(),
                table_values.detach().numpy(),
                out.numpy(),
                *_level_arrays(layout, x.dtype),
                (0,) * layout.dims,
                (0,) * layout.features,
            )
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
        grad_table = _gradient_buffer(table, in_place) if needs_table else x.new_empty(0, 1)
        parts = x.new_empty(layout.levels if needs_x else 0, len(x), layout.dims)
        grad_x = torch.empty_like(x) if needs_x else None
        with _one_at_a_time:
            _backward(
                x.detach().numpy(),
                table.detach().contiguous().numpy(),
                grad_out.contiguous().numpy(),
                grad_table.numpy(),
                parts.numpy(),
                needs_table,
                needs_x,
                *_level_arrays(layout, x.dtype),
                numba.get_num_threads(),
                (0,) * layout.dims,
                (0,) * layout.features,
            )
        if needs_x:
            torch.sum(parts, dim=0, out=grad_x)
        return grad_x, None if in_place or not needs_table else grad_table, None, None


def _gradient_buffer(table: Tensor, in_place: bool) -> Tensor:
    """Zeros like the table, or the table's own gradient (made if there is none)."""
    if not in_place:
        return torch.zeros_like(table, memory_format=torch.contiguous_format)
    if table.grad is None:
        table.grad = torch.zeros_like(table, memory_format=torch.contiguous_format)
    if not table.grad.is_contiguous():
        raise ValueError(f"table.grad must be contiguous, its strides are {table.grad.stride()}")
    return table.grad.detach()


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


@njit(nogil=True, fastmath=False)
def _split(value, scale):
    """Cell and fraction within it.

    A fused multiply-add would round differently from torch and now and then give another cell, so
    the caller's fast-math is declined here.
    """
    position = value * scale + type(scale)(0.5)
    cell = np.floor(position)
    fraction = position - cell
    if not cell > -CELL_LIMIT:  # NaN too
        cell = type(scale)(-CELL_LIMIT)
    if cell > CELL_LIMIT:
        cell = type(scale)(CELL_LIMIT)
    return np.int64(cell), fraction


@njit(nogil=True)
def _dense_row(index, entries, offset):
    """The table's row of a dense vertex; wraps like uint32 and modulo where it lies outside."""
    if index < 0 or index >= entries:
        index = (index & 0xFFFFFFFF) % entries
    return np.uint64(offset + index)


def _locate(x, p, scale, resolution, offset, entries, dense, dims):
    """Rows of the 2^D corners around point p (bit 0 of the number is x) and its D fractions."""
    raise NotImplementedError


@overload(_locate, jit_options={"nogil": True})
def _locate_overload(x, p, scale, resolution, offset, entries, dense, dims):
    return _locate_2d if len(dims) == 2 else _locate_3d


def _locate_2d(x, p, scale, resolution, offset, entries, dense, dims):
    cx, fx = _split(x[p, 0], scale)
    cy, fy = _split(x[p, 1], scale)
    if dense:
        i = cx + cy * resolution
        rows = (
            _dense_row(i, entries, offset),
            _dense_row(i + 1, entries, offset),
            _dense_row(i + resolution, entries, offset),
            _dense_row(i + resolution + 1, entries, offset),
        )
    else:
        mask = entries - 1  # a hashed level has a power of two
        y0 = cy * PRIME_Y
        y1 = y0 + PRIME_Y
        rows = (
            np.uint64(offset + ((cx ^ y0) & mask)),
            np.uint64(offset + (((cx + 1) ^ y0) & mask)),
            np.uint64(offset + ((cx ^ y1) & mask)),
            np.uint64(offset + (((cx + 1) ^ y1) & mask)),
        )
    return rows, (fx, fy)


def _locate_3d(x, p, scale, resolution, offset, entries, dense, dims):
    cx, fx = _split(x[p, 0], scale)
    cy, fy = _split(x[p, 1], scale)
    cz, fz = _split(x[p, 2], scale)
    if dense:
        i = cx + resolution * (cy + resolution * cz)
        j = i + resolution * resolution
        rows = (
            _dense_row(i, entries, offset),
            _dense_row(i + 1, entries, offset),
            _dense_row(i + resolution, entries, offset),
            _dense_row(i + resolution + 1, entries, offset),
            _dense_row(j, entries, offset),
            _dense_row(j + 1, entries, offset),
            _dense_row(j + resolution, entries, offset),
            _dense_row(j + resolution + 1, entries, offset),
        )
    else:
        mask = entries - 1
        y0 = cy * PRIME_Y
        z0 = cz * PRIME_Z
        y1 = y0 + PRIME_Y
        z1 = z0 + PRIME_Z
        rows = (
            np.uint64(offset + ((cx ^ y0 ^ z0) & mask)),
            np.uint64(offset + (((cx + 1) ^ y0 ^ z0) & mask)),
            np.uint64(offset + ((cx ^ y1 ^ z0) & mask)),
            np.uint64(offset + (((cx + 1) ^ y1 ^ z0) & mask)),
            np.uint64(offset + ((cx ^ y0 ^ z1) & mask)),
            np.uint64(offset + (((cx + 1) ^ y0 ^ z1) & mask)),
            np.uint64(offset + ((cx ^ y1 ^ z1) & mask)),
            np.uint64(offset + (((cx + 1) ^ y1 ^ z1) & mask)),
        )
    return rows, (fx, fy, fz)


def _weights(fractions):
    """Weights of the corners, in the order of their rows."""
    raise NotImplementedError


@overload(_weights, jit_options={"nogil": True, "fastmath": {"contract"}})
def _weights_overload(fractions):
    return _weights_2d if len(fractions) == 2 else _weights_3d


def _weights_2d(fractions):
    fx, fy = fractions
    one = type(fx)(1)
    gx, gy = one - fx, one - fy
    return gx * gy, fx * gy, gx * fy, fx * fy


def _weights_3d(fractions):
    fx, fy, fz = fractions
    one = type(fx)(1)
    gx, gy, gz = one - fx, one - fy, one - fz
    a, b, c, d = gx * gy, fx * gy, gx * fy, fx * fy
    return a * gz, b * gz, c * gz, d * gz, a * fz, b * fz, c * fz, d * fz


def _slope(v, fractions, scale, parts, level, p):
    """Write the derivative by the point into parts[level, p]; v are the corners' values."""
    raise NotImplementedError


@overload(_slope, jit_options={"nogil": True, "fastmath": {"contract"}})
def _slope_overload(v, fractions, scale, parts, level, p):
    return _slope_2d if len(fractions) == 2 else _slope_3d


def _slope_2d(v, fractions, scale, parts, level, p):
    fx, fy = fractions
    one = type(fx)(1)
    gx, gy = one - fx, one - fy
    parts[level, p, 0] = scale * ((v[1] - v[0]) * gy + (v[3] - v[2]) * fy)
    parts[level, p, 1] = scale * ((v[2] - v[0]) * gx + (v[3] - v[1]) * fx)


def _slope_3d(v, fractions, scale, parts, level, p):
    fx, fy, fz = fractions
    one = type(fx)(1)
    gx, gy, gz = one - fx, one - fy, one - fz
    parts[level, p, 0] = scale * (
        ((v[1] - v[0]) * gy + (v[3] - v[2]) * fy) * gz
        + ((v[5] - v[4]) * gy + (v[7] - v[6]) * fy) * fz
    )
    parts[level, p, 1] = scale * (
        ((v[2] - v[0]) * gx + (v[3] - v[1]) * fx) * gz
        + ((v[6] - v[4]) * gx + (v[7] - v[5]) * fx) * fz
    )
    parts[level, p, 2] = scale * (
        ((v[4] - v[0]) * gx + (v[5] - v[1]) * fx) * gy
        + ((v[6] - v[2]) * gx + (v[7] - v[3]) * fx) * fy
    )


@njit(cache=True, parallel=True, nogil=True, fastmath={"contract"})
def _forward(x, table, out, scales, resolutions, offsets, entries, dense, dims, features):
    count = len(x)
    for task in prange((count + CHUNK - 1) // CHUNK):
        first = task * CHUNK
        last = min(first + CHUNK, count)
        for level in range(len(scales)):
            scale = scales[level]
            resolution, offset = resolutions[level], offsets[level]
            size, is_dense = entries[level], dense[level]
            column = level * len(features)
            for p in range(first, last):
                rows, fractions = _locate(x, p, scale, resolution, offset, size, is_dense, dims)
                weights = _weights(fractions)
                for f in range(len(features)):
                    total = weights[0] * table[rows[0], f]
                    for c in range(1, len(rows)):
                        total += weights[c] * table[rows[c], f]
                    out[p, column + f] = total


@njit(cache=True, parallel=True, nogil=True, fastmath={"contract"})
def _backward(
    x, table, grad_out, grad_table, parts, needs_table, needs_x,
    scales, resolutions, offsets, entries, dense, threads, dims, features,
):  # fmt: skip
    for thread in prange(threads):
        for level in range(thread, len(scales), threads):
            scale = scales[level]
            resolution, offset = resolutions[level], offsets[level]
            size, is_dense = entries[level], dense[level]
            column = level * len(features)
            for p in range(len(x)):
                rows, fractions = _locate(x, p, scale, resolution, offset, size, is_dense, dims)
                if needs_table:
                    weights = _weights(fractions)
                    for c in range(len(rows)):
                        for f in range(len(features)):
                            grad_table[rows[c], f] += weights[c] * grad_out[p, column + f]
                if needs_x:
                    _corner_slope(
                        table, rows, grad_out, column, features, fractions, scale, parts, level, p
                    )


def _corner_values(table, rows, grad_out, p, column, features):
    raise NotImplementedError


@njit(nogil=True, fastmath={"contract"})
def _value(table, row, grad_out, p, column, features):
    total = table[row, 0] * grad_out[p, column]
    for f in range(1, len(features)):
        total += table[row, f] * grad_out[p, column + f]
    return total


@overload(_corner_values, jit_options={"nogil": True})
def _corner_values_overload(table, rows, grad_out, p, column, features):
    def four(table, rows, grad_out, p, column, features):
        return (
            _value(table, rows[0], grad_out, p, column, features),
            _value(table, rows[1], grad_out, p, column, features),
            _value(table, rows[2], grad_out, p, column, features),
            _value(table, rows[3], grad_out, p, column, features),
        )

    def eight(table, rows, grad_out, p, column, features):
        return (
            _value(table, rows[0], grad_out, p, column, features),
            _value(table, rows[1], grad_out, p, column, features),
            _value(table, rows[2], grad_out, p, column, features),
            _value(table, rows[3], grad_out, p, column, features),
            _value(table, rows[4], grad_out, p, column, features),
            _value(table, rows[5], grad_out, p, column, features),
            _value(table, rows[6], grad_out, p, column, features),
            _value(table, rows[7], grad_out, p, column, features),
        )

    return four if len(rows) == 4 else eight


@njit(nogil=True)
def _corner_slope(table, rows, grad_out, column, features, fractions, scale, parts, level, p):
    v = _corner_values(table, rows, grad_out, p, column, features)
    _slope(v, fractions, scale, parts, level, p)
