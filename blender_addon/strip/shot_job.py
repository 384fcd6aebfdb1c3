"""A job of the engine on one shot, in the queue of decompositions and renders."""

from pathlib import Path

import bpy

from ..blender.storage import jobs_folder
from ..jobs.job import Job
from ..jobs.runner import runner
from ..shot.shots import NVD_PG_shot


def queue_shot_job(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    python: str | Path,
    *steps: tuple[str, list[str]],
    kind: str,
    title: str,
    **about: str,
) -> Job:
    """Queue a job that `scene` remembers; returns it at once. AddonError where the disk refuses.

    Each of its `steps` is a title and a command. `about` is kept with it beside the names of the
    scene and the shot's folder, by which it is found again (`newest`).
    """
    job = Job.create(
        jobs_folder(),
        title=title,
        kind=kind,
        python=python,
        steps=[{"title": step, "command": command} for step, command in steps],
        about={"scene": scene.name, "folder": str(entry.path), **about},
    )
    return runner.queue_job(job, scene)
