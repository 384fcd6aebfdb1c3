"""A job of the engine that a command waits for."""

from pathlib import Path

from ..blender.storage import jobs_folder
from ..engine.find import probe_command
from ..jobs.job import CANCELLED, Job
from ..jobs.process import engine_command
from ..jobs.runner import describe
from ..jobs.waiting import wait_alone
from .say import Cancelled, Say


def engine_job(python: Path, *words: str) -> Job:
    """A job of one command of the engine, which is asked first whether it is whole."""
    command = engine_command(python, *words)
    probe = {"title": "engine", "command": probe_command(python)}
    return Job.create(
        jobs_folder(),
        title=words[0],
        kind=words[0],
        python=python,
        steps=[probe, {"title": "starting", "command": command}],
    )


def run(job: Job, say: Say) -> None:
    """Wait for it and say how far it is; Cancelled where somebody stopped it."""
    last = ""

    def tell(job: Job) -> None:
        nonlocal last
        line = describe(job)
        if line != last and job.log.total:
            log = job.log
            values = {"seconds_left": log.seconds_left, "psnr": log.psnr}
            say(
                "progress",
                stage=log.stage,
                done=log.done,
                total=log.total,
                text=line,
                **{key: value for key, value in values.items() if value is not None},
            )
        last = line

    wait_alone(job, tell)
    if job.state == CANCELLED:
        raise Cancelled
