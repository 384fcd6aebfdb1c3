"""Layouts, points and tables on which every backend of the hash grid must agree."""

import torch

from nvd_core.fields.hash_grid.grid import GridLayout

LAYOUTS = {
    "2-D hash": GridLayout(2, 5, log2_table=9, base=5, growth=1.7),
    "3-D hash": GridLayout(3, 4, log2_table=8, base=3, growth=1.6),
    "2-D dense": GridLayout(2, 3, base=7, growth=1.33, kind="dense"),
    "3-D dense": GridLayout(3, 3, base=4, growth=1.6, kind="dense"),
    "2-D, 1 feature": GridLayout(2, 3, features=1, log2_table=7, base=4, growth=2.0),
    "3-D, 3 features": GridLayout(3, 2, features=3, log2_table=7, base=4, growth=2.0),
    "3-D, 1 level": GridLayout(3, 1, log2_table=8, base=6),
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def make_points(dims: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    """Inside, outside, repeated, and the corners 0 and 1 of the unit square or cube."""
    generator = torch.Generator().manual_seed(count)
    x = torch.rand(count, dims, generator=generator, dtype=dtype)
    x[: count // 4] = x[: count // 4] * 5 - 2
    x[count // 4 : count // 2] = x[count // 4]
    special = torch.tensor([0.0, 1.0, -1.0, 0.5, 1e3, -1e3, 3e12, -3e12], dtype=dtype)
    x[-len(special) :] = special[:, None]
    return x


def make_table(layout: GridLayout, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(layout.entries, layout.features, generator=generator, dtype=dtype)


def gradients(encode, layout, dtype, count, **options) -> list[torch.Tensor]:
    """Output, gradient by x and gradient by table, of a random weighted sum of the output."""
    x = make_points(layout.dims, count, dtype).requires_grad_()
    table = make_table(layout, dtype).requires_grad_()
    out = encode(x, table, layout, **options)
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(out.shape, generator=generator, dtype=dtype)
    return [out.detach(), *torch.autograd.grad(out, (x, table), weight)]
