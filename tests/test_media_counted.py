"""A movie's frames counted by time, as Blender counts them (`--count-at`)."""

from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.job import Job
from nvd_core.job_clip import clip_of
from nvd_core.media.clip import Reading, open_clip

UNEVEN = (0, 33, 67, 167, 184, 234, 300, 340)
JITTER = (0, 36, 64, 103, 130, 167, 203, 230)
"""milliseconds at which pictures show; both are of 30 a second, one nearly"""


def movie(path, times):
    """A lossless movie whose picture n is as grey as 20 n."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "bgr0"
        stream.codec_context.time_base = Fraction(1, 1000)
        for n, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), 20 * n, np.uint8), "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def shown_at(times, count, rate):
    """The picture that shows at each step, to the nearest millisecond."""
    steps = [round(Fraction(1000 * n) / rate) for n in range(count)]
    return [max(n for n, time in enumerate(times) if time <= step) for step in steps]


@pytest.mark.parametrize("times", [UNEVEN, JITTER])
@pytest.mark.parametrize("rate", [Fraction(30), Fraction(25)])
def test_frames_are_what_shows_at_each_step(tmp_path, times, rate):
    clip = open_clip(movie(tmp_path / "in.mkv", times), reading=Reading(count_at=rate))
    told = [int(frame[0, 0, 0]) // 20 for frame in clip]
    assert told == shown_at(times, len(told), rate)
    assert clip.info.rate == rate and any("variable" in text for text in clip.info.cautions)


def test_an_even_movie_stays_as_it_is(tmp_path):
    source = movie(tmp_path / "in.mkv", [round(n * 1000 / 30) for n in range(8)])
    plain, counted = (open_clip(source, reading=r) for r in (Reading(), Reading(count_at=30)))
    assert counted.info == plain.info and len(counted) == 8


def test_the_job_says_how_frames_were_counted(tmp_path):
    job = Job(source=str(movie(tmp_path / "in.mkv", UNEVEN)), count_at=(30, 1), frames=[3, 6])
    job.save(tmp_path)
    again = Job.load(tmp_path)
    told = [int(frame[0, 0, 0]) // 20 for frame in clip_of(again)]
    assert told == shown_at(UNEVEN, 7, 30)[3:]
