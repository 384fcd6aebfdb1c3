"""The list of shots and the paint on their layers, through save, reload, move and undo."""

import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.shot import painting, shots
from blender_addon.shot.folder import ShotError

RED = np.float32([1, 0, 0, 1])


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made / "shot.nvd", tmp_path / "clips" / "shot.nvd")
    return tmp_path / "clips" / "shot.nvd"


@pytest.fixture
def entry(folder):
    return shots.add_shot(folder)


def paint(image):
    """A red square in the middle; headless Blender has no brush."""
    pixels = painting.read_pixels(image)
    pixels[20:40, 20:40] = RED
    painting.write_pixels(image, pixels)
    return pixels


def test_lists_layers_and_leaves_the_scene_alone(folder):
    scene = bpy.context.scene
    before = (scene.render.resolution_x, scene.frame_end, scene.render.fps)
    entry = shots.add_shot(folder)
    assert [layer.name for layer in entry.layers] == ["toy", "leaf-2", "background"]
    assert (scene.render.resolution_x, scene.frame_end, scene.render.fps) == before
    assert entry.scene.render.resolution_x == 160
    assert shots.current_shot(scene) == entry
    entry.amount("toy", "Visibility").default_value = 0.25
    assert entry.group_node().inputs["toy Visibility"].default_value == 0.25


def test_several_shots_in_one_file(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "second.nvd")
    names = [shots.add_shot(path).name for path in (folder, tmp_path / "second.nvd", folder)]
    assert names == ["shot", "second", "shot"]
    assert [entry.name for entry in bpy.context.scene.nvd_shots] == ["shot", "second"]
    first, second = bpy.context.scene.nvd_shots
    assert first.layers["toy"].edit != second.layers["toy"].edit
    assert first.scene != second.scene


def test_a_folder_that_cannot_be_opened_leaves_nothing(tmp_path, folder):
    (folder / "maps/00000.exr").write_bytes(b"no image")
    with pytest.raises(ShotError):
        shots.add_shot(folder)
    assert len(bpy.data.scenes) == 1 and not bpy.context.scene.nvd_shots


def test_paint_sets_canvas(entry):
    painting.paint_layer(entry.layers["toy"])
    settings = bpy.context.scene.tool_settings.image_paint
    assert settings.canvas == entry.layers["toy"].edit and settings.mode == "IMAGE"


def test_saved_paint_is_exact_and_reaches_the_engine(entry, folder, tmp_path, engine, reference):
    learned = (folder / "textures/toy.png").read_bytes()
    painted = paint(entry.layers["toy"].edit)
    assert painting.is_unsaved(entry.layers["toy"])
    assert painting.save_edits(entry) == [folder / "edits/toy.png"]
    assert not painting.is_unsaved(entry.layers["toy"])
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), painted)
    assert [path.name for path in (folder / "edits").iterdir() if path.name.startswith(".")] == []
    assert (folder / "textures/toy.png").read_bytes() == learned
    engine.run("-m", "nvd_core", "render", folder, "--out", tmp_path / "out/%05d.png")
    bpy.context.window.scene = entry.scene
    picture = np.round(reference.render(tmp_path, 1) * 255) / 255
    assert reference.psnr(reference.load(tmp_path / "out/00000.png"), picture) > 50


def test_saving_the_blend_saves_paint(entry, folder, tmp_path):
    painted = paint(entry.layers["background"].edit)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    assert entry.layers["background"].edit.packed_file is None, "not saved in its own file"
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    (entry,) = bpy.context.scene.nvd_shots
    assert entry.folder == "//clips/shot.nvd" and entry.path == folder
    assert entry.layers["background"].edit.filepath.startswith("//")
    assert np.array_equal(painting.read_pixels(entry.layers["background"].edit), painted)


def test_packed_paint_outlives_opening_again(entry, folder):
    painted = paint(entry.layers["toy"].edit)
    entry.layers["toy"].edit.pack()
    entry = shots.add_shot(folder)
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), painted)
    painting.save_edits(entry)
    assert entry.layers["toy"].edit.packed_file is None
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), painted)


def test_paint_outlives_a_deleted_folder(entry, folder, tmp_path, reference):
    painted = paint(entry.layers["toy"].edit)
    folder.rename(tmp_path / "moved.nvd")
    assert entry.missing
    with pytest.raises(ShotError, match="Find Again"):
        painting.save_edits(entry)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    (entry,) = bpy.context.scene.nvd_shots
    shots.find_again(entry, tmp_path / "moved.nvd")
    assert not entry.missing
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), painted)
    assert painting.save_edits(entry) == [tmp_path / "moved.nvd/edits/toy.png"]
    bpy.context.window.scene = entry.scene
    assert reference.render(tmp_path, 1).any()


