"""Cuts are found, and nothing else is taken for one; what is said of them splits the clip."""

import itertools
import json
import shlex
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.images import read_image, write_image
from nvd_core.priors import cuts
from nvd_core.priors.cut_cautions import about_cuts
from nvd_core.priors.cuts import Cut, find_cuts, shots_between
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import PRESETS

HEIGHT, WIDTH = 90, 160


@pytest.fixture(scope="module")
def walls(tiny_clip):
    """Two walls to pan over, uint8 [H, 12 W, 3] each."""
    return [
        (np.kron(tiny_clip.noise(seed, HEIGHT // 3, WIDTH * 4, 1.2), np.ones((3, 3, 1))) * 255)
        .round()
        .astype(np.uint8)
        for seed in (11, 12)
    ]


def pan(wall, frames: int, step: int, blur: int = 0) -> list[np.ndarray]:
    """Frames of a camera that moves `step` pixels a frame, blurred over `blur` of them."""
    soft = cv2.blur(wall, (blur, 1)) if blur else wall
    return [np.ascontiguousarray(soft[:, t * step : t * step + WIDTH]) for t in range(frames)]


def places(frames) -> list[int]:
    return [cut.frame for cut in find_cuts(frames)]


def test_a_cut_is_found_where_it_is(walls):
    one, other = pan(walls[0], 10, 2), pan(walls[1], 10, 3)
    assert find_cuts(one + other) == [Cut(10)]
    assert places(one + other + one) == [10, 20]
    assert shots_between([Cut(10), Cut(20)], 30) == [(0, 9), (10, 19), (20, 29)]


def test_what_is_kept_of_a_long_clip_lies_on_disk_and_says_the_same(walls, monkeypatch):
    monkeypatch.setattr(cuts, "IN_MEMORY", 1)
    kept = cuts._Kept()
    frames = pan(walls[0], 3, 2)
    for frame in frames:
        kept.append(cuts.Seen.of(frame))
    assert kept._file._rolled  # it is a file
    for t, frame in enumerate(frames):
        seen = cuts.Seen.of(frame)
        np.testing.assert_array_equal(kept[t].luma, seen.luma)
        np.testing.assert_array_equal(kept[t].colours, seen.colours)
    kept.close()
    assert places(pan(walls[0], 10, 2) + pan(walls[1], 10, 3)) == [10]


@pytest.mark.parametrize("step", [1, 8, 40, 80])
def test_a_pan_is_no_cut(walls, step):
    assert places(pan(walls[0], 12, step)) == []
    assert places(pan(walls[0], 12, step, blur=max(step // 2, 1))) == []


def test_a_camera_that_is_swung_from_one_hold_to_another_is_no_cut(walls):
    speeds = [0] * 6 + [20, 60, 110, 150, 150, 110, 60, 20] + [0] * 6
    frames, at = [], 0
    for speed in speeds:  # a shutter that is open for half of the time
        soft = cv2.blur(walls[0], (max(speed // 2, 1), 1))
        frames.append(np.ascontiguousarray(soft[:, at : at + WIDTH]))
        at += speed
    assert places(frames) == []


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("value", [0, 255, None])
def test_a_flash_comes_back(walls, length, value):
    frames = pan(walls[0], 16, 2)
    for t in range(7, 7 + length):
        bright = np.clip(frames[t].astype(int) * 5, 0, 255).astype(np.uint8)
        frames[t] = bright if value is None else np.full_like(frames[t], value)
    assert places(frames) == []


def test_changing_light_is_no_cut(walls):
    frames = pan(walls[0], 16, 2)
    for t in range(8, 16):
        frames[t] = frames[t] // 3
    assert places(frames) == []


def test_a_fade_through_black_is_called_one(walls):
    one, other = pan(walls[0], 10, 1), pan(walls[1], 10, 1)
    falling = [(f * (1 - t / 4)).astype(np.uint8) for t, f in enumerate(one[-5:])]
    rising = [(f * (t / 4)).astype(np.uint8) for t, f in enumerate(other[:5])]
    (cut,) = find_cuts(one[:5] + falling + rising + other[5:])
    assert cut.kind == "fade" and cut.even == (9, 10) and cut.frame == 11
    assert find_cuts(one[:5] + falling) == []  # to black, and nothing behind it
    back = [(f * (t / 4)).astype(np.uint8) for t, f in enumerate(one[-5:])]
    assert find_cuts(one[:5] + falling + back) == []  # of the same shot


def test_a_clip_of_one_colour_or_of_two_frames_has_none(walls):
    assert find_cuts([np.zeros((40, 60, 3), np.uint8)] * 4) == []
    assert find_cuts(pan(walls[0], 2, 1)) == []
    assert places([walls[0][:, :WIDTH], walls[1][:, :WIDTH]]) == [1]


@pytest.fixture(scope="module")
def small_clips(clips):
    """Every second frame of the real clips, small."""
    found = {}
    for folder in sorted(path for path in clips.iterdir() if (path / "frames").is_dir()):
        files = sorted((folder / "frames").iterdir())
        found[folder.name] = [
            cv2.resize(read_image(file)[..., :3], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            for file in files
        ]
    return found


@pytest.mark.long
@pytest.mark.clips
def test_real_clips_have_no_cut(small_clips):
    for step in (1, 3):
        found = {name: places(frames[::step]) for name, frames in small_clips.items()}
        assert not any(found.values()), (step, found)


@pytest.mark.long
@pytest.mark.clips
def test_real_clips_in_a_row_have_one(small_clips):
    missed = [
        (one, other)
        for one, other in itertools.permutations(small_clips, 2)
        if places(small_clips[one][-12:] + small_clips[other][:12]) != [12]
    ]
    assert not missed


@pytest.fixture
def two_shots(tmp_path, tiny_clip):
    """A clip of two shots, numbered from 1001, with masks of the same numbers; `folder`."""
    folder = tiny_clip.write_with_settings(tmp_path / "one")
    for what in ("frames", "masks"):
        (tmp_path / what).mkdir()
    for n, t in enumerate([*range(6), *range(6)]):
        for what in ("frames", "masks"):
            image = read_image(folder / what / f"{t:04d}.png")
            image = image if n < 6 else np.ascontiguousarray(image[:, ::-1])
            if n >= 6 and what == "frames":  # another wall, too
                image = np.ascontiguousarray(np.roll(255 - image, 24, axis=0))
            image = np.roll(image, 24, axis=0) if n >= 6 and what == "masks" else image
            write_image(tmp_path / what / f"s.{1001 + n}.png", np.ascontiguousarray(image))
    (tmp_path / "small.yaml").write_text((folder / "small.yaml").read_text())
    return tmp_path


def test_the_caution_names_the_sources_numbers_and_commands_that_split(two_shots):
    job = Job(source=str(two_shots / "frames"), masks=[["disc", str(two_shots / "masks")]])
    info = open_clip(job.source, reading=Reading()).info
    settings = PRESETS["fast"]()
    (text,) = about_cuts([Cut(6)], job, settings, info, two_shots / "a.nvd")
    assert text.startswith("a cut between 1006 and 1007")
    commands = [shlex.split(part) for part in text.partition("apart: ")[2].replace(
        "; or one by one:", ";").split("; ")]  # fmt: skip
    assert [words[:2] for words in commands] == [["nvd", "decompose"]] * 3
    assert "--shots" in commands[0] and str(two_shots / "a-shots") in commands[0]
    ranges = [words[words.index("--frames") + 1] for words in commands[1:]]
    assert ranges == ["1001-1006", "1007-1012"] and "--start=source" in commands[1]
    assert about_cuts([], job, settings, info, two_shots / "a.nvd") == []
    movie = Job(source="m.mp4", start=5)
    (text,) = about_cuts([Cut(6)], movie, settings, info, two_shots / "a.nvd")
    assert text.startswith("a cut between 10 and 11") and "--frames 5-10 --start=5" in text


def run(*words) -> tuple[int, list[dict]]:
    command = [sys.executable, "-m", "nvd_core", "decompose", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, lines


@pytest.mark.slow
def test_shots_are_decomposed_apart_and_the_same_command_goes_on(two_shots):
    out = two_shots / "out"
    words = [
        two_shots / "frames", "--shots", "--out", out, "--mask", f"disc={two_shots / 'masks'}",
        "--settings", two_shots / "small.yaml", "--set", "iterations=3",
    ]  # fmt: skip
    code, lines = run(*words)
    assert code == 0, lines[-1]
    assert lines[-1]["shots"] == {"shot-01": "0-5", "shot-02": "6-11"}
    told = {line.get("shot") for line in lines if line.get("stage") == "training"}
    assert told == {"shot-01", "shot-02"}
    manifests = [json.loads((out / f"shot-0{n}.nvd/manifest.json").read_text()) for n in (1, 2)]
    assert [found["clip"]["numbers"] for found in manifests] == ["1001-1006", "1007-1012"]
    masks = [read_image(out / f"shot-0{n}.nvd/masks/disc/00000.png") for n in (1, 2)]
    for n, mask in enumerate(masks):
        expected = read_image(two_shots / "masks" / f"s.{1001 + 6 * n}.png")
        np.testing.assert_array_equal(mask[..., 0], expected[..., 0])
    shutil.rmtree(out / "shot-02.nvd")  # as if it had been stopped before that
    before = (out / "shot-01.nvd" / "manifest.json").stat().st_mtime_ns
    code, lines = run(*words)
    assert code == 0 and (out / "shot-02.nvd" / "manifest.json").is_file()
    assert (out / "shot-01.nvd" / "manifest.json").stat().st_mtime_ns == before
    assert not any(line.get("stage") == "cuts" and "shot" not in line for line in lines)
    code, lines = run(*words, "--start", "source")
    assert code == 2 and "another job" in lines[-1]["problem"]
    code, lines = run(*[out / "shot-01.nvd" if word == out else word for word in words])
    assert code == 2 and "one shot" in lines[-1]["problem"]


def test_a_mask_of_one_frame_goes_with_its_shot(two_shots, capsys):
    out = two_shots / "out"
    code = main(
        [
            "decompose", str(two_shots / "frames"), "--shots", "--out", str(out), "--json",
            "--mask", f"disc={two_shots / 'masks' / 's.1008.png'}",
            "--settings", str(two_shots / "small.yaml"), "--set", "iterations=3",
        ]
    )  # fmt: skip
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0, lines[-1]
    said = [line for line in lines if line["event"] == "message" and line.get("shot")]
    assert any(m["shot"] == "shot-01" and "no mask is of this shot" in m["text"] for m in said)
    assert (out / "shot-02.nvd/masks/disc/00001.png").is_file()
    names = [layer["name"] for layer in json.loads(
        (out / "shot-01.nvd/manifest.json").read_text())["layers"]]  # fmt: skip
    assert names == ["object", "background"]


def test_a_shot_that_is_refused_does_not_keep_the_others(two_shots):
    from nvd_core import shots
    from nvd_core.runtime.progress import Progress

    settings = PRESETS["fast"]()
    settings.iterations, settings.points = 3, 400
    job = Job(source=str(two_shots / "frames"))
    taken = two_shots / "out" / "shot-01.nvd"
    taken.mkdir(parents=True)
    shots._note(two_shots / "out", job, shots._find(job, Progress()))
    (taken / "letter.txt").write_text("dear")
    with pytest.raises(NvdError, match="1 of 2 shots") as refused:
        shots.decompose_shots(two_shots / "out", job, settings, Progress())
    assert refused.value.found == "shot-01"
    assert (two_shots / "out" / "shot-02.nvd" / "manifest.json").is_file()
