"""The clean plate of `nvd export`: the background, also where something stands before it."""

import shutil

import numpy as np
import pytest

from nvd_core.editing.hand_over import WORDS, hand_over
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.slow

NAME = {"nuke": "shot.nk", "fusion": "shot.comp", "natron": "shot_natron.py"}


class Heard(Progress):
    """Keeps the cautions."""

    def __init__(self):
        super().__init__()
        self.cautions = []

    def caution(self, text):
        self.cautions.append(text)


@pytest.fixture(scope="module")
def shot(trained, tmp_path_factory):
    """The tiny clip, decomposed; a copy."""
    folder = tmp_path_factory.mktemp("clean") / "shot.nvd"
    shutil.copytree(trained().folder, folder)
    return Shot.open(folder)


@pytest.fixture(scope="module")
def handed(shot, tmp_path_factory):
    """The folder that was written, and what was said."""
    out, heard = tmp_path_factory.mktemp("out") / "out", Heard()
    hand_over(shot, out, ["all"], inverse=False, start=1001, progress=heard)
    return out, heard.cautions


def wall(tiny_clip, t):
    """What frame `t` would show without the disc, 0 to 1."""
    whole = tiny_clip.noise(1, tiny_clip.HEIGHT, tiny_clip.WIDTH + tiny_clip.FRAMES, 2.0)
    return whole[:, t : t + tiny_clip.WIDTH] * (0.85 + 0.15 * np.cos(t))


def test_what_an_object_hides_comes_from_other_frames(handed, shot, tiny_clip):
    out, _ = handed
    errors, unlike = [], []
    for t in range(shot.frames):
        clean = read_image(out / f"clean_plate/clean_plate.{1001 + t}.png")
        assert clean.dtype == np.uint8 and clean.shape == (tiny_clip.HEIGHT, tiny_clip.WIDTH, 3)
        plate = to_float(read_image(shot.frame_path(t)))
        disc = read_image(shot.mask_path("disc", t))[..., 0] > 127
        true = wall(tiny_clip, t)
        errors.append(np.abs(to_float(clean) - true)[disc].mean())
        unlike.append(np.abs(plate - true)[disc].mean())
    print(f"{np.mean(errors):.3f} off behind the disc, which itself is {np.mean(unlike):.3f} off")
    assert np.mean(errors) < 0.35 * np.mean(unlike)


def test_where_the_background_shows_it_is_the_layer_alone(handed, shot):
    out, _ = handed
    for t, alone in enumerate(LayerAlone(shot, "background", None, None).frames(range(3))):
        clean = read_image(out / f"clean_plate/clean_plate.{1001 + t}.png")
        shown = alone[..., 3] > 250
        assert shown.mean() > 0.5
        np.testing.assert_array_equal(clean[shown], alone[shown][:, :3])


@pytest.mark.parametrize("program", NAME)
def test_the_scripts_read_it_and_nothing_takes_it(handed, node_programs, program):
    out, _ = handed
    nodes = getattr(node_programs, program)(out / NAME[program], 1003)
    expected = node_programs.read(out / "clean_plate/clean_plate.1003.png")
    np.testing.assert_array_equal(nodes["clean_plate"][..., :3], expected[..., :3])
    text = (out / NAME[program]).read_text()
    assert text.count("clean_plate.") == 1, "read once"


def test_words_name_it(handed):
    out, cautions = handed
    assert "clean_plate/  the background" in (out / WORDS).read_text()
    assert not [text for text in cautions if "clean plate" in text]


def test_it_is_the_painted_background_in_the_clips_depth(shot, tmp_path, tiny_clip):
    paint = np.zeros_like(read_image(shot.texture_path("background")))
    paint[..., 1], paint[..., 3] = 255, 255
    write_image(tmp_path / "green.png", paint)
    edits = {"background": tmp_path / "green.png"}
    hand_over(shot, tmp_path / "out", ["nuke"], edits, inverse=False, frames=(2, 2))
    (file,) = (tmp_path / "out/clean_plate").iterdir()
    clean = read_image(file).astype(int)
    assert (clean[..., 1] > 150).all() and (clean[..., [0, 2]] == 0).all()


def test_without_networks_or_unwanted_there_is_none(shot, tmp_path):
    bare = tmp_path / "bare.nvd"
    shutil.copytree(shot.folder, bare)
    (bare / "checkpoint.safetensors").unlink()
    heard = Heard()
    hand_over(Shot.open(bare), tmp_path / "a", ["nuke"], inverse=False, progress=heard)
    (said,) = (text for text in heard.cautions if "clean plate" in text)
    assert "without its trained networks" in said
    hand_over(shot, tmp_path / "b", ["nuke"], inverse=False, clean_plate=False)
    for out in (tmp_path / "a", tmp_path / "b"):
        assert not (out / "clean_plate").exists()
        assert (
            "clean_plate"
            not in (out / "shot.nk" if out.name == "b" else out / "bare.nk").read_text()
        )
        assert "Left out: a clean plate." in (out / WORDS).read_text()
