"""What `losses.py` computes, on a CPU: each in one pass there and one back.

By single operations of torch a step makes some five hundred small arrays, and the time goes into
making them. Signatures and values are those of `losses.py`, its plain twin; sums run in float64,
one after another (`loss_kernels.py`). Gradients are had once.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nvd_core.training import loss_kernels as kernels
from nvd_core.training.losses import flow, flow_alpha

__all__ = [
    "alpha_binary", "colours", "composite", "flow", "flow_alpha", "layer_sparsity", "light", "mask",
    "stretch",
]  # fmt: skip


def composite(alphas: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """See `losses.composite`."""
    return _Composite.apply(alphas, *(tensor for part in parts for tensor in part))


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alphas, *parts):
        ctx.save_for_backward(alphas, *parts)
        out = alphas.new_zeros(len(alphas), 3)
        for n, (rows, colour, residual) in enumerate(_threes(parts)):
            kernels.add_layer(out.numpy(), _array(alphas), n, *_arrays(rows, colour, residual))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        alphas, *parts = ctx.saved_tensors
        of_alphas = _zeros(alphas)
        gradients: list[Tensor | None] = []
        for n, (rows, colour, residual) in enumerate(_threes(parts)):
            of_colour, of_residual = _zeros(colour), _zeros(residual)
            given = _arrays(grad, alphas, rows, colour, residual)
            out = _arrays(of_alphas, of_colour, of_residual)
            kernels.back_layer(*(*given, n, *out))
            gradients += None, of_colour, of_residual
        return of_alphas, *gradients


def _threes(parts):
    return zip(parts[::3], parts[1::3], parts[2::3], strict=True)


def colours(
    predicted: Tensor,
    true: tuple[Tensor, Tensor, Tensor],
    neighbours: bool,
    wanted: tuple[bool, bool] = (True, True),
) -> tuple[Tensor, Tensor]:
    """See `losses.colours`."""
    return _Colours.apply(predicted, *true, neighbours, wanted)


class _Colours(torch.autograd.Function):
    @staticmethod
    def forward(ctx, predicted, at, right, below, neighbours, wanted):
        error = predicted - torch.cat([at, right, below])
        ctx.save_for_backward(error)
        ctx.counted, ctx.wanted = len(error) if neighbours else len(at), wanted
        return _values(predicted, kernels.colour_errors(error.numpy(), ctx.counted, *wanted))

    @staticmethod
    @once_differentiable
    def backward(ctx, *weights):
        (error,) = ctx.saved_tensors
        out = _zeros(error)
        given = error.numpy(), ctx.counted, *_of(weights, ctx.wanted)
        kernels.back_colours(*(*given, out.numpy()))
        return out, None, None, None, None, None


def light(
    residual: Tensor,
    uv: Tensor,
    rest: float,
    delta: float,
    cells: int,
    wanted: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Tensor, Tensor, Tensor]:
    """See `losses.light`."""
    return _Light.apply(residual, uv, rest, delta, cells, wanted)


class _Light(torch.autograd.Function):
    @staticmethod
    def forward(ctx, residual, uv, rest, delta, cells, wanted):
        cell = np.zeros(len(uv), np.int64)
        means = np.zeros((cells**2, 3))
        given = _array(residual), _array(uv), rest, delta, cells
        values = kernels.light_values(*given, cell, means, *wanted)
        ctx.save_for_backward(residual)
        ctx.known, ctx.wanted = (rest, delta, cell, means), wanted
        return _values(residual, values)

    @staticmethod
    @once_differentiable
    def backward(ctx, *weights):
        (residual,) = ctx.saved_tensors
        out = _zeros(residual)
        given = _array(residual), *ctx.known, *_of(weights, ctx.wanted)
        kernels.back_light(*(*given, out.numpy()))
        return out, None, None, None, None, None


def stretch(uv: Tensor, scale: float) -> Tensor:
    """See `losses.stretch`."""
    return _Stretch.apply(uv, scale)


class _Stretch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, uv, scale):
        ctx.save_for_backward(uv)
        ctx.scale = scale
        return uv.new_tensor(kernels.stretch_value(_array(uv), scale))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (uv,) = ctx.saved_tensors
        out = _zeros(uv)
        kernels.back_stretch(_array(uv), ctx.scale, grad.item(), out.numpy())
        return out, None


def layer_sparsity(alphas: Tensor, n: int, rows: Tensor, colour: Tensor) -> Tensor:
    """See `losses.layer_sparsity`."""
    return _Sparsity.apply(alphas, n, rows, colour)


class _Sparsity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alphas, n, rows, colour):
        ctx.save_for_backward(alphas, rows, colour)
        ctx.n = n
        given = *_arrays(alphas, rows, colour), n
        return alphas.new_tensor(kernels.sparsity_value(*given))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        alphas, rows, colour = ctx.saved_tensors
        of_alphas, of_colour = _zeros(alphas), _zeros(colour)
        given = _arrays(alphas, rows, colour)
        out = _arrays(of_alphas, of_colour)
        kernels.back_sparsity(*(*given, ctx.n, grad.item(), *out))
        return of_alphas, None, None, of_colour


def mask(alpha: Tensor, coarse: Tensor, weight: Tensor) -> Tensor:
    """See `losses.mask`."""
    return _Mask.apply(alpha, coarse, weight)


class _Mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alpha, coarse, weight):
        ctx.save_for_backward(alpha, coarse, weight)
        return alpha.new_tensor(kernels.mask_value(*_arrays(alpha, coarse, weight)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        out = _zeros(ctx.saved_tensors[0])
        given = *_arrays(*ctx.saved_tensors), grad.item()
        kernels.back_mask(*(*given, out.numpy()))
        return out, None, None


def alpha_binary(alphas: Tensor) -> Tensor:
    """See `losses.alpha_binary`."""
    return _AlphaBinary.apply(alphas)


class _AlphaBinary(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alphas):
        ctx.save_for_backward(alphas)
        return alphas.new_tensor(kernels.alpha_binary_value(_array(alphas)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (alphas,) = ctx.saved_tensors
        out = _zeros(alphas)
        kernels.back_alpha_binary(_array(alphas), grad.item(), out.numpy())
        return out


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _arrays(*tensors):
    return [_array(tensor) for tensor in tensors]


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=like.dtype)


def _values(like: Tensor, values: tuple[float, ...]) -> tuple[Tensor, ...]:
    return tuple(like.new_tensor(value) for value in values)


def _of(weights, wanted):
    """What the parts of a loss weigh; 0 for those that were not computed."""
    return tuple(w.item() if there else 0.0 for w, there in zip(weights, wanted, strict=True))
