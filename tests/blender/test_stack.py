"""The stack of edits in Blender: made, painted on, saved, taken up again, and told in the panel."""

import json

import bpy
import numpy as np
import pytest

from blender_addon.blender import compat
from blender_addon.blender.pixels import read_raw, write_raw
from blender_addon.shot import (
    edit_files,
    flat_nodes,
    painting,
    shots,
    stack,
    stack_file,
)
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.shot.stack_entry import free_name
from blender_addon.strip import strips
from blender_addon.ui import stack_operators

pytestmark = pytest.mark.usefixtures("extension")

START = 101
RED = np.float32([1, 0, 0, 1])


@pytest.fixture
def entry(folder, timeline):
    """The shot of a strip that begins at START."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 160, 90
    strip = timeline.image_strip(scene, folder, START)
    made = shots.add_shot(folder, scene, strip=strip.name)
    made.active_layer = list(made.layers.keys()).index("toy")
    return made


def stored(folder):
    return json.loads((folder / "edits/stack.json").read_text("utf-8"))["entries"]


def paint(image, part=np.s_[10:60, 5:40], colour=RED):
    pixels = painting.read_pixels(image)
    pixels[part] = colour
    painting.write_pixels(image, pixels)


def picture(path, size=(8, 4), colour=RED):
    image = bpy.data.images.new(path.stem, *size, alpha=True)
    image.pixels.foreach_set(np.tile(np.float32(colour), size[0] * size[1]))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def test_new_paint_is_a_canvas_and_is_saved_as_edits_are(entry, folder):
    assert bpy.ops.nvd.stack_paint() == {"FINISHED"}
    (item,) = entry.stack
    toy = entry.layers["toy"]
    assert (item.name, item.layer, item.kind) == ("Paint", "toy", "paint")
    assert bpy.context.scene.tool_settings.image_paint.canvas == item.image != toy.edit
    assert tuple(item.image.size) == tuple(toy.learned.size)
    assert not painting.read_pixels(item.image).any()
    before = (folder / "edits/toy.png").read_bytes()
    paint(item.image)
    assert painting.has_unsaved(item.image)
    assert bpy.ops.nvd.save_edits() == {"FINISHED"}
    assert not painting.has_unsaved(item.image)
    assert (folder / "edits/toy.png").read_bytes() == before
    assert stored(folder) == [
        {"name": "Paint", "layer": "toy", "kind": "paint", "file": "edits/stack/Paint.png"}
    ]
    file = bpy.data.images.load(str(folder / "edits/stack/Paint.png"))
    pixels = read_raw(file)
    assert np.array_equal(pixels[20, 20], RED) and not pixels[0, 0].any()


def test_a_range_is_of_the_timeline_and_kept_in_frames_of_the_clip(entry, folder):
    item = stack.add_paint(entry, entry.layers["toy"])
    item.has_range = True
    assert (item.from_frame, item.to_frame) == (START, START + 2)
    item.from_frame, item.come = START + 1, 1
    assert item.stored.frames == (1, 2) and item.stored.fade_in == 1
    item.to_frame = START + 90
    assert item.stored.frames == (1, 2)
    item.to_frame = START
    assert item.stored.frames == (0, 0)
    item.to_frame = START + 2
    compat.move(strips.strip_named(entry.id_data, "plate"), 10)
    assert (item.from_frame, item.to_frame, item.come) == (START + 10, START + 12, 1)
    painting.save_edits(entry)
    assert stored(folder)[0]["frames"] == [0, 2]


def test_every_kind_in_its_order_comes_back_with_the_folder(entry, folder, tmp_path):
    toy, background = entry.layers["toy"], entry.layers["background"]
    for number in (7, 8, 10):
        picture(tmp_path / f"frame{number:03d}.png")
    stack.add_file(entry, toy, "picture", picture(tmp_path / "Logo.png"))
    stack.add_file(entry, background, "movie", tmp_path / "frame008.png", name="run")
    assert bpy.ops.nvd.stack_text(text="Words") == {"FINISHED"}
    assert bpy.ops.nvd.stack_adjustment() == {"FINISHED"}
    adjustment = entry.stack["Adjustment"]
    adjustment.hue, adjustment.opacity, adjustment.blend = -30.3, 0.3, "soft_light"
    entry.stack["Words"].has_corners = True
    stack.set_file(entry, adjustment, "mask", tmp_path / "Logo.png")
    entry.stack["run"].starts_at, entry.stack["run"].on = START + 1, False
    assert bpy.ops.nvd.stack_move(by=-1) == {"FINISHED"}
    assert [item.name for item in entry.stack] == ["Logo", "run", "Adjustment", "Words"]
    painting.save_edits(entry)
    found = stored(folder)
    assert found[0]["file"] == "edits/stack/Logo.png"
    assert found[1] == {
        "name": "run", "layer": "background", "kind": "movie", "on": False, "start": 1,
        "file": "edits/stack/run/%05d.png",
    }  # fmt: skip
    assert found[2]["hue"] == -30.3 and found[2]["mask"] == "edits/stack/Adjustment mask.png"
    assert found[3]["text"] == "Words" and len(found[3]["corners"]) == 4
    assert len(list((folder / "edits/stack/run").iterdir())) == 3
    bpy.ops.wm.read_factory_settings(use_empty=True)
    again = shots.add_shot(folder)
    assert stack_file.as_json(stack.entries_of(again)) == found
    assert stack_file.digest(stack_file.read_stack(read_shot(folder))) == again.stack_seen
    assert again.stack["Logo"].image and again.stack["Adjustment"].mask_image
    assert not any(item.problem for item in again.stack)


def test_the_engine_takes_it_and_what_it_writes_is_followed(entry, folder):
    item = stack.add_paint(entry, entry.layers["toy"])
    painting.save_edits(entry)
    edit_files.follow()
    whole = json.loads((folder / "edits/stack.json").read_text())
    whole["entries"][0]["opacity"] = 0.25
    (folder / "edits/stack.json").write_text(json.dumps(whole))
    edit_files.follow()
    item = entry.stack[0]
    assert item.opacity == 0.25 and item.image is not None
    item.opacity = 0.5  # changed here and there: neither is lost
    whole["entries"][0]["opacity"] = 0.75
    (folder / "edits/stack.json").write_text(json.dumps(whole) + " ")
    edit_files.follow()
    assert entry.stack[0].opacity == 0.5
    with pytest.raises(ShotError, match="changed by another program"):
        painting.save_edits(entry)
    shots.add_shot(folder, entry.id_data)
    assert entry.stack[0].opacity == 0.75


def test_unsaved_paint_outlives_the_folder_and_the_blend(entry, folder, tmp_path):
    item = stack.add_paint(entry, entry.layers["toy"])
    painting.save_edits(entry)
    paint(item.image)
    folder.rename(tmp_path / "moved.nvd")
    blend = str(tmp_path / "a.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.open_mainfile(filepath=blend)
    (entry,) = bpy.context.scene.nvd_shots
    item = entry.stack[0]
    assert np.array_equal(painting.read_pixels(item.image)[20, 20], RED)
    shots.find_again(entry, tmp_path / "moved.nvd")
    painting.save_edits(entry)
    assert not painting.has_unsaved(item.image)
    file = bpy.data.images.load(str(tmp_path / "moved.nvd/edits/stack/Paint.png"))
    assert np.array_equal(read_raw(file)[20, 20], RED)


def test_another_program_s_paint_is_taken_or_asked_about(entry, folder):
    item = stack.add_paint(entry, entry.layers["toy"])
    path = folder / "edits/stack/Paint.png"

    def paint_elsewhere(value):
        image = bpy.data.images.load(str(path))
        write_raw(image, np.full_like(read_raw(image), value))
        image.save()
        bpy.data.images.remove(image)

    paint_elsewhere(0.2)
    edit_files.follow()
    edit_files.follow()
    assert read_raw(item.image)[0, 0] == pytest.approx(51 / 255)
    paint(item.image)
    paint_elsewhere(0.4)
    edit_files.follow()
    edit_files.follow()
    assert edit_files.image_in_conflict(item.image)
    with pytest.raises(ShotError, match="changed by another program"):
        painting.save_edits(entry)
    mine = item.image
    assert bpy.ops.nvd.stack_take_file() == {"FINISHED"}
    assert read_raw(item.image)[0, 0] == pytest.approx(102 / 255)
    assert np.array_equal(read_raw(mine)[20, 20], RED) and mine.use_fake_user
    painting.save_edits(entry)


def test_names_of_images_are_the_shot_s_and_no_other_image_s(entry):
    toy = entry.layers["toy"]
    taken = bpy.data.images.new("shot toy Paint", 4, 4)
    item = stack.add_paint(entry, toy)
    assert taken.name == "shot toy Paint" and item.image.name == "shot toy Paint.001"
    name = item.image.name
    stack.remove(entry, item)
    again = stack.add_paint(entry, toy)
    assert again.image.name not in (name, taken.name)
    assert again.file == "edits/stack/Paint 2.png"  # the removed one's file stays its own


def test_entry_names_are_such_as_the_file_can_have(entry):
    toy = entry.layers["toy"]
    one, two = stack.add_paint(entry, toy), None
    two = stack.add_paint(entry, toy)
    one = entry.stack[0]
    assert two.name == "Paint 2"
    two.name = "pAINT"
    assert two.name == "pAINT 2"
    two.name = " a/b: <c>. "
    assert two.name == "a_b_ _c_"
    two.name = "  "
    assert two.name == "a_b_ _c_" and one.name == "Paint"
    assert free_name("x" * 100, set()) == "x" * 50


def test_duplicate_and_remove_keep_the_paint(entry, folder):
    item = stack.add_paint(entry, entry.layers["toy"])
    paint(item.image)
    assert bpy.ops.nvd.stack_duplicate() == {"FINISHED"}
    one, two = entry.stack
    assert two.name == "Paint 2" and two.file == "edits/stack/Paint 2.png"
    assert one.image != two.image
    assert np.array_equal(painting.read_pixels(two.image)[20, 20], RED)
    paint(two.image, np.s_[:, :])
    assert bpy.ops.nvd.stack_remove() == {"FINISHED"}
    assert [item.name for item in entry.stack] == ["Paint"]
    file = bpy.data.images.load(str(folder / "edits/stack/Paint 2.png"))
    assert np.array_equal(read_raw(file)[0, 0], RED)
    painting.save_edits(entry)
    assert [item["name"] for item in stored(folder)] == ["Paint"]
    assert bpy.ops.nvd.stack_remove() == {"FINISHED"}
    painting.save_edits(entry)
    assert stored(folder) == []


def test_a_duplicated_shot_and_one_that_is_removed(entry, folder):
    stack.add_paint(entry, entry.layers["toy"])
    assert bpy.ops.nvd.duplicate_shot() == {"FINISHED"}
    one, twin = entry.id_data.nvd_shots
    assert twin.stack[0].image == one.stack[0].image
    painting.save_edits(one)
    edit_files.follow()
    one.stack[0].opacity = 0.5
    painting.save_edits(one)
    painting.save_edits(twin)  # nothing was changed there
    assert stored(folder)[0]["opacity"] == 0.5
    edit_files.follow()
    assert twin.stack[0].opacity == 0.5
    paint(one.stack[0].image)
    bpy.ops.nvd.remove_shot()
    with pytest.raises(RuntimeError, match="Paint"):
        bpy.ops.nvd.remove_shot(with_data=True)


def test_what_does_not_show_the_stack_says_so(entry, capfd):
    label = entry.group_node().label
    stack.add_paint(entry, entry.layers["toy"])
    assert entry.group_node().label == label + flat_nodes.NOT_IN_NODES
    bpy.ops.nvd.to_strip(way="composite")
    assert "The stack of edits is not in this strip" in capfd.readouterr().out
    stack.remove(entry, entry.stack[0])
    assert entry.group_node().label == label


def test_a_picture_that_is_missing_is_said_and_the_shot_opens(entry, folder):
    item = stack.add_paint(entry, entry.layers["toy"])
    painting.save_edits(entry)
    bpy.data.images.remove(item.image)
    (folder / "edits/stack/Paint.png").unlink()
    shots.add_shot(folder, entry.id_data)
    assert "Paint.png" in entry.stack[0].problem and entry.stack[0].image is None


def test_a_file_of_another_kind_is_refused(entry, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.png").write_text("a")
    for name in ("a.txt", "b.png", "missing.png"):
        with pytest.raises(RuntimeError, match=name):
            bpy.ops.nvd.stack_file(kind="picture", filepath=str(tmp_path / name))
    assert not len(entry.stack)


class _Layout:
    """A layout that checks what it is asked for: properties, operators, menus and lists exist."""

    def __init__(self):
        self.said = []

    def prop(self, data, name, **_how):
        assert name in data.bl_rna.properties, name
        self.said.append(name)

    def label(self, text="", **_how):
        self.said.append(text)

    def operator(self, name, **_how):
        kind = getattr(bpy.types, "NVD_OT_" + name.partition(".")[2])
        self.said.append(name)
        return _Button(kind)

    def menu(self, name, **_how):
        assert hasattr(bpy.types, name)
        self.said.append(name)

    def template_list(self, name, _id, data, items, active, index, **_how):
        assert hasattr(bpy.types, name)
        assert items in data.bl_rna.properties and index in active.bl_rna.properties

    def _part(self, **_how):
        return self

    row = column = box = grid_flow = _part


class _Button:
    def __init__(self, kind):
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name, _value):
        bases = [vars(base).get("__annotations__", ()) for base in self.kind.__mro__]
        declared = {key for base in bases for key in base}
        assert name in declared, name


def test_the_panel_has_what_each_kind_needs(entry, tmp_path):
    toy = entry.layers["toy"]
    said = drawn(entry)
    assert said == ["NVD_MT_stack_add"]
    stack.add_paint(entry, toy)
    assert "nvd.stack_open" in drawn(entry)
    entry.stack[0].has_range = True
    assert {"from_frame", "to_frame", "come", "go"} <= set(drawn(entry))
    logo = stack.add_file(entry, toy, "picture", picture(tmp_path / "logo.png"))
    logo.has_corners = True
    assert {"top_left", "bottom_right"} <= set(drawn(entry))
    words = stack.add_plain(entry, toy, "text", text="Words")
    assert {"text", "colour", "Rendered, but not in the live preview:", words.name} <= set(
        drawn(entry)
    )
    stack.add_plain(entry, toy, "adjustment")
    assert {"hue", "gamma", "nvd.stack_own_file"} <= set(drawn(entry))
    assert {"Nodes and strips are without the stack", "nvd.flatten_stack", "flatten"} <= set(
        drawn(entry)
    )
    (tmp_path / "m.mp4").write_bytes(b"movie")
    stack.add_file(entry, toy, "movie", tmp_path / "m.mp4")
    assert {"starts_at", "after"} <= set(drawn(entry))
    entry.active_layer = list(entry.layers.keys()).index("background")
    assert drawn(entry) == ["NVD_MT_stack_add"]  # the entries of other layers are not shown
    assert drawn_rows(entry) == [0] * len(entry.stack)


def drawn(entry):
    layout = _Layout()
    stack_operators.draw_stack(layout, entry, entry.layer)
    return layout.said


def drawn_rows(entry):
    """Which entries the list shows, as Blender asks it."""

    class Shown:
        bitflag_filter_item = 1

    flags, order = stack_operators.NVD_UL_stack.filter_items(Shown(), None, entry, "stack")
    assert sorted(order) == list(range(len(entry.stack)))
    for item in entry.stack:
        stack_operators.NVD_UL_stack.draw_item(
            Shown(), None, _Layout(), entry, item, 0, entry, "active_entry"
        )
    return flags
