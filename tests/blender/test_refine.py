"""Refine, from the panel, a script and without a window: a new version that keeps the paint."""

import json
import shutil
from pathlib import Path

import bpy
import pytest

from blender_addon import headless
from blender_addon.blender import compat
from blender_addon.decompose import refine_job
from blender_addon.decompose.opening import open_result
from blender_addon.jobs.runner import runner
from blender_addon.shot import painting, shots
from blender_addon.strip import strips

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("extension")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_job, engine) -> Path:
    """A folder with networks, decomposed by the engine; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    clip = tiny_job.make_clip(folder / "clip")
    words = ["-m", "nvd_core", "decompose", clip / "frames", "--out", folder / "shot.nvd"]
    options = tiny_job.options(clip)
    words += ["--settings", options["settings"], "--device", "cpu"]
    for name, path in options["masks"]:
        words += ["--mask", f"{name}={path}"]
    engine.run(*words)
    return folder / "shot.nvd"


@pytest.fixture
def entry(trained, tmp_path):
    folder = tmp_path / "take.nvd"
    shutil.copytree(trained, folder)
    return shots.add_shot(folder)


def paint(entry) -> None:
    """A red stripe over the background, in Blender's copy alone."""
    layer = entry.layers["background"]
    painting.paint_layer(layer, None)
    pixels = painting.read_pixels(layer.edit)
    pixels[pixels.shape[0] // 3 : pixels.shape[0] // 2] = 1, 0, 0, 1
    painting.write_pixels(layer.edit, pixels)


def test_the_panel_makes_a_new_version_with_the_paint(entry, tiny_job, tmp_path):
    paint(entry)
    brush = bpy.context.scene.tool_settings.image_paint
    brush.canvas = entry.layers["background"].edit
    assert bpy.ops.nvd.refine(steps=20) == {"FINISHED"}
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    assert Path(job.out) == tmp_path / "take_v2.nvd"
    assert job.log.result["carried"] == ["background"]
    (new,) = open_result(job, bpy.context.scene)
    assert brush.canvas == new.layers["background"].edit  # what is painted next is on the new one
    assert new.path == tmp_path / "take_v2.nvd" and entry.path == tmp_path / "take.nvd"
    pixels = painting.read_pixels(new.layers["background"].image)
    assert ((pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.1)).mean() > 0.1


def test_a_drawn_mask_is_refined_with(entry, tiny_job, tmp_path):
    """Drawn on one frame from what the layer shows, moved, and given to the engine."""
    entry.active_layer = 0
    assert bpy.ops.nvd.draw_better_mask(frame=3) == {"FINISHED"}
    (one,) = entry.better_masks
    for spline in one.mask.layers[0].splines:
        for point in spline.points:
            point.co.x += 0.1
            point.handle_left.x += 0.1
            point.handle_right.x += 0.1
    assert bpy.ops.nvd.refine(steps=10, around=1) == {"FINISHED"}
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    masks = {path.stem: path for path in (tmp_path / "take_v2.nvd/masks/disc").glob("*.png")}
    assert sorted(masks) == ["00000", "00001", "00003", "00005", "00006", "00007"]
    before = entry.path / "masks/disc"
    for name, path in masks.items():
        assert (path.read_bytes() == (before / path.name).read_bytes()) == (name != "00003")
    moved = middle(masks["00003"]) - middle(before / "00003.png")
    assert moved == pytest.approx(8, abs=1.5)  # of 80 pixels


def middle(path) -> float:
    """The middle of what is white, in pixels from the left."""
    image = bpy.data.images.load(str(path))
    pixels = painting.read_pixels(image)[..., 0]
    return float((pixels.sum(0) * range(pixels.shape[1])).sum() / pixels.sum())


def test_the_background_has_no_mask(entry):
    entry.active_layer = len(entry.layers) - 1
    with pytest.raises(RuntimeError, match="no mask"):
        bpy.ops.nvd.refine(mask="//masks")


def test_names_leave_out_what_is_queued_and_what_is_there(entry, tmp_path):
    assert refine_job.next_version(entry.path) == tmp_path / "take_v2.nvd"
    (tmp_path / "take_v2.nvd").mkdir()
    assert refine_job.next_version(entry.path) == tmp_path / "take_v3.nvd"
    assert refine_job.next_version(tmp_path / "take_v2.nvd") == tmp_path / "take_v3.nvd"


def test_a_folder_without_networks_says_so(made, tmp_path, entry, tiny_job):
    folder = tmp_path / "bare.nvd"
    shutil.copytree(made / "shot.nvd", folder)
    shots.add_shot(folder)
    bpy.ops.nvd.refine(steps=20)
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "failed" and job.error.remedy


def test_without_a_window(entry, tmp_path, capsys):
    out = tmp_path / "better.nvd"
    words = ["refine", str(entry.path), "--out", str(out), "--steps", "10", "--json"]
    assert headless.main(words) == 0
    result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert result["folder"] == str(out) and (out / "manifest.json").is_file()


def test_an_object_is_removed_to_a_strip_of_its_own(entry, tiny_job, engine):
    scene = bpy.context.scene
    entry.active_layer = 0
    for _ in range(2):  # pressed again it renews its strip
        assert bpy.ops.nvd.clean_plate() == {"FINISHED"}
        job = runner.queue.jobs[-1]
        tiny_job.tick_until(lambda job=job: job.ended, runner.tick)
        assert job.state == "done", job.full_log()
    (strip,) = compat.strips(scene)
    assert strip.name == "take without disc" and len(strip.elements) == entry.frames
    folder = entry.path / "render" / "without_disc"
    assert Path(bpy.path.abspath(strip.directory)).resolve() == folder.resolve()
    assert (folder / "00003.png").read_bytes() != (entry.path / "frames/00003.png").read_bytes()
    painted = strips.render_to_strip(entry, scene, engine.PYTHON)
    assert painted.name == "take painted" and len(compat.strips(scene)) == 2
    entry.active_layer = len(entry.layers) - 1
    with pytest.raises(RuntimeError, match="nothing lies behind"):
        bpy.ops.nvd.clean_plate()


def test_removed_without_a_window(entry, tmp_path):
    words = ["render", str(entry.path), "--out", str(tmp_path / "out/%05d.png"), "--remove", "disc"]
    assert headless.main(words) == 0
    assert len(list((tmp_path / "out").glob("0*.png"))) == entry.frames
    assert headless.main([*words, "--through", "compositor"]) == 2
