"""The hash grid's Triton kernels against the torch reference, forward and backward.

On a machine with CUDA they run compiled; elsewhere Triton's interpreter runs them (conftest.py).
"""

import math

import pytest
import torch

from nvd_core.fields.hash_grid import kernel_torch
from nvd_core.fields.hash_grid.grid import GridLayout, HashGrid
from nvd_core.runtime.devices import triton_works

pytest.importorskip("triton", reason="Triton is not installed: its kernels are NOT tested")

from nvd_core.fields.hash_grid import kernel_triton

pytestmark = pytest.mark.slow

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def encode(x, table, layout, **options):
    """The Triton backend for tensors on the CPU, wherever it runs."""
    out = kernel_triton.encode(x.to(DEVICE), table.to(DEVICE), layout, **options)
    return out.cpu()


def test_triton_works_here():
    assert triton_works(DEVICE)


def test_parity(grid_name, grid_dtype, grid_cases):
    """More points than a block, some of them far outside."""
    count = kernel_triton.BLOCK + 33
    expected = grid_cases.gradients(
        kernel_torch.encode, grid_cases.LAYOUTS[grid_name], grid_dtype, count
    )
    found = grid_cases.gradients(encode, grid_cases.LAYOUTS[grid_name], grid_dtype, count)
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= grid_cases.TOLERANCE[grid_dtype] * a.abs().max()


def test_parity_published_layout(grid_cases):
    layout = GridLayout(3)
    expected = grid_cases.gradients(kernel_torch.encode, layout, torch.float32, 128)
    found = grid_cases.gradients(encode, layout, torch.float32, 128)
    for a, b in zip(expected, found, strict=True):
        assert (a - b).abs().max() <= 1e-5 * a.abs().max()


def test_many_points_of_one_cell():
    """Additions to one entry are lost by none of the programs and lanes that make them."""
    layout = GridLayout(2, 1, features=1, base=5, kind="dense")
    table = torch.zeros(layout.entries, 1, dtype=torch.float64, requires_grad=True)
    count = 3 * kernel_triton.BLOCK + 5
    x = torch.tensor([[0.25, 0.5]], dtype=torch.float64).expand(count, 2)
    encode(x, table, layout).sum().backward()
    assert table.grad.sum().item() == pytest.approx(count, rel=1e-12)
    touched = table.grad.flatten().nonzero().flatten().tolist()
    assert touched == [11, 12, 16, 17]  # (1.5, 2.5) on a side of 5
    assert table.grad[touched].flatten().tolist() == pytest.approx([count / 4] * 4)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("name", ["2-D hash", "3-D dense"])
def test_cardinality(name, count, grid_cases):
    layout = grid_cases.LAYOUTS[name]
    grid = HashGrid(layout, "triton").to(DEVICE)
    x = torch.rand(count, layout.dims, device=DEVICE, requires_grad=True)
    out = grid(x)
    assert out.shape == (count, layout.levels * layout.features)
    out.sum().backward()
    assert x.grad.shape == x.shape
    assert grid.table.grad.shape == grid.table.shape


def test_not_a_number(grid_cases):
    """NaN and infinity reach no memory but the table's, and spoil only their own row."""
    layout = grid_cases.LAYOUTS["3-D hash"]
    x = torch.rand(5, 3)
    x[1, 0], x[2], x[3] = math.nan, math.inf, -math.inf
    table = grid_cases.make_table(layout, torch.float32).requires_grad_()
    out = encode(x.requires_grad_(), table, layout)
    assert out.isfinite().all(dim=1).tolist() == [True, False, False, False, True]
    out.nansum().backward()


def test_strided(grid_cases):
    """Points, table and gradient that are not contiguous."""
    layout = grid_cases.LAYOUTS["2-D hash"]
    x = grid_cases.make_points(2, 50, torch.float64).t().contiguous().t()
    table = grid_cases.make_table(layout, torch.float64).t().contiguous().t()
    results = []
    for function in (kernel_torch.encode, encode):
        leaf = table.detach().requires_grad_()
        function(x, leaf, layout).sum().backward()  # sum's gradient is one value, expanded
        results.append(leaf.grad)
    assert not table.is_contiguous()
    assert torch.allclose(*results, atol=1e-12)


@pytest.mark.parametrize("first_grad", ["none", "kept"])
def test_accumulate_in_place(first_grad, grid_cases):
    """Several calls in one backward pass, straight into table.grad, equal the plain path."""
    layout = grid_cases.LAYOUTS["2-D hash"]
    grids = [HashGrid(layout, "torch"), HashGrid(layout, "triton", accumulate_in_place=True)]
    x = [torch.rand(40, 2, device=DEVICE), torch.rand(70, 2, device=DEVICE)]
    for grid in grids:
        grid.to(DEVICE).table.data = grid_cases.make_table(layout, torch.float32).to(DEVICE)
        if first_grad == "kept":
            (grid(x[1]) ** 2).sum().backward()
        buffer = grid.table.grad
        (sum((grid(p) ** 2).sum() for p in x)).backward()
    assert first_grad == "none" or grids[1].table.grad is buffer
    assert torch.allclose(grids[1].table.grad, grids[0].table.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("in_place", [False, True])
def test_frozen_table(in_place, grid_cases):
    """A table that needs no gradient gets none; the points still get theirs."""
    grid = HashGrid(grid_cases.LAYOUTS["2-D hash"], "triton", accumulate_in_place=in_place).to(
        DEVICE
    )
    grid.table.requires_grad_(False)
    x = torch.rand(5, 2, device=DEVICE, requires_grad=True)
    grid(x).sum().backward()
    assert grid.table.grad is None
    assert x.grad.abs().sum() > 0


def test_frozen_points(grid_cases):
    """Points that need no gradient get none; the table's is the same with and without theirs."""
    layout = grid_cases.LAYOUTS["3-D hash"]
    x, grads = torch.rand(20, 3), []
    for needs in (False, True):
        table = grid_cases.make_table(layout, torch.float64).requires_grad_()
        encode(x.double().requires_grad_(needs), table, layout).square().sum().backward()
        grads.append(table.grad)
    assert torch.allclose(*grads, rtol=1e-12)
