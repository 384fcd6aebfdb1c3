"""One process a folder: whoever writes into a decomposition folder holds its lock.

The lock is the operating system's, on the file `.nvd.lock`, so it ends with the process that holds
it, however that ends. `.nvd.owner.json` beside it says in words who that is; it alone never keeps
anyone out. (On Windows a locked file cannot be read, so the words need a file of their own.)
The lock file stays: removing it would let two processes lock two files of one name.
"""

import errno
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from nvd_core.runtime.all_or_none import JOURNAL, undo_half
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, remove_temporaries, write_json
from nvd_core.runtime.inside import check_links
from nvd_core.runtime.progress import Progress

LOCK, OWNER = ".nvd.lock", ".nvd.owner.json"
PARTS = "work/parts"
WAIT_FOR_PARTS = 10.0
"""seconds: others hold the folder's lock only while they take a part of it"""
WAIT = 0.3
"""seconds: whoever has the lock at this moment may be ending, or may not have said its name yet"""
_OURS = ("frames", "masks", "maps", "textures", "edits", "report", "work")
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


class Busy(NvdError):
    """Another process holds the lock."""


@contextmanager
def writing(folder: Path, command: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of `folder`, which is there, and clear away what killed processes left.

    NvdError at once where another process holds it; it says who, since when and what to do. So too
    where a link in the folder leads out of it.
    `command` is what others are told. On file systems that know no locks it goes on with a caution.
    """
    folder = Path(folder)
    check_links(folder)
    lock = FileLock(folder / LOCK, mode=0o666, poll_interval=0.05, preserve_lock_file=True)
    try:
        lock.acquire(timeout=WAIT)
    except Timeout as error:
        raise _busy(folder) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise cannot_write(folder / LOCK, error) from error
        progress.caution(
            f"the file system of {folder} knows no locks: take care that nothing else writes there"
        )
        yield
        return
    try:
        _check_parts(folder)
        _leave_word(folder, command)
        _clear(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / OWNER).unlink(missing_ok=True)
        lock.release()


@contextmanager
def writing_when_free(folder: Path, command: str, progress: Progress) -> Iterator[None]:
    """`writing`, which waits, and says so, while another process writes there."""
    said = False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(writing(folder, command, progress))
                break
            except Busy as error:
                if not said:
                    progress.message(f"waiting: {error.problem} ({error.found})")
                    said = True
            progress.check()
            time.sleep(WAIT)
        yield


@contextmanager
def writing_part(
    folder: Path, first: int, last: int, command: str, progress: Progress
) -> Iterator[None]:
    """Hold the frames `first` to `last` of `folder`, where others may hold other frames.

    NvdError where another process holds one of them, or the whole folder. While a part is held,
    nobody can hold the whole. The lock is the operating system's, on a file in work/parts/.
    """
    folder = Path(folder)
    check_links(folder)
    parts = folder / PARTS
    gate = FileLock(folder / LOCK, mode=0o666, poll_interval=0.05, preserve_lock_file=True)
    part = FileLock(
        parts / f"{first}-{last}.lock", mode=0o666, poll_interval=0.05, preserve_lock_file=True
    )
    try:
        parts.mkdir(parents=True, exist_ok=True)
        gate.acquire(timeout=WAIT_FOR_PARTS)
        _check_parts(folder, first, last)
        part.acquire(timeout=WAIT)
    except Timeout as error:
        raise _busy(folder) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise cannot_write(folder / PARTS, error) from error
        progress.caution(
            f"the file system of {folder} knows no locks: take care that no frame is baked twice"
        )
    finally:
        gate.release()
    word = _word_of(Path(part.lock_file))
    try:
        _leave_word(folder, command, word)
        yield
    finally:
        with suppress(OSError):
            word.unlink(missing_ok=True)
        part.release()


def _word_of(lock: Path) -> Path:
    """Where it says who holds a part."""
    return lock.with_suffix(".json")


def _check_parts(folder: Path, first: int | None = None, last: int | None = None) -> None:
    """NvdError where another process holds a part that reaches into frames, or any part."""
    for path in sorted((folder / PARTS).glob("*.lock")):
        match = re.fullmatch(r"(\d{1,9})-(\d{1,9})", path.stem)
        if not match:
            continue
        if first is not None and (int(match[2]) < first or last < int(match[1])):
            continue
        lock = FileLock(path, mode=0o666, poll_interval=0.05, preserve_lock_file=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            what = f"frames {path.stem} of {folder}"
            raise _busy(what, _word_of(path)) from error
        except OSError:
            continue
        lock.release()


def mend(folder: Path, parts: Iterable[Path]) -> None:
    """Put back what a killed process left half replaced in `parts` of `folder`, for a reader.

    Nothing where somebody writes there: that one has done it, or is at work. NvdError where it
    cannot be put back.
    """
    broken = [part for part in parts if os.path.lexists(part / JOURNAL)]
    if not broken:
        return
    lock = FileLock(Path(folder) / LOCK, mode=0o666, poll_interval=0.05, preserve_lock_file=True)
    alone = True
    try:
        lock.acquire(timeout=WAIT)
    except Timeout:
        return
    except OSError:  # no locks there, or nothing may be written
        alone = False
    try:
        for part in broken:
            undo_half(part, alone)
    finally:
        lock.release()


def writing_if_inside(out: Path | str, folder: Path, command: str, progress: Progress):
    """`writing(folder)` where the file `out` lies in it or below it, else nothing."""
    inside = Path(out).resolve().is_relative_to(Path(folder).resolve())
    return writing(folder, command, progress) if inside else nullcontext()


def _leave_word(folder: Path, command: str, word: Path | None = None) -> None:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    who = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}
    with suppress(NvdError):  # a full disk: the lock holds all the same, and says less
        write_json(word or folder / OWNER, who)


def _clear(folder: Path) -> None:
    """Remove half-written files: nobody else writes here, so whoever began them is dead."""
    for name in _OURS:
        undo_half(folder / name, alone=True)  # before what it kept is removed
    remove_temporaries(folder, below=False)
    for name in _OURS:
        remove_temporaries(folder / name)


def _busy(folder: Path | str, word: Path | None = None) -> Busy:
    """Who has the lock, as far as that one said."""
    try:
        with (word or Path(folder) / OWNER).open(encoding="utf-8") as file:
            who = json.loads(file.read(4096))
        pid, host = int(who["pid"]), str(who["host"])[:80]
        found = f"{str(who['command'])[:80]} (process {pid} on {host}), since {who['since']!s:.40}"
        stop = f"stop process {pid} on {host}"
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        found, stop = "it does not say which", "stop it"
    return Busy(
        f"another process is writing into {folder}",
        found=found,
        remedy=f"wait until it has ended, or {stop}; then run the command again",
    )
