"""Finding numbered files: order, patterns, gaps, and what stands in the folder instead."""

import numpy as np
import pytest

from nvd_core.media.images import write_image
from nvd_core.media.sequences import (
    ImageSequence,
    file_number,
    frame_path,
    is_movie,
    is_pattern,
    list_frames,
)
from nvd_core.runtime.errors import NvdError


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def names(source):
    return [path.name for path in list_frames(source)]


def test_folder_in_natural_order_without_hidden_files_and_other_things(tmp_path):
    touch(tmp_path, *(f"frame{n}.PNG" for n in range(8, 12)), ".frame7.png", "notes.txt")
    (tmp_path / "sub.png").mkdir()
    assert names(tmp_path) == ["frame8.PNG", "frame9.PNG", "frame10.PNG", "frame11.PNG"]


def test_folder_of_names_without_numbers(tmp_path):
    touch(tmp_path, "b.jpg", "a.jpg")
    assert names(str(tmp_path)) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("pattern", ["s.%04d.exr", "s.####.exr"])
def test_pattern(tmp_path, pattern):
    touch(tmp_path, *(f"s.{n:04d}.exr" for n in (9999, 10000, 10001)), "s.01.exr", "t.0001.exr")
    assert names(tmp_path / pattern) == ["s.9999.exr", "s.10000.exr", "s.10001.exr"]


def test_pattern_without_zeros(tmp_path):
    touch(tmp_path, "a9_l.png", "a10_l.png", "a010_l.png")
    assert names(tmp_path / "a%d_l.png") == ["a9_l.png", "a10_l.png"]


def test_single_image_even_with_a_hash_in_its_name(tmp_path):
    touch(tmp_path, "take#1.png")
    assert names(tmp_path / "take#1.png") == ["take#1.png"]


def test_frame_path_and_suffixes():
    assert str(frame_path("a/b_%05d.png", 42)).endswith("b_00042.png")
    assert frame_path("b.###.exr", 7).name == "b.007.exr"
    assert frame_path("%d.png", 12).name == "12.png"
    assert is_pattern("x/%03d.png") and is_pattern("#.png") and not is_pattern("x%04d/a.png")
    assert is_movie("A.MOV") and not is_movie("a.png")
    assert file_number("shot1_0042_left.png") == "0042" and file_number("a.png") is None


@pytest.mark.parametrize("source", ["", "%02d.png"])
def test_missing_numbers_are_named(tmp_path, source):
    touch(tmp_path, *(f"{n:02d}.png" for n in range(20) if n not in (3, 5, 6, 7, 8, 9, 11)))
    with pytest.raises(NvdError, match="3, 5, 6, 7, 8 and 2 more") as caught:
        list_frames(tmp_path / source)
    assert caught.value.expected == "every number from 0 to 19"
    assert "renumber" in caught.value.remedy


def test_nothing_there_says_what_is(tmp_path):
    touch(tmp_path / "f", "a.txt", "b.txt", "c.txt", "d.txt")
    with pytest.raises(NvdError, match="no images in the folder") as caught:
        list_frames(tmp_path / "f")
    assert caught.value.found == "a.txt, b.txt, c.txt and 1 more files"
    with pytest.raises(NvdError, match=r"no file matches x%03d\.png in .*f") as caught:
        list_frames(tmp_path / "f" / "x%03d.png")
    assert "a.txt" in caught.value.found and "four digits" in caught.value.remedy
    with pytest.raises(NvdError, match="no file or folder") as caught:
        list_frames(tmp_path / "g" / "x.png")
    assert "no folder" in caught.value.found and "check the path" in caught.value.remedy


def test_ambiguous_folders_ask_for_a_pattern(tmp_path):
    touch(tmp_path / "kinds", "1.png", "2.png", "1.jpg")
    with pytest.raises(NvdError, match="several kinds") as caught:
        list_frames(tmp_path / "kinds")
    assert caught.value.found == "1 .jpg, 2 .png" and "pattern" in caught.value.remedy
    touch(tmp_path / "two", "a1.png", "a2.png", "b1.png", "b2.png")
    with pytest.raises(NvdError, match="several sequences") as caught:
        list_frames(tmp_path / "two")
    assert caught.value.found == "a#, b#" and "pattern" in caught.value.remedy


def test_two_places_for_the_number(tmp_path):
    with pytest.raises(NvdError, match="not a pattern") as caught:
        frame_path("%02d_%02d.png", 1)
    assert caught.value.found == "2" and "%05d" in caught.value.remedy


def test_a_frame_of_another_size_or_depth_is_named(tmp_path):
    write_image(tmp_path / "0.png", np.zeros((20, 30, 3), np.uint8))
    write_image(tmp_path / "1.png", np.zeros((20, 31, 3), np.uint8))
    write_image(tmp_path / "2.png", np.zeros((20, 30, 3), np.uint16))
    sequence = ImageSequence(tmp_path)
    for index, found in [(1, "31 x 20 uint8"), (2, "30 x 20 uint16")]:
        with pytest.raises(NvdError, match=rf"{index}\.png differs") as caught:
            list(sequence.read(index, index + 1))
        assert caught.value.found == found and "one size" in caught.value.remedy
