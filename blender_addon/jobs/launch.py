"""Start a job's supervisor, note it in the job's folder, and only then let it begin.

Where any of that fails, nothing runs and nothing is noted. The caller holds the job's claim. No bpy
here.
"""

import contextlib
import subprocess
import uuid
from pathlib import Path

from ..errors import AddonError
from . import checked_json, process
from .job_files import JobFiles, Mark, unwritable, write_mark


def launch(files: JobFiles, plan: dict) -> tuple[subprocess.Popen, str]:
    """The supervisor that runs the `steps` of `plan`, and what this run is called.

    AddonError where the folder cannot be written, a full disk, or where the Python cannot be run.
    """
    try:
        checked_json.write(files.plan, plan)
        files.cancel.unlink(missing_ok=True)
        files.errors.write_bytes(b"")  # Windows removes no file that is open somewhere
        files.log.open("ab").close()
    except OSError as error:
        raise unwritable(files.folder, error) from error
    script = Path(__file__).with_name("supervise.py")
    command = [plan["python"], str(script), str(files.folder)]
    try:
        popen = process.spawn(command, files.folder, files.log, files.errors)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AddonError(
            f"{plan['python']} cannot be run ({reason})",
            "choose the engine's Python in the preferences, or install the engine",
        ) from error
    try:
        run = uuid.uuid4().hex
        write_mark(files.mark, Mark(popen.pid, process.fingerprint(popen.pid), run))
    except BaseException as error:
        _end(popen)
        files.mark.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unwritable(files.folder, error) from error
        raise
    with contextlib.suppress(OSError):  # it has died already: its errors tell why
        popen.stdin.write(b"go\n")
        popen.stdin.close()
    return popen, run


def _end(popen: subprocess.Popen) -> None:
    """End a supervisor that was not let begin; it has started nothing."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        popen.kill()
        popen.stdin.close()
        popen.wait(5.0)
