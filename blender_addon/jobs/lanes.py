"""The order of jobs: one at a time in each lane, and one at a time on each decomposition.

A render or paint does not wait behind a decomposition that takes hours, except for its own. No bpy
here.
"""

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AddonError

if TYPE_CHECKING:
    from .job import Job

LANES = {
    "strip": "render",
    "deliver": "render",
    "placement": "render",
    "render": "render",
    "paint": "render",
    "evaluate": "render",
    "maps": "render",
    "flatten": "render",
    "across": "render",
    "textures": "render",
    "purge": "render",
    "frame canvas": "render",
    "segment": "mask",
    "install": "engine",
    "test": "engine",
}
"""kind of job: its lane; every other kind is of the lane "training\""""


class Queue:
    """Jobs in their order."""

    def __init__(self):
        self.jobs: list[Job] = []
        self.troubles: dict[str, AddonError] = {}
        """by the job's id: what kept the last tick from looking after it"""

    def add(self, job: "Job") -> "Job":
        """Take `job` in, unless it is there already; returns the one that the queue holds."""
        known = self.find(job.id)
        if known is None:
            self.jobs.append(job)
        return known or job

    def find(self, id: str) -> "Job | None":
        return next((job for job in self.jobs if job.id == id), None)

    def of_folder(self, kind: str, folder: Path) -> "list[Job]":
        """The jobs of that kind on a decomposition folder, running or not."""
        return [job for job in self.jobs if job.kind == kind and job.about_folder == folder]

    def newest(self, kind: str, folder: Path) -> "Job | None":
        """The last of them; None where there is none."""
        return next(reversed(self.of_folder(kind, folder)), None)

    def remove(self, job: "Job") -> None:
        """Forget a job that has ended."""
        if not job.ended:
            raise AddonError(f"{job.title} is {job.state}", "cancel it first")
        self.jobs.remove(job)
        self.troubles.pop(job.id, None)

    def tick(self) -> list["Job"]:
        """Poll what runs and start what is next; returns the jobs that have just ended.

        Never raises: what keeps a job from starting is its `error`, what keeps it from being
        looked after is in `troubles` until that is over.
        """
        before = {job.id: job.ended for job in self.jobs}
        for job in self.jobs:
            self._poll(job)
        for job in self._next():
            self._start(job)
        return [job for job in self.jobs if job.ended and not before[job.id]]

    @property
    def busy(self) -> bool:
        return any(not job.ended for job in self.jobs)

    def _next(self) -> list["Job"]:
        """The pending jobs whose lane and whose folder are free."""
        taken = set()
        for job in self.jobs:
            if job.state == "running":
                # what can be painted on while it is refined is free for other jobs
                taken |= {lane_of(job), folder_of(job) if job.log.ready is None else ""}
            elif job.leaving:
                taken.add(folder_of(job))
        taken.discard("")
        found = []
        for job in self.jobs:
            if job.state == "pending":
                needs = {lane_of(job), folder_of(job)} - {""}
                if not needs & taken:
                    found.append(job)
                taken |= needs  # what comes after it keeps its turn
        return found

    def _poll(self, job: "Job") -> None:
        try:
            job.poll()
        except Exception as error:
            if job.id not in self.troubles and not isinstance(error, AddonError | OSError):
                traceback.print_exc()
            self.troubles[job.id] = as_problem(error, f"{job.title} cannot be looked after")
        else:
            self.troubles.pop(job.id, None)

    def _start(self, job: "Job") -> None:
        try:
            job.start()
        except Exception as error:
            if not isinstance(error, AddonError | OSError):
                traceback.print_exc()
            problem = as_problem(error, f"{job.title} cannot be started")
            job.fail(problem.problem, problem.remedy, problem.button)


def lane_of(job: "Job") -> str:
    return LANES.get(job.kind, "training")


def folder_of(job: "Job") -> str:
    """The decomposition that a job works on, "" for none."""
    folder = job.out or job.plan["about"].get("folder", "")
    return os.path.normcase(os.path.abspath(folder)) if isinstance(folder, str) and folder else ""


def as_problem(error: Exception, what: str) -> AddonError:
    """Any exception as one for people; `what` cannot be done."""
    if isinstance(error, AddonError):
        return error
    words = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)[:200]
    return AddonError(f"{what} ({words})", "see the console; it is tried again meanwhile")
