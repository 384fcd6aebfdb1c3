"""A folder that has compact maps alone: the job that writes the EXR maps that Blender's nodes need.

The shot can be painted on and previewed meanwhile; when the job is done its nodes are built.
"""

from pathlib import Path

import bpy

from ..blender.storage import jobs_folder
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot.shots import NVD_PG_shot, add_shot, shots_at

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


def write_missing(
    entries: list[NVD_PG_shot], scene: bpy.types.Scene, about: dict | None = None
) -> str:
    """Queue the job for each shot without EXR maps; what an operator says of it, or "".

    Without an engine the shots can be painted on all the same, and what is said is the problem.
    """
    jobs = []
    for entry in [entry for entry in entries if entry.read().is_compact]:
        try:
            jobs.append(queue_maps(entry.path, scene, about).title)
        except AddonError as error:
            return f"it has compact maps alone, which the preview shows and nodes cannot: {error}"
    if not jobs:
        return ""
    return (
        f"paint on it in the tab Layers; its nodes come when {', '.join(map(repr, jobs))} has "
        "written the EXR maps"
    )


def build_nodes(job: Job) -> None:
    """Build the nodes of the shots whose maps the job has written."""
    if job.kind != KIND or job.state != DONE or job.id in runner.foreign:
        return
    for entry in shots_at(Path(job.out)):
        if entry.group_node() is None:
            try:
                add_shot(entry.path, entry.id_data, own_scene=entry.scene != entry.id_data)
            except AddonError as error:
                job.fail(error.problem, error.remedy, error.button)
                return
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Build Nodes")


def register():
    runner.when_ended.append(build_nodes)


def unregister():
    runner.when_ended.remove(build_nodes)
