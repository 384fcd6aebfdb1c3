"""A log for people: one line for what a command says, with the time, after what stood there."""

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from shlex import join

import nvd_core
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import visible

EVERY = 30.0
"""seconds between two lines about one stage"""


class LogFile:
    """The file that `--log` names. NvdError where it cannot be written from the beginning.

    A disk that fills up later ends the log, not the work.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not _is_text(path):
                raise ValueError("it holds something else than text")
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        except (OSError, ValueError) as error:
            raise NvdError(
                f"the log {path} cannot be written",
                found=getattr(error, "strerror", None) or str(error),
                remedy="name a file in a folder where you may write, or leave --log out",
            ) from error

    def begin(self, words: Sequence[str]) -> None:
        """Say which command it is, of which program, on which machine."""
        self.write(f"begins: nvd {join(words)}")
        cores = os.cpu_count()
        where = f"{platform.platform()}, {cores} cores, {os.getcwd()}"
        self.write(f"nvd {nvd_core.__version__}, {where}")

    def write(self, text: str) -> None:
        """One line; characters that do not print are escaped."""
        now = datetime.now().astimezone().isoformat(" ", "seconds")
        with suppress(OSError):
            self._file.write(f"{now} {visible(text)}\n")

    def close(self) -> None:
        """Nothing is written afterwards."""
        with suppress(OSError):
            self._file.close()


def _is_text(path: Path) -> bool:
    """Whether an existing file may be a log: a movie given by mistake would be spoilt."""
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)
