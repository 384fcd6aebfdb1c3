"""How many threads this process may work with, for all that has threads of its own."""

import os
import sys

ASKED = "OMP_NUM_THREADS"


def usable_cores() -> int:
    """The cores that the system gives this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores() -> int:
    """Those cores, and at most what OMP_NUM_THREADS says."""
    given = usable_cores()
    asked = os.environ.get(ASKED, "").split(",")[0].strip()
    return min(given, max(int(asked), 1)) if asked.isdecimal() else given


def limit_threads(count: int) -> None:
    """Work with at most `count` threads from now on, in this process and those that it starts.

    To be called before torch, Numba and OpenImageIO are imported, which read it then. torch, where
    it is there already, is told; OpenCV always, which reads nothing.
    """
    import cv2

    os.environ[ASKED] = str(count)
    os.environ["NUMBA_NUM_THREADS"] = str(cores())
    cv2.setNumThreads(cores())
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
