"""These tests run inside Blender as a Python module, in each environment .envs/bpy-*:

    .envs/bpy-4.5/bin/python -m pytest tests/blender

tools/test.py runs them in every one. Blender's own settings stay out of the user's.
"""

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

_settings = tempfile.TemporaryDirectory(prefix="nvd-blender-")
os.environ["BLENDER_USER_RESOURCES"] = _settings.name  # read when bpy is imported

import bpy  # noqa: E402
from engine import run_engine  # noqa: E402

_status = pytest.StashKey[int]()


@pytest.fixture(autouse=True)
def empty_file():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.compositor_device = "CPU"  # 5.2 would take a GPU, and abort where there is none
    return scene


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """shot.nvd with 8-bit frames, and truth.npz beside it. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("display")
    run_engine(Path(__file__).with_name("make_folder.py"), folder)
    return folder


@pytest.fixture(scope="session")
def made_linear(tmp_path_factory) -> Path:
    """The same with linear EXR frames that go above 1."""
    folder = tmp_path_factory.mktemp("linear")
    run_engine(Path(__file__).with_name("make_folder.py"), folder, "--linear")
    return folder


@pytest.fixture(scope="session")
def made_other_sizes(tmp_path_factory) -> Path:
    """The same as `made` with edits larger and smaller than the textures."""
    folder = tmp_path_factory.mktemp("sizes")
    run_engine(Path(__file__).with_name("make_folder.py"), folder, "--other-sizes")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of `made` without paint, for a test to change."""
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    for texture in (tmp_path / "shot.nvd/textures").iterdir():
        shutil.copy(texture, tmp_path / "shot.nvd/edits" / texture.name)
    return tmp_path / "shot.nvd"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown():
    """Blender 4.2 crashes now and then when Python collects what is left of an object of a class
    that has been unregistered; so there garbage is collected before that, and at no other time."""
    if bpy.app.version < (4, 5, 0):
        gc.disable()
        gc.collect()


def pytest_sessionfinish(session, exitstatus):
    session.config.stash[_status] = int(exitstatus)


def pytest_unconfigure(config):
    """Blender 4.2 as a module crashes when Python ends after any class with a property was
    registered, three lines are enough; so there Python ends without taking itself apart."""
    if bpy.app.version < (4, 5, 0):
        _settings.cleanup()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(_status, 1))
