"""The presets fast and paper in turns: how much sooner is fast as good?

Both train in this process, one at a time, a few seconds each, so that whatever else the machine
does slows both alike. Each has a clock that runs only while it trains: not while the other does,
and not while its own PSNR is taken. The clocks start with the main loop; the paper's pre-training
of its mappings is not counted (in the paper's favour). `fast` runs its default schedule, which is
good only at its end (in the paper's favour too).
"""

import math
import threading
import time
from dataclasses import dataclass, field

import torch

from bench.parts.figures import Figure
from bench.parts.subject import Bench
from nvd_core.evaluation.metrics import psnr
from nvd_core.fields.inference import composite_frame
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.settings import PRESETS
from nvd_core.training.trainer import Trainer

PART = "presets"
FIRST_LOOK, LOOKS = 0.25, 1.25
"""seconds until the first PSNR, and how many times later each is than the last"""
PUBLISHED = "the paper reports 27.5 dB for bear at 768x432"
SAMPLE = 100_000
"""pixels that the PSNR is taken over, evenly spread over every frame"""


class Turns:
    """Lets threads work one at a time, in a circle."""

    def __init__(self, members: int) -> None:
        self._changed = threading.Condition()
        self._waiting = list(range(members))  # the first has the turn

    def wait(self, member: int) -> None:
        """Until it is this member's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting[0] == member)

    def pass_on(self, member: int) -> None:
        """Give the turn to the next and wait for the own."""
        with self._changed:
            self._waiting.append(self._waiting.pop(0))
            self._changed.notify_all()
        self.wait(member)

    def leave(self, member: int) -> None:
        """Take no more turns."""
        with self._changed:
            self._waiting.remove(member)
            self._changed.notify_all()


@dataclass
class Curve:
    """PSNR by training time."""

    seconds: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)

    def first_at(self, level: float) -> float | None:
        """Seconds of the first look at which it was that good."""
        good = (s for s, value in zip(self.seconds, self.psnr, strict=True) if value >= level)
        return next(good, None)


class Runner(Progress):
    """Takes a trainer's turns, keeps its clock, and looks at its PSNR now and then."""

    def __init__(self, trainer: Trainer, turns: Turns, number: int, bench: Bench) -> None:
        super().__init__()
        self.trainer, self.turns, self.number, self.plan = trainer, turns, number, bench.plan
        self.curve = Curve()
        self.seconds = self.pretraining = self.slice = 0.0
        self.look_at = FIRST_LOOK
        self.since = 0.0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Train until the clock is at the plan's seconds, or the schedule at its end."""
        self.turns.wait(self.number)
        self.since = time.perf_counter()
        try:
            self.trainer.run(self)
        except Cancelled:
            pass
        except BaseException as error:
            self.failure = error
        finally:
            self.turns.leave(self.number)

    def stage(self, name: str, total: int, done: int = 0) -> None:
        if name == "training":
            self.pretraining = time.perf_counter() - self.since
        super().stage(name, total, done)

    def update(self, done: int, **_: object) -> None:
        if self._stage != "training":
            return
        if done == 0:
            self._look(done)
            self.turns.pass_on(self.number)  # the clocks start when both are here
        else:
            passed = self._now() - self.since
            self.seconds += passed
            self.slice += passed
            over = self.seconds >= self.plan.turns_seconds
            if over or self.seconds >= self.look_at or done == self._total:
                self._look(done)
            if over:
                raise Cancelled
            if self.slice >= self.plan.slice_seconds:
                self.slice = 0.0
                self.turns.pass_on(self.number)
        self.since = self._now()

    def _look(self, step: int) -> None:
        self.curve.seconds.append(self.seconds)
        self.curve.steps.append(step)
        self.curve.psnr.append(sampled_psnr(self.trainer))
        while self.look_at <= self.seconds:
            self.look_at *= LOOKS

    def _now(self) -> float:
        if self.trainer.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def sample_stride(trainer: Trainer) -> int:
    """Every so manyth pixel in x and in y of every frame makes about SAMPLE pixels."""
    return max(1, math.ceil(math.sqrt(math.prod(trainer.data.shape) / SAMPLE)))


