"""The operators of the tab Layers, pressed without a window."""

import shutil
import time

import bpy
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.blender.problems import TEXTS
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.shot import painting, shots
from blender_addon.strip import render_job


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def entry(made, tmp_path):
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    return shots.add_shot(tmp_path / "shot.nvd")


def test_operators(entry, tmp_path):
    layer = entry.layers["leaf-2"]
    assert bpy.ops.nvd.paint_layer(layer="leaf-2") == {"FINISHED"}
    assert bpy.context.scene.tool_settings.image_paint.canvas == layer.edit
    assert bpy.ops.nvd.show_layer(layer="leaf-2", what="checker") == {"FINISHED"}
    assert painting.shown(layer) == "checker"
    assert bpy.ops.nvd.restore_learned(layer="leaf-2") == {"FINISHED"}
    assert bpy.ops.nvd.bring_back(layer="leaf-2") == {"FINISHED"}
    assert bpy.ops.nvd.save_edits() == {"FINISHED"}
    assert bpy.ops.nvd.preview() == bpy.ops.nvd.preview() == {"FINISHED"}
    painting.write_pixels(layer.edit, painting.read_pixels(layer.edit))
    (tmp_path / "shot.nvd").rename(tmp_path / "moved.nvd")
    with pytest.raises(RuntimeError, match="Find Again"):
        bpy.ops.nvd.save_edits()
    assert bpy.ops.nvd.find_again(directory=str(tmp_path / "moved.nvd")) == {"FINISHED"}
    assert bpy.ops.nvd.save_edits() == {"FINISHED"}


def test_a_shot_is_opened_into_the_list(made, tmp_path):
    """The one way in: File, Import, the list's plus, and the button at a problem."""
    scene = bpy.context.scene
    for mode in ("delta", "full", "delta"):
        opened = bpy.ops.nvd.open_shot(directory=str(made / "shot.nvd"), mode=mode)
        assert opened == {"FINISHED"}
        (entry,) = scene.nvd_shots
        assert entry.name == "shot" and shots.current_shot(scene) == entry
        assert ("Frame" in entry.group_node().inputs) == (mode == "delta")
    assert entry.scene != scene and len(bpy.data.scenes) == 2
    shots.add_shot(made / "shot.nvd", scene, strip="clip.mp4", first_frame=7)
    bpy.ops.nvd.open_shot(directory=str(made / "shot.nvd"))
    assert (scene.nvd_shots[0].strip, scene.nvd_shots[0].first_frame) == ("clip.mp4", 7)
    with pytest.raises(RuntimeError, match="manifest"):
        bpy.ops.nvd.open_shot(directory=str(tmp_path))
    names = {name for name in dir(bpy.ops.nvd) if "shot" in name and "open" in name}
    assert names == {"open_shot"} and "nvd.open_shot" in TEXTS


def test_no_shot_no_button():
    assert not bpy.ops.nvd.paint_layer.poll()


def test_a_strip_that_cannot_be_followed_is_told_before_it_is_rendered(entry, engine):
    scene, other = bpy.context.scene, bpy.data.scenes.new("other")
    strip = compat.make_strips(scene).new_scene(name="s", scene=other, channel=1, frame_start=1)
    strip.use_reverse_frames, entry.strip = True, "s"
    with pytest.raises(AddonError, match="normal speed"):
        render_job.queue_render(entry, scene, engine.PYTHON)
    assert not runner.queue.busy


def test_render_job_adds_the_strip(entry, engine):
    job = render_job.queue_render(entry, bpy.context.scene, engine.PYTHON)
    end = time.monotonic() + 120
    while not job.ended and time.monotonic() < end:
        runner.tick()
        time.sleep(0.2)
    assert job.state == "done", job.full_log()
    (strip,) = compat.strips(bpy.context.scene)
    assert strip.name == "shot painted" and compat.strip_span(strip)[1] == 3