def test_follows_a_folder_that_moves_with_the_blend(entry, folder, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clips/work.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    (tmp_path / "clips").rename(tmp_path / "elsewhere")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere/work.blend"))
    (entry,) = bpy.context.scene.nvd_shots
    assert entry.path == tmp_path / "elsewhere/shot.nvd" and entry.group_node() is not None
    paint(entry.layers["toy"].edit)
    assert painting.save_edits(entry) == [tmp_path / "elsewhere/shot.nvd/edits/toy.png"]


def test_find_again_refuses_another_shot(entry, folder, tmp_path):
    manifest = folder / "manifest.json"
    other = tmp_path / "other.nvd"
    shutil.copytree(folder, other)
    (other / "manifest.json").write_text(manifest.read_text().replace('"toy"', '"cup"'))
    with pytest.raises(ShotError, match="not toy"):
        shots.find_again(entry, other)


def test_disk_that_refuses_keeps_the_paint(entry, folder):
    painted = paint(entry.layers["toy"].edit)
    shutil.rmtree(folder / "edits")
    (folder / "edits").write_text("in the way")
    with pytest.raises(ShotError, match="the paint is kept"):
        painting.save_edits(entry)
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), painted)
    assert painting.is_unsaved(entry.layers["toy"])


def test_restore_and_bring_back(entry):
    layer = entry.layers["toy"]
    painted = paint(layer.edit)
    painting.restore_learned(layer)
    learned = painting.read_pixels(layer.learned)
    assert np.array_equal(painting.read_pixels(layer.edit), learned)
    painting.bring_back(layer)
    assert np.array_equal(painting.read_pixels(layer.edit), painted)
    with pytest.raises(ShotError, match="no paint"):
        painting.bring_back(layer)


def test_patterns_and_learned_are_shown_without_touching_the_edit(entry, made, tmp_path, reference):
    layer, truth = entry.layers["background"], reference.Truth(made)
    before = painting.read_pixels(layer.edit)
    bpy.context.window.scene = entry.scene
    pictures = {}
    for view in painting.VIEWS:
        painting.show(entry, layer, view)
        assert painting.shown(layer) == view
        pictures[view] = reference.render(tmp_path, 1)
    painting.show(entry, layer, "edit")
    assert reference.psnr(pictures["edit"], np.clip(truth.picture(0, "delta"), 0, 1)) > 90
    for view in ("learned", "checker", "grid"):
        assert reference.psnr(pictures[view], pictures["edit"]) < 40
    assert np.array_equal(painting.read_pixels(layer.edit), before)
    assert not layer.edit.is_dirty


def test_coverage(entry):
    assert painting.coverage(entry.layers["toy"]) == 1.0


def test_a_saved_copy_leaves_the_folders_alone(entry, folder, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clips" / "file.blend"))
    entry = bpy.context.scene.nvd_shots[0]
    assert entry.folder == "//shot.nvd"
    (tmp_path / "far" / "away").mkdir(parents=True)
    copy = tmp_path / "far" / "away" / "copy.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    assert (entry.folder, entry.missing) == ("//shot.nvd", False)
    with pytest.raises(RuntimeError):
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "nowhere" / "x.blend"), copy=True)
    assert (entry.folder, entry.missing) == ("//shot.nvd", False)
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    assert not bpy.context.scene.nvd_shots[0].missing


def test_a_deleted_folder_is_no_other_size(entry, folder, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    pixels = paint(bpy.context.scene.nvd_shots[0].layers["toy"].edit)
    folder.rename(tmp_path / "elsewhere")
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    entry = bpy.context.scene.nvd_shots[0]
    images = len(bpy.data.images)
    shots.follow_sizes(entry)
    assert not entry.layers["toy"].has_changed_size and len(bpy.data.images) == images
    painting.show(entry, entry.layers["toy"], "checker")
    with pytest.raises(ShotError, match="Find Again"):
        painting.restore_learned(entry.layers["toy"])
    assert np.array_equal(painting.read_pixels(entry.layers["toy"].edit), pixels)


def test_an_artists_copy_of_an_edit_stays_a_copy(entry, folder):
    copy = entry.layers["toy"].edit.copy()
    entry = shots.add_shot(folder)
    shown = entry.group_node().inputs["toy Edit"].links[0].from_node.image
    assert entry.layers["toy"].edit == shown != copy


def test_restored_after_an_undo_has_left_the_sizes_apart(entry):
    layer = entry.layers["toy"]
    paint(layer.edit)
    layer.edit.scale(192, 128)  # and nothing has followed it
    painting.restore_learned(layer)
    assert tuple(layer.edit.size) == tuple(layer.base.size) == (192, 128)
    assert not painting.is_painted(layer)


def test_a_pattern_follows_the_size_of_the_edit(entry):
    layer = entry.layers["toy"]
    painting.show(entry, layer, "grid")
    layer.edit.scale(192, 128)
    shots.follow_sizes(entry)
    assert painting.shown(layer) == "grid" and tuple(layer.shown.size) == (192, 128)


def test_asking_for_the_node_makes_nothing(entry):
    scene = entry.scene
    name = "compositing_node_group" if bpy.app.version >= (5, 0, 0) else "use_nodes"
    setattr(scene, name, None if bpy.app.version >= (5, 0, 0) else False)
    groups = len(bpy.data.node_groups)
    entry.amount("toy", "Relight")
    assert len(bpy.data.node_groups) == groups
