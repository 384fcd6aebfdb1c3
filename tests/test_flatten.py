"""The stack of edits as pictures: equal to the sheets, one where nothing changes, made again."""

import json

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.flatten import FILE, changing, flat_bytes, flatten, remove_flat
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import read_image, read_stored, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.stack import Entry

FRAMES = 8


@pytest.fixture
def shot(tmp_path, synthetic):
    return synthetic.make_shot(tmp_path / "shot.nvd", frames=FRAMES)


@pytest.fixture
def filled(shot, stacked):
    """Paint below; a picture with fades and an adjustment on one layer, words on another."""
    edit = read_image(shot.edit_path("dog"))
    edit[5:20, 5:20] = (255, 0, 0, 120)
    write_image(shot.edit_path("dog"), edit)
    file = stacked.add_file(shot, "logo.png", stacked.picture(stacked.GREEN, 0.7))
    stacked.put(
        shot,
        Entry("logo", "dog", "picture", file=file, corners=stacked.QUAD, frames=(2, 5), fade_in=1),
        Entry("bright", "dog", "adjustment", gain=3.0, opacity=0.5, frames=(4, 6)),
        Entry("words", "cat", "text", text="HI", corners=stacked.QUAD, blend="add"),
        Entry("off", "background", "adjustment", hue=90, on=False),
    )
    return shot


def picture(shot, name, number):
    stored = read_stored(shot.folder / f"flat/{name}/{number:05d}.exr").pixels.astype(np.float32)
    return stored[..., :3], stored[..., 3:]


def test_pictures_are_the_sheets_of_their_frames(filled):
    made = flatten(filled)
    assert set(made) == {"dog", "cat"}
    assert (made["dog"].first, made["dog"].count) == (1, 7) and made["cat"].count == 1
    sheets = Sheets(filled)
    for name, one in made.items():
        for t in range(FRAMES):
            number = min(max(t - one.first, 0), one.count - 1)
            colours, opacity = picture(filled, name, number)
            sheet = sheets.sized(name, t)
            assert np.abs(opacity * (colours - sheet.learned) - sheet.delta).max() < 1.5e-3, (
                t,
                name,
            )
            assert np.abs(opacity * colours - sheet.paint).max() < 1.5e-3, (t, name)
            assert (opacity == 0)[~(sheet.delta != 0).any(2)].all()
    assert sheets.sized("dog", 5).full.max() > 1.1  # what is brighter than a picture's white stays


def test_equal_frames_are_one_file_and_nothing_is_written_beyond(filled):
    flatten(filled)
    files = sorted((filled.folder / "flat/dog").iterdir())
    assert [file.name for file in files] == [f"{n:05d}.exr" for n in range(7)]
    # without; coming; there; with the adjustment, twice; that alone; without
    assert len({file.stat().st_ino for file in files}) == 5
    assert files[0].stat().st_ino == files[-1].stat().st_ino
    before = flat_bytes(filled)
    assert before < sum(file.stat().st_size for file in files) * 2
    assert remove_flat(filled) == before and not (filled.folder / "flat").exists()


def test_a_disk_without_links_has_copies(filled, monkeypatch):
    def refuses(*_):
        raise OSError(1, "no links")

    monkeypatch.setattr("os.link", refuses)
    flatten(filled)
    files = sorted((filled.folder / "flat/dog").iterdir())
    assert len({file.stat().st_ino for file in files}) == len(files) == 7
    assert files[0].read_bytes() == files[-1].read_bytes()


def test_what_cannot_be_read_leaves_the_pictures_of_before(filled):
    flatten(filled)
    before = (filled.folder / FILE).read_bytes()
    logo = filled.folder / "edits/stack/logo.png"
    whole = logo.read_bytes()
    logo.unlink()
    with pytest.raises(NvdError):
        flatten(filled)
    logo.write_bytes(whole[:-30])
    with pytest.raises(NvdError):
        flatten(filled)
    assert (filled.folder / FILE).read_bytes() == before and picture(filled, "dog", 6)
    assert sorted(path.name for path in filled.folder.glob("flat*")) == ["flat"]


def test_nothing_is_rendered_into_it_since_it_is_removed_whole(filled, capsys):
    flatten(filled)
    for place in ("flat", "flat/dog"):
        out = filled.folder / place / "%05d.png"
        assert main(["render", str(filled.folder), "--out", str(out)]) == 2
        assert "belongs to the decomposition" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("states", "wanted"),
    [("aaaa", (0, 0)), ("aabb", (1, 2)), ("abba", (0, 3)), ("aabcdd", (1, 4)), ("abab", (0, 3))],
)
def test_which_frames_are_written(states, wanted):
    assert changing(states) == wanted


def test_the_command(filled, stacked, capsys):
    assert main(["edits", "flatten", str(filled.folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["layers"]["dog"] == {"first": 1, "count": 7} and told["bytes"] > 0
    stored = json.loads((filled.folder / FILE).read_text("utf-8"))
    assert stored["schema"] == "nvd.flat" and stored["layers"] == told["layers"]
    facts = (filled.folder / "edits/dog.png").stat()
    assert stored["sources"]["edits/dog.png"] == [facts.st_size, facts.st_mtime_ns]
    assert "edits/stack/logo.png" in stored["sources"] and "edits/stack.json" in stored["sources"]
    assert main(["edits", "flatten", str(filled.folder), "--remove"]) == 0
    assert not (filled.folder / "flat").exists()
    stacked.put(filled)
    assert main(["edits", "flatten", str(filled.folder)]) == 0
    assert not (filled.folder / "flat").exists()
