"""A holdout matte brought into a shot's folder: the engine reads it, and checks that it fits."""

import json
import subprocess
from pathlib import Path

from ..jobs.process import clean_environment, hidden
from ..shot import finish
from ..shot.finish_file import read_finish
from ..shot.folder import ShotError

SECONDS = 600


def set_holdout(entry, layer, path: str, python: str | Path) -> None:
    """Let the matte at `path` hold out the layer's paint; ShotError where it does not fit.

    What was set of edges and motion blur is saved first.
    """
    finish.save(entry)
    given = f"{layer.name}={path}"
    try:
        done = subprocess.run(
            [
                str(python),
                "-m",
                "nvd_core",
                "finish",
                str(entry.path),
                "--holdout",
                given,
                "--json",
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            env=clean_environment(),
            errors="replace",
            **hidden(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ShotError(
            f"the engine cannot be run ({error})", "test it in the preferences"
        ) from error
    for line in done.stdout.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "error":
            raise ShotError(event["problem"], event["remedy"])
    if done.returncode:
        problem = f"the engine ended with code {done.returncode}"
        raise ShotError(problem, "test the engine in the preferences")
    shot = entry.read()
    finish.take_up(entry, shot, read_finish(shot))
