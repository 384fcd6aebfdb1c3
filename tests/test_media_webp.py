"""An animated WebP comes in with all its frames and their times."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from nvd_core.editing.render import render
from nvd_core.media.clip import open_clip
from nvd_core.runtime.errors import NvdError

COUNT = 70  # more than are decoded at once


def pictures(count=COUNT, alpha=True):
    frames = []
    for t in range(count):
        pixels = np.full((32, 48, 4), 255, np.uint8)
        pixels[..., 0] = 3 * t
        pixels[:, t % 40 : t % 40 + 8, 1] = 90
        if alpha:
            pixels[:16, :, 3] = 100 + 2 * t
        frames.append(pixels)
    return frames


def write(path, frames, rate=10, steps=None):
    """Lossless, by libwebp; each frame for a step of 1 / `rate`."""
    with av.open(str(path), "w", format="webp") as container:
        stream = container.add_stream("libwebp_anim", rate=rate, options={"lossless": "1"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgra"
        at = 0
        for t, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgba").reformat(format="bgra")
            frame.pts, frame.time_base = at, Fraction(1, rate)
            at += steps[t] if steps else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("alpha", [False, True])
def test_every_frame_comes_in(tmp_path, alpha):
    frames = pictures(alpha=alpha)
    clip = open_clip(write(tmp_path / "a.webp", frames))
    assert (clip.info.frames, clip.info.rate) == (COUNT, 10)
    assert clip.info.picture.alpha == ("straight" if alpha else "none")
    for ours, theirs in zip(clip.stored(), frames, strict=True):
        assert np.array_equal(ours, theirs if alpha else theirs[..., :3])
    part = open_clip(tmp_path / "a.webp", frames=(60, 69))
    assert np.array_equal(next(part.stored()), frames[60] if alpha else frames[60][..., :3])


def test_it_renders_as_a_movie_does(tmp_path, media_files):
    frames = pictures(4)
    source = write(tmp_path / "a.webp", frames, rate=100, steps=[4, 30, 4, 4])
    shot = media_files.shot_of(source, tmp_path / "shot.nvd")
    assert any("variable" in text for text in shot.manifest.cautions)
    render(shot, tmp_path / "a.mkv", codec="ffv1")
    with av.open(str(tmp_path / "a.mkv")) as container:
        back = list(container.decode(video=0))
    times = [float(frame.pts * frame.time_base) for frame in back]
    assert np.allclose(np.diff(times), [0.04, 0.3, 0.04], atol=2e-3)
    assert all(
        np.array_equal(f.to_ndarray(format="rgba"), g) for f, g in zip(back, frames, strict=True)
    )


def test_a_still_webp_is_an_image(tmp_path):
    for t in range(2):
        cv2.imwrite(str(tmp_path / f"in.{t}.webp"), np.full((32, 48, 3), 90 * t, np.uint8))
    assert open_clip(tmp_path / "in.%d.webp").info.frames == 2


def test_what_is_damaged_or_cannot_be_read_is_refused(tmp_path, monkeypatch):
    data = write(tmp_path / "a.webp", pictures(6)).read_bytes()
    for length in (21, 29, 60, len(data) // 2):
        (tmp_path / "b.webp").write_bytes(data[:length])
        with pytest.raises(NvdError, match=r"b\.webp"):
            list(open_clip(tmp_path / "b.webp").stored())
    monkeypatch.delattr(cv2, "imdecodeanimation")
    with pytest.raises(NvdError, match=r"4\.12"):
        open_clip(tmp_path / "a.webp")
