"""These tests run inside Blender as a Python module, in each environment .envs/bpy-*:

    .envs/bpy-4.5/bin/python -m pytest tests/blender

tools/test.py runs them in every one. Blender's own settings stay out of the user's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_settings = tempfile.TemporaryDirectory(prefix="nvd-blender-")
os.environ["BLENDER_USER_RESOURCES"] = _settings.name  # read when bpy is imported

import bpy  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".envs" / "engine" / "bin" / "python"
sys.path.insert(0, str(ROOT))


@pytest.fixture(autouse=True)
def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.compositor_device = "CPU"  # 5.2 would take a GPU, and abort where there is none
    return scene


def engine(*arguments: str) -> subprocess.CompletedProcess:
    """Run the engine's Python; AssertionError with its words where it fails."""
    assert ENGINE.is_file(), f"no {ENGINE}: run tools/environments.py"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(ENGINE), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """shot.nvd with 8-bit frames, and truth.npz beside it. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("display")
    engine(Path(__file__).with_name("make_folder.py"), folder)
    return folder


@pytest.fixture(scope="session")
def made_linear(tmp_path_factory) -> Path:
    """The same with linear EXR frames that go above 1."""
    folder = tmp_path_factory.mktemp("linear")
    engine(Path(__file__).with_name("make_folder.py"), folder, "--linear")
    return folder
