"""What is different on Windows, with Windows' answers faked: it has never run there."""

import ast
import ctypes
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from blender_addon.jobs import claim, process, supervise
from blender_addon.jobs.claim import claimed
from blender_addon.jobs.supervise import Steps

pytestmark = pytest.mark.once

NO_WINDOW = 0x08000000
SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="the other half of this file's fakes")


def windows(monkeypatch, *modules) -> None:
    fake = types.SimpleNamespace(platform="win32", executable=sys.executable)
    for module in modules:
        monkeypatch.setattr(module, "sys", fake)


class Kernel:
    """kernel32, as far as it is called: `calls` are the names and what they were given."""

    def __init__(self, **answers):
        self.calls, self.answers, self.functions = [], answers, {}

    def __getattr__(self, name):
        if name not in self.functions:

            class Call:
                restype = None  # can be set, as a real C function's

                def __call__(_, *given):
                    self.calls.append((name, given))
                    answer = self.answers.get(name, 1)
                    return answer(*given) if callable(answer) else answer

            self.functions[name] = Call()
        return self.functions[name]


def with_kernel(monkeypatch, **answers) -> Kernel:
    kernel = Kernel(**answers)
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: kernel, raising=False)
    return kernel


class TestKilling:
    @pytest.mark.parametrize(
        "error",
        [OSError(22, "Invalid argument", None, 87), PermissionError(13, "Access is denied")],
    )
    def test_a_process_that_has_gone(self, monkeypatch, error):
        """os.kill of a dead one is no ProcessLookupError there."""
        windows(monkeypatch, process)
        given = []

        def kill(*words):
            given.append(words)
            raise error

        monkeypatch.setattr(os, "kill", kill)
        process.kill(4242)
        assert given == [(4242, signal.SIGTERM)]

    def test_cancel_leaves_the_supervisor_alive(self, monkeypatch):
        """There is no signal that it could handle: TerminateProcess would end the engine too."""
        windows(monkeypatch, process)
        monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it was ended"))
        process.terminate(4242)

    @pytest.mark.parametrize("pid", [0, -1, 1, None, True])
    def test_no_process_that_is_none(self, monkeypatch, pid):
        windows(monkeypatch, process)
        monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("it was signalled"))
        with pytest.raises(ValueError):
            process.kill(pid)

    def test_nothing_is_left_of_a_job_object(self, monkeypatch):
        windows(monkeypatch, process)
        assert process.followers(4242) == []


class TestJobObject:
    def test_all_that_the_supervisor_starts_dies_with_it(self, monkeypatch):
        kernel = with_kernel(monkeypatch, CreateJobObjectW=77, GetCurrentProcess=2**64 - 1)
        job = supervise.hold_together()
        assert job.value == 77
        calls = dict(kernel.calls)
        handle, kind, limits, size = calls["SetInformationJobObject"]
        assert (handle.value, kind, size) == (77, 9, len(bytes(limits)))
        assert size == 144  # sizeof(JOBOBJECT_EXTENDED_LIMIT_INFORMATION) of 64 bits
        flags = int.from_bytes(bytes(limits)[16:20], "little")
        assert flags == 0x2000 and sum(bytes(limits)) == 0x20  # KILL_ON_JOB_CLOSE, nothing else
        assert [given.value for given in calls["AssignProcessToJobObject"]] == [77, 2**64 - 1]

    def test_main_holds_it_from_the_word_go_on(self, monkeypatch, tmp_path, capsys):
        windows(monkeypatch, supervise)
        held = []
        monkeypatch.setattr(supervise, "hold_together", lambda: held.append(True))
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(os, "nice", lambda _: 0)
        (tmp_path / "plan.json").write_text('{"steps": []}')
        for word, expected in (("", supervise.CANCELLED), ("go\n", 0)):
            (tmp_path / "word").write_text(word)
            with (tmp_path / "word").open() as given:
                supervise.sys.stdin = given
                assert supervise.main(tmp_path) == expected
        assert held == [True] and capsys.readouterr().out.count('"start"') == 1


