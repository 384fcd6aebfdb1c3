"""Keeping freed memory at hand, so that a training step does not wait for fresh pages."""

import ctypes
import sys

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
