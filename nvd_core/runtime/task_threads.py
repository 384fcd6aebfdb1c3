"""Sharing numbered tasks among threads, for kernels that release the interpreter's lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def run_tasks(task: Callable[[int], None], count: int) -> None:
    """Call task(0) .. task(count - 1) from as many threads as torch uses, each number once.

    A thread takes the next number when it is done with its last, so a busy core does not hold up
    the others. The calling thread works too. The threads sleep in between and do not spin.
    """
    numbers = iter(range(count))

    def work() -> None:
        for number in numbers:
            task(number)

    helpers = min(torch.get_num_threads(), count) - 1
    futures = [_pool().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        running = [future for future in futures if not future.cancel()]
        for future in running:
            future.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 2), thread_name_prefix="nvd-kernel")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
