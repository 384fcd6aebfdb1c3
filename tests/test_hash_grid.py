"""The grid's layout against figures computed by hand, and its backends against the reference."""

import importlib.util
import math

import pytest
import torch

from nvd_core.fields.hash_grid import grid as grid_module
from nvd_core.fields.hash_grid import kernel_numba, kernel_torch
from nvd_core.fields.hash_grid.grid import GridLayout, HashGrid, backend_for
from nvd_core.fields.hash_grid.kernel_tcnn import encoding_config
from nvd_core.runtime.errors import NvdError


class TestLayout:
    def test_smoke(self):
        """16 levels, 2^15, base 16, growth 1.25 in 3-D: only two levels fit.

        Scales 15, 19, 24, 30.25: resolutions 16, 20, 25, 32 (= 2^15 vertices, fits), then 40.
        Entries 16^3 = 4096, 20^3 = 8000, 25^3 = 15625 rounded up to 15632, then 32768 each.
        """
        layout = GridLayout(3)
        assert layout.scales[:4] == (15.0, 19.0, 24.0, 30.25)
        assert layout.resolutions[:5] == (16, 20, 25, 32, 40)
        assert layout.resolutions[-1] == math.ceil(16 * 1.25**15 - 1) + 1 == 455
        assert layout.level_entries == (4096, 8000, 15632) + 13 * (32768,)
        assert layout.offsets[:5] == (0, 4096, 12096, 27728, 60496)
        assert layout.entries == 27728 + 13 * 32768 == 453712
        assert layout.dense == (True,) * 4 + (False,) * 12
        assert layout.out_features == 32

    def test_dense(self):
        layout = GridLayout(2, 3, log2_table=3, base=4, growth=2.0, kind="dense")
        assert layout.resolutions == (4, 8, 16)
        assert layout.level_entries == (16, 64, 256)
        assert layout.dense == (True, True, True)

    @pytest.mark.parametrize("finest", [17, 64, 454, 455, 1600, 1601, 4000])
    @pytest.mark.parametrize("levels", [1, 2, 7, 16])
    def test_for_finest(self, levels, finest):
        layout = GridLayout.for_finest(2, levels, finest)
        assert layout.resolutions[-1] == finest
        assert layout.levels == levels
        assert layout.resolutions[0] == (16 if levels > 1 else finest)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("dims", 4),
            ("levels", 0),
            ("features", 9),
            ("log2_table", 31),
            ("base", 0),
            ("growth", 0.5),
            ("growth", math.nan),
            ("growth", 30.0),
            ("kind", "tiled"),
        ],
    )
    def test_exception(self, name, value):
        with pytest.raises(ValueError, match=r".+"):
            GridLayout(**{"dims": 3, name: value})

    def test_exception_type(self):
        with pytest.raises(TypeError, match=r"levels must be an int, got 2\.0"):
            GridLayout(3, 2.0)


