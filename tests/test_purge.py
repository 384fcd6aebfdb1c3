"""What can be made again is removed, its size is said before, and nothing of the artist's goes."""

import json

import pytest

from nvd_core.cli.main import main
from nvd_core.editing.flatten import flatten
from nvd_core.media.images import write_image
from nvd_core.shot.stack import Entry


@pytest.fixture
def shot(tmp_path, synthetic, stacked):
    made = synthetic.make_shot(tmp_path / "shot.nvd")
    stacked.put(made, Entry("night", "background", "adjustment", gain=0.5, frames=(1, 1)))
    flatten(made)
    render = made.folder / "render"
    out = ["--start", "0"]
    for place in (render, render / "without_dog"):
        words = ["render", str(made.folder), "--out", str(place / "%05d.png"), *out]
        assert main(words) == 0
    write_image(render / "mine/00000.png", stacked.picture())
    (render / "notes.txt").write_text("of the artist")
    (render / "cover.png").write_bytes(b"of the artist")
    return made


def told(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_sizes_are_said_and_parts_go(shot, capsys):
    files = sorted(path for path in shot.folder.rglob("*") if path.is_file())
    capsys.readouterr()
    assert main(["purge", str(shot.folder), "--json"]) == 0
    sizes = told(capsys)["bytes"]
    assert sizes["flat"] > 1000 and sizes["render"] > 1000
    assert files == sorted(path for path in shot.folder.rglob("*") if path.is_file())
    assert main(["purge", str(shot.folder), "flat", "--json"]) == 0
    assert told(capsys)["removed_bytes"] == {"flat": sizes["flat"]}
    assert not (shot.folder / "flat").exists() and (shot.folder / "render/00000.png").exists()
    assert main(["purge", str(shot.folder), "render", "--json"]) == 0
    assert told(capsys)["removed_bytes"] == {"render": sizes["render"]}
    left = sorted(path for path in (shot.folder / "render").rglob("*") if path.is_file())
    assert [path.name for path in left] == ["cover.png", "00000.png", "notes.txt"]
    gone = {"flat", "render"}
    kept = [path for path in files if path.relative_to(shot.folder).parts[0] not in gone]
    assert all(path.exists() for path in kept)


def test_an_unknown_part_is_named(shot, capsys):
    assert main(["purge", str(shot.folder), "edits"]) == 2
    assert "expected flat or render" in capsys.readouterr().err
