"""A shot that is painted on while its folder is refined: it opens early, follows, and goes back."""

import shutil
from pathlib import Path

import bpy
import pytest

from blender_addon.blender.pixels import read_pixels, write_pixels
from blender_addon.decompose import job as decompose_jobs
from blender_addon.decompose import refining
from blender_addon.jobs.runner import runner
from blender_addon.shot import edit_files, painting, shots, states

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.usefixtures("extension")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_job) -> Path:
    return tiny_job.make_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def refined(tmp_path_factory, clip, tiny_job, engine) -> Path:
    """A folder that was refined in place; not to be changed."""
    folder = tmp_path_factory.mktemp("refined") / "shot.nvd"
    options = tiny_job.options(clip)
    words = ["-m", "nvd_core", "decompose", clip / "frames", "--out", folder, "--at-once"]
    words += ["--settings", options["settings"], "--device", "cpu"]
    for name, path in options["masks"]:
        words += ["--mask", f"{name}={path}"]
    engine.run(*words)
    return folder


@pytest.fixture
def entry(refined, tmp_path):
    shutil.copytree(refined, tmp_path / "shot.nvd")
    return shots.add_shot(tmp_path / "shot.nvd")


def paint(entry) -> None:
    """A red stripe over the background, in Blender's copy alone."""
    layer = entry.layers["background"]
    painting.paint_layer(layer, None)
    pixels = read_pixels(layer.edit)
    pixels[pixels.shape[0] // 3 : pixels.shape[0] // 2] = 1, 0, 0, 1
    write_pixels(layer.edit, pixels)
    assert layer.edit.is_dirty


def reds(entry) -> float:
    pixels = read_pixels(entry.layers["background"].edit)
    return float(((pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.1)).mean())


def file_of(entry) -> str:
    return Path(entry.layers["background"].edit["nvd_path"]).name


def test_painted_while_it_gets_better(clip, tiny_job, tmp_path):
    out = tmp_path / "shot.nvd"
    options = tiny_job.options(clip)
    job = decompose_jobs.decompose(clip / "frames", out, at_once=True, device="cpu", **options)
    tiny_job.tick_until(lambda: job.log.ready is not None or job.ended, runner.tick)
    assert not job.ended, job.full_log()
    (entry,) = shots.all_shots()
    assert entry.path == out and file_of(entry) == "background.png"
    paint(entry)
    canvas = bpy.context.scene.tool_settings.image_paint.canvas
    assert canvas == entry.layers["background"].edit

    def tick():
        runner.tick()
        refining.follow()

    tiny_job.tick_until(lambda: "waits until" in job.log.message or job.ended, tick)
    assert not job.ended and job.log.ready == 0, job.full_log()
    assert (out / states.BRUSH).is_file() and file_of(entry) == "background.png"
    painting.save_edits(entry)
    tiny_job.tick_until(lambda: job.ended, tick)
    assert job.state == "done", job.full_log()
    refining.follow()
    assert file_of(entry) == "background.r2.png" and not (out / states.BRUSH).exists()
    assert reds(entry) > 0.1
    canvas = bpy.context.scene.tool_settings.image_paint.canvas
    assert canvas == entry.layers["background"].edit
    assert entry.group_node() is not None and not refining.is_behind(entry)


def test_back_and_forward(entry, tiny_job):
    assert file_of(entry) == "background.r2.png"
    paint(entry)
    for name in ("background.r1.png", "background.r2.png"):
        assert bpy.ops.nvd.former() == {"FINISHED"}
        job = runner.queue.jobs[-1]
        tiny_job.tick_until(lambda job=job: job.ended, runner.tick)
        assert job.state == "done", job.full_log()
        refining.follow()
        assert file_of(entry) == name and reds(entry) > 0.1


def test_unsaved_paint_is_never_replaced_and_taken_along(entry, engine, tiny_job):
    """What came in while a stroke was under way, so that the engine did not wait."""
    paint(entry)
    before = reds(entry)
    engine.run("-m", "nvd_core", "former", entry.path, "--back")
    refining.follow()
    assert refining.is_behind(entry) and file_of(entry) == "background.r2.png"
    assert reds(entry) == before and entry.layers["background"].edit.is_dirty
    assert bpy.ops.nvd.take_refinement() == {"FINISHED"}
    assert file_of(entry) == "background.r1.png"
    job = runner.queue.jobs[-1]
    tiny_job.tick_until(lambda: job.ended, runner.tick)
    assert job.state == "done", job.full_log()
    edit_files.follow()
    edit_files.follow()
    assert reds(entry) > 0.1
    assert states.late_paint(entry.path) == []


def test_a_damaged_former_state_says_nothing(entry):
    (entry.path / states.FORMER).write_text('{"manifest": 3}')
    assert states.late_paint(entry.path) == []
    (entry.path / states.FORMER).unlink()
    with pytest.raises(RuntimeError, match="not refined in place"):
        bpy.ops.nvd.former()
