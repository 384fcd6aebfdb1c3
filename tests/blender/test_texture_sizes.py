"""Texture Size from the panel: no paint is lost, also what comes while it is made; and back."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.decompose import texture_sizes
from blender_addon.jobs.runner import runner
from blender_addon.shot import painting, shots

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.usefixtures("extension")]
RED, GREEN = (1, 0, 0, 1), (0, 1, 0, 1)


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory, tiny_job, engine):
    """A folder with its networks; not to be changed."""
    clip = tiny_job.make_clip(tmp_path_factory.mktemp("clip"))
    folder = tmp_path_factory.mktemp("sized") / "shot.nvd"
    options = tiny_job.options(clip)
    words = ["-m", "nvd_core", "decompose", clip / "frames", "--out", folder, "--device", "cpu"]
    words += ["--settings", options["settings"]]
    for name, path in options["masks"]:
        words += ["--mask", f"{name}={path}"]
    engine.run(*words)
    return folder


@pytest.fixture
def entry(trained_folder, tmp_path):
    shutil.copytree(trained_folder, tmp_path / "shot.nvd")
    return shots.add_shot(tmp_path / "shot.nvd")


def the_shot():
    return bpy.context.scene.nvd_shots[0]


def paint(colour, rows):
    """A stripe over the background, in Blender's copy alone."""
    image = the_shot().layers["background"].edit
    pixels = read_pixels(image)
    high = pixels.shape[0]
    pixels[int(rows[0] * high) : int(rows[1] * high)] = colour
    write_pixels(image, pixels)


def share(colour) -> float:
    pixels = read_pixels(the_shot().layers["background"].edit)
    return float((np.abs(pixels[..., :3] - colour[:3]).max(2) < 0.05).mean())


def run(tick_until, *steps):
    for _ in range(4):  # a job may be followed by another
        texture_sizes.follow()
        tick_until(lambda: not runner.queue.busy, runner.tick)
    for job in runner.queue.jobs:
        assert job.error is None, job.full_log()


def test_larger_with_the_paint_and_back_again(entry, tick_until):
    width = tuple(entry.layers["background"].learned.size)
    old = entry.layers["background"].edit["nvd_path"]
    paint(RED, (0.4, 0.5))  # not saved: the button does it
    assert bpy.ops.nvd.texture_size(size=2) == {"FINISHED"}
    run(tick_until)
    layer = the_shot().layers["background"]
    assert tuple(layer.learned.size) == tuple(layer.edit.size) == (2 * width[0], 2 * width[1])
    assert texture_sizes.size_of(the_shot()) == 2 and 0.08 < share(RED) < 0.12
    node = the_shot().group_node()
    assert node.inputs["background Edit"].links[0].from_node.image == layer.edit
    assert bpy.ops.nvd.textures_back() == {"FINISHED"}
    run(tick_until)
    layer = the_shot().layers["background"]
    assert tuple(layer.edit.size) == width and layer.edit["nvd_path"] == old
    assert 0.08 < share(RED) < 0.12


def test_what_is_painted_meanwhile_is_not_lost(entry, tick_until):
    """Unsaved, the shot waits; saved, it comes along by a second job."""
    bpy.ops.nvd.texture_size(size=2)
    job = runner.queue.jobs[-1]
    paint(GREEN, (0.6, 0.7))
    tick_until(lambda: job.ended, runner.tick)
    texture_sizes.follow()
    assert texture_sizes.is_behind(the_shot()) and share(GREEN) > 0.08
    assert the_shot().layers["background"].edit.is_dirty
    painting.save_edits(the_shot())  # as a save of the .blend does
    run(tick_until)
    assert not texture_sizes.is_behind(the_shot())
    assert texture_sizes.size_of(the_shot()) == 2 and 0.08 < share(GREEN) < 0.12


def test_the_button_saves_and_brings_it_over(entry, tick_until):
    bpy.ops.nvd.texture_size(size=2)
    job = runner.queue.jobs[-1]
    paint(GREEN, (0.6, 0.7))
    tick_until(lambda: job.ended, runner.tick)
    assert bpy.ops.nvd.take_textures() == {"FINISHED"}
    run(tick_until)
    assert texture_sizes.size_of(the_shot()) == 2 and 0.08 < share(GREEN) < 0.12
    with pytest.raises(RuntimeError, match="wait until it is done"):
        bpy.ops.nvd.texture_size(size=4)
        bpy.ops.nvd.texture_size(size=1)
    runner.queue.jobs[-1].cancel()
