"""The report on a shot: made by a job in the queue, and shown by the browser.

job = queue_evaluate(entry, scene, python)   # progress and Cancel are in the list of jobs
open_report(entry)                           # once there is one
"""

from pathlib import Path

import bpy

from ..blender.inside import inside
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import engine_command
from ..shot.folder import ShotError
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot
from .shot_job import queue_shot_job

KIND = "evaluate"
PAGE = "report/index.html"


def queue_evaluate(entry: NVD_PG_shot, scene: bpy.types.Scene, python: str | Path) -> Job:
    """Save the paint, which the report shows, and queue `nvd evaluate`; AddonError where the
    folder or the disk refuses.
    """
    shot = entry.read()
    save_edits(entry)
    command = engine_command(python, "evaluate", shot.folder)
    title = f"{entry.name} report"
    return queue_shot_job(entry, scene, python, ("evaluating", command), kind=KIND, title=title)


def report_page(entry: NVD_PG_shot) -> Path | None:
    """The page of a shot's report, None where there is none that may be read."""
    try:
        page = inside(entry.path, PAGE, ShotError)
        return page if page.is_file() else None
    except (AddonError, OSError):
        return None


def open_report(entry: NVD_PG_shot) -> None:
    """Show the report in the browser; AddonError where there is none."""
    page = report_page(entry)
    if page is None:
        raise AddonError(f"{entry.name} has no report yet", "press Evaluate")
    for show in (
        lambda: bpy.ops.wm.url_open(url=page.absolute().as_uri()),
        lambda: bpy.ops.wm.path_open(filepath=str(page)),
    ):
        try:
            if show() == {"FINISHED"}:
                return
        except (AttributeError, RuntimeError):  # a Blender without it, or a system without browser
            continue
    raise AddonError(f"no browser could be started for {page}", "open this file in a browser")
