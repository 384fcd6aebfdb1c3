"""Milliseconds of one training iteration, and which part of it takes them.

The real trainer runs, with timers hung on it from outside: around the sampler, the objective and
the optimisers; around every hash grid and network on the way forward; and on the way back around
the nodes of autograd's graph that the same grid or network left. The whole is also timed without
the timers.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import suppress

import torch
from torch import Tensor, nn

from bench.parts.figures import Figure
from bench.parts.subject import Bench
from nvd_core.fields.hash_grid.grid import HashGrid
from nvd_core.fields.networks import Mlp, PositionalEncoding
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.training.trainer import Trainer

PART = "iteration"
WARM_UP = 8
"""steps before the timed ones"""
KINDS = {HashGrid: "encodings", PositionalEncoding: "encodings", Mlp: "networks"}
PAPER_STEPS = 3


class Laps(Progress):
    """Lets a trainer take so many steps, and calls `begin` when the warm-up is over."""

    def __init__(self, warm_up: int, steps: int, begin: Callable[[], None]) -> None:
        super().__init__()
        self.warm_up, self.last, self.begin = warm_up, warm_up + steps, begin
        self.seconds = 0.0  # of all timed steps

    def update(self, done: int, **_: object) -> None:
        if self._stage != "training":
            return
        if done == self.warm_up:
            self.begin()
            self.seconds = time.perf_counter()
        elif done == self.last:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.seconds
            raise Cancelled


class Timers:
    """Timers on a trainer; `seconds` by part, over all steps since they were last cleared."""

    def __init__(self, trainer: Trainer) -> None:
        self.seconds: Counter[str] = Counter()
        self.device = trainer.device
        self.thread = threading.get_ident()
        self.forward_end = 0.0
        self.own = 0.0  # seconds that hanging up timers took
        trainer.sampler.draw = self._around("sampling", trainer.sampler.draw)
        trainer.objective = self._around("forward", trainer.objective)
        for optimiser in trainer.optimisers:
            self._around_optimiser(optimiser)
        for module in trainer.model.modules():
            kind = next((KINDS[c] for c in KINDS if isinstance(module, c)), None)
            if kind:
                self._around_module(module, kind)

    def clear(self) -> None:
        """Begin anew."""
        self.seconds.clear()
        self.own = 0.0

    def now(self) -> float:
        """Seconds, when the device has done all it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _around(self, part: str, function: Callable) -> Callable:
        def timed(*arguments):
            if threading.get_ident() != self.thread:  # beside the training: nobody waits for it
                return function(*arguments)
            begun, own = self.now(), self.own
            result = function(*arguments)
            self.forward_end = self.now()
            self.seconds[part] += self.forward_end - begun - (self.own - own)
            return result

        return timed

    def _around_optimiser(self, optimiser: torch.optim.Optimizer) -> None:
        begun = 0.0

        def before(*_: object) -> None:
            nonlocal begun
            begun = self.now()
            if self.forward_end:  # the first optimiser of a step: autograd has just ended
                self.seconds["backward"] += begun - self.forward_end
                self.forward_end = 0.0

        def after(*_: object) -> None:
            self.seconds["optimisers"] += self.now() - begun

        optimiser.register_step_pre_hook(before)
        optimiser.register_step_post_hook(after)

    def _around_module(self, module: nn.Module, kind: str) -> None:
        begun = 0.0

        def before(*_: object) -> None:
            nonlocal begun
            begun = self.now()

        def after(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ended = self.now()
            self.seconds[f"forward, {kind}"] += ended - begun
            if output.grad_fn is not None:
                for node in nodes_between(output, inputs):
                    self._around_node(node, f"backward, {kind}")
            self.own += self.now() - ended

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after)

    def _around_node(self, node: torch.autograd.graph.Node, part: str) -> None:
        begun = 0.0

        def before(*_: object) -> None:
            nonlocal begun
            begun = self.now()

        def after(*_: object) -> None:
            self.seconds[part] += self.now() - begun

        node.register_prehook(before)
        node.register_hook(after)


