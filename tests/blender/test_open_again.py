"""A listed shot is gone to when it is opened again; building its nodes anew loses nothing."""

import shutil

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.blender import compat
from blender_addon.shot import shots


@pytest.fixture
def entry(made, tmp_path, empty_file):
    blender_addon.register()
    yield shots.add_shot(shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd"))
    blender_addon.unregister()


@pytest.fixture
def work(entry):
    """What an artist does around the group: a value, keys, a node before and one after it."""
    tree, node = compat.compositor_tree(entry.scene), entry.group_node()
    node.inputs["toy Visibility"].default_value = 0.25
    relight = node.inputs["background Relight"]
    for frame, value in ((1, 0.5), (3, 2.0)):
        relight.default_value = value
        relight.keyframe_insert("default_value", frame=frame)
    blur = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(node.inputs["toy Edit"].links[0].from_socket, blur.inputs[0])
    tree.links.new(blur.outputs[0], node.inputs["toy Edit"])
    after = tree.nodes.new("CompositorNodeBlur")
    tree.links.new(node.outputs[0], after.inputs[0])
    tree.links.new(after.outputs[0], compat.compositor_output(tree))
    return blur.name, after.name


def check(entry, work):
    tree, node = compat.compositor_tree(entry.scene), entry.group_node()
    assert node.inputs["toy Visibility"].default_value == 0.25
    assert node.inputs["toy Edit"].links[0].from_node.name == work[0]
    assert work[1] in [link.to_node.name for link in node.outputs[0].links]  # and a Viewer
    assert compat.compositor_output(tree).links[0].from_node.name == work[1]
    (curve,) = compat.fcurves(tree)
    number = [socket.name for socket in node.inputs].index("background Relight")
    assert curve.data_path == f'nodes["{node.name}"].inputs[{number}].default_value'
    assert [curve.evaluate(frame) for frame in (1, 3)] == pytest.approx([0.5, 2.0])
    assert len([n for n in tree.nodes if getattr(n, "node_tree", None)]) == 1
    assert node.inputs["leaf-2 Edit"].is_linked


def press(name, **values):
    assert getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", **values) == {"FINISHED"}


def test_open_goes_there(entry, work):
    groups = [group.name for group in bpy.data.node_groups]
    nodes = [node.name for node in compat.compositor_tree(entry.scene).nodes]
    bpy.context.scene.nvd_shot = -1
    press("open_shot", directory=str(entry.path))
    assert bpy.context.scene.nvd_shot == 0 and len(bpy.context.scene.nvd_shots) == 1
    assert [group.name for group in bpy.data.node_groups] == groups
    assert [node.name for node in compat.compositor_tree(entry.scene).nodes] == nodes
    check(entry, work)


def test_rebuilt_nodes_keep_what_is_around_them(entry, work):
    group = entry.group_node().node_tree
    group.nodes.remove(group.nodes[0])  # somebody has spoilt it
    count = len(group.nodes)
    press("rebuild_nodes", mode="delta")
    assert len(entry.group_node().node_tree.nodes) == count + 1
    check(entry, work)
    press("rebuild_nodes", mode="delta")
    check(entry, work)
    assert len([g for g in bpy.data.node_groups if "nvd_folder" in g]) == 1


def test_another_mode_has_other_inputs(entry, work):
    """Full mode has no Frame, so every input has another place."""
    press("rebuild_nodes", mode="full")
    assert "Frame" not in entry.group_node().inputs
    check(entry, work)
    press("rebuild_nodes", mode="delta")
    assert entry.group_node().inputs["Frame"].is_linked
    check(entry, work)


def test_what_is_missing_is_put_in(entry):
    tree, node = compat.compositor_tree(entry.scene), entry.group_node()
    tree.nodes.remove(node.inputs["toy Edit"].links[0].from_node)
    press("rebuild_nodes", mode="delta")
    socket = entry.group_node().inputs["toy Edit"]
    assert socket.links[0].from_node.image == entry.layers["toy"].edit


@pytest.mark.parametrize("painted", [False, True])
@pytest.mark.parametrize("moved", [False, True], ids=["there", "moved"])
def test_a_blend_that_was_copied_elsewhere_finds_its_folder_again(
    entry, tmp_path, reference, painted, moved
):
    """Its relative paths lead to nothing, while the shot lies where it always did: found by itself.
    If that has moved as well, Find Again finds it.
    """
    folder, before = entry.path, tmp_path / "work" / "a.blend"
    if painted:
        pixels = np.full(len(entry.layers["toy"].edit.pixels), 0.5, np.float32)
        entry.layers["toy"].edit.pixels.foreach_set(pixels)
        entry.layers["toy"].edit.update()
    before.parent.mkdir()
    bpy.context.preferences.filepaths.use_relative_paths = True
    bpy.ops.wm.save_as_mainfile(filepath=str(before))
    bpy.context.window.scene = entry.scene
    shown = reference.render(tmp_path, 2)
    copy = tmp_path / "far" / "away" / "b.blend"
    copy.parent.mkdir(parents=True)
    shutil.copy(before, copy)
    if moved:
        folder = folder.rename(tmp_path / "elsewhere.nvd")
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    entry = shots.all_shots()[0]
    assert entry.missing == moved
    if moved:
        bpy.context.scene.nvd_shot = 0
        press("find_again", directory=str(folder))
    assert not entry.missing and entry.path == folder
    images = [i for i in bpy.data.images if "nvd_path" in i]
    assert len(images) == 2 * len(entry.layers) + 2
    assert all(i.size[0] or i.type == "MULTILAYER" for i in images)
    assert entry.group_node() is not None
    bpy.context.window.scene = entry.scene
    assert np.array_equal(reference.render(tmp_path, 2), shown)
    press("rebuild_nodes", mode="delta")
    assert np.array_equal(reference.render(tmp_path, 2), shown)


@pytest.fixture
def other_file(entry, tmp_path):
    """A .blend elsewhere whose scene lists the shot by a relative path; a new one is open."""
    name, folder = entry.id_data.name, entry.path
    path = tmp_path / "work" / "a.blend"
    path.parent.mkdir()
    bpy.context.preferences.filepaths.use_relative_paths = True
    entry.id_data.name = "of the other"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    assert entry.folder.startswith("//")
    bpy.ops.wm.read_homefile(use_empty=True)
    here = tmp_path / "far" / "away" / "b.blend"
    here.parent.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(here))
    return path, folder, name


