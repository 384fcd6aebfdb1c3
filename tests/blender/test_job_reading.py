"""Whatever lies in a job's folder: one clear problem, or passed over and counted; no traceback."""

import json
import types
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.blender.problems import button_of
from blender_addon.blender.storage import is_ours, jobs_folder
from blender_addon.errors import AddonError
from blender_addon.jobs import checked_json
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_log import LINE_LIMIT, READ_LIMIT, JobLog
from blender_addon.jobs.lanes import Queue, lane_of
from blender_addon.jobs.runner import INTERVAL, describe, runner, timer
from blender_addon.strip import render_job
from blender_addon.ui import panel_decompose

pytestmark = pytest.mark.once


@pytest.fixture
def extension(tick_until):
    blender_addon.register()
    yield
    for job in [*runner.queue.jobs, *runner.tools.jobs]:
        if not job.ended:
            job.cancel()
    tick_until(lambda: not runner.queue.busy and not runner.tools.busy, runner.tick)
    runner.queue.jobs.clear()
    runner.damaged.clear()
    runner.trouble = None
    blender_addon.unregister()


def log_of(tmp_path: Path, *lines: str) -> JobLog:
    path = tmp_path / "log.jsonl"
    path.touch()
    log = JobLog(path)  # which of a longer file would read the end alone
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass"))
    while not log.read():
        pass
    return log


BAD_LINES = [
    '{"event": "progress", "stage": "s", "done": 1}',
    '{"event": "progress", "stage": 7, "done": 1, "total": 2}',
    '{"event": "progress", "stage": "s", "done": true, "total": 2}',
    '{"event": "progress", "stage": "s", "done": -1, "total": 2}',
    '{"event": "progress", "stage": "s", "done": 1.5, "total": 2}',
    '{"event": "progress", "stage": "s", "done": NaN, "total": 2}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 1e999}',
    f'{{"event": "progress", "stage": "s", "done": 1, "total": 1{"0" * 400}}}',
    f'{{"event": "progress", "stage": "s", "done": 1, "total": 1{"0" * 5000}}}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "psnr": "high"}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "psnr": 1e999}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "seconds_left": -1e999}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "preview": ["x"]}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "preview": "a\\u0000b"}',
    '{"event": "progress", "stage": "s", "done": 1, "total": 2, "preview": "\\ud800"}',
    '{"event": "step", "number": 0, "of": 0, "title": "x"}',
    '{"event": "step", "number": 3, "of": 2, "title": "x"}',
    '{"event": "step", "number": "1", "of": 2, "title": "x"}',
    '{"event": "caution"}',
    '{"event": "caution", "text": {}}',
    '{"event": "message", "text": null}',
    '{"event": "error"}',
    '{"event": "error", "problem": "x", "remedy": 7}',
    '{"event": "exit", "code": "0"}',
    '{"event": "exit", "code": false}',
    '{"event": "exit"}',
    '{"event": "progress", "stage": "s", "do',
    '{"a":' * 100_000,
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:60])
def test_a_line_that_is_not_what_it_should_be(tmp_path, line):
    good = '{"event": "progress", "stage": "training", "done": 3, "total": 4, "psnr": 30}'
    log = log_of(tmp_path, good, line)
    assert (log.stage, log.done, log.total, log.psnr) == ("training", 3, 4, 30)
    assert log.unread == 1 and log.odd
    assert log.exit_code is None and log.error is None and not log.cautions
    assert log.fraction == 0.75


def test_lines_that_are_nothing_of_ours(tmp_path):
    log = log_of(
        tmp_path, '{"event": {"a": 1}}', '{"event": "__init__"}', '{"event": "of tomorrow"}', "{}"
    )
    assert not log.unread and not log.stage


def test_nan_of_a_figure_for_people_is_left_out(tmp_path):
    line = '{"event": "progress", "stage": "s", "done": 1, "total": 2, "psnr": NaN}'
    log = log_of(tmp_path, line)
    assert (log.done, log.psnr, log.unread) == (1, None, 0)


