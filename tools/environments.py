"""Make the Python environments that the project is tested in, under .envs/.

    python3 tools/environments.py                 all of them
    python3 tools/environments.py engine bpy-4.5  these

`engine` holds nvd_core as an editable install with its tests' needs; each `bpy-X.Y` holds one
Blender as a Python module. A finished environment is left alone until what it should hold changes.
One that cannot be made for want of a Python is reported and left out. Needs only the standard
library of Python 3.11; pip downloads about 1 GB for each Blender, and PyTorch. Where PyTorch's CPU
build can be found (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL) and there is no NVIDIA GPU, it is taken.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".envs"
TORCH = "torch==2.13.0"
BLENDERS = {  # bpy's version, Python's; the demo takes the first that can be had
    "4.5": ("4.5.15", "3.11"),
    "4.2": ("4.2.23", "3.11"),
    "5.0": ("5.0.1", "3.11"),
    "5.2": ("5.2.3", "3.13"),
}
BLENDER_LIBRARIES = [
    "libx11-6",
    "libxrender1",
    "libxi6",
    "libxkbcommon0",
    "libsm6",
    "libgl1",
    "libxxf86vm1",
    "libgomp1",
    "libegl1",
]


class Failed(Exception):
    """An environment could not be made."""


class NoPython(Failed):
    """The Python that an environment needs is not on this machine."""


@dataclass(frozen=True)
class Environment:
    name: str
    python_version: str
    requirements: tuple[str, ...]  # what the stamp stands for
    install: Callable[[Path], None]  # given the environment's Python

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.folder / "nvd-stamp.json"

    def finished(self) -> bool:
        if not (self.stamp.is_file() and works(self.python, self.python_version)):
            return False
        return json.loads(self.stamp.read_text()) == self._stamp_value()

    def make(self) -> None:
        """Make it, or bring it up to date; Failed where that cannot be done."""
        if not works(self.python, self.python_version):
            base = find_python(self.python_version)
            run([base, "-m", "venv", "--clear", self.folder])
        self.install(self.python)
        self.stamp.write_text(json.dumps(self._stamp_value()))

    def _stamp_value(self) -> dict:
        digest = hashlib.sha256("\n".join(self.requirements).encode()).hexdigest()
        return {"python": self.python_version, "requirements": digest}


def all_environments() -> list[Environment]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [TORCH, *project["dependencies"], *project["optional-dependencies"]["test"]]
    wanted += [f"{name} = {target}" for name, target in project["scripts"].items()]
    wanted.append(f"an editable install of {ROOT}")  # a folder that was moved is installed anew
    made = [Environment("engine", "3.11", tuple(wanted), install_engine)]
    for version, (package, python_version) in BLENDERS.items():
        requirements = (f"bpy=={package}", "pytest>=8")

        def install(python: Path, requirements=requirements) -> None:
            pip(python, *requirements)

        made.append(Environment(f"bpy-{version}", python_version, requirements, install))
    return made


def ensure(environment: Environment) -> str:
    """Make `environment` where it is not finished; "ready", or Failed."""
    if not environment.finished():
        print(f"making .envs/{environment.name} ...", flush=True)
        environment.make()
    if environment.name.startswith("bpy"):
        ensure_blender_imports(environment)
    return "ready"


def usable_blender() -> Environment | None:
    """The first Blender that can be installed here, made; None, said aloud, where none can."""
    environments = {environment.name: environment for environment in all_environments()}
    for version in BLENDERS:
        environment = environments[f"bpy-{version}"]
        try:
            ensure(environment)
            return environment
        except Failed as error:
            print(f"Blender {version} is left out: {error}")
    return None


def install_engine(python: Path) -> None:
    if has_nvidia():
        pip(python, TORCH)
    else:
        try:
            pip(python, f"{TORCH}+cpu")
        except Failed:
            print("no CPU build of PyTorch to be found; taking the common one", flush=True)
            pip(python, TORCH)
    pip(python, "-e", f"{ROOT}[test]")


def ensure_blender_imports(environment: Environment) -> None:
    """Blender needs libraries that a bare Debian or Ubuntu lacks; install them where we may."""
    attempt = [str(environment.python), "-c", "import bpy"]
    done = subprocess.run(attempt, capture_output=True, text=True)
    if done.returncode == 0:
        return
    if sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing the libraries that Blender needs ...", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-qq"], env=quiet)
        options = ["-y", "-qq", "--no-install-recommends"]
        run(["apt-get", "install", *options, *BLENDER_LIBRARIES], env=quiet)
        done = subprocess.run(attempt, capture_output=True, text=True)
    if done.returncode:
        raise Failed(
            f"Blender does not start in .envs/{environment.name}:\n{done.stderr.strip()}\n"
            f"On Debian and Ubuntu it needs: apt-get install {' '.join(BLENDER_LIBRARIES)}"
        )


def find_python(version: str) -> Path:
    """A Python of `version`, such as "3.13", that runs; NoPython where there is none."""
    candidates = [Path(sys.executable)]
    named = shutil.which(f"python{version}")
    if named:
        candidates.append(Path(named))
    launcher = shutil.which("py")  # Windows: no python3.13 on the path there
    if launcher:
        ask = [launcher, f"-{version}", "-c", "import sys; print(sys.executable)"]
        found = subprocess.run(ask, capture_output=True, text=True)
        if found.returncode == 0:
            candidates.append(Path(found.stdout.strip()))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted((pyenv / "versions").glob(f"{version}.*/bin/python"), reverse=True)
    for candidate in candidates:
        if works(candidate, version):
            return candidate
    raise NoPython(f"no Python {version} on this machine")


def works(python: Path, version: str) -> bool:
    """Whether `python` runs and is of `version`: pyenv's shims exist without a Python behind."""
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(python), "-c", ask], capture_output=True, text=True)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def has_nvidia() -> bool:
    tool = shutil.which("nvidia-smi")
    return bool(tool) and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def pip(python: Path, *arguments: str) -> None:
    run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments])


def run(command: list, env: dict | None = None) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env)
    if done.returncode:
        words = " ".join(map(str, command))
        raise Failed(f"{words}\n{done.stdout.strip()}\n{done.stderr.strip()}")


def main() -> int:
    environments = {environment.name: environment for environment in all_environments()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(environments)}; all by default")
    names = parser.parse_args().names or list(environments)
    unknown = set(names) - set(environments)
    if unknown:
        parser.error(f"no environment is called {', '.join(sorted(unknown))}")
    failures = 0
    for name in names:
        try:
            print(f"{name}: {ensure(environments[name])}")
        except NoPython as error:
            print(f"{name}: left out, {error}")
        except Failed as error:
            failures += 1
            print(f"{name}: FAILED\n{error}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