class TestHashGrid:
    @pytest.mark.parametrize("backend", ["torch", "numba", "auto"])
    def test_smoke(self, backend, grid_cases):
        grid = HashGrid(
            grid_cases.LAYOUTS["2-D hash"], backend, generator=torch.Generator().manual_seed(0)
        )
        assert grid.table.abs().max() <= 1e-4
        assert grid.table.std() > 5e-5
        grid(torch.rand(3, 2)).sum().backward()
        assert grid.table.grad.abs().sum() > 0
        assert "levels=5" in repr(grid)

    def test_same_seed_same_table(self, grid_cases):
        tables = [
            HashGrid(
                grid_cases.LAYOUTS["2-D hash"], generator=torch.Generator().manual_seed(7)
            ).table
            for _ in range(2)
        ]
        assert torch.equal(*tables)

    @pytest.mark.parametrize("backend", ["torch", "numba"])
    def test_exception(self, backend, grid_cases):
        layout = grid_cases.LAYOUTS["2-D hash"]
        grid = HashGrid(layout, backend)
        with pytest.raises(ValueError, match=r"x must be \[P, 2\], got \(4, 3\)"):
            grid(torch.rand(4, 3))
        encode = {"torch": kernel_torch, "numba": kernel_numba}[backend].encode
        with pytest.raises(ValueError, match="table must be"):
            encode(torch.rand(4, 2), torch.rand(5, 2), layout)
        with pytest.raises(TypeError, match="float64"):
            encode(torch.rand(4, 2, dtype=torch.float64), grid.table, layout)
        with pytest.raises(ValueError, match="'jax'"):
            HashGrid(layout, "jax")

    @pytest.mark.parametrize("backend", ["torch", "numba"])
    @pytest.mark.parametrize("count", [0, 1, 65])
    def test_cardinality(self, backend, grid_name, count, grid_cases):
        grid = HashGrid(grid_cases.LAYOUTS[grid_name], backend)
        x = torch.rand(count, grid_cases.LAYOUTS[grid_name].dims, requires_grad=True)
        out = grid(x)
        assert out.shape == (
            count,
            grid_cases.LAYOUTS[grid_name].levels * grid_cases.LAYOUTS[grid_name].features,
        )
        assert out.is_contiguous()
        out.sum().backward()
        assert x.grad.shape == x.shape
        assert grid.table.grad.shape == grid.table.shape

    @pytest.mark.parametrize("encode", [kernel_torch.encode, kernel_numba.encode])
    def test_feature_hash(self, encode):
        """Base 1 makes scale 0: every point lies at 0.5, half way between cells 0 and 1.

        The next level, base 1 * 256 - 1 = 255, does not fit in 8 entries, so it hashes. At x = y =
        z = 10 / 255 the position is 10.5: the mean of the eight corners 10 and 11.
        """
        layout = GridLayout(3, 2, features=1, log2_table=3, base=1, growth=256.0)
        assert layout.dense == (True, False)
        table = torch.zeros(layout.entries, 1, dtype=torch.float64)
        table[8:, 0] = torch.tensor([1.0, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7])
        expected = 0.0
        for x in (10, 11):
            for y in (10, 11):
                for z in (10, 11):
                    hashed = x ^ (y * 2654435761 % 2**32) ^ (z * 805459861 % 2**32)
                    expected += 10 ** (hashed % 8) / 8
        x = torch.full((1, 3), 10 / 255, dtype=torch.float64)
        assert encode(x, table, layout)[0, 1].item() == pytest.approx(expected, rel=1e-9)

    def test_feature_hash_index(self):
        """5 xor (3 * 2654435761 mod 2^32) xor (2 * 805459861 mod 2^32), and a negative cell.

        3 * 2654435761 - 2^32 = 3668339987 = 0xDAA66D13; 2 * 805459861 = 0x6004AF2A;
        0x5 ^ 0xDAA66D13 ^ 0x6004AF2A = 0xBAA2C23C; the last 15 bits are 0x423C.
        """
        layout = GridLayout(3)
        cells = torch.tensor([[5, 3, 2], [-1, 0, 0]])
        index = kernel_torch.entry_index(cells, layout, 15)
        assert index.tolist() == [0x423C, 0x7FFF]

    def test_feature_dense_index(self):
        """x + 20 y + 400 z modulo 8000, below zero by way of 2^32."""
        cells = torch.tensor([[1, 2, 3], [20, 19, 19], [20, 20, 20], [-1, 0, 0]])
        index = kernel_torch.entry_index(cells, GridLayout(3), 1)
        assert index.tolist() == [1241, 0, 420, (2**32 - 1) % 8000]

    @pytest.mark.parametrize("encode", [kernel_torch.encode, kernel_numba.encode])
    def test_feature_dense(self, encode):
        """A table that holds a linear function of the vertex gives that function of the position.

        Resolution 5, scale 4: x = (0.25, 0.5) lies at (1.5, 2.5), and 10 * 1.5 + 100 * 2.5 = 265.
        """
        layout = GridLayout(2, 1, features=1, base=5, kind="dense")
        table = torch.zeros(layout.entries, 1, dtype=torch.float64)
        for row in range(25):
            table[row] = 10 * (row % 5) + 100 * (row // 5)
        x = torch.tensor([[0.25, 0.5]], dtype=torch.float64, requires_grad=True)
        out = encode(x, table, layout)
        assert out.item() == pytest.approx(265)
        (slope,) = torch.autograd.grad(out.sum(), x)
        assert slope[0].tolist() == pytest.approx([40.0, 400.0])

    @pytest.mark.parametrize("encode", [kernel_torch.encode, kernel_numba.encode])
    def test_feature_not_a_number(self, encode, grid_cases):
        """NaN and infinity reach no memory but the table's, and spoil only their own row."""
        layout = grid_cases.LAYOUTS["3-D hash"]
        x = torch.rand(5, 3)
        x[1, 0], x[2], x[3] = math.nan, math.inf, -math.inf
        table = grid_cases.make_table(layout, torch.float32).requires_grad_()
        out = encode(x.requires_grad_(), table, layout)
        assert out.isfinite().all(dim=1).tolist() == [True, False, False, False, True]
        out.nansum().backward()

    @pytest.mark.parametrize("encode", [kernel_torch.encode, kernel_numba.encode])
    @pytest.mark.parametrize("name", ["2-D hash", "3-D hash", "3-D dense", "3-D, 3 features"])
    def test_gradcheck(self, encode, name, grid_cases):
        layout = grid_cases.LAYOUTS[name]
        generator = torch.Generator().manual_seed(3)
        x = torch.rand(3, layout.dims, generator=generator, dtype=torch.float64)
        table = grid_cases.make_table(layout, torch.float64)
        x.requires_grad_()
        table.requires_grad_()
        options = {"eps": 1e-7, "atol": 1e-5, "fast_mode": True, "nondet_tol": 0.0}
        assert torch.autograd.gradcheck(lambda x, t: encode(x, t, layout), (x, table), **options)

    @pytest.mark.parametrize("count", [33, 1101])
    def test_parity(self, grid_name, grid_dtype, count, grid_cases):
        """Numba equals the reference, forward and backward."""
        expected = grid_cases.gradients(
            kernel_torch.encode, grid_cases.LAYOUTS[grid_name], grid_dtype, count
        )
        found = grid_cases.gradients(
            kernel_numba.encode, grid_cases.LAYOUTS[grid_name], grid_dtype, count
        )
        for a, b in zip(expected, found, strict=True):
            assert a.shape == b.shape
            assert (a - b).abs().max() <= grid_cases.TOLERANCE[grid_dtype] * a.abs().max()

    def test_parity_published_layout(self, grid_cases):
        layout = GridLayout(3)
        expected = grid_cases.gradients(kernel_torch.encode, layout, torch.float32, 3000)
        found = grid_cases.gradients(kernel_numba.encode, layout, torch.float32, 3000)
        for a, b in zip(expected, found, strict=True):
            assert (a - b).abs().max() <= 1e-5 * a.abs().max()

    def test_parity_strided(self, grid_cases):
        """Inputs and gradients that are not contiguous."""
        layout = grid_cases.LAYOUTS["2-D hash"]
        table = grid_cases.make_table(layout, torch.float32)
        x = torch.rand(2, 50).t()
        results = []
        for encode in (kernel_torch.encode, kernel_numba.encode):
            leaf = table.clone().requires_grad_()
            encode(x, leaf, layout).sum().backward()  # sum's gradient is one value, expanded
            results.append(leaf.grad)
        assert torch.allclose(*results, atol=1e-5)

    @pytest.mark.parametrize("threads", [1, 3])
    def test_same_bits(self, threads, grid_cases):
        """The same bits from run to run and for any number of threads."""
        before = torch.get_num_threads()
        layout = grid_cases.LAYOUTS["3-D hash"]
        first = grid_cases.gradients(kernel_numba.encode, layout, torch.float32, 3000)
        try:
            torch.set_num_threads(threads)
            second = grid_cases.gradients(kernel_numba.encode, layout, torch.float32, 3000)
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))

    @pytest.mark.parametrize("first_grad", ["none", "zeros", "kept"])
    def test_accumulate_in_place(self, first_grad, grid_cases):
        """Several calls in one backward pass, straight into table.grad, equal the plain path."""
        layout = grid_cases.LAYOUTS["3-D hash"]
        grids = [
            HashGrid(layout, "torch"),
            HashGrid(layout, "numba"),
            HashGrid(layout, "numba", accumulate_in_place=True),
        ]
        x = [torch.rand(40, 3), torch.rand(70, 3)]
        for grid in grids:
            grid.table.data = grid_cases.make_table(layout, torch.float32)
            if first_grad == "zeros":
                grid.table.grad = torch.zeros_like(grid.table)
            elif first_grad == "kept":
                (grid(x[1]) ** 2).sum().backward()
            buffer = grid.table.grad
            (sum((grid(p) ** 2).sum() for p in x)).backward()
        assert first_grad == "none" or grids[2].table.grad is buffer
        for grid in grids[1:]:
            assert torch.allclose(grid.table.grad, grids[0].table.grad, rtol=1e-5, atol=1e-5)

    def test_frozen_table(self, grid_cases):
        """A table that needs no gradient gets none; the points still get theirs."""
        for in_place in (False, True):
            grid = HashGrid(grid_cases.LAYOUTS["2-D hash"], accumulate_in_place=in_place)
            grid.table.requires_grad_(False)
            x = torch.rand(5, 2, requires_grad=True)
            grid(x).sum().backward()
            assert grid.table.grad is None
            assert x.grad is not None


