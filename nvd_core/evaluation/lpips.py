"""LPIPS (Zhang et al., CVPR 2018) on AlexNet, with weights given by path.

torchmetrics brings the learned weights of the five comparisons; the backbone's ImageNet weights
(torchvision's alexnet, keys `features.0.weight` ...) are not ours to bring, and nothing is
downloaded: without a file, there is no LPIPS.
"""

from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nvd_core.runtime.documents import Unreadable
from nvd_core.runtime.reading import reading
from nvd_core.runtime.weights import load_weights

CONVOLUTIONS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
"""number in torchvision's `features`, stride, padding; each is followed by ReLU"""
_SHAPES = ((64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3))
_POOLED = (3, 6)
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips:
    """The distance of two images, 0 for equal ones. NvdError where the weights cannot be read."""

    def __init__(self, weights: Path | str):
        self._path = weights
        learned = files("torchmetrics.functional.image") / "lpips_models" / "alex.pth"
        with _reading(weights):
            backbone, compared = load_weights(weights), load_weights(str(learned))
            self.convolutions = [
                (
                    backbone[f"features.{k}.weight"].float(),
                    backbone[f"features.{k}.bias"].float(),
                    stride,
                    padding,
                )
                for k, stride, padding in CONVOLUTIONS
            ]
            self.weights = [compared[f"lin{k}.model.1.weight"] for k in range(5)]
            for (weight, bias, *_), shape in zip(self.convolutions, _SHAPES, strict=True):
                if tuple(weight.shape) != shape or tuple(bias.shape) != shape[:1]:
                    raise Unreadable(f"a layer of {list(weight.shape)}, not {list(shape)}")

    @torch.no_grad()
    def __call__(self, image: np.ndarray, true: np.ndarray) -> float:
        """Of two images [H, W, 3], display-encoded 0..1, at least 64 pixels a side.

        NvdError where the weights, each finite, are so large that no number comes of them.
        """
        pair = np.stack([image, true]).astype(np.float32) * 2 - 1
        x = torch.from_numpy(pair).permute(0, 3, 1, 2)
        x = (x - torch.tensor(_SHIFT)[:, None, None]) / torch.tensor(_SCALE)[:, None, None]
        total = torch.zeros(())
        for features, weight in zip(self._features(x), self.weights, strict=True):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-8)
            squared = (unit[:1] - unit[1:]).square()
            total += F.conv2d(squared, weight).mean()
        if not total.isfinite():
            with _reading(self._path):
                raise Unreadable("weights that are too large to count with")
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


def _reading(path: Path | str) -> AbstractContextManager[None]:
    return reading(
        path,
        "AlexNet's weights",
        "give that file, or leave --lpips out",
        problem=f"{path} does not hold AlexNet's weights",
        expected="torchvision's state dict of alexnet",
    )
