"""One shot shared by processes: bit for bit what one process makes, whoever is killed meanwhile."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from nvd_core import pipeline
from nvd_core.baking import chunks
from nvd_core.baking.chunks import is_baked
from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.media.images import write_image
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime import folder_lock
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.folder_lock import LOCK, writing_part
from nvd_core.runtime.progress import Progress
from nvd_core.settings import load_settings

pytestmark = pytest.mark.slow

SETTINGS = """
iterations: 12
points: 200
texture_grid: {levels: 4, log2_table: 10}
residual_grid: {levels: 3, log2_table: 10}
alpha_grid: {levels: 3, log2_table: 10}
"""

# Bakes, and stops where frame 2 begins, with frame 0 and 1 written, until it is killed
HELD = """
    import sys
    import nvd_core.baking.chunks as chunks
    from nvd_core.cli.main import main
    real = chunks.Baking.frame

    def held(self, layout, t, *given, **more):
        if t == 2:
            folder = sys.argv[2]
            import time, pathlib
            while not all(chunks.is_baked(pathlib.Path(folder), t) for t in (0, 1)):
                time.sleep(0.01)
            (pathlib.Path(folder) / "maps/.00002.99999999.tmp.exr").write_bytes(b"half")
            (pathlib.Path(folder) / "maps/00002.exr").write_bytes(b"half")
            print("HELD", flush=True)
            sys.stdin.readline()
        return real(self, layout, t, *given, **more)

    chunks.Baking.frame = held
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tiny_clip.write(folder)
    (folder / "small.yaml").write_text(SETTINGS)
    return folder


def words(clip: Path, shot: Path, *more: str) -> list[str]:
    given = ["decompose", clip / "frames", "--out", shot, "--mask", f"disc={clip / 'masks'}"]
    return [str(word) for word in [*given, "--settings", clip / "small.yaml", *more, "--json"]]


@pytest.fixture(scope="module")
def alone(clip, tmp_path_factory) -> Path:
    """What one process makes."""
    shot = tmp_path_factory.mktemp("alone") / "shot.nvd"
    assert main(words(clip, shot)) == 0
    return shot


@pytest.fixture(scope="module")
def trained(clip, tmp_path_factory) -> Path:
    """What is stopped before baking."""
    shot = tmp_path_factory.mktemp("trained") / "shot.nvd"
    assert main(words(clip, shot, "--until", "training")) == 0
    assert not (shot / "manifest.json").exists() and not (shot / "maps").exists()
    return shot


@pytest.fixture
def shot(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "shot.nvd"))


def bake(shot: Path, *more: str) -> int:
    return main(["bake", str(shot), *more, "--json"])


