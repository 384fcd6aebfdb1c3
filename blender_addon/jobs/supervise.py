"""Run the steps of a job, one process after the other; started by job.py in the engine's Python.

    echo go | python supervise.py JOB_FOLDER

It begins at the word `go` on its standard input, which Blender writes when it has noted this
process; where Blender dies or fails before that, nothing is begun. It lives on when Blender is
closed. Each step is given a pipe as its standard input, so that the engine stops by itself, its
progress saved, where that is closed or this process is killed. SIGTERM, or a file `cancel` in the
job's folder, stops it. What the steps print goes to the job's log; in between this writes its own
JSON lines: `start`, `step` and at last `exit`.
Standard library only, and no import from the extension.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CANCELLED = 130
LOOK = 0.2  # seconds between two looks for the file `cancel`
NICE = 5  # the artist's Blender goes first
BEHIND = 15  # and before what nobody waits for, all other jobs
SAVING = 6.0  # seconds that Windows' programs are given to stop by themselves
HIDDEN = {"creationflags": 0x08000000} if sys.platform == "win32" else {}  # CREATE_NO_WINDOW


def emit(event: str, **values) -> None:
    # A step that was killed may have left half a line
    print("\n" + json.dumps({"event": event, **values}), flush=True)


class Steps:
    """The steps of one job, and the one that runs."""

    def __init__(self, plan: dict, cancel: Path):
        self.plan = plan
        self.cancel = cancel
        self.child: subprocess.Popen | None = None
        self.stopped = 0.0  # when it was asked to

    def stop(self, *_) -> None:
        """Handle SIGTERM: pass it on to the step that runs, and begin no other."""
        self.stopped = self.stopped or time.monotonic()
        if self.child is None or self.child.poll() is not None:
            return
        if sys.platform == "win32":  # has no signal that could be handled: the engine sees this
            self._close_input()
        else:
            self.child.terminate()

    def run(self) -> int:
        """All steps; returns the exit code of the first that fails, or 0."""
        for source, target in self.plan.get("copies", []):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        steps = self.plan["steps"]
        for number, step in enumerate(steps, start=1):
            if self._asked_to_stop():
                return CANCELLED
            emit("step", title=step["title"], number=number, of=len(steps))
            code = self._run_one(step["command"])
            if code and "otherwise" in step and not self.stopped:
                code = self._run_one(step["otherwise"])
            if code:
                return CANCELLED if self.stopped else code
        return 0

    def _run_one(self, command: list[str]) -> int:
        try:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, **HIDDEN)
        except OSError as error:
            problem = f"cannot run {command[0]} ({error.strerror})"
            emit("error", problem=problem, remedy="see that it is there, and try again")
            return 2
        if self.stopped:  # asked for while the step was being started
            self.stop()
        code = self._wait()
        self._close_input()
        return code

    def _wait(self) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.child.wait(LOOK)
            if not self.stopped and self._asked_to_stop():
                self.stop()
            late = self.stopped and time.monotonic() - self.stopped > SAVING
            if late and sys.platform == "win32":  # pip, or Blender, that heed no closed pipe
                self.child.terminate()

    def _asked_to_stop(self) -> bool:
        return bool(self.stopped) or self.cancel.exists()

    def _close_input(self) -> None:
        with contextlib.suppress(OSError):  # what was never read cannot be flushed
            self.child.stdin.close()


def hold_together() -> object:
    """Windows: let all that this process starts die with it, however it dies.

    The kernel keeps that promise for a job object whose last handle closes: no child can be missed
    as by walking the tree of processes (taskkill /T), which breaks where a parent has gone.
    """
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateJobObjectW.restype = kernel.GetCurrentProcess.restype = wintypes.HANDLE
    job = wintypes.HANDLE(kernel.CreateJobObjectW(None, None))
    # JOBOBJECT_EXTENDED_LIMIT_INFORMATION; LimitFlags follow two 64-bit times
    size = 144 if ctypes.sizeof(ctypes.c_void_p) == 8 else 112
    limits = (ctypes.c_ubyte * size)()
    ctypes.c_uint32.from_buffer(limits, 16).value = 0x2000  # KILL_ON_JOB_CLOSE
    kernel.SetInformationJobObject(job, 9, limits, size)  # ExtendedLimitInformation
    kernel.AssignProcessToJobObject(job, wintypes.HANDLE(kernel.GetCurrentProcess()))
    return job


def main(folder: Path) -> int:
    steps = Steps(json.loads((folder / "plan.json").read_text("utf-8")), folder / "cancel")
    signal.signal(signal.SIGTERM, steps.stop)
    if sys.stdin.buffer.readline().strip() != b"go":
        return CANCELLED  # Blender could not note this process: it must not run
    tree = hold_together() if sys.platform == "win32" else None
    if hasattr(os, "nice"):
        os.nice(BEHIND if steps.plan.get("about", {}).get("behind") else NICE)
    emit("start", pid=os.getpid())
    try:
        code = steps.run()
    except OSError as error:
        emit("error", problem=str(error), remedy="see that the file is there and may be read")
        code = 2
    emit("exit", code=code)
    del tree
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
