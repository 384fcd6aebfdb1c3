"""What `losses.py` computes, on a CPU: each in one pass there and one back, compiled by Numba.

By single operations of torch a step makes some five hundred small arrays, and the time goes into
making them. Signatures and values are those of `losses.py`, its plain twin; sums run in float64,
one after another. Gradients are had once, of floating-point arguments that ask for them.
"""

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from nvd_core.training.losses import (
    ALPHA_MARGIN,
    LEAST_DETERMINANT,
    flow,
    flow_alpha,
)

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
            _add_layer(out.numpy(), _array(alphas), n, *map(_array, (rows, colour, residual)))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        alphas, *parts = ctx.saved_tensors
        of_alphas, gradients = _zeros(alphas), []
        for n, (rows, colour, residual) in enumerate(_threes(parts)):
            of_colour, of_residual = _zeros(colour), _zeros(residual)
            given = map(_array, (grad, alphas, rows, colour, residual))
            _back_layer(*given, n, of_alphas.numpy(), of_colour.numpy(), of_residual.numpy())
            gradients += None, of_colour, of_residual
        return of_alphas, *gradients


def _threes(parts):
    return zip(parts[::3], parts[1::3], parts[2::3], strict=True)


@njit(cache=True, nogil=True)
def _add_layer(out, alphas, n, rows, colour, residual):
    for i in range(len(rows)):
        row = rows[i]
        for c in range(3):
            out[row, c] += alphas[row, n] * (colour[i, c] * residual[i, c])


@njit(cache=True, nogil=True)
def _back_layer(grad, alphas, rows, colour, residual, n, of_alphas, of_colour, of_residual):
    for i in range(len(rows)):
        row = rows[i]
        a = alphas[row, n]
        for c in range(3):
            g = grad[row, c]
            of_alphas[row, n] += g * colour[i, c] * residual[i, c]
            of_colour[i, c] = g * a * residual[i, c]
            of_residual[i, c] = g * a * colour[i, c]


def colours(
    predicted: Tensor, true: tuple[Tensor, Tensor, Tensor], neighbours: bool
) -> tuple[Tensor, Tensor]:
    """See `losses.colours`."""
    return _Colours.apply(predicted, *true, neighbours)


class _Colours(torch.autograd.Function):
    @staticmethod
    def forward(ctx, predicted, at, right, below, neighbours):
        error = predicted - torch.cat([at, right, below])
        ctx.save_for_backward(error)
        ctx.counted = len(error) if neighbours else len(at)
        return _values(predicted, _colour_errors(error.numpy(), ctx.counted))

    @staticmethod
    @once_differentiable
    def backward(ctx, of_rgb, of_gradient):
        (error,) = ctx.saved_tensors
        out = _zeros(error)
        _back_colours(error.numpy(), ctx.counted, of_rgb.item(), of_gradient.item(), out.numpy())
        return out, None, None, None, None


@njit(cache=True, nogil=True)
def _colour_errors(error, counted):
    """Sums over points at p, then right, then below; the first `counted` rows count as colours."""
    points = len(error) // 3
    rgb = gradient = 0.0
    for i in range(counted):
        for c in range(3):
            rgb += error[i, c] * error[i, c]
    for i in range(points):
        for c in range(3):
            in_x = error[points + i, c] - error[i, c]
            in_y = error[2 * points + i, c] - error[i, c]
            gradient += in_x * in_x + in_y * in_y
    return rgb / max(counted, 1), gradient / max(points, 1)


@njit(cache=True, nogil=True)
def _back_colours(error, counted, of_rgb, of_gradient, out):
    points = len(error) // 3
    for i in range(len(error)):
        share = 2 * of_rgb / counted if i < counted else 0.0
        for c in range(3):
            out[i, c] = share * error[i, c]
    share = 2 * of_gradient / max(points, 1)
    for i in range(points):
        for c in range(3):
            in_x = share * (error[points + i, c] - error[i, c])
            in_y = share * (error[2 * points + i, c] - error[i, c])
            out[i, c] -= in_x + in_y
            out[points + i, c] += in_x
            out[2 * points + i, c] += in_y


