"""`nvd reproduce`: a list of clips and settings, decomposed, measured, and put into one report.

Every run is what `nvd decompose` (or `nvd resume`) and `nvd evaluate` do. Its record beside its
folder says how far it is, so that a finished run is not repeated and an interrupted one goes on.
What is to be measured against something else is only measured again.
"""

import dataclasses
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nvd_core.begun import check_same
from nvd_core.evaluation.report import evaluate
from nvd_core.evaluation.reproduce.report import REPORTS, flat, write_report
from nvd_core.evaluation.reproduce.run_list import Run, load_run_list
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.declared import JSON, Fault, read
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.files import remove_temporaries_of, without_nan, write_json
from nvd_core.runtime.inside import check_links, inside
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import reason
from nvd_core.settings import to_dict
from nvd_core.shot.shot import Shot

SCHEMA, VERSION = "nvd.run", 1
CURVE_POINTS = 100
"""points of the training curve that a record holds about"""


@dataclass
class RunRecord:
    """What became of one run."""

    clip: str
    variant: str
    request: dict
    """the job and every setting"""
    state: str = "begun"
    """begun, interrupted, failed or done"""
    seconds: float = 0.0
    """of all attempts so far, without the measuring"""
    size: str | None = None
    """width x height of the frames"""
    problem: dict | None = None
    """what failed: problem, expected, found, remedy"""
    curve: list[list[float | None]] = field(default_factory=list)
    """[step, running PSNR] of the training"""
    against: dict[str, str] = field(default_factory=dict)
    """the truth, tracks and lpips that it was measured with"""
    report: dict | None = None
    """what report.json of the decomposition holds"""


def reproduce(path: Path | str, out: Path | str, progress: Progress | None = None) -> dict:
    """Do all runs of the list `path` that are not done, into the folder `out`, and report.

    Writes `out`/CLIP/VARIANT.nvd with a record VARIANT.json, and after every run report.html,
    index.html and report.json. A run that fails is reported as such and does not keep the others.
    NvdError for a list that cannot be used, and for links that lead out of `out`. Cancelled: the
    same call goes on.
    """
    progress = progress or Progress()
    out = Path(out)
    runs = load_run_list(path)
    check_links(out)
    reports = [out / name for name in REPORTS]
    remove_temporaries_of(reports + [_record_path(out, run) for run in runs])
    records: dict[tuple[str, str], RunRecord] = {}
    for number, run in enumerate(runs):
        progress.message(f"run {number + 1} of {len(runs)}: {run.clip}, {run.variant}")
        try:
            record = _run(run, out, progress)
        except Cancelled:
            progress.message("the same command goes on from here")
            raise
        records[run.clip, run.variant] = record
        if record.state == "failed":
            progress.caution(f"{run.clip}, {run.variant} failed: {record.problem['problem']}")
        write_report(out, [dataclasses.asdict(record) for record in records.values()], len(runs))
    failed = [f"{r.clip}/{r.variant}" for r in records.values() if r.state == "failed"]
    return {
        "report": str(out / "report.html"),
        "runs": len(runs),
        "done": len(runs) - len(failed),
        "failed": failed,
    }


def _run(run: Run, out: Path, progress: Progress) -> RunRecord:
    """One run, as far as it is not done yet; its record is on disk, also after a Cancelled."""
    path = _record_path(out, run)
    folder = inside(out, f"{run.clip}/{run.variant}.nvd")
    request = _request(run)
    try:
        record = _record(path, RunRecord(run.clip, run.variant, request))
    except NvdError as error:  # what stands there is another's and is kept
        return RunRecord(run.clip, run.variant, request, "failed", problem=_problem(error))
    against = {name: str(given) for name, given in run.against.items()}
    same = record.against == against
    if record.state == "done" and same and inside(folder, "manifest.json").is_file():
        return record
    record.against = against
    record.state, record.problem = "begun", None
    _save(record, path)
    heard = Heard(progress, f"{run.clip} {run.variant}", record.curve)
    begun = time.monotonic()
    try:
        _check_there(run.against)
        _decompose(run, folder, heard)
        record.seconds += round(time.monotonic() - begun, 1)
        begun = None
        shot = Shot.open(folder)
        record.size = f"{shot.manifest.clip.width}x{shot.manifest.clip.height}"
        record.report = evaluate(shot, heard, **run.against)
        record.state = "done"
    except Cancelled:
        record.state = "interrupted"
        raise
    except NvdError as error:
        record.state, record.problem = "failed", _problem(error)
    except Exception as error:  # a fault of the program in one run must not cost the others
        record.state = "failed"
        record.problem = {
            "problem": f"unexpected {type(error).__name__}: {error}",
            "remedy": "this is a fault of the program; the record of the run has its traceback",
            "traceback": traceback.format_exc(),
        }
    finally:
        if begun is not None:
            record.seconds += round(time.monotonic() - begun, 1)
        record.curve = [[*row] for row in heard.curve]
        _save(record, path)
    return record


