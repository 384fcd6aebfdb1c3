"""The step of GridAdam in one pass on CUDA; its twin is grid_adam.update_torch. Needs triton."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from nvd_core.training.grid_adam_reference import step_size

BLOCK = 1024
"""values a program"""


def update_triton(
    table: Tensor,  # float32 [entries, F], changed
    grad: Tensor,  # [entries, F], zeroed
    first: Tensor,  # [entries, F], changed
    second: Tensor,  # [entries, F], changed
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """Update contiguous arrays; where a gradient is 0 nothing else is read."""
    count = table.numel()
    if count == 0:
        return
    size = step_size(step, lr, beta1, beta2)
    with torch.cuda.device_of(table):
        _update[(triton.cdiv(count, BLOCK),)](
            table, grad, first, second, count, size,
            BETA1=beta1, BETA2=beta2, EPS=eps, BLOCK=BLOCK,
        )  # fmt: skip
    torch.autograd.graph.increment_version(table)  # autograd cannot see what a kernel writes


@triton.jit
def _update(
    table, grad, first, second, count, size,
    BETA1: tl.constexpr, BETA2: tl.constexpr, EPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    g = tl.load(grad + at, mask=at < count, other=0.0)
    touched = g != 0
    m = tl.load(first + at, mask=touched, other=0.0) * BETA1 + g * (1 - BETA1)
    v = tl.load(second + at, mask=touched, other=0.0) * BETA2 + g * g * (1 - BETA2)
    value = tl.load(table + at, mask=touched, other=0.0) - m * size / (tl.sqrt(v) + EPS)
    tl.store(first + at, m, mask=touched)
    tl.store(second + at, v, mask=touched)
    tl.store(table + at, value, mask=touched)
    tl.store(grad + at, 0.0, mask=touched)
