"""A folder without EXR maps: it is painted on and previewed; a job writes them, then nodes come."""

import shutil
import subprocess
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.decompose import maps_job
from blender_addon.errors import AddonError
from blender_addon.jobs.runner import runner
from blender_addon.shot.folder import CompactOnly, read_shot
from blender_addon.shot.scripting import open_shot
from blender_addon.shot.shots import add_shot
from blender_addon.strip.composite_strips import add_scene_strip


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture
def folder(made, tmp_path, engine):
    copy = Path(shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd"))
    command = [engine.PYTHON, "-m", "nvd_core", "maps", str(copy), "--compact"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert not list((copy / "maps").glob("*.exr"))
    return copy


def test_what_lacks_more_than_exr_is_missing(folder):
    assert read_shot(folder).is_compact
    (folder / "maps/00000.nodes").unlink()
    with pytest.raises(Exception, match="maps are missing"):
        read_shot(folder)


def test_it_is_painted_on_without_nodes_which_nothing_shows_in_silence(folder):
    entry = add_shot(folder)
    assert entry.group_node() is None and entry.layers["toy"].edit.size[0]
    assert (entry.scene.render.resolution_x, entry.scene.frame_end) == (160, 3)
    with pytest.raises(CompactOnly, match="compact maps alone"):
        open_shot(folder)
    with pytest.raises(CompactOnly, match="Rebuild Nodes"):
        add_scene_strip(entry, bpy.context.scene)


@pytest.mark.gpu
def test_the_preview_needs_no_exr(gpu_ready, folder, made, preview_picture):
    wanted = preview_picture(made, 1)
    difference = np.abs(preview_picture(folder.parent, 1) - wanted)
    assert (
        np.quantile(difference, 0.99) < 4 / 255
    )  # compact maps of these are not theirs bit for bit


def test_a_job_writes_them_and_the_nodes_are_built(folder, monkeypatch, engine):
    monkeypatch.setattr(maps_job, "find_engine", lambda: type("E", (), {"python": engine.PYTHON}))
    scene = bpy.context.scene
    assert bpy.ops.nvd.open_shot(directory=str(folder)) == {"FINISHED"}
    (entry,) = scene.nvd_shots
    assert entry.group_node() is None
    (job,) = [job for job in runner.jobs_of(scene) if job.kind == "maps"]
    bpy.ops.nvd.rebuild_nodes()  # twice is once
    assert [j for j in runner.jobs_of(scene) if j.kind == "maps"] == [job]
    end = time.monotonic() + 300
    while not job.ended and time.monotonic() < end:
        runner.tick()
        time.sleep(0.2)
    assert job.state == "done", job.full_log()
    assert [entry.path for entry in scene.nvd_shots] == [folder.resolve()]
    assert scene.nvd_shots[0].group_node() is not None
    assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"}
    assert len(scene.nvd_shots) == 1


def test_without_an_engine_it_opens_all_the_same(folder, monkeypatch):
    def none():
        raise AddonError("there is no engine", "install it")

    monkeypatch.setattr(maps_job, "find_engine", none)
    assert bpy.ops.nvd.open_shot(directory=str(folder)) == {"FINISHED"}
    assert len(bpy.context.scene.nvd_shots) == 1
