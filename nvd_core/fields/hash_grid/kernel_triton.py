"""The grid encoding as Triton kernels for CUDA. Importing this module needs triton.

A program takes a block of points through one level. The backward pass adds to the table
atomically, so its sums have no fixed order and their last bits differ from run to run; the gradient
of the points is written level by level and summed afterwards.

Multiplications and additions stay apart (no fused rounding), as in the other backends, so that a
point near the border of two cells falls into the same one everywhere.
"""

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from nvd_core.fields.hash_grid.grid import PRIMES, GridLayout, check_arguments, gradient_buffer

PRIME_Y = tl.constexpr(PRIMES[1])
PRIME_Z = tl.constexpr(PRIMES[2])
CELL_LIMIT = tl.constexpr(2.0**30)
BLOCK = 128
"""points a program"""


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
    return _Encode.apply(x, table, layout, accumulate_in_place and table.is_leaf)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, table, layout, accumulate_in_place):
        out = x.new_empty(len(x), layout.out_features)
        tensors = x.contiguous(), table.contiguous(), out
        padded = triton.next_power_of_2(layout.features)
        _launch(_encode_kernel, layout, *tensors, PADDED=padded)
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
        inputs = x.contiguous(), table.contiguous(), grad_out.contiguous()
        flags = {"NEEDS_TABLE": needs_table, "NEEDS_X": needs_x}
        _launch(_backward_kernel, layout, *inputs, grad_table, grad_x_parts, **flags)
        grad_x = grad_x_parts.sum(dim=0).t().contiguous() if needs_x else None
        return grad_x, grad_table if needs_table and not in_place else None, None, None


def _launch(kernel, layout: GridLayout, x: Tensor, *tensors: Tensor, **flags: int) -> None:
    """Run `kernel` over all blocks of points and all levels, on the device of x."""
    if len(x) == 0:
        return
    levels = _level_tensors(layout, x.dtype, x.device)
    with torch.cuda.device_of(x):
        kernel[triton.cdiv(len(x), BLOCK), layout.levels](
            x, *tensors, *levels, len(x),
            DIMS=layout.dims, FEATURES=layout.features, LEVELS=layout.levels, BLOCK=BLOCK,
            enable_fp_fusion=False, **flags,
        )  # fmt: skip


