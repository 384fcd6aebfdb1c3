"""Jobs with the real engine: run, queue, cancel, resume, die, and be found again."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.decompose.job import decompose, resume_folder
from blender_addon.errors import AddonError
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_log import READ_LIMIT, JobLog
from blender_addon.jobs.lanes import Queue
from blender_addon.jobs.runner import INTERVAL, describe, runner, timer
from blender_addon.jobs.waiting import wait


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny_job) -> Path:
    return tiny_job.make_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def extension(tiny_job):
    """The extension registered, its queues empty before and after."""
    blender_addon.register()
    yield
    for job in [*runner.queue.jobs, *runner.tools.jobs]:
        job.cancel()
    tiny_job.tick_until(lambda: not runner.queue.busy and not runner.tools.busy, runner.tick)
    runner.queue.jobs.clear()
    runner.tools.jobs.clear()
    blender_addon.unregister()


def script_job(engine, tmp_path: Path, code: str, **more) -> Job:
    """A job of one step that runs `code` in the engine's Python."""
    step = {"title": "code", "command": [str(engine.PYTHON), "-c", code]}
    return Job.create(
        tmp_path / "jobs", title="test", kind="test", python=engine.PYTHON, steps=[step], **more
    )


def run(tiny_job, job: Job, seconds: float = 120.0) -> Job:
    job.start()
    tiny_job.tick_until(lambda: job.ended, job.poll, seconds)
    return job


class TestJob:
    def test_done(self, tmp_path, engine, tiny_job):
        job = run(
            tiny_job, script_job(engine, tmp_path, 'print(\'{"event": "result", "answer": 42}\')')
        )
        assert job.state == "done" and job.log.result == {"answer": 42}

    def test_error_carries_its_remedy(self, tmp_path, engine, tiny_job):
        line = json.dumps({"event": "error", "problem": "no", "found": "x", "remedy": "do it"})
        job = run(tiny_job, script_job(engine, tmp_path, f"print({line!r}); raise SystemExit(2)"))
        assert job.state == "failed"
        assert (job.error.problem, job.error.remedy) == ("no (found x)", "do it")

    def test_a_traceback_is_shown_by_its_last_line(self, tmp_path, engine, tiny_job):
        job = run(tiny_job, script_job(engine, tmp_path, "raise RuntimeError('out of memory')"))
        assert job.state == "failed" and "out of memory" in job.error.problem

    def test_a_python_that_is_not_there(self, tmp_path):
        job = Job.create(tmp_path, title="t", kind="t", python="/no/python", steps=[])
        job.start()
        assert job.state == "failed" and "/no/python" in str(job.error)

    def test_a_step_that_cannot_run(self, tmp_path, engine, tiny_job):
        steps = [{"title": "t", "command": ["/no/such/program"]}]
        job = run(
            tiny_job, Job.create(tmp_path, title="t", kind="t", python=engine.PYTHON, steps=steps)
        )
        assert job.state == "failed" and "/no/such/program" in job.error.problem

    def test_otherwise(self, tmp_path, engine, tiny_job):
        steps = [{"title": "t", "command": ["false"], "otherwise": ["true"]}]
        job = run(
            tiny_job, Job.create(tmp_path, title="t", kind="t", python=engine.PYTHON, steps=steps)
        )
        assert job.state == "done"

    def test_copies_come_first(self, tmp_path, engine, tiny_job):
        source, target = tmp_path / "a", tmp_path / "b" / "c"
        source.write_text("here")
        code = f"print(open({str(target)!r}).read())"
        job = run(tiny_job, script_job(engine, tmp_path, code, copies=[(source, target)]))
        assert job.state == "done" and job.log.message == "here"

    def test_killed_is_interrupted(self, tmp_path, engine, tiny_job):
        job = script_job(engine, tmp_path, "import time; print('up', flush=True); time.sleep(60)")
        job.start()
        tiny_job.tick_until(lambda: job.log.message == "up", job.poll)
        os.kill(json.loads((job.folder / "process.json").read_text())["pid"], signal.SIGKILL)
        tiny_job.tick_until(lambda: job.ended, job.poll)
        assert job.state == "interrupted" and "resume" in job.error.remedy

    def test_found_again_by_its_folder(self, tmp_path, engine, tiny_job):
        first = script_job(engine, tmp_path, "import time; print('up', flush=True); time.sleep(60)")
        assert Job(first.folder).state == "pending"
        first.start()
        tiny_job.tick_until(lambda: first.log.message == "up", first.poll)
        second = Job(first.folder)
        assert second.state == "running" and second.log.message == "up"
        second.cancel()
        tiny_job.tick_until(lambda: first.ended, first.poll)
        second.poll()
        assert first.state == second.state == "cancelled"
        assert Job(first.folder).state == "cancelled"

    def test_another_process_of_the_same_number_is_not_it(self, tmp_path, engine):
        job = script_job(engine, tmp_path, "pass")
        (job.folder / "process.json").write_text(
            json.dumps({"pid": os.getpid(), "fingerprint": "another"})
        )
        assert Job(job.folder).state == "interrupted"

    def test_a_huge_log_is_read_in_small_bites(self, tmp_path, monkeypatch, engine):
        line = json.dumps({"event": "progress", "stage": "s", "done": 1, "total": 2})
        job = script_job(engine, tmp_path, "pass")
        (job.folder / "log.jsonl").write_text((line + "\n") * 200_000)
        (job.folder / "process.json").write_text(json.dumps({"pid": 0, "fingerprint": ""}))
        taken = []
        monkeypatch.setattr(JobLog, "_take", lambda _, text: taken.append(text))
        Job(job.folder)
        assert 0 < len(taken) * len(line) <= READ_LIMIT


