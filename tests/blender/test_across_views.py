"""Across Views from the panel: paint on one view of a layer's texture comes into the other."""

import shutil

import bpy
import numpy as np
import pytest

from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.decompose import across_job
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.shot import shots

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.usefixtures("extension")]


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory, tiny_job, engine):
    """A folder whose object has two views; not to be changed."""
    clip = tiny_job.make_clip(tmp_path_factory.mktemp("clip"))
    folder = tmp_path_factory.mktemp("views") / "shot.nvd"
    options = tiny_job.options(clip)
    words = ["-m", "nvd_core", "decompose", clip / "frames", "--out", folder, "--device", "cpu"]
    words += ["--settings", options["settings"], "--windows", "2", "--set", "iterations=300"]
    for name, path in options["masks"]:
        words += ["--mask", f"{name}={path}"]
    engine.run(*words)
    return folder


def test_paint_comes_as_an_entry_and_goes(trained_folder, tmp_path, tick_until):
    """Fails where the job is not told the layer, or its stack is not taken up."""
    shutil.copytree(trained_folder, tmp_path / "shot.nvd")
    entry = shots.add_shot(tmp_path / "shot.nvd")
    layer, background = entry.layers[0], entry.layers[-1]
    assert across_job.has_views(entry, layer) and not across_job.has_views(entry, background)
    with pytest.raises(AddonError, match="one view"):
        across_job.queue_across(entry, background, bpy.context.scene)
    pixels = read_pixels(layer.edit)
    high, wide = pixels.shape[:2]
    high, wide = (high, wide // 2) if wide > high else (high // 2, wide)
    pixels[:high, :wide] = (0, 1, 0, 1)  # one of two views, which stands on the left or below
    write_pixels(layer.edit, pixels)
    entry.active_layer = 0
    for back, names in ((False, [f"{layer.name} across"]), (True, [])):
        assert bpy.ops.nvd.across_views(layer=layer.name, back=back) == {"FINISHED"}
        tick_until(lambda: not runner.queue.busy, runner.tick)
        assert across_job.job_of(entry).error is None, across_job.job_of(entry).full_log()
        entry = bpy.context.scene.nvd_shots[0]
        assert [item.name for item in entry.stack] == names
    layer = entry.layers[0]
    assert np.allclose(read_pixels(layer.edit)[:high, :wide, :3], (0, 1, 0), atol=0.01)
