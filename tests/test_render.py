"""Rendering: the two kernels agree, the formulas hold, and what is not edited stays as shot."""

import numpy as np
import pytest
import torch

from nvd_core.editing.kernel import make_kernel
from nvd_core.editing.kernel_numba import pack_textures, render_delta, render_full
from nvd_core.editing.kernel_torch import add_delta, composed, decode, lookup, to_device
from nvd_core.editing.plate import read_frame
from nvd_core.editing.render import render, render_frames
from nvd_core.editing.rendering import Rendering
from nvd_core.media.clip import open_clip
from nvd_core.media.images import at_depth, encode_srgb, read_image, to_float, write_image
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import read_maps

DEPTHS = [8, 16, "half", "float"]


@pytest.fixture(scope="module", params=DEPTHS)
def shot(request, tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("shot"), bit_depth=request.param)


@pytest.fixture(scope="module")
def plain_shot(tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("number", range(6))
def test_delta_kernel_equals_its_float64_twin(number, render_cases):
    maps = render_cases.random_maps()
    delta = render_cases.random_deltas()[number]
    for textures in ({1: delta}, {0: delta, 2: render_cases.random_deltas()[0]}):
        expected = composed(maps, to_device(textures, "cpu", torch.float64)).numpy()
        frame = np.zeros(maps.uva.shape[1:], np.float32)
        out = np.full_like(frame, np.nan)
        render_delta(frame, maps, pack_textures(textures, crop=True), False, out)
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(out == 0, expected == 0)


def test_full_kernel_equals_its_float64_twin(render_cases):
    maps = render_cases.random_maps()
    textures = dict(enumerate(render_cases.random_deltas()[:3]))
    expected = composed(maps, to_device(textures, "cpu", torch.float64)).numpy()
    out = np.empty(maps.uva.shape[1:], np.float32)
    render_full(maps, pack_textures(textures, crop=False), False, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_equal_the_twin_within_one_step(dtype, render_cases):
    maps = render_cases.random_maps()
    textures = {0: render_cases.random_deltas()[0], 1: render_cases.random_deltas()[1]}
    largest = np.iinfo(dtype).max
    frame = np.random.default_rng(0).integers(0, largest + 1, maps.uva.shape[1:], dtype)
    out = np.empty_like(frame)
    render_delta(frame, maps, pack_textures(textures, crop=True), False, out)
    delta = composed(maps, to_device(textures, "cpu", torch.float64))
    expected = add_delta(torch.from_numpy(frame.astype(np.int32)), delta, largest, False).numpy()
    assert np.abs(out.astype(np.int64) - expected).max() <= 1
    assert (out == expected).mean() > 0.999
    assert {0, largest} <= set(out.reshape(-1).tolist())  # clamped, not wrapped


def test_linear_equals_the_twin(render_cases):
    maps = render_cases.random_maps()
    textures = {0: render_cases.random_deltas()[0], 1: render_cases.random_deltas()[1]}
    frame = np.random.default_rng(0).uniform(-0.2, 5, maps.uva.shape[1:]).astype(np.float32)
    out = np.empty_like(frame)
    render_delta(frame, maps, pack_textures(textures, crop=True), True, out)
    delta = composed(maps, to_device(textures, "cpu", torch.float64))
    expected = add_delta(torch.from_numpy(frame).double(), delta, 0, True).numpy()
    np.testing.assert_allclose(out, expected, rtol=2e-6, atol=1e-6)
    untouched = delta.numpy() == 0
    assert untouched.any()
    np.testing.assert_array_equal(out[untouched], frame[untouched])
    full = np.empty_like(frame)
    render_full(maps, pack_textures(textures, crop=False), True, full)
    expected = decode(delta).numpy()
    np.testing.assert_allclose(full, expected, rtol=2e-6, atol=1e-6)


def test_lookup_is_exact_at_texel_centres_and_linear_between():
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1).repeat(3, 2)
    u = torch.tensor([0.5 / 4, 2.5 / 4, 2 / 4, 0.0, 1.0])
    v = torch.tensor([1 - 0.5 / 3, 1 - 1.5 / 3, 1 - 1.5 / 3, 1.0, 0.0])
    values = lookup(torch.from_numpy(image), u, v)[:, 0]
    torch.testing.assert_close(values, torch.tensor([0.0, 6.0, 5.5, 0.0, 11.0]))


def test_bad_places_reach_no_memory(render_cases):
    maps = render_cases.random_maps(layers=1)
    maps.uva[0, :9] = [[np.nan, np.nan, 1]]
    maps.uva[0, 9:20] = [[np.inf, -np.inf, 1]]
    maps.uva[0, 20:30] = [[1e30, -1e30, 1]]
    out = np.empty(maps.uva.shape[1:], np.uint8)
    packed = pack_textures({0: np.ones((8, 8, 3), np.float32)}, crop=False)
    render_full(maps, packed, False, out)
    render_delta(out.copy(), maps, packed, False, out)


def test_without_an_edit_frames_come_back_bit_for_bit(shot):
    frames = list(render_frames(shot))
    assert len(frames) == 3
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, read_frame(shot, index))


