"""Finding, testing and installing the engine, with real Pythons."""

import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

from blender_addon.decompose.job import decompose_job
from blender_addon.engine import find
from blender_addon.engine.find import PROTOCOL, find_engine, test_engine, test_job
from blender_addon.engine.install import TORCH, bundled_source, find_base_python, install_job
from blender_addon.errors import AddonError
from blender_addon.shot.folder import read_shot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
]

test_engine.__test__ = test_job.__test__ = False  # pytest takes them for tests


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    monkeypatch.delenv("NVD_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(find, "user_folder", lambda: tmp_path / "own")


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_none_offers_to_install():
    with pytest.raises(AddonError) as caught:
        find_engine()
    assert caught.value.button == "nvd.install_engine"


def test_order(monkeypatch, tmp_path):
    python = program(tmp_path / "python on path", "")
    program(tmp_path / "bin" / "nvd", f"#!{python}\n")
    assert find_engine().python == python
    own = program(tmp_path / "own" / "engine" / "bin" / "python", "")
    assert find_engine().python == own and "this extension" in find_engine().origin
    variable = program(tmp_path / "variable", "")
    monkeypatch.setenv("NVD_PYTHON", str(variable))
    assert find_engine().python == variable
    chosen = program(tmp_path / "chosen", "")
    monkeypatch.setattr(
        find, "preferences", lambda: type("Chosen", (), {"engine_python": str(chosen)})
    )
    assert find_engine().python == chosen


def test_one_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("NVD_PYTHON", "/no/python")
    with pytest.raises(AddonError, match="NVD_PYTHON names /no/python"):
        find_engine()


def test_the_engine_says_what_it_is(engine):
    facts = test_engine(engine.PYTHON)
    print(facts)
    assert facts["protocol"] == PROTOCOL and facts["version"] and facts["torch"]
    assert facts["device"]


def test_protocols_that_differ_are_told_plainly(monkeypatch, engine):
    monkeypatch.setattr(find, "PROTOCOL", PROTOCOL + 1)
    said = f"protocol {PROTOCOL}, this extension protocol {PROTOCOL + 1}: update the engine"
    with pytest.raises(AddonError, match=said):
        test_engine(engine.PYTHON)
    monkeypatch.setattr(find, "PROTOCOL", PROTOCOL - 1)
    with pytest.raises(AddonError, match="update the extension"):
        test_engine(engine.PYTHON)


def test_a_python_without_an_engine(tmp_path):
    with pytest.raises(AddonError, match="holds no engine") as caught:
        test_engine(Path(sys._base_executable))
    assert caught.value.button == "nvd.install_engine"
    with pytest.raises(AddonError, match="cannot be run"):
        test_engine(tmp_path / "nothing")


def test_as_a_job(engine, tiny_job):
    job = test_job(engine.PYTHON)
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll)
    assert job.state == "done" and job.log.result["protocol"] == PROTOCOL


def test_installing_needs_leave_to_go_online(engine):
    assert not bpy.app.online_access
    with pytest.raises(AddonError, match="not allowed to go online") as caught:
        install_job()
    assert caught.value.button == "extensions.userpref_allow_online"
    assert bundled_source() == engine.ROOT


@pytest.mark.long
def test_install_runs_its_steps_and_shows_pips_words(tmp_path, monkeypatch, tiny_job):
    """From an empty folder of wheels: the environment is made, then pip finds no PyTorch."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # a machine's constraints change the words
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    (tmp_path / "wheels").mkdir()
    job = install_job(
        package_index=str(tmp_path / "wheels"), build="cpu", environment=tmp_path / "engine"
    )
    seen = set()

    def tick():
        job.poll()
        seen.add(job.log.stage)

    job.start()
    tiny_job.tick_until(lambda: job.ended, tick)
    assert {"making the environment", "installing PyTorch (cpu)"} <= seen
    assert (tmp_path / "engine" / "bin" / "python").exists()
    assert job.state == "failed" and "No matching distribution" in job.error.problem
    assert "ERROR: " in job.full_log()


def _cpu_torch_is_at_hand() -> bool:
    """Whether pip has PyTorch's CPU build for this Python without going online (find-links)."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    return not subprocess.run([*command, f"{TORCH}+cpu"], capture_output=True).returncode


@pytest.mark.long
@pytest.mark.skipif(bpy.app.version[:2] != (4, 5), reason="the same in each Blender: once, in 4.5")
def test_installed_engine_decomposes(monkeypatch, tmp_path, tiny_job):
    """From nothing to a decomposition, as the panel's buttons do it."""
    if not _cpu_torch_is_at_hand():
        pytest.skip("PyTorch's CPU build is not among pip's find-links; it would be 3 GB of CUDA")
    clip = tiny_job.make_clip(tmp_path / "clip")
    monkeypatch.setattr(bpy.context.preferences.system, "use_online_access", True)
    began = time.monotonic()
    job = install_job(
        build="cpu", base=Path(sys._base_executable), environment=tmp_path / "own" / "engine"
    )
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll)
    assert job.state == "done", job.full_log()
    facts = job.log.result
    assert facts["protocol"] == PROTOCOL and facts["torch"].endswith("+cpu")
    assert find_engine().python == Path(facts["python"])
    size = sum(file.lstat().st_size for file in Path(job.out).rglob("*"))
    print(f"{time.monotonic() - began:.0f} s, {size / 1e6:.0f} MB, {facts}")
    given = tiny_job.options(clip) | {"python": find_engine().python}
    job = decompose_job(clip / "frames", tmp_path / "shot.nvd", **given)
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll)
    assert job.state == "done", job.full_log()
    shutil.rmtree(tmp_path / "own")  # 1 GB
    assert [layer.name for layer in read_shot(job.out).layers] == ["disc", "background"]


def test_base_python():
    assert find_base_python().is_file()
