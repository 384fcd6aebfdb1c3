"""Points moved by a homography of their frame and by its learned correction.

q = (I + D_t) B_t (x, y, 1), its first two entries divided by the third. `move_torch` is plain;
on a CPU `move` does the same in one pass there and one back, where torch would make a matrix for
every point.
"""

import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

MARGIN = 1e-3
"""homogeneous denominators are at least this: they cannot divide by 0 or change sign"""


def move(xy: Tensor, t: Tensor, matrices: Tensor, correction: Tensor) -> Tensor:
    """q [P, 2] of pixels xy [P, 2] of frames t [P]; B `matrices`, D `correction` [T, 3, 3] each.

    Differentiable in `correction`, which sums over the points in their order; in xy too, where that
    asks for it.
    """
    if xy.device.type != "cpu" or xy.requires_grad or xy.dtype != correction.dtype:
        return move_torch(xy, t, matrices, correction)
    return _Move.apply(xy, t, matrices, correction)


def move_torch(xy: Tensor, t: Tensor, matrices: Tensor, correction: Tensor) -> Tensor:
    """The same by torch's own operations."""
    one = torch.ones_like(xy[:, :1])
    point = torch.matmul(matrices[t], torch.cat([xy, one], -1)[..., None])
    # index_select's gradient sums in a fixed order; that of [t] does not, with several threads
    correction = correction.index_select(0, t)
    point = (point + torch.matmul(correction, point)).squeeze(-1)
    return point[:, :2] / point[:, 2:].clamp_min(MARGIN)


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx, xy, t, matrices, correction):
        xy, t, matrices, correction = (a.contiguous() for a in (xy, t, matrices, correction))
        ctx.save_for_backward(xy, t, matrices, correction)
        out = torch.empty_like(xy)
        arrays = (a.detach().numpy() for a in (xy, t, matrices, correction, out))
        _move(*arrays)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        xy, t, matrices, correction = ctx.saved_tensors
        out = torch.zeros_like(correction)
        arrays = (xy, t, matrices, correction, grad.contiguous(), out)
        _back(*(a.detach().numpy() for a in arrays))
        return None, None, None, out


@njit(nogil=True)
def _moved(x, y, matrix, correction):
    """B (x, y, 1), and the same corrected."""
    a = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    b = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    c = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    to_a = a + (correction[0, 0] * a + correction[0, 1] * b + correction[0, 2] * c)
    to_b = b + (correction[1, 0] * a + correction[1, 1] * b + correction[1, 2] * c)
    to_c = c + (correction[2, 0] * a + correction[2, 1] * b + correction[2, 2] * c)
    return (a, b, c), (to_a, to_b, to_c)


@njit(cache=True, nogil=True)
def _move(xy, t, matrices, correction, out):
    margin = type(xy[0, 0])(MARGIN)
    for i in range(len(xy)):
        _, (a, b, c) = _moved(xy[i, 0], xy[i, 1], matrices[t[i]], correction[t[i]])
        c = max(c, margin)
        out[i, 0] = a / c
        out[i, 1] = b / c


@njit(cache=True, nogil=True)
def _back(xy, t, matrices, correction, grad, out):
    margin = type(xy[0, 0])(MARGIN)
    for i in range(len(xy)):
        point, (a, b, c) = _moved(xy[i, 0], xy[i, 1], matrices[t[i]], correction[t[i]])
        safe = max(c, margin)
        of_a, of_b = grad[i, 0] / safe, grad[i, 1] / safe
        of_c = -(of_a * a + of_b * b) / safe if c >= margin else type(safe)(0)
        for row, of in enumerate((of_a, of_b, of_c)):
            for column, value in enumerate(point):
                out[t[i], row, column] += of * value
