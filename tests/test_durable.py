"""What is promised for a power cut, a full disk, a closing terminal and a fault of the program."""

import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import nvd_core.cli.main as cli
from nvd_core.cli import farm_commands, report
from nvd_core.cli.main import main
from nvd_core.cli.unexpected import ERROR_LOG
from nvd_core.job import Job
from nvd_core.runtime import files
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import make_durable, written_beside
from nvd_core.runtime.progress import RichProgress
from nvd_core.training.checkpoint import checkpoint_step, save_checkpoint

pytestmark = pytest.mark.slow


class Disk:
    """Notes in which order files are flushed and renamed."""

    def __init__(self, monkeypatch) -> None:
        self.done: list[tuple[str, str]] = []
        real_sync, real_replace = os.fsync, os.replace

        def sync(descriptor: int) -> None:
            self.done.append(("flush", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
            real_sync(descriptor)

        def replace(source, target) -> None:
            real_replace(source, target)
            self.done.append(("rename", Path(target).name))

        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "replace", replace)


linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for a file's name")


@linux
class TestPowerCut:
    def test_the_file_before_its_name_and_then_the_folder(self, tmp_path, monkeypatch):
        disk = Disk(monkeypatch)
        with written_beside(tmp_path / "job.json", durable=True) as temporary:
            temporary.write_text("{}")
        assert disk.done == [
            ("flush", temporary.name), ("rename", "job.json"), ("flush", tmp_path.name)
        ]  # fmt: skip
        with written_beside(tmp_path / "preview.txt") as temporary:
            temporary.write_text("")
        assert disk.done[3:] == [("rename", "preview.txt")]

    def test_a_job_is_durable_and_so_is_a_checkpoint(self, tmp_path, monkeypatch):
        disk = Disk(monkeypatch)
        Job("clip.mp4").save(tmp_path)
        save_checkpoint(tmp_path / "c.safetensors", torch.nn.Linear(2, 2), [], 3)
        assert [what for what, _ in disk.done] == ["flush", "rename", "flush"] * 2

    def test_a_tree_is_flushed_with_its_folders(self, tmp_path, monkeypatch):
        (tmp_path / "masks" / "disc").mkdir(parents=True)
        (tmp_path / "masks" / "disc" / "00000.png").write_text("x")
        disk = Disk(monkeypatch)
        make_durable(tmp_path / "masks", tmp_path / "absent")
        assert {name for _, name in disk.done} == {"masks", "disc", "00000.png"}

    def test_macos_asks_for_the_whole_drive(self, tmp_path, monkeypatch):
        asked = []
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, what: asked.append(what))
        monkeypatch.setattr(files, "sys", SimpleNamespace(platform="darwin"))
        disk = Disk(monkeypatch)
        with written_beside(tmp_path / "job.json", durable=True) as temporary:
            temporary.write_text("{}")
        assert asked == [51, 51] and disk.done == [("rename", "job.json")]

    def test_windows_flushes_no_folder_and_waits_for_a_reader(self, tmp_path, monkeypatch):
        disk = Disk(monkeypatch)
        monkeypatch.setattr(files, "sys", SimpleNamespace(platform="win32"))
        real, refusals = os.replace, iter([True, True, False])

        def busy(source, target):
            if next(refusals):
                raise PermissionError(13, "The process cannot access the file")
            real(source, target)

        monkeypatch.setattr(os, "replace", busy)
        with written_beside(tmp_path / "job.json", durable=True) as temporary:
            temporary.write_text("{}")
        assert disk.done == [("flush", temporary.name), ("rename", "job.json")]

    def test_elsewhere_a_refusal_is_told_at_once(self, tmp_path, monkeypatch):
        def refused(source, target):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "replace", refused)
        with pytest.raises(NvdError, match="cannot write"), written_beside(tmp_path / "a") as path:
            path.write_text("")


