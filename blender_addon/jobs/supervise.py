"""Run the steps of a job, one process after the other; started by job.py in the engine's Python.

    python supervise.py JOB_FOLDER

It lives on when Blender is closed. Each step is given a pipe as its standard input, so that the
engine stops by itself, its progress saved, where this process is killed. What the steps print goes
to the job's log; in between this writes its own JSON lines: `start`, `step` and at last `exit`.
Standard library only, and no import from the extension.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CANCELLED = 130


def emit(event: str, **values) -> None:
    # A step that was killed may have left half a line
    print("\n" + json.dumps({"event": event, **values}), flush=True)


class Steps:
    """The steps of one job, and the one that runs."""

    def __init__(self, plan: dict):
        self.plan = plan
        self.child: subprocess.Popen | None = None
        self.stopped = False

    def stop(self, *_) -> None:
        """Handle SIGTERM: pass it on to the step that runs, and begin no other."""
        self.stopped = True
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()

    def run(self) -> int:
        """All steps; returns the exit code of the first that fails, or 0."""
        for source, target in self.plan.get("copies", []):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        steps = self.plan["steps"]
        for number, step in enumerate(steps, start=1):
            if self.stopped:
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
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE)
        except OSError as error:
            problem = f"cannot run {command[0]} ({error.strerror})"
            emit("error", problem=problem, remedy="see that it is there, and try again")
            return 2
        if self.stopped:  # asked for while the step was being started
            self.child.terminate()
        code = self.child.wait()
        self.child.stdin.close()
        return code


def main(folder: Path) -> int:
    if hasattr(os, "nice"):
        os.nice(5)  # the artist's Blender goes first
    steps = Steps(json.loads((folder / "plan.json").read_text("utf-8")))
    signal.signal(signal.SIGTERM, steps.stop)
    emit("start", pid=os.getpid())
    try:
        code = steps.run()
    except OSError as error:
        emit("error", problem=str(error), remedy="see that the file is there and may be read")
        code = 2
    emit("exit", code=code)
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
