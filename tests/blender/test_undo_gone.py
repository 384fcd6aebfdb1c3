"""Images that one undo takes away and a redo brings back: with what they had, not with their files.

Without the extension Blender reads the file again, whatever it holds by then.
"""

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import undo
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.shot import painting


@pytest.fixture(autouse=True)
def extension(empty_file):
    blender_addon.register()
    bpy.ops.ed.undo_push(message="start")
    yield
    blender_addon.unregister()


def press(name, **values):
    assert getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", True, **values) == {"FINISHED"}


def toy():
    return bpy.context.scene.nvd_shots[0].layers["toy"]


def edit():
    return read_pixels(toy().edit)


def paint():
    pixels = edit()
    pixels[20:40, 20:40] = (1, 0, 0, 1)
    write_pixels(toy().edit, pixels)
    return pixels


def back(steps):
    for _ in range(steps):
        assert bpy.ops.ed.undo() == {"FINISHED"}


def unpaint(pixels):
    """As the undo of a stroke, which Blender without a window has none of."""
    write_pixels(toy().edit, pixels)


@pytest.mark.parametrize("restored", [False, True])
def test_opened_again_by_redo(folder, restored):
    """Painted, saved, undone up to before the shot was opened, and redone."""
    press("open_shot", directory=str(folder))
    learned, painted = edit(), paint()
    bpy.ops.ed.undo_push(message="paint")
    press("save_edits")
    if restored:
        press("restore_learned", layer="toy")
    back(2 + restored)
    assert np.array_equal(edit(), painted)
    unpaint(learned)
    back(1)
    assert not bpy.context.scene.nvd_shots
    assert bpy.ops.ed.redo() == {"FINISHED"}
    assert np.array_equal(edit(), learned) and painting.is_unsaved(toy())


def test_of_another_file_nothing_is_kept(folder):
    press("open_shot", directory=str(folder))
    paint()
    painting.save_edits(bpy.context.scene.nvd_shots[0])
    bpy.ops.ed.undo_push(message="saved")
    back(2)
    assert undo._steps.gone
    bpy.ops.wm.read_homefile(use_empty=True)
    assert not undo._steps.gone


def test_kept_within_limits(folder, monkeypatch):
    monkeypatch.setattr(undo, "MOST_GONE", 10)
    press("open_shot", directory=str(folder))
    paint()
    painting.save_edits(bpy.context.scene.nvd_shots[0])
    bpy.ops.ed.undo_push(message="saved")
    back(2)
    assert not undo._steps.gone


def test_a_step_that_is_no_stroke_brings_no_older_strokes_back(folder):
    """As Blender does in a window now and then: strokes, packed, and the packing undone."""
    press("open_shot", directory=str(folder))
    older = paint()
    bpy.ops.ed.undo_push(message="a stroke")
    pixels = edit()
    pixels[60:70, 60:70] = (0, 0, 1, 1)
    write_pixels(toy().edit, pixels)
    bpy.ops.ed.undo_push(message="a stroke")
    press("restore_learned", layer="toy")

    def as_blender(_scene):
        write_pixels(toy().edit, older)

    for steps in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        steps.insert(0, as_blender)
    try:
        back(1)
    finally:
        for steps in (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
            steps.remove(as_blender)
    assert np.array_equal(edit(), pixels) and painting.is_unsaved(toy())


def test_a_stroke_is_undone_beside_images_that_were_packed(folder):
    press("open_shot", directory=str(folder))
    learned = edit()
    press("restore_learned", layer="toy")  # nothing to take off
    paint()
    press("restore_learned", layer="toy")
    press("bring_back", layer="toy")
    bpy.ops.ed.undo_push(message="what was before")
    paint()
    bpy.ops.ed.undo_push(message="a stroke")

    def as_blender(_scene):
        unpaint(learned)

    bpy.app.handlers.undo_post.insert(0, as_blender)
    try:
        back(1)
    finally:
        bpy.app.handlers.undo_post.remove(as_blender)
    assert np.array_equal(edit(), learned)


def test_the_undo_of_saving_brings_no_older_strokes_back(folder):
    press("open_shot", directory=str(folder))
    older = paint()
    bpy.ops.ed.undo_push(message="a stroke")
    pixels = edit()
    pixels[60:70, 60:70] = (0, 0, 1, 1)
    write_pixels(toy().edit, pixels)
    bpy.ops.ed.undo_push(message="a stroke")
    press("save_edits")

    def as_blender(_scene):
        unpaint(older)

    bpy.app.handlers.undo_post.insert(0, as_blender)
    try:
        back(1)
    finally:
        bpy.app.handlers.undo_post.remove(as_blender)
    assert np.array_equal(edit(), pixels)