FULL = """
    import resource, signal, sys, torch
    from pathlib import Path
    from nvd_core.runtime.errors import NvdError
    from nvd_core.training.checkpoint import checkpoint_step, save_checkpoint

    path = Path(sys.argv[1])
    save_checkpoint(path, torch.nn.Linear(4, 4), [], 7)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
    try:
        save_checkpoint(path, torch.nn.Linear(400, 400), [], 8)
    except NvdError as error:
        print(error, error.remedy, checkpoint_step(path))
"""


class TestCheckpoint:
    @pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="limits a file's size")
    def test_a_disk_that_takes_no_more_is_an_error_and_the_last_one_is_kept(self, tmp_path):
        program = [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "c.safetensors")]
        done = subprocess.run(program, capture_output=True, text=True)
        assert "cannot write" in done.stdout and "MB free there" in done.stdout, done.stderr
        assert "free some space" in done.stdout and done.stdout.split()[-1] == "7"
        assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]

    @pytest.mark.parametrize("metadata", [{"version": "9", "step": "4"}, {"step": "4"}, None])
    def test_the_version_is_checked_before_the_step_counts(self, metadata, tmp_path):
        save_file({"a": torch.zeros(1)}, tmp_path / "c.safetensors", metadata)
        with pytest.raises(NvdError, match=r"another version|cannot read"):
            checkpoint_step(tmp_path / "c.safetensors")


class TestNamesAreNoMarkup:
    def test_brackets_and_colons_are_printed(self, capsys):
        with RichProgress() as progress:
            progress.stage("clip [/x] [red]: frames", 3)
            progress.update(1)
            progress.message("read /films/[/x]/a.mp4 :smile:")
            progress.caution("see [bold]/films[/]")
        said = capsys.readouterr().err
        assert "[/x]/a.mp4 :smile:" in said and "caution: see [bold]/films[/]" in said
        assert "[/x] [red]: frames" in said


class TestUnexpected:
    @pytest.fixture
    def broken(self, monkeypatch):
        def fault(parsed, progress):
            progress.stage("half", 2)
            raise ZeroDivisionError("by nothing\nat all")

        # the parser takes the command's function when it is made
        monkeypatch.setattr(report, "_info", fault)
        monkeypatch.setattr(sys, "argv", ["nvd", "info"])

    def test_it_is_an_event_with_the_traceback_in_a_file(self, broken, tmp_path, capsys):
        (tmp_path / "job.json").write_text("{}")
        assert main(["info", str(tmp_path), "--json"]) == 70
        event = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert event["event"] == "error"
        assert event["problem"] == "unexpected ZeroDivisionError: by nothing"
        log = tmp_path / ERROR_LOG
        assert str(log) in event["remedy"]
        assert "Traceback" in log.read_text() and "in fault" in log.read_text()

    def test_of_several_folders_it_is_the_first(self, tmp_path, monkeypatch, capsys):
        def fault(parsed, progress):
            raise ZeroDivisionError("by nothing")

        monkeypatch.setattr(farm_commands, "_encode", fault)
        folder = tmp_path / "a.nvd"
        folder.mkdir()
        (folder / "job.json").write_text("{}")
        words = ["encode", str(folder), str(tmp_path), "--images", "%d.png", "--out", "a.mov"]
        assert main([*words, "--json"]) == 70
        assert str(folder / ERROR_LOG) in json.loads(capsys.readouterr().out)["remedy"]

    def test_without_a_folder_it_goes_to_the_temporary_files(
        self, broken, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        assert main(["info", str(tmp_path / "none")]) == 70
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-2] == "nvd: unexpected ZeroDivisionError: by nothing"
        assert lines[-1].startswith("what to do: ") and "Traceback" not in "".join(lines)
        (log,) = tmp_path.glob("nvd-error-*.log")
        assert str(log) in lines[-1]

    def test_debug_shows_it_raw(self, broken, tmp_path, monkeypatch):
        monkeypatch.setenv("NVD_DEBUG", "1")
        with pytest.raises(ZeroDivisionError):
            main(["info", str(tmp_path)])

    def test_a_full_disk_is_no_fault_of_the_program(self, monkeypatch, tmp_path, capsys):
        def full(parsed, progress):
            raise OSError(28, "No space left on device", str(tmp_path / "own.npy"))

        monkeypatch.setattr(report, "_info", full)
        assert main(["info", str(tmp_path)]) == 2
        assert "own.npy" in capsys.readouterr().err


