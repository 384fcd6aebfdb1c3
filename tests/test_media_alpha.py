"""Alpha: an unedited render gives it back, paint goes under it, and a layer stands alone."""

import av
import numpy as np
import pytest

from nvd_core.editing.render import render
from nvd_core.media.alpha import premultiplied, unpremultiplied, with_alpha
from nvd_core.media.clip import open_clip
from nvd_core.media.images import decode_srgb, read_image, read_stored
from nvd_core.media.movies import Movie
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self):
        super().__init__()
        self.cautions = []

    def caution(self, text):
        self.cautions.append(text)


def premultiplied_ramp(media_files, t=0):
    """float64 [H, W, 4]: colours of up to 3 times their alpha, and light where it is 0."""
    image = media_files.ramp(t, alpha=True)
    image[..., :3] *= image[..., 3:] * 3
    image[:4, :4] = (0.2, 0.4, 0.1, 0.0)
    return image


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_premultiplied_exr_comes_back_bit_for_bit(tmp_path, media_files, dtype):
    sources = []
    for t in range(2):
        channels = media_files.named(premultiplied_ramp(media_files, t), dtype=dtype)
        sources.append(media_files.write_exr(tmp_path / "in" / f"{t:04d}.exr", channels))
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    assert shot.manifest.clip.picture.alpha == "premultiplied"
    render(shot, tmp_path / "out" / "%04d.exr")
    assert_same_channels(media_files, sources, tmp_path / "out")
    media_files.paint_dog(shot)
    render(shot, tmp_path / "painted" / "%04d.exr")
    before = media_files.read_channels(sources[0])
    after = media_files.read_channels(tmp_path / "painted" / "0000.exr")
    np.testing.assert_array_equal(after["A"], before["A"])
    dog = after["R"] != before["R"]
    assert 100 < dog.sum() < 800  # the dog alone, and nothing of what is transparent
    assert not dog[before["A"] == 0].any()
    # the paint lies under the alpha: straight, it is the texture's change
    middle = np.s_[16, 24]
    straight = after["R"][middle] / after["A"][middle]
    was = before["R"][middle] / before["A"][middle]
    assert straight != pytest.approx(was, abs=0.05)


def assert_same_channels(media_files, sources, out):
    for source in sources:
        theirs = media_files.read_channels(source)
        ours = media_files.read_channels(out / source.name)
        assert list(ours) == list(theirs)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values, err_msg=name)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_straight_png_comes_back_bit_for_bit(tmp_path, media_files, dtype):
    sources = []
    for t in range(2):
        image = media_files.integers(media_files.ramp(t, alpha=True), dtype)
        sources.append(media_files.write_png(tmp_path / "in" / f"{t:04d}.png", image))
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    media_files.paint_dog(shot)
    render(shot, tmp_path / "painted" / "%04d.png")
    shot.edit_path("dog").unlink()
    render(shot, tmp_path / "out" / "%04d.png")
    for source in sources:
        theirs = read_image(source)
        np.testing.assert_array_equal(read_image(tmp_path / "out" / source.name), theirs)
        painted = read_image(tmp_path / "painted" / source.name)
        np.testing.assert_array_equal(painted[..., 3], theirs[..., 3])
        changed = (painted != theirs).any(2)
        assert 100 < changed.sum() < 800
    # the same picture premultiplied
    render(shot, tmp_path / "exr" / "%04d.exr", bit_depth="float")
    stored = read_stored(tmp_path / "exr" / "0000.exr").pixels
    scale = np.iinfo(dtype).max
    theirs = read_image(sources[0]) / scale
    np.testing.assert_allclose(stored[..., 3], theirs[..., 3], atol=1e-6)
    expected = decode_srgb(theirs[..., :3]) * theirs[..., 3:]
    np.testing.assert_allclose(stored[..., :3], expected, atol=1e-5)


