"""One at a time: whoever starts a job, cancels it before it began, or queues it again, claims it.

    with claimed(folder / "claim", "shot"):
        ...         # look what is in the folder, then change it: nobody else does just now

A claim is a file that is opened exclusively, so that of two Blenders one gets it, and that says
who has it. It stands for milliseconds. One whose holder died is cleared away, by one process only.
Standard library only.
"""

import json
import os
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import AddonError
from . import checked_json, process
from .checked_json import Odd

LIMIT = 1 << 12  # bytes of a claim
WRITTEN_WITHIN = 20.0  # seconds; a holder that took longer to write its claim gives it up
BLANK_FOR = 60.0  # seconds after which a claim that says nothing has lost its holder

_ours: set[str] = set()
"""tokens of the claims that this process holds"""


class Claimed(AddonError):
    """Someone else has the claim just now."""


@dataclass(frozen=True)
class Holder:
    """Who has a claim. `token` tells this claim from every other; `host` "": it says nothing."""

    token: str
    pid: int = 0
    fingerprint: str = ""
    host: str = ""
    time: float = 0.0

    @property
    def gone(self) -> bool:
        """Whether the holder is proved to be no more: only a process of this machine can be."""
        if not self.host:
            return time.time() - self.time > BLANK_FOR
        if self.host != platform.node():
            return False
        try:
            found = process.fingerprint(self.pid)
        except OSError:  # it could not be found out
            return False
        if found and found == self.fingerprint:  # ours, and not held: it could not be removed
            return self.pid == os.getpid() and self.token not in _ours
        return True


@contextmanager
def claimed(path: Path, title: str) -> Iterator[None]:
    """Hold the claim at `path` on the job called `title`.

    `Claimed` where another process has it; AddonError where it cannot be written, a full disk.
    """
    token = _take(path) or _take_over(path, title)
    try:
        yield
    finally:
        _give_back(path, token)


def _take(path: Path) -> str:
    """Make the claim; its token, or "" where there is one."""
    token = uuid.uuid4().hex
    me = {"pid": os.getpid(), "fingerprint": process.fingerprint(os.getpid())}
    began = time.time()
    holder = {"token": token, **me, "host": platform.node(), "time": began}
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0))
    except FileExistsError:
        return ""
    except PermissionError:
        if path.exists():  # Windows says so of a file that is just being removed
            return ""
        raise _unwritable(path, "it may not be written") from None
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    try:
        try:
            data = json.dumps(holder).encode("ascii")
            if os.write(file, data) != len(data):
                raise OSError(0, "the disk is full")
        finally:
            os.close(file)
    except OSError as error:
        _remove(path)
        raise _unwritable(path, error.strerror) from error
    _ours.add(token)
    # Others take a claim that has said nothing for a minute to be left behind. Where this process
    # was stopped in between, a lid closed, it may be theirs by now
    if time.time() - began > WRITTEN_WITHIN:
        _give_back(path, token)
        return ""
    return token


def _take_over(path: Path, title: str) -> str:
    """Make the claim where its holder is gone; `Claimed` where that is not so.

    Two may find the same holder gone. Who clears away is settled by a claim too, on this one
    token; and only a claim that still has this token is removed.
    """
    holder = read_holder(path)
    if holder is not None and not holder.gone:
        raise _held(path, title, holder)
    if holder is not None:
        with claimed(path.with_name(f"{path.name}.{holder.token}"), title):
            found = read_holder(path)
            if found is not None and found.token == holder.token:
                _remove(path)
    token = _take(path)
    if not token:
        raise _held(path, title, read_holder(path))
    return token


def read_holder(path: Path) -> Holder | None:
    """Who has the claim at `path`; None where nobody has."""
    try:
        stat = path.stat()
        values = checked_json.read(path, LIMIT)
        if values is None:
            return None
        return Holder(
            token=_name(checked_json.text(values, "token")),
            pid=checked_json.whole(values, "pid", 1, process.HIGHEST_PID),
            fingerprint=checked_json.text(values, "fingerprint"),
            host=checked_json.text(values, "host"),
            time=checked_json.number(values, "time") or 0.0,
        )
    except FileNotFoundError:
        return None
    except Odd:  # just being written, or its holder died over it
        return Holder(token=f"{stat.st_ino:x}-{stat.st_mtime_ns:x}", time=stat.st_mtime)


def _name(token: str) -> str:
    if not (token.isalnum() and token.isascii() and len(token) == 32):
        raise Odd("token: expected 32 letters and digits")
    return token


def _give_back(path: Path, token: str) -> None:
    _ours.discard(token)
    holder = read_holder(path)
    if holder is not None and holder.token == token:
        _remove(path)


def _remove(path: Path) -> None:
    """Where it cannot be removed, it counts as left behind: `gone` knows that it is not held."""
    with suppress(PermissionError):
        checked_json.patiently(lambda: path.unlink(missing_ok=True))


def _held(path: Path, title: str, holder: Holder | None) -> Claimed:
    if holder is None or not holder.host:
        return Claimed(f"{title} is just being started by another Blender", "wait a moment")
    since = time.strftime("%H:%M:%S", time.localtime(min(holder.time, 2**31)))
    return Claimed(
        f"{title} is being started by process {holder.pid} on {holder.host} since {since}",
        f"wait a moment; where that machine is off, remove {path}",
    )


def _unwritable(path: Path, reason: str | None) -> AddonError:
    return AddonError(
        f"the job's folder {path.parent} cannot be written to ({reason or 'no reason given'})",
        "make room on the disk, or see that the folder may be written, and try again",
    )
