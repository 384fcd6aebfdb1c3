"""What tests are given: helpers as fixtures, parameters that modules share, and what to skip.

The code behind stands in tests/helpers/, which no test imports by itself. It is imported where a
fixture is asked for, so that the tests inside Blender, where torch is not, can share this file.
"""

import importlib
import os
import tempfile

import pytest

pytest.register_assert_rewrite("helpers")

from helpers import promises  # noqa: E402

try:
    import torch
except ModuleNotFoundError:  # inside Blender
    torch = None

# Where the engine notes what a user has begun; a test run is no user
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="nvd-test-state-")

# Without a GPU, Triton's kernels run in its interpreter; that must be said before it is imported.
# torch imports triton by itself where both are installed, so a test module would come too late.
if torch and not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


def pytest_runtest_setup(item):
    """`clips` and `gpu` skip a test where these are absent, or fail it where they are promised."""
    if item.get_closest_marker("clips"):
        absent = not promises.CLIPS.is_dir()
        promises.need("clips", f"no real clips in {promises.CLIPS}" if absent else None)
    if torch and item.get_closest_marker("gpu"):
        promises.need("gpu", None if torch.cuda.is_available() else "no GPU with CUDA")


def pytest_generate_tests(metafunc):
    """`grid_name` and `grid_dtype` run a test on every layout of `grid_cases`."""
    for name, cases in (("grid_name", "LAYOUTS"), ("grid_dtype", "TOLERANCE")):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, list(getattr(_helper("grid_cases"), cases)))


def _helper(name: str):
    return importlib.import_module(f"helpers.{name}")


@pytest.fixture(scope="session")
def clips():
    """The folder of the real clips; for tests marked `clips`."""
    return promises.CLIPS


@pytest.fixture(scope="session")
def tiny_clip():
    """A clip small enough to train on: `write`(folder), FRAMES, HEIGHT, WIDTH."""
    return _helper("tiny_clip")


@pytest.fixture(scope="session")
def marked_clip():
    """A clip with bars and a logo burnt in: `write`(folder), `marks`, FRAMES, GREEN, ..."""
    return _helper("marked_clip")


@pytest.fixture(scope="session")
def snapshot():
    """`snapshot`(name).check(texts by case) compares with tests/snapshots/`name`.txt."""
    return _helper("snapshots").Snapshot


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The tiny clip decomposed, once for all who ask alike: `trained`(light=True, **settings)."""
    root = tmp_path_factory.getbasetemp()
    return _helper("trained").Trained(root.parent if "PYTEST_XDIST_WORKER" in os.environ else root)


@pytest.fixture(scope="session")
def swinging():
    """Legs that swing or stand: `Swinging`(swings) with `write`, `write_work`; `canvas`, `box`."""
    return _helper("swinging_clip")


@pytest.fixture(scope="session")
def crossing_clip():
    """Two objects that cross: `write`(folder), `places`, `true_masks`, FRAMES, HEIGHT, WIDTH."""
    return _helper("crossing_clip")


@pytest.fixture(scope="session")
def moving_clips():
    """Arrays of `work/` with known motion: `warped_clip`, `rolling_disc`, `camera`, `texture`."""
    return _helper("moving_clips")


@pytest.fixture(scope="session")
def drum():
    """A drum that turns, by formula: `make_shot`(folder, angles, windows), `painted`, `picture`."""
    return _helper("drum_shot")


@pytest.fixture(scope="session")
def synthetic():
    """A decomposition by formula: `make_shot`(folder), `frame_maps`, `texture`, NAMES."""
    return _helper("synthetic_shot")


@pytest.fixture(scope="session")
def chromium():
    """A browser: `Page`(empty folder), with what that says and asks for. Skips without one."""
    helper = _helper("chromium")
    names = ", ".join(helper.NAMES)
    promises.need("browser", None if helper.found() else f"no browser: none of {names} is there")
    return helper


@pytest.fixture(scope="session")
def full_disk():
    """Disks that are full when one wants: `small_disk`(folder, size), `files_up_to`(size)."""
    return _helper("full_disk")


@pytest.fixture(scope="session")
def truth_shots():
    """Decompositions made from a truth, perfect or spoilt: `shot_of_truth`, `spoilt`, TURNING."""
    return _helper("truth_shots")


@pytest.fixture(scope="session")
def media_files():
    """Files of every kind, and shots of them without a training: `write_exr`, `shot_of`, ..."""
    return _helper("media_files")


@pytest.fixture(scope="session")
def pretended_device():
    """A device that is not there: `PretendedDevice`, `move`, DEVICE."""
    return _helper("pretended_device")


@pytest.fixture(scope="session")
def grid_cases():
    """Of the hash grid: LAYOUTS, TOLERANCE, `make_points`, `make_table`, `gradients`."""
    return _helper("grid_cases")


@pytest.fixture(scope="session")
def render_cases():
    """Of the renderers: `random_maps`, `random_deltas`."""
    return _helper("render_cases")


@pytest.fixture(scope="session")
def motion_reference():
    """The joint refinement of motions match by match: `refine`."""
    return _helper("motion_reference")


@pytest.fixture(scope="session")
def node_programs():
    """Nodes of other programs, as their manuals have them: `nuke`, `fusion`, `natron`, `read`."""
    return _helper("node_programs")


@pytest.fixture(scope="session")
def stacked():
    """Entries of the stack of edits: `put`, `picture`, `add_file`, `add_movie`, QUAD, RED, ..."""
    return _helper("stacked")
