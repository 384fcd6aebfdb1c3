"""A folder without EXR maps: opening it queues the job that writes them, and that one opens it."""

import shutil
import subprocess
import time
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.decompose import maps_job
from blender_addon.jobs.runner import runner
from blender_addon.shot.folder import CompactOnly, read_shot


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
    with pytest.raises(CompactOnly, match="compact maps alone"):
        read_shot(folder)
    (folder / "maps/00000.nodes").unlink()
    with pytest.raises(Exception, match="maps are missing"):
        read_shot(folder)


def test_a_job_writes_them_and_opens_the_folder(folder, tmp_path, monkeypatch, engine):
    monkeypatch.setattr(maps_job, "jobs_folder", lambda: tmp_path / "jobs")
    monkeypatch.setattr(maps_job, "find_engine", lambda: type("E", (), {"python": engine.PYTHON}))
    scene = bpy.context.scene
    assert bpy.ops.nvd.open_shot(directory=str(folder)) == {"FINISHED"}
    assert not scene.nvd_shots
    (job,) = [job for job in runner.jobs_of(scene) if job.kind == "maps"]
    bpy.ops.nvd.open_shot(directory=str(folder))  # twice is once
    assert [j for j in runner.jobs_of(scene) if j.kind == "maps"] == [job]
    end = time.monotonic() + 300
    while not job.ended and time.monotonic() < end:
        runner.tick()
        time.sleep(0.2)
    assert job.state == "done", job.full_log()
    assert bpy.ops.nvd.open_job(job=job.id) == {"FINISHED"}
    assert [entry.path for entry in scene.nvd_shots] == [folder.resolve()]
