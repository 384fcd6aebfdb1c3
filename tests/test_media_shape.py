"""Shape: pixel aspect, overscan, and what is turned or mirrored, by what other programs show."""

import shutil
import struct
import subprocess
from fractions import Fraction

import av
import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.editing.camera_path import Key, camera_points
from nvd_core.editing.render import render
from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image, read_stored, write_image
from nvd_core.media.movies import Movie
from nvd_core.media.orientation import of_matrix, upright
from nvd_core.priors.mask_margin import doubt_edges
from nvd_core.priors.motion_fit import apply, fit_pair, normaliser
from nvd_core.runtime.errors import NvdError

FIXED = 65536
MATRICES = {
    1: (FIXED, 0, 0, FIXED),
    2: (-FIXED, 0, 0, FIXED),
    3: (-FIXED, 0, 0, -FIXED),
    4: (FIXED, 0, 0, -FIXED),
    5: (0, FIXED, FIXED, 0),
    6: (0, FIXED, -FIXED, 0),
    7: (0, -FIXED, -FIXED, 0),
    8: (0, -FIXED, FIXED, 0),
}
"""a, b, c, d of a display matrix, by EXIF's number"""


def matrix_of(orientation):
    a, b, c, d = MATRICES[orientation]
    return (a, b, 0, c, d, 0, 0, 0, 1 << 30)


