"""Delivering a shot: a job that renders it on the full plate to the file that is handed on.

job = queue_delivery(entry, scene, python)   # progress and Cancel are in the list of jobs
"""

from pathlib import Path

import bpy

from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import delivery
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot, strip_of
from .shot_job import queue_shot_job
from .strips import alignment

KIND = "deliver"


def queue_delivery(entry: NVD_PG_shot, scene: bpy.types.Scene, python: str | Path) -> Job:
    """Save the paint, and queue the render that `entry.delivery` asks for; AddonError where the
    folder, the file's name or the disk refuses.
    """
    shot, strip = entry.read(), strip_of(scene, entry)
    out, said = delivery.target(entry), delivery.words(entry)
    if strip is not None:
        alignment(entry, shot, strip)  # keys lie where the strip shows the shot
    save_edits(entry)
    command = engine_command(python, "render", shot.folder, "--out", out, *said)
    title = delivery.called(out)
    step = "rendering", command
    return queue_shot_job(entry, scene, python, step, kind=KIND, title=title, out=str(out))


def delivery_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job that delivers the shot, running or not; None where there is none."""
    return runner.queue.newest(KIND, entry.path)


def delivered(job: Job | None) -> Path | None:
    """What the job has written: the movie, or the folder of the images; None where it is not."""
    if job is None or job.state != DONE or job.id in runner.foreign:
        return None
    out = job.plan["about"].get("out")
    if not isinstance(out, str) or not out:
        return None
    path = Path(out)
    path = path.parent if "%" in path.name else path
    return path if path.exists() else None
