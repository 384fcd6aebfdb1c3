"""`nvd farm run`: many shots by the workers of a Dask scheduler, each step as chunks of its frames.

Dask hands tasks to workers, tries again what a dead worker had, and says what became of it; what
comes after what, and what has failed, is kept here. The shots' folders have to be where all
workers see them under the same path.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from nvd_core.farm.shot_list import Show
from nvd_core.farm.table import TABLE, ShotState, write_table
from nvd_core.farm.tasks import STEPS, Task
from nvd_core.farm.worker import Done, run_task
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
WAIT = 4.0
"""seconds before a task is tried again, longer each time; a folder's lock may still be held"""
LOOK = 0.2
"""seconds between two looks at what has ended"""
CONNECT = 20.0
"""seconds for the scheduler to answer"""
STOPPING = 40.0
"""seconds that tasks get to save what they have"""


def run_show(
    show: Show, scheduler: str, workers: int, progress: Progress, threads: int | None = None
) -> dict:
    """Run every shot's tasks at `scheduler`, an address such as tcp://host:8786, or "local".

    A local one has `workers` processes on this machine, with `threads` each where that is given. A
    task that fails is tried again `show.retries` times; then its shot has failed, and the others go
    on. Returns how many `shots` are `done`, and `table`, the file that says so all the while.
    NvdError where a shot has failed, or there is no scheduler.
    """
    begun = time.monotonic()
    show.logs.mkdir(parents=True, exist_ok=True)
    with _client(scheduler, workers) as client:
        states = _Run(show, client, progress, threads).to_the_end()
    failed = [state for state in states if state.failed]
    if failed:
        raise NvdError(
            f"{len(failed)} of {len(states)} shots failed: "
            + ", ".join(state.plan.name for state in failed)[:300],
            found=failed[0].failed,
            remedy=f"look into {show.logs}, and give the command again: what is done is left",
        )
    seconds = round(time.monotonic() - begun, 1)
    return {
        "shots": len(states),
        "done": len(states),
        "seconds": seconds,
        "table": str(show.logs / TABLE),
    }


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator["Client"]:
    """A client of the scheduler, closed in the end, with a local one's workers."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise NvdError(
            "`nvd farm run` needs Dask", found=str(error), remedy="pip install nvd-core[farm]"
        ) from error
    if scheduler == LOCAL:
        # a task is a process of its own, which takes what memory it needs
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT)
    except (OSError, TimeoutError, ValueError) as error:
        raise NvdError(
            f"no scheduler answers at {scheduler}",
            expected="an address such as tcp://host:8786, where `dask scheduler` runs",
            found=str(error)[:200],
            remedy="start it, or give --scheduler local",
        ) from error
    with client:
        yield client


class _Run:
    """One run of a show: its shots' states, and the tasks that are with the workers."""

    def __init__(
        self, show: Show, client: "Client", progress: Progress, threads: int | None
    ) -> None:
        from distributed import Event

        self.show, self.client, self.progress, self.threads = show, client, progress, threads
        self.states = {plan.name: ShotState(plan) for plan in show.shots}
        self.waiting: dict[Future, tuple[Task, int]] = {}
        """and which try it is, from 0"""
        self.stop = Event(f"nvd-stop-{uuid4().hex}", client=client)
        self.ended = 0

    def to_the_end(self) -> list[ShotState]:
        """Run until every shot is done or has failed; Cancelled once all tasks have ended."""
        self.progress.stage("shots", len(self.states))
        try:
            for state in self.states.values():
                self._begin(state, STEPS)
            while self.waiting:
                ended = [future for future in self.waiting if future.done()]
                for future in ended:
                    self._take(future)
                self.progress.update(self.ended)
                time.sleep(0 if ended else LOOK)
            self.progress.update(self.ended)
        except Cancelled:
            self._call_off()
            raise
        return list(self.states.values())

    def _begin(self, state: ShotState, steps: Sequence[str]) -> None:
        """Hand over the tasks of the first of `steps` that has any; without, the shot is done."""
        for step in steps:
            state.step = step
            try:
                tasks = state.plan.tasks(step)
            except NvdError as error:
                return self._fail(state, str(error))
            if tasks:
                state.done, state.total = 0, len(tasks)
                for task in tasks:
                    self._submit(task, 0)
                return self._tell(state)
        state.step = ""
        return self._over(state)

    def _submit(self, task: Task, attempt: int) -> None:
        words = task.words
        if self.threads:
            words = (*words, "--threads", str(self.threads))
        future = self.client.submit(
            partial(run_task, self.stop.name),
            words,
            str(self.show.logs / task.shot / f"{task.name}.log"),
            WAIT * attempt,
            key=f"{task.shot}-{task.name}-{attempt}-{uuid4().hex[:8]}",
            pure=False,
        )
        self.waiting[future] = task, attempt

    def _take(self, future: "Future") -> None:
        task, attempt = self.waiting.pop(future)
        state = self.states[task.shot]
        if state.over:
            return
        try:
            done: Done = future.result()
            why = "" if done.code == 0 else f"exit code {done.code} on {done.host}: {done.said}"
        except Exception as error:  # Dask's own: workers that died, a disk that refuses
            why = f"{type(error).__name__}: {error}"[:400]
        if not why:
            state.done += 1
            if state.done == state.total:
                return self._begin(state, STEPS[STEPS.index(state.step) + 1 :])
        elif attempt < self.show.retries:
            state.tries += 1
            self.progress.message(f"{task.shot}, {task.name}: tried again, {why}")
            self._submit(task, attempt + 1)
        else:
            return self._fail(state, f"{task.name}: {why}")
        self._tell(state)

    def _fail(self, state: ShotState, why: str) -> None:
        state.failed = why
        left = [
            future for future, (task, _) in self.waiting.items() if task.shot == state.plan.name
        ]
        for future in left:  # what runs ends by itself, what waits is taken back
            del self.waiting[future]
        self.client.cancel(left)
        self.progress.caution(f"{state.plan.name} failed in {state.step}: {why}")
        self._over(state)

    def _over(self, state: ShotState) -> None:
        state.seconds = round(time.monotonic() - state.begun, 1)
        self.ended += 1
        self._tell(state)

    def _tell(self, state: ShotState) -> None:
        self.progress.message(f"{state.plan.name}: {state.state}")
        write_table(self.show.logs / TABLE, list(self.states.values()))

    def _call_off(self) -> None:
        """What runs saves and ends; then nothing is left at the workers."""
        with suppress(Exception):
            self.stop.set()
            left = time.monotonic() + STOPPING
            while time.monotonic() < left and not all(future.done() for future in self.waiting):
                time.sleep(LOOK)
        with suppress(Exception):
            self.client.cancel(list(self.waiting))