def test_queue_runs_one_after_the_other(tmp_path, engine, tiny_job):
    queue = Queue()
    jobs = [
        queue.add(script_job(engine, tmp_path, "import time; time.sleep(0.5)")) for _ in range(3)
    ]
    queue.tick()
    assert [job.state for job in jobs] == ["running", "pending", "pending"]
    jobs[1].cancel()
    assert jobs[1].state == "cancelled"
    with pytest.raises(AddonError, match="cancel it first"):
        queue.remove(jobs[0])
    tiny_job.tick_until(lambda: not queue.busy, queue.tick)
    assert [job.state for job in jobs] == ["done", "cancelled", "done"]
    jobs[1].queue_again()
    tiny_job.tick_until(lambda: not queue.busy, queue.tick)
    assert jobs[1].state == "done"


class TestDecompose:
    def test_runs_to_the_end_without_holding_blender(self, extension, clip, tmp_path, tiny_job):
        job = decompose(clip / "frames", tmp_path / "shot.nvd", **tiny_job.options(clip))
        assert bpy.app.timers.is_registered(timer)
        runner.longest_tick, seen = 0.0, set()
        assert timer() == INTERVAL

        def tick():
            timer()
            seen.add(describe(job).split(",")[0])

        tiny_job.tick_until(lambda: job.ended, tick)
        print(f"longest tick {1000 * runner.longest_tick:.1f} ms; stages {seen}")
        assert job.state == "done", job.error
        assert job.log.result["layers"] == ["disc", "background"]
        assert job.log.psnr > 10
        assert (tmp_path / "shot.nvd" / "manifest.json").is_file()
        assert timer() is None  # nothing left to watch
        with pytest.raises(AddonError, match="finished decomposition"):
            decompose(clip / "frames", tmp_path / "shot.nvd", **tiny_job.options(clip))

    @pytest.mark.long
    def test_cancelled_within_two_seconds_and_resumed(self, extension, clip, tmp_path, tiny_job):
        out = tmp_path / "shot.nvd"
        job = decompose(clip / "frames", out, **tiny_job.options(clip, endless=True))
        tiny_job.tick_until(
            lambda: (job.log.stage == "training" and job.log.done > 5) or job.ended, timer
        )
        began = time.monotonic()
        job.cancel()
        assert describe(job) == "stopping"
        tiny_job.tick_until(lambda: job.ended, timer)
        took = time.monotonic() - began
        print(f"cancelled after {took:.2f} s")
        assert job.state == "cancelled"
        make_short(out)
        assert resume_folder(out) is job and job.state == "pending"
        assert len(runner.queue.jobs) == 1
        tiny_job.tick_until(lambda: job.ended, timer)
        assert job.state == "done", job.error
        assert (out / "manifest.json").is_file()

    @pytest.mark.long
    def test_killed_engine_is_interrupted_and_resumed(self, extension, clip, tmp_path, tiny_job):
        out = tmp_path / "shot.nvd"
        job = decompose(clip / "frames", out, **tiny_job.options(clip, endless=True))
        tiny_job.tick_until(lambda: job.log.stage == "training" or job.ended, timer)
        os.kill(child_of(job), signal.SIGKILL)
        tiny_job.tick_until(lambda: job.ended, timer)
        assert job.state == "interrupted"
        make_short(out)
        job.queue_again()
        assert wait(job).state == "done"

    @pytest.mark.long
    def test_found_again_when_the_file_is_opened(self, extension, clip, tmp_path, tiny_job):
        blend = str(tmp_path / "shot.blend")
        out = tmp_path / "shot.nvd"
        job = decompose(clip / "frames", out, **tiny_job.options(clip, endless=True))
        tiny_job.tick_until(lambda: job.log.stage == "training" or job.ended, timer)
        bpy.ops.wm.save_as_mainfile(filepath=blend)
        # As a Blender that was closed: nothing of the job is left but the file and the process
        runner.stop_ticking()
        runner.queue.jobs.clear()
        bpy.ops.wm.read_factory_settings(use_empty=True)
        assert not bpy.app.timers.is_registered(timer) and not runner.queue.jobs
        bpy.ops.wm.open_mainfile(filepath=blend)
        (again,) = runner.jobs_of(bpy.context.scene)
        assert again is not job and again.id == job.id
        assert again.state == "running" and bpy.app.timers.is_registered(timer)
        place = again.log.done
        tiny_job.tick_until(lambda: again.log.done > place, timer)
        again.cancel()
        tiny_job.tick_until(lambda: again.ended, timer)
        assert again.state == "cancelled"
        runner.queue.jobs.clear()
        bpy.ops.wm.open_mainfile(filepath=blend)
        assert [found.state for found in runner.jobs_of(bpy.context.scene)] == ["cancelled"]

    def test_engine_refuses_with_its_own_words(self, extension, clip, tmp_path, tiny_job):
        given = tiny_job.options(clip) | {"masks": [("disc", tmp_path / "nowhere")]}
        job = decompose(clip / "frames", tmp_path / "shot.nvd", **given)
        with pytest.raises(AddonError, match="nowhere"):
            wait(job)
        assert job.state == "failed" and job.error.remedy

    def test_record_outlives_an_undo_and_is_forgotten_on_request(
        self, extension, clip, tmp_path, tiny_job
    ):
        scene = bpy.context.scene
        job = decompose(
            clip / "frames", tmp_path / "shot.nvd", **tiny_job.options(clip, endless=True)
        )
        scene.nvd_jobs.clear()  # what an undo does
        timer()
        assert runner.jobs_of(scene) == [job]
        job.cancel()
        tiny_job.tick_until(lambda: job.ended, timer)
        runner.forget(job)
        assert not scene.nvd_jobs and not runner.queue.jobs


def make_short(out: Path) -> None:
    """Let the rest of the training of `out` be short."""
    settings = out / "settings.yaml"
    settings.write_text(settings.read_text().replace("iterations: 100000", "iterations: 40"))


def child_of(job: Job) -> int:
    """The engine's process, below the one that supervises it."""
    parent = json.loads((job.folder / "process.json").read_text())["pid"]
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them"),
    pytest.mark.slow,
]


def test_a_listener_that_fails_does_not_stop_the_queue(monkeypatch, capsys):
    from blender_addon.jobs.runner import Runner

    def fail(_job):
        raise ValueError("a listener's own fault")

    heard, ours = [], Runner()
    ours.when_ended += [fail, heard.append]
    monkeypatch.setattr(ours.queue, "tick", lambda: ["a job"])
    ours.tick()
    assert heard == ["a job"] and "a listener's own fault" in capsys.readouterr().err
