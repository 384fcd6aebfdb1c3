"""The Triton renderer against its float64 twin and the renderer of the CPU.

On a machine with CUDA it runs compiled; elsewhere Triton's interpreter runs it (conftest.py).
"""

import importlib

import numpy as np
import pytest
import torch

from nvd_core.editing import kernel as kernel_module
from nvd_core.editing.kernel import make_kernel
from nvd_core.editing.kernel_torch import add_delta, composed, decode, to_device
from nvd_core.editing.plate import read_frame
from nvd_core.media.images import at_depth
from nvd_core.shot.maps import FrameMaps, read_maps

pytest.importorskip("triton", reason="Triton is not installed: its kernels are NOT tested")

from nvd_core.editing import kernel_triton

pytestmark = pytest.mark.slow

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def triton_kernel(textures: dict, mode: str, linear: bool = False):
    return kernel_triton.make_kernel(textures, mode, linear, DEVICE)


def twin(maps: FrameMaps, textures: dict) -> torch.Tensor:
    return composed(maps, to_device(textures, "cpu", torch.float64))


@pytest.mark.parametrize("number", range(6))
def test_delta_equals_its_float64_twin(number, render_cases):
    maps, delta = (
        render_cases.random_maps(height=20, width=31),
        render_cases.random_deltas()[number],
    )
    for textures in ({1: delta}, {0: delta, 2: render_cases.random_deltas()[0]}):
        expected = twin(maps, textures).numpy()
        frame = np.zeros(maps.uva.shape[1:], np.float32)
        out = triton_kernel(textures, "delta")(frame, maps)
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(out == 0, expected == 0)


@pytest.mark.parametrize("light", [np.float32, np.float16])
@pytest.mark.parametrize("added", [False, True])
def test_full_equals_its_float64_twin(added, light, render_cases):
    maps = render_cases.random_maps()
    maps.residual = maps.residual.astype(light)
    expected = twin(maps, dict(enumerate(render_cases.random_deltas()[:3]))).numpy()
    if added:
        maps.added = render_cases.random_maps(layers=1, seed=5).residual[0] - 1
        expected = expected + maps.added
    out = triton_kernel(dict(enumerate(render_cases.random_deltas()[:3])), "full")(
        np.zeros(maps.uva.shape[1:], np.float32), maps
    )
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_equal_the_twin_within_one_step(dtype, render_cases):
    maps = render_cases.random_maps()
    textures = {0: render_cases.random_deltas()[0], 1: render_cases.random_deltas()[1]}
    largest = np.iinfo(dtype).max
    frame = np.random.default_rng(0).integers(0, largest + 1, maps.uva.shape[1:], dtype)
    out = triton_kernel(textures, "delta")(frame, maps)
    delta = twin(maps, textures)
    expected = add_delta(torch.from_numpy(frame.astype(np.int32)), delta, largest, False).numpy()
    assert out.dtype == frame.dtype
    assert np.abs(out.astype(np.int64) - expected).max() <= 1
    assert (out == expected).mean() > 0.999
    untouched = delta.numpy() == 0
    np.testing.assert_array_equal(out[untouched], frame[untouched])
    assert {0, largest} <= set(out.reshape(-1).tolist())  # clamped, not wrapped


def test_linear_equals_the_twin(render_cases):
    maps = render_cases.random_maps()
    textures = {0: render_cases.random_deltas()[0], 1: render_cases.random_deltas()[1]}
    frame = np.random.default_rng(0).uniform(-0.2, 5, maps.uva.shape[1:]).astype(np.float32)
    out = triton_kernel(textures, "delta", linear=True)(frame, maps)
    delta = twin(maps, textures)
    expected = add_delta(torch.from_numpy(frame).double(), delta, 0, True).numpy()
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-6)
    untouched = delta.numpy() == 0
    assert untouched.any()
    np.testing.assert_array_equal(out[untouched], frame[untouched])
    full = triton_kernel(textures, "full", linear=True)(frame, maps)
    np.testing.assert_allclose(full, decode(delta).numpy(), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("depth", [8, "float"])
def test_equals_the_renderer_of_the_cpu(depth, tmp_path, render_cases, synthetic):
    """On a shot's own frames and maps, frame after frame through the same memory."""
    shot = synthetic.make_shot(tmp_path, frames=2, bit_depth=depth)
    linear = shot.manifest.clip.encoding == "linear"
    deltas = {
        0: render_cases.random_deltas()[0],
        2: render_cases.random_deltas()[1],
        1: render_cases.random_deltas()[4],
    }
    for mode in ("delta", "full"):
        kernels = (
            triton_kernel(deltas, mode, linear),
            make_kernel(deltas, mode, linear, "cpu"),
        )
        rendered = []
        for index in range(2):
            frame = at_depth(read_frame(shot, index), depth)
            maps = read_maps(shot.map_path(index), synthetic.NAMES)
            rendered.append([kernel(frame, maps) for kernel in kernels])
        for found, expected in rendered:
            assert found.dtype == expected.dtype
            tolerance = 1e-5 if linear else 1
            assert np.abs(found.astype(np.float64) - expected).max() <= tolerance
        assert not np.array_equal(rendered[0][0], rendered[1][0])


def test_bad_places_reach_no_memory(render_cases):
    maps = render_cases.random_maps(layers=1, height=8, width=40)
    maps.uva[0, 0, :9] = [[np.nan, np.nan, 1]]
    maps.uva[0, 0, 9:20] = [[np.inf, -np.inf, 1]]
    maps.uva[0, 0, 20:30] = [[1e30, -1e30, 1]]
    frame = np.zeros(maps.uva.shape[1:], np.uint8)
    for mode in ("delta", "full"):
        out = triton_kernel({0: np.ones((8, 8, 3), np.float32)}, mode)(frame, maps)
        assert (out[0, :30] > 0).all()


def test_edges_take_no_neighbour_from_another_texture(render_cases):
    """Even with a weight of 0: what lies behind the last texel in memory is not a number."""
    maps = render_cases.random_maps(layers=2, height=2, width=3)
    maps.uva[0], maps.uva[1, ..., 2] = [1, 0, 1], 0
    textures = {0: np.ones((8, 8, 3), np.float32), 1: np.full((8, 8, 3), np.nan, np.float32)}
    out = triton_kernel(textures, "full")(np.zeros((2, 3, 3), np.float32), maps)
    np.testing.assert_array_equal(out, maps.residual[0])


def test_without_an_edit_the_frame_comes_back(render_cases):
    maps = render_cases.random_maps(layers=2, height=4, width=5)
    frame = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    out = triton_kernel({0: np.zeros((5, 5, 3), np.float32)}, "delta")(frame, maps)
    np.testing.assert_array_equal(out, frame)


@pytest.mark.parametrize("works", [True, False])
def test_choice_on_cuda(monkeypatch, works):
    """Triton where it works, else torch; make_kernel builds both without touching the device."""
    chosen = []
    monkeypatch.setattr(kernel_module, "triton_works", lambda device: works)
    monkeypatch.setattr(kernel_triton, "make_kernel", lambda *_: chosen.append("triton"))
    monkeypatch.setattr(kernel_module, "_cuda_kernel", lambda *_: chosen.append("torch"))
    make_kernel({}, "delta", False, "cuda")
    assert chosen == ["triton" if works else "torch"]
    assert importlib.import_module("nvd_core.editing.kernel_triton") is kernel_triton
