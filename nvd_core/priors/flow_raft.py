"""RAFT-small (Teed and Deng, ECCV 2020) for inference, with the authors' parameter names.

Weights are given by path: a .pth state dict (`torch.load(weights_only=True)`), with or without the
prefix `module.`. Slower than DIS by far on a CPU; steadier where there is little texture.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.weights import load_weights

HIDDEN, CONTEXT = 96, 64
LEVELS, RADIUS = 4, 3
ITERATIONS = 12
LONGEST = 960
"""Larger frames are scaled down: the memory grows with the fourth power of the size."""


def raft_source(
    frames: np.ndarray, weights: Path | str | None, device: torch.device, size: tuple[int, int]
):
    """The source (pair t -> forward and backward flow, of that `size`) by RAFT-small."""
    model = load_raft(weights).to(device)
    height, width = size
    scale = min(1.0, LONGEST / max(height, width))
    rows, columns = (max(64, round(side * scale)) for side in (height, width))

    def pair(t: int) -> tuple[np.ndarray, np.ndarray]:
        size = (columns, rows)
        images = [cv2.resize(frames[k], size, interpolation=cv2.INTER_AREA) for k in (t, t + 1)]
        batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float()
        flow = model(batch, batch.flip(0)).permute(0, 2, 3, 1).cpu().numpy()
        flow *= np.array([width / columns, height / rows], np.float32)
        there, back = (cv2.resize(one, (width, height)) for one in flow)
        return there, back

    return pair


def load_raft(weights: Path | str | None) -> "RaftSmall":
    """RAFT-small with the weights of the file; NvdError where they are not RAFT-small's."""
    remedy = "give the path of RAFT-small's weights (raft-small.pth), or use the flow method dis"
    if weights is None or not there(Path(weights).is_file):
        raise NvdError(
            "RAFT needs a file of weights", found=str(weights or "no path"), remedy=remedy
        )
    model = RaftSmall()
    problem = f"{weights} does not hold the weights of RAFT-small"
    with reading(weights, "the weights", remedy, problem=problem):
        state = load_weights(weights)
        model.weights = weights
        model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return model.eval()


class RaftSmall(nn.Module):
    """Images [B, 3, H, W] of 0..255 twice -> flow of the first in the second, [B, 2, H, W]."""

    weights: Path | str = "none"
    """the file they are from"""

    def __init__(self):
        super().__init__()
        self.fnet = _Encoder(128, nn.InstanceNorm2d)
        self.cnet = _Encoder(HIDDEN + CONTEXT, lambda _: nn.Sequential())
        self.update_block = _Update()

    @torch.no_grad()
    def forward(self, first: Tensor, second: Tensor, iterations: int = ITERATIONS) -> Tensor:
        height, width = first.shape[-2:]
        down, right = -height % 8, -width % 8
        padding = [right // 2, right - right // 2, down // 2, down - down // 2]
        first, second = (F.pad(x / 127.5 - 1, padding, mode="replicate") for x in (first, second))
        pyramid = _correlations(self.fnet(first), self.fnet(second))
        hidden, context = self.cnet(first).split([HIDDEN, CONTEXT], dim=1)
        hidden, context = hidden.tanh(), context.relu()
        batch, _, rows, columns = hidden.shape
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        grid = torch.stack([x, y]).float().to(first.device)  # [2, rows, columns]
        flow = torch.zeros(batch, 2, rows, columns, device=first.device)
        for _ in range(iterations):
            found = _look_up(pyramid, grid + flow)
            hidden, change = self.update_block(hidden, context, found, flow)
            flow = flow + change
        if not flow.isfinite().all():
            raise NvdError(
                f"{self.weights} gives no motion, its weights are too large to count with",
                remedy="give the path of RAFT-small's weights, or use the flow method dis",
            )
        flow = 8 * F.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=True)
        return flow[..., padding[2] : padding[2] + height, padding[0] : padding[0] + width]


def _correlations(first: Tensor, second: Tensor) -> list[Tensor]:  # [B, C, h, w] twice
    """Every pixel's product with every other's, [B h w, 1, h, w] and halved sizes of it."""
    batch, channels, rows, columns = first.shape
    product = torch.einsum("bcn,bcm->bnm", first.flatten(2), second.flatten(2)) / channels**0.5
    pyramid = [product.reshape(batch * rows * columns, 1, rows, columns)]
    for _ in range(LEVELS - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    return pyramid


def _look_up(pyramid: list[Tensor], place: Tensor) -> Tensor:  # [B, 2, h, w] -> [B, 4 * 49, h, w]
    """The correlations in a window about `place`, at every level."""
    batch, _, rows, columns = place.shape
    offset = torch.arange(-RADIUS, RADIUS + 1, device=place.device).float()
    # the weights expect x to vary slowest
    window = torch.stack(torch.meshgrid(offset, offset, indexing="ij"), dim=-1)
    centre = place.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, values in enumerate(pyramid):
        size = torch.tensor(values.shape[:-3:-1], device=place.device)  # (w, h)
        at = (centre / 2**level + window) * 2 / (size - 1).clamp(min=1) - 1
        found.append(
            F.grid_sample(values, at, align_corners=True).reshape(batch, rows, columns, -1)
        )
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


class _Bottleneck(nn.Module):
    def __init__(self, before: int, after: int, norm, stride: int):
        super().__init__()
        inner = after // 4
        self.conv1 = nn.Conv2d(before, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, stride=stride)
        self.conv3 = nn.Conv2d(inner, after, 1)
        self.norm1, self.norm2, self.norm3 = norm(inner), norm(inner), norm(after)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride), norm(after))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu()
        y = self.norm2(self.conv2(y)).relu()
        y = self.norm3(self.conv3(y)).relu()
        return ((x if self.downsample is None else self.downsample(x)) + y).relu()


class _Encoder(nn.Module):
    def __init__(self, channels: int, norm):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2, padding=3)
        self.norm1 = norm(32)
        sizes = ((32, 32, 1), (32, 64, 2), (64, 96, 2))
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(_Bottleneck(a, b, norm, s), _Bottleneck(b, b, norm, 1))
            for a, b, s in sizes
        )
        self.conv2 = nn.Conv2d(96, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x)).relu()
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class _MotionEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def forward(self, flow: Tensor, found: Tensor) -> Tensor:
        parts = [self.convc1(found).relu(), self.convf2(self.convf1(flow).relu()).relu()]
        return torch.cat([self.conv(torch.cat(parts, dim=1)).relu(), flow], dim=1)


class _Gru(nn.Module):
    def __init__(self):
        super().__init__()
        channels = HIDDEN + 82 + CONTEXT
        self.convz, self.convr, self.convq = (
            nn.Conv2d(channels, HIDDEN, 3, padding=1) for _ in range(3)
        )

    def forward(self, hidden: Tensor, x: Tensor) -> Tensor:
        both = torch.cat([hidden, x], dim=1)
        z, r = self.convz(both).sigmoid(), self.convr(both).sigmoid()
        return (1 - z) * hidden + z * self.convq(torch.cat([r * hidden, x], dim=1)).tanh()


class _FlowHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 128, 3, padding=1)
        self.conv2 = nn.Conv2d(128, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x).relu())


class _Update(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.gru, self.flow_head = _MotionEncoder(), _Gru(), _FlowHead()

    def forward(
        self, hidden: Tensor, context: Tensor, found: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        hidden = self.gru(hidden, torch.cat([context, self.encoder(flow, found)], dim=1))
        return hidden, self.flow_head(hidden)
