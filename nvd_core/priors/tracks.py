"""Long tracks of points within a mask: dense flow, chained frame by frame and checked.

A track ends where forward and backward flow disagree or where it leaves the mask, and nothing
joins it to what appears later. New ones begin where none is near.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow_size import at_flow_size, flow_scale
from nvd_core.runtime.mapped_arrays import release
from nvd_core.work import FLOW_BACKWARD, FLOW_FORWARD, FRAMES, open_array

APART = 1 / 160
"""of the flow's longer side: how far apart tracks begin"""
LOST_PX = 1.0
"""pixels of the flow by which forward and backward flow may disagree"""
INSIDE = 127


@dataclass(frozen=True)
class Tracks:
    """N tracks through T frames."""

    points: np.ndarray  # float32 [N, T, 2], pixels of the frames
    seen: np.ndarray  # bool [N, T]; elsewhere a point says nothing

    def __len__(self) -> int:
        return len(self.points)

    def longer_than(self, frames: int) -> "Tracks":
        """Those that are seen in more frames."""
        kept = self.seen.sum(1) > frames
        return Tracks(self.points[kept], self.seen[kept])


def mask_tracks(work: Path, masks: np.ndarray) -> Tracks:
    """Tracks of what `masks`, uint8 [T, H, W], show of one object; `work` has its flow."""
    forward, backward = (open_array(work, name) for name in (FLOW_FORWARD, FLOW_BACKWARD))
    frames = open_array(work, FRAMES)
    size = forward.shape[1:3]
    scale = flow_scale(list(frames.shape[1:3]), size)
    inside = [at_flow_size(mask, size) > INSIDE for mask in masks]

    def step(t: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        there = points + _sampled(forward[t] / scale, points)
        back = there + _sampled(backward[t] / scale, there)
        release(forward, backward)
        return there, np.hypot(*(back - points).T) < LOST_PX

    tracks = chained(inside, step)
    return Tracks(((tracks.points + 0.5) * scale - 0.5).astype(np.float32), tracks.seen)


def chained(inside, step) -> Tracks:
    """Tracks through regions `inside`, bool [h, w] a frame.

    step(t, points [P, 2]) has where the points of frame t are in the next, and which can be told.
    """
    height, width = inside[0].shape
    apart = max(2, round(max(height, width) * APART))
    count = len(inside)
    kept: list[tuple[int, list[np.ndarray]]] = []
    live: list[int] = []
    for t in range(count):
        here = np.array([kept[k][1][-1] for k in live]).reshape(-1, 2)
        for point in _new_points(inside[t], here, apart):
            live.append(len(kept))
            kept.append((t, [point]))
        if t == count - 1 or not live:
            continue
        here = np.array([kept[k][1][-1] for k in live])
        there, told = step(t, here)
        column, row = np.rint(there).astype(int).T
        told &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
        told[told] = inside[t + 1][row[told], column[told]]
        live = [k for k, goes_on in zip(live, told, strict=True) if goes_on]
        for k, point in zip(live, there[told], strict=True):
            kept[k][1].append(point)
    points, seen = np.zeros((len(kept), count, 2), np.float32), np.zeros((len(kept), count), bool)
    for k, (first, run) in enumerate(kept):
        points[k, first : first + len(run)] = run
        seen[k, first : first + len(run)] = True
    return Tracks(points, seen)


def _new_points(inside: np.ndarray, here: np.ndarray, apart: int) -> np.ndarray:
    """Middles of the grid's cells that lie inside and hold none of the points `here`."""
    height, width = inside.shape
    x, y = np.meshgrid(np.arange(apart // 2, width, apart), np.arange(apart // 2, height, apart))
    taken = np.zeros(x.shape, bool)
    column, row = (here // apart).astype(int).T
    taken[row.clip(0, len(x) - 1), column.clip(0, x.shape[1] - 1)] = True
    free = inside[y, x] & ~taken
    return np.stack([x[free], y[free]], -1).astype(np.float64)


def _sampled(flow: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The flow [h, w, 2] at points [P, 2], bilinear."""
    x, y = (np.ascontiguousarray(points[:, k], np.float32)[None] for k in (0, 1))
    found = cv2.remap(flow.astype(np.float32), x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return found[0].astype(np.float64)
