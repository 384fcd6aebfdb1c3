"""Written movies have the right colours and frames; nothing half-written is left behind."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import decode_srgb, encode_srgb, read_image
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError

RATE = Fraction(30000, 1001)
PRIMARIES = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]


def stripes(height=64):
    return np.repeat(np.uint8([PRIMARIES]), 32, axis=1).repeat(height, axis=0)


def ramps(count=4, height=98, width=130):
    """Photograph-like content: smooth colours that move, and a little grain."""
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    for i in range(count):
        red, green = 120 + 80 * np.sin(x / 17 + i / 4), 120 + 80 * np.cos(y / 13 - i / 5)
        smooth = np.stack([red, green, 200 - red / 2], axis=-1)
        yield np.clip(smooth + random.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)


def write_all(out, frames, first=0, **options):
    height, width = frames[0].shape[:2]
    with open_writer(out, width, height, RATE, **options) as writer:
        for index, frame in enumerate(frames):
            writer.write(first + index, frame)


def psnr(frames, clip):
    scale = 65535 if clip.info.bit_depth == 16 else 255
    errors = [np.mean((a / 255 - b / scale) ** 2) for a, b in zip(frames, clip, strict=True)]
    return -10 * np.log10(np.mean(errors))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_saturated_colours_survive(tmp_path, suffix):
    # BT.601 read as BT.709, or the reverse, moves these colours by 20 levels and more.
    write_all(tmp_path / f"a{suffix}", [stripes()] * 3)
    for frame in open_clip(tmp_path / f"a{suffix}"):
        centres = frame[32, 16::32].astype(float) / (257 if frame.dtype == np.uint16 else 1)
        assert np.abs(centres - PRIMARIES).max() <= 3


@pytest.mark.parametrize(("suffix", "least"), [(".mp4", 38), (".mkv", 38), (".mov", 50)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_natural_content_reads_back(tmp_path, suffix, least, dtype):
    frames = list(ramps())
    given = {
        np.uint8: lambda frame: frame,
        np.uint16: lambda frame: frame.astype(np.uint16) * 257,
        np.float32: lambda frame: decode_srgb(frame / 255),
    }[dtype]
    path = tmp_path / f"a{suffix}"
    write_all(path, [given(frame) for frame in frames], first=7, encoding="linear")
    clip = open_clip(path)
    assert (clip.info.frames, clip.info.rate) == (4, RATE)
    assert psnr(frames, clip) > least
    scale = 257 if suffix == ".mov" else 1
    biases = [b.mean() / scale - a.mean() for a, b in zip(frames, clip, strict=True)]
    assert abs(np.mean(biases)) < 0.3


def test_movies_say_that_they_are_bt709(tmp_path):
    for name in ("a.mp4", "a.mkv", "a.mov"):
        write_all(tmp_path / name, list(ramps(2)))
        with av.open(str(tmp_path / name)) as container:
            context = container.streams.video[0].codec_context
            assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
            # FFmpeg's ProRes decoder calls all 4444 twelve bits deep
            assert context.pix_fmt == ("yuv444p12le" if name == "a.mov" else "yuv420p")


def test_odd_sizes_are_padded_only_where_needed(tmp_path):
    frames = list(ramps(2, 65, 97))
    write_all(tmp_path / "a.mp4", frames)
    write_all(tmp_path / "a.mov", frames)
    padded = next(iter(open_clip(tmp_path / "a.mp4")))
    assert padded.shape == (66, 98, 3)
    assert np.abs(padded[:65, :97].astype(int) - frames[0]).mean() < 4
    assert next(iter(open_clip(tmp_path / "a.mov"))).shape == (65, 97, 3)


def test_a_movie_appears_only_when_complete(tmp_path):
    frame = next(ramps())
    (tmp_path / "a.mp4").write_text("what was there")
    with (
        pytest.raises(KeyError, match="trouble"),
        open_writer(tmp_path / "a.mp4", 130, 98, RATE) as writer,
    ):
        writer.write(0, frame)
        raise KeyError("trouble")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "what was there"


def test_misuse_is_a_value_error(tmp_path):
    frame = next(ramps())
    with (
        pytest.raises(ValueError, match="in order: expected 1, got 2"),
        open_writer(tmp_path / "a.mp4", 130, 98, RATE) as writer,
    ):
        writer.write(0, frame)
        writer.write(2, frame)
    with pytest.raises(ValueError, match=r"expected \[98, 131"):
        open_writer(tmp_path / "%d.png", 131, 98, RATE).write(0, frame)
    with pytest.raises(ValueError, match="encoding"):
        open_writer(tmp_path / "%d.png", 131, 98, RATE, encoding="log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "dtype", "bit_depth"),
    [("%05d.png", np.uint8, 8), ("##.png", np.uint16, 16), ("%d.tif", np.uint16, 16)],
)
@pytest.mark.parametrize("channels", [3, 4])
def test_integers_are_written_exactly(tmp_path, name, dtype, bit_depth, channels):
    random = np.random.default_rng(5)
    frame = random.integers(0, np.iinfo(dtype).max + 1, (20, 31, channels), dtype)
    with open_writer(tmp_path / "new" / name, 31, 20, RATE, bit_depth) as writer:
        writer.write(12, frame)
    (path,) = (tmp_path / "new").iterdir()
    assert path.stem == ("00012" if "5" in name else "12")
    np.testing.assert_array_equal(read_image(path), frame)


def test_exr_is_linear_whatever_comes(tmp_path):
    encoded = np.linspace(0, 1, 20 * 31 * 3, dtype=np.float32).reshape(20, 31, 3)
    linear = decode_srgb(encoded)
    for number, (frame, encoding, bit_depth) in enumerate(
        [
            ((encoded * 65535 + 0.5).astype(np.uint16), "display", 16),
            (encoded, "display", 8),
            (linear.astype(np.float16), "linear", "half"),
            (linear, "linear", "float"),
        ]
    ):
        with open_writer(tmp_path / "%d.exr", 31, 20, RATE, bit_depth, encoding) as writer:
            writer.write(number, frame)
        back = read_image(tmp_path / f"{number}.exr")
        assert back.dtype == (np.float32 if bit_depth == "float" else np.float16)
        np.testing.assert_allclose(back, linear, rtol=2e-3, atol=2e-5)


def test_linear_frames_become_display_encoded_integers_and_alpha_does_not(tmp_path):
    frame = np.full((4, 4, 4), 0.25, np.float32)
    for name, bit_depth, largest in [("%d.png", 8, 255), ("%d.tif", "half", 65535)]:
        with open_writer(tmp_path / name, 4, 4, RATE, bit_depth, "linear") as writer:
            writer.write(0, frame)
        back = read_image(tmp_path / name.replace("%d", "0"))[0, 0] / largest
        np.testing.assert_allclose(back[:3], encode_srgb(frame[0, 0, :3]), atol=0.6 / largest)
        np.testing.assert_allclose(back[3], 0.25, atol=0.6 / largest)
    with open_writer(tmp_path / "#.jpg", 4, 4, RATE) as writer:
        writer.write(5, frame)
    assert read_image(tmp_path / "5.jpg").shape == (4, 4, 3)


@pytest.mark.parametrize("out", ["result", "a.gif", "a.ogv", "a.png", "a.%d.mp4", "a.%d.bmp", "."])
def test_other_outputs_are_refused_with_what_is_allowed(tmp_path, out):
    with pytest.raises(NvdError, match="cannot write to") as caught:
        open_writer(tmp_path / out, 8, 8, RATE)
    assert ".mp4" in caught.value.expected and ".exr" in caught.value.expected
    assert "frames/%05d.png" in caught.value.remedy


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("a.mp4", "%d.png"):
        with (
            pytest.raises(NvdError, match="cannot write") as caught,
            open_writer(tmp_path / "file" / name, 130, 98, RATE) as writer,
        ):
            writer.write(0, next(ramps()))
        assert "choose a folder" in caught.value.remedy


@pytest.mark.clips
def test_a_real_clip_reads_back(tmp_path, clips):
    frames = list(open_clip(clips / "bear" / "frames", frames=(0, 5)))
    write_all(tmp_path / "a.mp4", frames)
    assert psnr(frames, open_clip(tmp_path / "a.mp4")) > 38
