"""Jobs of one line of Python, and other processes that start them."""

import os
import subprocess
import sys
from pathlib import Path

from blender_addon.jobs.job import Job
from helpers.blender.engine import ROOT


def script_job(root: Path, code: str, **more) -> Job:
    """A job below root/jobs, not begun, whose one step runs `code`; `more` goes into its plan."""
    step = {"title": "code", "command": [sys.executable, "-S", "-c", code]}
    given = {"title": "test", "kind": "test", "python": sys.executable} | more
    return Job.create(root / "jobs", steps=[step], **given)


def supervisors(folder: Path) -> list[int]:
    """The living supervisors of the job in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if os.fsencode(folder) in words and state not in "ZX":
                found.append(int(entry.name))
    return found


def start_script(name: str, *arguments, python=sys.executable) -> subprocess.Popen:
    """Start tests/scripts/`name` so that it finds the extension; what it says can be read."""
    places = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.Popen(
        [str(python), str(ROOT / "tests" / "scripts" / name), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
