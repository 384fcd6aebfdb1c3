"""Install the engine: an environment of its own in the extension's folder, made by a child process.

The steps are venv, PyTorch in the build that suits the machine, the engine, and a test of it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpy

from ..blender.storage import jobs_folder, user_folder
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import clean_environment
from .find import probe_command, python_in

TORCH = "torch==2.13.0"
BUNDLE = Path(__file__).resolve().parents[1] / "engine_package"
"""where the built extension holds the engine's wheel"""


def install_job(
    *,
    source: str = "",
    build: str = "auto",
    torch_index: str = "",
    package_index: str = "",
    base: Path | None = None,
    environment: Path | None = None,
) -> Job:
    """The job that installs the engine; AddonError where Blender is not allowed to go online.

    source: folder, wheel, address or name of the engine's package; "": the one that came with the
        extension.
    build: of PyTorch, "cpu", "cuda" or "auto" (cuda where there is an NVIDIA driver).
    torch_index, package_index: address, or folder of wheels, to take PyTorch and the rest from
        instead of pip's own.
    base: the Python to make the environment from; found by itself.
    environment: where it is made; the extension's own folder.
    """
    local = all(Path(index).is_dir() for index in (torch_index, package_index) if index)
    if not bpy.app.online_access and not (local and package_index):
        raise AddonError(
            "Blender is not allowed to go online",
            "allow online access in the preferences, System, Network",
            "extensions.userpref_allow_online",
        )
    if build not in ("auto", "cpu", "cuda"):
        raise ValueError(f"build should be auto, cpu or cuda, not {build!r}")
    base = base or find_base_python()
    environment = environment or user_folder() / "engine"
    python = python_in(environment)
    pip = [str(python), "-m", "pip", "install", "--progress-bar=off"]
    pip += ["--disable-pip-version-check", "--no-input"]
    steps = [
        {
            "title": "making the environment",
            "command": [str(base), "-m", "venv", "--clear", str(environment)],
        },
        _torch_step(pip, build, torch_index or package_index),
        {
            "title": "installing the engine",
            "command": [*pip, *_index(package_index), source or str(bundled_source())],
        },
        {"title": "testing", "command": probe_command(python, True)},
    ]
    return Job.create(
        jobs_folder(),
        title="Engine",
        kind="install",
        python=base,
        steps=steps,
        out=environment,
    )


def bundled_source() -> Path:
    """The engine's wheel in the extension, or the checkout that the extension runs from."""
    wheels = sorted(BUNDLE.glob("*.whl"))
    if wheels:
        return wheels[-1]
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "nvd_core" / "__init__.py").is_file():
        return checkout
    raise AddonError(
        "this extension came without the engine's package",
        "choose a folder or wheel of the engine in the preferences",
    )


def find_base_python() -> Path:
    """A Python of 3.11 or newer that can make environments: on PATH, or Blender's own."""
    names = ("python3.13", "python3.12", "python3.11", "python3", "python")
    candidates = [sys.executable, *filter(None, map(shutil.which, names))]
    for candidate in candidates:
        if _makes_environments(candidate):
            return Path(os.path.abspath(candidate))
    raise AddonError(
        "there is no Python of 3.11 or newer that can make an environment",
        "install Python 3.11 or newer, and try again",
    )


def _makes_environments(python: str) -> bool:
    ask = "import json, sys, venv, ensurepip; print(json.dumps(sys.version_info[:2]))"
    try:
        done = subprocess.run(
            [python, "-c", ask],
            capture_output=True,
            text=True,
            timeout=20,
            env=clean_environment(),
        )
        return done.returncode == 0 and json.loads(done.stdout) >= [3, 11]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False


def _torch_step(pip: list[str], build: str, index: str) -> dict:
    """Without an index, ask for the CPU build by its name first where the usual one is CUDA's."""
    if build == "auto":
        build = "cuda" if shutil.which("nvidia-smi") else "cpu"
    usual = [*pip, *_index(index), TORCH]
    step = {"title": f"installing PyTorch ({build})", "command": usual}
    if build == "cpu" and sys.platform == "linux":
        step |= {"command": [*pip, *_index(index), f"{TORCH}+cpu"], "otherwise": usual}
    return step


def _index(index: str) -> list[str]:
    if not index:
        return []
    return ["--no-index", "--find-links", index] if Path(index).is_dir() else ["--index-url", index]
