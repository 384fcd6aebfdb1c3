"""Timecode, reel and rate pass through, each frame's own counted on, drop frame included."""

from fractions import Fraction

import av
import OpenImageIO as oiio
import pytest

from nvd_core.editing.render import render
from nvd_core.media import timecode
from nvd_core.media.clip import Reading, open_clip
from nvd_core.runtime.progress import Progress

NTSC, DOUBLE = Fraction(30000, 1001), Fraction(60000, 1001)


@pytest.mark.parametrize(
    ("first", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 25, Fraction(25), "01:00:01:00"),
        ("00:00:59:29", 1, NTSC, None),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),
        ("00:00:00;00", 17982, NTSC, "00:10:00;00"),
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),
        ("00:01:59;59", 1, DOUBLE, "00:02:00;04"),
        ("23:59:59:23", 1, Fraction(24000, 1001), "00:00:00:00"),
        ("23:59:59;29", 1, NTSC, "00:00:00;00"),
        ("00:01:00;02", -1, NTSC, "00:00:59;29"),
    ],
)
def test_counting(first, frames, rate, expected):
    code = timecode.from_text(first, rate)
    assert code == timecode.from_bits(code.bits(rate), rate)
    counted = str(code.counted_on(frames, rate))
    assert counted == (expected or "00:01:00:00")


def test_every_drop_frame_number_of_a_day_is_counted_once():
    code, seen = timecode.from_text("00:00:00;00", NTSC), set()
    for n in range(0, 2589408, 997):
        counted = code.counted_on(n, NTSC)
        assert timecode.from_text(str(counted), NTSC) == counted  # no number that is left out
        seen.add(str(counted))
    assert len(seen) == len(range(0, 2589408, 997))


@pytest.mark.parametrize("text", ["00:01:00;00", "00:00:00:30", "24:00:00:00", "1:0:0:0", "", None])
def test_what_is_no_timecode(text):
    assert timecode.from_text(text, NTSC) is None


def movie(path, media_files, code="00:00:59;28", rate=NTSC, reel="A001C002", count=5):
    with av.open(str(path), "w") as container:
        container.metadata["timecode"] = code
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        if reel:
            stream.metadata["reel_name"] = reel
        for t in range(count):
            pixels = media_files.integers(media_files.ramp(t), "uint8")
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = t, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def told(path):
    """Timecode and reel of a movie, by FFmpeg."""
    with av.open(str(path)) as container:
        words = dict(container.metadata)
        for stream in container.streams:
            words |= stream.metadata
    words = {key.lower(): value for key, value in words.items()}
    return words.get("timecode"), words.get("reel_name")


@pytest.mark.parametrize("out", ["a.mov", "a.mp4", "a.mkv"])
def test_a_movies_timecode_goes_into_movies(tmp_path, media_files, out):
    source = movie(tmp_path / "in.mov", media_files)
    assert told(source) == ("00:00:59;28", "A001C002")
    shot = media_files.shot_of(source, tmp_path / "shot.nvd")
    render(shot, tmp_path / out)
    reel = "A001C002" if out != "a.mp4" else None  # which has no place for it, as is said
    assert told(tmp_path / out) == ("00:00:59;28", reel)
    render(shot, tmp_path / out, frames=(2, 4))
    assert told(tmp_path / out)[0] == "00:01:00;02"
    part = media_files.shot_of(source, tmp_path / "part.nvd", frames=(2, 4))
    render(part, tmp_path / out)
    assert told(tmp_path / out)[0] == "00:01:00;02"


def test_a_timecode_in_mxf(tmp_path, media_files):
    source = movie(tmp_path / "in.mov", media_files)
    shot = media_files.shot_of(source, tmp_path / "shot.nvd")
    shot.manifest.clip.__dict__.update(width=256, height=128)  # MXF has none so small
    from nvd_core.editing.output_time import timing_of
    from nvd_core.media.writer import open_writer

    timing, _ = timing_of(shot, tmp_path / "a.mxf", range(5), range(5), True)
    with open_writer(tmp_path / "a.mxf", 256, 128, NTSC, timing=timing) as writer:
        for t in range(5):
            writer.write(t, media_files.integers(media_files.ramp(t, 128, 256), "uint8"))
    assert told(tmp_path / "a.mxf")[0] == "00:00:59;28"


def told_by_images(folder, suffix):
    codes = []
    for path in sorted(folder.glob(f"*{suffix}")):
        spec = oiio.ImageInput.open(str(path)).spec()
        word = spec.getattribute("smpte:TimeCode")
        codes.append(str(timecode.from_bits(word[0], NTSC)) if word else None)
    rate = spec.getattribute("FramesPerSecond") or spec.getattribute("dpx:FrameRate")
    return codes, rate, spec.getattribute("reelName")


