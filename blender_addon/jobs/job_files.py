"""What lies in a job's folder, each file checked as it is read.

| file | holds |
|---|---|
| plan.json | what to run; written once, its `steps` again at each start |
| process.json | which process runs it: there from the start of a run on |
| last.json | the same of the run before, until the next has begun |
| claim | who is just now starting, cancelling or queueing it again (claim.py) |
| cancel | asks the run to stop |
| log.jsonl, errors.txt | what it said |

No bpy here.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import AddonError
from . import checked_json, process
from .checked_json import Odd

SCHEMA = "nvd.extension.job"
PLAN_LIMIT = 1 << 26  # bytes; a plan may copy thousands of pictures
MARK_LIMIT = 1 << 16


@dataclass(frozen=True)
class Mark:
    """Which process runs a job; `pid` 0: none, it was cancelled before it began.

    `fingerprint` tells it from a later process of the same number, `run` one start of the job
    from another.
    """

    pid: int = 0
    fingerprint: str = ""
    run: str = ""

    @property
    def alive(self) -> bool:
        """Whether that very process is running."""
        found = process.fingerprint(self.pid) if self.pid else ""
        return bool(found) and found == self.fingerprint


class JobFiles:
    """The paths in a job's folder."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.plan = self.folder / "plan.json"
        self.mark = self.folder / "process.json"
        self.last = self.folder / "last.json"
        self.claim = self.folder / "claim"
        self.cancel = self.folder / "cancel"
        self.log = self.folder / "log.jsonl"
        self.errors = self.folder / "errors.txt"


def read_plan(path: Path) -> dict:
    """The plan, its values of the types that they should be; AddonError where they are not."""
    try:
        plan = checked_json.read(path, PLAN_LIMIT) or {}
        if plan.get("schema") != SCHEMA or plan.get("version") != 1:
            raise AddonError(f"{path.parent} is not a job of this extension", "start the job again")
        for name in ("id", "title", "kind"):
            plan[name] = checked_json.text(plan, name)
        for name in ("out", "python"):
            plan[name] = checked_json.path(plan, name)
        for name in ("first_steps", "resume_steps", "steps"):
            plan[name] = [_step(step, name) for step in checked_json.listed(plan, name)]
        plan["copies"] = [_copy(copy) for copy in checked_json.listed(plan, "copies", [])]
        plan["about"] = _about(plan.get("about", {}))
    except Odd as odd:
        raise AddonError(f"{path} is damaged: {odd}", "start the job again") from odd
    return plan


def read_mark(path: Path) -> Mark | None:
    """Which process runs the job, None where none was started; AddonError for a damaged file."""
    try:
        values = checked_json.read(path, MARK_LIMIT)
        if values is None:
            return None
        pid = checked_json.whole(values, "pid", 0, process.HIGHEST_PID)
        if pid and not process.may_be_signalled(pid):
            raise Odd(f"pid: expected a process of a job, found {pid}")
        return Mark(
            pid, checked_json.text(values, "fingerprint", ""), checked_json.text(values, "run", "")
        )
    except Odd as odd:
        raise AddonError(
            f"{path} is damaged: {odd}", "resume the job once its engine has ended"
        ) from odd


def write_mark(path: Path, mark: Mark) -> None:
    checked_json.write(path, asdict(mark))


def unwritable(folder: Path, error: OSError) -> AddonError:
    return AddonError(
        f"the job's folder {folder} cannot be written to ({error.strerror or error})",
        "make room on the disk, or see that the folder may be written, and try again",
    )


def _step(step: object, name: str) -> dict:
    if not isinstance(step, dict):
        raise Odd(f"{name}: expected steps, found {checked_json.shown(step)}")
    step = dict(step, title=checked_json.text(step, "title"))
    for words in ("command", "otherwise"):
        if words == "command" or words in step:
            step[words] = [
                checked_json.word(word, words) for word in checked_json.listed(step, words)
            ]
            if not step[words]:
                raise Odd(f"{words}: expected a program, found nothing")
    return step


def _copy(copy: object) -> list[str]:
    if not isinstance(copy, list) or len(copy) != 2:
        raise Odd(f"copies: expected pairs of paths, found {checked_json.shown(copy)}")
    return [checked_json.word(path, "copies") for path in copy]


def _about(about: object) -> dict:
    if not isinstance(about, dict):
        raise Odd(f"about: expected an object, found {checked_json.shown(about)}")
    return {
        name: checked_json.clean(value) if isinstance(value, str) else value
        for name, value in about.items()
    }