def test_halves_of_letters_can_be_shown(tmp_path):
    log = log_of(
        tmp_path,
        '{"event": "caution", "text": "a\\ud800b"}',
        '{"event": "error", "problem": "\\udc80", "remedy": "\\u0000"}',
        "plain \ud83d",
    )
    shown = [*log.cautions, log.error.problem, log.error.remedy, log.message]
    assert shown[:3] == ["a?b", "?", "?"]
    for text in shown:
        text.encode("utf-8")


def test_a_line_without_end_takes_no_memory(tmp_path):
    path = tmp_path / "log.jsonl"
    path.touch()
    log = JobLog(path)
    good = '{"event": "message", "text": "after"}'
    path.write_text('{"event": "message", "text": "' + "x" * (3 * LINE_LIMIT) + f'"}}\n{good}\n')
    while not log.read():
        assert len(log._rest) <= LINE_LIMIT + READ_LIMIT
    assert log.message == "after" and log.unread >= 1


def test_a_million_cautions_are_a_few(tmp_path):
    lines = [f'{{"event": "caution", "text": "{number}"}}' for number in range(1000)]
    assert len(log_of(tmp_path, *lines).cautions) == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", "other"),
        ("version", 2),
        ("id", 7),
        ("title", None),
        ("kind", ["x"]),
        ("out", {}),
        ("out", "\ud800"),
        ("python", "a\0b"),
        ("steps", {}),
        ("steps", ["x"]),
        ("first_steps", [{"title": "x"}]),
        ("first_steps", [{"title": "x", "command": []}]),
        ("first_steps", [{"title": "x", "command": "rm"}]),
        ("first_steps", [{"title": "x", "command": [7]}]),
        ("resume_steps", [{"title": "x", "command": ["a"], "otherwise": None}]),
        ("copies", [["a"]]),
        ("copies", [["a", float("nan")]]),
        ("about", []),
    ],
)
def test_a_plan_that_is_not_what_it_should_be(tmp_path, name, value, script_job):
    job = script_job(tmp_path, "pass")
    plan = json.loads(job.files.plan.read_text())
    job.files.plan.write_text(json.dumps(plan | {name: value}))
    with pytest.raises(AddonError) as caught:
        Job(job.folder)
    assert len(str(caught.value)) < 400
    caught.value.problem.encode("utf-8")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"a":' * 100_000, "\ud800"])
