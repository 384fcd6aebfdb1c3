"""Child processes that outlive Blender, and are known again by the next one.

Standard library only; nothing here waits.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HIGHEST_PID = 2**32 - 1 if sys.platform == "win32" else 2**31 - 1


def engine_command(python: str | Path, *words: object) -> list[str]:
    """The command line that runs `nvd WORDS` with JSON lines, and stops when we are gone."""
    return [str(python), "-m", "nvd_core", *map(str, words), "--json", "--stop-with-stdin"]


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers Blender's own Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def hidden() -> dict[str, Any]:
    """What every call of subprocess is given, so that Windows opens no console for it."""
    return {"creationflags": 0x08000000} if sys.platform == "win32" else {}  # CREATE_NO_WINDOW


def spawn(command: list[str], folder: Path, log: Path, errors: Path) -> subprocess.Popen:
    """Start `command` in `folder` in a session of its own, its output appended to two files.

    Its standard input is a pipe: supervise.py begins when it is told so there.
    """
    options: dict = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": hidden()["creationflags"] | 0x200}  # CREATE_NEW_PROCESS_GROUP
    with log.open("ab") as output, errors.open("ab") as error_output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=error_output,
            **options,
        )


def fingerprint(pid: int) -> str:
    """What tells process `pid` from a later one of the same number; "" where it is not running.

    OSError where that cannot be found out.
    """
    if sys.platform == "win32":
        return _windows_start(pid)
    if Path("/proc/self/stat").is_file():
        fields = _stat(pid)
        if not fields or fields[0] in "ZX":
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {fields[19]}"  # field 22 of the file, the start time
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, **hidden()
    )
    state, _, started = done.stdout.strip().partition(" ")
    return "" if done.returncode or state.startswith("Z") else started.strip()


def followers(pid: int) -> list[int]:
    """The living processes of the session that `spawn` began as `pid`, where that itself is gone.

    The engine saves for seconds after its supervisor was killed. On Windows it dies with it.
    """
    if not may_be_signalled(pid) or sys.platform == "win32":
        return []
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return []
    except PermissionError:  # another user's by now, or on macOS a dead one that nobody has buried
        return []
    if not Path("/proc/self/stat").is_file():
        done = subprocess.run(
            ["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, **hidden()
        )
        rows = [line.split() for line in done.stdout.splitlines()]
        return [int(row[0]) for row in rows if row[1] == str(pid) and row[2][0] != "Z"]
    found = []
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else []
        # Fields 5 and 6 of the file, process group and session
        if fields and fields[2] == fields[3] == str(pid) and fields[0] not in "ZX":
            found.append(int(name))
    return found


def may_be_signalled(pid: object) -> bool:
    """Whether `pid` can be the process of a job: 0 is this group, -1 and group 1 are everyone."""
    if type(pid) is not int or not 1 < pid <= HIGHEST_PID:
        return False
    ours = {os.getpid(), os.getppid()} | (set() if sys.platform == "win32" else {os.getpgrp()})
    return pid not in ours


def terminate(pid: int) -> None:
    """Ask the supervisor `pid` to stop. Windows cannot: there it sees the file `cancel`."""
    if sys.platform != "win32":
        _signal(pid, signal.SIGTERM)


def kill(pid: int) -> None:
    """End the supervisor `pid` and all that it started, at once.

    Windows: the supervisor holds the job object of them all, which ends with it (supervise.py).
    """
    if sys.platform == "win32":
        _signal(pid, signal.SIGTERM)  # TerminateProcess
    else:
        _signal(pid, signal.SIGKILL, group=True)


def _signal(pid: int, number: int, group: bool = False) -> None:
    """The one place that signals."""
    if not may_be_signalled(pid):
        raise ValueError(f"process {pid!r} is none of ours to signal")
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except OSError:
        return  # it has ended by itself: Windows has several errors for that


def _stat(pid: int) -> list[str]:
    """Fields 3 and on of /proc/PID/stat, [] where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _windows_start(pid: int) -> str:
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return ""
    try:
        times = [wintypes.FILETIME() for _ in range(4)]
        code = wintypes.DWORD()
        handle = wintypes.HANDLE(handle)
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times))
        created = times[0].dwHighDateTime << 32 | times[0].dwLowDateTime
        return str(created) if code.value == 259 else ""  # STILL_ACTIVE
    finally:
        kernel.CloseHandle(handle)
