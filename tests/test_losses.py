"""Each loss against a value worked out by hand, and its gradient in float64."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from nvd_core.training import losses


def double(values: object, grad: bool = False) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def random(*shape: int, seed: int = 0, low: float = 0.1, high: float = 0.9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (low + (high - low) * values).requires_grad_()


class TestRgb:
    def test_value(self):
        predicted = double([[0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
        true = double([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
        assert losses.rgb(predicted, true).item() == pytest.approx((0.25 + 1.0) / 2)

    def test_gradient(self):
        assert gradcheck(losses.rgb, (random(4, 3), random(4, 3, seed=1)))


class TestGradient:
    def test_constant_offset_costs_nothing(self):
        true = [random(5, 3, seed=k) for k in range(3)]
        predicted = [colour + 0.25 for colour in true]
        assert losses.gradient(*predicted, *true).item() == pytest.approx(0, abs=1e-24)

    def test_value(self):
        zero = double([[0.0, 0.0, 0.0]])
        right, below = double([[0.3, 0.0, 0.0]]), double([[0.0, 0.4, 0.0]])
        value = losses.gradient(zero, right, below, zero, zero, zero)
        assert value.item() == pytest.approx(0.09 + 0.16)

    def test_gradient(self):
        colours = [random(3, 3, seed=k) for k in range(6)]
        assert gradcheck(losses.gradient, colours)


class TestSparsity:
    def test_value(self):
        alpha = double([0.5, 1.0])
        colour = double([[0.6, 0.0, 0.8], [1.0, 1.0, 1.0]])
        assert losses.sparsity(alpha, colour).item() == pytest.approx(0.25 / 2)

    def test_gradient(self):
        assert gradcheck(losses.sparsity, (random(4), random(4, 3, seed=1)))


class TestFlow:
    def test_mapping_value_counts_valid_points_only(self):
        uv = double([[0.0, 0.0], [0.0, 0.0]])
        match = double([[0.03, 0.04], [9.0, 9.0]])
        value = losses.flow(uv, match, double([0.5, 1.0]), double([1.0, 0.0]), 100.0)
        assert value.item() == pytest.approx(0.5 * 5.0)

    def test_nothing_valid_is_zero(self):
        uv = random(3, 2)
        none = torch.zeros(3, dtype=torch.float64)
        assert losses.flow(uv, uv + 1, none + 1, none, 1.0).item() == 0

    def test_alpha_value(self):
        value = losses.flow_alpha(double([0.2, 0.9]), double([0.7, 0.9]), double([1.0, 1.0]))
        assert value.item() == pytest.approx(0.25)

    def test_gradient(self):
        valid = double([1.0, 0.0, 1.0])
        assert gradcheck(
            lambda uv, match, alpha: losses.flow(uv, match, alpha, valid, 7.0),
            (random(3, 2), random(3, 2, seed=1), random(3, seed=2)),
        )


class TestAlphaBootstrap:
    def test_value(self):
        value = losses.mask(double([0.8, 0.1]), double([1.0, 0.0]), double([1.0, 0.5]))
        assert value.item() == pytest.approx((-math.log(0.8) - 0.5 * math.log(0.9)) / 2)

    @pytest.mark.parametrize("alpha", [0.0, 1.0])
    def test_extremes_stay_finite(self, alpha):
        value = losses.mask(double([alpha]), double([1 - alpha]), double([1.0]))
        assert value.item() == pytest.approx(-math.log(1e-5), rel=1e-6)

    def test_gradient(self):
        fixed = random(4, seed=1).detach(), random(4, seed=2).detach()
        assert gradcheck(lambda alpha: losses.mask(alpha, *fixed), (random(4),))


class TestRigidity:
    def test_identity_and_rotation_cost_the_least(self):
        angle = 0.7
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        jacobians = double([[[1.0, 0.0], [0.0, 1.0]], turn])
        weight = double([1.0, 1.0])
        # ||I||_F + ||I^-1||_F = 2 sqrt 2
        assert losses.rigidity(jacobians, weight).item() == pytest.approx(2 * math.sqrt(2))

    def test_against_matrix_norms(self):
        jacobian = random(6, 2, 2, low=-1, high=1)
        jacobian = jacobian + 2 * torch.eye(2, dtype=torch.float64)
        square = jacobian.transpose(1, 2) @ jacobian
        norms = torch.linalg.matrix_norm(square) + torch.linalg.matrix_norm(square.inverse())
        weight = random(6, seed=3).detach()
        expected = (weight * norms).sum() / weight.sum()
        assert losses.rigidity(jacobian, weight).item() == pytest.approx(expected.item(), rel=1e-9)

    def test_fold_stays_finite(self):
        flat = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)
        value = losses.rigidity(flat, double([1.0]))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(flat.grad).all()

    def test_gradient(self):
        jacobian = (random(3, 2, 2) + torch.eye(2, dtype=torch.float64)).detach().requires_grad_()
        weight = double([1.0, 0.5, 0.2])
        assert gradcheck(lambda j: losses.rigidity(j, weight), (jacobian,))


class TestResidualConsistency:
    def test_same_pattern_costs_its_variance_only(self):
        seen = random(2, 9, 3).detach()
        variance = seen.var(1, unbiased=False)
        value = losses.residual_consistency(seen, 0.5 * seen + 0.2, beta=16)
        expected = (16 * 0.25 * variance).mean()
        assert value.item() == pytest.approx(expected.item(), abs=2e-4)

    def test_opposite_pattern_costs_two(self):
        seen = random(2, 9, 3).detach()
        value = losses.residual_consistency(seen, 1 - seen, beta=0)
        assert value.item() == pytest.approx(2, abs=2e-4)

    def test_the_seen_side_gets_no_gradient(self):
        seen, unseen = random(2, 9, 3), random(2, 9, 3, seed=1)
        losses.residual_consistency(seen, unseen, 16).backward()
        assert seen.grad is None and unseen.grad.abs().sum() > 0

    def test_gradient(self):
        seen = random(2, 9, 3).detach()
        assert gradcheck(
            lambda unseen: losses.residual_consistency(seen, unseen, 16.0),
            (random(2, 9, 3, seed=1),),
        )


class TestRegularisers:
    def test_residual_one(self):
        value = losses.residual_one(double([[1.0, 1.0, 1.0], [2.0, 1.0, 0.5]]))
        assert value.item() == pytest.approx((1 + 0.25) / 2)

    def test_residual_one_beyond_its_reach(self):
        light = double([[1.0, 1.0, 1.001], [3.0, 1.0, 1.0]], grad=True)
        near, far = (losses.residual_one(point[None], 0.1) for point in light)
        assert near.item() == pytest.approx(0.001**2, rel=1e-4)
        assert far.item() == pytest.approx(2 * 0.1 * (2 - 0.1), rel=2e-3)
        (pull,) = torch.autograd.grad(far, light)
        assert pull[1, 0].item() == pytest.approx(2 * 0.1, rel=2e-3)
        assert gradcheck(lambda x: losses.residual_one(x, 0.1), (random(3, 3),))

    def test_residual_mean_leaves_what_changes_free(self):
        uv = torch.tensor([[-0.9, -0.9], [-0.9, -0.9], [0.9, 0.9], [0.9, 0.9], [0.9, -0.9]])
        light = torch.tensor([0.5, 1.5, 1.4, 1.2, 1.0])[:, None].repeat(1, 3)
        assert losses.residual_mean(light, uv, 4) == pytest.approx(2 * 3 * 0.3**2 / 5)
        assert gradcheck(lambda x: losses.residual_mean(x, uv.double(), 4), (random(5, 3),))

    def test_residual_smooth(self):
        light = torch.ones(6, 3)  # two points, right of them, below them
        light[2, 0], light[5, 1] = 1.3, 0.6
        assert losses.residual_smooth(light) == pytest.approx((0.3 + 0.4) / 2)
        assert losses.residual_smooth(torch.full((6, 3), 2.0)) == 0

    def test_alpha_binary(self):
        value = losses.alpha_binary(double([[0.7, 0.3], [0.1, 0.9]]))
        assert value.item() == pytest.approx(-(math.log(0.7) + math.log(0.9)) / 2)

    def test_gradients(self):
        assert gradcheck(losses.residual_one, (random(3, 3),))
        assert gradcheck(losses.alpha_binary, (double([[0.7, 0.3], [0.1, 0.9]], grad=True),))
