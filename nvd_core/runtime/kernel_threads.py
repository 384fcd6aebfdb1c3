"""Numba's parallel kernels and torch, which share one pool of OpenMP's threads.

GNU's OpenMP ends a process that was forked from one with such a pool and uses it too: a script that
starts workers by `multiprocessing` has to spawn them.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numba

_POOL = threading.Lock()
"""held while a kernel runs: not every layer of Numba's threads bears two kernels at once"""
_BEARS_TWO = ("omp", "tbb")


@contextmanager
def sharing_threads() -> Iterator[int]:
    """Run a parallel kernel with as many threads as torch uses just now; gives their number.

    Kernels of one thread each may run side by side, where Numba's layer of threads bears that.
    """
    torch = sys.modules.get("torch")
    if torch and torch.get_num_threads() == 1 and _bears_two():
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            yield 1
        finally:
            numba.set_num_threads(before)
        return
    with _POOL:
        if torch:
            numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
        yield numba.get_num_threads()


def _bears_two() -> bool:
    """Whether two kernels may run at once; false before the first one has run."""
    try:
        return numba.threading_layer() in _BEARS_TWO
    except ValueError:  # none is chosen yet
        return False


@contextmanager
def shared_by(workers: int) -> Iterator[None]:
    """Within, torch and parallel kernels take their share of torch's threads: for where so many
    threads of our own, begun within, call them. Where torch is not imported nothing changes."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(max(before // workers, 1))
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def parallel_njit(kernel: Callable) -> Callable:
    """Compile `kernel`, whose `prange` loops are shared out to threads, without the lock.

    torch's number of threads stays as it is. Left to itself Numba starts its pool at the first
    parallel kernel and sets OpenMP's number of threads, which is torch's as well, to its own: a
    process that was given one thread, or torch that took only the physical cores, then goes on with
    another number, and a sum that is shared out otherwise is rounded otherwise. Where torch is not
    imported yet it is not imported for this: rendering does without.
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    numba.get_num_threads()  # starts the pool
    if torch:
        torch.set_num_threads(threads)
    return numba.njit(cache=True, parallel=True, nogil=True)(kernel)
