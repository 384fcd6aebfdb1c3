"""The losses, each a small pure function that names its equation in the paper.

Every function returns the mean over its points, unweighted; `settings.LossWeights` holds the
weights. P points, L layers (background last), N = L - 1 objects. Those at the end are put together
from the others as a training step asks for them; `fast_losses.py` has the same for CPUs.
"""

import torch
from torch import Tensor

ALPHA_MARGIN = 1e-5
"""alphas are kept this far from 0 and 1 before a logarithm"""
LEAST_DETERMINANT = 1e-4
"""of J^T J, where the mapping folds"""


def rgb(predicted: Tensor, true: Tensor) -> Tensor:
    """Eq. 13, first part: mean over points of ||c_hat - c||^2; both [P, 3]."""
    return (predicted - true).square().sum(-1).mean()


def gradient(
    predicted: Tensor,  # [P, 3] at p
    predicted_right: Tensor,  # [P, 3] at p + (1, 0)
    predicted_below: Tensor,  # [P, 3] at p + (0, 1)
    true: Tensor,
    true_right: Tensor,
    true_below: Tensor,
) -> Tensor:
    """Eq. 13, second part: squared distance of the forward differences in x and in y."""
    in_x = (predicted_right - predicted) - (true_right - true)
    in_y = (predicted_below - predicted) - (true_below - true)
    return (in_x.square() + in_y.square()).sum(-1).mean()


def sparsity(alpha: Tensor, colour: Tensor) -> Tensor:
    """Eq. 14 for one object: mean of ||(1 - alpha) c||^2; alpha [P], colour [P, 3]."""
    return ((1 - alpha)[:, None] * colour).square().sum(-1).mean()


def flow(
    uv: Tensor,  # [P, 2] at p
    uv_match: Tensor,  # [P, 2] at p', p's match by optical flow
    alpha: Tensor,  # [P] of the same layer at p
    valid: Tensor,  # [P] 1 where the flow is consistent, else 0
    pixels_per_unit: float,  # texture coordinate to pixels
) -> Tensor:
    """Eq. 15 for one layer: alpha ||M(p) - M(p')|| in pixels, over the valid points."""
    distance = torch.linalg.vector_norm(uv - uv_match, dim=-1) * pixels_per_unit
    return (alpha * valid * distance).sum() / valid.sum().clamp_min(1)


def flow_alpha(alpha: Tensor, alpha_match: Tensor, valid: Tensor) -> Tensor:
    """Eq. 15 for one layer: |alpha(p) - alpha(p')| over the valid points; all [P]."""
    return ((alpha - alpha_match).abs() * valid).sum() / valid.sum().clamp_min(1)


def mask(alpha: Tensor, coarse: Tensor, weight: Tensor) -> Tensor:
    """Eq. 16: cross-entropy of alpha [P] towards the coarse mask [P] (0..1), trusted by weight."""
    alpha = alpha.clamp(ALPHA_MARGIN, 1 - ALPHA_MARGIN)
    entropy = -(coarse * alpha.log() + (1 - coarse) * (1 - alpha).log())
    return (weight * entropy).mean()


def rigidity(jacobian: Tensor, weight: Tensor) -> Tensor:
    """||J^T J||_F + ||(J^T J)^-1||_F, weighted mean over points (Layered Neural Atlases, eq. 10).

    jacobian [P, 2, 2] in pixels of texture for pixels of video (identity at scale 1), weight [P].
    With A = J^T J the inverse's norm is ||A||_F / det A, since A is 2 x 2 and symmetric.
    """
    a = jacobian[:, 0, 0].square() + jacobian[:, 1, 0].square()
    b = jacobian[:, 0, 0] * jacobian[:, 0, 1] + jacobian[:, 1, 0] * jacobian[:, 1, 1]
    d = jacobian[:, 0, 1].square() + jacobian[:, 1, 1].square()
    norm = (a.square() + 2 * b.square() + d.square() + 1e-12).sqrt()
    determinant = (a * d - b.square()).clamp_min(LEAST_DETERMINANT)
    return (weight * (norm + norm / determinant)).sum() / weight.sum().clamp_min(1e-6)


def residual_consistency(seen: Tensor, unseen: Tensor, beta: float) -> Tensor:
    """Eqs. 7 to 10: 1 - NCC of a patch's light at a seen and an unseen time, plus its variance.

    seen, unseen: [K, 9, 3], K patches of 3 x 3 points. The seen side is detached, so that light
    that is known is not bent towards light that is not. NCC is taken a channel.
    """
    seen = seen.detach()
    seen_centred = seen - seen.mean(1, keepdim=True)
    unseen_centred = unseen - unseen.mean(1, keepdim=True)
    seen_variance = seen_centred.square().mean(1)
    unseen_variance = unseen_centred.square().mean(1)
    covariance = (seen_centred * unseen_centred).mean(1)
    correlation = covariance / ((seen_variance + 1e-6) * (unseen_variance + 1e-6)).sqrt()
    return (1 - correlation + beta * unseen_variance).mean()


