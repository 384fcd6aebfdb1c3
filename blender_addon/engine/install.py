"""Install the engine: one environment for all Blenders of a user, made by a child process.

    plan = plan_install()       # what would be done; AddonError for what stands in the way
    plan.lines                  # for the artist to agree to
    install_job()               # the same as a job

The steps are venv, PyTorch in the build that suits the machine, the engine, and a test of it.
Whatever can be known before a gigabyte is downloaded is checked before.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..blender.storage import jobs_folder, user_folder
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import clean_environment, hidden
from .find import PROTOCOL, probe_command
from .place import check_length, environment_folder, python_in
from .torch_build import CHOICES, TORCH, VERSION, TorchBuild, choose_build, index_options

__all__ = ["TORCH", "Installation", "install_job", "plan_install"]
BUNDLE = Path(__file__).resolve().parents[1] / "engine_package"
"""where the built extension holds the engine's wheel"""


@dataclass(frozen=True)
class Installation:
    """What is to be done: `lines` say it to the artist, `steps` to a job."""

    base: Path
    environment: Path
    torch: TorchBuild
    source: str
    torch_index: str
    package_index: str

    @property
    def lines(self) -> list[str]:
        """Where it goes, how large it is, what is downloaded and from where."""
        places = [
            self.torch_index
            or self.package_index
            or self.torch.index
            or "the Python Package Index",
            self.package_index or "the Python Package Index",
        ]
        online = [place for place in places if not Path(place).is_dir()]
        free = _free(self.environment) / 1e9
        size = f"about {self.torch.size:.0f} GB of {free:.0f} GB free" if free else "some GB"
        lines = [
            f"Place: {self.environment}",
            f"Size: {size}",
            f"PyTorch {VERSION} for {self.torch.title}: from {places[0]}",
            f"The engine and its packages: from {places[1]}",
            f"Python: {self.base}",
        ]
        if online:
            lines.insert(2, f"Download: about {self.torch.download:.1f} GB")
        if (self.environment / "pyvenv.cfg").is_file():
            lines.append("The engine that is there is replaced")
        return lines

    @property
    def steps(self) -> list[dict]:
        python = python_in(self.environment)
        pip = [str(python), "-m", "pip", "install", "--progress-bar=off"]
        pip += ["--disable-pip-version-check", "--no-input"]
        wanted = {"cpu": "", "cuda": "cuda" if self.torch.sure else "auto"}[self.torch.kind]
        return [
            {
                "title": "making the environment",
                "command": [str(self.base), "-m", "venv", "--clear", str(self.environment)],
            },
            self.torch.steps(pip, self.torch_index or self.package_index),
            {
                "title": "installing the engine",
                "command": [*pip, *index_options(self.package_index), self.source],
            },
            {"title": "testing", "command": probe_command(python, True, wanted)},
        ]


def plan_install(
    *,
    source: str = "",
    build: str = "auto",
    torch_index: str = "",
    package_index: str = "",
    base: Path | None = None,
    environment: Path | None = None,
) -> Installation:
    """What `install_job` with the same words would do; AddonError for what stands in its way.

    Waits for a second or so, for other Pythons and the NVIDIA driver to answer.
    """
    local = all(Path(index).is_dir() for index in (torch_index, package_index) if index)
    if not bpy.app.online_access and not (local and package_index):
        raise AddonError(
            "Blender is not allowed to go online",
            "allow online access in the preferences, System, Network",
            "extensions.userpref_allow_online",
        )
    if build not in CHOICES:
        raise ValueError(f"build should be auto, cpu or cuda, not {build!r}")
    torch = choose_build(build)
    environment = environment or environment_folder(user_folder(), PROTOCOL)
    check_length(environment)
    there = list(environment.iterdir()) if environment.is_dir() else []
    if there and not (environment / "pyvenv.cfg").is_file():  # it would be removed
        raise AddonError(
            f"{environment} is not empty, and no environment of Python",
            "move away what is there, or choose another folder",
        )
    free = _free(environment) / 1e9
    if free and free < torch.size:
        raise AddonError(
            f"the engine takes about {torch.size:.0f} GB, and {free:.1f} GB are free at "
            f"{environment}",
            "make room there, or set the environment variable NVD_ENGINE_FOLDER to a folder on "
            "another disk, and start Blender again",
        )
    return Installation(
        base=base or find_base_python(),
        environment=environment,
        torch=torch,
        source=source or str(bundled_source()),
        torch_index=torch_index,
        package_index=package_index,
    )


def install_job(**options) -> Job:
    """The job that installs the engine; AddonError where Blender is not allowed to go online, and
    for what else stands in the way.

    source: folder, wheel, address or name of the engine's package; "": the one that came with the
        extension.
    build: of PyTorch, "cpu", "cuda" or "auto" (cuda where there is an NVIDIA driver).
    torch_index, package_index: address, or folder of wheels, to take PyTorch and the rest from
        instead of pip's own.
    base: the Python to make the environment from; found by itself.
    environment: where it is made; place.py.
    """
    plan = plan_install(**options)
    return Job.create(
        jobs_folder(),
        title="Engine",
        kind="install",
        python=plan.base,
        steps=plan.steps,
        out=plan.environment,
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
        "install Python 3.11 or newer with its module venv (python3-venv on Debian and Ubuntu), or "
        "the Blender of blender.org, which brings one, and try again",
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
            **hidden(),
        )
        return done.returncode == 0 and json.loads(done.stdout) >= [3, 11]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False


def _free(environment: Path) -> int:
    """Bytes that are free where `environment` is to be, 0 where that is not known."""
    there = next((folder for folder in environment.parents if folder.is_dir()), None)
    try:
        return shutil.disk_usage(there).free if there else 0
    except OSError:
        return 0
