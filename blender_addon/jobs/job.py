"""Jobs: work that a child process does while the artist goes on, and the queue they wait in.

    job = Job.create(root, title="shot", kind="decompose", python=python, steps=steps, out=out)
    queue.add(job)
    queue.tick()        # a few times a second: reads what is new, starts what is next

A job is a folder: plan.json (what to run), process.json (which process runs it), log.jsonl (what
it said) and errors.txt. Nothing else is kept, so a job is found again from its folder alone, by
another Blender too. A tick never waits and reads a limited amount. No bpy here.
"""

import json
import time
import uuid
from pathlib import Path

from ..errors import AddonError
from . import process
from .job_log import JobLog

SCHEMA = "nvd.extension.job"
PENDING, RUNNING, DONE = "pending", "running", "done"
CANCELLED, FAILED, INTERRUPTED = "cancelled", "failed", "interrupted"
UNFINISHED = (PENDING, RUNNING)
KILL_AFTER = 10.0  # seconds that a cancelled job is given to save its state


class Job:
    """One job; `state` is what `poll` last saw, `log` what the job said.

    `title`, `kind`, `out`: what it is, and the folder or file that it makes.
    `error`: an AddonError where it failed or was interrupted.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.plan = _read_json(self.folder / "plan.json")
        if self.plan.get("schema") != SCHEMA or self.plan.get("version") != 1:
            raise AddonError(f"{folder} is not a job of this extension", "start the job again")
        self.id: str = self.plan["id"]
        self.title: str = self.plan["title"]
        self.kind: str = self.plan["kind"]
        self.out: str = self.plan["out"]
        self.state = PENDING
        self.error: AddonError | None = None
        self.log = JobLog(self.folder / "log.jsonl")
        self._asked_to_stop = 0.0
        self._popen = None
        if (self.folder / "process.json").is_file():
            self.state = RUNNING
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
        folder.mkdir(parents=True, exist_ok=True)
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
        _write_json(folder / "plan.json", plan)
        return cls(folder)

    # What can be done with it

    def start(self) -> None:
        """Start or resume a job that neither runs nor is done; returns at once."""
        if self.state in (RUNNING, DONE):
            raise AddonError(f"{self.title} is {self.state}", "there is nothing to start")
        if self.state == PENDING and (self.folder / "process.json").is_file():
            self.state = RUNNING  # another Blender with the same file was quicker
            return
        resume = self.plan["resume_steps"] and (Path(self.out) / "job.json").is_file()
        self.plan["steps"] = self.plan["resume_steps"] if resume else self.plan["first_steps"]
        _write_json(self.folder / "plan.json", self.plan)
        self._begin_anew()
        script = Path(__file__).with_name("supervise.py")
        command = [self.plan["python"], str(script), str(self.folder)]
        try:
            self._popen = process.spawn(command, self.folder, self.log.path, self._errors)
        except OSError as error:
            self.fail(
                f"{self.plan['python']} cannot be run ({error.strerror})",
                "choose the engine's Python in the preferences, or install the engine",
            )
            return
        pid = self._popen.pid
        mark = {"pid": pid, "fingerprint": process.fingerprint(pid)}
        _write_json(self.folder / "process.json", mark)
        self.state = RUNNING

    def queue_again(self) -> None:
        """Make a job that has ended, but not by success, pending again."""
        if self.ended and self.state != DONE:
            if self._alive():  # cancelled a moment ago
                process.kill(self._pid())
            (self.folder / "process.json").unlink(missing_ok=True)
            self._begin_anew()
            self.state = PENDING

    def on_cpu(self) -> None:
        """Make a job that failed for want of CUDA pending again, on the CPU."""
        steps = self.plan["first_steps"]
        for step in steps:
            words = step["command"]
            step["command"] = ["cpu" if word == "cuda" else word for word in words]
        self.queue_again()

    def full_log(self) -> str:
        """What the job said, for people: its log, then its errors."""
        files = [path for path in (self.log.path, self._errors) if path.is_file()]
        return "\n".join(path.read_text("utf-8", "replace") for path in files)

    def cancel(self) -> None:
        """Ask the job to stop; it does so within two seconds. A pending one is not begun."""
        if self.state == PENDING:
            self.state = CANCELLED
            _write_json(self.folder / "process.json", {"pid": 0, "fingerprint": ""})
        elif self.state == RUNNING and not self._asked_to_stop:
            self._asked_to_stop = time.monotonic()
            (self.folder / "cancel").touch()
            if self._alive():
                process.terminate(self._pid())

    def poll(self) -> None:
        """Read what is new in the log and settle the state."""
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
    def stopping(self) -> bool:
        """Whether it runs and was asked to stop."""
        return self.state == RUNNING and bool(self._asked_to_stop)

    @property
    def _errors(self) -> Path:
        return self.folder / "errors.txt"

    def _begin_anew(self) -> None:
        (self.folder / "cancel").unlink(missing_ok=True)
        self._errors.unlink(missing_ok=True)
        self._asked_to_stop = 0.0
        self.error = None
        self.log.skip()

    def _pid(self) -> int:
        return _read_json(self.folder / "process.json").get("pid", 0)

    def _alive(self) -> bool:
        if self._popen is not None:
            return self._popen.poll() is None
        mark = _read_json(self.folder / "process.json")
        found = process.fingerprint(mark["pid"]) if mark.get("pid") else ""
        return bool(found) and found == mark.get("fingerprint")

    def _settle(self) -> None:
        """The process is gone: say how it ended."""
        code = self.log.exit_code
        if code == 0:
            self.state = DONE
        elif self.log.said_cancelled or (self.folder / "cancel").exists() or not self._pid():
            self.state = CANCELLED
        elif self.log.error is not None:
            self.state, self.error = FAILED, self.log.error
        elif code is None or code < 0:  # killed, or the machine went off
            self.state = INTERRUPTED
            self.error = AddonError(f"{self.title} was interrupted", "resume it", "nvd.resume_job")
        else:
            last = _last_line(self._errors)
            self.fail(last or f"ended with code {code}", f"see {self._errors}, and try again")

    def fail(self, problem: str, remedy: str) -> None:
        """Count as failed: also for what was done with a finished job's results."""
        self.state = FAILED
        self.error = AddonError(problem, remedy)


class Queue:
    """Jobs in their order; one runs at a time."""

    def __init__(self):
        self.jobs: list[Job] = []

    def add(self, job: Job) -> Job:
        """Take `job` in, unless it is there already; returns the one that the queue holds."""
        known = self.find(job.id)
        if known is None:
            self.jobs.append(job)
        return known or job

    def find(self, id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == id), None)

    def remove(self, job: Job) -> None:
        """Forget a job that has ended."""
        if not job.ended:
            raise AddonError(f"{job.title} is {job.state}", "cancel it first")
        self.jobs.remove(job)

    def tick(self) -> list[Job]:
        """Poll what runs and start what is next; returns the jobs that have just ended."""
        before = {job.id: job.state for job in self.jobs}
        for job in self.jobs:
            job.poll()
        if not any(job.state == RUNNING for job in self.jobs):
            waiting = next((job for job in self.jobs if job.state == PENDING), None)
            if waiting is not None:
                waiting.start()
        return [job for job in self.jobs if job.ended and before[job.id] in UNFINISHED]

    @property
    def busy(self) -> bool:
        return any(not job.ended for job in self.jobs)


def new_name() -> str:
    """A name for a job's folder that no other has, in order of time."""
    return time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:8]


def _read_json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write_json(path: Path, values: dict) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(values, indent=1), "utf-8")
    beside.replace(path)


def _last_line(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