def sampled_psnr(trainer: Trainer) -> float:
    """PSNR of the networks' picture over the same pixels of all frames, every time."""
    stride, total = sample_stride(trainer), 0.0
    frames = trainer.data.frames
    for t in range(len(frames)):
        true = frames[t, ::stride, ::stride].astype("float32") / 255
        image = composite_frame(trainer.model, t, stride).clip(0, 1)
        total += float(((image - true) ** 2).mean(dtype="float64"))
    return psnr(total / len(frames))


def measure(bench: Bench) -> list[Figure]:
    """Train both in turns; their curves, and the times at equal PSNR."""
    turns, runners = Turns(2), {}
    for number, preset in enumerate(("fast", "paper")):
        settings = bench.settings(preset)
        if preset == "paper" and not bench.plan.whole_pretraining:
            settings.pretrain_iterations = 4
        trainer = bench.trainer(f"turns-{preset}", settings)
        runners[preset] = Runner(trainer, turns, number, bench)
    threads = [threading.Thread(target=runner.run, daemon=True) for runner in runners.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runner in runners.values():
        if runner.failure:
            raise runner.failure
    bench.curves = {preset: vars(runner.curve) for preset, runner in runners.items()}
    return compared(runners["fast"], runners["paper"])


def compared(fast: Runner, paper: Runner) -> list[Figure]:
    """The figures: what each reached, and the ratio of the times to the paper's best PSNR."""
    stride = sample_stride(fast.trainer)
    sample = f"over 1 pixel in {stride * stride} of every frame" if stride > 1 else "all pixels"
    figures = []
    for name, runner in (("fast", fast), ("paper", paper)):
        curve, case = runner.curve, f"preset {name}"
        figures += [
            Figure(PART, case, "trained for", curve.seconds[-1], "s", "in turns with the other"),
            Figure(PART, case, "iterations in it", curve.steps[-1], ""),
            Figure(PART, case, "best PSNR in it", max(curve.psnr), "dB", sample),
        ]
    figures.append(
        Figure(PART, "preset paper", "pre-training, not counted", paper.pretraining, "s")
    )
    level = max(paper.curve.psnr)
    case = f"at {level:.2f} dB, paper's best"
    slow, quick = paper.curve.first_at(level), fast.curve.first_at(level)
    ratio = slow / quick if quick else None  # 0: as good before the first step
    note = "measured, in turns" if ratio else "fast was never, or from the start, that good"
    figures += [
        Figure(PART, case, "paper took", slow, "s"),
        Figure(PART, case, "fast took", quick, "s"),
        Figure(PART, case, "speed-up at equal PSNR", ratio, "x", note),
    ]
    return figures


def whole_schedule(figures: list[Figure], levels: tuple[float, ...]) -> list[Figure]:
    """The paper's whole schedule on this machine, reckoned from its milliseconds an iteration.

    Beside it, our measured time to a PSNR. Not a measurement of the same thing: what the paper's
    schedule reaches in the end is the authors' figure, not ours.
    """
    known = {(figure.case, figure.name): figure.value for figure in figures}
    mean = known.get(("preset paper", "mean of its schedule"))
    if mean is None:
        return []
    iterations = PRESETS["paper"]().iterations
    seconds = mean * iterations / 1000
    case = "paper's whole schedule"
    note = f"EXTRAPOLATED: {iterations} iterations x {mean:.1f} ms"
    found = [Figure("extrapolated", case, "on this machine", seconds / 3600, "h", note)]
    for level in levels:
        ours = known.get(("shortest run", f"time to {level:g} dB"))
        if ours:
            name = f"over our time to {level:g} dB"
            note = f"EXTRAPOLATED / measured {ours:.1f} s; {PUBLISHED}"
            found.append(Figure("extrapolated", case, name, seconds / ours, "x", note))
    return found
