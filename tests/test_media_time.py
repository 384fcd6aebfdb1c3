"""Times: variable rates are said, sequences take a rate, fields become whole frames."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.cli.arguments import frame_rate
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.images import write_image

T, H, W = 10, 64, 96


def plain():
    return [np.full((H, W, 3), 20 * t, np.uint8) for t in range(T)]


def write_movie(path, steps=(1,), codec="libx264", pictures=None, interlaced=False, **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        if interlaced:
            stream.codec_context.flags |= (1 << 18) | (1 << 29)  # interlaced DCT and motion
        time = 0
        for t, pixels in enumerate(pictures or plain()):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            time += steps[t % len(steps)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def about_rate(clip):
    return [caution for caution in clip.info.cautions if "rate" in caution]


def test_a_variable_rate_is_said(tmp_path):
    clip = open_clip(write_movie(tmp_path / "a.mp4", steps=(1, 4, 2)))
    (caution,) = about_rate(clip)
    assert "from 0.04 to 0.16 seconds" in caution and "constant" in caution
    assert not about_rate(open_clip(write_movie(tmp_path / "b.mp4")))
    assert not about_rate(open_clip(write_movie(tmp_path / "c.mkv")))  # rounds to milliseconds


def test_images_without_a_rate_take_one(tmp_path):
    for t in range(2):
        write_image(tmp_path / f"{t}.png", np.zeros((H, W, 3), np.uint8))
    clip = open_clip(tmp_path)
    assert clip.info.rate == 24 and "24 frames" in clip.notes[0]
    assert not about_rate(clip)  # nothing to be said again at every rendering
    asked = open_clip(tmp_path, reading=Reading(rate=Fraction(30000, 1001)))
    assert asked.info.rate == Fraction(30000, 1001) and not asked.notes


@pytest.mark.parametrize(
    ("text", "rate"),
    [("25", 25), ("23.976", (24000, 1001)), ("29.97", (30000, 1001)), ("30000/1001", (30000, 1001)),
     ("12.5", (25, 2))],
)  # fmt: skip
def test_rates_as_people_write_them(text, rate):
    assert frame_rate(text) == (Fraction(*rate) if isinstance(rate, tuple) else rate)


def fields():
    """A bar that moves by four pixels between the two fields of a frame."""

    def at(x):
        picture = np.full((H, W, 3), 40, np.uint8)
        picture[:, x : x + 16] = 200
        return picture

    for t in range(T):
        picture = at(8 + 8 * t % 64)
        picture[1::2] = at(12 + 8 * t % 64)[1::2]
        yield picture


def combs(frame):
    """How far rows differ from those above and below, where these agree."""
    rows = frame[..., 1].astype(int)
    between = np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:])
    return between[np.abs(rows[:-2] - rows[2:]) < 20].mean()


def test_interlaced_is_said_or_made_whole(tmp_path):
    path = write_movie(
        tmp_path / "a.mpg", codec="mpeg2video", pictures=list(fields()), interlaced=True, b="8M"
    )
    plain = open_clip(path)
    assert any("interlaced" in caution for caution in plain.info.cautions)
    whole = open_clip(path, reading=Reading(deinterlace=True))
    assert not any("interlaced" in caution for caution in whole.info.cautions)
    before, after = list(plain), list(whole)
    assert len(before) == len(after) == T
    for one, other in zip(before[1:-1], after[1:-1], strict=True):
        assert combs(other) < 0.5 * combs(one)
        kept = [np.abs(one[n::2].astype(int) - other[n::2]).mean() for n in (0, 1)]
        assert min(kept) < 3  # the field that comes first, which is the lower one here
    part = open_clip(path, (4, 6), reading=Reading(deinterlace=True))
    for one, other in zip(part, after[4:7], strict=True):
        np.testing.assert_array_equal(one, other)
