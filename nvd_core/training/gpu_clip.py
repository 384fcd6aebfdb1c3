"""A clip and its priors held on the GPU while it is trained, where they fit.

The points of a step are still drawn on the CPU, so a seed gives the same points; only their places
cross over to the device, which looks them up itself.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from nvd_core.runtime.devices import to_device
from nvd_core.training.sampling import Places, Points
from nvd_core.work import ClipData

SHARE = 0.5
"""share of the device's free memory that the arrays of a clip may take"""


def gpu_clip_if_it_fits(data: ClipData, device: torch.device) -> "GpuClip | None":
    """The clip on `device`; None on a CPU, which has it in memory, and where it does not fit."""
    if device.type != "cuda" or not fits(data, torch.cuda.mem_get_info(device)[0]):
        return None
    return GpuClip(data, device)


def fits(data: ClipData, free: int) -> bool:
    """Whether the arrays of `data` take no more than their share of `free` bytes."""
    return sum(array.nbytes for array in data.arrays) <= SHARE * free


class GpuClip:
    """The arrays of `work/` on a device."""

    def __init__(self, data: ClipData, device: torch.device) -> None:
        self.data = data
        self.device = device
        self.frames = _uploaded(data.frames, device)
        self.masks = _uploaded(data.masks, device)
        self.mask_weight = _uploaded(data.mask_weight, device)
        self.flow = torch.stack([_uploaded(flow, device) for flow in data.flow])
        self.flow_ok = _uploaded(data.flow_ok, device)
        # CUDA divides by a plain number by way of its inverse, which rounds otherwise than numpy
        self.largest = torch.tensor(255.0, device=device)

    def points(self, places: Places) -> Points:
        """What the clip and the priors know at these places, as `Sampler.draw` gives it."""
        matches = len(places.backward)
        t, x, y, uniform, backward, row, column = self._sent(places)
        backward, row, column = backward[:matches], row[:matches], column[:matches]
        pair = t[:matches] - backward  # flow between frames `pair` and `pair + 1`
        xy = torch.stack([x, y], -1).float()
        flow = self.flow[backward, pair, row, column].float()
        return Points(
            xy=xy,
            t=t,
            colour=self._unit(self.frames[t, y, x]),
            colour_right=self._unit(self.frames[t, y, x + 1]),
            colour_below=self._unit(self.frames[t, y + 1, x]),
            masks=self._unit(self.masks[:, t, y, x].T),
            mask_weight=self._unit(self.mask_weight[:, t, y, x].T),
            match_xy=xy[:matches] + flow,
            match_t=t[:matches] + 1 - 2 * backward,
            match_valid=self.flow_ok[backward, pair, row, column].float(),
            uniform=uniform.bool(),
        )

    def _sent(self, places: Places) -> Iterable[Tensor]:
        """Places, flags and pixels of the flow on the device, [P] each, in one transfer."""
        matches = len(places.backward)
        sent = np.zeros((7, len(places.t)), np.int64)
        sent[:4] = places.t, places.x, places.y, places.uniform
        sent[4, :matches] = places.backward
        sent[5:, :matches] = self.data.flow_pixels(places.y[:matches], places.x[:matches])
        return to_device(sent, self.device)

    def _unit(self, values: Tensor) -> Tensor:
        """Whole numbers up to 255 as 0..1."""
        return (values.float() / self.largest).contiguous()


def _uploaded(array: np.ndarray, device: torch.device) -> Tensor:
    """A mapped array on the device, read part by part."""
    there = torch.empty(array.shape, dtype=torch.from_numpy(array[:0].copy()).dtype, device=device)
    for part, target in zip(array, there, strict=True):
        target.copy_(torch.from_numpy(np.array(part)))
    return there
