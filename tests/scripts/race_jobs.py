"""What one of several Blenders does in a race for jobs, round by round.

    PYTHONPATH=. .envs/bpy-4.5/bin/python tests/scripts/race_jobs.py ROOT ME OTHERS JOBS ROUNDS

It waits until all OTHERS (names, spaces between) are there, starts the job, and looks on until it
has ended. JOBS is `same`: ROOT/jobs/job each time, which fails and so can begin again; or `each`:
ROOT/jobs/job0, job1, ...
"""

import sys
import time
from pathlib import Path

import bpy  # noqa: F401  a real Blender

from blender_addon.errors import AddonError
from blender_addon.jobs.job import Job
from blender_addon.jobs.lanes import Queue


def race(root: Path, me: str, others: list[str], same_job: bool, rounds: int) -> None:
    for number in range(rounds):
        job = Job(root / "jobs" / ("job" if same_job else f"job{number}"))
        if same_job and number:
            while not job.ended:
                job.poll()
        (root / f"ready{number}.{me}").touch()
        while not all((root / f"ready{number}.{other}").exists() for other in others):
            time.sleep(0.0002)
        queue = Queue()
        queue.add(job)
        while job.ended:
            try:
                job.queue_again()
                break
            except AddonError:  # the other does so just now
                time.sleep(0.001)
        while queue.busy:
            queue.tick()
            time.sleep(0.002)


if __name__ == "__main__":
    root, me, others, jobs, rounds = sys.argv[1:]
    race(Path(root), me, others.split(), jobs == "same", int(rounds))
