"""Frames rendered ahead of a playhead: in its order, each told of, and none that is old."""

import json
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render
from nvd_core.editing.rendering import Rendering
from nvd_core.media.colour_tags import png_chunks
from nvd_core.media.fast_png import read_plain_png
from nvd_core.media.images import read_image, write_image
from nvd_core.media.quick_png import QUICK, quick_png
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.progress import Progress

FRAMES = 6


@pytest.fixture
def shot(tmp_path, synthetic):
    made = synthetic.make_shot(tmp_path / "shot.nvd", FRAMES)
    paint(made, 250)
    return made


def paint(shot, value):
    image = read_image(shot.texture_path("background"))
    image[..., :3] = value
    write_image(shot.edit_path("background"), image)


def ahead(shot, frame, capsys, *more):
    """The frames in the order in which they were told of; those at once in one list."""
    out = shot.folder / "render/ahead/%05d.png"
    words = ["render", str(shot.folder), "--out", str(out), "--quality", "draft", "--start", "0"]
    capsys.readouterr()
    assert main([*words, "--ahead", str(frame), "--json", *more]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [event["frames"] for event in events if event["event"] == "images"]
    return [[n for a, b in ranges for n in range(a, b + 1)] for ranges in told]


def test_the_playheads_frame_comes_first_and_each_is_told_of(shot, capsys):
    assert ahead(shot, 4, capsys) == [[4], [5], [0], [1], [2], [3]]
    assert ahead(shot, 2, capsys) == [list(range(FRAMES))]  # nothing has changed since
    paint(shot, 10)
    assert ahead(shot, 5, capsys, "--frames", "3-5") == [[5], [3], [4]]


def test_they_are_what_is_rendered_without_a_draft(shot, capsys, tmp_path):
    ahead(shot, 0, capsys)
    render(shot, tmp_path / "fine/%05d.png", start=0)
    for path in sorted((tmp_path / "fine").glob("*.png")):
        assert np.array_equal(
            read_image(path), read_image(shot.folder / "render/ahead" / path.name)
        )


def test_none_is_told_of_before_it_is_written(shot, monkeypatch):
    """And none whose image is of an older edit."""
    seen = []

    class Watching(Progress):
        def images(self, numbers):
            for t in numbers:
                path = shot.folder / f"render/ahead/{t:05d}.png"
                seen.append((t, read_image(path)))

    out = shot.folder / "render/ahead/%05d.png"
    render(shot, out, start=0, ahead=0, quality="draft")
    paint(shot, 10)
    render(shot, out, start=0, ahead=3, quality="draft", progress=Watching())
    assert [t for t, _ in seen] == [3, 4, 5, 0, 1, 2]
    for t, image in seen:
        assert np.array_equal(image, read_image(Path(str(out) % t)))


def test_the_folder_is_free_for_others_meanwhile(shot, capsys):
    with writing(shot.folder, "nvd paint", Progress()):
        assert len(ahead(shot, 0, capsys)) == FRAMES
    held = writing(shot.folder / "render/ahead", "nvd render", Progress())
    with held, pytest.raises(NvdError, match="ahead"):
        render(shot, shot.folder / "render/ahead/%05d.png", start=0, ahead=0)


def test_a_purge_takes_them_away(shot, capsys):
    ahead(shot, 0, capsys)
    assert main(["purge", str(shot.folder), "render"]) == 0
    assert not (shot.folder / "render").exists()


def test_a_stop_loses_no_finished_image(shot, capsys, monkeypatch):
    out = shot.folder / "render/ahead/%05d.png"
    progress, written = Progress(), []

    def images(numbers):
        written.extend(numbers)
        if len(written) == 2:
            progress.cancel()

    progress.images = images
    with pytest.raises(Cancelled):
        render(shot, out, start=0, ahead=4, quality="draft", progress=progress)
    assert written == [4, 5]
    composed = []
    frames = Rendering.frames
    monkeypatch.setattr(
        Rendering, "frames", lambda self, numbers: composed.extend(numbers) or frames(self, numbers)
    )
    assert ahead(shot, 0, capsys)[0] == [4, 5] and composed == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x.mp4", "--ahead", "0"], "numbered images of the whole picture"),
        (["--out", "%05d.png", "--ahead", "0", "--layer", "dog"], "of the whole picture"),
        (["--out", "%05d.png", "--ahead", "5", "--frames", "0-3"], "not among those to render"),
        (["--out", "%05d.png", "--ahead", "9"], "9"),
        (["--out", "%05d.exr", "--quality", "draft"], "have no draft"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    shot, tmp_path, monkeypatch, capsys, words, said
):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["render", str(shot.folder), *words]) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "empty").iterdir())


def test_a_quick_png_is_read_by_all_bit_for_bit(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    path = tmp_path / "quick.png"
    path.write_bytes(quick_png(pixels))
    assert np.array_equal(read_image(path), pixels) and np.array_equal(read_plain_png(path), pixels)
    write_image(path, pixels[:, ::-1], QUICK)
    assert np.array_equal(read_image(path), pixels[:, ::-1])
    write_image(tmp_path / "other.png", pixels)
    chunks = [png_chunks(tmp_path / name) for name in ("quick.png", "other.png")]
    assert chunks[0] == chunks[1] and {b"sRGB", b"gAMA", b"cHRM"} <= {name for name, _ in chunks[0]}
    deep = pixels.astype(np.uint16) * 257  # what it is not for is written as ever
    write_image(path, deep, QUICK)
    assert np.array_equal(read_image(path), deep)
