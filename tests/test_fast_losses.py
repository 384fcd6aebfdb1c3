"""The losses' passes for CPUs against `losses.py` in float64, forward and backward."""

import pytest
import torch

from nvd_core.fields.frame_motion import move, move_torch
from nvd_core.training import fast_losses, losses

POINTS = 40


def random(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (low + (high - low) * values).requires_grad_()


def both(name: str, arguments: tuple, inputs: list[torch.Tensor]) -> None:
    """Values and gradients of the two implementations, each value with a weight of its own."""
    results = []
    for module in (losses, fast_losses):
        values = getattr(module, name)(*arguments)
        values = values if isinstance(values, tuple) else (values,)
        total = sum((k + 1) * (value * weight(value)).sum() for k, value in enumerate(values))
        results.append([*values, *torch.autograd.grad(total, inputs)])
    for plain, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-13)
    assert results[0][-1].abs().sum() > 0


def weight(value: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(value.shape, generator=generator, dtype=value.dtype)


def alphas_of(layers: int, seed: int = 0) -> torch.Tensor:
    """[3P, L] with some that are fully clear and fully solid, and ties."""
    alphas = random(3 * POINTS, layers, seed=seed).detach()
    alphas[:3], alphas[3:6] = 0.0, 1.0
    return alphas.requires_grad_()


def rows_of(seed: int, count: int) -> torch.Tensor:
    """Rows of `count` points and of their neighbours."""
    order = torch.randperm(POINTS, generator=torch.Generator().manual_seed(seed))
    kept = order[:count].sort().values
    return torch.cat([kept, kept + POINTS, kept + 2 * POINTS])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_composite(layers):
    alphas, parts = alphas_of(layers), []
    for n in range(layers):
        rows = rows_of(n, 11 + n)
        parts.append((rows, random(len(rows), 3, seed=n), random(len(rows), 3, seed=n + 50)))
    both("composite", (alphas, parts), [alphas, *(p for part in parts for p in part[1:])])


@pytest.mark.parametrize("neighbours", [False, True])
def test_colours(neighbours):
    predicted = random(3 * POINTS, 3)
    true = tuple(random(POINTS, 3, seed=k).detach() for k in (1, 2, 3))
    both("colours", (predicted, true, neighbours), [predicted])


@pytest.mark.parametrize("part", range(2))
def test_colours_of_which_one_is_wanted(part):
    predicted, wanted = random(3 * POINTS, 3), tuple(k == part for k in range(2))
    true = tuple(random(POINTS, 3, seed=k).detach() for k in (1, 2, 3))
    both("colours", (predicted, true, True, wanted), [predicted])


@pytest.mark.parametrize("part", range(3))
def test_light_of_which_one_is_wanted(part):
    residual, uv = random(3 * POINTS, 3, high=2), random(3 * POINTS, 2, low=-1, seed=1)
    wanted = tuple(k == part for k in range(3))
    both("light", (residual, uv.detach(), 1.0, 0.1, 4, wanted), [residual])


@pytest.mark.parametrize("delta", [0.0, 0.1])
@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_light(rest, delta):
    residual, uv = random(3 * POINTS, 3, low=-1, high=2), random(3 * POINTS, 2, low=-1.2, high=1.2)
    residual.data[:5] = residual.data[POINTS : POINTS + 5]  # no difference has no direction
    both("light", (residual, uv.detach(), rest, delta, 4), [residual])


def test_stretch_where_the_mapping_folds_too():
    uv = random(3 * POINTS, 2, low=-1)
    uv.data[POINTS + 1], uv.data[2 * POINTS + 1] = uv.data[1] + 0.1, uv.data[1] + 0.2
    both("stretch", (uv, 3.0), [uv])


def test_layer_sparsity():
    alphas, rows = alphas_of(3), rows_of(1, 13)
    colour = random(len(rows), 3, seed=4)
    both("layer_sparsity", (alphas, 1, rows, colour), [alphas, colour])


def test_mask_of_a_column():
    alphas = alphas_of(2)
    coarse, trust = random(3 * POINTS, 2, seed=1), random(3 * POINTS, 2, seed=2)
    both("mask", (alphas[:, 1], coarse.detach()[:, 0], trust.detach()[:, 1]), [alphas])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_alpha_binary(layers):
    alphas = alphas_of(layers)
    both("alpha_binary", (alphas,), [alphas])


def test_points_moved_by_their_frames():
    """The denominator of frame 2 is held, and then has no gradient."""
    matrices = torch.eye(3, dtype=torch.float64).repeat(3, 1, 1) + random(3, 3, 3).detach() / 9
    matrices[2, 2] = -1
    correction = random(3, 3, 3, seed=5, low=-0.1, high=0.1)
    xy, t = random(POINTS, 2, seed=6).detach(), torch.arange(POINTS) % 3
    results = []
    for function in (move, move_torch):
        moved = function(xy, t, matrices, correction)
        (gradient,) = torch.autograd.grad((moved * weight(moved)).sum(), correction)
        results.append((moved, gradient))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-11, atol=1e-13)
    xy.requires_grad_()  # then it is torch that answers
    assert torch.autograd.grad(move(xy, t, matrices, correction).sum(), xy)[0].abs().sum() > 0
