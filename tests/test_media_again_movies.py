"""Movies whose files name another rate than their pictures have."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.editing.render import render
from nvd_core.media.clip import open_clip


def recorded(path, times, unit, rate, codec="libvpx-vp9", layout="yuv420p", size=(48, 64)):
    """A movie with a picture at each of `times`, in this `unit`, that says it has this `rate`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt, stream.time_base = layout, unit
        stream.codec_context.time_base = unit
        for t, time in enumerate(times):
            pixels = np.full((*size, 3), 20 + 7 * t, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=layout)
            frame.pts, frame.time_base = time, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("rate", "lines", "layout", "aspect"),
    [
        (Fraction(25), 576, "yuv420p", Fraction(16, 15)),
        (Fraction(30000, 1001), 480, "yuv411p", Fraction(8, 9)),
    ],
)
def test_dv_has_the_rate_of_its_pictures(tmp_path, media_files, rate, lines, layout, aspect):
    path = recorded(
        tmp_path / "a.dv", range(4), 1 / rate, rate, "dvvideo", layout, size=(lines, 720)
    )
    info = open_clip(path).info
    assert info.rate == rate and info.picture.aspect == aspect
    assert not any("variable" in text for text in info.cautions)
    assert info.timeline is None or info.timeline.unit is None


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(12)])
def test_what_browsers_record_has_the_rate_of_its_pictures(tmp_path, media_files, rate):
    unit = Fraction(1, 1000)  # and 1000 pictures a second, as their files say
    times = [round(t * 1000 / rate) for t in range(30)]
    path = recorded(tmp_path / "a.webm", times, unit, 1000)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 1000
    info = open_clip(path).info
    assert info.rate == rate and not info.cautions
    render(media_files.shot_of(path, tmp_path / "shot.nvd"), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == rate


def test_pictures_of_many_lengths_have_the_rate_that_leads_from_the_first_to_the_last(tmp_path):
    times = [0, 30, 80, 100, 160, 200, 210, 280, 330, 360, 400]
    path = recorded(tmp_path / "a.webm", times, Fraction(1, 1000), 1000)
    info = open_clip(path).info
    assert info.rate == 25  # 10 pictures in 0.4 seconds, and not 1000 a second
    assert info.timeline.at[:3] == (0, 30, 80)
    assert any("variable" in text for text in info.cautions)
