"""The order of the rooms, as pyproject.toml has it: no circle, no import upwards."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint(root: Path) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    return subprocess.run([*command, "--no-cache"], cwd=root, capture_output=True, text=True)


def test_every_import_goes_downwards():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("nvd_core/fields/model.py", "from nvd_core.training import losses"),
        ("nvd_core/shot/maps.py", "import torch"),
        ("nvd_core/job.py", "import bpy"),
        ("nvd_core/priors/flow_size.py", "from nvd_core.priors import flow"),
        ("blender_addon/shot/nodes.py", "from ..paint import preview"),
        ("blender_addon/jobs/job.py", "import nvd_core"),
    ],
)
def test_one_that_does_not_is_found(tmp_path, file, line):
    for name in ("nvd_core", "blender_addon"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as changed:
        changed.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1 and "BROKEN" in done.stdout, done.stdout + done.stderr
