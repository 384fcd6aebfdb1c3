"""Masks drawn for a refinement: begun with what the layer shows, and their files."""

import json
import shutil

import bpy
import numpy as np
import pytest

from blender_addon.decompose import better_masks, prepare
from blender_addon.decompose.clicking import put_lines
from blender_addon.decompose.outline import area, outlines, simplified
from blender_addon.errors import AddonError
from blender_addon.shot import shots
from blender_addon.shot.folder import read_shot

pytestmark = pytest.mark.usefixtures("extension")


@pytest.fixture
def entry(folder):
    entry = shots.add_shot(folder)
    entry.active_layer = 0
    return entry


def disc(height, width, x, y, radius):
    down, across = np.mgrid[:height, :width]
    return np.clip(radius - np.hypot(across - x, down - y) + 0.5, 0, 1)


def rendered(mask, size, tmp_path, reference):
    """A mask as the second Blender draws it, float32 [H, W]."""
    shown, scene = bpy.context.window.scene, prepare._mask_scene(mask, size)
    part = {"folder": str(tmp_path), "frames": [[1, "mask_00001.png"]]}
    prepare._render(scene, part, "mask", "BW", lambda *_args, **_words: None)
    bpy.context.window.scene = shown
    return reference.load(tmp_path / "mask_00001.png")[..., 0]


def agreement(one, other):
    one, other = one > 0.5, other > 0.5
    return (one & other).sum() / (one | other).sum()


@pytest.mark.once
def test_an_outline_goes_where_the_matte_is_half():
    alpha = disc(60, 90, 40.3, 30.6, 20) - disc(60, 90, 44, 30, 8) + disc(60, 90, 84, 5, 1)
    outer, inner = outlines(alpha)  # the speck is none
    assert abs(area(outer)) == pytest.approx(np.pi * 400, rel=0.01)
    assert abs(area(inner)) == pytest.approx(np.pi * 64, rel=0.02)
    assert area(outer) * area(inner) < 0  # a hole goes the other way
    for line, (x, y, radius) in ((outer, (40.3, 30.6, 20)), (inner, (44, 30, 8))):
        assert np.abs(np.hypot(*(line - [x, y]).T) - radius).max() < 0.1
    few = simplified(outer, 0.6)
    assert len(few) < 30 < len(outer)
    assert abs(area(few)) == pytest.approx(abs(area(outer)), rel=0.03)


@pytest.mark.once
def test_an_outline_that_leaves_the_picture_is_closed():
    (line,) = outlines(np.ones((10, 20)))
    assert abs(area(line)) == pytest.approx(20 * 10, abs=1)
    assert outlines(np.zeros((10, 20))) == []
    touching = np.zeros((12, 12))
    touching[:6, :6] = touching[6:, 6:] = 1  # by one corner
    assert [abs(area(line)) for line in outlines(touching)] == pytest.approx([35.5, 35.5], abs=1)


@pytest.mark.parametrize("size", [(160, 90), (90, 160), (100, 100)])
def test_a_mask_is_drawn_as_the_matte_was(tmp_path, reference, size):
    """Through Blender's own mask, wide, high and square, with a hole."""
    wide, high = size
    alpha = disc(high, wide, 40.3, 50.6, 30) - disc(high, wide, 44, 50, 9)
    mask = bpy.data.masks.new("drawn")
    lines = [simplified(line, better_masks.WITHIN) for line in outlines(alpha)]
    put_lines(mask, wide, high, lines)
    assert agreement(rendered(mask, size, tmp_path, reference), alpha) > 0.97


def test_drawing_begins_with_what_the_layer_shows(entry, made, tmp_path, reference):
    bpy.context.scene.frame_set(3)
    assert bpy.ops.nvd.draw_better_mask() == {"FINISHED"}
    (one,) = entry.better_masks
    assert (one.layer, one.frame) == ("toy", 2)
    alpha = reference.Truth(made).arrays["maps"][2, 0, ..., 2]
    assert agreement(rendered(one.mask, (160, 90), tmp_path, reference), alpha) > 0.95
    points = one.mask.layers[0].splines[0].points
    assert 6 < len(points) < 80 and {point.handle_type for point in points} == {"VECTOR"}
    bpy.ops.nvd.draw_better_mask()  # once more on the same frame: the same mask
    bpy.ops.nvd.draw_better_mask(frame=0)
    assert [one.frame for one in better_masks.drawn_of(entry, "toy")] == [0, 2]
    bpy.ops.nvd.remove_better_mask(layer="toy", frame=2)
    assert [one.frame for one in entry.better_masks] == [0]


@pytest.mark.once
def test_what_has_no_mask_is_refused(entry):
    with pytest.raises(RuntimeError, match="no frame"):
        bpy.ops.nvd.draw_better_mask(frame=99)
    entry.active_layer = len(entry.layers) - 1
    with pytest.raises(RuntimeError, match="no mask"):
        bpy.ops.nvd.draw_better_mask()
    assert not len(entry.better_masks)


@pytest.mark.once
def test_the_masks_farther_off_stay(entry, folder, tmp_path):
    (folder / "masks/toy").mkdir(parents=True)
    for t in range(3):
        shutil.copy(folder / "frames/00000.png", folder / f"masks/toy/{t:05d}.png")
    better_masks.draw(entry, entry.layers["toy"], 0)
    made = better_masks.masks_of(entry, "toy", tmp_path / "masks", 1)
    assert [part["frames"] for part in made.parts] == [[[0, "mask_00000.png"]]]
    source, target = made.copies[0]
    assert len(made.copies) == 1 and source.endswith("00002.png")
    assert target == str(tmp_path / "masks/mask_00002.png")
    assert len(better_masks.masks_of(entry, "toy", tmp_path / "masks", 0).copies) == 2
    for spline in entry.better_masks[0].mask.layers[0].splines:
        spline.use_cyclic = False
    with pytest.raises(AddonError, match="no closed line"):
        better_masks.masks_of(entry, "toy", tmp_path / "masks", 1)


@pytest.mark.once
def test_files_are_named_as_the_source_is(folder, tmp_path):
    """With the zeros of its files, by which the engine knows a single mask's frame."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    clip = manifest["clip"]
    source = tmp_path / "source"
    source.mkdir()
    for number in (8, 10, 12):
        (source / f"shot.{number:03d}_left.png").touch()
    clip |= {"source": str(source), "numbers": "8-12x2", "first_frame": 4}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert better_masks._names(read_shot(folder)) == ["008", "010", "012"]
    clip["numbers"] = "8-12"  # of other frames than the shot has
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert better_masks._names(read_shot(folder)) == ["00004", "00005", "00006"]
