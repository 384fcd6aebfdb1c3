"""Looks at a training as it goes, to see whether it has anything more to gain.

The rates fall along the whole schedule, and the error of what is drawn falls with them whether
anything is learned or not. So a few thousand fixed pixels are predicted several times before each
look, and it is the mean of these predictions that is compared with the clip: what single steps
shake about is gone from it, as it will be when the rates are low. Where that figure stands still,
the training goes through the rest of its schedule, the low rates included, in a few steps
(`progression.py`).
"""

import math

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.model import LayeredVideo
from nvd_core.runtime.devices import to_device
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.mapped_arrays import release
from nvd_core.training.progression import Progression
from nvd_core.work import ClipData

PIXELS = 4096
SNAPSHOTS, APART = 8, 0.005
"""predictions before a look, and the share of the schedule between two of them"""
LEAST_STEPS = 400
"""shorter schedules are gone through as they are"""


class EarlyStop:
    """Predicts the fixed pixels when that is due, and tells the training's progression of it."""

    def __init__(
        self, model: LayeredVideo, data: ClipData, seed: int, device: torch.device
    ) -> None:
        self.predictions: Tensor | None = None
        """sum of those since the last look, [P, 3]"""
        self._model, self._data, self._seed, self._device = model, data, seed, device
        self._pixels: tuple[Tensor, Tensor, Tensor] | None = None

    def after(self, step: int, progression: Progression) -> bool:
        """To be called when `step` steps are done; whether the training hurries from here on."""
        if not progression.looking:
            return False
        ahead = progression.next_look - step
        apart = max(round(APART * progression.planned), 1)
        if ahead < 0 or ahead % apart or ahead // apart >= SNAPSHOTS:
            return False
        seen = self._predicted()
        self.predictions = seen if self.predictions is None else self.predictions + seen
        progression.taken += 1
        if ahead:
            return False
        apart_from = self.predictions / progression.taken - self._chosen()[2]
        self.predictions = None
        return progression.look(step, 255 * math.sqrt(apart_from.square().mean().item()))

    def take(self, predictions: Tensor | None, progression: Progression) -> None:
        """Go on with the predictions of a checkpoint; NvdError where they do not fit this clip."""
        wanted = len(self._chosen()[1]) if predictions is not None else 0
        if (predictions is not None) != bool(progression.taken) or (
            predictions is not None and predictions.shape != (wanted, 3)
        ):
            raise NvdError(
                "the checkpoint's predictions are not of this clip",
                remedy="remove the folder and run `nvd decompose` again",
            )
        self.predictions = None if predictions is None else predictions.to(self._device)

    @torch.no_grad()
    def _predicted(self) -> Tensor:
        xy, t, _ = self._chosen()
        return self._model.composite(xy, t)

    def _chosen(self) -> tuple[Tensor, Tensor, Tensor]:
        """The fixed pixels: xy [P, 2], frames [P], colours [P, 3]."""
        if self._pixels is None:
            random = np.random.default_rng((self._seed, 4))
            frames, height, width = self._data.shape
            t = np.sort(random.integers(0, frames, PIXELS))
            x, y = random.integers(0, width, PIXELS), random.integers(0, height, PIXELS)
            seen = ~self._data.touches_garbage(t, x, y)
            t, x, y = t[seen], x[seen], y[seen]
            colours = self._data.frames[t, y, x].astype(np.float32) / 255
            release(*self._data.arrays)
            xy = np.stack([x, y], -1).astype(np.float32)
            device = self._device
            self._pixels = to_device(xy, device), to_device(t, device), to_device(colours, device)
        return self._pixels
