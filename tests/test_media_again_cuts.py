"""Dissolves between two shots are said, and the command that splits a clip says all of its job."""

import numpy as np
import pytest

from nvd_core.job import Job
from nvd_core.media.clip import open_clip
from nvd_core.media.images import write_image
from nvd_core.priors.cut_cautions import about_cuts
from nvd_core.priors.cuts import find_cuts
from nvd_core.priors.dissolves import find_mixed
from nvd_core.settings import PRESETS

HEIGHT, WIDTH, FRAMES = 90, 160, 40


@pytest.fixture(scope="module")
def walls():
    """Two walls with large and small patterns, float32 [H, 4 W, 3] each."""
    made = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        large = np.kron(random.random((8, 54, 3)), np.ones((12, 12, 1)))[:HEIGHT, : 4 * WIDTH]
        fine = np.kron(random.random((30, 214, 3)), np.ones((3, 3, 1)))[:HEIGHT, : 4 * WIDTH]
        made.append((180 * large + 60 * fine).astype(np.float32))
    return made


def seen(wall, t, step):
    left = int(t * step)
    return wall[:, left : left + WIDTH]


def dissolve(walls, length, step=0.0):
    """Frames of one wall and then the other, with `length` that are mixed of both."""
    first = (FRAMES - length) // 2
    shares = np.clip((np.arange(FRAMES) - first + 1) / (length + 1), 0, 1)
    frames = [
        np.uint8((1 - w) * seen(walls[0], t, step) + w * seen(walls[1], t, step))
        for t, w in enumerate(shares)
    ]
    return frames, first, first + length - 1


@pytest.mark.parametrize("step", [0, 0.1])
@pytest.mark.parametrize("length", [5, 8, 12])
def test_a_dissolve_is_found_where_it_is(walls, length, step):
    frames, first, last = dissolve(walls, length, step)
    (cut,) = find_cuts(frames)
    assert cut.kind == "dissolve" and abs(cut.frame - (first + last + 1) / 2) <= 1
    assert abs(cut.even[0] - first) <= 1 and abs(cut.even[1] - last) <= 1


@pytest.mark.parametrize("step", [0.5, 2, 8])
def test_a_moving_camera_mixes_nothing(walls, step):
    assert find_cuts([np.uint8(seen(walls[0], t, step)) for t in range(FRAMES)]) == []


def test_changing_light_and_a_change_to_black_are_no_dissolves(walls):
    rising = np.clip((np.arange(FRAMES) - 10) / 20, 0, 1)
    assert find_cuts([np.uint8(seen(walls[0], 0, 0) * (0.3 + 0.7 * w)) for w in rising]) == []
    falls = [seen(walls[0], 0, 0) * (1 - w) for w in rising]
    assert not any(cut.kind == "dissolve" for cut in find_cuts([np.uint8(f) for f in falls]))


def test_short_clips_have_no_dissolve():
    assert find_mixed([np.zeros((4, 6), np.uint8)] * 3) == []
    assert find_mixed([]) == []


def test_a_dissolve_is_said_with_its_frames_and_commands_say_all_of_the_job(walls, tmp_path):
    frames, _, _ = dissolve(walls, 8)
    for t, frame in enumerate(frames):
        write_image(tmp_path / "clip" / f"s.{1001 + t}.png", frame)
    info = open_clip(tmp_path / "clip").info
    job = Job(source=str(tmp_path / "clip"), garbage="/mattes/logo.png", plate_height=60)
    job.input_space, job.ocio, job.hdr_white, job.device = "ACEScg", "ocio://default", 203, "cpu"
    cuts = find_cuts(frames)
    (text,) = about_cuts(cuts, job, PRESETS["fast"](), info, tmp_path / "shot.nvd")
    first, last = (1001 + t for t in cuts[0].even)
    assert f"a dissolve between two shots (frames {first}-{last} are mixed of both)" in text
    commands = [part for part in text.split(";") if "nvd decompose" in part]
    assert len(commands) == 3  # --shots, and one by one
    for command in commands[-2:]:
        for words in (
            "--garbage /mattes/logo.png",
            "--plate-height 60",
            "--input-space ACEScg",
            "--ocio ocio://default",
            "--hdr-white 203",
            "--device cpu",
        ):
            assert words in command, words
