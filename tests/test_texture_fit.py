"""Fitting textures to the clip: the kernel equals its twin, and the texels are the best ones."""

import cv2
import numpy as np
import pytest
import torch

from nvd_core.baking import texture_fit
from nvd_core.baking.fit_kernels import UNLIT, NodeLookups, add_frame
from nvd_core.baking.texture_fit import SeenFrames, Texels, fit_textures
from nvd_core.editing.kernel_torch import composed
from nvd_core.media.images import read_image
from nvd_core.runtime import frame_threads
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps, LayerMaps, read_maps
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_fit import fitted

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


def random_colours(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (11, 13, 3), np.uint8)


def seen_frames(clip: list, **more) -> SeenFrames:
    """What is fitted to these colours and maps."""
    return SeenFrames(range(len(clip)), lambda t: clip[t][0], lambda t: clip[t][1], **more)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_kernel_equals_the_gradient_of_its_torch_twin(dtype, near, added):
    maps, images, colours = random_maps(1), random_textures(2), random_colours(3)
    given = FrameMaps(maps.uva.astype(dtype), maps.residual.astype(dtype))
    target = colours / 255
    if added:
        given.added = np.random.default_rng(4).random((11, 13, 3), np.float32)
        target = target - given.added
    textures = [torch.tensor(image, requires_grad=True) for image in images]
    half = squares(maps, torch.tensor(target), textures)
    expected = torch.autograd.grad(half, textures)
    texels = Texels.of([image.astype(dtype) for image in images])
    sums = np.zeros((len(texels.values), 4), dtype)
    total = add_frame(given, colours, texels.table, texels.values, sums)
    assert total == pytest.approx(2 * half.item(), rel=near)
    assert add_frame(given, colours, texels.table, texels.values, sums[:0]) == total
    gradient = np.ascontiguousarray(sums[:, :3])
    for found, wanted in zip(Texels(texels.table, gradient).textures(), expected, strict=True):
        largest = wanted.abs().max().item()
        np.testing.assert_allclose(found, -wanted.numpy(), rtol=0, atol=near * largest)


