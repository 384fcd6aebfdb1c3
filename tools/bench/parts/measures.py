"""Measures that several benches take: processor time of a task, and how alike two movies are."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import av

MOST_DB = 99.0
"""said of pictures that are the same"""


def spent(task: Callable[[], object], times: int) -> float:
    """Milliseconds of processor time, the least of so many."""
    taken = []
    for _ in range(times):
        begun = time.process_time()
        task()
        taken.append(time.process_time() - begun)
    return 1000 * min(taken)


def alike(one: Path, other: Path) -> float:
    """PSNR of two movies, over all RGB values; MOST_DB where they are the same."""
    total, count = 0.0, 0
    with av.open(str(one)) as first, av.open(str(other)) as second:
        for a, b in zip(first.decode(video=0), second.decode(video=0), strict=True):
            off = a.to_ndarray(format="rgb24").astype(float) - b.to_ndarray(format="rgb24")
            total, count = total + (off**2).mean(), count + 1
    return min(10 * math.log10(255**2 * count / total), MOST_DB) if total else MOST_DB
