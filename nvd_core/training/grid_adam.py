"""Adam for the tables of hash grids, where most of an iteration's gradient may be exactly zero.

A value whose gradient is exactly zero is left alone, moments included, as tiny-cuda-nn's Adam does
for grids. Unlike tiny-cuda-nn, which counts the steps of every value, the bias correction takes
the optimizer's own step count: a third array less to read, and for betas of (0.9, 0.99) a value
first touched late moves by (1 - 0.9) / sqrt(1 - 0.99) = 1 learning rate, as it would have early.
"""

import importlib
from collections.abc import Callable

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from nvd_core.runtime.devices import triton_works
from nvd_core.runtime.kernel_threads import parallel_njit, sharing_threads
from nvd_core.training.grid_adam_reference import step_size, update_torch

CHUNK = 2**14  # values that a thread takes at a time
BLOCK = 256  # values skipped together where all their gradients are zero


class GridAdam(torch.optim.Optimizer):
    """Adam that skips zero gradients and leaves every gradient zero.

    On the CPU, and on CUDA with Triton, one fused pass updates and zeroes the gradient behind
    itself: `zero_grad` is not needed. It may be called all the same; unlike other optimizers it
    keeps the arrays by default, as `HashGrid.accumulate_in_place` wants them.
    """

    def __init__(
        self,
        params,
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-15,
    ):
        if lr < 0:
            raise ValueError(f"lr must not be negative, got {lr}")
        if not (0 <= betas[0] < 1 and 0 <= betas[1] < 1):
            raise ValueError(f"betas must lie in [0, 1), got {betas}")
        if eps < 0:
            raise ValueError(f"eps must not be negative, got {eps}")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps})

    @torch.no_grad()
    def step(  # type: ignore[override]  # torch calls the loss a float
        self, closure: Callable[[], Tensor] | None = None
    ) -> Tensor | None:
        """Update every table that has a gradient, and zero that gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._update(table, group)
        return loss

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Zero the gradients, or drop them."""
        super().zero_grad(set_to_none=set_to_none)

    def _update(self, table: Tensor, group: dict) -> None:
        if table.grad.is_sparse:
            raise ValueError("GridAdam takes dense gradients, got a sparse one")
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state["exp_avg"] = torch.zeros_like(table, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(table, memory_format=torch.preserve_format)
        state["step"] += 1
        arrays = (table, table.grad, state["exp_avg"], state["exp_avg_sq"])
        update = _update_for(arrays)
        update(*arrays, int(state["step"]), float(group["lr"]), *group["betas"], group["eps"])


def _update_for(arrays: tuple[Tensor, ...]) -> Callable[..., None]:
    """The fastest of the updates that take these arrays."""
    table = arrays[0]
    if not all(a.device == table.device and a.is_contiguous() for a in arrays):
        return update_torch
    if table.device.type == "cpu":
        return update_numba
    if table.device.type == "cuda" and table.dtype == torch.float32 and triton_works(table.device):
        return importlib.import_module("nvd_core.training.grid_adam_triton").update_triton
    return update_torch


def update_numba(
    table: Tensor,
    grad: Tensor,
    first: Tensor,
    second: Tensor,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """The same step in one pass over contiguous arrays on the CPU."""
    flat = [a.detach().view(-1).numpy() for a in (table, grad, first, second)]
    numbers = (beta1, 1 - beta1, beta2, 1 - beta2, step_size(step, lr, beta1, beta2), eps)
    numbers = [flat[0].dtype.type(number) for number in numbers]
    with sharing_threads():
        _update_chunks(*flat, *numbers)
    torch.autograd.graph.increment_version(table)  # autograd cannot see what a kernel writes


@parallel_njit
def _update_chunks(table, grad, first, second, beta1, rest1, beta2, rest2, size, eps):
    for chunk in prange((len(table) + CHUNK - 1) // CHUNK):
        end = min((chunk + 1) * CHUNK, len(table))
        _update(
            chunk * CHUNK, end, table, grad, first, second, beta1, rest1, beta2, rest2, size, eps
        )


@njit(cache=True, nogil=True)
def _update(start, end, table, grad, first, second, beta1, rest1, beta2, rest2, size, eps):
    """Update values start..end, reading no more than the gradient of blocks that have none."""
    for block in range(start, end, BLOCK):
        part = slice(block, min(block + BLOCK, end))
        touched = 0
        for g in grad[part]:
            touched += g != 0
        if touched > 0:
            _update_block(
                table[part], grad[part], first[part], second[part],
                beta1, rest1, beta2, rest2, size, eps,
            )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def _update_block(table, grad, first, second, beta1, rest1, beta2, rest2, size, eps):
    """Without branches and on slices from 0, so that it compiles to vector instructions."""
    for i in range(len(table)):
        g, m, v, value = grad[i], first[i], second[i], table[i]
        new_m = m * beta1 + g * rest1
        new_v = v * beta2 + g * g * rest2
        new_value = value - new_m * size / (np.sqrt(new_v) + eps)
        first[i] = new_m if g != 0 else m
        second[i] = new_v if g != 0 else v
        table[i] = new_value if g != 0 else value
        grad[i] = 0
