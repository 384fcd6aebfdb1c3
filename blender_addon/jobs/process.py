"""Child processes that outlive Blender, and are known again by the next one.

Standard library only; nothing here waits.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def clean_environment() -> dict[str, str]:
    """This process's environment without what steers Blender's own Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def spawn(command: list[str], folder: Path, log: Path, errors: Path) -> subprocess.Popen:
    """Start `command` in `folder` in a session of its own, its output appended to two files."""
    options: dict = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        options = {"creationflags": flags}
    with log.open("ab") as output, errors.open("ab") as error_output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=error_output,
            **options,
        )


def fingerprint(pid: int) -> str:
    """What tells process `pid` from a later one of the same number; "" where it is not running."""
    if sys.platform == "win32":
        return _windows_start(pid)
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").is_file():
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return ""
        dead = fields[0] in "ZX"
        return "" if dead else f"{boot} {fields[19]}"  # field 22 of the file, the start time
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True
    )
    state, _, started = done.stdout.strip().partition(" ")
    return "" if done.returncode or state.startswith("Z") else started.strip()


def terminate(pid: int) -> None:
    """Ask the session that `spawn` began to stop; Windows stops its first process at once."""
    _signal(pid, None if sys.platform == "win32" else signal.SIGTERM)


def kill(pid: int) -> None:
    """End that session's processes at once."""
    _signal(pid, None if sys.platform == "win32" else signal.SIGKILL, group=True)


def _signal(pid: int, number, group: bool = False) -> None:
    try:
        if number is None:
            os.kill(pid, signal.SIGTERM)  # Windows: TerminateProcess
        elif group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended by itself


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
