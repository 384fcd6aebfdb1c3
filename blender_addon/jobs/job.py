"""Jobs: work that a child process does while the artist goes on, and the queue they wait in.

    job = Job.create(root, title="shot", kind="decompose", python=python, steps=steps, out=out)
    queue.add(job)
    queue.tick()        # a few times a second: reads what is new, starts what is next

A job is a folder (job_files.py) and nothing else is kept, so a job is found again from its folder
alone, by another Blender too; of several that want to start it one does. A tick never waits and
reads a limited amount. No bpy here.
"""

import contextlib
import time
import uuid
from pathlib import Path

from ..errors import AddonError
from . import checked_json, process
from .claim import Claimed, claimed
from .job_files import SCHEMA, JobFiles, Mark, read_mark, read_plan, unwritable, write_mark
from .job_log import JobLog, last_line, last_words
from .launch import launch

PENDING, RUNNING, DONE = "pending", "running", "done"
CANCELLED, FAILED, INTERRUPTED = "cancelled", "failed", "interrupted"
UNFINISHED = (PENDING, RUNNING)
KILL_AFTER = 10.0  # seconds that a cancelled job is given to save its state


class Job:
    """One job; `state` is what `poll` last saw, `log` what the job said.

    `title`, `kind`, `out`: what it is, and the folder or file that it makes.
    `error`: an AddonError where it failed or was interrupted.
    `waits_for`: an AddonError on why it has not begun, where it waits for more than its turn.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.files = JobFiles(self.folder)
        self.plan = read_plan(self.files.plan)
        self.id: str = self.folder.name
        self.title: str = self.plan["title"]
        self.kind: str = self.plan["kind"]
        self.out: str = self.plan["out"]
        self.state = PENDING
        self.error: AddonError | None = None
        self.waits_for: AddonError | None = None
        self.log = JobLog(self.files.log)
        self._asked_to_stop = 0.0
        self._popen = None
        self._run = ""  # which run it is whose state this is
        self.poll()

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        title: str,
        kind: str,
        python: Path | str,
        steps: list[dict],
        out: Path | str = "",
        resume_steps: list[dict] = (),
        copies: list[tuple[str, str]] = (),
        name: str = "",
        about: dict | None = None,
    ) -> "Job":
        """A pending job in a new folder under `root`.

        Each step is {"title": ..., "command": [...]}; they run in order until one fails. Where
        one has an "otherwise", that command is tried when the first fails. A later
        `start` runs `resume_steps` instead where `out` holds a job.json. `copies` are files,
        (source, target), copied first; `about` is kept with the job for whoever made it.
        """
        folder = Path(root) / (name or new_name())
        plan = {
            "schema": SCHEMA,
            "version": 1,
            "id": folder.name,
            "title": title,
            "kind": kind,
            "out": str(out),
            "about": about or {},
            "python": str(python),
            "copies": [[str(a), str(b)] for a, b in copies],
            "first_steps": list(steps),
            "resume_steps": list(resume_steps),
            "steps": list(steps),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            checked_json.write(folder / "plan.json", plan)
        except OSError as error:
            raise unwritable(folder, error) from error
        return cls(folder)

    # What can be done with it

    def start(self) -> None:
        """Start or resume a job that neither runs nor is done; returns at once.

        It stays pending, and `waits_for` says why, while another Blender is just starting it, or
        while the engine of the run before is still saving. Where it cannot be started it has
        failed, and nothing of it runs.
        """
        if self.state in (RUNNING, DONE):
            raise AddonError(f"{self.title} is {self.state}", "there is nothing to start")
        try:
            self.queue_again()
            self.poll()  # another Blender with the same file may have been quicker
            if self.state != PENDING:
                return
            with claimed(self.files.claim, self.title):
                self.poll()
                if self.state == PENDING and self._last_run_is_gone():
                    self._launch()
        except Claimed as claim:
            self.waits_for = claim
        except AddonError as error:
            self.fail(error.problem, error.remedy, error.button)

    def queue_again(self) -> None:
        """Make a job that has ended, but not by success, pending again."""
        if not self.ended or self.state == DONE:
            return
        with claimed(self.files.claim, self.title):
            mark = self._mark(damaged=Mark())
            if mark is not None and mark.run == self._run:
                _move(self.files.mark, self.files.last)
                mark = None
            if mark is None:
                self.log.skip()
            else:  # another Blender has begun it anew
                self._popen = None
            self.state, self.error, self.waits_for = PENDING, None, None
            self._asked_to_stop = 0.0
        self.poll()

    def on_cpu(self) -> None:
        """Make a job that failed for want of CUDA pending again, on the CPU."""
        steps = self.plan["first_steps"]
        for step in steps:
            words = step["command"]
            step["command"] = ["cpu" if word == "cuda" else word for word in words]
        self.queue_again()

    def resume_anyway(self) -> None:
        """Make a job pending again that asked whether it may read what its folder names."""
        for name in ("first_steps", "resume_steps"):
            for step in self.plan[name]:
                words = step["command"]
                if {"resume", "refine"} & set(words) and "--yes" not in words:
                    words.append("--yes")
        self.queue_again()

    def full_log(self) -> str:
        """What the job said at last, for people: its log, then its errors."""
        words = (last_words(path) for path in (self.files.log, self.files.errors))
        return "\n".join(filter(None, words))

    def cancel(self) -> None:
        """Ask the job to stop; it does so within two seconds. A pending one is not begun."""
        if self.state == PENDING:
            with claimed(self.files.claim, self.title):
                if self._mark(damaged=Mark()) is None:
                    self._note(Mark(run=uuid.uuid4().hex))
            self.poll()  # cancelled; or another Blender has started it, and it is asked to stop
        if self.state == RUNNING and not self._asked_to_stop:
            self._asked_to_stop = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk; the signal will do
                self.files.cancel.touch()
            if self._alive():
                process.terminate(self._pid())

    def poll(self) -> None:
        """Read what is new in the log and settle the state."""
        if self.state == PENDING:
            mark = self._mark(damaged=None)
            if mark is None:
                return
            self.state, self._run, self.waits_for = RUNNING, mark.run, None
        if self.state != RUNNING:
            return
        alive = self._alive()
        caught_up = self.log.read()
        if alive:
            waited = time.monotonic() - self._asked_to_stop
            if self.log.said_cancelled:
                self.state = CANCELLED  # all is saved; the process itself may take a while to go
            elif self.stopping and waited > KILL_AFTER:
                process.kill(self._pid())
        elif caught_up:
            self._settle()

    @property
    def ended(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def about_folder(self) -> Path:
        """The decomposition folder that it is said to be about; empty where none is."""
        return Path(str(self.plan["about"].get("folder", "")))

    @property
    def stopping(self) -> bool:
        """Whether it runs and was asked to stop."""
        return self.state == RUNNING and bool(self._asked_to_stop)

    @property
    def leaving(self) -> bool:
        """Whether it was cancelled, and its process has not gone yet."""
        return self.state == CANCELLED and self._popen is not None and self._popen.poll() is None

    def fail(self, problem: str, remedy: str, button: str = "") -> None:
        """Count as failed: also for what was done with a finished job's results."""
        self.state = FAILED
        self.error = AddonError(problem, remedy, button)

    def _launch(self) -> None:
        """Let the supervisor begin. The claim is held."""
        resume = self.plan["resume_steps"] and (Path(self.out) / "job.json").is_file()
        self.plan["steps"] = self.plan["resume_steps"] if resume else self.plan["first_steps"]
        self._asked_to_stop, self.error, self.waits_for = 0.0, None, None
        self.log.skip()
        self._popen, self._run = launch(self.files, self.plan)
        self.state = RUNNING

    def _note(self, mark: Mark) -> None:
        try:
            write_mark(self.files.mark, mark)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _last_run_is_gone(self) -> bool:
        """Whether nothing of the run before is left; else what is waited for is told."""
        try:
            mark = read_mark(self.files.last)
        except AddonError:
            mark = None
        if mark is None or not mark.pid:
            return True
        if self._popen is not None:
            self._popen.poll()  # bury it
        alive = mark.alive
        pids = [mark.pid] if alive else process.followers(mark.pid)
        if not pids:
            return True
        if self.waits_for is None:
            self._waits_since = time.monotonic()
        elif alive and time.monotonic() - self._waits_since > KILL_AFTER:
            process.kill(mark.pid)
        self.waits_for = AddonError(
            f"the engine of the run before is still saving (process {pids[0]})",
            "wait until it has gone",
        )
        return False

    def _mark(self, damaged: Mark | None) -> Mark | None:
        """Which process runs the job, None for none; `damaged` where the file is.

        `damaged` None: a job whose file is damaged is interrupted, and the file said to be the
        reason.
        """
        try:
            return read_mark(self.files.mark)
        except AddonError as error:
            if damaged is not None:
                return damaged
            self.state, self._run, self.error = INTERRUPTED, "", error
            return None

    def _pid(self) -> int:
        """The supervisor's process, 0 where it is not known."""
        if self._popen is not None:
            return self._popen.pid
        mark = self._mark(damaged=Mark())
        return mark.pid if mark else 0

    def _alive(self) -> bool:
        if self._popen is not None:
            return self._popen.poll() is None
        mark = self._mark(damaged=None)
        return mark is not None and mark.alive

    def _settle(self) -> None:
        """The process is gone: say how it ended."""
        if self.state != RUNNING:  # its process.json is damaged
            return
        code = self.log.exit_code
        if code == 0:
            self.state = DONE
        elif self.log.said_cancelled or self.files.cancel.exists() or not self._pid():
            self.state = CANCELLED
        elif self.log.error is not None:
            self.state, self.error = FAILED, self.log.error
        elif code is None or code < 0:  # killed, or the machine went off
            self.state = INTERRUPTED
            self.error = AddonError(f"{self.title} was interrupted", "resume it", "nvd.resume_job")
        else:
            last = last_line(self.files.errors)
            self.fail(last or f"ended with code {code}", f"see {self.files.errors}, and try again")


def new_name() -> str:
    """A name for a job's folder that no other has, in order of time."""
    return time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:8]


def _move(source: Path, target: Path) -> None:
    try:
        checked_json.patiently(lambda: source.replace(target))
    except OSError as error:
        raise unwritable(source.parent, error) from error
