"""`nvd encode`: a movie of rendered images is that of `nvd render`, or nothing is written."""

import av
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.encode import encode
from nvd_core.editing.render import render
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError


@pytest.fixture
def shot(synthetic, tmp_path):
    return synthetic.make_shot(tmp_path / "shot.nvd")


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb48le") for frame in file.decode(video=0)]


@pytest.mark.parametrize("name", ["movie.mov", "movie.mkv"])
def test_it_is_the_movie_that_is_rendered_at_once(shot, tmp_path, name):
    pattern = tmp_path / "out" / "%05d.png"
    half = shot.frames // 2
    render(shot, pattern, frames=(0, half - 1))
    render(shot, pattern, frames=(half, shot.frames - 1))
    words = ["encode", str(shot.folder), "--images", str(pattern), "--out", str(tmp_path / name)]
    assert main(words) == 0
    render(shot, tmp_path / f"once-{name}")
    made, once = pictures(tmp_path / name), pictures(tmp_path / f"once-{name}")
    assert len(made) == len(once) == shot.frames
    for one, other in zip(made, once, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 257  # one step of 8 bits


def test_what_is_missing_or_odd_is_said_before_anything_is_written(shot, tmp_path):
    pattern = tmp_path / "out" / "%05d.png"
    render(shot, pattern)
    out = tmp_path / "movie.mov"
    path = tmp_path / "out" / "00001.png"
    image = read_image(path)
    for odd in (image[1:], image[..., :1], None):
        path.unlink()
        if odd is not None:
            write_image(path, odd)
        with pytest.raises(NvdError, match=r"00001\.png"):
            encode(shot, pattern, out)
        assert not out.exists()
        write_image(path, image)
    for images, movie in ((path, out), (pattern, tmp_path / "again" / "%05d.png")):
        with pytest.raises(NvdError, match="numbered images"):
            encode(shot, images, movie)


def test_no_image_is_overwritten(shot, tmp_path):
    render(shot, tmp_path / "%05d.png")
    before = (tmp_path / "00000.png").read_bytes()
    with pytest.raises(NvdError):
        encode(shot, tmp_path / "%05d.png", tmp_path / "00000.png")
    assert (tmp_path / "00000.png").read_bytes() == before
