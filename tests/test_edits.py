"""Edits: every kind of image an artist may bring, and what it changes, in exact figures."""

import cv2
import numpy as np
import pytest

from nvd_core.editing.edits import DEAD_ZONE, edit_paths, load_edit, load_texture
from nvd_core.media.images import decode_srgb, to_float, write_image
from nvd_core.runtime.errors import NvdError


@pytest.fixture(scope="module")
def shot(tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("shot"), frames=2)


@pytest.fixture(scope="module")
def deep_shot(tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("deep"), frames=2, texture_depth=16)


def painted(image, value):
    """`image` with a rectangle of `value` in its colours."""
    image = image.copy()
    image[10:20, 8:30, :3] = value
    return image


def test_an_untouched_copy_changes_nothing(shot, tmp_path):
    for name in shot.names:
        edit = load_edit(shot, name, shot.edit_path(name))
        assert (edit.delta == 0).all()
        np.testing.assert_array_equal(edit.full, load_texture(shot, name))


def test_paint_changes_just_what_was_painted(shot, tmp_path, synthetic):
    image = painted(synthetic.texture("dog"), (255, 0, 51))
    write_image(tmp_path / "e.png", image)
    edit = load_edit(shot, "dog", tmp_path / "e.png")
    changed = np.zeros(image.shape[:2], bool)
    changed[10:20, 8:30] = True
    assert (edit.delta[~changed] == 0).all()
    np.testing.assert_allclose(edit.full[changed], np.tile([1, 0, 0.2], (220, 1)), atol=1e-6)


def test_alpha_weighs_the_edit_and_0_leaves_the_texture(shot, tmp_path, synthetic):
    image = synthetic.texture("dog")
    image[..., :3] = 255
    image[..., 3] = 0
    image[5:9, 5:9, 3] = 128
    write_image(tmp_path / "e.png", image)
    edit = load_edit(shot, "dog", tmp_path / "e.png")
    learned = load_texture(shot, "dog")
    expected = np.zeros_like(learned)
    expected[5:9, 5:9] = 128 / 255 * (1 - learned[5:9, 5:9])
    np.testing.assert_allclose(edit.delta, expected, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_edits(shot, tmp_path, channels):
    image = np.full((37, 41, channels), 51, np.uint8)
    image[..., -1] = 51 if channels == 1 else 255
    write_image(tmp_path / "e.png", image)
    np.testing.assert_allclose(load_edit(shot, "dog", tmp_path / "e.png").full, 0.2, atol=1e-6)


def test_an_edit_without_alpha_covers_all(shot, tmp_path):
    write_image(tmp_path / "e.png", np.full((37, 41, 3), 255, np.uint8))
    np.testing.assert_allclose(load_edit(shot, "dog", tmp_path / "e.png").full, 1, atol=1e-6)


def rounded(image):
    return (to_float(image) * 255 + 0.5).astype(np.uint8)


def cut_off(image):
    return (image >> 8).astype(np.uint8)


@pytest.mark.parametrize("reduced", [rounded, cut_off])
def test_8_bit_edit_of_a_16_bit_texture_changes_only_the_paint(
    deep_shot, tmp_path, reduced, synthetic
):
    image = painted(reduced(synthetic.texture("dog", 16)), 200)
    write_image(tmp_path / "e.png", image)
    delta = load_edit(deep_shot, "dog", tmp_path / "e.png").delta
    changed = np.zeros(image.shape[:2], bool)
    changed[10:20, 8:30] = True
    assert (delta[~changed] == 0).all()
    assert (np.abs(delta[changed]).max(1) > 0).mean() > 0.95


def test_16_bit_edit_of_an_8_bit_texture(shot, tmp_path, synthetic):
    image = synthetic.texture("dog").astype(np.uint16) * 257
    image[10, 8, 0] += 40
    write_image(tmp_path / "e.png", image)
    delta = load_edit(shot, "dog", tmp_path / "e.png").delta
    assert np.count_nonzero(delta) == 1
    assert delta[10, 8, 0] == pytest.approx(40 / 65535, abs=1e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_linear_edits(shot, tmp_path, dtype, synthetic):
    image = to_float(synthetic.texture("dog"))[..., :3]
    write_image(tmp_path / "e.exr", painted(decode_srgb(image), 4.0).astype(dtype))
    delta = load_edit(shot, "dog", tmp_path / "e.exr").delta
    changed = np.zeros(image.shape[:2], bool)
    changed[10:20, 8:30] = True
    assert (delta[~changed] == 0).all()
    assert (delta[changed] > 0.5).all()


def test_infinite_values_are_told(shot, tmp_path):
    write_image(tmp_path / "e.exr", np.full((37, 41, 3), np.inf, np.float32))
    with pytest.raises(NvdError, match="no colours"):
        load_edit(shot, "dog", tmp_path / "e.exr")


@pytest.mark.parametrize(
    ("method", "factor"),
    [(m, f) for m in (cv2.INTER_LINEAR, cv2.INTER_CUBIC) for f in (2, 1.5, 0.7)]
    + [(cv2.INTER_AREA, 0.5), (cv2.INTER_LANCZOS4, 3)],
)
def test_resampling_is_no_edit(shot, tmp_path, method, factor, synthetic):
    image = synthetic.texture("background")  # 90 x 56
    size = round(90 * factor), round(56 * factor)
    resampled = cv2.resize(image, size, interpolation=method)[..., :3]
    write_image(tmp_path / "e.png", resampled)
    delta = load_edit(shot, "background", tmp_path / "e.png").delta
    assert delta.shape == (size[1], size[0], 3)
    assert (np.abs(delta) < 0.02).all()
    assert (delta != 0).any(2).mean() < 0.05


def test_an_edit_of_another_size_lies_where_it_was_painted(shot, tmp_path, synthetic):
    image = cv2.resize(synthetic.texture("background"), (180, 112), interpolation=cv2.INTER_LINEAR)
    image[40:60, 100:140] = 255
    write_image(tmp_path / "e.png", image)
    delta = load_edit(shot, "background", tmp_path / "e.png").delta
    assert (np.abs(delta[40:60, 100:140]).max(2) > 0.05).all()
    delta[40:60, 100:140] = 0
    assert (np.abs(delta) < DEAD_ZONE / 2).all()


def test_which_images_are_edits(shot, tmp_path):
    assert edit_paths(shot, {}) == {}
    write_image(tmp_path / "e.png", np.zeros((4, 4, 3), np.uint8))
    assert edit_paths(shot, {"cat": tmp_path / "e.png"}) == {"cat": tmp_path / "e.png"}
    with pytest.raises(NvdError, match=r"no layer bird.*dog, cat, background"):
        edit_paths(shot, {"bird": tmp_path / "e.png"})


def test_paint_in_the_folder_is_an_edit_and_a_missing_image_is_none(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path, frames=2)
    write_image(shot.edit_path("dog"), painted(synthetic.texture("dog"), 0))
    shot.edit_path("cat").unlink()
    assert edit_paths(shot, {}) == {"dog": shot.edit_path("dog")}
