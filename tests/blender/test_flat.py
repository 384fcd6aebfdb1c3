"""The flattened stack in nodes: equal to `nvd render`, renewed, undone, and said where it is not."""

import json
import shutil

import bpy
import numpy as np
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.shot import flat, flat_nodes, painting, shots, stack
from blender_addon.shot.folder import read_shot
from blender_addon.shot.scripting import open_shot
from blender_addon.shot.stack_file import read_stack

pytestmark = pytest.mark.usefixtures("extension")


def write_picture(path, colour, size=(40, 30)):
    image = bpy.data.images.new("x", *size, alpha=True)
    image.pixels.foreach_set(np.tile(np.float32(colour), size[0] * size[1]))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def fill(entry, place):
    """A picture in the last frame, one in the first with a fade, and an adjustment in all."""
    write_picture(place / "a.png", (0.1, 0.9, 0.2, 1))
    write_picture(place / "b.png", (0.9, 0.1, 0.2, 0.6))
    toy, leaf, background = entry.layers
    late = stack.add_file(entry, toy, "picture", place / "a.png")
    late.has_range, late.first, late.last = True, 2, 2
    stack.set_corners(late, ((0.2, 0.1), (0.9, 0.2), (0.8, 0.9), (0.1, 0.8)))
    early = stack.add_file(entry, leaf, "picture", place / "b.png")
    early.has_range, early.first, early.last, early.blend = True, 0, 0, "multiply"
    stack.add_plain(entry, background, "adjustment", hue=70.0, gain=1.2)
    painting.save_edits(entry)


def flatten(engine, folder):
    engine.run("-m", "nvd_core", "edits", "flatten", folder)


@pytest.fixture
def entry(folder, tmp_path, engine):
    made = shots.add_shot(folder, bpy.context.scene, own_scene=False)
    fill(made, tmp_path)
    flatten(engine, folder)
    assert flat_nodes.follow(made)
    return made


def rendered(engine, folder, place, mode="delta"):
    out = place / "engine"
    words = ["--out", out / "%05d.png", "--bits", "16", "--mode", mode]
    engine.run("-m", "nvd_core", "render", folder, *words)
    return out


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_nodes_equal_the_engine_in_every_frame(entry, folder, tmp_path, engine, reference, mode):
    """Also in the frames before the first picture and behind the last, which have none."""
    shots.add_shot(folder, bpy.context.scene, own_scene=False, mode=mode)
    found = flat.read_flat(read_shot(folder)).layers
    assert (found["toy"].first, found["toy"].count) == (1, 2)
    assert (found["leaf-2"].first, found["leaf-2"].count) == (0, 2)
    assert found["background"].count == 1
    out = rendered(engine, folder, tmp_path, mode)
    for t in range(3):
        made = reference.render(tmp_path, t + 1)
        wanted = reference.load(out / f"{t:05d}.png")
        print(t, reference.psnr(made, wanted))
        assert reference.psnr(made, wanted) > 60, t
