"""Writing files so that a crash never leaves half of one."""

import json
import math
import os
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.processes import is_alive
from nvd_core.runtime.whole_files import check_whole

if sys.platform != "win32":
    import fcntl

_TEMPORARY = re.compile(r"\.(.+)\.(\d+)\.tmp(\..+)?")
_REPLACE_SECONDS = 2.0
"""how long Windows may keep a file from being replaced because someone reads it"""


@contextmanager
def written_beside(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder (same suffix), renamed to `path` on success.

    On any exception the temporary file is removed and what stood at `path` is untouched. What is
    `durable` is on the disk when this returns: a power cut leaves the old file or the new one.
    A full or read-only disk becomes an NvdError, also where the library that wrote the file did
    not notice: a file that is not whole (`check_whole`) is never renamed.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        check_whole(temporary)
        if durable:
            flush_file(temporary)
        _replace(temporary, path)
        if durable:
            flush_folder(path.parent)
    except BrokenPipeError:  # no disk breaks a pipe: whoever read our progress is gone
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # a disk that refuses this too has refused the write already
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> str:
    """The name under which this process writes what will be `path`."""
    return f".{path.stem}.{os.getpid()}.tmp{path.suffix}"


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that was being written, by any process."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_temporaries(folder: Path, below: bool = True) -> None:
    """Remove what killed processes left half written in `folder`, and `below` it.

    Only for whoever is alone in writing there. What cannot go is left.
    """
    for parent, folders, files in os.walk(folder):
        for name in [name for name in folders if is_temporary(name)]:
            folders.remove(name)
            shutil.rmtree(Path(parent, name), ignore_errors=True)
        for name in filter(is_temporary, files):
            with suppress(OSError):
                Path(parent, name).unlink()
        if not below:
            return


def remove_temporaries_of(paths: Iterable[Path]) -> None:
    """Remove what processes that are dead left half written of the files `paths`.

    For files that others may be writing beside: what a living process of this machine writes stays.
    """
    names: dict[Path, set[str]] = defaultdict(set)
    for path in map(Path, paths):
        names[path.parent].add(path.name)
    for folder, wanted in names.items():
        with suppress(OSError):
            for name in os.listdir(folder):
                found = _TEMPORARY.fullmatch(name)
                if found is None or found[1] + (found[3] or "") not in wanted:
                    continue
                if not is_alive(int(found[2])):
                    with suppress(OSError):
                        Path(folder, name).unlink()


def make_durable(*folders: Path) -> None:
    """Bring all files in `folders` and below, and their names, to the disk.

    Folders that are not there are passed over; NvdError where the disk refuses.
    """
    for folder in folders:
        try:
            for parent, _, files in os.walk(folder):
                for name in files:
                    flush_file(Path(parent, name), whole_drive=False)
                flush_folder(Path(parent))
        except OSError as error:
            raise cannot_write(folder, error) from error


def flush_file(path: Path, whole_drive: bool = True) -> None:
    """Bring a file to the disk."""
    with path.open("r+b") as file:  # Windows flushes only what may be written
        _flush(file.fileno(), whole_drive)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can do that (not Windows)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no such thing
            _flush(descriptor, whole_drive=True)
    finally:
        os.close(descriptor)


def _flush(descriptor: int, whole_drive: bool) -> None:
    """fsync; on macOS, where that stops at the drive's cache, the `whole_drive` on request."""
    if sys.platform == "darwin" and whole_drive:
        with suppress(OSError):  # not every file system there knows it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    """os.replace; Windows refuses it while a reader, such as Blender, has `path` open."""
    deadline = time.monotonic() + _REPLACE_SECONDS
    while True:
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def copy_file(source: Path, target: Path, durable: bool = False) -> None:
    """Copy a file's content, beside and renamed into place; NvdError where the disk refuses."""
    with written_beside(target, durable) as temporary:
        shutil.copyfile(source, temporary)


def cannot_write(path: Path, error: OSError) -> NvdError:
    """The NvdError for a file that could not be written: the space left, and what was kept."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 2**20:.0f} MB free there"
    except OSError:
        free = "the folder is not there"
    kept = "; the file that stood there is kept as it was" if os.path.isfile(path) else ""
    return NvdError(
        f"cannot write {path}",
        found=f"{error.strerror or error}, {free}{kept}",
        remedy="free some space, or choose a folder you may write to, and run the command again",
    )


def write_json(path: Path, value: object, durable: bool = False) -> None:
    """Write `value` as indented UTF-8 JSON, beside and renamed into place.

    NvdError where JSON cannot hold it: a number that is not finite (`without_nan` makes those
    null), or a file's name that is not Unicode.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        text.encode("utf-8")
    except ValueError as error:
        raise NvdError(
            f"cannot write {path}: what should stand in it has no form in JSON",
            expected="finite numbers, and names in Unicode",
            found="another name" if isinstance(error, UnicodeError) else "NaN or infinity",
            remedy="rename files whose names are not Unicode; otherwise this is a fault of nvd",
        ) from error
    with written_beside(path, durable) as temporary:
        temporary.write_text(text, "utf-8")


def without_nan(value: Any) -> Any:
    """`value` with None for every number that is not finite: JSON has no word for those."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return value
