"""A job of the engine on one shot that waits for no decomposition and no render: a second or so."""

from pathlib import Path

from ..blender.storage import jobs_folder
from ..engine.find import probe_command
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.runner import runner
from ..shot.shots import NVD_PG_shot


def queue_tool(
    entry: NVD_PG_shot,
    python: str | Path,
    command: list[str],
    *,
    kind: str,
    title: str,
    step: str,
    **about: object,
) -> Job:
    """Queue a command of the engine, which is looked at first; returns the job at once.

    `about` is kept with it beside the shot's folder. AddonError where the disk refuses.
    """
    job = Job.create(
        jobs_folder(),
        title=title,
        kind=kind,
        python=python,
        steps=[
            {"title": "engine", "command": probe_command(Path(python))},
            {"title": step, "command": command},
        ],
        about={"folder": str(entry.path), **about},
    )
    return runner.queue_tool(job)


def check_idle(entry: NVD_PG_shot, kind: str) -> None:
    """AddonError while such a job on the shot waits or runs."""
    running = runner.tools.newest(kind, entry.path)
    if running is not None and not running.ended:
        raise AddonError(f"{running.title} is not done yet", "wait for it, or cancel it")