def test_the_last_column_is_the_sums_of_the_rows_of_the_curvature():
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
    sums = np.zeros((len(texels.values), 4))
    add_frame(maps, None, texels.table, texels.values, sums)
    wanted = np.concatenate([layer.numpy().reshape(-1, 3) for layer in expected]).mean(1)
    np.testing.assert_allclose(sums[:, 3], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden", [False, True])
def test_compact_maps_add_what_their_full_maps_do(hidden):
    """Bit for bit, whole tiles or not, with what a matte takes out, and with added light."""
    random = np.random.default_rng(5)
    height, width = 21, 45
    front = np.clip(random.normal(0.5, 1, (height, width)), 0, 1)
    layers = []
    for alpha in (front, 1 - front):
        u, v = random.random((2, height, width))
        values = (values.astype(np.float32) for values in (u, v, alpha))
        light = random.uniform(0.3, 1.7, (height, width, 3)).astype(np.float16)
        layers.append(LayerMaps(*values, light, (40, 30)))
    packed = pack(fitted(layers, random.random((height, width, 3))))
    full = FrameMaps(*decode(packed, [0, 1]), packed.added_light)
    matte = random.random((height, width)) < 0.3 if hidden else None
    if hidden:
        full.uva[:, matte, 2] = 0
    colours = random.integers(0, 256, (height, width, 3), np.uint8)
    texels = Texels.of([random.random((30, 40, 3), np.float32) for _ in range(2)])
    sums = np.zeros((2, len(texels.values), 4), np.float32)
    totals = [
        add_frame(maps, colours, texels.table, texels.values, of_maps)
        for maps, of_maps in zip(
            (full, NodeLookups(packed, np.arange(2), matte)), sums, strict=True
        )
    ]
    assert totals[0] == totals[1] > 0
    np.testing.assert_array_equal(sums[0], sums[1])


def test_it_ends_at_the_least_squares_solution():
    clip = [
        (np.random.default_rng(t).integers(60, 190, (11, 13, 3)), random_maps(t)) for t in (5, 6)
    ]
    start = random_textures(7)
    keep = np.random.default_rng(8).uniform(0.5, 3, (len(Texels.of(start).values), 1))
    passes = texture_fit._Passes(seen_frames(clip), Texels.of(start).table, Progress())
    found = texture_fit._solve(Texels.of(start).values, keep, passes, 200)
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


def test_the_last_length_is_that_of_all_frames():
    """Of those too that are the only ones to show an object."""
    values = Texels.of(random_textures(7)).values
    table = Texels.of(random_textures(7)).table
    clip = [(random_colours(t), random_maps(t)) for t in range(70)]
    for t, (_, maps) in enumerate(clip):
        if t not in (11, 13):
            maps.uva[0, ..., 2] = 0
    passes = texture_fit._Passes(seen_frames(clip), table, Progress())
    expected = np.vdot(values, passes.curvature(values))
    assert passes.bend(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_an_object_that_is_seen_briefly_comes_nearer_to_the_clip(steps):
    """Eight of 320 frames show it."""
    random = np.random.default_rng(0)
    across, down = np.meshgrid((np.arange(20) + 0.5) / 20, 1 - (np.arange(20) + 0.5) / 20)
    true = [random.uniform(0.3, 0.7, (20, 20, 3)).astype(np.float32) for _ in range(2)]

    def maps(t: int) -> FrameMaps:
        uva = np.zeros((2, 20, 20, 3), np.float32)
        uva[0, ..., :2] = np.stack([across + 0.003 * (t % 8), down + 0.02], -1)
        uva[1, ..., :2] = np.stack([across, down], -1)
        uva[0 if 101 <= t <= 108 else 1, ..., 2] = 1
        return FrameMaps(uva, np.ones_like(uva))

    def colours(t: int) -> np.ndarray:
        layers = [torch.from_numpy(texture) for texture in true]
        made = composed(maps(t), dict(enumerate(layers))).numpy()
        return np.clip(np.round(255 * made + random.normal(0, 2, made.shape)), 0, 255)

    frames = {t: colours(t) for t in range(320)}
    start = [np.full_like(true[0], 0.5), true[1]]
    seen = SeenFrames(range(320), frames.__getitem__, maps, steps)
    found = fit_textures(start, np.zeros(800, np.float32), seen, Progress())
    off = [np.abs(textures[0] - true[0]).mean() for textures in (start, found)]
    assert off[1] < 0.7 * off[0]


def test_two_steps_are_nearly_the_best_and_always_the_same(tmp_path, monkeypatch, synthetic):
    monkeypatch.setattr(texture_fit, "LANE_FRAMES", 1)
    shot = synthetic.make_shot(tmp_path, frames=6)
    true = [
        read_image(shot.texture_path(name))[..., :3] / np.float32(255) for name in synthetic.NAMES
    ]
    mixed = np.zeros(sum(image.shape[0] * image.shape[1] for image in true), np.float32)
    blurred = [cv2.GaussianBlur(image, (0, 0), 2) for image in true]

    clip = [
        (read_image(shot.frame_path(t)), read_maps(shot.map_path(t), synthetic.NAMES))
        for t in range(shot.frames)
    ]

    def error(textures):
        layers = [torch.from_numpy(texture) for texture in textures]
        return sum(squares(m, torch.from_numpy(f / np.float32(255)), layers) for f, m in clip)

    def fit(steps=texture_fit.STEPS):
        start = [image.copy() for image in blurred]
        return fit_textures(start, mixed, seen_frames(clip, steps=steps), Progress())

    monkeypatch.setattr(frame_threads, "cores", lambda: 1)
    found = fit()
    assert error(found) < 1.05 * error(fit(30)) < 0.9 * error(blurred)
    for cores in (2, 3, 8):
        monkeypatch.setattr(frame_threads, "cores", lambda cores=cores: cores)
        for new, same in zip(found, fit(), strict=True):
            assert new.dtype == np.float32
            np.testing.assert_array_equal(new, same)  # added in the same order by any threads


@pytest.mark.parametrize(
    ("texels", "frames", "lanes"),
    [
        (0, 0, 2),
        (1, 5, 2),
        (8_000_000, 24, 4),
        (8_000_000, 300, 8),
        (9_000_000, 300, 7),
        (texture_fit.MOST_TEXELS, 300, 2),
    ],
)
def test_sums_are_few_where_they_are_large_or_frames_are_few(texels, frames, lanes):
    assert texture_fit.lanes_for(texels, frames) == lanes


def test_unseen_texels_stay_and_large_textures_are_left(monkeypatch):
    maps = random_maps(1)
    maps.uva[0, ..., 0] = 0.2  # a narrow stripe of layer 0
    clip = [(np.full((11, 13, 3), 128, np.uint8), maps)]
    start = random_textures(2, np.float32)
    found = fit_textures(start, NOT_MIXED, seen_frames(clip), Progress())
    np.testing.assert_array_equal(found[0][:, 5:], start[0][:, 5:])
    assert (found[0][:, :3] != start[0][:, :3]).any()
    monkeypatch.setattr(texture_fit, "MOST_TEXELS", 10)
    assert fit_textures(start, NOT_MIXED, seen_frames(clip), Progress()) is start


def test_it_can_be_cancelled():
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        fit_textures(random_textures(2, np.float32), NOT_MIXED, seen_frames([]), progress)


def test_what_is_seen_half_transparently_is_held():
    maps = random_maps(1)
    maps.uva[0, ..., 2] = 0.3
    clip = [(np.full((11, 13, 3), 128, np.uint8), maps)] * 20
    start = random_textures(2, np.float32)
    mixed = NOT_MIXED.copy()
    free = fit_textures(start, mixed, seen_frames(clip), Progress())[0]
    mixed[: free[..., 0].size] = 10.0
    held = fit_textures(start, mixed, seen_frames(clip), Progress())[0]
    moved, moved_less = np.abs(free - start[0]), np.abs(held - start[0])
    assert 0.02 < moved_less.mean() < 0.7 * moved.mean()
