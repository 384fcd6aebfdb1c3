"""The source's own numbers: patterns of every program, negative ones, holes, and what is no frame."""

import numpy as np
import pytest

from nvd_core.media.images import write_image
from nvd_core.media.numbering import as_text, from_text
from nvd_core.media.sequences import find_frames, frame_path, is_pattern
from nvd_core.runtime.errors import NvdError


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def found(source, missing="error"):
    frames = find_frames(source, missing)
    return frames.numbers, [path.name for path in frames.files]


@pytest.mark.parametrize(
    "pattern",
    [
        *("s.%04d.png", "s.####.png", "s.@@@@.png", "s.$F4.png", "s.998-1001#.png"),
        *("s.998-1001@@@@.png", "s.998-1001%04d.png", ""),
    ],
)
def test_patterns_of_every_program(tmp_path, pattern):
    names = [f"s.{n:04d}.png" for n in range(998, 1002)]
    touch(tmp_path, *names)
    assert found(tmp_path / pattern) == ([998, 999, 1000, 1001], names)


def test_negative_numbers_come_first(tmp_path):
    names = ["s.-002.png", "s.-001.png", "s.0000.png", "s.0001.png"]
    touch(tmp_path, *names)
    assert found(tmp_path / "s.%04d.png") == ([-2, -1, 0, 1], names)
    assert found(tmp_path) == ([-2, -1, 0, 1], names)
    assert frame_path("s.%04d.png", -2).name == names[0]
    touch(tmp_path / "dash", "shot-0001.png", "shot-0002.png")  # a separator, no minus
    assert found(tmp_path / "dash")[0] == [1, 2]


def test_a_range_names_what_is_wanted(tmp_path):
    touch(tmp_path, *(f"s.{n:04d}.png" for n in range(1, 9)))
    assert found(tmp_path / "s.3-5#.png")[0] == [3, 4, 5]
    assert found(tmp_path / "s.1-7x3#.png")[0] == [1, 4, 7]
    with pytest.raises(NvdError, match="9, 10") as caught:
        find_frames(tmp_path / "s.7-10#.png")
    assert caught.value.expected == "every number from 7 to 10"


def test_holes_are_refused_held_or_skipped(tmp_path):
    touch(tmp_path, *(f"{n}.png" for n in (1, 2, 4, 7)))
    with pytest.raises(NvdError, match="3, 5, 6") as caught:
        find_frames(tmp_path)
    assert "--missing" in caught.value.remedy
    held = find_frames(tmp_path, "hold")
    assert held.numbers == list(range(1, 8))
    assert [path.stem for path in held.files] == list("1224447")
    assert "held: 3, 5, 6" in held.cautions[0]
    skipped = find_frames(tmp_path, "skip")
    assert skipped.numbers == [1, 2, 4, 7] and "skipped: 3, 5, 6" in skipped.cautions[0]


def test_animation_on_twos_is_named(tmp_path):
    touch(tmp_path, *(f"{n}.png" for n in (1, 3, 5, 7)))
    with pytest.raises(NvdError) as caught:
        find_frames(tmp_path)
    assert "a frame every 2 numbers" in caught.value.found
    assert [p.stem for p in find_frames(tmp_path, "hold").files] == list("1133557")


def test_a_thumbnail_is_no_frame(tmp_path):
    touch(tmp_path, *(f"{n:04d}.png" for n in range(3)), "thumbnail.png")
    frames = find_frames(tmp_path)
    assert [path.name for path in frames.files] == ["0000.png", "0001.png", "0002.png"]
    assert "thumbnail.png" in frames.cautions[0]


def test_two_files_of_one_number_are_refused(tmp_path):
    touch(tmp_path, "a1.png", "a01.png", "a2.png")
    with pytest.raises(NvdError, match="the number 1"):
        find_frames(tmp_path)


def test_a_movie_may_have_a_hash_in_its_name():
    assert not is_pattern("take#2_out.mp4") and is_pattern("out.%04d.mp4")
    assert frame_path("take#2_%04d.png", 7).name == "take#2_0007.png"


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([1001, 1002, 1003], "1001-1003"),
        ([-2, -1, 0], "-2-0"),
        ([1, 3, 5, 7], "1-7x2"),
        ([1, 2, 4, 7], "1-2,4,7"),
        ([-9, -7, -5], "-9--5x2"),
        ([5], "5"),
    ],
)
def test_numbers_as_text(numbers, text):
    assert as_text(numbers) == text and from_text(text, len(numbers)) == numbers


@pytest.mark.parametrize("text", ["1-999999999", "3,2", "", "1-2", "a", "1-3x0"])
def test_text_that_names_other_numbers(text):
    assert from_text(text, 3) is None


def write_clip(folder, first=1001, count=6, name="s.{:04d}.png"):
    for n in range(count):
        pixels = np.full((36, 48, 3), 20 + n, np.uint8)
        write_image(folder / name.format(first + n), pixels)
    return folder
