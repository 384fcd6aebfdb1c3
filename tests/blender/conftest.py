"""These tests run inside Blender as a Python module, in each environment .envs/bpy-*:

    .envs/bpy-4.5/bin/python -m pytest tests/blender

tools/test.py runs them in every one. Blender's own settings stay out of the user's.
"""

import ctypes.util
import gc
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

_settings = tempfile.TemporaryDirectory(prefix="nvd-blender-")
os.environ["BLENDER_USER_RESOURCES"] = _settings.name  # read when bpy is imported

import bpy  # noqa: E402
from helpers import promises  # noqa: E402
from helpers.blender import engine as _engine  # noqa: E402

_SCRIPT = Path(__file__).parents[1] / "scripts" / "make_folder.py"
_status = pytest.StashKey[int]()


_ONCE = ((4, 5), (5, 2))
"""Blenders of Python 3.11 and of 3.13, which run what is marked `once`; tools/test.py leaves it
to the latter but for --all"""


def pytest_collection_modifyitems(config, items):
    if bpy.app.version[:2] in _ONCE:
        return
    left_out = [item for item in items if item.get_closest_marker("once")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("once")]


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
    _engine.run(_SCRIPT, folder)
    return folder


@pytest.fixture(scope="session")
def made_linear(tmp_path_factory) -> Path:
    """The same with linear EXR frames that go above 1."""
    folder = tmp_path_factory.mktemp("linear")
    _engine.run(_SCRIPT, folder, "--linear")
    return folder


@pytest.fixture(scope="session")
def made_other_sizes(tmp_path_factory) -> Path:
    """The same as `made` with edits larger and smaller than the textures."""
    folder = tmp_path_factory.mktemp("sizes")
    _engine.run(_SCRIPT, folder, "--other-sizes")
    return folder


@pytest.fixture(scope="session")
def numbered_clip(tmp_path_factory, timeline) -> Path:
    """`timeline.COUNT` pictures that tell their number, as files and as movies of several rates."""
    folder = tmp_path_factory.mktemp("numbered")
    timeline.write_numbered_clip(folder)
    return folder


@pytest.fixture
def scene(timeline):
    """The file's scene, set up to show the numbered clip in its Sequencer."""
    return timeline.new_scene()


@pytest.fixture
def plain_scene(empty_file):
    """The file's scene, of the size of `made`, showing the values of pictures as they are."""
    render = empty_file.render
    render.resolution_x, render.resolution_y, render.dither_intensity = 160, 90, 0
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    empty_file.view_settings.view_transform = "Standard"
    return empty_file


@pytest.fixture
def gpu_ready(empty_file):
    """For tests marked `gpu`: Blender's own drawing, started without a window."""
    _helper("preview").start()


@pytest.fixture(scope="session")
def engine():
    """The engine by its command line: `run`(*arguments), PYTHON, and the repository's ROOT."""
    return _engine


@pytest.fixture
def extension(empty_file, monkeypatch, engine, tiny_job):
    """The extension switched on, with the tests' engine; its jobs are ended with the test."""
    import blender_addon
    from blender_addon.jobs.runner import runner

    monkeypatch.setenv("NVD_PYTHON", str(engine.PYTHON))
    blender_addon.register()
    yield
    for job in runner.queue.jobs:
        job.cancel()
    tiny_job.tick_until(lambda: not runner.queue.busy, runner.tick)
    runner.queue.jobs.clear()
    blender_addon.unregister()


@pytest.fixture(scope="session")
def reference():
    """The formulas in numpy and Blender's pictures: `Truth`, `encode`, `psnr`, `render`, `load`."""
    return _helper("reference")


@pytest.fixture(scope="session")
def tiny_job():
    """A decomposition of seconds: `make_clip`(folder), `options`(clip), `tick_until`."""
    return _helper("jobs")


@pytest.fixture(scope="session")
def tick_until():
    """`tick_until`(condition, tick, seconds): call `tick` as Blender's timer would."""
    return _helper("jobs").tick_until


@pytest.fixture(scope="session")
def script_job():
    """`script_job`(root, code, **plan): a job whose one step runs `code`, not begun."""
    return _helper("script_jobs").script_job


@pytest.fixture(scope="session")
def supervisors():
    """`supervisors`(folder): the numbers of the living processes that run this job."""
    return _helper("script_jobs").supervisors


@pytest.fixture(scope="session")
def start_script():
    """`start_script`(name, *arguments, python): a script of tests/scripts in its own process."""
    return _helper("script_jobs").start_script


@pytest.fixture(scope="session")
def timeline():
    """Strips made, retimed and shown: `added`, `retime`, `check`, `movie_strip`, `show`, ..."""
    return _helper("timeline")


@pytest.fixture(scope="session")
def preview_picture():
    """The live preview's picture: `preview_picture`(folder, t, mode, change) [H, W, 4]."""
    return _helper("preview").picture


@pytest.fixture(scope="session")
def interface():
    """What the interface says: `texts` and `composed` of the extension's source."""
    return _helper("ui_texts")


def _helper(name: str):
    return importlib.import_module(f"helpers.blender.{name}")


def pytest_runtest_setup(item):
    """`gpu` skips a test where Blender would abort for want of OpenGL, or fails it if promised."""
    if item.get_closest_marker("gpu"):
        found = ctypes.util.find_library("EGL")
        promises.need("gpu", None if found else "no libEGL: Blender would abort")


@pytest.fixture
def folder(made, tmp_path):
    """A copy of `made` without paint, for a test to change."""
    shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd")
    for texture in (tmp_path / "shot.nvd/textures").iterdir():
        shutil.copy(texture, tmp_path / "shot.nvd/edits" / texture.name)
    return tmp_path / "shot.nvd"


@pytest.fixture
def entry(made, tmp_path):
    """A copy of the shot of `made` in the scene's list, its background chosen."""
    from blender_addon.shot import shots

    shutil.copytree(made / "shot.nvd", tmp_path / "take.nvd")
    entry = shots.add_shot(tmp_path / "take.nvd")
    entry.active_layer = list(entry.layers.keys()).index("background")
    return entry


@pytest.fixture
def crossing_strip(tmp_path):
    """The strip of a clip in which two objects pass each other; it begins at frame 11."""
    from blender_addon.blender import compat

    crossing = Path(__file__).parents[2] / "samples/truth/crossing/frames"
    frames = Path(shutil.copytree(crossing, tmp_path / "frames"))
    scene = bpy.context.scene
    scene.sequence_editor_create()
    files = sorted(frames.iterdir())
    strip = compat.strips(scene).new_image(
        name="clip", filepath=str(files[0]), channel=1, frame_start=11
    )
    for file in files[1:]:
        strip.elements.append(file.name)
    strip.frame_final_duration = len(files)
    scene.sequence_editor.active_strip = strip
    strip.nvd_decompose.out = str(tmp_path / "clip.nvd")
    return strip


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
