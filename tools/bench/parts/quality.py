"""Time to a quality: `nvd decompose` with several numbers of iterations, each a whole run.

With the one-cycle schedule a run is good only at its end, so a long run looked at half way would
be unfair to it. Hence the definition:

    time to X dB = the shortest time from the start of the process to the trained model, among the
    runs whose finished folder has X dB or more.

It counts everything: the start of Python, imports, reading the clip, flow, masks, motion, training
with its checkpoints and previews. The PSNR is that of `nvd evaluate`: all pixels of all frames,
composed from the baked textures and maps.
"""

from dataclasses import dataclass

from bench.parts.commands import nvd
from bench.parts.figures import Figure
from bench.parts.subject import Bench, Decomposed

PART = "quality"


@dataclass(frozen=True)
class Row:
    """One run and how good its folder is."""

    run: Decomposed
    report: dict  # of `nvd evaluate`

    @property
    def case(self) -> str:
        """What it is called in the table."""
        return f"{self.run.steps} iterations"


def measure(bench: Bench) -> list[Figure]:
    """Decompose and evaluate with each number of iterations; from these the times to a quality."""
    bench.warm_up()
    rows = []
    for iterations in bench.plan.iterations:
        run = bench.decomposed(iterations)
        rows.append(Row(run, nvd("evaluate", run.shot).result))
    rows.sort(key=lambda row: row.run.steps)
    found = [time_to(level, rows) for level in bench.levels]
    return found + [figure for row in rows for figure in figures_of(row)]


def time_to(level: float, rows: list[Row]) -> Figure:
    """The shortest time to the trained model among the runs that are at least that good."""
    good = [row for row in rows if row.report["psnr"] >= level]
    name = f"time to {level:g} dB"
    if not good:
        best = max(row.report["psnr"] for row in rows)
        return Figure(PART, "shortest run", name, None, "s", f"the best run has {best:.2f} dB")
    row = min(good, key=lambda row: row.run.trained_seconds)
    note = f"by the run of {row.case} ({row.report['psnr']:.2f} dB)"
    if row is rows[0]:
        note += "; none shorter was tried"
    return Figure(PART, "shortest run", name, row.run.trained_seconds, "s", note)


def figures_of(row: Row) -> list[Figure]:
    """What one run took and reached."""
    report, run = row.report, row.run
    stages = run.finished.result["seconds_by_stage"]
    measured = [
        ("to the trained model", run.trained_seconds, "s", "from the start of the process"),
        ("to the finished folder", run.finished.seconds, "s", ""),
        *((f"stage {name}", seconds, "s", "") for name, seconds in stages.items()),
        ("PSNR", report["psnr"], "dB", "all pixels of all frames, from textures and maps"),
        ("PSNR without residual", report["psnr_without_residual"], "dB", ""),
        ("SSIM", report["ssim"], "", ""),
        ("folded coordinates", 100 * report["folded"], "%", ""),
    ]
    for name, iou in report["alpha_iou"].items():
        measured.append((f"alpha IoU, {name}", iou, "", ""))
    return [Figure(PART, row.case, *values) for values in measured]
