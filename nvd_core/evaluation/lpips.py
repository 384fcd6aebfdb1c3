"""LPIPS (Zhang et al., CVPR 2018) on AlexNet, with weights given by path.

torchmetrics brings the learned weights of the five comparisons; the backbone's ImageNet weights
(torchvision's alexnet, keys `features.0.weight` ...) are not ours to bring, and nothing is
downloaded: without a file, there is no LPIPS.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nvd_core.runtime.errors import NvdError

CONVOLUTIONS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
"""number in torchvision's `features`, stride, padding; each is followed by ReLU"""
_POOLED = (3, 6)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips:
    """The distance of two images, 0 for equal ones. NvdError where the weights cannot be read."""

    def __init__(self, weights: Path | str):
        backbone = _state(Path(weights))
        learned = files("torchmetrics.functional.image") / "lpips_models" / "alex.pth"
        compared = _state(Path(str(learned)))
        try:
            self.convolutions = [
                (backbone[f"features.{k}.weight"], backbone[f"features.{k}.bias"], stride, padding)
                for k, stride, padding in CONVOLUTIONS
            ]
            self.weights = [compared[f"lin{k}.model.1.weight"] for k in range(5)]
        except KeyError as error:
            raise _unfit(weights, f"no {error.args[0]} in it") from error
        channels = [tuple(weight.shape[:2]) for weight, *_ in self.convolutions]
        if channels != [(64, 3), (192, 64), (384, 192), (256, 384), (256, 256)]:
            raise _unfit(weights, f"layers of {channels} channels")

    @torch.no_grad()
    def __call__(self, image: np.ndarray, true: np.ndarray) -> float:
        """Of two images [H, W, 3], display-encoded 0..1, at least 64 pixels a side."""
        pair = np.stack([image, true]).astype(np.float32) * 2 - 1
        x = torch.from_numpy(pair).permute(0, 3, 1, 2)
        x = (x - torch.tensor(_SHIFT)[:, None, None]) / torch.tensor(_SCALE)[:, None, None]
        total = torch.zeros(())
        for features, weight in zip(self._features(x), self.weights, strict=True):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-8)
            squared = (unit[:1] - unit[1:]).square()
            total += F.conv2d(squared, weight).mean()
        return float(total)

    def _features(self, x: Tensor) -> list[Tensor]:
        """The five activations of AlexNet after their ReLU."""
        found = []
        for (k, *_), (weight, bias, stride, padding) in zip(
            CONVOLUTIONS, self.convolutions, strict=True
        ):
            if k in _POOLED:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            found.append(x)
        return found


def _state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its many readers raise
        raise _unfit(path, str(error).splitlines()[0]) from error
    if not isinstance(state, dict):
        raise _unfit(path, type(state).__name__)
    return state


def _unfit(path: Path | str, found: str) -> NvdError:
    return NvdError(
        f"{path} does not hold AlexNet's weights",
        expected="torchvision's state dict of alexnet",
        found=found,
        remedy="give that file, or leave --lpips out",
    )
