"""The training loop: sample, evaluate, step; checkpoint, preview and progress on the way."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch

from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.networks import MotionMapping
from nvd_core.fields.saved_model import load_checkpoint
from nvd_core.runtime.devices import to_device, wants_bfloat16
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.inside import inside
from nvd_core.runtime.malloc import keep_freed_memory
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.training.checkpoint import (
    checkpoint_step,
    load_errors,
    load_predictions,
    save_checkpoint,
)
from nvd_core.training.early_stop import LEAST_STEPS, EarlyStop
from nvd_core.training.gpu_clip import gpu_clip_if_it_fits
from nvd_core.training.grid_adam import GridAdam
from nvd_core.training.loss_monitor import STEPS_UNREAD, LossMonitor, check_weights
from nvd_core.training.no_compiler import Adam, leave_the_compiler_out
from nvd_core.training.objective import Objective
from nvd_core.training.preview import write_preview
from nvd_core.training.progression import Progression, read_progression
from nvd_core.training.sampling import Sampler
from nvd_core.training.settled_mapping import settle
from nvd_core.work import ClipData

RISE = 0.05
"""share of a schedule in which the rates rise, before they fall"""
LAST_RATE = 0.01
"""rate at its end, as a share of the highest"""
ANCHOR_PIXELS = 82 * 768 * 432
ANCHOR_STEPS = 2800
"""a clip of that many pixels is trained for that many steps; others by the root of the ratio"""


def automatic_steps(pixels: int) -> int:
    """Steps for a clip of so many pixels (frames x height x width), between 1200 and 6000."""
    return round(min(max(ANCHOR_STEPS * math.sqrt(pixels / ANCHOR_PIXELS), 1200), 6000))


def rate_factor(schedule: str, step: float, steps: int) -> float:
    """The learning rates of `step` as a share of their settings."""
    if schedule == "constant":
        return 1.0
    place = step / steps
    if place < RISE:
        return 0.1 + 0.9 * place / RISE
    gone = (place - RISE) / (1 - RISE)
    fall = 1 - gone if schedule == "linear" else (1 + math.cos(math.pi * gone)) / 2
    return LAST_RATE + (1 - LAST_RATE) * fall


class Trainer:
    """Trains `model` on the arrays of `work/`; resumes from `checkpoint` if that stands."""

    def __init__(
        self,
        model: LayeredVideo,
        data: ClipData,
        settings: Settings,
        seed: int,
        device: torch.device,
        folder: Path,
    ) -> None:
        """Writes `checkpoint.safetensors` and `preview.png` into `folder`."""
        self.model = model.to(device)
        model.use_bfloat16(wants_bfloat16(settings.mixed_precision, device))
        self.data = data
        self.settings = settings
        automatic = automatic_steps(math.prod(data.shape)) * settings.steps_factor
        planned = settings.iterations or round(automatic)
        self.progression = Progression(planned)
        if not settings.iterations and planned >= LEAST_STEPS:  # who asks for steps gets them
            self.progression.least = settings.early_stop
            self.progression.since = math.ceil(settings.bootstrap_share * planned)
        self.early_stop = EarlyStop(model, data, seed, device)
        shares = settings.share_in_masks, settings.flow_share
        gpu_clip = gpu_clip_if_it_fits(data, device)
        points = settings.points, *shares, seed, device, planned, gpu_clip
        self.sampler = Sampler(data, *points, settings.share_by_error)
        left_out = None if data.garbage is None else data.touches_garbage
        self.objective = Objective(model, settings, planned, seed, left_out, data.righted)
        tables = [
            {"params": model.grid_tables(), "lr": settings.learning_rate_grid},
            {"params": model.deformation_tables(), "lr": settings.learning_rate_deformation},
        ]  # a group may be empty
        leave_the_compiler_out()
        self.grid_optimiser = GridAdam(tables)
        groups = [
            {"params": model.network_parameters(), "lr": settings.learning_rate_mlp},
            {"params": model.mapping_parameters(), "lr": settings.learning_rate_mapping},
        ]
        if model.motion_parameters():
            groups.append(
                {"params": model.motion_parameters(), "lr": settings.learning_rate_motion}
            )
        self.network_optimiser = Adam(groups, fused=True)
        self.optimisers = [self.grid_optimiser, self.network_optimiser]
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimisers]
        self.device = device
        self.checkpoint = inside(folder, "checkpoint.safetensors")
        self.preview = inside(folder, "preview.png")
        self.step = 0
        self.monitor = LossMonitor(STEPS_UNREAD if device.type == "cuda" else 1)
        self._check: Callable[[], None] = lambda: None
        """raises Cancelled within a step, which is then taken anew: large steps take seconds"""

    def run(self, progress: Progress) -> float:
        """Train to the end; returns the running PSNR. Raises Cancelled with all saved."""
        self.step = checkpoint_step(self.checkpoint)
        if self.step:
            load_checkpoint(self.checkpoint, self.model, self.optimisers)
            self._restore_progression()
            self._restore_errors()
        elif self.settings.mapping.start == "identity" and self.settings.pretrain_iterations:
            self._pretrain(progress)
        elif self.settings.losses.flow:
            self._settle(progress)
        keep_freed_memory()
        progress.stage("training", self.steps, self.step)
        self._check = progress.check
        if self.step < self.steps:
            self._advance(
                progress
            )  # compiles kernels, which takes long; ended there, nothing is lost
            with progress.unsaved():
                self._train(progress)
        self.save()
        write_preview(self.model, self.data, self.preview)
        return self.psnr

    def _train(self, progress: Progress) -> None:
        """From the second step to the last, with checkpoints and previews on the way."""
        saved = shown = time.monotonic()
        try:
            progress.update(self.step, psnr=self.psnr)
            while self.step < self.steps:
                self._advance(progress)
                preview = None
                now = time.monotonic()
                if now - saved > self.settings.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
                if now - shown > self.settings.preview_seconds:
                    write_preview(self.model, self.data, self.preview)
                    preview, shown = self.preview, time.monotonic()
                progress.update(self.step, psnr=self.psnr, preview=preview)
        except Cancelled:
            self.save()
            raise

    def _advance(self, progress: Progress) -> None:
        """One step, and what is to be said if the training hurries from there on."""
        self._step()
        if self.early_stop.after(self.step, self.progression):
            self.sampler.steps = self.steps
            progress.expect(self.steps)
            progress.message(self.progression.why or "")

    @property
    def steps(self) -> int:
        """How many steps the training takes, as far as is known."""
        return self.progression.steps

    @property
    def psnr(self) -> float:
        """Running estimate over the uniformly drawn points of the last steps, dB."""
        return -10 * math.log10(max(self.monitor.error, 1e-12))

    def restore(self) -> None:
        """Take the weights of a finished training from the checkpoint."""
        load_checkpoint(self.checkpoint, self.model)
        self._restore_progression()

    def _restore_progression(self) -> None:
        """Take from the checkpoint where the training stands; an older one does not say it."""
        known = read_progression(self.checkpoint)
        if known and known.planned == self.progression.planned:
            self.progression = known
            self.sampler.steps = self.steps
            predictions = load_predictions(self.checkpoint)
            self.early_stop.take(predictions, known)

    def _restore_errors(self) -> None:
        """Take from the checkpoint where the errors are; an older one does not say it."""
        known = load_errors(self.checkpoint)
        if known and self.sampler.error_map and not self.sampler.error_map.take(known):
            raise NvdError(
                "the checkpoint's map of errors is not of this clip",
                remedy="remove the folder and run `nvd decompose` again",
            )

    def save(self) -> None:
        """Write the checkpoint; NvdError, and the last one kept, where the training diverged."""
        self.monitor.read()
        check_weights(self.model, self.step)
        looks = self.progression, self.early_stop.predictions
        errors = self.sampler.error_map and self.sampler.error_map.state()
        save_checkpoint(self.checkpoint, self.model, self.optimisers, self.step, *looks, errors)

    def _step(self) -> None:
        place = self.progression.place(self.step)
        factor = rate_factor(self.settings.schedule, place, self.progression.planned)
        for optimiser, rates in zip(self.optimisers, self.rates, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        points = self.sampler.draw(self.step)
        self._check()
        loss, terms, predicted = self.objective(points, self.step, place)
        self._check()
        squared = (predicted - points.colour).square().mean(-1)
        error = (squared * points.uniform).sum() / points.uniform.sum()
        self.monitor.add(self.step, terms, error)
        loss.backward()
        self._check()
        self.grid_optimiser.step()  # zeroes its gradients too
        self.network_optimiser.step()
        self.network_optimiser.zero_grad()
        self.sampler.learn(squared)
        self.step += 1

    def _settle(self, progress: Progress) -> None:
        """Bring the mappings of objects with several views to what their flow says."""
        for n, mapping in enumerate(self.model.mappings[:-1]):
            if isinstance(mapping, MotionMapping) and mapping.windows and n in self.data.righted:
                settle(mapping, self.data, n, progress, self.sampler.seed, self.device)

    def _pretrain(self, progress: Progress) -> None:
        """Pull identity-start mappings towards the frame (Layered Neural Atlases does so too)."""
        steps = self.settings.pretrain_iterations
        progress.stage("pre-training", steps)
        optimiser = Adam(self.model.mappings.parameters(), lr=1e-4)
        frames, height, width = self.data.shape
        for step in range(steps * frames // 10 + 1):
            random = np.random.default_rng((self.sampler.seed, step, 3))
            xy = random.random((self.settings.points, 2), np.float32) * [width, height]
            t = random.integers(0, frames, self.settings.points)
            xy = to_device(xy.astype(np.float32), self.device)
            t = to_device(t, self.device)
            distances = [
                (m(xy, t) - m.start(xy, t)).square().sum(-1).mean() for m in self.model.mappings
            ]
            loss = cast(torch.Tensor, sum(distances))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            progress.update(min(steps, step * 10 // frames))
