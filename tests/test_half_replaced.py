"""Painting on several layers is taken all or none, also where the process is killed in between."""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.media.images import write_image
from nvd_core.runtime.all_or_none import JOURNAL, all_or_none, undo_half
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import is_temporary, remove_temporaries_of
from nvd_core.shot.shot import Shot

# Forks once for every moment: a rename, link, flush or removal, before which it is killed
KILLED = """
    import os, shutil, signal, sys
    from pathlib import Path
    import nvd_core.editing.paint_frame
    from nvd_core.cli.main import main

    moment, count = 0, 0

    def counted(real):
        def call(*args, **options):
            global count
            if "edits" in str(args[0]) or isinstance(args[0], int):
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            return real(*args, **options)
        return call

    here, out = Path(sys.argv[1]), sys.argv[2] == "out"
    for moment in range(60):
        folder = shutil.copytree(here / "shot.nvd", here / f"{moment}.nvd")
        words = ["paint", str(folder), *sys.argv[3:]]
        if out:
            words += ["--out", str(shutil.copytree(folder / "edits", here / f"edits{moment}"))]
        child = os.fork()
        if not child:
            for name in ("replace", "link", "fsync"):
                setattr(os, name, counted(getattr(os, name)))
            Path.unlink = counted(Path.unlink)
            os._exit(main(words))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), code
        if code == 0:
            break
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL"),
]


@pytest.fixture(scope="module")
def shot(synthetic, tmp_path_factory) -> Path:
    return synthetic.make_shot(tmp_path_factory.mktemp("shot") / "shot.nvd", frames=3).folder


@pytest.fixture
def words(tmp_path, shot) -> list[str]:
    """Paint that lies on the dog and the background."""
    paint = np.zeros((36, 48, 4), np.uint8)
    paint[13:23, 2:20] = 200, 90, 60, 255
    write_image(tmp_path / "paint.png", paint)
    folder = shutil.copytree(shot, tmp_path / "shot.nvd")
    return ["paint", str(folder), "--frame", "1", "--image", str(tmp_path / "paint.png")]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())} if folder.exists() else {}


@pytest.mark.parametrize("out", [False, pytest.param(True, marks=pytest.mark.long)])
def test_killed_at_any_moment_it_is_all_or_none(out, words, tmp_path, capsys):
    folder = Path(words[1])
    old = contents(folder / "edits")
    kind = "out" if out else "in"
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), kind, *words[2:]]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(words) == 0
    new = contents(folder / "edits")
    changed = {name for name in new if new[name] != old[name]}
    assert changed == {"dog.png", "background.png"}
    halves, moments = 0, len(list(tmp_path.glob("*.nvd"))) - 2
    for moment in range(moments):
        shot = tmp_path / f"{moment}.nvd"
        edits = tmp_path / f"edits{moment}" if out else shot / "edits"
        left = contents(edits)
        halves += len({left[name] == new[name] for name in changed}) == 2
        if not out:  # whoever reads the folder puts it right
            Shot.open(shot)
            now = contents(edits)
            assert {name: now[name] for name in old} in (old, new), moment
            assert JOURNAL not in now
        again = [words[0], str(shot), *words[2:], *(["--out", str(edits)] if out else [])]
        assert main(again) == 0
        now = contents(edits)
        assert set(now) == set(old), moment  # nothing is left
        if out:
            assert now == new
    assert moments > 8 and halves > 0


def test_a_living_process_is_left_alone(tmp_path):
    (tmp_path / "a.png").write_text("new")
    copy = tmp_path / f".a.kept.{os.getppid()}.tmp.png"
    copy.write_text("old")
    words = {"kept": {"a.png": copy.name}, "pid": os.getppid(), "host": socket.gethostname()}
    (tmp_path / JOURNAL).write_text(json.dumps(words))
    assert not undo_half(tmp_path) and (tmp_path / "a.png").read_text() == "new"
    with pytest.raises(NvdError, match="another process"), all_or_none([tmp_path / "a.png"]):
        raise AssertionError
    assert (tmp_path / "a.png").read_text() == "new" and (tmp_path / JOURNAL).exists()
    assert undo_half(tmp_path, alone=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_text() == "old"


@pytest.mark.parametrize(
    "kept",
    [
        {"../outside.png": None},
        {"a.png": "../outside.png"},
        {"a.png": "b.png"},
        {"/etc/passwd": None},
        {"..": None},
        {"a.png": 7},
        {"c:a.png": None, "a.png": None},
        [],
    ],
)
def test_a_journal_from_a_stranger_reaches_nothing_else(kept, tmp_path):
    folder = tmp_path / "edits"
    folder.mkdir()
    for path in (tmp_path / "outside.png", folder / "a.png", folder / "b.png"):
        path.write_text("mine")
    (folder / JOURNAL).write_text(json.dumps({"kept": kept, "pid": 1, "host": "elsewhere"}))
    undo_half(folder)
    assert contents(folder) == {"a.png": b"mine", "b.png": b"mine"}
    assert (tmp_path / "outside.png").exists()


@pytest.mark.parametrize("text", ["", '{"kept": {"a.png": nu', "[" * 3000, "\udcff", "[1]"])
def test_a_journal_that_is_cut_off_counts_as_none(text, tmp_path):
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / JOURNAL).write_text(text, "utf-8", "surrogateescape")
    assert undo_half(tmp_path)
    assert contents(tmp_path) == {"a.png": b"mine"}


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_a_reader_that_may_not_write_is_told(words):
    folder = Path(words[1])
    (folder / "edits" / JOURNAL).write_text(json.dumps({"kept": {"dog.png": None}, "pid": 0}))
    (folder / "edits").chmod(0o500)
    with pytest.raises(NvdError, match="half replaced"):
        Shot.open(folder)


def test_of_an_output_only_what_the_dead_left_goes(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True).stdout.strip()  # fmt: skip
    names = [f".00001.{dead}.tmp.png", f".00001.{os.getppid()}.tmp.png", f".00009.{dead}.tmp.png"]
    for name in [*names, ".00001.png", "00001.png"]:
        (tmp_path / name).write_text("")
    remove_temporaries_of([tmp_path / "00001.png", tmp_path / "00002.png"])
    assert set(contents(tmp_path)) == {*names[1:], ".00001.png", "00001.png"}
    assert all(map(is_temporary, names))