def test_grey_with_alpha_becomes_rgba(tmp_path, media_files):
    image = media_files.integers(media_files.ramp(alpha=True)[..., [0, 3]], "uint8")
    for t in range(2):
        media_files.write_png(tmp_path / "in" / f"{t}.png", image)
    render(media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd"), tmp_path / "%d.png")
    np.testing.assert_array_equal(read_image(tmp_path / "0.png"), image[..., [0, 0, 0, 1]])


def test_tiff_with_associated_alpha(tmp_path, media_files):
    import OpenImageIO as oiio

    image = media_files.ramp(alpha=True)
    image[..., :3] *= image[..., 3:]
    image = media_files.integers(image, "uint8")
    for t in range(2):
        spec = oiio.ImageSpec(*image.shape[1::-1], 4, "uint8")
        output = oiio.ImageOutput.create(str(tmp_path / f"{t}.tif"))
        assert output.open(str(tmp_path / f"{t}.tif"), spec) and output.write_image(image)
        output.close()
    shot = media_files.shot_of(tmp_path / "%d.tif", tmp_path / "shot.nvd")
    render(shot, tmp_path / "out" / "%d.tif")
    back = read_image(tmp_path / "out" / "0.tif")
    np.testing.assert_array_equal(back[..., 3], image[..., 3])
    again = premultiplied(back).astype(int)
    assert np.abs(again - image).max() <= 1  # a straight 8-bit colour, multiplied again


def test_frames_of_a_clip_with_alpha_and_without(tmp_path, media_files):
    opaque = media_files.integers(media_files.ramp(), "uint8")
    rgba = media_files.integers(media_files.ramp(alpha=True), "uint8")
    media_files.write_png(tmp_path / "0.png", rgba)
    media_files.write_png(tmp_path / "1.png", opaque)
    shapes = [frame.shape[2] for frame in open_clip(tmp_path).stored()]
    assert shapes == [4, 4]
    media_files.write_png(tmp_path / "0.png", opaque)
    media_files.write_png(tmp_path / "1.png", rgba)
    with pytest.raises(NvdError, match=r"frame 1 .* has an alpha that is not opaque"):
        list(open_clip(tmp_path))


MOVIES = {
    ".mov": ("prores_ks", "yuva444p10le", {"profile": "4444", "alpha_bits": "16"}, 1.5 / 255),
    ".webm": ("libvpx-vp9", "yuva420p", {"crf": "10", "b": "0"}, 12 / 255),
}


@pytest.mark.parametrize("suffix", MOVIES)
def test_alpha_of_movies_comes_back(tmp_path, media_files, suffix):
    codec, layout, options, tolerance = MOVIES[suffix]
    path = tmp_path / f"in{suffix}"
    frames = [media_files.integers(media_files.ramp(t, alpha=True), "uint16") for t in range(3)]
    if suffix == ".webm":
        frames = [(frame >> 8).astype(np.uint8) for frame in frames]
    media_files.write_movie(path, frames, codec, layout, tags=(9, 16, 9, 1), **options)
    theirs = next(Movie(path).read(0, 1))
    assert theirs.shape[2] == 4
    scale = np.iinfo(theirs.dtype).max
    own = frames[0] / np.iinfo(frames[0].dtype).max
    assert np.abs(theirs[..., 3] / scale - own[..., 3]).max() < tolerance
    shot = media_files.shot_of(path, tmp_path / "shot.nvd")
    assert shot.manifest.clip.picture.alpha == "straight"
    assert shot.manifest.clip.picture.movie == (9, 16, 9, 1)
    heard = Heard()
    render(shot, tmp_path / f"out{suffix}", progress=heard)
    assert heard.cautions == [] if suffix == ".mov" else "8 bits" in heard.cautions.pop()
    ours = next(Movie(tmp_path / f"out{suffix}").read(0, 1))
    assert ours.shape == theirs.shape
    difference = np.abs(ours.astype(float) - theirs) / scale
    assert difference[..., 3].max() < tolerance
    assert difference[..., :3].max() < tolerance
    render(shot, tmp_path / "out.mp4", progress=heard)
    assert ["no alpha" in text for text in heard.cautions] == [True, False]  # and 8 bits for PQ


def test_a_layer_alone(tmp_path, media_files):
    for t in range(2):
        image = media_files.integers(media_files.ramp(t), "uint16")
        media_files.write_png(tmp_path / "in" / f"{t}.png", image)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    media_files.paint_dog(shot, (200, 100, 50))
    layers = {}
    for name in ("dog", "background"):
        render(shot, tmp_path / name / "%d.png", layer=name)
        layers[name] = read_image(tmp_path / name / "0.png") / 65535
    assert layers["dog"].shape[2] == 4
    alphas = layers["dog"][..., 3] + layers["background"][..., 3]
    np.testing.assert_allclose(alphas, 1, atol=2 / 65535)
    seen = layers["dog"][..., 3] > 0
    assert 100 < seen.sum() < 800
    np.testing.assert_allclose(layers["dog"][seen][:, 0], 200 / 255, atol=1e-4)
    np.testing.assert_array_equal(layers["dog"][~seen], 0)
    # the layers over one another are the full picture
    render(shot, tmp_path / "full" / "%d.png", mode="full")
    full = read_image(tmp_path / "full" / "0.png") / 65535
    summed = sum(layer[..., :3] * layer[..., 3:] for layer in layers.values())
    np.testing.assert_allclose(summed, full, atol=3 / 65535)
    render(shot, tmp_path / "exr" / "%d.exr", layer="dog", bit_depth="float")
    stored = read_stored(tmp_path / "exr" / "0.exr")
    assert stored.alpha == "premultiplied"
    expected = premultiplied(
        np.concatenate([decode_srgb(layers["dog"][..., :3]), layers["dog"][..., 3:]], 2)
    )
    np.testing.assert_allclose(stored.pixels, expected, atol=1e-4)
    render(shot, tmp_path / "dog.mov", layer="dog")
    with av.open(str(tmp_path / "dog.mov")) as movie:
        assert "a444" in next(movie.decode(video=0)).format.name
    decoded = next(Movie(tmp_path / "dog.mov").read(0, 1)) / 65535
    assert np.abs(decoded[..., 3] - layers["dog"][..., 3]).max() < 2 / 255
    with pytest.raises(NvdError, match="no layer cat"):
        render(shot, tmp_path / "cat" / "%d.png", layer="cat")


def test_a_layer_of_a_linear_clip_with_alpha(tmp_path, media_files):
    for t in range(2):
        channels = media_files.named(premultiplied_ramp(media_files, t), dtype="float32")
        media_files.write_exr(tmp_path / "in" / f"{t}.exr", channels)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    for name in ("dog", "background"):
        render(shot, tmp_path / name / "%d.exr", layer=name)
    alphas = [media_files.read_channels(tmp_path / n / "0.exr")["A"] for n in ("dog", "background")]
    theirs = media_files.read_channels(tmp_path / "in" / "0.exr")["A"]
    np.testing.assert_allclose(sum(alphas), theirs, atol=1e-5)


def test_conversions_are_inverse():
    random = np.random.default_rng(2)
    straight = random.integers(0, 256, (9, 9, 4), np.uint8)
    straight[..., 3] = np.maximum(straight[..., 3], 1)
    stored = premultiplied(straight)
    np.testing.assert_array_equal(premultiplied(unpremultiplied(stored)), stored)
    assert with_alpha(straight[..., :3], "none", "straight")[..., 3].min() == 255
