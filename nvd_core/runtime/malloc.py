"""Keeping freed memory at hand, so that a training step does not wait for fresh pages."""

import ctypes
import sys
import threading

import numpy as np

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names for them, malloc.h
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEPT = 512 << 20


def keep_freed_memory() -> bool:
    """Have the C library reuse freed arrays of up to 32 MiB; true where that was possible.

    By itself glibc gives every array of some hundred kB back to the system and asks for it again,
    zeroed, a millisecond later: a sixth of a training step. Up to half a GiB is kept. Other C
    libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)) and bool(
        mallopt(_TRIM_THRESHOLD, _KEPT)
    )


class KeptArrays:
    """Arrays that are used again as soon as nobody else holds them, or a view of them.

    For those of more than 32 MiB, which the C library gives back in any case: on a machine whose
    memory is in pieces fresh pages take longer than what is written to them. Any thread may take
    arrays, hold them and let them go.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []
        self._taking = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        """A float32 array with anything in it."""
        with self._taking:
            for number in range(len(self._arrays)):
                own = self._arrays[number].shape == shape
                if own and sys.getrefcount(self._arrays[number]) <= _UNHELD:
                    return self._arrays[number]
            self._arrays.append(np.empty(shape, np.float32))
            return self._arrays[-1]


_UNHELD = 2  # by the list, and by whoever counts
