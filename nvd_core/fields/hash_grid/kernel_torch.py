"""The grid encoding in plain torch: the reference that the fast backends are tested against."""

import itertools

import torch
from torch import Tensor

from nvd_core.fields.hash_grid.grid import PRIMES, GridLayout, check_arguments

CELL_LIMIT = 2**30
"""Cells further out than this (and NaN) are read as this one, in every backend."""


def encode(
    x: Tensor,  # [P, D]
    table: Tensor,  # [entries, F]
    layout: GridLayout,
) -> Tensor:  # [P, L * F]
    """Interpolate every level at x. Differentiable once in x and in table."""
    check_arguments(x, table, layout)
    levels = [encode_level(x, table, layout, level) for level in range(layout.levels)]
    return torch.cat(levels, dim=1)


def encode_level(
    x: Tensor,  # [P, D]
    table: Tensor,  # [entries, F]
    layout: GridLayout,
    level: int,
) -> Tensor:  # [P, F]
    """sum over the 2^D corners c of table[index(c)] * prod over axes of (1 - f) or f.

    f is the fraction of the position x * scale + 0.5 within its cell.
    """
    position = x * layout.scales[level] + 0.5
    cell = torch.floor(position.detach())
    fraction = position - cell
    cell = cell.nan_to_num(nan=-CELL_LIMIT).clamp(-CELL_LIMIT, CELL_LIMIT).long()
    features = torch.zeros(len(x), layout.features, dtype=table.dtype, device=table.device)
    for corner in itertools.product((0, 1), repeat=layout.dims):
        steps = torch.tensor(corner, device=x.device)
        weight = torch.where(steps == 1, fraction, 1 - fraction).prod(dim=1, keepdim=True)
        index = layout.offsets[level] + entry_index(cell + steps, layout, level)
        features = features + weight * table[index]
    return features


def entry_index(
    cell: Tensor,  # [P, D] int64
    layout: GridLayout,
    level: int,
) -> Tensor:  # [P] int64
    """The entry of a vertex within its level, computed as if in 32-bit unsigned integers.

    dense: (x + y * resolution + z * resolution^2) mod entries; hashed: (x * 1 xor y * prime_y xor
    z * prime_z) mod entries.
    """
    columns = cell.unbind(dim=1)
    if layout.dense[level]:
        strides = [layout.resolutions[level] ** axis for axis in range(layout.dims)]
        index = sum(c * stride for c, stride in zip(columns, strides, strict=True))
    else:
        index = columns[0] * PRIMES[0]
        for c, prime in zip(columns[1:], PRIMES[1:], strict=False):
            index = index ^ (c * prime)
    return (index & 0xFFFFFFFF) % layout.level_entries[level]
