"""Of the tests themselves: where helpers come from, and what a promise turns into a failure."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted([*TESTS.glob("test_*.py"), *TESTS.glob("blender/test_*.py")])
BESIDE = {path.stem for path in TESTS.rglob("*.py")} - {"__init__"}


def imported(tree: ast.Module) -> set[str]:
    """The first names of what a module imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0] if node.module and not node.level else "helpers")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_helpers_come_as_fixtures(path):
    """No test imports another, nor what lies beside it; none changes where Python looks."""
    source = path.read_text("utf-8")
    forbidden = {"helpers", "scripts", "tests", "conftest", *BESIDE}
    assert not imported(ast.parse(source)) & forbidden
    assert path == Path(__file__) or "sys.path" not in source


PROMISED = """
import pytest

@pytest.mark.clips
def test_clips(clips):
    assert not clips.is_dir(), "not to be reached without them"

@pytest.mark.gpu
def test_gpu():
    import torch
    assert torch.cuda.is_available()
"""


@pytest.mark.parametrize(("promise", "failed"), [("", 0), ("CLIPS", 1), ("GPU", 1)])
def test_what_was_promised_is_not_skipped(tmp_path, promise, failed):
    """A copy of the tests' own conftest.py in a place without clips, on a CPU."""
    tests = tmp_path / "project" / "tests"
    (tests / "helpers").mkdir(parents=True)
    for name in ("conftest.py", "helpers/__init__.py", "helpers/promises.py"):
        (tests / name).write_text((TESTS / name).read_text("utf-8"), "utf-8")
    (tests / "test_it.py").write_text(PROMISED)
    settings = "[tool.pytest.ini_options]\nmarkers = ['clips', 'gpu']\n"
    (tests.parent / "pyproject.toml").write_text(settings)
    kept = {name: value for name, value in os.environ.items() if "PROMISED" not in name}
    kept |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""}
    if promise:
        kept[f"NVD_{promise}_PROMISED"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=tests.parent, env=kept, capture_output=True, text=True)
    counts = "1 skipped, 1 error" if failed else "2 skipped"
    assert counts in done.stdout, done.stdout + done.stderr
    assert done.returncode == failed
