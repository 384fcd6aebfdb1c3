"""The engine as the tests inside Blender reach it: another Python, by the command line."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".envs" / "engine" / "bin" / "python"


def run(*arguments) -> subprocess.CompletedProcess:
    """Run the engine's Python; AssertionError with its words where it fails."""
    assert PYTHON.is_file(), f"no {PYTHON}: run tools/environments.py"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(PYTHON), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done