def test_full_reproduces_the_frames(shot):
    steps = {8: 1 / 255, 16: 1 / 65535, "half": 2e-3, "float": 2e-6}
    for index, frame in enumerate(render_frames(shot, mode="full")):
        true = to_float(read_frame(shot, index))
        error = np.abs(to_float(frame) - true).max()
        assert error <= steps[shot.manifest.clip.bit_depth] * 1.01


def formula(synthetic, shot, index, edit_image, name, mode):
    """The documented formulas, in float64, display-encoded, unclamped."""
    maps = read_maps(shot.map_path(index), synthetic.NAMES)
    learned = {
        n: to_float(synthetic.texture(name))[..., :3] for n, name in enumerate(synthetic.NAMES)
    }
    n = synthetic.NAMES.index(name)
    edit = to_float(edit_image)
    change = edit[..., 3:] * (edit[..., :3] - learned[n])
    if mode == "full":
        textures = learned | {n: learned[n] + change}
        return composed(maps, to_device(textures, "cpu", torch.float64)).numpy()
    frame = read_frame(shot, index)
    frame = encode_srgb(frame) if frame.dtype.kind == "f" else to_float(frame)
    return frame + composed(maps, to_device({n: change}, "cpu", torch.float64)).numpy()


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("name", ["dog", "background"])
def test_edits_follow_the_documented_formulas(shot, tmp_path, mode, name, synthetic):
    image = synthetic.texture(name)
    image[12:30, 10:25] = (250, 30, 90, 160)
    write_image(tmp_path / "e.png", image)
    rendered = list(render_frames(shot, {name: tmp_path / "e.png"}, mode=mode))
    changed_pixels = 0
    for index, frame in enumerate(rendered):
        expected = formula(synthetic, shot, index, image, name, mode)
        if frame.dtype.kind == "u":
            values, expected = to_float(frame), expected.clip(0, 1)
            step = 1 / np.iinfo(frame.dtype).max
        else:
            values, step = encode_srgb(frame), 2e-6
        assert np.abs(values - expected).max() < step * 0.51 + 1e-6
        changed_pixels += (frame != read_frame(shot, index)).any(2).sum()
    assert changed_pixels > 50
    assert mode == "full" or changed_pixels < 0.7 * sum(f[..., 0].size for f in rendered)


def test_paint_hidden_behind_an_object_does_not_show(plain_shot, tmp_path, synthetic):
    image = synthetic.texture("background")
    image[..., :3] = 255
    write_image(tmp_path / "e.png", image)
    frame = next(iter(render_frames(plain_shot, {"background": tmp_path / "e.png"})))
    maps = read_maps(plain_shot.map_path(0), synthetic.NAMES)
    hidden = maps.uva[2, ..., 2] == 0
    assert hidden.sum() > 50
    np.testing.assert_array_equal(frame[hidden], read_frame(plain_shot, 0)[hidden])


