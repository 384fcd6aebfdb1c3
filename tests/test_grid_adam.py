"""The sparse Adam: its kernel against its torch twin, what it skips, and resuming."""

import math

import pytest
import torch

from nvd_core.training.grid_adam import CHUNK, GridAdam, update_numba
from nvd_core.training.grid_adam_reference import update_torch

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-14}


def make_gradient(shape, seed: int, dtype: torch.dtype, share: float = 0.5) -> torch.Tensor:
    """Random, exactly zero but for `share` of the values and in the first third."""
    generator = torch.Generator().manual_seed(seed)
    grad = torch.randn(shape, generator=generator, dtype=dtype)
    grad *= torch.rand(shape, generator=generator) < share
    grad[: len(grad) // 3] = 0
    return grad


def run(optimizer: GridAdam, table: torch.nn.Parameter, seeds) -> None:
    for seed in seeds:
        table.grad = make_gradient(table.shape, seed, table.dtype)
        optimizer.step()


class TestGridAdam:
    def test_smoke(self):
        """It finds the minimum of a quadratic."""
        table = torch.nn.Parameter(torch.ones(10, 2))
        optimizer = GridAdam([table], lr=0.05)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98)
        for _ in range(200):
            (table**2).sum().backward()
            optimizer.step()
            schedule.step()
        assert table.abs().max() < 1e-2

    @pytest.mark.parametrize("options", [{"lr": -1}, {"betas": (0.9, 1.0)}, {"eps": -1e-8}])
    def test_exception(self, options):
        with pytest.raises(ValueError, match=r"must .*, got"):
            GridAdam([torch.nn.Parameter(torch.ones(2, 2))], **options)

    def test_exception_sparse(self):
        table = torch.nn.Parameter(torch.ones(2, 2))
        table.grad = torch.ones(2, 2).to_sparse()
        with pytest.raises(ValueError, match="dense gradients"):
            GridAdam([table]).step()

    @pytest.mark.parametrize("shape", [(0, 2), (1, 1), (255, 1), (CHUNK // 2 + 3, 2)])
    def test_cardinality(self, shape):
        table = torch.nn.Parameter(torch.zeros(shape))
        table.grad = torch.ones(shape)
        GridAdam([table], lr=0.1).step()
        assert torch.allclose(table, torch.full(shape, -0.1))

    def test_feature_first_step(self):
        """m = 0.1 g, v = 0.01 g^2, corrected to g and g^2: the first step is lr, by g's sign."""
        table = torch.nn.Parameter(torch.zeros(1, 3))
        table.grad = torch.tensor([[4.0, -0.5, 0.0]])
        GridAdam([table], lr=0.01).step()
        assert table.tolist()[0] == pytest.approx([-0.01, 0.01, 0.0])

    def test_feature_equals_adam_where_touched(self):
        """With no zero gradients it is torch's Adam."""
        tables = [torch.nn.Parameter(torch.ones(50, 2, dtype=torch.float64)) for _ in range(2)]
        ours = GridAdam(tables[:1], lr=0.01, eps=1e-15)
        theirs = torch.optim.Adam(tables[1:], lr=0.01, betas=(0.9, 0.99), eps=1e-15)
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            grad = torch.randn(50, 2, generator=generator, dtype=torch.float64)
            for table in tables:
                table.grad = grad.clone()
            ours.step()
            theirs.step()
        assert torch.allclose(*tables, rtol=1e-12, atol=1e-14)

    def test_feature_skips_and_zeroes(self):
        """Zero gradients change nothing, moments included; afterwards every gradient is zero."""
        table = torch.nn.Parameter(torch.ones(600, 2))
        optimizer = GridAdam([table], lr=0.1)
        table.grad = torch.ones(600, 2)
        optimizer.step()
        state = optimizer.state[table]
        before = [a.clone() for a in (table.data, state["exp_avg"], state["exp_avg_sq"])]
        buffer = table.grad
        assert not buffer.any()
        table.grad[7, 1] = 1.0
        optimizer.step()
        assert table.grad is buffer and not buffer.any()
        for old, new in zip(before, (table, state["exp_avg"], state["exp_avg_sq"]), strict=True):
            changed = (old != new).nonzero().tolist()
            assert changed == [[7, 1]]

    def test_feature_step_before_backward(self):
        """A step between forward and backward is an error, not a wrong gradient."""
        table = torch.nn.Parameter(torch.ones(3, 2))
        loss = (table**2).sum()
        table.grad = torch.ones(3, 2)
        GridAdam([table]).step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()

    def test_feature_zero_grad(self):
        table = torch.nn.Parameter(torch.ones(3, 2))
        optimizer = GridAdam([table])
        table.grad = torch.ones(3, 2)
        optimizer.zero_grad()
        assert not table.grad.any()
        optimizer.zero_grad(set_to_none=True)
        assert table.grad is None
        optimizer.step()
        assert torch.equal(table, torch.ones(3, 2))

    @pytest.mark.parametrize("dtype", TOLERANCE)
    def test_parity(self, dtype):
        """The kernel equals its twin over several steps, across the borders of its chunks."""
        shape = (CHUNK // 2 + 101, 2)
        both = []
        for update in (update_torch, update_numba):
            generator = torch.Generator().manual_seed(0)
            table = torch.randn(shape, generator=generator, dtype=dtype)
            first, second = torch.zeros_like(table), torch.zeros_like(table)
            for step in range(1, 5):
                grad = make_gradient(shape, step, dtype, share=(1.0, 0.5, 0.01, 0.0)[step - 1])
                update(table, grad, first, second, step, 0.01, 0.9, 0.99, 1e-15)
                assert not grad.any()
            both.append((table, first, second))
        for a, b in zip(*both, strict=True):
            assert (a - b).abs().max() <= TOLERANCE[dtype] * a.abs().max()

    def test_parity_triton(self):
        """Triton's float32 kernel equals the float64 twin; without CUDA its interpreter runs it."""
        pytest.importorskip("triton", reason="Triton is not installed: its kernels are NOT tested")
        from nvd_core.training.grid_adam_triton import BLOCK, update_triton

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        shape = (BLOCK // 2 * 3 + 101, 2)
        both = []
        for update, dtype in ((update_torch, torch.float64), (update_triton, torch.float32)):
            generator = torch.Generator().manual_seed(0)
            table = torch.randn(shape, generator=generator).to(device, dtype)
            first, second = torch.zeros_like(table), torch.zeros_like(table)
            for step in range(1, 5):
                share = (1.0, 0.5, 0.01, 0.0)[step - 1]
                grad = make_gradient(shape, step, torch.float32, share).to(device, dtype)
                version = table._version
                update(table, grad, first, second, step, 0.01, 0.9, 0.99, 1e-15)
                assert not grad.any()
                assert table._version > version  # a stale graph is an error, not a wrong gradient
            both.append((table, first, second))
        for a, b in zip(*both, strict=True):
            assert (a - b).abs().max() <= TOLERANCE[torch.float32] * a.abs().max()

    def test_parity_strided(self):
        """A table that is not contiguous goes through the twin."""
        plain = torch.nn.Parameter(torch.ones(4, 3))
        strided = torch.nn.Parameter(torch.ones(3, 4).t())
        for table in (plain, strided):
            run(GridAdam([table]), table, range(3))
        assert torch.allclose(plain, strided, atol=1e-7)

    def test_resume(self, tmp_path):
        """Saved, loaded and continued gives the bits of an uninterrupted run."""
        start = torch.linspace(-1, 1, 2000).reshape(1000, 2)
        whole = torch.nn.Parameter(start.clone())
        run(GridAdam([whole], lr=0.02), whole, range(8))

        half = torch.nn.Parameter(start.clone())
        optimizer = GridAdam([half], lr=0.02)
        run(optimizer, half, range(4))
        torch.save({"table": half.data, "adam": optimizer.state_dict()}, tmp_path / "state.pt")

        saved = torch.load(tmp_path / "state.pt", weights_only=True)
        resumed = torch.nn.Parameter(saved["table"])
        optimizer = GridAdam([resumed], lr=math.pi)
        optimizer.load_state_dict(saved["adam"])
        run(optimizer, resumed, range(4, 8))
        assert torch.equal(resumed, whole)
