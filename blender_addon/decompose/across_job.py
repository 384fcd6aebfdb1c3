"""Paint on one view's part of a texture, taken into the layer's other views by a job.

    job = queue_across(entry, entry.layer, scene)      # saves the paint first
    job = queue_across(entry, entry.layer, scene, back=True)

The engine puts what comes into an entry of the stack of edits, so that the painted texture stays as
it is; the entry is taken up when the job has ended.
"""

from pathlib import Path

import bpy

from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import painting, stack, states
from ..shot.shots import NVD_PG_layer, NVD_PG_shot, shots_at
from ..shot.stack_file import read_stack
from ..strip.shot_job import queue_shot_job

KIND = "across"


def queue_across(
    entry: NVD_PG_shot,
    layer: NVD_PG_layer,
    scene: bpy.types.Scene,
    python: str | Path | None = None,
    *,
    back: bool = False,
) -> Job:
    """Save the paint and queue `nvd across`; `back` takes away what came so.

    AddonError where the layer has one view, there is no engine, or the folder or the disk refuses.
    """
    if not has_views(entry, layer):
        raise AddonError(f"{layer.name} has one view", "paint shows in all its frames already")
    known = job_of(entry)
    if known is not None and not known.ended:
        raise AddonError(f"{known.title} is {known.state}", "wait until it is done, or cancel it")
    painting.save_edits(entry)
    python = python or find_engine().python
    words = ["across", entry.path, "--layer", layer.name, *(["--back"] if back else [])]
    step = "across views", engine_command(python, *words)
    title = f"{entry.name} across views"
    return queue_shot_job(entry, scene, python, step, kind=KIND, title=title)


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job that takes the shot's paint across views."""
    return runner.queue.newest(KIND, entry.path)


def has_views(entry: NVD_PG_shot, layer: NVD_PG_layer) -> bool:
    """Whether the layer has several views in time."""
    shot = states.shown_shot(entry.path)
    return shot is not None and any(o.name == layer.name and o.views > 1 for o in shot.layers)


def _when_ended(job: Job) -> None:
    """Take up the stack that the engine has written, in every scene that lists the shot."""
    if job.kind != KIND or job.state != DONE:
        return
    for entry in shots_at(job.about_folder):
        try:
            shot = entry.read()
            taken = stack.follow_file(entry, shot, read_stack(shot))
        except AddonError as error:
            job.fail(error.problem, error.remedy)
            return
        if taken and not bpy.app.background:
            bpy.ops.ed.undo_push(message="Across Views")


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