def test_a_painted_folder_needs_no_argument(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path, frames=2)
    image = synthetic.texture("dog")
    image[..., :3] = 0
    write_image(shot.edit_path("dog"), image)
    frame = next(iter(render_frames(shot)))
    assert (frame != read_frame(shot, 0)).mean() > 0.1


def test_torch_kernel_equals_the_compiled_one(shot, monkeypatch, synthetic, render_cases):
    """The path of CUDA, run on the CPU."""
    from nvd_core.editing import kernel as module

    linear = shot.manifest.clip.encoding == "linear"
    depth = "float" if linear else shot.manifest.clip.bit_depth
    deltas = {
        0: render_cases.random_deltas()[0],
        2: render_cases.random_deltas()[1],
        1: render_cases.random_deltas()[4],
    }
    frame = at_depth(read_frame(shot, 1), depth)
    maps = read_maps(shot.map_path(1), synthetic.NAMES)
    for mode in ("delta", "full"):
        fast = make_kernel(deltas, mode, linear, "cpu")(frame, maps)
        plain = module._cuda_kernel(deltas, mode, linear, torch.device("cpu"))(frame, maps)
        assert fast.dtype == plain.dtype == frame.dtype
        tolerance = 1 if frame.dtype.kind == "u" else 1e-5
        assert np.abs(fast.astype(np.float64) - plain).max() <= tolerance
    unedited = module._cuda_kernel({0: deltas[1]}, "delta", linear, torch.device("cpu"))
    np.testing.assert_array_equal(unedited(frame, maps), frame)


@pytest.mark.gpu
def test_cuda_equals_the_cpu(shot, tmp_path, synthetic):
    image = synthetic.texture("dog")
    image[12:30, 10:25] = (250, 30, 90, 160)
    write_image(tmp_path / "e.png", image)
    both = [
        list(render_frames(shot, {"dog": tmp_path / "e.png"}, device=d)) for d in ("cpu", "cuda")
    ]
    for cpu, cuda in zip(*both, strict=True):
        tolerance = 1 if cpu.dtype.kind == "u" else 1e-5
        assert np.abs(cpu.astype(np.float64) - cuda).max() <= tolerance


def test_numbered_images(shot, tmp_path):
    suffix = ".png" if shot.manifest.clip.encoding == "display" else ".exr"
    result = render(shot, tmp_path / f"out/%04d{suffix}", frames=(1, 2))
    assert result["frames"] == 2
    assert result["seconds"] > 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [f".%04d{suffix}.rendered.json", f"0001{suffix}", f"0002{suffix}"]
    for index in (1, 2):
        image = read_image(tmp_path / f"out/000{index}{suffix}")
        true = read_frame(shot, index)
        assert image.dtype == true.dtype
        np.testing.assert_array_equal(image, true)


def test_more_bits_than_the_clip(plain_shot, tmp_path, synthetic):
    image = synthetic.texture("dog")
    image[..., :3] = 200
    write_image(tmp_path / "e.png", image)
    edits = {"dog": tmp_path / "e.png"}
    render(plain_shot, tmp_path / "a%d.png", edits, bit_depth=16, frames=(0, 0))
    deep = read_image(tmp_path / "a0.png")
    (flat,) = render_frames(plain_shot, edits, frames=(0, 0))
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257.0 - flat).max() < 0.51
    touched = flat != read_frame(plain_shot, 0)
    assert (deep[touched] % 257 != 0).mean() > 0.9
    unreached = read_maps(plain_shot.map_path(0), synthetic.NAMES).uva[0, ..., 2] == 0
    exact = read_frame(plain_shot, 0).astype(np.uint16) * 257
    np.testing.assert_array_equal(deep[unreached], exact[unreached])


