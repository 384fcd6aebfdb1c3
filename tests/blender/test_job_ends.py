"""A job is stopped, leaves, and begins again after that: never beside itself."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from blender_addon.jobs import job_files, process
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_files import read_mark
from blender_addon.jobs.lanes import Queue

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="processes as POSIX has them"),
]


def test_resume_waits_until_the_engine_has_gone(tmp_path, script_job, tick_until):
    """It still saves when Resume is pressed: the next run begins after it, not beside it."""
    code = (
        "import os, signal, sys, time\n"
        'signal.signal(signal.SIGTERM, lambda *_: print(\'{"event": "cancelled"}\', flush=True))\n'
        f"print(os.path.exists({str(tmp_path / 'saving')!r}), flush=True)\n"
        f"open({str(tmp_path / 'saving')!r}, 'w').close()\n"
        "time.sleep(2.5)\n"  # goes on after the signal
        f"os.unlink({str(tmp_path / 'saving')!r})\n"
    )
    job = script_job(tmp_path, code)
    queue = Queue()
    queue.add(job)
    tick_until(lambda: job.log.message == "False", queue.tick)
    job.cancel()
    tick_until(lambda: job.ended, queue.tick)
    assert job.state == "cancelled" and (tmp_path / "saving").exists()
    job.queue_again()
    queue.tick()
    assert job.state == "pending" and "still saving" in job.waits_for.problem
    assert Job(job.folder).state == "pending"  # another Blender sees the same
    tick_until(lambda: job.ended, queue.tick)
    assert job.state == "done" and job.log.message == "False"


def test_resume_waits_for_an_engine_whose_supervisor_was_killed(tmp_path, script_job, tick_until):
    code = (
        "import os, sys, time\n"
        "print('up', flush=True)\n"
        "sys.stdin.read(); time.sleep(1.0)\n"  # saves when its supervisor is gone
        f"open({str(tmp_path / 'saved')!r}, 'w').close()\n"
    )
    job = script_job(tmp_path, code)
    queue = Queue()
    queue.add(job)
    tick_until(lambda: job.log.message == "up", queue.tick)
    pid = job._pid()
    os.kill(pid, signal.SIGKILL)
    tick_until(lambda: job.ended, queue.tick)
    assert job.state == "interrupted" and process.followers(pid)
    job.queue_again()
    queue.tick()
    assert job.state == "pending" and not (tmp_path / "saved").exists()
    tick_until(lambda: job.state == "running", queue.tick)
    assert (tmp_path / "saved").exists() and not process.followers(pid)
    job.cancel()
    tick_until(lambda: job.ended, queue.tick)


def test_the_file_cancel_alone_stops_it(tmp_path, script_job, tick_until):
    """As on Windows, where no signal can be handled."""
    job = script_job(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    job.start()
    tick_until(lambda: job.log.message == "up", job.poll)
    job.files.cancel.touch()
    began = time.monotonic()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "cancelled" and time.monotonic() - began < 2.0


def test_cancelled_before_its_supervisor_could_listen(tmp_path, script_job, tick_until):
    job = script_job(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    job.start()
    job.cancel()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "cancelled" and not (tmp_path / "ran").exists()
    job.queue_again()
    tick_until(lambda: job.state != "pending", job.start)
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "done" and (tmp_path / "ran").exists()


def test_errors_are_emptied_where_they_cannot_be_removed(
    tmp_path, monkeypatch, script_job, tick_until
):
    """Windows removes no file that someone holds open."""
    job = script_job(tmp_path, "raise SystemExit(3)")
    job.files.errors.write_text("of an earlier run\n")
    real = Path.unlink

    def unlink(path, *more, **options):
        if path == job.files.errors:
            raise PermissionError(13, "it is used by another process")
        real(path, *more, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    job.start()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "failed" and "earlier" not in job.full_log()


def test_old_folders_are_read(tmp_path, script_job, tick_until):
    """A process.json of before, without `run`."""
    job = script_job(tmp_path, "pass")
    job.files.mark.write_text('{"pid": 0, "fingerprint": ""}')
    assert Job(job.folder).state == "cancelled"
    job.files.mark.write_text('{"pid": 99999, "fingerprint": "another"}')
    found = Job(job.folder)
    assert found.state == "interrupted"
    found.queue_again()
    found.start()
    tick_until(lambda: found.ended, found.poll)
    assert found.state == "done" and read_mark(found.files.mark).run
    assert job_files.SCHEMA == "nvd.extension.job"
