"""Images: every depth comes back as it was written, alpha stays straight, errors say what to do."""

import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.media.images import (
    decode_srgb,
    encode_srgb,
    image_rate,
    read_image,
    to_float,
    to_integers,
    write_image,
)
from nvd_core.runtime.errors import NvdError


def noise(dtype, channels, height=19, width=27):
    random = np.random.default_rng(7)
    if np.dtype(dtype).kind == "u":
        return random.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)
    return (random.random((height, width, channels)) * 4 - 0.5).astype(dtype)


def write_with_oiio(path, pixels, spec):
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(pixels), output.geterror()
    output.close()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", "uint8"), (".png", "uint16"), (".tif", "uint8"), (".tif", "uint16")],
)
def test_integers_round_trip_exactly_with_colour_under_alpha_0(tmp_path, suffix, dtype, channels):
    image = noise(dtype, channels)
    if channels in (2, 4):
        image[:8, :, -1] = 0
    write_image(tmp_path / f"a{suffix}", image)
    back = read_image(tmp_path / f"a{suffix}")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_exr_round_trips_exactly(tmp_path, dtype, channels):
    image = noise(dtype, channels)
    write_image(tmp_path / "a.exr", image)
    back = read_image(tmp_path / "a.exr")
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


def test_exr_alpha_is_premultiplied_in_the_file_and_straight_in_memory(tmp_path):
    image = noise("float32", 4)
    image[..., 3] = np.linspace(0.1, 1, 27)
    write_image(tmp_path / "a.exr", image)
    stored = oiio.ImageInput.open(str(tmp_path / "a.exr")).read_image("float")
    np.testing.assert_allclose(stored[..., :3], image[..., :3] * image[..., 3:], rtol=1e-6)
    np.testing.assert_allclose(read_image(tmp_path / "a.exr"), image, rtol=1e-5)


def test_jpeg_is_close_and_compression_can_be_chosen(tmp_path):
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None] * 3, (64, 48, 3))
    write_image(tmp_path / "a.jpg", ramp)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - ramp).max() <= 3
    write_image(tmp_path / "b.exr", noise("float16", 3), compression="pxr24")
    spec = oiio.ImageInput.open(str(tmp_path / "b.exr")).spec()
    assert spec.getattribute("compression") == "pxr24"


def test_ten_bits_come_scaled_to_sixteen(tmp_path):
    spec = oiio.ImageSpec(27, 19, 3, "uint16")
    spec.attribute("oiio:BitsPerSample", 10)
    image = noise("uint16", 3)
    write_with_oiio(tmp_path / "a.dpx", image, spec)
    back = read_image(tmp_path / "a.dpx")
    assert back.dtype == np.uint16
    assert np.abs(back.astype(int) - image).max() <= 65535 / 1023


def test_a_cropped_exr_comes_at_its_display_window(tmp_path):
    spec = oiio.ImageSpec(10, 6, 3, "half")
    spec.x, spec.y = 5, 4
    spec.full_x, spec.full_y, spec.full_width, spec.full_height = 0, 0, 30, 8
    write_with_oiio(tmp_path / "a.exr", np.ones((6, 10, 3), np.float16), spec)
    back = read_image(tmp_path / "a.exr")
    assert back.shape == (8, 30, 3)
    assert back[4:8, 5:15].min() == 1
    assert back.sum() == 4 * 10 * 3


def test_many_channels_give_the_first_rgba(tmp_path):
    spec = oiio.ImageSpec(4, 4, 5, "float")
    spec.channelnames = ("Depth.Z", "Combined.R", "Combined.G", "Combined.B", "Mist.Z")
    write_with_oiio(tmp_path / "a.exr", np.tile(np.float32([9, 1, 2, 3, 8]), (4, 4, 1)), spec)
    np.testing.assert_array_equal(read_image(tmp_path / "a.exr")[0, 0], [1, 2, 3])


def test_channels_without_colour_are_refused(tmp_path):
    spec = oiio.ImageSpec(4, 4, 5, "float")
    spec.channelnames = tuple("abcde")
    write_with_oiio(tmp_path / "a.exr", np.zeros((4, 4, 5), np.float32), spec)
    with pytest.raises(NvdError, match="among the channels") as caught:
        read_image(tmp_path / "a.exr")
    assert "R, G, B" in caught.value.remedy


def test_rate_of_the_file(tmp_path):
    spec = oiio.ImageSpec(4, 4, 3, "half")
    spec.attribute("FramesPerSecond", oiio.TypeDesc("rational"), (30000, 1001))
    write_with_oiio(tmp_path / "a.exr", np.zeros((4, 4, 3), np.float16), spec)
    assert image_rate(tmp_path / "a.exr") * 1001 == 30000
    write_image(tmp_path / "a.png", noise("uint8", 3))
    assert image_rate(tmp_path / "a.png") is None


def test_missing_and_damaged_images(tmp_path):
    with pytest.raises(NvdError, match=r"no image .*none\.png") as caught:
        read_image(tmp_path / "none.png")
    assert "check the path" in caught.value.remedy
    (tmp_path / "text.png").write_text("hello")
    write_image(tmp_path / "whole.png", noise("uint8", 3))
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    for name in ("text.png", "half.png"):
        with pytest.raises(NvdError, match=f"cannot read the image .*{name}") as caught:
            read_image(tmp_path / name)
        assert "copy or render it again" in caught.value.remedy


def test_what_a_format_cannot_hold_is_a_value_error(tmp_path):
    for name, image in [
        ("a.png", noise("float32", 3)),
        ("a.exr", noise("uint8", 3)),
        ("a.jpg", noise("uint8", 4)),
        ("a.xyz", noise("uint8", 3)),
        ("a.png", noise("uint8", 5)),
    ]:
        with pytest.raises(ValueError, match=r"takes|expected a suffix"):
            write_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NvdError, match="cannot write") as caught:
        write_image(tmp_path / "file" / "a.png", noise("uint8", 3))
    assert "choose a folder" in caught.value.remedy


def test_srgb_curve_is_its_own_inverse_beyond_0_and_1():
    values = np.linspace(-2, 20, 20001, dtype=np.float32)
    np.testing.assert_allclose(decode_srgb(encode_srgb(values)), values, rtol=2e-6, atol=1e-7)
    assert encode_srgb(values).dtype == np.float32
    assert np.all(np.diff(encode_srgb(values)) > 0)
    np.testing.assert_allclose(encode_srgb(np.float32(0.18)), 0.46136, atol=1e-5)
    np.testing.assert_allclose(encode_srgb(np.float32(-0.1)), -1.292, rtol=1e-6)


def test_integers_to_float_and_back():
    for dtype in (np.uint8, np.uint16):
        values = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
        assert to_float(values).max() == 1
        np.testing.assert_array_equal(to_integers(to_float(values), dtype), values)
    edges = to_integers(np.float32([-1, 2, np.nan]), np.uint8)
    np.testing.assert_array_equal(edges, [0, 255, 0])