def last(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def contents(folder: Path) -> dict[str, bytes]:
    """All that a decomposition consists of, but what is known of the run: its job and its times."""
    kept = ("maps", "textures", "edits", "model", "frames", "masks")
    files = [path for part in kept for path in sorted((folder / part).rglob("*")) if path.is_file()]
    files.append(folder / "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def held(shot: Path) -> subprocess.Popen:
    program = [sys.executable, "-c", textwrap.dedent(HELD), "bake", str(shot), "--frames", "0-3"]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("HELD"):
            return process
    raise AssertionError("it ended")


def test_chunks_of_two_processes_one_of_them_killed_make_what_one_makes(alone, shot, clip, capsys):
    process = held(shot)
    try:
        assert bake(shot, "--frames", "3-5") == 2  # frame 3 is the other's
        told = last(capsys)
        assert "frames 0-3" in told["problem"] and f"process {process.pid} on" in told["found"]
        for command in (words(clip, shot), ["resume", str(shot), "--json"]):
            assert main(command) == 2 and "nvd bake of frames 0-3" in last(capsys)["found"]
        assert bake(shot, "--finish") == 2 and "nvd bake" in last(capsys)["found"]
        assert (shot / "maps/.00002.99999999.tmp.exr").exists()  # nobody tidied up meanwhile
        assert bake(shot, "--frames", "4-7") == 0 and last(capsys)["baked"] == 4
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert bake(shot, "--finish") == 2
    told = last(capsys)
    assert "2 of 8 frames" in told["problem"] and "2-3" in told["found"]
    assert bake(shot, "--frames", "0-3") == 0 and last(capsys)["baked"] == 2
    assert bake(shot) == 0 and last(capsys)["baked"] == 0
    assert bake(shot, "--finish") == 0
    assert last(capsys)["layers"] == ["disc", "background"]
    assert contents(shot) == contents(alone)
    assert not (shot / "work").exists()
    for more in (["--finish"], ["--frames", "0-3"]):
        assert bake(shot, *more) == 0 and last(capsys)["finished_before"]
    assert main(words(clip, shot, "--until", "training")) == 0
    assert contents(shot) == contents(alone)


@pytest.mark.parametrize(
    "damage", [lambda p: p.write_bytes(p.read_bytes()[:-20]), lambda p: p.unlink()]
)
@pytest.mark.parametrize("name", ["maps/00003.exr", "work/bake/00003.npz"])
def test_what_is_damaged_or_gone_is_baked_again(shot, name, damage, capsys):
    assert bake(shot, "--frames", "2-4") == 0 and last(capsys)["baked"] == 3
    damage(shot / name)
    assert not is_baked(shot, 3)
    assert bake(shot, "--frames", "2-4") == 0 and last(capsys)["baked"] == 1


def test_the_same_command_without_until_bakes_alone(alone, shot, clip, capsys):
    assert bake(shot, "--frames", "2-4") == 0
    resume(shot, Progress())
    assert contents(shot) == contents(alone)


def test_records_of_older_versions_are_read(alone, shot):
    """They hold every place that is looked up, where now the compact maps are asked."""
    assert bake(shot) == 0
    baking = pipeline.trained(shot)[2]
    layout = chunks.shared_layout(baking, Progress())
    record = chunks.read_record(baking, layout, 2)
    shown = record.uva[..., 2] > 0
    path = shot / "work/bake/00002.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    assert "places" not in arrays and shown.any()
    np.savez(path, **arrays, shown=np.packbits(shown), places=record.uva[shown])
    again = chunks.read_record(baking, layout, 2)
    np.testing.assert_array_equal(again.uva, record.uva)
    assert bake(shot, "--finish") == 0
    assert contents(shot) == contents(alone)


@pytest.mark.parametrize("way", ["exact", "nodes"])
def test_a_garbage_matte_and_no_fit(clip, tmp_path, way):
    """The other ways through baking."""
    matte = np.zeros((48, 80, 1), np.uint8)
    matte[:9, :30] = 255
    write_image(tmp_path / "matte.png", matte)
    settings = load_settings(clip / "small.yaml")
    settings.bake, settings.fit_textures = way, False

    def job() -> Job:
        masks = [["disc", str(clip / "masks")]]
        return Job(str(clip / "frames"), masks=masks, garbage=str(tmp_path / "matte.png"))

    decompose(tmp_path / "one.nvd", job(), settings, Progress())
    decompose(tmp_path / "two.nvd", job(), settings, Progress(), until="training")
    for frames in ("5-7", "0-1", "2-4"):
        assert bake(tmp_path / "two.nvd", "--frames", frames) == 0
    assert bake(tmp_path / "two.nvd", "--finish") == 0
    assert contents(tmp_path / "two.nvd") == contents(tmp_path / "one.nvd")


def test_frames_count_as_start_says(shot, capsys):
    assert bake(shot, "--frames", "1003-1004", "--start", "1001") == 0
    assert [t for t in range(8) if is_baked(shot, t)] == [2, 3]
    assert bake(shot, "--frames", "5-8") == 2 and "8" in last(capsys)["problem"]
    assert bake(shot, "--finish", "--frames", "0-1") == 2


def test_what_is_not_trained_is_refused(shot, capsys):
    known = json.loads((shot / "job.json").read_text())
    known["done"].remove("training")
    (shot / "job.json").write_text(json.dumps(known))
    assert bake(shot, "--frames", "0-1") == 2
    assert "not trained" in last(capsys)["problem"]


def test_a_file_system_without_locks_is_a_caution(tmp_path, monkeypatch):
    def no_locks(*_, **__):
        raise OSError(folder_lock.errno.ENOLCK, "No locks available")

    class Told(Progress):
        def caution(self, text):
            cautions.append(text)

    cautions: list[str] = []
    monkeypatch.setattr(folder_lock.FileLock, "acquire", no_locks)
    with writing_part(tmp_path, 0, 3, "nvd bake", Told()):
        pass
    assert "knows no locks" in cautions[0]


def test_a_part_is_free_again_after_it(tmp_path):
    with writing_part(tmp_path, 0, 3, "nvd bake", Progress()):
        with pytest.raises(NvdError), writing_part(tmp_path, 3, 4, "nvd bake", Progress()):
            pass
        with writing_part(tmp_path, 4, 7, "nvd bake", Progress()):
            pass
    with writing_part(tmp_path, 3, 4, "nvd bake", Progress()):
        pass
    assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize("name", ["layout.npz", "00003.npz"])
def test_damaged_records_are_baked_again(alone, clip, tmp_path, name, capsys):
    shot = tmp_path / "shot.nvd"
    assert main(words(clip, shot, "--until", "training")) == 0
    assert bake(shot) == 0
    (shot / "work/bake" / name).write_bytes(b"PK\x03\x04 no archive")
    assert bake(shot) == 0 and last(capsys)["baked"] == (1 if name == "00003.npz" else 0)
    assert bake(shot, "--finish") == 0
    assert contents(shot) == contents(alone)
