"""The step of GridAdam in plain torch: what the fused updates are compared with."""

import math

import torch
from torch import Tensor


def update_torch(
    table: Tensor,  # [entries, F], changed
    grad: Tensor,  # [entries, F], zeroed
    first: Tensor,  # [entries, F], changed
    second: Tensor,  # [entries, F], changed
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    """One step in plain torch: the reference, and what runs on CUDA without Triton.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
    table -= lr sqrt(1 - beta2^step) / (1 - beta1^step) * m / (sqrt(v) + eps), where g is not 0.
    """
    touched = grad != 0
    m = first * beta1 + grad * (1 - beta1)
    v = second * beta2 + grad * grad * (1 - beta2)
    change = m * step_size(step, lr, beta1, beta2) / (v.sqrt() + eps)
    first.copy_(torch.where(touched, m, first))
    second.copy_(torch.where(touched, v, second))
    table.copy_(torch.where(touched, table - change, table))
    grad.zero_()


def step_size(step: int, lr: float, beta1: float, beta2: float) -> float:
    """The learning rate, corrected for the bias of both moments after so many steps."""
    return lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
