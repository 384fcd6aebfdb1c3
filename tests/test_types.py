"""mypy on the engine, the extension and the tools, as pyproject.toml has it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_types_agree():
    words = ["nvd_core", "blender_addon", "tools", "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