@SIGNALS
class TestSupervisor:
    """The real supervisor's own functions as Windows runs them, on real children."""

    def steps(self, tmp_path, code: str) -> Steps:
        command = [sys.executable, "-S", "-c", code]
        steps = Steps({"steps": [{"title": "t", "command": command}]}, tmp_path / "cancel")
        steps.cancel.touch()
        return steps

    def test_cancel_closes_the_engines_input_and_waits_for_it(self, monkeypatch, tmp_path):
        windows(monkeypatch, supervise)
        saved = tmp_path / "saved"
        code = f"import sys; sys.stdin.read(); open({str(saved)!r}, 'w')"
        steps = self.steps(tmp_path, code)
        monkeypatch.setattr(supervise, "HIDDEN", {})
        assert steps._run_one(steps.plan["steps"][0]["command"]) == 0
        assert steps.stopped and saved.exists()
        assert steps.run() == supervise.CANCELLED

    def test_a_program_that_heeds_no_input_is_ended(self, monkeypatch, tmp_path):
        windows(monkeypatch, supervise)
        monkeypatch.setattr(supervise, "SAVING", 0.5)
        monkeypatch.setattr(supervise, "HIDDEN", {})
        steps = self.steps(tmp_path, "import time; time.sleep(60)")
        assert steps._run_one(steps.plan["steps"][0]["command"]) == -signal.SIGTERM


class TestFingerprint:
    def test_start_time_of_a_living_process(self, monkeypatch):
        windows(monkeypatch, process)

        def times(_handle, created, *_):
            created._obj.dwHighDateTime, created._obj.dwLowDateTime = 3, 5

        def code(_handle, value):
            value._obj.value = 259

        kernel = with_kernel(
            monkeypatch, OpenProcess=88, GetProcessTimes=times, GetExitCodeProcess=code
        )
        assert process.fingerprint(4242) == str(3 << 32 | 5)
        assert kernel.calls[0] == ("OpenProcess", (0x1000, False, 4242))
        assert kernel.calls[-1][0] == "CloseHandle"
        kernel.answers["GetExitCodeProcess"] = 1  # its code is not STILL_ACTIVE
        assert process.fingerprint(4242) == ""
        kernel.answers["OpenProcess"] = None
        assert process.fingerprint(4242) == ""


class TestClaim:
    def test_a_file_that_another_reads_just_now(self, monkeypatch, tmp_path):
        """It cannot be removed: tried again, and where that fails it counts as left behind."""
        path, real, tries = tmp_path / "claim", Path.unlink, []

        def unlink(self, *more, **options):
            tries.append(self)
            if len(tries) <= busy:
                raise PermissionError(13, "used by another process")
            real(self, *more, **options)

        monkeypatch.setattr(Path, "unlink", unlink)
        busy = 3
        with claimed(path, "shot"):
            pass
        assert not path.exists() and len(tries) == 4
        busy = 10**6
        with claimed(path, "shot"):
            pass
        assert path.exists()
        busy = 0
        with claimed(path, "shot"):  # ours, and nobody holds it
            assert claim.read_holder(path).pid == os.getpid()
        assert not path.exists()

    def test_a_name_that_is_just_being_removed(self, monkeypatch, tmp_path):
        path, real = tmp_path / "claim", os.open
        path.write_text("")

        def open_file(asked, *more, **options):
            if Path(asked) == path:
                raise PermissionError(13, "delete pending")
            return real(asked, *more, **options)

        monkeypatch.setattr(os, "open", open_file)
        with pytest.raises(claim.Claimed), claimed(path, "shot"):
            pass


class TestConsoles:
    def test_every_subprocess_is_started_without_one(self, engine):
        """Each call of subprocess.run and Popen in the extension hides its console."""
        found = 0
        for path in (engine.ROOT / "blender_addon").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                if ast.unparse(node.func) not in (
                    "subprocess.run",
                    "subprocess.Popen",
                    "subprocess.call",
                    "subprocess.check_call",
                    "subprocess.check_output",
                ):
                    continue
                found += 1
                spread = {ast.unparse(word.value) for word in node.keywords if word.arg is None}
                assert spread & {"hidden()", "HIDDEN", "options"}, f"{path.name}:{node.lineno}"
        assert found >= 6

    def test_what_they_are_given(self, monkeypatch, tmp_path):
        assert process.hidden() == ({} if sys.platform != "win32" else process.hidden())
        windows(monkeypatch, process)
        assert process.hidden() == {"creationflags": NO_WINDOW}
        given = []
        monkeypatch.setattr(subprocess, "Popen", lambda *_, **options: given.append(options))
        process.spawn(["x"], tmp_path, tmp_path / "log", tmp_path / "errors")
        assert given[0]["creationflags"] == NO_WINDOW | 0x200  # and a group of its own
        assert "start_new_session" not in given[0]
