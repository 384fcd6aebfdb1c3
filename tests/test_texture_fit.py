"""Fitting textures to the clip: the kernel equals its twin, and the texels are the best ones."""

import cv2
import numpy as np
import pytest
import torch

from nvd_core.baking import texture_fit
from nvd_core.baking.texture_fit import UNLIT, Texels, add_frame, fit_textures
from nvd_core.editing.kernel_torch import composed
from nvd_core.media.images import read_image
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps, read_maps

SIZES = [(7, 9), (1, 1), (12, 5)]
NOT_MIXED = np.zeros(sum(h * w for h, w in SIZES), np.float32)


def random_maps(seed: int, height: int = 11, width: int = 13) -> FrameMaps:
    """Places all over the textures and beyond, on texel centres, and none at some pixels."""
    random = np.random.default_rng(seed)
    uva = random.uniform(-0.1, 1.1, (len(SIZES), height, width, 3))
    uva[..., 2] = np.where(uva[..., 2] < 0.3, 0, uva[..., 2])
    uva[0, 0, :2, :2] = [[0.5, 0.5], [1, 1]]
    light = random.uniform(0.3, 1.7, (len(SIZES), height, width, 3))
    return FrameMaps(uva, light)


def random_textures(seed: int, dtype: type = np.float64) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.random((*size, 3)).astype(dtype) for size in SIZES]


def squares(maps: FrameMaps, target: torch.Tensor, textures: list[torch.Tensor]) -> torch.Tensor:
    """The plain twin: half of the module's two sums of squares for one frame."""
    layers = dict(enumerate(textures))
    ones = FrameMaps(maps.uva, np.ones_like(maps.residual))
    lit, unlit = (target - composed(m, layers) for m in (maps, ones))
    return (lit.square().sum() + UNLIT * unlit.square().sum()) / 2


@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_kernel_equals_the_gradient_of_its_torch_twin(dtype, near):
    maps, images = random_maps(1), random_textures(2)
    target = np.random.default_rng(3).random((11, 13, 3))
    textures = [torch.tensor(image, requires_grad=True) for image in images]
    expected = torch.autograd.grad(squares(maps, torch.tensor(target), textures), textures)
    texels = Texels.of([image.astype(dtype) for image in images])
    given = FrameMaps(maps.uva.astype(dtype), maps.residual.astype(dtype))
    gradient, scale = np.zeros_like(texels.values), np.zeros_like(texels.values)
    add_frame(given, target.astype(dtype), texels, gradient, scale)
    for found, wanted in zip(Texels(texels.table, gradient).textures(), expected, strict=True):
        largest = wanted.abs().max().item()
        np.testing.assert_allclose(found, -wanted.numpy(), rtol=0, atol=near * largest)


def test_scale_is_the_sums_of_the_rows_of_the_curvature():
    maps, images = random_maps(1), random_textures(2)
    maps.uva[2, ..., 2] += 0.1
    maps.uva[..., 2] /= maps.uva[..., 2].sum(0)  # as in files, alphas sum to 1
    textures = [torch.tensor(image, requires_grad=True) for image in images]
    ones = [torch.ones_like(texture) for texture in textures]
    empty = torch.zeros(11, 13, 3, dtype=torch.float64)
    expected = torch.autograd.functional.hvp(
        lambda *layers: squares(maps, empty, layers), tuple(textures), tuple(ones)
    )[1]
    texels = Texels.of(images)
    scale = np.zeros_like(texels.values)
    add_frame(maps, empty.numpy(), texels, np.zeros_like(scale), scale)
    for found, wanted in zip(Texels(texels.table, scale).textures(), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-10)


