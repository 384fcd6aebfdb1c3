"""Files dropped on Blender: pictures and movies become entries that are pinned on the frame."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.paint import placement
from blender_addon.shot.stack_file import MOVIES, PICTURES
from blender_addon.ui import drop_operators

pytestmark = pytest.mark.usefixtures("extension")
LAYER = "background"


@pytest.fixture
def pictures(made, tmp_path) -> Path:
    """A folder of numbered pictures, a logo, and what is no picture."""
    folder = tmp_path / "dropped"
    folder.mkdir()
    for number, name in enumerate(("leaf-2", "toy", "leaf-2")):
        shutil.copy(made / f"shot.nvd/textures/{name}.png", folder / f"run.{number:04d}.png")
    shutil.copy(made / "shot.nvd/textures/toy.png", folder / "logo.PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def ended(tiny_job):
    job = runner.tools.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()


def test_a_dropped_picture_is_pinned_on_the_frame(entry, pictures, tiny_job):
    bpy.context.scene.frame_set(2)
    assert bpy.ops.nvd.drop(filepath=str(pictures / "logo.PNG")) == {"FINISHED"}
    assert [item.kind for item in entry.stack] == ["picture"]
    ended(tiny_job)
    item = entry.stack["logo"]
    assert item.has_corners and item.layer == LAYER
    frame, places = placement._last[entry.id, "logo"]
    middle = placement.visible_place(entry, item, 1)
    assert (frame, places) == (1, placement.first_places(entry, item, middle))


def test_it_goes_where_the_layer_shows(entry, pictures, made, reference, tiny_job):
    """Maps that cannot be read are named, and nothing is laid on the layer then."""
    bpy.ops.nvd.drop(filepath=str(pictures / "logo.PNG"), frame=0)
    ended(tiny_job)
    item, maps = entry.stack["logo"], reference.Truth(made).arrays["maps"]
    for number, name in enumerate(entry.layers.keys()):
        item.layer = name
        x, y = placement.visible_place(entry, item, 0)
        alpha = maps[0, number, ..., 2]
        assert alpha[round(y), round(x)] > 0.5 or alpha.max() < 0.5
    path = entry.path / "maps/00001.exr"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.nvd.drop(filepath=str(pictures / "logo.PNG"), frame=1)
    assert list(entry.stack.keys()) == ["logo"]


def test_numbered_pictures_are_one_movie(entry, pictures, tiny_job):
    names = [{"name": f"run.{number:04d}.png"} for number in (2, 0, 1)]
    done = bpy.ops.nvd.drop(directory=str(pictures), files=names, frame=0)
    assert done == {"FINISHED"}
    (item,) = entry.stack
    assert item.kind == "movie" and len(list((entry.path / item.file).parent.glob("*.png"))) == 3
    ended(tiny_job)
    assert entry.stack[0].has_corners


def test_one_file_may_come_as_a_list(entry, pictures, tiny_job):
    done = bpy.ops.nvd.drop(directory=str(pictures), files=[{"name": "logo.PNG"}], frame=1)
    assert done == {"FINISHED"} and entry.stack[0].kind == "picture"
    ended(tiny_job)


@pytest.mark.once
def test_what_cannot_be_placed_leaves_nothing(entry, pictures):
    for words, said in (
        ({"filepath": str(pictures / "notes.txt")}, "neither"),
        ({"filepath": str(pictures / "gone.png")}, "no file"),
        ({}, "no file was dropped"),
        ({"filepath": str(pictures / "logo.PNG"), "frame": 99}, "no frame"),
    ):
        with pytest.raises(RuntimeError, match=said):
            bpy.ops.nvd.drop(**words)
    several = [pictures / "logo.PNG", pictures / "run.0000.png"]
    with pytest.raises(AddonError, match="no numbered pictures"):
        drop_operators.dropped(several)
    assert not len(entry.stack) and not list((entry.path / "edits").glob("stack/*"))


def test_blender_knows_what_to_drop_where(entry):
    """The handler is registered, takes what a layer takes, and is asked where a shot is chosen."""
    handler = bpy.types.FileHandler.bl_rna_get_subclass_py("NVD_FH_drop")
    assert handler is drop_operators.NVD_FH_drop
    assert handler.bl_file_extensions.split(";") == [*PICTURES, *MOVIES]
    assert "UNDO" in drop_operators.NVD_OT_drop.bl_options
    assert hasattr(bpy.ops.nvd, handler.bl_import_operator.removeprefix("nvd."))

    def takes(area, region):
        fake = SimpleNamespace(type=area), SimpleNamespace(type=region)
        scene = bpy.context.scene
        context = SimpleNamespace(
            area=fake[0], region=fake[1], scene=scene, sequencer_scene=scene, window=None
        )
        return handler.poll_drop(context)

    for area in ("IMAGE_EDITOR", "VIEW_3D"):
        assert takes(area, "WINDOW") and takes(area, "UI") and not takes(area, "HEADER")
    assert takes("SEQUENCE_EDITOR", "PREVIEW") and not takes("SEQUENCE_EDITOR", "WINDOW")
    assert not takes("TEXT_EDITOR", "WINDOW")
    bpy.context.scene.nvd_shots.clear()
    assert not takes("VIEW_3D", "WINDOW")
