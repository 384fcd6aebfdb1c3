"""A job begins once, however many want to start it, and not at all where that fails."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine import PYTHON, ROOT
from tiny import tick_until

from blender_addon.errors import AddonError
from blender_addon.jobs import claim, job_files, process
from blender_addon.jobs import job as job_module
from blender_addon.jobs.claim import Claimed, claimed, read_holder
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_files import Mark, read_mark
from blender_addon.jobs.lanes import Queue

ROUNDS = 50
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes as POSIX has them")

# What one of two Blenders does in each round: wait until both are there, start the job, and look
# on until it has ended. A round's step notes its process and fails, so that it can begin again.
RACER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import bpy
import blender_addon
from blender_addon.errors import AddonError
from blender_addon.jobs.job import Job
from blender_addon.jobs.lanes import Queue

folder, me, others = Path(sys.argv[2]), sys.argv[3], sys.argv[4].split()
same_job = sys.argv[5] == "same"
for number in range(int(sys.argv[6])):
    job = Job(folder / "jobs" / ("job" if same_job else f"job{number}"))
    if same_job and number:
        while not job.ended:
            job.poll()
    (folder / f"ready{number}.{me}").touch()
    while not all((folder / f"ready{number}.{other}").exists() for other in others):
        time.sleep(0.0002)
    queue = Queue()
    queue.add(job)
    while job.ended:
        try:
            job.queue_again()
            break
        except AddonError:  # the other does so just now
            time.sleep(0.001)
    while queue.busy:
        queue.tick()
        time.sleep(0.002)
"""


def script_job(root: Path, code: str, **more) -> Job:
    step = {"title": "code", "command": [sys.executable, "-S", "-c", code]}
    given = {"title": "test", "kind": "test", "python": sys.executable} | more
    return Job.create(root / "jobs", steps=[step], **given)