def residual_one(residual: Tensor, delta: float = 0.0) -> Tensor:
    """Eq. 11: mean of ||l - 1||^2; residual [P, 3].

    With a delta > 0 every channel's square r^2 becomes twice the pseudo-Huber loss,
    2 delta^2 (sqrt(1 + (r / delta)^2) - 1): the same for r far below delta, 2 delta |r| far above.
    Small changes of light are held as by the square, while a strong one (a shadow, a coloured spot)
    is hardly pulled back.
    """
    squared = (residual - 1).square()
    if delta:
        squared = 2 * delta**2 * ((1 + squared / delta**2).sqrt() - 1)
    return squared.sum(-1).mean()


def residual_mean(residual: Tensor, uv: Tensor, cells: int) -> Tensor:
    """(11) of the light's mean over cells of the texture: what changes in time is free.

    residual [P, 3] at points of all frames, uv [P, 2] within [-1, 1]. ||mean of l - 1||^2 of every
    cell, weighted by its points. How much of a steady brightness is light is not determined: this
    leaves it to the texture.
    """
    column, row = ((uv.detach() + 1) * (cells / 2)).long().clamp(0, cells - 1).unbind(-1)
    cell = row * cells + column
    count = torch.bincount(cell, minlength=cells**2).to(residual.dtype)[:, None]
    total = residual.new_zeros(cells**2, 3).index_add(0, cell, residual)
    return ((total - count).square() / count.clamp_min(1)).sum() / len(residual)


def residual_smooth(residual: Tensor) -> Tensor:
    """Mean over p of |l(right) - l| + |l(below) - l|, summed over the channels.

    residual [3P, 3]: at p, one pixel right of it, one below. Absolute differences, so that the edge
    of a shadow costs as much as a soft one, while the detail of a texture costs at every pixel.
    """
    p, right, below = residual.chunk(3)
    return ((right - p).abs() + (below - p).abs()).sum(-1).mean()


def alpha_binary(alphas: Tensor) -> Tensor:
    """Eq. 12: cross-entropy of the largest alpha towards 1; alphas [P, L]."""
    return -alphas.amax(-1).clamp(ALPHA_MARGIN, 1 - ALPHA_MARGIN).log().mean()


def composite(alphas: Tensor, parts: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Eq. 6: sum over layers of alpha * colour * light, [Q, 3], at the Q points of alphas [Q, L].

    `parts`: for each layer the rows [K] at which it was evaluated, each once, and its colour and
    its light there, [K, 3] each.
    """
    total = torch.zeros_like(alphas[:, :1]).expand(-1, 3)
    for n, (rows, colour, residual) in enumerate(parts):
        lit = colour * residual
        total = total.index_add(0, rows, lit * alphas[rows, n, None])
    return total


def colours(
    predicted: Tensor,
    true: tuple[Tensor, Tensor, Tensor],
    neighbours: bool,
    wanted: tuple[bool, bool] = (True, True),
) -> tuple[Tensor, Tensor]:
    """Eq. 13: `rgb` and `gradient`; predicted [3P, 3] at p, right and below, true [P, 3] each.

    With `neighbours` the colours right and below count as much as those at p. What is not `wanted`
    is not computed, and 0.
    """
    (p, right, below), zero = predicted.chunk(3), predicted.new_zeros(())
    seen = (predicted, torch.cat(true)) if neighbours else (p, true[0])
    return (
        rgb(*seen) if wanted[0] else zero,
        gradient(p, right, below, *true) if wanted[1] else zero,
    )


def light(
    residual: Tensor,
    uv: Tensor,
    rest: float,
    delta: float,
    cells: int,
    wanted: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Tensor, Tensor, Tensor]:
    """`residual_one`, `residual_mean` and `residual_smooth` of a layer.

    residual [3P, 3] and uv [3P, 2] at p, right of it, below it; `rest` is the residual that changes
    nothing. What is not `wanted` is not computed, and 0.
    """
    relative, zero = residual if rest == 1 else residual + (1 - rest), residual.new_zeros(())
    return (
        residual_one(relative, delta) if wanted[0] else zero,
        residual_mean(relative, uv, cells) if wanted[1] else zero,
        residual_smooth(residual) if wanted[2] else zero,
    )


def stretch(uv: Tensor, scale: float) -> Tensor:
    """`rigidity` by differences; uv [3P, 2] at p, right of it, below it, `scale` to pixels."""
    p, right, below = uv.chunk(3)
    jacobian = torch.stack([right - p, below - p], -1) * scale
    return rigidity(jacobian, torch.ones_like(p[:, 0]))


def layer_sparsity(alphas: Tensor, n: int, rows: Tensor, colour: Tensor) -> Tensor:
    """`sparsity` of layer n, evaluated at the rows [K] of alphas [Q, L]; colour [K, 3]."""
    return sparsity(alphas[rows, n], colour)
