"""What a worker of `nvd farm run` does: one command of `nvd`, in a process of its own, with a log.

The command ends with whoever waits for it: its standard input is a pipe of the worker's, so that it
saves and stops where the worker is killed (`--stop-with-stdin`).
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nvd_core.runtime.shown import visible

POLL = 0.25
"""seconds between two looks at the process"""
STOP_LOOKS = 4
"""of these looks one asks the scheduler whether a stop is wanted"""
PATIENCE = 30.0
"""seconds that a command gets to save what it has"""
LAST_WORDS = 400
"""characters of a log that are told of a task that failed"""


@dataclass(frozen=True)
class Done:
    """What became of a command."""

    code: int
    host: str
    seconds: float
    said: str
    """the last lines of its log"""


def run_command(
    words: Sequence[str], log: str, wait: float = 0.0, stop: Callable[[], bool] | None = None
) -> Done:
    """Run `nvd` with `words` after `wait` seconds; all that it prints goes to the end of `log`.

    `stop` is asked now and then whether it is to end early. Anything that a command can end with is
    a result; OSError where the log cannot be written or the program not be started.
    """
    time.sleep(wait)
    begun = time.monotonic()
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "nvd_core", *words, "--stop-with-stdin"]
    with path.open("ab") as file:
        file.write(f"\n{time.strftime('%F %T')} {_host()}: nvd {' '.join(words)}\n".encode())
        file.flush()
        start = file.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            code = _wait(process, stop)
        finally:
            _end(process)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - 4 * LAST_WORDS))
        said = visible(file.read().decode("utf-8", "replace").strip().replace("\n", " | "))
    return Done(code, _host(), round(time.monotonic() - begun, 1), said[-LAST_WORDS:])


def _wait(process: subprocess.Popen, stop: Callable[[], bool] | None) -> int:
    looks = 0
    while process.poll() is None:
        time.sleep(POLL)
        looks += 1
        if stop and looks % STOP_LOOKS == 0 and stop():
            _end(process)
    return process.returncode


def _end(process: subprocess.Popen) -> None:
    """Let it save and stop; kill it where it does not."""
    if process.stdin and not process.stdin.closed:
        process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _host() -> str:
    return socket.gethostname()


def run_task(stop: str, words: tuple[str, ...], log: str, wait: float) -> Done:
    """`run_command` on one of Dask's workers, ended early once the Event called `stop` is set."""
    from distributed import Event, get_client

    event = Event(stop, client=get_client())
    wanted: Callable[[], bool] = event.is_set
    if wanted():
        return Done(-1, "", 0.0, "called off")
    return run_command(words, log, wait, wanted)
