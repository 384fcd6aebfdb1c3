"""Blender's own undo on every operator that changes the file, and that no paint is lost by it.

Operators are called as a click calls them: with a step in Blender's undo after each.
"""

import re

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.paint import preview
from blender_addon.shot import painting, shot_events, shot_list, shots

RED, BLUE = (1, 0, 0, 1), (0, 0, 1, 1)


@pytest.fixture(autouse=True)
def extension(empty_file):
    blender_addon.register()
    bpy.ops.ed.undo_push(message="start")
    yield
    blender_addon.unregister()


@pytest.fixture
def shot(folder):
    press("open_shot", directory=str(folder))
    return folder


def press(name, **values):
    assert getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", True, **values) == {"FINISHED"}


def undo():
    assert bpy.ops.ed.undo() == {"FINISHED"}


def redo():
    assert bpy.ops.ed.redo() == {"FINISHED"}


def toy():
    return bpy.context.scene.nvd_shots[0].layers["toy"]


def edit():
    return read_pixels(toy().edit)


def paint(colour=RED):
    """A square in the middle, as a stroke does it without a step of its own."""
    pixels = edit()
    pixels[20:40, 20:40] = colour
    write_pixels(toy().edit, pixels)
    return pixels


def on_disk(folder):
    image = bpy.data.images.load(str(folder / "edits/toy.png"))
    pixels = read_pixels(image)
    bpy.data.images.remove(image)
    return pixels


def same(one, two):
    return np.array_equal(one, two)


def test_restore_and_bring_back(shot):
    learned, painted = edit(), paint()
    press("restore_learned", layer="toy")
    assert same(edit(), learned)
    undo()
    assert same(edit(), painted) and painting.is_unsaved(toy()) and toy().taken_back is None
    redo()
    assert same(edit(), learned) and same(read_pixels(toy().taken_back), painted)
    press("bring_back", layer="toy")
    assert same(edit(), painted)
    undo()
    assert same(edit(), learned)
    redo()
    assert same(edit(), painted)
    undo()
    undo()
    assert same(edit(), painted)


def test_all_that_shows_the_edit_follows(shot):
    learned, painted = edit(), paint()
    area = bpy.context.window_manager.windows[0].screen.areas[0]
    area.type = "IMAGE_EDITOR"
    press("paint_layer", layer="toy")

    def shows(pixels):
        entry = bpy.context.scene.nvd_shots[0]
        node = entry.group_node().inputs["toy Edit"].links[0].from_node
        canvas = bpy.context.scene.tool_settings.image_paint.canvas
        space = bpy.context.window_manager.windows[0].screen.areas[0].spaces.active
        assert node.image == canvas == space.image == toy().edit
        assert node.image.name.startswith("shot toy edit") and node.image["nvd_path"].endswith(
            "edits/toy.png"
        )
        assert same(read_pixels(node.image), pixels)

    shows(painted)
    press("restore_learned", layer="toy")
    shows(learned)
    undo()
    shows(painted)
    redo()
    shows(learned)


@pytest.mark.parametrize("unsaved", [True, False])
def test_undo_after_saving_the_blend_keeps_and_saves_the_paint(shot, tmp_path, unsaved):
    learned, painted = edit(), paint()
    if not unsaved:
        painting.save_edits(bpy.context.scene.nvd_shots[0])
        bpy.ops.ed.undo_push(message="a stroke")
    press("restore_learned", layer="toy")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    assert same(on_disk(shot), learned)
    undo()
    assert same(edit(), painted)
    bpy.ops.wm.save_mainfile()
    assert same(on_disk(shot), painted)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    assert same(edit(), painted)


def test_paint_taken_off_is_in_the_blend(shot, tmp_path):
    painted = paint()
    press("restore_learned", layer="toy")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.ed.undo_push(message="opened")
    press("bring_back", layer="toy")
    assert same(edit(), painted)
    bpy.ops.wm.save_mainfile()
    assert same(on_disk(shot), painted) and toy().edit.packed_file is None
    undo()
    redo()
    assert same(edit(), painted)


