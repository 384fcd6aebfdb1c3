"""Arrays in a file that is gone with the process: the system takes their memory back at need."""

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np

CHUNK = 1 << 24
"""bytes that are mapped at once"""
_ALIGNED = 64


class Arena:
    """Where arrays are kept one behind the other; they live as long as somebody holds them."""

    def __init__(self, folder: Path):
        """`folder`: on whose disk."""
        self._folder, self._used = folder, 0
        self._room = np.zeros(0, np.uint8)

    def keep(self, array: np.ndarray) -> np.ndarray:
        """A copy of `array`, in the file."""
        if not array.nbytes:
            return array
        if self._used + array.nbytes > len(self._room):
            self._room, self._used = self._new_room(max(CHUNK, array.nbytes)), 0
        part = self._room[self._used : self._used + array.nbytes]
        self._used += -(-array.nbytes // _ALIGNED) * _ALIGNED
        kept = part.view(array.dtype).reshape(array.shape)
        kept[...] = array
        return kept

    def _new_room(self, size: int) -> np.ndarray:
        """So many bytes in a file; in memory where the disk has no room for them."""
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.truncate(size)
                # Reserved now: a disk that fills up under a mapping kills the process
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8)
        except OSError:
            return np.zeros(size, np.uint8)
