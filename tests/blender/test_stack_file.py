"""edits/stack.json as the extension reads and writes it; what is wrong in it is named."""

import dataclasses
import json

import bpy
import pytest

from blender_addon.shot import stack_file
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.shot.scripting import open_shot
from blender_addon.shot.stack_file import Entry, digest, read_stack, write_stack

QUAD = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
FILE = "edits/stack/a.png"
PAINT = {"name": "A", "layer": "toy", "kind": "paint", "file": FILE}


def put(folder, *entries, **other):
    whole = {"schema": "nvd.stack", "version": 1, "entries": list(entries), **other}
    (folder / "edits/stack.json").write_text(json.dumps(whole))


def test_what_is_written_is_read_again(folder):
    entries = [
        Entry("A", "toy", "paint", file=FILE, opacity=0.25, frames=(0, 2), fade_in=1, fade_out=2),
        Entry("b 2", "toy", "picture", file="edits/stack/b.exr", blend="soft_light"),
        Entry("c-3", "background", "movie", file="edits/stack/c/%05d.png", start=2, after="loop"),
        Entry(
            "d.4", "toy", "text", text="two\nlines", colour=(1.0, 0.5, 0.0), corners=((0.0, 0.0),
            (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
        ),
        Entry("Überschrift", "toy", "adjustment", on=False, hue=-20.0, gamma=1.5),
    ]  # fmt: skip
    shot = read_shot(folder)
    assert read_stack(shot) is None
    write_stack(read_shot(folder), entries)
    assert read_stack(shot) == entries
    stored = json.loads((folder / "edits/stack.json").read_text("utf-8"))
    assert stored["schema"] == "nvd.stack" and stored["version"] == 1
    assert stored["entries"][1] == {
        "name": "b 2", "layer": "toy", "kind": "picture", "blend": "soft_light",
        "file": "edits/stack/b.exr",
    }  # fmt: skip
    assert digest(entries) == digest(read_stack(shot)) != digest(entries[:-1])


def test_strength_follows_range_and_fades():
    entry = Entry("A", "toy", "paint", file=FILE, opacity=0.5, frames=(2, 5), fade_in=1, fade_out=2)
    wanted = [0, 0, 0.25, 0.5, 0.5 * 2 / 3, 0.5 / 3, 0]
    assert [entry.strength(t, 7) for t in range(7)] == pytest.approx(wanted)
    whole = dataclasses.replace(entry, frames=None)
    assert [whole.strength(t, 4) for t in range(4)] == pytest.approx([0.25, 0.5, 1 / 3, 1 / 6])
    assert dataclasses.replace(entry, on=False).strength(3, 7) == 0


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"name": "con/x"}, "name"),
        ({"name": " A"}, "name"),
        ({"name": "A."}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 61}, "name"),
        ({"layer": "no"}, "layer"),
        ({"kind": "drawing"}, "kind"),
        ({"on": 1}, "on"),
        ({"opacity": 1.5}, "opacity"),
        ({"opacity": float("nan")}, "opacity"),
        ({"opacity": True}, "opacity"),
        ({"blend": "burn"}, "blend"),
        ({"frames": [3, 2]}, "frames"),
        ({"frames": [0]}, "frames"),
        ({"fade_in": -1}, "fade_in"),
        ({"fade_out": 0.5}, "fade_out"),
        ({"file": ""}, "file"),
        ({"file": "edits/toy.png"}, "file"),
        ({"file": "edits/stack/../../x.png"}, "file"),
        ({"file": "edits/stack/a.gif"}, "file"),
        ({"file": "edits/stack/%05d.png"}, "file"),
        ({"kind": "movie", "file": "edits/stack/a.png"}, "file"),
        ({"kind": "movie", "file": "edits/stack/a%d/%05d.png"}, "file"),
        ({"kind": "picture", "corners": QUAD[:3]}, "corners"),
        ({"kind": "picture", "corners": [QUAD[0], QUAD[2], QUAD[1], QUAD[3]]}, "corners"),
        ({"kind": "picture", "corners": [[0, 0]] * 4}, "corners"),
        ({"kind": "text", "text": 3}, "text"),
        ({"kind": "text", "text": "x" * 1001}, "text"),
        ({"kind": "text", "text": "x", "font": "edits/stack/f.png"}, "font"),
        ({"kind": "text", "text": "x", "colour": [1, 1, 2]}, "colour"),
        ({"kind": "adjustment", "hue": 181}, "hue"),
        ({"kind": "adjustment", "gamma": 0}, "gamma"),
        ({"kind": "adjustment", "mask": "a.png"}, "mask"),
        ({"colour_space": "x"}, "colour_space"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(folder, changes, key):
    put(folder, PAINT | {"name": "good"}, PAINT | changes)
    with pytest.raises(ShotError) as caught:
        open_shot(folder)
    assert "stack.json" in str(caught.value) and "entries[1]" in str(caught.value)
    assert key in str(caught.value) and not bpy.data.images


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"schema": "nvd.stack", "version": 1}', "[" * 3000,
     '{"schema": "nvd.stack", "version": 3, "entries": []}',
     '{"schema": "nvd.stack", "version": 1, "entries": [1]}',
     '{"schema": "nvd.stack", "version": 1, "entries": [], "more": 1}'],
)  # fmt: skip
def test_a_damaged_file_is_refused(folder, text):
    (folder / "edits/stack.json").write_text(text)
    with pytest.raises(ShotError, match=r"stack\.json"):
        open_shot(folder)


@pytest.mark.parametrize("entries", [[PAINT, PAINT | {"name": "a"}], [PAINT] * 201])
def test_names_are_told_apart_and_entries_have_a_number_that_is_the_most(folder, entries):
    put(folder, *entries)
    with pytest.raises(ShotError, match=r"stack\.json"):
        read_stack(read_shot(folder))


def test_a_full_disk_leaves_the_old_file(folder, monkeypatch):
    write_stack(read_shot(folder), [])
    before = (folder / "edits/stack.json").read_text()
    monkeypatch.setattr(stack_file.os, "replace", _full)
    with pytest.raises(ShotError, match="could not be written"):
        write_stack(read_shot(folder), [Entry("A", "toy", "paint", file=FILE)])
    assert (folder / "edits/stack.json").read_text() == before
    assert not list((folder / "edits").glob(".*"))


def test_what_no_reader_would_take_is_not_written(folder):
    crossed = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
    entry = Entry("A", "toy", "picture", file=FILE, corners=crossed)
    with pytest.raises(ShotError, match=r"corners.*0: A"):
        write_stack(read_shot(folder), [entry])
    assert not (folder / "edits/stack.json").exists()


def _full(*_paths):
    raise OSError(28, "No space left on device")


pytestmark = pytest.mark.once