def test_a_movies_timecode_goes_into_images(tmp_path, media_files):
    shot = media_files.shot_of(movie(tmp_path / "in.mov", media_files), tmp_path / "shot.nvd")
    expected = ["00:00:59;28", "00:00:59;29", "00:01:00;02", "00:01:00;03", "00:01:00;04"]
    render(shot, tmp_path / "exr" / "%04d.exr", start=100)
    assert told_by_images(tmp_path / "exr", ".exr") == (expected, (30000, 1001), "A001C002")
    render(shot, tmp_path / "dpx" / "%04d.dpx", start=100)
    codes, rate, _ = told_by_images(tmp_path / "dpx", ".dpx")
    assert codes == expected and rate == pytest.approx(29.97, abs=1e-3)
    texts, progress = [], Progress()
    progress.caution = texts.append
    for out in ("b.mp4", "b.webm", "b.mov"):
        render(shot, tmp_path / out, progress=progress)
        assert told(tmp_path / out)[0] == "00:00:59;28"
    assert [text[:5] for text in texts if "reel" in text] == [".mp4 ", ".webm"]
    render(shot, tmp_path / "png" / "%04d.png", progress=progress)
    assert any("no timecode and no reel name" in text for text in texts)


def exrs(folder, media_files, numbers, jump=0):
    first = timecode.from_text("00:00:59;28", NTSC)
    folder.mkdir()
    for number in numbers:
        count = number - numbers[0] + (jump if number == numbers[-1] else 0)
        bits = first.counted_on(count, NTSC).bits(NTSC)
        channels = media_files.named(media_files.ramp(number))
        height, width = channels["R"].shape
        spec = oiio.ImageSpec(width, height, 3, "half")
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (bits, 0))
        spec.attribute("FramesPerSecond", oiio.TypeRational, (30000, 1001))
        spec.attribute("reelName", "B007")
        path = str(folder / f"in.{number:04d}.exr")
        output = oiio.ImageOutput.create(path)
        assert output.open(path, spec) and output.write_image(media_files.ramp(number))
        output.close()
    return folder / "in.%04d.exr"


def test_exrs_keep_their_own_copied_or_painted(tmp_path, media_files):
    shot = media_files.shot_of(exrs(tmp_path / "a", media_files, range(7, 11)), tmp_path / "shot")
    expected = ["00:00:59;28", "00:00:59;29", "00:01:00;02", "00:01:00;03"]
    assert (shot.manifest.clip.timeline.timecode, shot.manifest.clip.rate) == (
        "00:00:59;28",
        (30000, 1001),
    )
    render(shot, tmp_path / "copied" / "%04d.exr")
    assert told_by_images(tmp_path / "copied", ".exr") == (expected, (30000, 1001), "B007")
    media_files.paint_dog(shot)
    render(shot, tmp_path / "painted" / "%04d.exr")
    assert told_by_images(tmp_path / "painted", ".exr") == (expected, (30000, 1001), "B007")
    render(shot, tmp_path / "a.mov")
    assert told(tmp_path / "a.mov") == ("00:00:59;28", "B007")
    render(shot, tmp_path / "some" / "%04d.exr", frames=(2, 3))
    assert told_by_images(tmp_path / "some", ".exr")[0] == expected[2:]


def test_missing_numbers_count(tmp_path, media_files):
    source = exrs(tmp_path / "a", media_files, [7, 9, 11])
    shot = media_files.shot_of(source, tmp_path / "shot", reading=Reading(missing="skip"))
    render(shot, tmp_path / "out" / "%04d.exr", start=1)
    codes = told_by_images(tmp_path / "out", ".exr")[0]
    assert codes == ["00:00:59;28", "00:01:00;02", "00:01:00;04"]


def test_timecodes_that_do_not_count_on_are_said(tmp_path, media_files):
    clip = open_clip(exrs(tmp_path / "a", media_files, range(4), jump=9))
    assert any("counted on" in text for text in clip.info.cautions)
    clip = open_clip(exrs(tmp_path / "b", media_files, range(4)))
    assert not any("counted on" in text for text in clip.info.cautions)


def test_a_timecode_of_another_rate_is_said(tmp_path, media_files):
    source = movie(tmp_path / "in.mov", media_files)
    info = open_clip(source, reading=Reading(rate=Fraction(24))).info
    assert info.timeline.timecode is None
    assert any("another rate" in text for text in info.cautions)
