"""Arrays of a whole clip: files that are mapped, of which memory holds what is being worked on.

What was read or written stays in memory until the system wants it back. It counts as ours until
then, so a program that runs through a long clip seems to need all of it; `release` gives it back.
"""

import mmap
import os
from collections.abc import Generator
from pathlib import Path

import numpy as np

_ZEROS = 2**20


def new_array(path: Path, shape: tuple[int, ...], dtype: type = np.uint8) -> np.memmap:
    """A mapped array of zeros in a new .npy file; OSError where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    # Reserved now: a disk that fills up under a mapping kills the process without a word.
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif os.name == "posix":  # macOS: what was not written takes no space yet
            file.seek(array.offset)
            for start in range(array.offset, size, _ZEROS):
                file.write(bytes(min(_ZEROS, size - start)))
    return array


def streamed(array: np.ndarray) -> Generator[np.ndarray, None, None]:
    """The frames of a mapped array one by one, each given back when the next is asked for."""
    for frame in array:
        yield frame
        release(array)


def release(*arrays: np.ndarray) -> None:
    """Give the memory of mapped arrays back; what was written to them is kept, in their files.

    They can be used on as before, from other threads too, and are read again from the system's
    cache or the disk. Does nothing where the system cannot do it (Windows) or nothing is mapped.
    """
    for array in arrays:
        mapped = getattr(array, "_mmap", None)  # np.memmap has no public name for it
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
