"""Where the engine's Python is, and whether it is one that this extension can work with.

    python = find_engine().python
    facts = test_engine(python)         # {"version": ..., "device": ..., ...}, or AddonError

The Python is looked for in this order: the preference, the environment variable NVD_PYTHON, the
environment that the extension made (place.py), the command `nvd` on PATH.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..blender.storage import jobs_folder, preferences, user_folder
from ..errors import AddonError
from ..jobs import checked_json
from ..jobs.job import Job
from ..jobs.process import clean_environment, hidden
from .place import environment_folder, missing_base, python_in

PROTOCOL = (
    11  # what of the engine's command line this extension relies on; nvd_core states the same
)
INSTALL = "nvd.install_engine"


@dataclass(frozen=True)
class Engine:
    python: Path
    origin: str  # how it was found, for people


def find_engine() -> Engine:
    """The engine's Python that comes first in the order; AddonError where there is none, or where
    the environment that the extension made rests on a Python that has gone.

    Only looks for files: `test_engine` tells whether it works.
    """
    settings = preferences()
    chosen = settings.engine_python if settings else ""
    if chosen:
        return Engine(_existing(bpy.path.abspath(chosen), "the preferences"), "the preferences")
    variable = os.environ.get("NVD_PYTHON")
    if variable:
        return Engine(_existing(variable, "NVD_PYTHON"), "the environment variable NVD_PYTHON")
    environment = environment_folder(user_folder(), PROTOCOL)
    gone = missing_base(environment)
    if gone:
        raise AddonError(
            f"the engine rests on a Python that has gone with its Blender ({gone})",
            "install it again; pip has kept what was downloaded",
            INSTALL,
        )
    own = python_in(environment)
    if own.is_file():
        return Engine(own, "installed by this extension")
    command = shutil.which("nvd")
    python = _python_of(Path(command)) if command else None
    if python:
        return Engine(python, "the command nvd on PATH")
    raise AddonError("there is no engine yet", "install it, or choose its Python", INSTALL)


def probe_command(python: Path, everything: bool = False, wanted: str = "") -> list[str]:
    """What tells whether `python` holds an engine that fits; see probe.py.

    wanted: "cuda" fails and "auto" warns where PyTorch cannot use the GPU.
    """
    words = [str(python), str(Path(__file__).with_name("probe.py")), str(PROTOCOL)]
    return words + ["--all"] * everything + ([f"--wanted={wanted}"] if wanted else [])


def test_engine(python: Path) -> dict:
    """Version, protocol, torch and device of the engine; AddonError where it does not fit.

    Waits for seconds: `test_job` does the same without waiting.
    """
    try:
        done = subprocess.run(
            probe_command(python, True),
            capture_output=True,
            text=True,
            timeout=120,
            env=clean_environment(),
            errors="replace",
            **hidden(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AddonError(f"{python} cannot be run ({error})", "choose another", INSTALL) from error
    lines = done.stdout.strip().splitlines()
    try:
        values = checked_json.parse(lines[-1]) if lines else {}
        event = values.pop("event", "")
        if event == "result" and done.returncode == 0:
            return values
        if event == "error":
            words = (
                checked_json.text(values, name, "") for name in ("problem", "remedy", "button")
            )
            raise AddonError(*words)
    except checked_json.Odd:
        pass  # no words of probe.py
    words = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    raise AddonError(f"{python} fails: {words[-1]}", "install the engine again", INSTALL)


def test_job(python: Path) -> Job:
    """A job that does what `test_engine` does; the facts are its log's `result`."""
    return Job.create(
        jobs_folder(),
        title="Engine test",
        kind="test",
        python=python,
        steps=[{"title": "testing", "command": probe_command(python, True)}],
    )


def _existing(path: str, where: str) -> Path:
    if not Path(path).is_file():
        raise AddonError(
            f"{where} names {path} as the engine's Python, but it is not there",
            "correct it, or install the engine",
            INSTALL,
        )
    return Path(os.path.abspath(path))  # not resolved: a venv's python is a link


def _python_of(command: Path) -> Path | None:
    """The Python that runs the script `command`, as its first line or its folder tells."""
    if sys.platform != "win32":
        with command.open("rb") as script:
            first = script.readline().decode("utf-8", "replace").strip()
        python = Path(first.removeprefix("#!").strip())
        return python if first.startswith("#!") and python.is_file() else None
    beside = (command.parent / "python.exe", command.parent.parent / "python.exe")
    return next((python for python in beside if python.is_file()), None)
