"""The node group against the written formulas, and against the engine's own renderer."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.blender import compat
from blender_addon.shot.scripting import open_shot

EXACT = 90.0  # dB; 16-bit PNG allows about 107


def compare(reference, truth, tmp_path, mode, **changes) -> float:
    """The worst frame's PSNR against the formulas, clamped to 0..1 as the file is."""
    return min(
        reference.psnr(
            reference.render(tmp_path, t + 1), np.clip(truth.picture(t, mode, **changes), 0, 1)
        )
        for t in range(3)
    )


@pytest.mark.parametrize("mode", ["delta", "full"])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "standard"])
def test_equals_formulas(made, tmp_path, mode, raw, reference):
    open_shot(made / "shot.nvd", mode, raw=raw)
    worst = compare(reference, reference.Truth(made), tmp_path, mode)
    print(f"worst frame {worst:.1f} dB")  # pytest -rP shows it
    assert worst > EXACT


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_visibility_and_relight(made, tmp_path, mode, reference):
    group = open_shot(made / "shot.nvd", mode, raw=True)
    truth = reference.Truth(made)
    changes = {"visibility": (1, 0.25, 0.5), "relight": (0, 2, 0.5)}
    node = group_node(group)
    for index, layer in enumerate(truth.layers):
        node.inputs[f"{layer} Visibility"].default_value = changes["visibility"][index]
        node.inputs[f"{layer} Relight"].default_value = changes["relight"][index]
    assert compare(reference, truth, tmp_path, mode, **changes) > EXACT


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_linear_frames(made_linear, tmp_path, mode, reference):
    """EXR frames above 1 come out scene-linear, with the paint added in encoded values."""
    open_shot(made_linear / "shot.nvd", mode)
    truth = reference.Truth(made_linear)
    for t in range(3):
        picture = reference.render(tmp_path, t + 1, "OPEN_EXR")
        assert (
            reference.psnr(reference.encode(picture), truth.picture(t, mode, linear=True)) > EXACT
        )


def test_untouched_edit_leaves_frames_as_shot(made, tmp_path, reference):
    shot = tmp_path / "shot.nvd"
    shutil.copytree(made / "shot.nvd", shot)
    for texture in (shot / "textures").iterdir():
        shutil.copy(texture, shot / "edits" / texture.name)
    open_shot(shot)
    bpy.context.scene.render.image_settings.file_format = "PNG"
    for t in range(3):
        eight_bits = np.round(reference.render(tmp_path, t + 1) * 255)
        assert np.array_equal(eight_bits, np.round(reference.Truth(made).frames[t] * 255))


def test_unsaved_paint_shows_and_outlives_reopening(made, tmp_path, reference):
    open_shot(made / "shot.nvd", raw=True)
    before = reference.render(tmp_path, 1)
    edit = next(image for image in bpy.data.images if image.name == "shot background edit")
    edit.pixels.foreach_set(np.tile(np.float32([1, 0, 1, 1]), edit.size[0] * edit.size[1]))
    edit.update()
    painted = reference.render(tmp_path, 1)
    assert reference.psnr(painted, before) < 30
    open_shot(made / "shot.nvd", raw=True)
    assert np.array_equal(reference.render(tmp_path, 1), painted)


def test_group_is_tidy(made, reference):
    group = open_shot(made / "shot.nvd")
    assert group.name == "NVD shot"
    inputs = [item.name for item in group.interface.items_tree if item.in_out == "INPUT"]
    assert inputs[:4] == ["Frame", "toy Edit", "toy Visibility", "toy Relight"]
    assert {f"{layer} Edit" for layer in reference.Truth(made).layers} < set(inputs)
    frames = [node.label for node in group.nodes if node.bl_idname == "NodeFrame"]
    layers = ["toy", "leaf-2", "background"]
    assert frames == [f"{what} {layer}" for what in ("Layer", "Passes") for layer in layers]
    for tree in bpy.data.node_groups:
        nodes = [node for node in tree.nodes if node.bl_idname != "NodeFrame"]
        places = [tuple(node.location) for node in nodes]
        assert len(set(places)) == len(places), "two nodes lie on each other"


def test_opening_again_replaces_and_leaves_other_nodes_alone(made):
    scene = bpy.context.scene
    tree = compat.compositor_tree(scene)
    mine = tree.nodes.new("CompositorNodeBlur")
    open_shot(made / "shot.nvd", "full")
    counts = []
    for _ in range(3):
        open_shot(made / "shot.nvd")
        counts.append((len(tree.nodes), len(bpy.data.node_groups), len(bpy.data.images)))
    assert len(set(counts)) == 1
    assert mine.name in tree.nodes
    assert [group.name for group in bpy.data.node_groups if group.name.startswith("NVD shot")] == [
        "NVD shot"
    ]


def test_scene_is_set_up(made):
    open_shot(made / "shot.nvd")
    scene = bpy.context.scene
    assert (scene.render.resolution_x, scene.render.resolution_y) == (160, 90)
    assert (scene.frame_start, scene.frame_end) == (1, 3)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(24000 / 1001)
    assert scene.view_settings.view_transform == "Standard"


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_equals_engine_renderer(made, tmp_path, mode, engine, reference):
    """`nvd render` with the same edits, 8 bits, against Blender rounded to 8 bits."""
    shot = made / "shot.nvd"
    edits = []
    for layer in reference.Truth(made).layers:
        edits += ["--edit", f"{layer}={shot / 'edits' / layer}.png"]
    out = tmp_path / "engine" / "%05d.png"
    engine.run("-m", "nvd_core", "render", shot, "--out", out, "--mode", mode, *edits)
    open_shot(shot, mode)
    for t in range(3):
        blender = np.round(reference.render(tmp_path, t + 1) * 255) / 255
        worst = reference.psnr(reference.load(tmp_path / "engine" / f"{t:05d}.png"), blender)
        print(f"frame {t} {worst:.1f} dB")
        assert worst > 50


def group_node(group):
    tree = compat.compositor_tree(bpy.context.scene)
    return next(node for node in tree.nodes if getattr(node, "node_tree", None) == group)


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_the_picture_is_opaque(made, tmp_path, mode, reference):
    """As a window shows it: alpha below 1 at soft edges was an outline over whatever lay below.

    Pictures are premultiplied, so a straight picture of them would also have other colours.
    """
    open_shot(made / "shot.nvd", mode)
    scene = bpy.context.scene
    settings = scene.render.image_settings
    truth = reference.Truth(made)
    for t in range(3):
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "16"
        scene.render.filepath = str(tmp_path / f"rgba_{t}.png")
        scene.frame_set(t + 1)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        image.colorspace_settings.name, image.alpha_mode = "Non-Color", "CHANNEL_PACKED"
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
        assert pixels[..., 3].min() == 1
        wanted = np.clip(truth.picture(t, mode), 0, 1)
        assert np.abs(pixels[..., :3] - wanted).max() < 1.5 / 255
