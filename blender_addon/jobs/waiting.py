"""Waiting for a job, in scripts and batches. In Blender's window the runner's timer does this."""

import signal
import threading
import time
from collections.abc import Callable

from .job import PENDING, Job
from .runner import runner

SECONDS = 0.2  # between two looks


def wait(job: Job, tell: Callable[[Job], None] | None = None) -> Job:
    """Run the queue until `job` has ended, calling `tell` with it on the way.

    AddonError where it failed or was interrupted; look at `job.state` for a cancellation.
    """
    while not job.ended:
        runner.tick()
        _look(job, tell)
    return _outcome(job)


def wait_alone(job: Job, tell: Callable[[Job], None] | None = None) -> Job:
    """The same for a job that is in no queue, which is started first.

    Ctrl-C and SIGTERM cancel it.
    """

    def stop(*_) -> None:
        job.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = [signal.signal(number, stop) for number in numbers] if main else []
    try:
        while not job.ended:
            if job.state == PENDING:  # the engine of the run before may still be saving
                job.start()
            job.poll()
            _look(job, tell)
    finally:
        for number, handler in zip(numbers, before, strict=False):
            # None: Blender's own, which Python cannot put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    return _outcome(job)


def _look(job: Job, tell: Callable[[Job], None] | None) -> None:
    if tell is not None:
        tell(job)
    if not job.ended:
        time.sleep(SECONDS)


def _outcome(job: Job) -> Job:
    if job.error is not None:
        raise job.error
    return job