def test_restoring_twice_and_bringing_back_loses_neither_paint(shot):
    red = paint()
    press("restore_learned", layer="toy")
    blue = paint(BLUE)
    press("bring_back", layer="toy")
    assert same(edit(), red) and same(read_pixels(toy().taken_back), blue)
    press("bring_back", layer="toy")
    assert same(edit(), blue)
    press("restore_learned", layer="toy")
    edits = [i for i in bpy.data.images if i.users and i.name.startswith("shot toy edit")]
    off = [read_pixels(image) for image in edits if image != toy().edit]
    assert any(same(pixels, red) for pixels in off) and any(same(pixels, blue) for pixels in off)
    press("restore_learned", layer="toy")  # there is nothing to take off
    assert same(read_pixels(toy().taken_back), blue)


def test_no_image_takes_the_name_of_another(shot):
    """Blender takes what a stroke has not touched from the last stroke on an image of this name."""
    names = {}

    def step(name=None):
        if name:
            press(name, layer="toy")
        shots.name_images(bpy.context.scene.nvd_shots[0])
        for image in filter(None, (toy().edit, toy().taken_back)):
            assert names.setdefault(image.name, image.session_uid) == image.session_uid

    step()
    paint(RED)
    step("restore_learned")
    paint(BLUE)
    for _ in range(2):
        step("bring_back")
    step("restore_learned")
    assert len(names) == 3
    undo()
    step()
    undo()
    step()


def test_a_shot_opened_again_takes_no_name_of_before(shot):
    """Its old images are gone, but strokes on them may still be undone."""
    folder = bpy.context.scene.nvd_shots[0].path
    before = {image.name for image in (toy().edit, toy().learned)}
    shot_list.remove_shot(bpy.context.scene.nvd_shots[0], with_data=True)
    assert not before & set(bpy.data.images.keys())
    shots.add_shot(folder)
    after = {image.name for image in (toy().edit, toy().learned)}
    assert not before & after
    shots.name_images(bpy.context.scene.nvd_shots[0])
    assert after == {image.name for image in (toy().edit, toy().learned)}
    assert all(re.fullmatch(r"shot toy (edit|learned)\.001", name) for name in after)


def test_images_are_renamed_within_steps_alone(shot):
    """Blender finds a stroke's image by its name, and crashes where it got another one since."""

    def names():
        bpy.context.view_layer.update()
        return toy().edit.name, toy().learned.name

    press("duplicate_shot")
    bpy.context.scene.nvd_shot = 0
    bpy.ops.ed.undo_push(message="chosen")
    before = names()
    press("remove_shot")
    after = names()
    assert after != before and after[0].startswith("shot 2 toy edit")
    undo()
    assert names() == before
    redo()
    assert names() == after
    bpy.context.scene.nvd_shots[0].name = "renamed"
    assert toy().edit.name.startswith("renamed toy edit")


def test_paint_from_after_a_step_outlives_its_undo(shot, tmp_path):
    """Paint that no undo step knows of, on an image whose file the step has changed."""
    paint()
    shot.rename(tmp_path / "moved.nvd")
    bpy.ops.ed.undo_push(message="before")
    press("find_again", directory=str(tmp_path / "moved.nvd"))
    painted = paint(BLUE)
    undo()
    assert same(edit(), painted) and painting.is_unsaved(toy())
    redo()
    painting.save_edits(bpy.context.scene.nvd_shots[0])
    assert same(on_disk(tmp_path / "moved.nvd"), painted)


def test_an_edit_of_another_size(shot):
    scaled = toy().edit
    scaled.scale(192, 128)
    shots.follow_sizes(bpy.context.scene.nvd_shots[0])
    painted = paint()
    bpy.ops.ed.undo_push(message="scaled")
    press("restore_learned", layer="toy")
    assert edit().shape == (128, 192, 4)
    assert np.abs(edit() - read_pixels(toy().base)).max() < 0.6 / 255
    undo()
    assert same(edit(), painted)