def supervisors(folder: Path) -> list[int]:
    """The living supervisors of the job in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if os.fsencode(folder) in words and state not in "ZX":
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("jobs", ["same", "each its own"])
def test_two_blenders_start_a_job_once_in_each_of_fifty_rounds(tmp_path, jobs):
    """Two real Blenders: 50 times the same job, which fails each time, and 50 jobs."""
    noted = tmp_path / "noted"
    code = (
        f"import os; file = os.open({str(noted)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT); "
        "os.write(file, b'%d\\n' % os.getpid()); raise SystemExit(3)"
    )
    names = ["job"] if jobs == "same" else [f"job{number}" for number in range(ROUNDS)]
    for name in names:
        script_job(tmp_path, code, name=name)
    racers = ["a", "b"]
    words = [str(ROOT), str(tmp_path)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, *words, me, " ".join(racers), jobs, str(ROUNDS)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in racers
    ]
    for racer in running:
        _, errors = racer.communicate(timeout=400)
        assert "Traceback" not in errors, errors
    assert len(noted.read_text().split()) == ROUNDS
    begun = [
        line
        for name in names
        for line in (tmp_path / "jobs" / name / "log.jsonl").read_text().splitlines()
        if '"start"' in line
    ]
    assert len(begun) == ROUNDS
    assert not list(tmp_path.glob("jobs/*/claim*"))
    if jobs != "same":
        states = {Job(tmp_path / "jobs" / name).state for name in names}
        assert states == {"failed"}


class TestASpawnThatFails:
    @pytest.mark.parametrize("what", ["claim", "plan.json", "process.json"])
    def test_full_disk_starts_nothing_and_a_later_start_works(self, tmp_path, monkeypatch, what):
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

    def test_no_room_for_any_file(self, tmp_path):
        """RLIMIT_FSIZE 0: the kernel itself refuses every byte, in a process of its own."""
        job = script_job(tmp_path, "import time; time.sleep(60)")
        code = (
            "import resource, signal, sys; sys.path.insert(0, sys.argv[1]); import bpy\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "from blender_addon.jobs.job import Job\nfrom blender_addon.jobs.lanes import Queue\n"
            "queue = Queue(); job = queue.add(Job(sys.argv[2]))\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
            "for _ in range(3): queue.tick()\n"
            "assert job.state == 'failed' and 'cannot be written' in str(job.error), job.state\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        )
        command = [sys.executable, "-c", code, str(ROOT), str(job.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not supervisors(job.folder) and not job.files.claim.exists()
        job.start()
        assert job.state == "running"
        job.cancel()
        tick_until(lambda: job.ended, job.poll)

    def test_blender_dies_before_it_noted_the_process(self, tmp_path):
        """The supervisor begins at a word that then never comes."""
        job = script_job(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
        code = (
            "import os, signal, sys; sys.path.insert(0, sys.argv[1]); import bpy\n"
            "from blender_addon.jobs import job, launch\n"
            "launch.write_mark = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "job.Job(sys.argv[2]).start()\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(job.folder)])
        assert done.returncode == -signal.SIGKILL
        tick_until(lambda: not supervisors(job.folder), lambda: None, 20)
        assert job.files.claim.exists()  # left behind
        job.start()  # whose holder is gone
        tick_until(lambda: job.ended, job.poll)
        assert job.state == "done" and (tmp_path / "ran").exists()
        assert (job.folder / "log.jsonl").read_text().count('"start"') == 1

    def test_a_python_that_is_no_program(self, tmp_path):
        job = script_job(tmp_path, "pass", python="/no/python")
        job.start()
        assert job.state == "failed" and "/no/python cannot be run" in job.error.problem
        assert {path.name for path in job.folder.iterdir()} <= {
            "plan.json",
            "log.jsonl",
            "errors.txt",
        }


class TestClaim:
    def holder(self, **more) -> str:
        values = {"token": "0" * 32, "pid": 99999, "fingerprint": "gone", "time": time.time()}
        return json.dumps(values | {"host": platform.node()} | more)

    def test_one_at_a_time(self, tmp_path):
        path = tmp_path / "claim"
        with claimed(path, "shot"):
            with pytest.raises(Claimed, match=rf"process {os.getpid()} on {platform.node()}"):
                claimed(path, "shot").__enter__()
            assert read_holder(path).pid == os.getpid()
        assert not path.exists()
        with pytest.raises(KeyError), claimed(path, "shot"):
            raise KeyError
        assert not path.exists()

    def test_that_of_a_dead_process_is_taken_over(self, tmp_path):
        path = tmp_path / "claim"
        path.write_text(self.holder())
        with claimed(path, "shot"):
            assert read_holder(path).pid == os.getpid()
        assert not list(tmp_path.iterdir())

    def test_that_of_another_machine_is_not(self, tmp_path):
        path = tmp_path / "claim"
        path.write_text(self.holder(host="another"))
        with pytest.raises(Claimed, match="on another") as caught, claimed(path, "shot"):
            pass
        assert str(path) in caught.value.remedy and path.exists()

    def test_that_of_a_living_process_is_not(self, tmp_path):
        path = tmp_path / "claim"
        with subprocess.Popen(["sleep", "60"]) as sleeper:
            path.write_text(
                self.holder(pid=sleeper.pid, fingerprint=process.fingerprint(sleeper.pid))
            )
            with pytest.raises(Claimed), claimed(path, "shot"):
                pass
            sleeper.kill()
        with claimed(path, "shot"):
            pass

    def test_a_blank_one_is_taken_over_after_a_minute(self, tmp_path):
        path = tmp_path / "claim"
        path.touch()
        with pytest.raises(Claimed), claimed(path, "shot"):
            pass
        os.utime(path, (time.time() - 61,) * 2)
        with claimed(path, "shot"):
            pass
        assert not list(tmp_path.iterdir())

    def test_a_holder_that_slept_while_it_wrote_gives_up(self, tmp_path, monkeypatch):
        """Another may have taken its blank claim over by then."""
        path, real = tmp_path / "claim", os.write

        def slow(file, data):
            monkeypatch.setattr(claim.time, "time", lambda: time.monotonic() + 10**10)
            return real(file, data)

        monkeypatch.setattr(os, "write", slow)
        assert claim._take(path) == "" and not path.exists()

    def test_two_that_find_it_left_behind(self, tmp_path):
        """The second found the dead holder too, and comes when the first has cleared away."""
        path = tmp_path / "claim"
        path.write_text(self.holder())
        found, real, seen = [], claim.read_holder, []

        def slow(asked):
            holder = real(asked)
            if asked == path and not seen:
                seen.append(holder)
                with claimed(path, "first"):  # the other takes it over, all the way
                    found.append(real(path).token)
                    assert real(path).token != holder.token
                    claim_of_first = path.read_text()
                    with pytest.raises(Claimed):
                        _take_over_having_seen(path, holder)
                    assert path.read_text() == claim_of_first
            return holder

        def _take_over_having_seen(path, holder):
            answers = iter([holder])
            claim.read_holder = lambda asked: next(answers, None) or real(asked)
            try:
                return claim._take_over(path, "second")
            finally:
                claim.read_holder = slow

        claim.read_holder = slow
        try:
            with claimed(path, "second"):
                assert real(path).token != found[0]
        finally:
            claim.read_holder = real
        assert not list(tmp_path.iterdir())

    def test_many_processes_take_one_over(self, tmp_path):
        """Of eight processes at one dead claim, again and again, never two have it."""
        code = (
            "import os, sys, time; sys.path.insert(0, sys.argv[1]); import types\n"
            "package = types.ModuleType('blender_addon')\n"
            "package.__path__ = [sys.argv[1] + '/blender_addon']\n"  # without bpy: plain Python
            "sys.modules['blender_addon'] = package\n"
            "from pathlib import Path\n"
            "from blender_addon.jobs.claim import Claimed, claimed\n"
            "folder = Path(sys.argv[2])\n"
            "for number in range(30):\n"
            "    path = folder / f'claim{number}'\n"
            "    while time.time() < float(sys.argv[3]) + number * 0.05: pass\n"
            "    try:\n"
            "        with claimed(path, 'x'):\n"
            "            inside = os.open(folder / f'inside{number}', os.O_CREAT | os.O_EXCL)\n"
            "            time.sleep(0.01)\n"
            "            os.close(inside); os.unlink(folder / f'inside{number}')\n"
            "            print(number)\n"
            "    except Claimed: pass\n"
        )
        for number in range(30):
            (tmp_path / f"claim{number}").write_text(self.holder())
        words = [str(PYTHON), "-c", code, str(ROOT), str(tmp_path), str(time.time() + 2.0)]
        racers = [
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(8)
        ]
        said = [racer.communicate(timeout=60) for racer in racers]
        assert not any(errors for _, errors in said), said
        had = {int(number) for output, _ in said for number in output.split()}
        assert had == set(range(30)) and not list(tmp_path.iterdir())


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
    def test_what_process_json_may_hold(self, tmp_path, text, monkeypatch):
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

    def test_cancel_without_process_json_ends_the_job_and_not_blender(self, tmp_path, monkeypatch):
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


def test_resume_waits_until_the_engine_has_gone(tmp_path):
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


def test_resume_waits_for_an_engine_whose_supervisor_was_killed(tmp_path):
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


def test_the_file_cancel_alone_stops_it(tmp_path):
    """As on Windows, where no signal can be handled."""
    job = script_job(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
    job.start()
    tick_until(lambda: job.log.message == "up", job.poll)
    job.files.cancel.touch()
    began = time.monotonic()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "cancelled" and time.monotonic() - began < 2.0


def test_cancelled_before_its_supervisor_could_listen(tmp_path):
    job = script_job(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    job.start()
    job.cancel()
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "cancelled" and not (tmp_path / "ran").exists()
    job.queue_again()
    tick_until(lambda: job.state != "pending", job.start)
    tick_until(lambda: job.ended, job.poll)
    assert job.state == "done" and (tmp_path / "ran").exists()


def test_errors_are_emptied_where_they_cannot_be_removed(tmp_path, monkeypatch):
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


def test_old_folders_are_read(tmp_path):
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
