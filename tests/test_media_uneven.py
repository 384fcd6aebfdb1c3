"""A movie of a variable frame rate keeps its times, or is conformed to a rate that is named."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.editing.render import render
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import read_manifest

STEPS = (33, 33, 100, 17, 50, 300, 40, 27)
"""milliseconds that each picture shows"""
TIMES = [sum(STEPS[:n]) for n in range(len(STEPS))]


def movie(path, media_files, steps=STEPS, codec="libx264", layout="yuv420p"):
    """A movie of one brightness a picture, which show so many milliseconds each."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, layout
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        at, durations = 0, {}
        for t, step in enumerate(steps):
            pixels = np.full((32, 48, 3), 20 + 25 * t, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            durations[at] = step
            at += step
            for packet in stream.encode(frame):
                packet.duration = durations[packet.pts]
                container.mux(packet)
        for packet in stream.encode():
            packet.duration = durations[packet.pts]
            container.mux(packet)
    return path


def shown(path):
    """Milliseconds at which frames show, and when the last one ends, by FFmpeg."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
    base = 1000 * packets[0].time_base
    times = sorted(float(p.pts * base) for p in packets)
    last = max(packets, key=lambda p: p.pts)
    return [time - times[0] for time in times], float((last.pts + last.duration) * base) - times[0]


@pytest.mark.parametrize(
    ("out", "codec"),
    [
        ("a.mp4", None),
        ("a.mov", None),
        ("a.mkv", None),
        ("a.webm", None),
        ("a.mkv", "ffv1"),
        ("a.mov", "h264"),
    ],
)
@pytest.mark.parametrize("source", ["in.mp4", "in.mkv"])
def test_a_rendered_movie_has_the_sources_times(tmp_path, media_files, source, out, codec):
    shot = media_files.shot_of(movie(tmp_path / source, media_files), tmp_path / "shot.nvd")
    render(shot, tmp_path / out, codec=codec)
    times, end = shown(tmp_path / out)
    assert np.allclose(times, TIMES, atol=1)
    assert end == pytest.approx(sum(STEPS), abs=1.5) or out.endswith((".mkv", ".webm"))
    render(shot, tmp_path / out, codec=codec, frames=(2, 5))
    times, _ = shown(tmp_path / out)
    assert np.allclose(times, [time - TIMES[2] for time in TIMES[2:6]], atol=1)


def test_the_times_stand_in_the_manifest_and_in_the_job(tmp_path, media_files):
    source = movie(tmp_path / "in.mp4", media_files)
    clip = open_clip(source, frames=(1, 4))
    assert any("0.017 to 0.3 seconds" in text for text in clip.info.cautions)
    again = ClipInfo.from_json(json.loads(json.dumps(clip.info.to_json())))
    assert again == clip.info
    import_clip(clip, tmp_path / "job", Progress())
    shot = media_files.shot_of(source, tmp_path / "shot.nvd", frames=(1, 4))
    line = read_manifest(shot.folder).clip.timeline
    seconds = [float(Fraction(*line.unit) * time) for time in line.at]
    assert np.allclose(seconds, [0, 0.033, 0.133, 0.15, 0.2], atol=1e-3)


@pytest.mark.parametrize("at", [[0, 1], [0, 2, 1, 3, 4], [1, 2, 3, 4, 5], None])
def test_times_that_cannot_be_are_refused(tmp_path, media_files, at):
    source = movie(tmp_path / "in.mp4", media_files)
    shot = media_files.shot_of(source, tmp_path / "shot.nvd", frames=(1, 4))
    manifest = json.loads((shot.folder / "manifest.json").read_text())
    manifest["clip"]["timeline"]["at"] = at
    (shot.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NvdError, match=r"clip\.timeline"):
        read_manifest(shot.folder)


def brightness(clip):
    return [round((float(frame.mean()) - 20) / 25) for frame in clip]


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(25), Fraction(50)])
def test_a_named_rate_takes_pictures_by_time(tmp_path, media_files, rate):
    source = movie(tmp_path / "in.mp4", media_files)
    clip = open_clip(source, reading=Reading(rate=rate))
    wanted, n = [], 0
    while n / rate * 1000 < sum(STEPS):
        time = float(n / rate * 1000) + 1
        wanted.append(max(i for i, start in enumerate(TIMES) if start <= time))
        n += 1
    assert brightness(clip) == wanted
    assert clip.info.rate == rate and clip.info.timeline.at is None
    (text,) = [text for text in clip.info.cautions if "variable" in text]
    held, left = len(wanted) - len(set(wanted)), len(STEPS) - len(set(wanted))
    assert f"{held} pictures held and {left} left out" in text
    part = open_clip(source, frames=(2, 4), reading=Reading(rate=rate))
    assert brightness(part) == wanted[2:5]


def test_a_conformed_movie_renders_at_its_rate(tmp_path, media_files):
    source = movie(tmp_path / "in.mp4", media_files)
    shot = media_files.shot_of(source, tmp_path / "shot", reading=Reading(rate=Fraction(25)))
    render(shot, tmp_path / "a.mp4")
    times, end = shown(tmp_path / "a.mp4")
    assert np.allclose(np.diff(times), 40) and end == pytest.approx(600, abs=40)


def test_an_even_movie_at_another_rate_keeps_every_picture(tmp_path, media_files):
    source = movie(tmp_path / "in.mp4", media_files, [40] * 6)
    clip = open_clip(source, reading=Reading(rate=Fraction(24)))
    assert brightness(clip) == list(range(6))
    assert clip.info.timeline.at is None


def test_mxf_says_by_how_much_times_differ(tmp_path, media_files):
    from nvd_core.editing.output_time import timing_of

    shot = media_files.shot_of(movie(tmp_path / "in.mp4", media_files), tmp_path / "shot.nvd")
    timing, texts = timing_of(shot, tmp_path / "a.mxf", range(8), range(8), True)
    assert timing.unit is None
    assert any("seconds off" in text for text in texts)


def test_a_jitter_of_a_few_milliseconds_is_kept_too(tmp_path, media_files):
    steps = [40, 46, 34, 40, 47, 33]
    source = movie(tmp_path / "in.mp4", media_files, steps)
    shot = media_files.shot_of(source, tmp_path / "shot.nvd")
    assert not any("variable" in text for text in shot.manifest.cautions)
    render(shot, tmp_path / "a.mp4")
    assert np.allclose(np.diff(shown(tmp_path / "a.mp4")[0]), steps[:-1], atol=1)
    even = media_files.shot_of(
        movie(tmp_path / "b.mkv", media_files, [40, 41, 39, 40]), tmp_path / "b"
    )
    assert even.manifest.clip.timeline.at is None
