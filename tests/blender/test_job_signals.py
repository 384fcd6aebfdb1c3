"""No process is signalled but one of ours, whatever a job's folder says about it."""

import os
import sys

import pytest

from blender_addon.errors import AddonError
from blender_addon.jobs import job as job_module
from blender_addon.jobs import process
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_files import Mark, read_mark

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="processes as POSIX has them"),
]


class TestSignals:
    @pytest.mark.parametrize("pid", [0, -1, 1, -5, True, 2.0, "7", None, 2**40, float("nan")])
    def test_none_below_two_and_none_of_ours(self, pid, monkeypatch):
        sent = []
        for name in ("kill", "killpg"):
            monkeypatch.setattr(os, name, lambda *given: sent.append(given))
        for signaller in (process.kill, process.terminate):
            with pytest.raises(ValueError, match="none of ours"):
                signaller(pid)
        assert not process.followers(pid) and not sent

    def test_blender_itself_is_never_ended(self):
        for pid in (os.getpid(), os.getpgrp(), os.getppid()):
            with pytest.raises(ValueError):
                process.kill(pid)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '{"pid": -1, "fingerprint": "x"}',
            '{"pid": true, "fingerprint": "x"}',
            '{"pid": NaN, "fingerprint": "x"}',
            '{"pid": 1e3, "fingerprint": "x"}',
            '{"pid": 1, "fingerprint": "x"}',
            '{"pid": 99999999999999999999, "fingerprint": "x"}',
            '{"pid": "12", "fingerprint": "x"}',
            '{"pid": 4000, "fingerprint": 7}',
            '{"fingerprint": "x"}',
            '{"a":' * 100_000,
            "x" * 100_000,
        ],
    )
    def test_what_process_json_may_hold(self, tmp_path, text, monkeypatch, script_job, tick_until):
        job = script_job(tmp_path, "pass")
        job.files.mark.write_text(text)
        with pytest.raises(AddonError, match=r"process\.json is damaged"):
            read_mark(job.files.mark)
        sent = []
        monkeypatch.setattr(os, "kill", lambda *given: sent.append(given))
        monkeypatch.setattr(os, "killpg", lambda *given: sent.append(given))
        found = Job(job.folder)
        assert found.state == "interrupted" and "damaged" in found.error.problem
        found.cancel()
        found._asked_to_stop, found.state = 0.001, "running"
        found.poll()
        assert not sent
        monkeypatch.undo()
        found.queue_again()
        found.start()
        tick_until(lambda: found.ended, found.poll)
        assert found.state == "done"

    def test_cancel_without_process_json_ends_the_job_and_not_blender(
        self, tmp_path, monkeypatch, script_job, tick_until
    ):
        """As it was with a full disk: the process runs, and nothing tells which it is."""
        job = script_job(tmp_path, "import time; time.sleep(60)")
        job.start()
        job.files.mark.unlink()
        sent, real = [], os.kill
        monkeypatch.setattr(os, "kill", lambda *given: (sent.append(given), real(*given)))
        job.cancel()
        tick_until(lambda: job.ended, job.poll, 20)
        assert sent and {pid for pid, _ in sent} == {job._popen.pid}
        assert job.state == "cancelled"
        # Another Blender, which has no child
        other = Job(job.folder)
        other.state, other._asked_to_stop = "running", 0.001
        monkeypatch.setattr(job_module, "KILL_AFTER", 0.0)
        sent.clear()
        other.poll()
        assert not sent and other.ended

    def test_mark_of_nobody_is_not_alive(self):
        assert not Mark().alive and not Mark(os.getpid(), "").alive