@lru_cache(maxsize=64)
def _level_tensors(
    layout: GridLayout, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """scales, resolutions, offsets, entries and dense flags of the levels, for the kernels."""
    return (
        torch.tensor(layout.scales, dtype=dtype, device=device),
        torch.tensor(layout.resolutions, dtype=torch.int64, device=device),
        torch.tensor(layout.offsets, dtype=torch.int64, device=device),
        torch.tensor(layout.level_entries, dtype=torch.int64, device=device),
        torch.tensor(layout.dense, dtype=torch.int32, device=device),
    )


@triton.jit
def _encode_kernel(
    x, table, out,
    scales, resolutions, offsets, level_entries, dense, count,
    DIMS: tl.constexpr, FEATURES: tl.constexpr, LEVELS: tl.constexpr, BLOCK: tl.constexpr,
    PADDED: tl.constexpr,
):  # fmt: skip
    """out[p, level * FEATURES + f] = sum over corners of weight * entry."""
    level = tl.program_id(1)
    point = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = point < count
    feature = tl.arange(0, PADDED)
    mask = inside[:, None] & (feature < FEATURES)[None, :]
    scale, is_dense = tl.load(scales + level), tl.load(dense + level)
    side, size = tl.load(resolutions + level), tl.load(level_entries + level)
    cell_x, fx = _locate(x, point, inside, scale, 0, DIMS)
    cell_y, fy = _locate(x, point, inside, scale, 1, DIMS)
    cell_z, fz = _locate(x, point, inside, scale, DIMS - 1, DIMS)
    entries = table + tl.load(offsets + level) * FEATURES
    total = tl.zeros((BLOCK, PADDED), scale.dtype)
    for corner in tl.static_range(2**DIMS):
        row = _row(cell_x, cell_y, cell_z, corner, DIMS, is_dense, side, size)
        weight = _along(fx, corner, 0) * _along(fy, corner, 1)
        if DIMS == 3:
            weight = weight * _along(fz, corner, 2)
        value = tl.load(entries + row[:, None] * FEATURES + feature[None, :], mask=mask, other=0.0)
        total += weight[:, None] * value
    place = (point[:, None] * LEVELS + level) * FEATURES + feature[None, :]
    tl.store(out + place, total, mask=mask)


@triton.jit
def _backward_kernel(
    x, table, grad_out, grad_table, grad_x_parts,
    scales, resolutions, offsets, level_entries, dense, count,
    DIMS: tl.constexpr, FEATURES: tl.constexpr, LEVELS: tl.constexpr, BLOCK: tl.constexpr,
    NEEDS_TABLE: tl.constexpr, NEEDS_X: tl.constexpr,
):  # fmt: skip
    """Add to the level's part of grad_table; write its share of grad_x, [LEVELS, DIMS, count].

    Atomic additions take one value at a time, so features come one after the other: blocks of
    points x features, as in the forward pass, would have to change threads through shared memory.
    """
    level = tl.program_id(1)
    point = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = point < count
    scale, is_dense = tl.load(scales + level), tl.load(dense + level)
    side, size = tl.load(resolutions + level), tl.load(level_entries + level)
    cell_x, fx = _locate(x, point, inside, scale, 0, DIMS)
    cell_y, fy = _locate(x, point, inside, scale, 1, DIMS)
    cell_z, fz = _locate(x, point, inside, scale, DIMS - 1, DIMS)
    first = tl.load(offsets + level) * FEATURES
    slope_x = tl.zeros((BLOCK,), scale.dtype)
    slope_y = tl.zeros((BLOCK,), scale.dtype)
    slope_z = tl.zeros((BLOCK,), scale.dtype)
    for feature in tl.static_range(FEATURES):
        place = (point * LEVELS + level) * FEATURES + feature
        grad = tl.load(grad_out + place, mask=inside, other=0.0)
        for corner in tl.static_range(2**DIMS):
            row = _row(cell_x, cell_y, cell_z, corner, DIMS, is_dense, side, size)
            entry = first + row * FEATURES + feature
            along_x, along_y, along_z = _along(fx, corner, 0), _along(fy, corner, 1), 1.0
            if DIMS == 3:
                along_z = _along(fz, corner, 2)
            if NEEDS_TABLE:
                weight = along_x * along_y * along_z
                tl.atomic_add(grad_table + entry, weight * grad, mask=inside, sem="relaxed")
            if NEEDS_X:
                value = tl.load(table + entry, mask=inside, other=0.0) * grad
                slope_x += _signed(value, corner, 0) * (along_y * along_z)
                slope_y += _signed(value, corner, 1) * (along_x * along_z)
                if DIMS == 3:
                    slope_z += _signed(value, corner, 2) * (along_x * along_y)
    if NEEDS_X:
        part = grad_x_parts + level.to(tl.int64) * DIMS * count + point
        tl.store(part, scale * slope_x, mask=inside)
        tl.store(part + count, scale * slope_y, mask=inside)
        if DIMS == 3:
            tl.store(part + 2 * count, scale * slope_z, mask=inside)


@triton.jit
def _locate(x, point, inside, scale, axis: tl.constexpr, DIMS: tl.constexpr):
    """Cells (uint32, as two's complement) and fractions of the points along an axis."""
    position = tl.load(x + point * DIMS + axis, mask=inside, other=0.0) * scale + 0.5
    cell = tl.floor(position)
    fraction = position - cell
    cell = tl.where(cell > -CELL_LIMIT, cell, -CELL_LIMIT)  # NaN comes out here too
    cell = tl.where(cell < CELL_LIMIT, cell, CELL_LIMIT)
    return cell.to(tl.int32).to(tl.uint32, bitcast=True), fraction


@triton.jit
def _row(
    cell_x, cell_y, cell_z, corner: tl.constexpr, DIMS: tl.constexpr, dense, resolution, entries
):
    """The row of a corner within its level; bit 0 of a corner is x, bit 1 y, bit 2 z."""
    x = cell_x + (corner & 1)
    y = cell_y + ((corner >> 1) & 1)
    z = cell_z + (corner >> 2)
    if dense != 0:
        side = resolution.to(tl.uint32)
        row = x + y * side
        if DIMS == 3:
            row += z * (side * side)
        row = row % entries.to(tl.uint32)
    else:
        row = x ^ (y * PRIME_Y)
        if DIMS == 3:
            row = row ^ (z * PRIME_Z)
        row = row & (entries - 1).to(tl.uint32)  # a hashed level has a power of two
    return row.to(tl.int64)


@triton.jit
def _along(fraction, corner: tl.constexpr, axis: tl.constexpr):
    """A corner's weight along an axis."""
    if (corner >> axis) & 1:
        return fraction
    else:
        return 1.0 - fraction


@triton.jit
def _signed(value, corner: tl.constexpr, axis: tl.constexpr):
    """The slope of a corner's weight along an axis, times `value`."""
    if (corner >> axis) & 1:
        return value
    else:
        return -value