SETTINGS = """
iterations: 100000
points: 200
texture_grid: {levels: 4, log2_table: 10}
residual_grid: {levels: 3, log2_table: 10}
alpha_grid: {levels: 3, log2_table: 10}
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory, tiny_clip) -> list[str]:
    """What decomposes a tiny clip for longer than a test waits; the folder is to be added."""
    folder = tmp_path_factory.mktemp("clip")
    frames, masks = tiny_clip.write(folder)
    (folder / "long.yaml").write_text(SETTINGS)
    return [
        sys.executable, "-m", "nvd_core", "decompose", str(frames), "--mask", f"disc={masks}",
        "--settings", str(folder / "long.yaml"), "--out",
    ]  # fmt: skip


def wait_for_training(process: subprocess.Popen) -> None:
    for line in process.stdout:
        event = json.loads(line)
        if event.get("stage") == "training" and event["done"] > 0:
            return
    raise AssertionError("it ended")


class TestClosingTerminal:
    def test_sighup_saves(self, command, tmp_path):
        shot = tmp_path / "shot.nvd"
        process = subprocess.Popen(
            [*command, str(shot), "--json"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
            # these tests may run under nohup themselves, which is passed on
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )  # fmt: skip
        wait_for_training(process)
        process.send_signal(signal.SIGHUP)
        last = process.communicate(timeout=60)[0].splitlines()[-1]
        assert process.returncode == 130 and json.loads(last)["event"] == "cancelled"
        assert checkpoint_step(shot / "checkpoint.safetensors") > 0

    def test_under_nohup_it_goes_on(self, command, tmp_path):
        shot = tmp_path / "shot.nvd"
        process = subprocess.Popen(
            ["nohup", *command, str(shot), "--json"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for_training(process)
        process.send_signal(signal.SIGHUP)
        wait_for_training(process)
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 130

    def test_a_terminal_that_goes_away(self, command, tmp_path):
        """Nothing can be shown any more; what was trained is saved all the same."""
        shot = tmp_path / "shot.nvd"
        child, terminal = pty.fork()
        if child == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as it is where a terminal is open
            os.execv(command[0], [*command, str(shot)])
        seen = b""
        while b"PSNR" not in seen:
            seen += os.read(terminal, 4096)
        os.close(terminal)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 130
        assert checkpoint_step(shot / "checkpoint.safetensors") > 0


class TestNames:
    def test_opencv_opens_no_file(self):
        """On Windows it cannot open a path that is not ASCII."""
        root = Path(cli.__file__).parents[1]
        for path in root.rglob("*.py"):
            words = ("imwrite", "imread", "VideoCapture", "VideoWriter", "FileStorage")
            assert not [word for word in words if word in path.read_text("utf-8")], path


class TestDevice:
    def test_raft_and_mask_rcnn_go_where_they_are_told(self, tmp_path, monkeypatch):
        from nvd_core.priors import flow, flow_raft

        torch.save(flow_raft.RaftSmall().state_dict(), tmp_path / "raft.pth")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # where cpu must win
        frames = np.zeros((2, 64, 64, 3), np.uint8)
        source, _ = flow._source("raft", frames, tmp_path / "raft.pth", "cpu", (64, 64))
        there, _ = source(0)
        assert there.shape == (64, 64, 2)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(NvdError, match="CUDA was asked for"):
            flow._source("raft", frames, tmp_path / "raft.pth", "cuda", (64, 64))
