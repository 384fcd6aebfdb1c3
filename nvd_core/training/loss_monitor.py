"""Watching a training's losses without making the device wait for it at every step."""

import math

import torch
from torch import Tensor

from nvd_core.runtime.errors import NvdError

STEPS_UNREAD = 25
"""steps that a GPU may be ahead of the look at their losses"""
MEMORY = 0.95
"""share of the running error that a step leaves standing"""


class LossMonitor:
    """Reads losses and errors off the device, those of several steps at once.

    A reading makes the program wait until a GPU has caught up. With `steps` over 1 a divergence is
    found up to so many steps late; `read` before a checkpoint is written.
    """

    def __init__(self, steps: int) -> None:
        self.error = math.nan  # running mean squared error per channel
        self._steps = steps
        self._unread: list[tuple[int, list[str], Tensor]] = []

    def add(self, step: int, terms: dict[str, Tensor], error: Tensor) -> None:
        """Take the losses by name and the mean squared error of a step, all of one value."""
        values = torch.stack([value.detach() for value in (*terms.values(), error)])
        self._unread.append((step, list(terms), values))
        if len(self._unread) >= self._steps or math.isnan(self.error):
            self.read()

    def read(self) -> None:
        """Bring `error` up to date; NvdError naming the first step that has diverged."""
        if not self._unread:
            return
        unread, self._unread = self._unread, []
        numbers = iter(torch.cat([values for *_, values in unread]).tolist())
        for step, names, _ in unread:
            losses = {name: next(numbers) for name in names}
            broken = [name for name, value in losses.items() if not math.isfinite(value)]
            if broken:
                raise diverged(step, f"not finite: {', '.join(broken)}")
            error = next(numbers)
            known = not math.isnan(self.error)
            self.error = MEMORY * self.error + (1 - MEMORY) * error if known else error


def check_weights(model: torch.nn.Module, step: int) -> None:
    """NvdError where a weight is not finite: the losses show it one step later only."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    finite = torch.stack([parameter.isfinite().all() for parameter in parameters]).tolist()
    broken = [name for name, good in zip(names, finite, strict=True) if not good]
    if broken:
        raise diverged(step, f"weights that are not finite: {', '.join(broken[:3])}")


def diverged(step: int, found: str) -> NvdError:
    """What is said of a training that has run off."""
    return NvdError(
        f"the training diverged at step {step}",
        found=found,
        remedy="lower the learning rates with --settings, or try another --seed; "
        "`nvd resume` goes on from the last checkpoint",
    )
