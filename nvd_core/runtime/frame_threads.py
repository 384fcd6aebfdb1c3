"""Working on frame after frame in threads, a few frames ahead and in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

import cv2

from nvd_core.runtime.cores import cores


def in_order(
    task: Callable[[Any], Any], items: Iterable, workers: int | None = None
) -> Generator[Any, None, None]:
    """Yield task(item) of all `items` in order, worked out in threads a few items ahead.

    `items` is iterated in the calling thread. Close the iterator to stop early.
    """
    workers = workers or worker_count()
    with ThreadPoolExecutor(workers) as pool:
        yield from _results((pool.submit(task, item) for item in items), workers)


def in_lanes(
    task: Callable[[int, Any], Any], items: Iterable, lanes: int, at_once: int | None = None
) -> Generator[Any, None, None]:
    """Yield task(lane, item) of all `items` in order, which take the `lanes` 0, 1, ... by turns.

    The items of a lane are worked on one after the other, so that a lane may sum up: its sum is the
    same however many threads there are, `at_once` at the most. Close the iterator to stop early.
    """
    threads = max(min(lanes, at_once or lanes, cores()), 1)
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(threads)]
        turns = ((number % lanes, item) for number, item in enumerate(items))
        begun = (pools[lane % threads].submit(task, lane, item) for lane, item in turns)
        yield from _results(begun, lanes)


def _results(begun: Iterable[Future], ahead: int) -> Generator[Any, None, None]:
    """What the futures give, in order, of which so many are begun `ahead`; cancels the others."""
    pending: deque[Future] = deque()
    try:
        for future in begun:
            pending.append(future)
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


class MadeOnce:
    """What is made of the last few frames; a thread waits for what another is making."""

    def __init__(self, make: Callable[[int], Any], most: int) -> None:
        """`make` is called with a frame's number; of `most` frames the result is kept."""
        self._make, self._most = make, most
        self._known: dict[int, Future] = {}
        self._choosing = Lock()

    def __call__(self, t: int) -> Any:
        """What `make` gives for frame `t`, or what it raised."""
        with self._choosing:
            own = t not in self._known
            known = self._known.setdefault(t, Future())
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        if own:
            try:
                known.set_result(self._make(t))
            except BaseException as error:  # for those that wait too
                known.set_exception(error)
        return known.result()


def worker_count(most: int = 4) -> int:
    """How many threads work on frames at once: the cores this process may use, at most `most`."""
    return min(most, cores())


@contextmanager
def single_opencv() -> Iterator[None]:
    """OpenCV works in the thread that calls it: for where our own threads call it."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
