"""Sound goes into the folder with the clip and into rendered movies, in step with the frames."""

import json
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render
from nvd_core.media.audio import Sound
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot

RATE, FRAMES, SAMPLES = 25, 50, 48000
CLICKS = (0.2, 0.6, 1.0, 1.4, 1.8)
"""seconds at which the sound clicks"""


def clicks(rate=SAMPLES):
    values = np.zeros(2 * rate, np.float32)
    for second in CLICKS:
        start = round(second * rate)
        values[start : start + 48] = 0.8
    return values


def movie(path, media_files, codec="pcm_s16le", delay=0.0, rate=SAMPLES, frames=FRAMES):
    """Two seconds with a click at known times, the sound beginning `delay` later."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream(codec, rate=rate)
        sound.codec_context.layout = "stereo"
        kinds = {"pcm_s16le": "s16", "aac": "fltp", "libmp3lame": "fltp", "libopus": "flt"}
        values = clicks(rate)[None].repeat(2, 0)
        resampler = av.AudioResampler(kinds.get(codec, "s16"), "stereo", rate)
        for t in range(frames):
            pixels = media_files.integers(media_files.ramp(t), "uint8")
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = t, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        skip = round(delay * rate)
        for start in range(skip, values.shape[1], 1024):
            part = np.ascontiguousarray(values[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for made in resampler.resample(frame):
                container.mux(sound.encode(made))
        container.mux(sound.encode())
    return path


def heard(path):
    """Seconds at which a file clicks, counted from its first frame as FFmpeg decodes it."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        zero = first.pts * first.time_base
        end = float(container.streams.video[0].duration or 0)
    found, last = [], -1.0
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        name = container.streams.audio[0].codec_context.name
        for frame in container.decode(audio=0):
            values = np.abs(frame.to_ndarray().astype(np.float64))
            if not frame.format.is_planar:
                values = values.reshape(-1, frame.layout.nb_channels).T
            top = {"s16": 32768, "s32": 2**31}.get(frame.format.packed.name, 1)
            for place in np.flatnonzero(values[0] / top > 0.3):
                time = float(frame.pts * frame.time_base - zero) + place / frame.sample_rate
                if time > last + 0.1:
                    found.append(time)
                    last = time
    assert end >= 0
    return name, found


def loud(path, media_files, folder, **options):
    return media_files.shot_of(movie(path, media_files, **options), folder)


@pytest.mark.parametrize(
    ("codec", "source", "out", "expected"),
    [
        ("pcm_s16le", "in.mov", "out.mov", "pcm_s16le"),
        ("pcm_s16le", "in.mkv", "out.mkv", "pcm_s16le"),
        ("pcm_s16le", "in.mov", "out.mp4", "aac"),
        ("pcm_s16le", "in.mov", "out.webm", "opus"),
        ("aac", "in.mp4", "out.mp4", "aac"),
        ("aac", "in.mp4", "out.mov", "aac"),
        ("aac", "in.mp4", "out.mkv", "aac"),
        ("aac", "in.mp4", "out.webm", "opus"),
        ("libmp3lame", "in.mp4", "out.mp4", "mp3float"),
        ("libopus", "in.mkv", "out.webm", "opus"),
        ("libopus", "in.mkv", "out.mov", "pcm_s24le"),
    ],
)
def test_sound_is_in_step(tmp_path, media_files, codec, source, out, expected):
    shot = loud(tmp_path / source, media_files, tmp_path / "shot.nvd", codec=codec)
    for name, frames, shift in (("all", None, 0.0), ("part", (10, 39), 0.4)):
        path = tmp_path / f"{name}_{out}"
        cautions = []
        progress = Progress()
        progress.caution = cautions.append
        render(shot, path, frames=frames, progress=progress)
        name, times = heard(path)
        assert name == expected
        last = 2.0 if frames is None else 1.2
        wanted = [second - shift for second in CLICKS if -1e-6 <= second - shift < last]
        assert len(times) == len(wanted) or (frames and len(times) == len(wanted) - 1)
        for time in times:
            assert min(abs(time - second) for second in wanted) < 0.03  # a frame is 0.04
        copied = expected.removesuffix("float") in (
            codec,
            codec.removeprefix("lib").removesuffix("lame"),
        )
        assert any("encoded anew" in text for text in cautions) != copied, cautions


def test_pcm_is_cut_to_the_sample(tmp_path, media_files):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd")
    render(shot, tmp_path / "out.mov", frames=(10, 39))
    with av.open(str(tmp_path / "out.mov")) as container:
        parts = [frame.to_ndarray()[0, ::2] for frame in container.decode(audio=0)]
    whole = np.rint(clicks() * 32768).clip(-32768, 32767).astype(np.int64)
    ours = np.concatenate(parts).astype(np.int64)
    wanted = whole[round(0.4 * SAMPLES) : round(1.6 * SAMPLES)]
    assert len(ours) == len(wanted)
    places = np.flatnonzero(ours > 9000), np.flatnonzero(wanted > 9000)
    assert abs(places[0][0] - places[1][0]) <= 48  # Matroska's milliseconds


