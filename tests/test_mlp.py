"""The networks' own passes on a CPU against torch's plain chain of layers."""

import pytest
import torch

from nvd_core.fields.mlp import ROWS, Mlp
from nvd_core.settings import MlpSettings


def passes(mlp: Mlp, x: torch.Tensor, grad: torch.Tensor, plain: bool) -> list[torch.Tensor]:
    """Output, and gradients of the input and of every parameter."""
    x = x.clone().requires_grad_()
    y = torch.nn.Sequential.forward(mlp, x) if plain else mlp(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *mlp.parameters()], grad)]


def example(layers: int, dtype: torch.dtype) -> tuple[Mlp, torch.Tensor, torch.Tensor]:
    torch.manual_seed(layers)
    mlp = Mlp(24, 3, MlpSettings(layers, 64)).to(dtype)
    return mlp, torch.randn(300, 24, dtype=dtype), torch.randn(300, 3, dtype=dtype)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_passes_equal_the_plain_chain_in_float64(layers):
    mlp, x, grad = example(layers, torch.float64)
    for own, plain in zip(passes(mlp, x, grad, False), passes(mlp, x, grad, True), strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-12, atol=1e-14)


def test_gradient_check():
    mlp, x, _ = example(3, torch.float64)
    assert torch.autograd.gradcheck(mlp, x[:5].clone().requires_grad_())


def test_input_that_needs_no_gradient():
    mlp, x, grad = example(3, torch.float64)
    mlp(x).backward(grad)
    own = [p.grad.clone() for p in mlp.parameters()]
    mlp.zero_grad()
    torch.nn.Sequential.forward(mlp, x).backward(grad)
    for got, plain in zip(own, mlp.parameters(), strict=True):
        torch.testing.assert_close(got, plain.grad, rtol=1e-12, atol=1e-14)


def test_hidden_layers_in_bfloat16_stay_near_and_only_while_training():
    mlp, x, grad = example(3, torch.float32)
    exact = passes(mlp, x, grad, True)
    mlp.hidden_bfloat16 = True
    rounded = passes(mlp, x, grad, False)
    for own, plain in zip(rounded, exact, strict=True):
        assert (own - plain).norm() < 0.15 * plain.norm()  # near 0 a ReLU may decide otherwise
        assert own.dtype == torch.float32
    assert not torch.equal(rounded[0], exact[0])
    with torch.no_grad():  # baking and previews are exact
        torch.testing.assert_close(mlp(x), exact[0], rtol=0, atol=1e-6)


def test_rounding_does_not_add_up_over_the_points():
    """A weight's gradient sums over thousands of points; bfloat16 alone would stop at 256."""
    mlp, _, _ = example(3, torch.float32)
    x, grad = torch.ones(20_000, 24), torch.full((20_000, 3), 1e-3)
    exact = passes(mlp, x, grad, True)
    mlp.hidden_bfloat16 = True
    for own, plain in zip(passes(mlp, x, grad, False), exact, strict=True):
        assert (own - plain).norm() <= 0.03 * plain.norm()


@pytest.mark.parametrize("rows", [0, 1, ROWS, 2 * ROWS + 5])
@pytest.mark.parametrize("layers", [1, 3])
def test_answers_without_gradients_equal_the_plain_chain(layers, rows):
    """They go through the layers a block of rows at a time."""
    mlp, _, _ = example(layers, torch.float64)
    x = torch.randn(rows, 24, dtype=torch.float64)
    with torch.inference_mode():
        plain = torch.nn.Sequential.forward(mlp, x.clone())
        torch.testing.assert_close(mlp(x), plain, rtol=1e-12, atol=1e-14)


def test_a_unit_that_is_no_number_is_seen_in_the_output():
    """A ReLU that makes 0 of it, as oneDNN's fused one does, would hide a divergence."""
    mlp, x, _ = example(3, torch.float32)
    mlp.hidden_bfloat16 = True
    with torch.no_grad():
        mlp[0].weight[0, 0] = torch.nan
    assert mlp(x).isnan().all()