def test_fewer_bits_than_the_clip(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot", frames=2, bit_depth=16)
    render(shot, tmp_path / "a%d.png", bit_depth=8)
    image = read_image(tmp_path / "a1.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.rint(read_frame(shot, 1) / 257.0))


@pytest.mark.parametrize("name", ["m.mp4", "m.mov"])
def test_movies(plain_shot, tmp_path, name):
    result = render(plain_shot, tmp_path / name)
    assert result["out"] == str(tmp_path / name)
    movie = open_clip(tmp_path / name)
    assert (movie.info.frames, movie.info.width, movie.info.height) == (3, 48, 36)
    for index, frame in enumerate(movie):
        error = to_float(frame) - to_float(read_frame(plain_shot, index))
        assert np.sqrt((error**2).mean()) < 0.05


def test_exr_of_an_8_bit_clip_is_linear(plain_shot, tmp_path):
    render(plain_shot, tmp_path / "%02d.exr", frames=(0, 0))
    image = read_image(tmp_path / "00.exr")
    assert image.dtype == np.float16
    np.testing.assert_allclose(
        encode_srgb(image), to_float(read_frame(plain_shot, 0)), atol=1 / 1024
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"frames": (0, 3)}, "frames 0-3 are not in"),
        ({"frames": (2, 1)}, "frames 2-1 are not in"),
        ({"edits": {"bird": "x.png"}}, "no layer bird"),
        ({"edits": {"dog": "missing.png"}}, "there is no image"),
        ({"device": "tpu"}, "no device"),
    ],
)
def test_bad_arguments_write_nothing(plain_shot, tmp_path, arguments, words):
    with pytest.raises(NvdError, match=words):
        render(plain_shot, tmp_path / "out" / "%04d.png", **arguments)
    with pytest.raises(NvdError, match=words):
        render(plain_shot, tmp_path / "out.mp4", **arguments)
    assert not list(tmp_path.iterdir())


def test_bad_outputs(plain_shot, tmp_path):
    with pytest.raises(NvdError, match="cannot write to"):
        render(plain_shot, tmp_path / "movie.xyz")
    with pytest.raises(NvdError, match="belongs to the decomposition"):
        render(plain_shot, plain_shot.folder / "frames" / "%05d.png")
    with pytest.raises(ValueError, match="mode"):
        render(plain_shot, tmp_path / "m.mp4", mode="other")


def test_missing_files_are_told_before_writing(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot")
    shot.map_path(2).unlink()
    with pytest.raises(NvdError, match=r"maps/00002\.exr"):
        render(shot, tmp_path / "out.mp4")
    render(shot, tmp_path / "out" / "%d.png", frames=(0, 1))


def test_changed_frames_are_told(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot")
    write_image(shot.frame_path(1), np.zeros((36, 40, 3), np.uint8))
    with pytest.raises(NvdError, match="not the frame that was decomposed"):
        render(shot, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_cancelling_leaves_no_half_movie(plain_shot, tmp_path):
    class Impatient(Progress):
        def _show(self, done, psnr, preview):
            if done == 1:
                self.cancel()

    with pytest.raises(Cancelled):
        render(plain_shot, tmp_path / "out.mp4", progress=Impatient())
    assert not list(tmp_path.iterdir())


def test_auto_device():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(NvdError, match="CUDA"):
            choose_device("cuda")


def test_frames_come_in_the_order_asked_for(tmp_path, synthetic):
    """Also where an edit shows in some of them only, and where one is asked for twice."""
    shot = synthetic.make_shot(tmp_path / "shot", frames=5)
    edit = synthetic.texture("dog").copy()
    edit[10:30, 5:30, :3] = (255, 0, 0)
    write_image(tmp_path / "dog.png", edit)
    rendering = Rendering(shot, {"dog": tmp_path / "dog.png"}, "delta", range(5), None, "cpu")
    changes, rendering._changes = rendering._changes, lambda t: t != 2 and changes(t)
    forward = dict(enumerate(rendering.frames(range(5))))
    assert not np.array_equal(forward[1], forward[3])
    order = [3, 0, 2, 4, 1, 3]
    for t, frame in zip(order, rendering.frames(order), strict=True):
        assert np.array_equal(frame, forward[t]), t
