"""The list of shots: removed, duplicated, renamed; strips that are renewed in their place."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.blender import compat
from blender_addon.paint import frame_canvas
from blender_addon.shot import painting, shots
from blender_addon.shot.folder import ShotError
from blender_addon.shot.shot_list import duplicate_shot, remove_shot
from blender_addon.strip import composite_strips, strips

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def scene(plain_scene):
    return plain_scene


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


def of_shot(folder) -> tuple[list, list, list]:
    """What of a shot is in the .blend: node groups, images, scenes."""
    groups = [group.name for group in bpy.data.node_groups if group.get("nvd_folder")]
    images = [i.name for i in bpy.data.images if i.get("nvd_path", "").startswith(str(folder))]
    return groups, images, [s.name for s in bpy.data.scenes if s.name.startswith("NVD ")]


def updated() -> None:
    bpy.context.view_layer.update()


def test_a_shot_is_taken_off_the_list(scene, folder):
    shots.add_shot(folder, scene)
    before, on_disk = of_shot(folder), files(folder)
    assert bpy.ops.nvd.remove_shot() == {"FINISHED"}
    assert not scene.nvd_shots and of_shot(folder) == before and files(folder) == on_disk
    shots.add_shot(folder, scene)
    assert of_shot(folder)[1] == before[1]  # the same images again
    assert bpy.ops.nvd.remove_shot(with_data=True) == {"FINISHED"}
    assert of_shot(folder) == ([], [], []) and files(folder) == on_disk
    assert not [group for group in bpy.data.node_groups if group.name.startswith("NVD shot")]
    entry = shots.add_shot(folder, scene)
    assert entry.read().folder == folder and len(scene.nvd_shots) == 1


def test_unsaved_paint_is_not_removed(scene, folder):
    entry = shots.add_shot(folder, scene)
    image = entry.layers["toy"].edit
    painting.write_pixels(image, np.ones((*tuple(image.size)[::-1], 4), np.float32))
    with pytest.raises(ShotError, match="not been saved, on toy"):
        remove_shot(entry, with_data=True)
    assert len(scene.nvd_shots) == 1
    painting.save_edits(entry)
    remove_shot(entry, with_data=True)
    assert of_shot(folder) == ([], [], [])


def test_what_others_show_stays(scene, folder):
    entry = shots.add_shot(folder, scene)
    other = bpy.data.scenes.new("other")
    tree = compat.compositor_tree(other)
    node = tree.nodes.new("CompositorNodeImage")
    node.image = edit = entry.layers["toy"].edit
    composite_strips.add_scene_strip(entry, scene)
    remove_shot(entry, with_data=True)
    groups, images, scenes = of_shot(folder)
    assert node.image == edit and images == [edit.name] and not groups
    assert len(scenes) == 1  # a strip shows it


def test_the_last_of_two_takes_the_data_along(scene, folder):
    entry = shots.add_shot(folder, scene)
    twin = duplicate_shot(entry)
    remove_shot(twin, with_data=True)
    (entry,) = scene.nvd_shots
    assert entry.group_node() and all(layer.edit for layer in entry.layers)
    remove_shot(entry, with_data=True)
    assert of_shot(folder) == ([], [], [])


def test_a_duplicate_is_for_another_strip(scene, folder, tmp_path, timeline):
    first = timeline.image_strip(scene, folder)
    second = timeline.image_strip(scene, folder, 40)
    shots.add_shot(folder, scene, strip=first.name)
    assert bpy.ops.nvd.duplicate_shot() == {"FINISHED"}
    entry, twin = scene.nvd_shots
    assert (twin.name, scene.nvd_shot) == ("shot 2", 1) and twin.id not in ("", entry.id)
    twin.strip = second.name
    assert shots.strip_of(scene, entry) == first and shots.strip_of(scene, twin) == second
    made = [composite_strips.add_scene_strip(one, scene) for one in (entry, twin, entry)]
    assert [compat.strip_span(strip)[0] for strip in made] == [10, 40, 10]
    assert len(compat.strips(scene)) == 4
    painting.show(twin, twin.layers["toy"], "checker")
    assert painting.shown(entry.layers["toy"]) == "checker"
    painting.show(entry, entry.layers["toy"], "edit")
    assert painting.shown(twin.layers["toy"]) == "edit"
    found = shots.listed_shot(scene.name, str(folder), twin.id)
    assert found == twin and shots.listed_shot("gone", str(folder)) == entry


def test_names(scene, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other.nvd")
    entry, second = (shots.add_shot(path, scene) for path in (folder, other))
    entry = scene.nvd_shots[0]
    names = {image.name for image in bpy.data.images}
    assert {"shot background edit", "other background edit", "other toy learned"} <= names
    entry.name = "hero"
    entry.layers["toy"].label = "red car"
    updated()
    assert entry.layers["toy"].edit.name == "hero red car edit"
    assert entry.layers["background"].learned.name == "hero background learned"
    assert entry.group_node() and entry.amount("toy", "Visibility") is not None
    assert (folder / "edits" / "toy.png").is_file() and not (folder / "edits/red car.png").exists()
    again = shots.add_shot(folder, scene)
    assert (again.name, again.layers["toy"].label) == ("hero", "red car")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    entry, second = bpy.context.scene.nvd_shots
    assert (entry.name, entry.layers["toy"].label) == ("hero", "red car")
    assert second.layers["toy"].edit.name == "other toy edit"


def test_render_to_strip_again_renews_the_strip(scene, folder, tmp_path, engine, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    made = strips.render_to_strip(entry, scene, engine.PYTHON)
    made.name, made.color_multiply = "graded", 0.5
    channel, before = made.channel, timeline.show(scene, tmp_path, 11)
    image = entry.layers["background"].edit
    painting.write_pixels(image, np.tile(np.float32([1, 0, 1, 1]), (*tuple(image.size)[::-1], 1)))
    again = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert again == made and len(compat.strips(scene)) == 2
    assert (made.name, made.channel, made.color_multiply) == ("graded", channel, 0.5)
    assert np.abs(timeline.show(scene, tmp_path, 11) - before).max() > 0.2
    compat.move(strip, 7)  # and cut: the rendered strip follows
    compat.trim(strip, 1, 0)
    strips.render_to_strip(entry, scene, engine.PYTHON)
    assert compat.strip_span(made) == compat.strip_span(strip) == (18, 2)
    assert len(compat.strips(scene)) == 2


def test_a_composite_strip_and_a_modifier_are_renewed_too(scene, folder, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    made = composite_strips.add_scene_strip(entry, scene)
    made.channel = 7
    compat.move(strip, 5)
    assert composite_strips.add_scene_strip(entry, scene) == made
    assert compat.strip_span(made) == (15, 3) and made.channel == 7
    if compat.STRIP_COMPOSITOR:
        one = composite_strips.add_modifier(entry, scene)
        one.name = "mine"
        trees = len(bpy.data.node_groups)
        two = composite_strips.add_modifier(entry, scene)
        assert [m.name for m in strip.modifiers] == ["mine"] and two == strip.modifiers[0]
        assert len(bpy.data.node_groups) <= trees + 1  # the old copy goes with the next build


def test_the_canvas_says_the_timelines_frame(scene, folder, engine, timeline):
    strip = timeline.image_strip(scene, folder)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    scene.frame_set(11)
    job = frame_canvas.start_canvas(entry, engine.PYTHON)
    assert (job.plan["about"]["frame"], job.plan["about"]["at"]) == (1, 11)
    job.cancel()
    entry.canvas_at, entry.canvas_start = 11, compat.strip_start(strip)
    assert frame_canvas.canvas_at(entry) == 11
    compat.move(strip, 20)
    assert frame_canvas.canvas_at(entry) == 31
