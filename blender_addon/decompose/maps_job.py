"""A folder that has compact maps alone: the job that writes the EXR maps on which Blender works.

The job stands in the list, and opens the folder when it is done as the one that made it would.
"""

from pathlib import Path

import bpy

from ..blender.storage import jobs_folder
from ..engine.find import find_engine
from ..jobs.job import Job
from ..jobs.process import engine_command
from ..jobs.runner import runner

KIND = "maps"


def queue_maps(folder: Path, scene: bpy.types.Scene, about: dict | None = None) -> Job:
    """Queue `nvd maps` for `folder`; `about` is that of the job that made it, if one did.

    AddonError where there is no engine, or the disk refuses. A job for it that waits or works is
    returned as it is.
    """
    for job in runner.jobs_of(scene):
        if job.kind == KIND and not job.ended and Path(job.out) == Path(folder):
            return job
    python = find_engine().python
    step = {"title": "writing maps", "command": engine_command(python, "maps", folder)}
    job = Job.create(
        jobs_folder(),
        title=f"{Path(folder).stem} maps",
        kind=KIND,
        python=python,
        steps=[step],
        resume_steps=[step],
        out=folder,
        about=(about or {}) | {"scene": scene.name, "folder": str(folder), "shots": False},
    )
    return runner.queue_job(job, scene)


def told(job: Job) -> str:
    """What an operator says that has queued it."""
    return (
        f"{Path(job.out).name} has compact maps alone: the job {job.title!r} writes the EXR maps "
        "that Blender needs; press Open in the list of jobs when it is done"
    )
