"""Clips from real movies and sequences: every codec, range and size, and what cannot be read."""

import errno
import os
from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.images import decode_srgb, encode_srgb, read_image, write_image
from nvd_core.media.resizing import resized
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress

T, H, W = 20, 96, 128


def moving_frames(count=T, height=H, width=W):
    """Smooth colours, different in every frame (frame i has blue 10 i), uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for i in range(count):
        red, green = 127 + 100 * np.sin(x / 20 + i / 5), 127 + 100 * np.cos(y / 15 + i / 7)
        yield np.stack([red, green, np.full_like(x, 10 * i)], axis=-1).astype(np.uint8)


def make_movie(path, codec="libx264", layout="yuv420p", rotation=0, steps=(1,), **options):
    """A movie of `moving_frames`; `steps` are the frames' lengths in turn, in 25ths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = W, H, layout
        if rotation:
            stream.set_display_rotation(rotation)
        time = 0
        for index, pixels in enumerate(moving_frames()):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=layout)
            frame.pts, frame.time_base = time, Fraction(1, 25)
            time += steps[index % len(steps)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_sequence(folder, frames, suffix=".png"):
    for index, frame in enumerate(frames):
        write_image(folder / f"{index:04d}{suffix}", frame)
    return folder


def assert_is_moving(clip, tolerance=5.0):
    """The frames of `clip` are those of `moving_frames`, none left out, doubled or exchanged."""
    expected = list(moving_frames())[clip.info.first_frame :][: len(clip)]
    scale = 257 if clip.info.bit_depth == 16 else 1
    count = 0
    for frame, original in zip(clip, expected, strict=True):
        assert np.abs(frame / scale - original).mean() < tolerance
        count += 1
    assert count == len(clip)


MOVIES = {
    "b-frames.mp4": {"g": "6", "bf": "3"},
    "open-gop-10-bit.mkv": {
        "codec": "libx265",
        "layout": "yuv420p10le",
        "x265-params": "keyint=6:min-keyint=6:open-gop=1:bframes=3:log-level=0",
    },
    "hidden-frames.webm": {
        "codec": "libvpx",
        "auto-alt-ref": "1",
        "lag-in-frames": "10",
        "deadline": "realtime",
        "b": "2M",
    },
    "no-times.avi": {"g": "6", "bf": "3"},
    "motion-jpeg.avi": {"codec": "mjpeg", "layout": "yuvj420p"},
    "mpeg2.mpg": {"codec": "mpeg2video", "b": "3M"},
    "alpha.mov": {"codec": "qtrle", "layout": "argb"},
    "uneven.mp4": {"steps": (1, 4, 2)},
}


@pytest.mark.parametrize("name", MOVIES)
def test_every_frame_of_a_movie_comes_once_and_in_order(tmp_path, name):
    path = make_movie(tmp_path / name, **MOVIES[name])
    clip = open_clip(path)
    assert (clip.info.frames, clip.info.width, clip.info.height) == (T, W, H)
    assert clip.info.bit_depth == (16 if "10-bit" in name else 8)
    assert_is_moving(clip)
    part = open_clip(path, frames=(13, 17))
    assert (len(part), part.info.first_frame, part.info.source_frames) == (5, 13, T)
    assert_is_moving(part)
    assert_is_moving(part)  # a clip can be read again


def test_rate(tmp_path):
    assert open_clip(make_movie(tmp_path / "a.mp4")).info.rate == 25
    assert open_clip(make_sequence(tmp_path / "s", moving_frames(2))).info.rate == 24


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_rotation_of_phones_is_applied(tmp_path, rotation, turns):
    clip = open_clip(make_movie(tmp_path / "a.mp4", rotation=rotation))
    expected = np.rot90(next(moving_frames()), turns)
    frame = next(iter(clip))
    assert (clip.info.height, clip.info.width) == expected.shape[:2] == frame.shape[:2]
    assert np.abs(frame.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    ("suffix", "dtype", "bit_depth", "encoding"),
    [
        (".png", np.uint8, 8, "display"),
        (".png", np.uint16, 16, "display"),
        (".exr", np.float16, "half", "linear"),
        (".exr", np.float32, "float", "linear"),
    ],
)
def test_sequences_are_untouched_and_imported_bit_for_bit(
    tmp_path, suffix, dtype, bit_depth, encoding
):
    frames = list(moving_frames(3, 18, 26))
    if encoding == "linear":
        frames = [(decode_srgb(frame / 255) * 1.5 - 0.1).astype(dtype) for frame in frames]
    else:
        frames = [frame.astype(dtype) * (257 if dtype == np.uint16 else 1) for frame in frames]
    clip = open_clip(make_sequence(tmp_path / "s", frames, suffix), height=18)
    assert (clip.info.bit_depth, clip.info.encoding) == (bit_depth, encoding)
    write_image(tmp_path / "shot/frames/00007.png", frames[0].astype(np.uint8))  # an older import's
    import_clip(clip, tmp_path / "shot", Progress())
    written = sorted((tmp_path / "shot" / "frames").iterdir())
    assert [path.name for path in written] == [f"{i:05d}{suffix}" for i in range(3)]
    array = np.load(tmp_path / "shot/work/frames.npy", mmap_mode="r")
    assert (array.dtype, array.shape) == (np.uint8, (3, 18, 26, 3))
    for index, (frame, original) in enumerate(zip(clip, frames, strict=True)):
        assert frame.dtype == dtype
        np.testing.assert_array_equal(frame, original)
        np.testing.assert_array_equal(read_image(written[index]), original)
        display = encode_srgb(original) if encoding == "linear" else original / np.iinfo(dtype).max
        assert np.abs(array[index] / 255 - np.clip(display, 0, 1)).max() < 0.51 / 255


def test_grey_becomes_rgb_and_alpha_goes(tmp_path):
    for channels in (1, 2, 4):
        frames = [np.full((20, 30, channels), 40 + i, np.uint8) for i in range(2)]
        frame = next(iter(open_clip(make_sequence(tmp_path / f"{channels}", frames))))
        np.testing.assert_array_equal(frame, np.full((20, 30, 3), 40))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_resizing_averages_areas(dtype):
    image = np.zeros((8, 8, 3), dtype)
    image[::2] = 100
    half = resized(image, 4, 4)
    assert half.dtype == dtype
    np.testing.assert_array_equal(half, np.full((4, 4, 3), 50))
    assert resized(image[..., :1], 16, 12).shape == (12, 16, 1)
    assert resized(image, 8, 8) is image


def test_height_keeps_proportions_and_an_even_width(tmp_path):
    make_sequence(tmp_path, [np.zeros((480, 854, 3), np.uint8)] * 2)
    info = open_clip(tmp_path, plate_height=432).info
    assert (info.width, info.height, info.analysis) == (768, 432, None)
    assert open_clip(tmp_path, height=432).info.looked_at == AnalysisSize(768, 432)
    assert (info.source_width, info.source_height) == (854, 480)
    with pytest.raises(NvdError, match="a height of 8") as caught:
        open_clip(tmp_path, height=8)
    assert "larger height" in caught.value.remedy


def test_ranges_that_are_not_there(tmp_path):
    make_sequence(tmp_path, moving_frames(4))
    for frames in [(2, 4), (-1, 2), (3, 1)]:
        with pytest.raises(NvdError, match=f"frames {frames[0]}-{frames[1]} are not in") as caught:
            open_clip(tmp_path, frames=frames)
        assert caught.value.expected == "a range within 0-3" and "from 0" in caught.value.remedy


def test_a_clip_needs_two_frames(tmp_path):
    make_sequence(tmp_path, moving_frames(2))
    for source, frames in [(tmp_path / "0000.png", None), (tmp_path, (1, 1))]:
        with pytest.raises(NvdError, match="a clip needs at least 2 frames") as caught:
            open_clip(source, frames=frames)
        assert "folder of frames" in caught.value.remedy


def test_movies_that_are_none(tmp_path):
    whole = make_movie(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "text.mp4").write_text("no movie")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("text.mp4", "cut.mp4"):
        with pytest.raises(NvdError, match=f"cannot read the movie .*{name}") as caught:
            open_clip(tmp_path / name)
        assert "copy or convert it again" in caught.value.remedy
    with pytest.raises(NvdError, match=r"no movie .*none\.mp4") as caught:
        open_clip(tmp_path / "none.mp4")
    assert "check the path" in caught.value.remedy


def test_a_damaged_frame_is_named_and_those_before_it_are_read(tmp_path):
    data = bytearray(make_movie(tmp_path / "a.mkv", g="6").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(1).bytes(300)
    (tmp_path / "a.mkv").write_bytes(data)
    read = 0
    with pytest.raises(NvdError, match=r"frame \d+ of .*a\.mkv cannot be decoded") as caught:
        for _ in open_clip(tmp_path / "a.mkv"):
            read += 1
    assert read > 3 and f"frame {read} " in caught.value.problem
    assert "--frames" in caught.value.remedy
    assert_is_moving(open_clip(tmp_path / "a.mkv", frames=(0, read - 1)))


def test_a_damaged_image_is_named(tmp_path):
    make_sequence(tmp_path, moving_frames(3))
    (tmp_path / "0001.png").write_bytes(b"")
    with pytest.raises(NvdError, match=r"cannot read the image .*0001\.png"):
        list(open_clip(tmp_path))


def test_a_cancelled_import_starts_again(tmp_path):
    clip = open_clip(make_sequence(tmp_path / "s", moving_frames(4, 20, 30)))

    class Stopping(Progress):
        def _show(self, done, psnr, preview):
            if done == 2:
                self.cancel()

    with pytest.raises(Cancelled):
        import_clip(clip, tmp_path / "shot", Stopping())
    assert list((tmp_path / "shot" / "work").iterdir()) == []
    import_clip(clip, tmp_path / "shot", Progress())
    assert len(list((tmp_path / "shot" / "frames").iterdir())) == 4
    assert np.load(tmp_path / "shot/work/frames.npy").shape == (4, 20, 30, 3)


def test_a_full_disk_is_an_error_not_a_crash(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    clip = open_clip(make_sequence(tmp_path / "s", moving_frames(2, 20, 30)))
    with pytest.raises(NvdError, match=r"cannot write .*frames\.npy") as caught:
        import_clip(clip, tmp_path / "shot", Progress())
    assert "No space left" in caught.value.found and "free some space" in caught.value.remedy


@pytest.mark.clips
def test_a_real_clip_is_imported(tmp_path, clips):
    clip = open_clip(clips / "bear" / "frames", frames=(10, 13), plate_height=432)
    import_clip(clip, tmp_path, Progress())
    array = np.load(tmp_path / "work" / "frames.npy", mmap_mode="r")
    assert array.shape == (4, 432, 768, 3)
    np.testing.assert_array_equal(array[3], read_image(tmp_path / "frames" / "00003.png"))
    source = read_image(clips / "bear" / "frames" / "00013.jpg")
    np.testing.assert_allclose(array[3].mean((0, 1)), source.mean((0, 1)), atol=0.5)
