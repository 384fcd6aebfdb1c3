"""A job begins once, however many want to start it, and not at all where that fails."""

import os
import signal
import sys
from pathlib import Path

import pytest

from blender_addon.jobs import process
from blender_addon.jobs.job import Job
from blender_addon.jobs.lanes import Queue

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="processes as POSIX has them"),
    pytest.mark.slow,
]


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("jobs", ["same", "each"])
def test_two_blenders_start_a_job_once_in_each_round(
    tmp_path, jobs, rounds, script_job, start_script
):
    """Two real Blenders: so often the same job, which fails each time, or so many jobs."""
    noted = tmp_path / "noted"
    code = (
        f"import os; file = os.open({str(noted)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT); "
        "os.write(file, b'%d\\n' % os.getpid()); raise SystemExit(3)"
    )
    names = ["job"] if jobs == "same" else [f"job{number}" for number in range(rounds)]
    for name in names:
        script_job(tmp_path, code, name=name)
    racers = ["a", "b"]
    running = [
        start_script("race_jobs.py", tmp_path, me, " ".join(racers), jobs, rounds) for me in racers
    ]
    for racer in running:
        _, errors = racer.communicate(timeout=400)
        assert racer.returncode == 0 and "Traceback" not in errors, errors
    assert len(noted.read_text().split()) == rounds
    begun = [
        line
        for name in names
        for line in (tmp_path / "jobs" / name / "log.jsonl").read_text().splitlines()
        if '"start"' in line
    ]
    assert len(begun) == rounds
    assert not list(tmp_path.glob("jobs/*/claim*"))
    if jobs != "same":
        states = {Job(tmp_path / "jobs" / name).state for name in names}
        assert states == {"failed"}


class TestASpawnThatFails:
    @pytest.mark.parametrize("what", ["claim", "plan.json", "process.json"])
    def test_full_disk_starts_nothing_and_a_later_start_works(
        self, tmp_path, monkeypatch, what, script_job, tick_until, supervisors
    ):
        """What is written to /dev/full, a real device without room, fails at each file in turn."""
        job = script_job(tmp_path, "import time; time.sleep(60)")
        queue, spawned, full = Queue(), [], [True]
        queue.add(job)
        real_spawn, real_open, real_write = process.spawn, os.open, Path.write_text

        def spawn(*arguments):
            spawned.append(real_spawn(*arguments))
            return spawned[-1]

        def open_claim(path, flags, *more, **options):
            made = real_open(path, flags, *more, **options)
            if what == "claim" and full[0] and Path(path).name == "claim":
                os.close(made)
                return real_open("/dev/full", os.O_WRONLY)
            return made

        def write(path, text, *more):
            if full[0] and path.name.startswith(what):
                path.touch()
                return real_write(Path("/dev/full"), text, *more)
            return real_write(path, text, *more)

        monkeypatch.setattr(process, "spawn", spawn)
        monkeypatch.setattr(os, "open", open_claim)
        monkeypatch.setattr(Path, "write_text", write)
        for _ in range(3):
            queue.tick()
        assert job.state == "failed" and "No space left" in job.error.problem
        assert "make room" in job.error.remedy
        assert not supervisors(job.folder)
        assert len(spawned) == (1 if what == "process.json" else 0)
        assert all(popen.poll() is not None for popen in spawned)
        left = {path.name for path in job.folder.iterdir()}
        assert left <= {"plan.json", "log.jsonl", "errors.txt"}
        full[0] = False
        job.queue_again()
        queue.tick()
        assert job.state == "running"
        tick_until(lambda: len(supervisors(job.folder)) == 1, queue.tick, 20)
        job.cancel()
        tick_until(lambda: job.ended, queue.tick)
        assert job.state == "cancelled"

    def test_no_room_for_any_file(
        self, tmp_path, script_job, tick_until, supervisors, start_script
    ):
        """RLIMIT_FSIZE 0: the kernel itself refuses every byte, in a process of its own."""
        job = script_job(tmp_path, "import time; time.sleep(60)")
        done = start_script("start_without_room.py", job.folder)
        _, errors = done.communicate()
        assert done.returncode == 0, errors
        assert not supervisors(job.folder) and not job.files.claim.exists()
        job.start()
        assert job.state == "running"
        job.cancel()
        tick_until(lambda: job.ended, job.poll)

    def test_blender_dies_before_it_noted_the_process(
        self, tmp_path, script_job, tick_until, supervisors, start_script
    ):
        """The supervisor begins at a word that then never comes."""
        job = script_job(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
        done = start_script("start_and_die.py", job.folder)
        done.communicate()
        assert done.returncode == -signal.SIGKILL
        tick_until(lambda: not supervisors(job.folder), lambda: None, 20)
        assert job.files.claim.exists()  # left behind
        job.start()  # whose holder is gone
        tick_until(lambda: job.ended, job.poll)
        assert job.state == "done" and (tmp_path / "ran").exists()
        assert (job.folder / "log.jsonl").read_text().count('"start"') == 1

    def test_a_python_that_is_no_program(self, tmp_path, script_job):
        job = script_job(tmp_path, "pass", python="/no/python")
        job.start()
        assert job.state == "failed" and "/no/python cannot be run" in job.error.problem
        assert {path.name for path in job.folder.iterdir()} <= {
            "plan.json",
            "log.jsonl",
            "errors.txt",
        }
