"""Drawing the points of a training step from the memory-mapped clip and its priors.

Points lie anywhere in the clip. The points of many steps are drawn at once and looked up frame by
frame, so that `work/` is read from one end to the other and need not fit into memory.
"""

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nvd_core.runtime.devices import to_device
from nvd_core.runtime.mapped_arrays import release
from nvd_core.training.error_map import ErrorMap
from nvd_core.work import ClipData

POINTS_AHEAD = 1 << 20
"""points that are looked up in one pass over the clip, at about 40 bytes each"""
REDRAWN = 16
"""how often points that fall into the garbage matte are drawn anew"""


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


class PointSource(Protocol):
    """Where points are looked up other than in the mapped arrays: see `gpu_clip.GpuClip`."""

    def points(self, places: "Places") -> Points:
        """What the clip and the priors know at these places."""
        ...


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
        steps: int = 0,
        gpu_clip: "PointSource | None" = None,
        share_by_error: float = 0.0,
    ) -> None:
        """`steps` is how many the training has: none after the last is read ahead.

        `gpu_clip` holds the arrays of `data` on the device; without, they are read from disk.
        Of the points that are not drawn in masks, `share_by_error` are drawn where `learn` was told
        of large errors.
        """
        self.data = data
        self.gpu_clip = gpu_clip
        self.points = points
        objects = [boxes for boxes in data.boxes if len(boxes)]
        self.boxes = objects
        self.in_masks = round(points * share_in_masks) if objects else 0
        self.matches = round(points * flow_share)
        self.by_error = int((points - self.in_masks) * share_by_error)  # some stay uniform
        self.error_map = None
        if self.by_error:
            self.error_map = ErrorMap(data.shape, steps)
        self.seed = seed
        self.device = device
        self.steps = steps
        self._ahead = range(0)
        self._places: list[Places] = []
        self._last: Places
        self._seen: _Seen

    def draw(self, step: int) -> Points:
        """The points of a step."""
        if self.error_map:
            self.error_map.before(step)
        if self.gpu_clip:
            self._last = self._drawn(step)
            return self.gpu_clip.points(self._last)
        if step not in self._ahead:
            self._read_ahead(step)
        number = step - self._ahead.start
        places, seen = self._places[number], self._seen.of_step(number, self.points)
        self._last = places
        t, matches = places.t, slice(self.matches)
        xy = np.stack([places.x, places.y], -1).astype(np.float32)
        colours = seen.colours.astype(np.float32) / 255
        return Points(
            xy=self._tensor(xy),
            t=self._tensor(t),
            colour=self._tensor(colours[:, 0]),
            colour_right=self._tensor(colours[:, 1]),
            colour_below=self._tensor(colours[:, 2]),
            masks=self._tensor(seen.masks.astype(np.float32) / 255),
            mask_weight=self._tensor(seen.mask_weight.astype(np.float32) / 255),
            match_xy=self._tensor(xy[matches] + seen.flow[matches].astype(np.float32)),
            match_t=self._tensor(np.where(places.backward, t[matches] - 1, t[matches] + 1)),
            match_valid=self._tensor(seen.flow_ok[matches].astype(np.float32)),
            uniform=self._tensor(places.uniform),
        )

    def learn(self, errors: Tensor) -> None:
        """Take in the squared errors [P] at the points that were drawn last."""
        if self.error_map:
            self.error_map.add((self._last.t, self._last.x, self._last.y), errors)

    def _read_ahead(self, step: int) -> None:
        """Draw and look up the points of `step` and of those after it."""
        ahead = max(POINTS_AHEAD // self.points, 1)
        if self.error_map:  # as far as the present map is good for
            ahead = min(ahead, self.error_map.block - step % self.error_map.block)
        last = min(step + ahead, self.steps)
        self._ahead = range(step, max(last, step + 1))
        self._places = [self._drawn(step) for step in self._ahead]
        self._seen = _look_up(self.data, self._places)

    def _drawn(self, step: int) -> "Places":
        """The places of a step, in an order of which the first are a fair sample."""
        random = np.random.default_rng((self.seed, step))
        t, x, y = self._places_of(random)
        order = np.argsort(t, kind="stable")[random.permutation(self.points)]
        t, x, y = t[order], x[order], y[order]
        matched = t[: self.matches]
        backward = random.random(len(matched)) < 0.5
        last = self.data.shape[0] - 1
        backward = np.where(matched == 0, False, np.where(matched == last, True, backward))
        return Places(t, x, y, order >= self.in_masks + self.by_error, backward)

    def _places_of(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames and pixels outside the garbage; the first `in_masks` within the objects' boxes."""
        places = self._places_anywhere(random)
        if self.data.garbage is None:
            return places
        bad = self.data.touches_garbage(*places)
        for _ in range(REDRAWN):
            if not bad.any():
                break
            for kept, other in zip(places, self._places_anywhere(random), strict=True):
                kept[bad] = other[bad]
            bad = self.data.touches_garbage(*places)
        if bad.any() and not bad.all():  # an object that the matte covers
            others = random.choice(np.flatnonzero(~bad), np.count_nonzero(bad))
            for kept in places:
                kept[bad] = kept[others]
        return places

    def _places_anywhere(
        self, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames and pixels; first `in_masks` within the objects' boxes, then those by error."""
        frames, height, width = self.data.shape
        t = random.integers(0, frames, self.points)
        x = random.integers(0, width - 1, self.points)
        y = random.integers(0, height - 1, self.points)
        drawn = self.error_map and self.error_map.draw(self.by_error, random)
        if drawn:
            part = slice(self.in_masks, self.in_masks + self.by_error)
            t[part], x[part], y[part] = drawn
        parts = np.array_split(np.arange(self.in_masks), max(len(self.boxes), 1))
        for part, boxes in zip(parts, self.boxes, strict=False):
            box = boxes[random.integers(0, len(boxes), len(part))]
            t[part] = box[:, 0]
            x[part] = box[:, 1] + random.random(len(part)) * (box[:, 3] - box[:, 1])
            y[part] = box[:, 2] + random.random(len(part)) * (box[:, 4] - box[:, 2])
        return t, x.clip(0, width - 2), y.clip(0, height - 2)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return to_device(array, self.device)


@dataclass
class Places:
    """Where the points of one step lie."""

    t: np.ndarray  # int64 [P]
    x: np.ndarray  # int64 [P]
    y: np.ndarray  # int64 [P]
    uniform: np.ndarray  # bool [P], true for those drawn uniformly
    backward: np.ndarray  # bool [F], whether the match is in the frame before


@dataclass
class _Seen:
    """What the clip and the priors have at the points of several steps, one after another."""

    colours: np.ndarray  # uint8 [n, 3, 3] at the point, right of it and below
    masks: np.ndarray  # uint8 [n, N]
    mask_weight: np.ndarray  # uint8 [n, N]
    flow: np.ndarray  # float16 [n, 2], of those with a match
    flow_ok: np.ndarray  # uint8 [n]

    def of_step(self, number: int, points: int) -> "_Seen":
        """The part of one step."""
        part = slice(number * points, (number + 1) * points)
        return _Seen(*(getattr(self, field.name)[part] for field in fields(self)))


def _look_up(data: ClipData, places: list[Places]) -> _Seen:
    """Look up the points of several steps, frame by frame."""
    t, x, y = (np.concatenate([getattr(p, name) for p in places]) for name in "txy")
    count, objects = len(t), len(data.masks)
    direction = np.full(count, -1, np.int8)  # of the match: 0 forward, 1 backward, -1 none
    for start, step in zip(range(0, count, len(places[0].t)), places, strict=True):
        direction[start : start + len(step.backward)] = step.backward
    seen = _Seen(
        np.empty((count, 3, 3), np.uint8),
        np.empty((count, objects), np.uint8),
        np.empty((count, objects), np.uint8),
        np.empty((count, 2), np.float16),
        np.empty(count, np.uint8),
    )
    order = np.argsort(t, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(t[order])) + 1):
        frame, column, row = t[here[0]], x[here], y[here]
        image = data.frames[frame]
        for k, (dx, dy) in enumerate(((0, 0), (1, 0), (0, 1))):
            seen.colours[here, k] = image[row + dy, column + dx]
        seen.masks[here] = data.masks[:, frame, row, column].T
        seen.mask_weight[here] = data.mask_weight[:, frame, row, column].T
        for way in (0, 1):
            matched = here[direction[here] == way]
            at = data.flow_pixels(y[matched], x[matched])
            if len(matched):
                seen.flow[matched] = data.flow[way][frame - way][at]
                seen.flow_ok[matched] = data.flow_ok[way, frame - way][at]
        release(*data.arrays)
    return seen
