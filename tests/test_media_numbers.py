"""The source's own numbers: patterns of every program, negative ones, holes, what is no frame."""

from dataclasses import replace

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.images import write_image
from nvd_core.media.numbering import as_text, from_text
from nvd_core.media.sequences import find_frames, frame_path, is_pattern
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.shot import Shot


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


def test_a_clip_knows_its_numbers_and_is_cut_by_them(tmp_path):
    folder = write_clip(tmp_path / "clip")
    assert open_clip(folder).info.numbers == "1001-1006"
    part = open_clip(folder, (1003, 1005), reading=Reading(start="source"))
    assert (part.info.first_frame, part.info.numbers) == (2, "1003-1005")
    assert [int(frame[0, 0, 0]) for frame in part] == [22, 23, 24]
    assert open_clip(folder, (11, 12), reading=Reading(start=10)).info.numbers == "1002-1003"
    assert open_clip(folder, (1, 2)).info.numbers == "1002-1003"  # from 0, as ever
    with pytest.raises(NvdError, match="1003-1009") as caught:
        open_clip(folder, (1003, 1009))
    assert "1001-1006, with --start source" in caught.value.remedy
    noted = open_clip(folder).info
    assert type(noted).from_json(noted.to_json()).own_numbers == list(range(1001, 1007))


def test_a_held_frame_is_the_file_before(tmp_path):
    folder = write_clip(tmp_path / "clip")
    (folder / "s.1003.png").unlink()
    clip = open_clip(folder, reading=Reading(missing="hold"))
    assert [int(frame[0, 0, 0]) for frame in clip] == [20, 21, 21, 23, 24, 25]
    assert any("held: 1003" in caution for caution in clip.info.cautions)


@pytest.mark.parametrize(("start", "first"), [(None, 1001), ("source", 1001), (0, 0), (-2, -2)])
def test_rendered_images_have_the_sources_numbers(tmp_path, synthetic, start, first):
    shot = with_numbers(synthetic.make_shot(tmp_path / "shot.nvd"))
    result = render(shot, tmp_path / "out" / "%04d.png", start=start)
    numbers = range(first, first + shot.frames)
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert names == {f"{n:04d}.png" for n in numbers}
    assert result["numbers"] == as_text(numbers)
    again = render(shot, tmp_path / "out" / "%04d.png", start=start)
    assert again["unchanged"] == shot.frames


def with_numbers(shot):
    clip = replace(shot.manifest.clip, numbers=f"1001-{1000 + shot.frames}")
    write_manifest(shot.folder, replace(shot.manifest, clip=clip))
    return Shot.open(shot.folder)


def test_render_takes_a_range_by_the_sources_numbers(tmp_path, synthetic):
    shot = with_numbers(synthetic.make_shot(tmp_path / "shot.nvd"))
    words = ["render", str(shot.folder), "--out", str(tmp_path / "out" / "%04d.png")]
    assert main([*words, "--frames", "1002-1002", "--start", "source"]) == 0
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["1002.png"]
    assert main([*words, "--frames", "1002-1002"]) == 2  # from 0 without --start


def test_a_shot_without_numbers_renders_from_0_as_before(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    render(shot, tmp_path / "out" / "%05d.png", frames=(1, 1))
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["00001.png"]


def test_a_movies_name_with_a_hash(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    render(shot, tmp_path / "take#2_out.mp4")
    assert open_clip(tmp_path / "take#2_out.mp4").info.frames == shot.frames
