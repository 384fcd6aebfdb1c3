"""Drawing the points of a training step from the memory-mapped clip and its priors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


class ClipData:
    """The arrays of `work/` (docs/architecture.md), memory-mapped and read point by point."""

    def __init__(self, work: Path) -> None:
        def mapped(name: str) -> np.ndarray:
            return np.load(work / name, mmap_mode="r")

        self.frames = mapped("frames.npy")
        self.masks = mapped("masks.npy")
        self.mask_weight = mapped("mask_weight.npy")
        self.flow = (mapped("flow_forward.npy"), mapped("flow_backward.npy"))
        self.flow_ok = mapped("flow_ok.npy")
        self.boxes = mask_boxes(self.masks)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return self.frames.shape[:3]


def mask_boxes(masks: np.ndarray, margin: float = 0.15) -> list[np.ndarray]:
    """Per object, rows (t, x0, y0, x1, y1) of the frames in which it is seen.

    A box is the bounding box of the mask, widened by `margin` of its size plus four pixels.
    """
    _, _, height, width = masks.shape
    boxes = []
    for mask in masks:
        rows = []
        for t, frame in enumerate(mask):
            ys, xs = np.flatnonzero((frame > 127).any(1)), np.flatnonzero((frame > 127).any(0))
            if len(xs) == 0:
                continue
            x0, x1, y0, y1 = xs[0], xs[-1] + 1, ys[0], ys[-1] + 1
            dx, dy = (x1 - x0) * margin + 4, (y1 - y0) * margin + 4
            rows.append(
                (t, max(x0 - dx, 0), max(y0 - dy, 0), min(x1 + dx, width), min(y1 + dy, height))
            )
        boxes.append(np.array(rows).reshape(-1, 5))
    return boxes


@dataclass
class Points:
    """P points p = (x, y, t) with what the clip and the priors know of them."""

    xy: Tensor  # [P, 2] pixels, float
    t: Tensor  # [P] frames, int64
    colour: Tensor  # [P, 3] at p, in [0, 1]
    colour_right: Tensor  # [P, 3] at p + (1, 0)
    colour_below: Tensor  # [P, 3] at p + (0, 1)
    masks: Tensor  # [P, N] coarse masks, 0..1
    mask_weight: Tensor  # [P, N] their weight, 0..1
    match_xy: Tensor  # [F, 2] flow matches of the first F points
    match_t: Tensor  # [F] their frames
    match_valid: Tensor  # [F] 1 where the flow is consistent
    uniform: Tensor  # [P] true for the points drawn uniformly from the whole clip


class Sampler:
    """Draws the points of step i; the same seed and step give the same points."""

    def __init__(
        self,
        data: ClipData,
        points: int,
        share_in_masks: float,
        flow_share: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self.data = data
        self.points = points
        objects = [boxes for boxes in data.boxes if len(boxes)]
        self.boxes = objects
        self.in_masks = round(points * share_in_masks) if objects else 0
        self.matches = round(points * flow_share)
        self.seed = seed
        self.device = device

    def draw(self, step: int) -> Points:
        """The points of a step."""
        random = np.random.default_rng((self.seed, step))
        t, x, y = self._places(random)
        data = self.data
        order = np.argsort(t, kind="stable")  # neighbours on disk are read together
        t, x, y = t[order], x[order], y[order]
        shuffled = random.permutation(self.points)  # so that the first F are a fair sample
        t, x, y, order = t[shuffled], x[shuffled], y[shuffled], order[shuffled]

        def colours(dx: int, dy: int) -> Tensor:
            return self._tensor(data.frames[t, y + dy, x + dx].astype(np.float32) / 255)

        match_xy, match_t, valid = self._flow_matches(
            random, t[: self.matches], x[: self.matches], y[: self.matches]
        )
        return Points(
            xy=self._tensor(np.stack([x, y], -1).astype(np.float32)),
            t=self._tensor(t),
            colour=colours(0, 0),
            colour_right=colours(1, 0),
            colour_below=colours(0, 1),
            masks=self._tensor(data.masks[:, t, y, x].T.astype(np.float32) / 255),
            mask_weight=self._tensor(data.mask_weight[:, t, y, x].T.astype(np.float32) / 255),
            match_xy=self._tensor(match_xy),
            match_t=self._tensor(match_t),
            match_valid=self._tensor(valid),
            uniform=self._tensor(order >= self.in_masks),
        )

    def _places(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames and pixels; the first `in_masks` of them within the objects' boxes."""
        frames, height, width = self.data.shape
        t = random.integers(0, frames, self.points)
        x = random.integers(0, width - 1, self.points)
        y = random.integers(0, height - 1, self.points)
        parts = np.array_split(np.arange(self.in_masks), max(len(self.boxes), 1))
        for part, boxes in zip(parts, self.boxes, strict=False):
            box = boxes[random.integers(0, len(boxes), len(part))]
            t[part] = box[:, 0]
            x[part] = box[:, 1] + random.random(len(part)) * (box[:, 3] - box[:, 1])
            y[part] = box[:, 2] + random.random(len(part)) * (box[:, 4] - box[:, 2])
        return t, x.clip(0, width - 2), y.clip(0, height - 2)

    def _flow_matches(
        self, random: np.random.Generator, t: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Matches in a neighbouring frame, before or after with equal chance."""
        frames = self.data.shape[0]
        backward = random.random(len(t)) < 0.5
        backward = np.where(t == 0, False, np.where(t == frames - 1, True, backward))
        pair = t - backward  # flow between frames `pair` and `pair + 1`
        xy = np.stack([x, y], -1).astype(np.float32)
        valid = np.empty(len(t), np.float32)
        for direction in (0, 1):
            chosen = backward == bool(direction)
            at = (pair[chosen], y[chosen], x[chosen])
            xy[chosen] += self.data.flow[direction][at].astype(np.float32)
            valid[chosen] = self.data.flow_ok[direction][at]
        return xy, np.where(backward, t - 1, t + 1), valid

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