class TestBackendFor:
    """The order of choice: Numba on the CPU; on CUDA Triton, tiny-cuda-nn, torch."""

    @pytest.mark.parametrize(
        ("device", "works", "packages", "expected"),
        [
            ("cpu", True, ["triton", "tinycudann"], "numba"),
            ("cuda", True, ["triton", "tinycudann"], "triton"),
            ("cuda", False, ["triton", "tinycudann"], "tcnn"),
            ("cuda", False, [], "torch"),
            ("meta", True, ["triton", "tinycudann"], "torch"),
        ],
    )
    def test_smoke(self, monkeypatch, device, works, packages, expected):
        monkeypatch.setattr(grid_module, "triton_works", lambda device: works)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in packages or None)
        assert backend_for(torch.device(device)) == expected


class TestTinyCudaNN:
    def test_config(self):
        assert encoding_config(GridLayout(3)) == {
            "otype": "Grid",
            "type": "Hash",
            "n_levels": 16,
            "n_features_per_level": 2,
            "log2_hashmap_size": 15,
            "base_resolution": 16,
            "per_level_scale": 1.25,
            "interpolation": "Linear",
        }

    @pytest.mark.skipif(
        importlib.util.find_spec("tinycudann") is not None, reason="tiny-cuda-nn is installed"
    )
    def test_exception(self):
        with pytest.raises(NvdError, match="tiny-cuda-nn is not installed"):
            HashGrid(GridLayout(3), "tcnn")

    @pytest.mark.gpu
    @pytest.mark.skipif(
        importlib.util.find_spec("tinycudann") is None,
        reason="needs tiny-cuda-nn's PyTorch bindings",
    )
    @pytest.mark.parametrize("name", ["published", "2-D dense", "2-D hash"])
    def test_parity(self, name, grid_cases):
        layout = grid_cases.LAYOUTS.get(name, GridLayout(3))
        x = torch.rand(1000, layout.dims)
        table = grid_cases.make_table(layout, torch.float32)
        expected = kernel_torch.encode(x, table, layout)
        grid = HashGrid(layout, "tcnn")
        grid.table.data = table
        found = grid.to("cuda")(x.to("cuda"))
        assert (found.cpu() - expected).abs().max() <= 1e-4 * expected.abs().max()
