"""Disks that are full: a real one, small and mounted for the test, and a limit on files' sizes."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = 4096
"""A tmpfs gives its space away in pieces of this many bytes."""


class SmallDisk:
    """A mounted tmpfs whose free space can be set; `folder` is where it lies."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        self._mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, str(self.folder)], check=True, capture_output=True)

    def grow(self, size: int) -> None:
        """Make the whole disk `size` bytes large."""
        self._mount("-o", f"remount,size={size}")

    def empty(self) -> None:
        """Give back all that `leave` took."""
        self._ballast.unlink(missing_ok=True)

    def leave(self, free: int) -> None:
        """Fill the disk until `free` bytes are left."""
        self.empty()
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(self.free - free, 1))

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return shutil.disk_usage(self.folder).free

    def files(self) -> list[str]:
        """What lies there, the ballast left out."""
        return sorted(path.name for path in self.folder.iterdir() if path != self._ballast)

    def unmount(self) -> None:
        """Take it away, with all that it holds."""
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk | None]:
    """A disk of `size` bytes at the empty `folder`; None where none may be mounted."""
    folder.mkdir()
    try:
        disk = SmallDisk(folder, size)
    except (OSError, subprocess.CalledProcessError):
        yield None
        return
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a disk that takes the first bytes only."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