def light(
    residual: Tensor, uv: Tensor, rest: float, delta: float, cells: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `losses.light`."""
    return _Light.apply(residual, uv, rest, delta, cells)


class _Light(torch.autograd.Function):
    @staticmethod
    def forward(ctx, residual, uv, rest, delta, cells):
        cell = np.empty(len(uv), np.int64)
        means = np.zeros((cells**2, 3))
        values = _light(_array(residual), _array(uv), rest, delta, cells, cell, means)
        ctx.save_for_backward(residual)
        ctx.known = rest, delta, cell, means
        return _values(residual, values)

    @staticmethod
    @once_differentiable
    def backward(ctx, *weights):
        (residual,) = ctx.saved_tensors
        out = _zeros(residual)
        _back_light(_array(residual), *ctx.known, *(w.item() for w in weights), out.numpy())
        return out, None, None, None, None


@njit(cache=True, nogil=True)
def _light(residual, uv, rest, delta, cells, cell, means):
    """Fills `cell` of every point, and `means` of every cell, of what is off `rest`."""
    count, points = len(residual), len(residual) // 3
    counts = np.zeros(len(means))
    one = mean = smooth = 0.0
    unit, half = type(uv[0, 0])(1), type(uv[0, 0])(cells / 2)  # as torch rounds them
    for i in range(count):
        column = int((uv[i, 0] + unit) * half)
        row = int((uv[i, 1] + unit) * half)
        cell[i] = min(max(row, 0), cells - 1) * cells + min(max(column, 0), cells - 1)
        counts[cell[i]] += 1
        for c in range(3):
            off = residual[i, c] - rest
            means[cell[i], c] += off
            squared = off * off
            if delta > 0:
                squared = 2 * delta**2 * (np.sqrt(1 + squared / delta**2) - 1)
            one += squared
    for k in range(len(means)):
        for c in range(3):
            total = means[k, c]
            means[k, c] = total / max(counts[k], 1)
            mean += total * means[k, c]
    for i in range(points):
        for c in range(3):
            smooth += abs(residual[points + i, c] - residual[i, c])
            smooth += abs(residual[2 * points + i, c] - residual[i, c])
    return one / count, mean / count, smooth / max(points, 1)


@njit(cache=True, nogil=True)
def _back_light(residual, rest, delta, cell, means, of_one, of_mean, of_smooth, out):
    count, points = len(residual), len(residual) // 3
    for i in range(count):
        for c in range(3):
            off = residual[i, c] - rest
            slope = 2 * off
            if delta > 0:
                slope /= np.sqrt(1 + off * off / delta**2)
            out[i, c] = (of_one * slope + of_mean * 2 * means[cell[i], c]) / count
    share = of_smooth / max(points, 1)
    for i in range(points):
        for c in range(3):
            in_x = share * np.sign(residual[points + i, c] - residual[i, c])
            in_y = share * np.sign(residual[2 * points + i, c] - residual[i, c])
            out[i, c] -= in_x + in_y
            out[points + i, c] += in_x
            out[2 * points + i, c] += in_y


def stretch(uv: Tensor, scale: float) -> Tensor:
    """See `losses.stretch`."""
    return _Stretch.apply(uv, scale)


class _Stretch(torch.autograd.Function):
    @staticmethod
    def forward(ctx, uv, scale):
        ctx.save_for_backward(uv)
        ctx.scale = scale
        return uv.new_tensor(_stretch(_array(uv), scale))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (uv,) = ctx.saved_tensors
        out = _zeros(uv)
        _back_stretch(_array(uv), ctx.scale, grad.item(), out.numpy())
        return out, None


@njit(cache=True, nogil=True)
def _stretch(uv, scale):
    """J^T J = ((a, b), (b, d)) at every point."""
    points = len(uv) // 3
    total = 0.0
    for i in range(points):
        ru, rv = scale * (uv[points + i, 0] - uv[i, 0]), scale * (uv[points + i, 1] - uv[i, 1])
        j = 2 * points + i
        bu, bv = scale * (uv[j, 0] - uv[i, 0]), scale * (uv[j, 1] - uv[i, 1])
        a, b, d = ru * ru + rv * rv, ru * bu + rv * bv, bu * bu + bv * bv
        norm = np.sqrt(a * a + 2 * b * b + d * d + 1e-12)
        total += norm + norm / max(a * d - b * b, LEAST_DETERMINANT)
    return total / max(points, 1)


@njit(cache=True, nogil=True)
def _back_stretch(uv, scale, grad, out):
    points = len(uv) // 3
    share = grad * scale / max(points, 1)
    for i in range(points):
        ru, rv = scale * (uv[points + i, 0] - uv[i, 0]), scale * (uv[points + i, 1] - uv[i, 1])
        j = 2 * points + i
        bu, bv = scale * (uv[j, 0] - uv[i, 0]), scale * (uv[j, 1] - uv[i, 1])
        a, b, d = ru * ru + rv * rv, ru * bu + rv * bv, bu * bu + bv * bv
        norm = np.sqrt(a * a + 2 * b * b + d * d + 1e-12)
        exact = a * d - b * b
        determinant = max(exact, LEAST_DETERMINANT)
        of_norm = (1 + 1 / determinant) / norm
        of_determinant = -norm / determinant**2 if exact >= LEAST_DETERMINANT else 0.0
        of_a = of_norm * a + of_determinant * d
        of_b = 2 * (of_norm * b - of_determinant * b)
        of_d = of_norm * d + of_determinant * a
        for axis in range(2):
            right, below = (ru, bu) if axis == 0 else (rv, bv)
            of_right = share * (2 * of_a * right + of_b * below)
            of_below = share * (2 * of_d * below + of_b * right)
            out[i, axis] = -(of_right + of_below)
            out[points + i, axis] = of_right
            out[j, axis] = of_below


def layer_sparsity(alphas: Tensor, n: int, rows: Tensor, colour: Tensor) -> Tensor:
    """See `losses.layer_sparsity`."""
    return _Sparsity.apply(alphas, n, rows, colour)


class _Sparsity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alphas, n, rows, colour):
        ctx.save_for_backward(alphas, rows, colour)
        ctx.n = n
        return alphas.new_tensor(_sparsity(*map(_array, (alphas, rows, colour)), n))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        alphas, rows, colour = ctx.saved_tensors
        of_alphas, of_colour = _zeros(alphas), _zeros(colour)
        given = map(_array, (alphas, rows, colour))
        _back_sparsity(*given, ctx.n, grad.item(), of_alphas.numpy(), of_colour.numpy())
        return of_alphas, None, None, of_colour


@njit(cache=True, nogil=True)
def _sparsity(alphas, rows, colour, n):
    total = 0.0
    for i in range(len(rows)):
        clear = 1 - alphas[rows[i], n]
        for c in range(3):
            total += (clear * colour[i, c]) ** 2
    return total / len(rows)


@njit(cache=True, nogil=True)
def _back_sparsity(alphas, rows, colour, n, grad, of_alphas, of_colour):
    share = 2 * grad / len(rows)
    for i in range(len(rows)):
        clear = 1 - alphas[rows[i], n]
        for c in range(3):
            of_colour[i, c] = share * clear * clear * colour[i, c]
            of_alphas[rows[i], n] -= share * clear * colour[i, c] * colour[i, c]


def mask(alpha: Tensor, coarse: Tensor, weight: Tensor) -> Tensor:
    """See `losses.mask`."""
    return _Mask.apply(alpha, coarse, weight)


class _Mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alpha, coarse, weight):
        ctx.save_for_backward(alpha, coarse, weight)
        return alpha.new_tensor(_mask(*map(_array, (alpha, coarse, weight))))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        out = _zeros(ctx.saved_tensors[0])
        _back_mask(*map(_array, ctx.saved_tensors), grad.item(), out.numpy())
        return out, None, None


@njit(cache=True, nogil=True)
def _mask(alpha, coarse, weight):
    total = 0.0
    for i in range(len(alpha)):
        a = min(max(alpha[i], ALPHA_MARGIN), 1 - ALPHA_MARGIN)
        total -= weight[i] * (coarse[i] * np.log(a) + (1 - coarse[i]) * np.log(1 - a))
    return total / max(len(alpha), 1)


@njit(cache=True, nogil=True)
def _back_mask(alpha, coarse, weight, grad, out):
    share = grad / max(len(alpha), 1)
    for i in range(len(alpha)):
        a = alpha[i]
        slope = 0.0
        if ALPHA_MARGIN <= a <= 1 - ALPHA_MARGIN:
            slope = share * weight[i] * ((1 - coarse[i]) / (1 - a) - coarse[i] / a)
        out[i] = slope


def alpha_binary(alphas: Tensor) -> Tensor:
    """See `losses.alpha_binary`."""
    return _AlphaBinary.apply(alphas)


class _AlphaBinary(torch.autograd.Function):
    @staticmethod
    def forward(ctx, alphas):
        ctx.save_for_backward(alphas)
        return alphas.new_tensor(_alpha_binary(_array(alphas)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (alphas,) = ctx.saved_tensors
        out = _zeros(alphas)
        _back_alpha_binary(_array(alphas), grad.item(), out.numpy())
        return out


@njit(cache=True, nogil=True)
def _alpha_binary(alphas):
    total = 0.0
    for i in range(len(alphas)):
        largest = alphas[i, 0]
        for n in range(1, alphas.shape[1]):
            largest = max(largest, alphas[i, n])
        total -= np.log(min(max(largest, ALPHA_MARGIN), 1 - ALPHA_MARGIN))
    return total / max(len(alphas), 1)


@njit(cache=True, nogil=True)
def _back_alpha_binary(alphas, grad, out):
    share = grad / max(len(alphas), 1)
    for i in range(len(alphas)):
        largest, ties = alphas[i, 0], 1
        for n in range(1, alphas.shape[1]):
            if alphas[i, n] > largest:
                largest, ties = alphas[i, n], 1
            elif alphas[i, n] == largest:
                ties += 1
        if ALPHA_MARGIN <= largest <= 1 - ALPHA_MARGIN:
            for n in range(alphas.shape[1]):
                if alphas[i, n] == largest:
                    out[i, n] = -share / (largest * ties)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros(like.shape, dtype=like.dtype)


def _values(like: Tensor, values: tuple[float, ...]) -> tuple[Tensor, ...]:
    return tuple(like.new_tensor(value) for value in values)