def test_sound_that_begins_late_stays_late(tmp_path, media_files):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd", delay=0.9)
    for out in ("out.mov", "out.mkv", "out.mp4"):
        render(shot, tmp_path / out)
        _, times = heard(tmp_path / out)
        assert np.allclose(times, [1.0, 1.4, 1.8], atol=0.03), out


def test_a_range_of_the_source_takes_its_sound(tmp_path, media_files):
    source = movie(tmp_path / "in.mov", media_files)
    shot = media_files.shot_of(source, tmp_path / "shot.nvd", frames=(30, 49))
    render(shot, tmp_path / "out.mov")
    assert np.allclose(heard(tmp_path / "out.mov")[1], [0.2, 0.6], atol=0.003)


def test_a_movie_of_sections_has_all_of_it(tmp_path, media_files):
    source = movie(tmp_path / "in.mov", media_files)
    pattern, before, folders = tmp_path / "images" / "%05d.png", None, []
    for name, first, last in (("a", 10, 29), ("b", 20, 39), ("c", 35, 49)):
        shot = media_files.shot_of(source, tmp_path / name, frames=(first, last))
        render(shot, pattern, start="source", after=before)
        before = shot
        folders.append(str(shot.folder))
    words = ["encode", *folders, "--images", str(pattern), "--start", "source"]
    out = tmp_path / "out.mov"
    assert main([*words, "--source", str(source), "--out", str(out)]) == 0
    assert np.allclose(heard(out)[1], [0.2, 0.6, 1.0, 1.4], atol=0.003)
    with av.open(str(out)) as container:
        assert len(list(container.decode(video=0))) == 40


def test_without_sound(tmp_path, media_files):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd")
    out = tmp_path / "out.mov"
    assert main(["render", str(shot.folder), "--out", str(out), "--no-audio"]) == 0
    assert heard(out) is None
    (shot.folder / "audio.mka").unlink()
    assert main(["render", str(shot.folder), "--out", str(out), "--json"]) == 0
    assert heard(out) is None


def test_another_rate_takes_no_sound_along(tmp_path, media_files):
    from nvd_core.media.clip import Reading, open_clip

    source = movie(tmp_path / "in.mov", media_files)
    info = open_clip(source, reading=Reading(rate=Fraction(24))).info
    assert info.timeline.audio is None
    assert any("run away" in text for text in info.cautions)


@pytest.mark.parametrize("path", ["../secret.mka", "/etc/audio.mka", "C:/a.mka", "manifest.json"])
def test_a_strangers_manifest_names_no_sound_outside(tmp_path, media_files, path):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd", frames=4)
    shutil.copy(shot.folder / "audio.mka", tmp_path / "secret.mka")
    manifest = json.loads((shot.folder / "manifest.json").read_text())
    manifest["clip"]["timeline"]["audio"] = path
    (shot.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(NvdError):
        Shot.open(shot.folder)


def test_sound_that_is_a_list_of_other_files_is_not_followed(tmp_path, media_files):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd", frames=4)
    secret = movie(tmp_path / "secret.mov", media_files, frames=4)
    (shot.folder / "audio.mka").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    render(shot, tmp_path / "out.mov")
    assert heard(tmp_path / "out.mov") is None
    (shot.folder / "audio.mka").unlink()
    (shot.folder / "audio.mka").symlink_to(tmp_path / "secret.mov")
    with pytest.raises(NvdError, match="link"):
        render(Shot.open(shot.folder), tmp_path / "out.mov")


def test_folders_without_a_timeline_open(tmp_path, media_files):
    shot = loud(tmp_path / "in.mov", media_files, tmp_path / "shot.nvd", frames=4)
    manifest = json.loads((shot.folder / "manifest.json").read_text())
    del manifest["clip"]["timeline"]
    (shot.folder / "manifest.json").write_text(json.dumps(manifest))
    render(Shot.open(shot.folder), tmp_path / "out.mov")
    assert heard(tmp_path / "out.mov") is None


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_a_track_that_claims_no_channels_is_refused(tmp_path, suffix):
    path = tmp_path / "sound.mka"
    tone = (8000 * np.sin(np.arange(16000) / 20)).astype(np.int16)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None], "s16", "stereo")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
    data = path.read_bytes()
    channels = b"\x9f\x81\x02"  # Matroska's element Channels
    assert data.count(channels) == 1
    path.write_bytes(data.replace(channels, b"\x9f\x81\x00"))
    kind = {".webm": "webm", ".mkv": "matroska"}[suffix]
    with av.open(str(tmp_path / "made"), "w", format=kind) as target, pytest.raises(NvdError):
        sound = Sound(path, Fraction(0), Fraction(1), suffix)
        for _, packets in sound.packets(target):
            sound.mux(target, packets)