def test_following_an_edits_size_is_a_step_of_its_own(shot):
    """What an undo leaves is not followed again, or nothing before it could be undone."""
    toy().edit.scale(192, 128)
    shot_events._follow_all()
    bpy.ops.ed.undo_push(message="what a window does")
    assert not toy().has_changed_size
    undo()
    toy().edit.update_tag()
    bpy.context.view_layer.update()
    assert toy().has_changed_size
    redo()
    assert not toy().has_changed_size


def test_add_shot(folder):
    counts = [len(getattr(bpy.data, kind)) for kind in ("scenes", "images", "node_groups")]
    press("open_shot", directory=str(folder))
    preview.start(bpy.context.scene.nvd_shots[0])
    undo()
    assert not bpy.context.scene.nvd_shots and preview.running() is None
    assert [len(getattr(bpy.data, k)) for k in ("scenes", "images", "node_groups")] == counts
    redo()
    (entry,) = bpy.context.scene.nvd_shots
    assert [layer.name for layer in entry.layers] == ["toy", "leaf-2", "background"]
    assert all(layer.edit and layer.learned and layer.base for layer in entry.layers)
    node = entry.group_node()
    assert all(node.inputs[f"{layer.name} Edit"].links for layer in entry.layers)
    assert entry.scene.name == "NVD shot"


def test_show_layer(shot):
    painted = paint()
    bpy.ops.ed.undo_push(message="a stroke")
    press("show_layer", layer="toy", what="checker")
    undo()
    node = bpy.context.scene.nvd_shots[0].group_node()
    assert painting.shown(toy()) == "edit" and same(edit(), painted)
    assert node.inputs["toy Edit"].links[0].from_node.image == toy().edit
    redo()
    node = bpy.context.scene.nvd_shots[0].group_node()
    assert painting.shown(toy()) == "checker" and same(edit(), painted)
    assert node.inputs["toy Edit"].links[0].from_node.image == toy().image


@pytest.mark.parametrize("way", ["composite", "modifier"])
def test_to_strip(shot, folder, way):
    if way == "modifier" and not compat.STRIP_COMPOSITOR:
        pytest.skip("no compositor on strips before 5.1")
    scene = bpy.context.scene
    plate = compat.make_strips(scene).new_image(
        name="plate", filepath=str(folder / "frames/00000.png"), channel=1, frame_start=1
    )
    for t in (1, 2):
        plate.elements.append(f"{t:05d}.png")
    scene.nvd_shots[0].strip = "plate"
    bpy.ops.ed.undo_push(message="strip")

    def made():
        strips = compat.strips(bpy.context.scene)
        return len(strips) - 1 + sum(len(strip.modifiers) for strip in strips)

    press("to_strip", way=way)
    assert made() == 1
    undo()
    assert made() == 0
    redo()
    assert made() == 1


def test_objects_of_the_decompose_panel():
    made = compat.make_strips(bpy.context.scene)
    strip = made.new_scene(name="s", scene=bpy.context.scene.copy(), channel=1, frame_start=1)
    bpy.context.scene.sequence_editor.active_strip = strip
    bpy.ops.ed.undo_push(message="strip")
    press("add_object")
    press("add_object")
    press("move_object", by=-1)
    press("remove_object")

    def names():
        (strip,) = compat.strips(bpy.context.scene)
        return [thing.name for thing in strip.nvd_decompose.objects]

    assert names() == ["object"]
    undo()
    assert names() == ["object2", "object"]
    undo()
    assert names() == ["object", "object2"]
    undo()
    undo()
    assert names() == []
    redo()
    assert names() == ["object"]


@pytest.mark.gpu
def test_the_preview_outlives_an_undo(shot, gpu_ready):
    entry = bpy.context.scene.nvd_shots[0]
    bpy.ops.ed.undo_push(message="before")
    preview.start(entry)
    before = preview.running().render(entry).read()
    paint()
    press("restore_learned", layer="toy")
    undo()
    entry = bpy.context.scene.nvd_shots[0]
    assert np.abs(preview.running().render(entry).read() - before).max() > 0.1
    redo()
    entry = bpy.context.scene.nvd_shots[0]
    assert same(preview.running().render(entry).read(), before)