def by_ffmpegs_own_filters(path):
    """The first frame as ffmpeg shows it, by the filters that its programs insert."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        matrix = struct.unpack("=9i", bytes(frame.side_data.get("DISPLAYMATRIX"))[:36])
        # fftools/ffmpeg_filter.c, insert_rotate: theta is av_display_rotation_get, negated
        theta = frame.rotation * -1 % 360
        graph = av.filter.Graph()
        last = graph.add_buffer(template=stream)
        names = []
        if abs(theta - 90) < 1:
            names = [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
        elif abs(theta - 180) < 1:
            names = [("hflip", "")] * (matrix[0] < 0) + [("vflip", "")] * (matrix[4] < 0)
        elif abs(theta - 270) < 1:
            names = [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
        elif matrix[4] < 0:
            names = [("vflip", "")]
        for name, arguments in [*names, ("buffersink", "")]:
            node = graph.add(name, arguments) if arguments else graph.add(name)
            last.link_to(node)
            last = node
        graph.configure()
        graph.push(frame)
        return graph.pull().to_ndarray(format="rgb24")


@pytest.mark.parametrize("orientation", MATRICES)
def test_display_matrices_show_what_ffmpeg_shows(tmp_path, media_files, orientation):
    frames = [media_files.integers(media_files.ramp(t), "uint8") for t in range(2)]
    path = media_files.write_movie(
        tmp_path / "a.mov",
        frames,
        "png",
        "rgb24",
        matrix=matrix_of(orientation),
        aspect=Fraction(3, 2),
    )
    shown = next(iter(open_clip(path)))
    np.testing.assert_array_equal(shown, upright(frames[0], orientation))
    if orientation != 1:  # which FFmpeg does not note
        np.testing.assert_array_equal(shown, by_ffmpegs_own_filters(path))
    shot = media_files.shot_of(path, tmp_path / "shot.nvd")
    sideways = orientation >= 5
    assert shot.manifest.clip.picture.aspect == (Fraction(2, 3) if sideways else Fraction(3, 2))
    render(shot, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0 and frame.side_data.get("DISPLAYMATRIX") is None
        assert container.streams.video[0].sample_aspect_ratio == shot.manifest.clip.picture.aspect
    assert np.abs(next(Movie(tmp_path / "out.mov").read(0, 1)) / 257.0 - shown).max() < 4


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg in the path")
@pytest.mark.parametrize("orientation", MATRICES)
def test_the_program_ffmpeg_shows_the_same(tmp_path, media_files, orientation):
    frames = [media_files.integers(media_files.ramp(t), "uint8") for t in range(2)]
    matrix = matrix_of(orientation)
    path = media_files.write_movie(tmp_path / "a.mov", frames, "png", "rgb24", matrix=matrix)
    command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", tmp_path / "shown.png"]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(next(iter(open_clip(path))), read_image(tmp_path / "shown.png"))


def test_an_odd_angle_is_refused(tmp_path, media_files):
    assert of_matrix((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)) is None
    frames = [media_files.integers(media_files.ramp(t), "uint8") for t in range(2)]
    matrix = (56756, 32768, 0, -32768, 56756, 0, 0, 0, 1 << 30)
    path = media_files.write_movie(tmp_path / "a.mov", frames, "png", "rgb24", matrix=matrix)
    with pytest.raises(NvdError, match="odd angle"):
        open_clip(path)


def write_with(path, pixels, **said):
    spec = oiio.ImageSpec(*pixels.shape[1::-1], pixels.shape[2], str(pixels.dtype))
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in said.items():
        spec.attribute(name, value)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(pixels)
    output.close()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_exif_shows_what_oiiotool_reorients(tmp_path, media_files, suffix, orientation):
    pixels = media_files.integers(media_files.ramp(), "uint8")
    for t in range(2):
        write_with(tmp_path / f"{t}{suffix}", pixels, Orientation=orientation)
    path = tmp_path / f"0{suffix}"
    theirs = oiio.ImageBufAlgo.reorient(oiio.ImageBuf(str(path))).get_pixels("uint8")
    np.testing.assert_array_equal(read_image(path), theirs)
    shot = media_files.shot_of(tmp_path / f"%d{suffix}", tmp_path / "shot.nvd")
    assert (shot.manifest.clip.width == media_files.HEIGHT) == (orientation >= 5)
    render(shot, tmp_path / "out" / "%d.png")
    out = tmp_path / "out" / "0.png"
    np.testing.assert_array_equal(read_image(out), theirs)
    assert media_files.spec_of(out).get_int_attribute("Orientation", 1) == 1
    np.testing.assert_array_equal(oiio.ImageBuf(str(out)).get_pixels("uint8"), theirs)


def test_pixel_aspect_of_exr(tmp_path, media_files):
    for t in range(2):
        channels = media_files.named(media_files.ramp(t))
        media_files.write_exr(tmp_path / "in" / f"{t}.exr", channels, PixelAspectRatio=2.0)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    assert shot.manifest.clip.picture.pixel_aspect == (2, 1)
    media_files.paint_dog(shot)
    for suffix in (".exr", ".png", ".tif"):
        render(shot, tmp_path / "out" / f"%d{suffix}")
        spec = media_files.spec_of(tmp_path / "out" / f"0{suffix}")
        assert spec.get_float_attribute("PixelAspectRatio", 1.0) == pytest.approx(2)
    for suffix in (".mp4", ".mov", ".mkv"):
        render(shot, tmp_path / f"out{suffix}")
        assert media_files.movie_tags(tmp_path / f"out{suffix}")["aspect"] == 2


def test_pixel_aspect_of_png_and_jpeg(tmp_path, media_files):
    pixels = media_files.integers(media_files.ramp(), "uint8")
    for t in range(2):
        shape = struct.pack(">IIB", 1000, 1500, 0)
        media_files.write_png(tmp_path / "in" / f"{t}.png", pixels, pHYs=shape)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    assert shot.manifest.clip.picture.pixel_aspect == (3, 2)
    media_files.paint_dog(shot)
    render(shot, tmp_path / "out" / "%d.png")
    assert media_files.chunks_of(tmp_path / "out" / "0.png")["pHYs"] == shape
    render(shot, tmp_path / "out" / "%d.jpg")
    spec = media_files.spec_of(tmp_path / "out" / "0.jpg")
    assert spec.get_float_attribute("PixelAspectRatio") == pytest.approx(1.5)
    render(shot, tmp_path / "out" / "%d.exr")
    assert media_files.spec_of(tmp_path / "out" / "0.exr").get_float_attribute(
        "PixelAspectRatio"
    ) == pytest.approx(1.5)
    again = open_clip(tmp_path / "out" / "%d.jpg")
    assert again.info.picture.pixel_aspect == (3, 2)


def test_frames_of_other_pixel_aspects_are_refused(tmp_path, media_files):
    for t in range(2):
        channels = media_files.named(media_files.ramp(t))
        media_files.write_exr(tmp_path / f"{t}.exr", channels, PixelAspectRatio=1.0 + t)
    with pytest.raises(NvdError, match="differs from the first") as caught:
        list(open_clip(tmp_path))
    assert "pixel aspect" in caught.value.expected


WINDOWS = {
    "overscan": (-8, -6, 0, 0, 32, 20),
    "overscan of a display elsewhere": (92, 44, 100, 50, 32, 20),
    "a part": (10, 8, 0, 0, 100, 60),
    "partly outside": (-8, 6, 0, 0, 60, 30),
}


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", WINDOWS)
def test_overscan_comes_back_whole(tmp_path, media_files, name, alpha):
    windows = WINDOWS[name]
    sources = []
    for t in range(2):
        image = media_files.ramp(t, alpha=alpha)
        if alpha:
            image[..., :3] *= image[..., 3:]
        # each frame with a window of its own, as renderers crop them
        own = (windows[0] + t, *windows[1:])
        path = tmp_path / "in" / f"{t}.exr"
        sources.append(media_files.write_exr(path, media_files.named(image), windows=own))
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    clip = shot.manifest.clip
    assert (clip.width, clip.height) == windows[4:]
    assert any("data window" in caution for caution in shot.manifest.cautions)
    buffer = oiio.ImageBuf(str(sources[0]))
    shown = oiio.ImageBufAlgo.crop(buffer, buffer.roi_full).get_pixels("float")
    np.testing.assert_array_equal(read_stored(shot.frame_path(0)).pixels, shown)
    render(shot, tmp_path / "out" / "%d.exr")
    for source in sources:
        compare_whole(media_files, source, tmp_path / "out" / source.name)
    media_files.paint_dog(shot)
    render(shot, tmp_path / "painted" / "%d.exr")
    before = oiio.ImageBuf(str(sources[0]))
    after = oiio.ImageBuf(str(tmp_path / "painted" / "0.exr"))
    assert after.roi_full == before.roi_full
    union = oiio.union(before.roi, after.roi)
    assert after.roi == union  # nothing is lost; it grows where paint is outside of it
    difference = after.get_pixels("float", union) != before.get_pixels("float", union)
    assert 50 < difference.any(2).sum() < 1500
    display = before.roi_full
    inside = np.zeros(difference.shape[:2], bool)
    inside[
        max(display.ybegin - union.ybegin, 0) : display.yend - union.ybegin,
        max(display.xbegin - union.xbegin, 0) : display.xend - union.xbegin,
    ] = True
    assert not difference[~inside].any()


def compare_whole(media_files, source, out):
    theirs, ours = media_files.spec_of(source), media_files.spec_of(out)
    for key in ("x", "y", "width", "height", "full_x", "full_y", "full_width", "full_height"):
        assert getattr(ours, key) == getattr(theirs, key), key
    own = media_files.read_channels(out)
    for name, values in media_files.read_channels(source).items():
        np.testing.assert_array_equal(own[name], values)


def test_another_plate_height_keeps_the_display_window_only_and_says_so(tmp_path, media_files):
    for t in range(2):
        channels = media_files.named(media_files.ramp(t))
        windows = (-8, -6, 0, 0, 32, 20)
        media_files.write_exr(tmp_path / "in" / f"{t}.exr", channels, windows=windows)
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd", plate_height=16)
    assert any("only the display window" in caution for caution in shot.manifest.cautions)
    render(shot, tmp_path / "out" / "%d.exr")
    spec = media_files.spec_of(tmp_path / "out" / "0.exr")
    assert (spec.width, spec.height, spec.x, spec.full_width) == (26, 16, 0, 26)


def test_an_old_png_of_ours_is_copied_still(tmp_path, media_files):
    """Files that this program wrote have all chunks that OpenImageIO adds."""
    pixels = media_files.integers(media_files.ramp(), "uint8")
    for t in range(2):
        write_image(tmp_path / "in" / f"{t}.png", pixels)
    clip = open_clip(tmp_path / "in")
    assert clip.file_of(1) == tmp_path / "in" / "1.png"


def test_a_mask_margin_is_as_wide_as_high_where_pixels_are_not_square(tmp_path):
    mask = np.zeros((1, 1, 80, 80), np.uint8)
    mask[0, 0, 30:50, 30:50] = 255
    np.save(tmp_path / "masks.npy", mask)
    np.save(tmp_path / "mask_weight.npy", np.full(mask.shape, 255, np.uint8))
    doubt_edges(tmp_path, 8, 2.0)
    doubted = np.load(tmp_path / "mask_weight.npy")[0, 0] == 0
    assert doubted[:30, 40].sum() == 8 and doubted[40, :30].sum() == 4


def test_a_turn_of_wide_pixels_is_a_similarity():
    """Points turned in square pixels, looked at through pixels twice as wide."""
    norm = normaliser(48, 40, 2.0)
    square = np.random.default_rng(0).random((60, 2)) * [80, 48]
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (square - [40, 24]) @ turn.T + [40, 24]
    start, end = (apply(norm, points / [2, 1]) for points in (square, turned))
    fitted = fit_pair("similarity", start, end, 1e-3)
    np.testing.assert_allclose(apply(fitted, start), end, atol=1e-6)


def test_a_camera_turns_in_square_pixels():
    places = camera_points(Key(0, rotation=90.0), 41, 41, 41, 41, 2.0)
    # ten pixels down are five pixels to the left, as high as wide
    np.testing.assert_allclose(places[30, 20] - places[20, 20], [-5, 0], atol=1e-4)
    np.testing.assert_allclose(places[20, 25] - places[20, 20], [0, 10], atol=1e-4)