def nodes_between(
    output: Tensor, inputs: tuple[Tensor, ...]
) -> Generator[torch.autograd.graph.Node, None, None]:
    """The nodes of autograd's graph that lead from `output` back to `inputs` and parameters."""
    seen = {tensor.grad_fn for tensor in inputs}
    left = [output.grad_fn]
    while left:
        node = left.pop()
        # a parameter's own node is shared by all calls of a step
        if node is None or node in seen or node.name().endswith("AccumulateGrad"):
            continue
        seen.add(node)
        yield node
        left += [parent for parent, _ in node.next_functions]


def measure(bench: Bench) -> list[Figure]:
    """The preset fast, whole and split; the preset paper, whole, at both stages of its schedule."""
    steps = bench.plan.steps
    whole = timed(bench, "whole", bench.settings("fast"), WARM_UP, steps)
    figures = [Figure(PART, "preset fast", "an iteration", whole, "ms", f"mean of {steps}")]
    if bench.subject.device == "cuda":
        peak = torch.cuda.max_memory_allocated() / 1e6
        figures.append(Figure(PART, "preset fast", "peak memory of the GPU", peak, "MB"))
    figures += split(bench, bench.settings("fast"), steps)
    early, late = paper_milliseconds(bench)
    share = bench.settings("paper").global_rigidity_share
    schedule = share * early + (1 - share) * late
    note = f"mean of {PAPER_STEPS}"
    figures += [
        Figure(
            PART, "preset paper", "an iteration, early", early, "ms", f"{note}, global rigidity"
        ),
        Figure(PART, "preset paper", "an iteration, later", late, "ms", note),
        Figure(PART, "preset paper", "mean of its schedule", schedule, "ms", "from these two"),
    ]
    return figures


def timed(bench: Bench, name: str, settings: Settings, warm_up: int, steps: int) -> float:
    """Mean milliseconds of an iteration, without any timer within."""
    laps = Laps(warm_up, steps, lambda: None)
    run(bench.trainer(f"iteration-{name}", settings), laps)
    return 1000 * laps.seconds / steps


def paper_milliseconds(bench: Bench) -> tuple[float, float]:
    """Mean milliseconds of the paper's iterations: with the global rigidity, and after it."""
    found = []
    for name, share in (("early", 1.0), ("late", 0.0)):
        settings = bench.settings("paper")
        settings.pretrain_iterations, settings.global_rigidity_share = 0, share
        found.append(timed(bench, f"paper-{name}", settings, 1, PAPER_STEPS))
    return tuple(found)


def split(bench: Bench, settings: Settings, steps: int) -> list[Figure]:
    """One iteration of the preset fast by its parts, which add up to the timed whole."""
    trainer = bench.trainer("iteration-split", settings)
    timers = Timers(trainer)
    laps = Laps(WARM_UP, steps, timers.clear)
    run(trainer, laps)
    seconds = timers.seconds
    whole = laps.seconds - timers.own
    for way in ("forward", "backward"):
        within = seconds[f"{way}, encodings"] + seconds[f"{way}, networks"]
        seconds[f"{way}, losses and the rest"] = seconds.pop(way, 0.0) - within
    seconds["the rest"] = whole - sum(seconds.values())
    order = ["sampling"]
    for way in ("forward", "backward"):
        order += [f"{way}, {what}" for what in ("encodings", "networks", "losses and the rest")]
    order += ["optimisers", "the rest"]
    note = "timed one by one"
    figures = [Figure(PART, "its parts", n, 1000 * seconds[n] / steps, "ms", note) for n in order]
    total = 1000 * whole / steps
    return [*figures, Figure(PART, "its parts", "all parts", total, "ms", "with the timers")]


def run(trainer: Trainer, laps: Laps) -> None:
    """Train until the laps are done."""
    with suppress(Cancelled):
        trainer.run(laps)