def test_it_ends_at_the_least_squares_solution():
    clip = [
        (np.random.default_rng(t).integers(60, 190, (11, 13, 3)), random_maps(t)) for t in (5, 6)
    ]
    start = random_textures(7)
    keep = np.random.default_rng(8).uniform(0.5, 3, (len(Texels.of(start).values), 1))
    passes = texture_fit._Passes(lambda: iter_of(clip), len(clip), Progress())
    found = texture_fit._solve(Texels.of(start), keep, passes, 200)
    textures = [
        torch.tensor(t, requires_grad=True)
        for t in Texels(Texels.of(start).table, found).textures()
    ]
    total = sum(squares(maps, torch.tensor(frame / 255), textures) for frame, maps in clip)
    weights = Texels(Texels.of(start).table, np.repeat(keep, 3, 1)).textures()
    for new, old, weight in zip(textures, start, weights, strict=True):
        total = total + (torch.tensor(weight) * (new - torch.tensor(old)).square()).sum() / 2
    for gradient in torch.autograd.grad(total, textures):
        assert gradient.abs().max() < 1e-8


def iter_of(clip):
    yield from clip


def test_two_steps_are_nearly_the_best_and_always_the_same(tmp_path, monkeypatch, synthetic):
    shot = synthetic.make_shot(tmp_path, frames=6)
    true = [
        read_image(shot.texture_path(name))[..., :3] / np.float32(255) for name in synthetic.NAMES
    ]
    mixed = np.zeros(sum(image.shape[0] * image.shape[1] for image in true), np.float32)
    blurred = [cv2.GaussianBlur(image, (0, 0), 2) for image in true]

    def seen():
        for t in range(shot.frames):
            yield read_image(shot.frame_path(t)), read_maps(shot.map_path(t), synthetic.NAMES)

    def error(textures):
        layers = [torch.from_numpy(texture) for texture in textures]
        return sum(squares(m, torch.from_numpy(f / np.float32(255)), layers) for f, m in seen())

    def fit():
        start = [image.copy() for image in blurred]
        return fit_textures(start, mixed, seen, shot.frames, Progress())

    fitted = fit()
    monkeypatch.setattr(texture_fit, "STEPS", 30)
    best = error(fit())
    monkeypatch.undo()
    again = fit()
    assert error(fitted) < 1.05 * best < 0.9 * error(blurred)
    for new, same in zip(fitted, again, strict=True):
        assert new.dtype == np.float32
        np.testing.assert_array_equal(new, same)  # threads add in the same order every time


def test_unseen_texels_stay_and_large_textures_are_left(monkeypatch):
    maps = random_maps(1)
    maps.uva[0, ..., 0] = 0.2  # a narrow stripe of layer 0
    clip = [(np.full((11, 13, 3), 128, np.uint8), maps)]
    start = random_textures(2, np.float32)
    fitted = fit_textures(start, NOT_MIXED, lambda: iter_of(clip), 1, Progress())
    np.testing.assert_array_equal(fitted[0][:, 5:], start[0][:, 5:])
    assert (fitted[0][:, :3] != start[0][:, :3]).any()
    monkeypatch.setattr(texture_fit, "MOST_TEXELS", 10)
    assert fit_textures(start, NOT_MIXED, lambda: iter_of(clip), 1, Progress()) is start


def test_it_can_be_cancelled():
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        fit_textures(random_textures(2, np.float32), NOT_MIXED, lambda: iter_of([]), 1, progress)


def test_what_is_seen_half_transparently_is_held():
    maps = random_maps(1)
    maps.uva[0, ..., 2] = 0.3
    clip = [(np.full((11, 13, 3), 128, np.uint8), maps)] * 20
    start = random_textures(2, np.float32)
    mixed = NOT_MIXED.copy()
    free = fit_textures(start, mixed, lambda: iter_of(clip), len(clip), Progress())[0]
    mixed[: free[..., 0].size] = 10.0
    held = fit_textures(start, mixed, lambda: iter_of(clip), len(clip), Progress())[0]
    moved, moved_less = np.abs(free - start[0]), np.abs(held - start[0])
    assert 0.02 < moved_less.mean() < 0.7 * moved.mean()