@pytest.mark.skipif(bpy.app.version < (4, 3), reason="Blender 4.2 does not say what is appended")
def test_an_appended_shot_is_found(other_file):
    path, folder, _ = other_file
    with bpy.data.libraries.load(str(path), link=False) as (_, wanted):
        wanted.scenes = ["of the other"]
    (entry,) = (e for s in bpy.data.scenes for e in s.nvd_shots)
    assert not entry.missing and entry.path == folder
    assert entry.layers["toy"].edit.size[0] and entry.group_node() is not None
    assert shots.stored_path(folder) == entry.folder


def test_a_linked_shot_is_where_the_other_file_says(other_file):
    path, folder, _ = other_file
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.scenes = ["of the other"]
    (entry,) = (e for s in bpy.data.scenes for e in s.nvd_shots)
    assert entry.id_data.library is not None
    assert entry.path == folder and not entry.missing


def test_it_is_built_anew_in_the_mode_that_it_has(entry):
    """Full mode has a Frame too where the plate has alpha: the inputs do not tell the mode."""
    press("rebuild_nodes", mode="full")
    assert entry.mode == "full"
    press("rebuild_nodes")
    assert entry.mode == "full" and "Frame" not in entry.group_node().inputs
    del entry.group_node().node_tree["nvd_mode"]  # as older versions left it
    assert entry.mode == "full"
