"""A mapping with views in time, brought to what the flow says before the main loop begins.

It starts at one matrix a frame, and what turns does not follow one: by 25 degrees a frame the
surface lies tens of pixels beside it. The colours pull to the nearest place that looks alike, so
that the main loop, in which the flow counts little, settles somewhere on the way. The flow alone
takes a mapping there in a few seconds. Layers with one view start as they always did.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from nvd_core.fields.networks import MotionMapping
from nvd_core.priors.flow_size import flow_scale
from nvd_core.runtime.devices import to_device
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.training import losses
from nvd_core.training.grid_adam import GridAdam
from nvd_core.training.no_compiler import Adam
from nvd_core.work import ClipData

STEPS, RISE, POINTS = 300, 20, 2000
KNOWN = 4000
"""flow matches that are kept of a pair of frames, each way"""
RATE_GRID, RATE_MLP = 1e-2, 3e-3
RIGIDITY = 0.1
"""weight of the rigidity, beside the pixels by which flow matches lie apart"""


def settle(
    mapping: MotionMapping,
    data: ClipData,
    layer: int,
    progress: Progress,
    seed: int = 0,
    device: torch.device | None = None,
) -> None:
    """Train what the `mapping` of object `layer` adds to its matrices on its flow alone.

    Nothing changes where the flow holds nowhere. Steps are those of a stage of `progress`, which
    may raise to end it.
    """
    device = device or torch.device("cpu")
    random = np.random.default_rng((seed, layer, 4))
    progress.stage("pre-training", STEPS)  # reading takes a while in a long clip
    matches = _matches(mapping, data, layer, random, progress.check)
    if not len(matches):
        return
    tables = [mapping.grid.table] if mapping.grid else []
    optimisers = [
        *([GridAdam(tables, lr=RATE_GRID)] if tables else []),
        Adam(mapping.mlp.parameters(), lr=RATE_MLP),
    ]
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    for step in range(STEPS):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * _rate_factor(step)
        chosen = to_device(matches[random.integers(0, len(matches), POINTS)], device)
        _loss(mapping, chosen).backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        mapping.correction.grad = None
        progress.update(step + 1)


def _rate_factor(step: int) -> float:
    """A short rise, then a cosine towards 0."""
    return min((step + 1) / RISE, 1.0) * (1 + math.cos(math.pi * step / STEPS)) / 2


def _loss(mapping: MotionMapping, matches: Tensor) -> Tensor:  # [P, 6]
    """Pixels between the places of matches, and how far the mapping is from rigid there."""
    start, end = matches[:, :2], matches[:, 3:5]
    t, t_end = matches[:, 2].long(), matches[:, 5].long()
    right, below = (start + start.new_tensor(offset) for offset in ([1.0, 0.0], [0.0, 1.0]))
    uv = mapping(torch.cat([start, right, below, end]), torch.cat([t, t, t, t_end]))
    at, right, below, there = uv.chunk(4)
    sure = torch.ones_like(at[:, 0])
    apart = losses.flow(at, there, sure, sure, mapping.pixels_per_unit)
    jacobian = torch.stack([right - at, below - at], -1) * mapping.pixels_per_unit
    return apart + RIGIDITY * losses.rigidity(jacobian, sure)


def _matches(
    mapping: MotionMapping,
    data: ClipData,
    layer: int,
    random: np.random.Generator,
    check: Callable[[], object] = lambda: None,
) -> np.ndarray:  # float32 [n, 6]
    """x, y and frame of places of the object, and of where the flow says that they lie in the
    frame before or behind; within its windows."""
    found = []
    starts = {first for first, _ in mapping.windows}
    frames, height, width = data.shape
    scale = flow_scale([height, width], data.flow_ok.shape[2:]).astype(np.float32)
    for t in range(frames - 1):
        check()
        if t + 1 in starts:
            continue
        for way, (one, other) in enumerate(((t, t + 1), (t + 1, t))):
            top, bottom, left, right = _around(data.masks[layer, one], scale)
            rows, columns = np.nonzero(data.flow_ok[way, t, top:bottom, left:right])
            rows, columns = rows + top, columns + left
            xy = (np.column_stack([columns, rows]).astype(np.float32) + 0.5) * scale - 0.5
            x, y = xy.round().astype(int).T
            own = data.masks[layer, one, y, x] > 127
            for nearer in range(layer):
                own &= data.masks[nearer, one, y, x] <= 64
            chosen = np.flatnonzero(own)
            chosen = random.choice(chosen, min(len(chosen), KNOWN), replace=False)
            ends = xy[chosen] + data.flow[way][t][rows[chosen], columns[chosen]]
            times = (np.full((len(chosen), 1), time) for time in (one, other))
            first, last = times
            found.append(np.hstack([xy[chosen], first, ends, last]))
        release(*data.flow, data.flow_ok, data.masks)
    return np.concatenate(found or [np.zeros((0, 6))]).astype(np.float32)


def _around(mask: np.ndarray, scale: np.ndarray) -> tuple[int, int, int, int]:
    """First and last rows and columns of the flow's pixels that may show a mask [H, W]."""
    rows, columns = (np.flatnonzero((mask > 127).any(axis)) for axis in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    x, y = scale
    ends = (rows[0] / y - 1, rows[-1] / y + 2, columns[0] / x - 1, columns[-1] / x + 2)
    top, bottom, left, right = (max(int(end), 0) for end in ends)
    return top, bottom, left, right
