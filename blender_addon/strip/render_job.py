"""Rendering to a strip without waiting: a job in the queue, and the strip when it has ended.

job = queue_render(entry, scene, python)     # progress and Cancel are in the list of jobs
"""

from pathlib import Path

import bpy

from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.runner import runner
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot, listed_shot, strip_of
from .shot_job import queue_shot_job
from .strips import add_strip, alignment, render_command, render_pattern

KIND = "strip"


def queue_render(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    python: str | Path,
    without: str = "",
    overlay: str = "",
) -> Job:
    """Save the paint and queue the render, `without` an object, or with an `overlay`; AddonError
    where the folder, the strip or the disk refuses.
    """
    shot, strip = entry.read(), strip_of(scene, entry)
    if strip is not None:
        alignment(entry, shot, strip)  # may take a moment, which the timer at the job's end has not
    save_edits(entry)
    pattern = render_pattern(entry, without, overlay)
    command = render_command(python, shot, pattern, without=without, overlay=overlay)
    return queue_shot_job(
        entry,
        scene,
        python,
        ("rendering", command),
        kind=KIND,
        title=f"{entry.name} to strip",
        shot=entry.id,
        pattern=pattern,
        without=without,
        overlay=overlay,
    )


def _when_ended(job: Job) -> None:
    """Add the strip of a finished render, where its scene and shot are still in this file."""
    if job.kind != KIND or job.state != DONE:
        return
    about = job.plan["about"]
    scene, folder, pattern = (about.get(name) for name in ("scene", "folder", "pattern"))
    without, overlay = about.get("without", ""), about.get("overlay", "")
    if not all(isinstance(value, str) for value in (scene, folder, pattern, without, overlay)):
        job.fail("it is not known what was rendered: plan.json is damaged", "render it again")
        return
    entry = listed_shot(scene, folder, about.get("shot"))
    if entry is None:
        return
    try:
        add_strip(entry, entry.id_data, pattern, without, overlay)
    except AddonError as error:
        job.fail(error.problem, error.remedy, error.button)
        return
    bpy.ops.ed.undo_push(message="Render to Strip")


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