def test_a_plan_that_is_no_plan(tmp_path, text):
    (tmp_path / "plan.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(AddonError):
        Job(tmp_path)
    with pytest.raises(AddonError):
        Job(tmp_path / "nowhere")


def test_a_plan_too_large_is_not_read(tmp_path, monkeypatch, script_job):
    job = script_job(tmp_path, "pass")
    monkeypatch.setattr("blender_addon.jobs.job_files.PLAN_LIMIT", 100)
    with pytest.raises(AddonError, match="at most 100 bytes"):
        Job(job.folder)


def test_numbers_and_texts():
    assert checked_json.number({"a": 7}, "a") == 7.0 and checked_json.number({}, "a") is None
    for value in (True, "1", float("nan"), float("inf"), 10**400, -(10**400)):
        with pytest.raises(checked_json.Odd):
            checked_json.number({"a": value}, "a")
    assert len(checked_json.shown("x" * 10**6)) < 100 and "huge" in checked_json.shown(10**5000)


class TestTimer:
    def test_stays_alive_and_says_why(self, extension, tmp_path, monkeypatch, capsys, script_job):
        job = runner.queue_job(script_job(tmp_path, "import time; time.sleep(60)"))

        def fail():
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(runner, "_remember", fail)
        for _ in range(3):
            assert timer() == INTERVAL
        assert "a fault of ours" in runner.trouble.problem and panel_of_jobs_is_shown()
        assert capsys.readouterr().err.count("Traceback") == 1
        monkeypatch.undo()
        assert timer() == INTERVAL and runner.trouble is None
        assert job.state == "running"

    def test_a_log_that_cannot_be_read(
        self, extension, tmp_path, monkeypatch, script_job, tick_until
    ):
        job = runner.queue_job(script_job(tmp_path, "import time; time.sleep(60)"))
        timer()
        other = runner.queue_tool(script_job(tmp_path, "pass"))

        def fail(self):
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(JobLog, "read", fail)
            assert timer() == INTERVAL
            assert "Input/output error" in runner.queue.troubles[job.id].problem
            assert job.state == "running"
        tick_until(lambda: other.ended, timer)
        assert other.state == "done" and not runner.queue.troubles

    def test_a_start_that_fails_in_a_way_nobody_thought_of(
        self, tmp_path, monkeypatch, capsys, script_job, tick_until
    ):
        queue = Queue()
        first, second = (queue.add(script_job(tmp_path, "pass")) for _ in range(2))

        def fail():
            raise ZeroDivisionError

        monkeypatch.setattr(first, "start", fail)
        assert queue.tick() == [first]
        assert first.state == "failed" and "ZeroDivisionError" in first.error.problem
        assert capsys.readouterr().err.count("Traceback") == 1
        tick_until(lambda: second.ended, queue.tick)
        assert second.state == "done"


def panel_of_jobs_is_shown() -> bool:
    return panel_decompose.NVD_PT_jobs.poll(None)


class TestFile:
    """What an opened .blend remembers."""

    def remember(self, folder: Path) -> None:
        record = bpy.context.scene.nvd_jobs.add()
        record.name, record.folder = "shot", str(folder)

    def test_a_damaged_job_is_said_and_can_be_forgotten(self, extension, tmp_path, script_job):
        job = script_job(jobs_folder().parent, "pass")
        job.files.plan.write_text('{"schema": ')
        self.remember(job.folder)
        runner.find_again()
        assert not runner.queue.jobs and "plan.json is damaged" in runner.damaged[job.id].problem
        assert panel_of_jobs_is_shown()
        assert bpy.ops.nvd.forget_job(job=job.id) == {"FINISHED"}
        assert not runner.damaged and not bpy.context.scene.nvd_jobs

    def test_a_file_from_elsewhere_starts_no_program(
        self, extension, tmp_path, script_job, tick_until
    ):
        """A downloaded .blend beside a folder that calls itself a job."""
        ran = tmp_path / "ran"
        job = script_job(tmp_path, f"open({str(ran)!r}, 'w')")
        ours = script_job(jobs_folder().parent, "pass")
        assert is_ours(ours.folder) and not is_ours(job.folder)
        self.remember(job.folder)
        self.remember(ours.folder)
        runner.find_again()
        found = runner.queue.find(job.id)
        assert found.state == "interrupted" and "another user" in found.error.problem
        for operator in (bpy.ops.nvd.resume_job, bpy.ops.nvd.retry_on_cpu):
            with pytest.raises(RuntimeError, match="another user"):
                operator(job=job.id)
        tick_until(lambda: not runner.queue.busy, timer)
        assert runner.queue.find(ours.id).state == "done" and not ran.exists()

    def test_what_about_may_hold(self, extension, tmp_path, script_job, tick_until):
        given = {"strip": ["x"], "first_frame": "seven", "mode": "full", "own_scene": 1}
        job = script_job(tmp_path, "pass", kind="decompose", about=given, out=tmp_path / "no.nvd")
        runner.queue_job(job)
        tick_until(lambda: job.ended, timer)
        with pytest.raises(RuntimeError, match="manifest"):  # and no TypeError
            bpy.ops.nvd.open_job(job=job.id)

    def test_a_render_whose_plan_lost_its_pattern(
        self, extension, tmp_path, script_job, tick_until
    ):
        job = script_job(tmp_path, "pass", kind=render_job.KIND, about={"scene": 7})
        runner.queue_job(job)
        tick_until(lambda: job.ended, timer)
        assert job.state == "failed" and "plan.json is damaged" in job.error.problem

    def test_a_log_names_no_operator_of_its_own(self):
        assert button_of(AddonError("x", "y", "wm.quit_blender")) == ""
        assert button_of(AddonError("x", "y", "nvd.install_engine")) == "nvd.install_engine"

    def test_a_panel_draws_it_all(self, extension, tmp_path, script_job):
        """The panel's function with a layout that takes texts as Blender does."""
        job = script_job(tmp_path, "pass", title="a\ud800", about={"a": "\udfff"})
        job.log._take('{"event": "caution", "text": "\\ud800"}')
        job.log._take('{"event": "exit"}')
        job.error, job.state = AddonError("x", "y", "wm.quit_blender"), "failed"
        texts = []

        class Layout(types.SimpleNamespace):
            def label(self, text="", **_):
                texts.append(text)
                text.encode("utf-8")

            def row(self, **_):
                return self

            box = row

            def operator(self, *_, **__):
                return types.SimpleNamespace(bl_rna=types.SimpleNamespace(properties={}))

        panel_decompose._draw_job(Layout(), job)
        assert "1 lines of its log were not understood" in texts and "a?" in texts


class TestLanes:
    """What may run beside what."""

    SLEEP = "import time; time.sleep(60)"

    def test_a_render_does_not_wait_behind_a_decomposition(self, tmp_path, script_job, tick_until):
        queue = Queue()
        shot, other = tmp_path / "shot.nvd", tmp_path / "other.nvd"
        given = {
            "long": {"kind": "decompose", "out": shot},
            "next": {"kind": "decompose", "out": tmp_path / "third.nvd"},
            "own": {"kind": "strip", "about": {"folder": str(shot)}},
            "render": {"kind": "strip", "about": {"folder": str(other)}},
            "second": {"kind": "paint", "about": {"folder": str(other)}},
        }
        jobs = {
            name: queue.add(script_job(tmp_path, self.SLEEP, **more))
            for name, more in given.items()
        }

        def states():
            queue.tick()
            return {name for name, job in jobs.items() if job.state == "running"}

        try:
            # The strip of the folder that is being made waits, and holds up the one behind it,
            # which is of the same lane
            assert states() == {"long"}
            jobs["own"].cancel()
            assert states() == {"long", "render"}
            jobs["render"].cancel()
            tick_until(lambda: jobs["render"].ended and not jobs["render"].leaving, queue.tick)
            assert states() == {"long", "second"}
        finally:
            for job in jobs.values():
                job.cancel()
            tick_until(lambda: not queue.busy, queue.tick)

    def test_the_same_folder_by_another_name(self, tmp_path, script_job, tick_until):
        queue = Queue()
        (tmp_path / "a").mkdir()
        first = queue.add(
            script_job(tmp_path, self.SLEEP, kind="decompose", out=tmp_path / "a/../shot.nvd")
        )
        about = {"folder": str(tmp_path / "shot.nvd")}
        second = queue.add(script_job(tmp_path, self.SLEEP, kind="strip", about=about))
        queue.tick()
        assert (first.state, second.state) == ("running", "pending")
        assert describe(second) == "waits for its turn"
        for job in (first, second):
            job.cancel()
        tick_until(lambda: not queue.busy, queue.tick)

    def test_what_can_be_painted_on_is_free_for_others(self, tmp_path, script_job, tick_until):
        """A decomposition that says so goes on, and a paint job on its folder begins."""
        queue = Queue()
        word = '{"event": "ready", "refinement": 0, "planned": 2}'
        code = f"print({word!r}, flush=True); {self.SLEEP}"
        shot = tmp_path / "shot.nvd"
        first = queue.add(script_job(tmp_path, code, kind="decompose", out=shot))
        about = {"folder": str(shot)}
        second = queue.add(script_job(tmp_path, self.SLEEP, kind="paint", about=about))
        try:
            tick_until(lambda: second.state == "running", queue.tick, 30)
            assert first.state == "running" and first.log.ready == 0
        finally:
            for job in (first, second):
                job.cancel()
            tick_until(lambda: not queue.busy, queue.tick)

    def test_kinds(self):
        kinds = ["decompose", "resume", "of tomorrow", "strip", "frame canvas", "install", "test"]
        lanes = [lane_of(types.SimpleNamespace(kind=kind)) for kind in kinds]
        assert lanes == ["training"] * 3 + ["render"] * 2 + ["engine"] * 2


def test_images_that_stand_are_taken_in_within_bounds(tmp_path):
    path = tmp_path / "log"
    events = [[[0, 2], [5, 5]], [[2, 1]], [["a", 3]], [7], [[0, 10**9]], [[0, 10**6 - 1]] * 1000]
    path.write_text("")
    log = JobLog(path)
    with path.open("a") as file:
        for frames in events:
            file.write(json.dumps({"event": "images", "frames": frames}) + "\n")
    log.read()
    assert log.images == {0, 1, 2, 5} and log.unread == len(events) - 1