def _record_path(out: Path, run: Run) -> Path:
    return inside(out, f"{run.clip}/{run.variant}.json")


def _check_there(against: dict[str, Path]) -> None:
    """NvdError before a training whose result could not be measured."""
    for name, path in against.items():
        if not path.exists():
            raise NvdError(
                f"there is no {path} to measure with",
                expected=f"what the list gives as {name}",
                remedy="correct the list, or leave it out",
            )


def _decompose(run: Run, folder: Path, progress: Progress) -> None:
    if (folder / "manifest.json").is_file():
        return
    if (folder / "job.json").is_file():
        check_same(folder, run.job, run.settings)  # so what it reads is what this list names
        resume(folder, progress, yes=True)
    else:
        decompose(folder, dataclasses.replace(run.job, done=[]), run.settings, progress)


def _request(run: Run) -> dict:
    job = dataclasses.asdict(run.job)
    for noted in ("done", "clip", "mask_frames", "id"):  # what a decomposition adds
        job.pop(noted)
    return {"job": job, "settings": to_dict(run.settings)}


def _bad_record(path: Path, found: str) -> NvdError:
    return NvdError(
        f"cannot read the record {path}",
        found=found,
        remedy="remove it and the folder beside it, and run the command again",
    )


def _record(path: Path, new: RunRecord) -> RunRecord:
    """The record at `path`, or `new` where none is; NvdError where it is of another request."""
    if not path.is_file():
        return new
    try:
        values = read_json(path)
        if (values.pop("schema"), values.pop("version")) != (SCHEMA, VERSION):
            raise ValueError("another schema or version")
        record = read(RunRecord, values, JSON)
    except Fault as fault:
        raise _bad_record(path, f"{fault.key} {fault.found}, not {fault.expected}") from fault
    except (Unreadable, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_record(path, reason(error)) from error
    if record.request != new.request:
        one, other = flat(record.request), flat(new.request)
        changed = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
        raise NvdError(
            f"{path.with_suffix('.nvd')} was made by another list",
            expected=f"the same {', '.join(changed)}",
            remedy="choose another --out, or remove that folder and its .json to do the run anew",
        )
    return record


def _save(record: RunRecord, path: Path) -> None:
    values = {"schema": SCHEMA, "version": VERSION} | dataclasses.asdict(record)
    write_json(path, without_nan(values))


def _problem(error: NvdError) -> dict:
    return {
        "problem": error.problem,
        "expected": error.expected,
        "found": error.found,
        "remedy": error.remedy,
    }


class Heard(Progress):
    """Passes a run's progress on under the run's name, and keeps the training's PSNR."""

    def __init__(self, outer: Progress, name: str, curve: list[list[float]]) -> None:
        super().__init__()
        self._outer, self._name = outer, name
        self.curve = list(curve)

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._stage, self._total = name, total
        if name == "training":
            self.curve = [point for point in self.curve if point[0] <= done]
        self._outer.stage(f"{self._name}: {name}", total, done)

    def update(self, done: int, *, psnr: float | None = None, preview: Path | None = None) -> None:
        if self._stage == "training" and psnr is not None:
            last = self.curve[-1][0] if self.curve else -1
            if done == self._total or done - last >= max(self._total // CURVE_POINTS, 1):
                self.curve.append([done, round(psnr, 3)])
        self._outer.update(done, psnr=psnr, preview=preview)

    def caution(self, text: str) -> None:
        self._outer.caution(f"{self._name}: {text}")

    def message(self, text: str) -> None:
        self._outer.message(f"{self._name}: {text}")

    def cancel(self) -> None:
        self._outer.cancel()

    @property
    def cancelled(self) -> bool:
        return self._outer.cancelled

    @contextmanager
    def unsaved(self) -> Iterator[None]:
        with self._outer.unsaved():
            yield
