"""Folders that cannot be opened say what is wrong and what to do."""

import json
import shutil

import bpy
import pytest

from blender_addon.shot.folder import VERSION, ShotError, read_shot
from blender_addon.shot.scripting import open_shot


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    return tmp_path / "shot.nvd"


def change(folder, key, value):
    """Set the manifest's `key`, such as "clip.frames" or "layers.0.edit"; None removes it."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    values = manifest
    for parent in parents:
        values = values[parent]
    if value is None:
        del values[last]
    else:
        values[last] = value
    path.write_text(json.dumps(manifest))


def test_reads(folder):
    shot = read_shot(folder)
    assert shot.name == "shot"
    assert [layer.name for layer in shot.layers] == ["toy", "leaf-2", "background"]
    assert shot.rate == (24000, 1001)
    assert shot.map(2) == folder / "maps/00002.exr"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("schema", "something.else", "something.else"),
        ("version", VERSION + 1, "update the extension"),
        ("version", "1", "whole number"),
        ("version", True, "whole number"),
        ("clip", None, "clip.frames"),
        ("clip.frames", 0, "clip.frames"),
        ("clip.frames", 5, "2 of 5 frames are missing"),
        ("clip.width", "160", "clip.width"),
        ("clip.rate", [24], "clip.rate"),
        ("clip.encoding", "aces", "display or linear"),
        ("frames", "frames/%s.png", "pattern"),
        ("frames", "frames/00000.png", "pattern"),
        ("maps", "../maps/%05d.exr", "outside itself"),
        ("layers", [], "no layers"),
        ("layers", ["toy"], "layers[0].name"),
        ("layers.0.name", "a/b", "no name for a layer"),
        ("layers.0.name", "background", "names two"),
        ("layers.0.kind", "sky", "object or background"),
        ("layers.0.texture", "/etc/hostname", "outside itself"),
        ("layers.1.edit", "../../edit.png", "outside itself"),
        ("layers.1.texture", "textures/gone.png", "missing"),
    ],
)
def test_refuses(folder, key, value, says):
    change(folder, key, value)
    with pytest.raises(ShotError) as caught:
        read_shot(folder)
    assert says in str(caught.value)
    assert caught.value.problem and caught.value.remedy


def test_refuses_links_that_leave(folder, tmp_path):
    (tmp_path / "elsewhere.png").write_bytes((folder / "edits/toy.png").read_bytes())
    (folder / "edits/toy.png").unlink()
    (folder / "edits/toy.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(ShotError, match="outside itself"):
        read_shot(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff\x00"])
def test_refuses_damaged_manifest(folder, text):
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ShotError):
        read_shot(folder)


def test_refuses_unfinished_folder(tmp_path):
    with pytest.raises(ShotError, match="nvd decompose"):
        read_shot(tmp_path)


def test_unreadable_image_is_an_error_and_changes_nothing(folder):
    (folder / "maps/00000.exr").write_bytes(b"not an image")
    with pytest.raises(ShotError):
        open_shot(folder)
    assert not [group.name for group in bpy.data.node_groups if group.name.startswith("NVD")]
    assert not bpy.data.images


def test_map_without_the_layer_is_an_error(folder):
    change(folder, "layers.0.name", "someone")
    with pytest.raises(ShotError, match="someone"):
        open_shot(folder)


def test_missing_edit_starts_as_the_texture(folder):
    (folder / "edits/toy.png").unlink()
    open_shot(folder)
    assert (folder / "edits/toy.png").read_bytes() == (folder / "textures/toy.png").read_bytes()


def test_edit_that_cannot_be_made_is_an_error(folder):
    change(folder, "layers.0.edit", "manifest.json/toy.png")
    with pytest.raises(ShotError, match="cannot be made"):
        open_shot(folder)


def test_unknown_mode(folder):
    with pytest.raises(ValueError, match="both"):
        open_shot(folder, "both")


def with_pixels(folder, aspect):
    picture = {"alpha": "none", "primaries": None, "colour_id": "", "movie": None}
    change(folder, "version", 2)
    change(folder, "clip.picture", picture | ({} if aspect is None else {"pixel_aspect": aspect}))


@pytest.mark.parametrize(
    ("aspect", "sides"), [([2, 1], (2, 1)), ([8, 9], (1, 1.125)), ([1, 1], (1, 1))]
)
def test_pixels_that_are_not_square(folder, aspect, sides):
    """The scene shows them as wide as they are; the picture's own pixels stay."""
    with_pixels(folder, aspect)
    open_shot(folder)
    render = bpy.context.scene.render
    assert (render.pixel_aspect_x, render.pixel_aspect_y) == pytest.approx(sides)
    assert (render.resolution_x, render.resolution_y) == (160, 90)


@pytest.mark.parametrize("aspect", [[0, 1], [1000, 1], [1, 2**31], [1], ["a", 1], None])
def test_a_pixel_aspect_that_is_none(folder, aspect):
    with_pixels(folder, aspect)
    with pytest.raises(ShotError, match="pixel_aspect"):
        open_shot(folder)
