"""Where a clip moves by itself: what its flow leaves over once the camera's motion is taken off.

For every pair of neighbours the background's homography is fitted to all consistent flow (RANSAC).
A foot that stands, or an animal that moves slowly, shows nothing from one frame to the next, so
frames farther apart are compared as well, brought onto each other by the background's motion. What
is left over is evidence of something that moves by itself; it is gathered along the flow over
neighbouring frames.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.priors.motion_fit import apply, fit_pair
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.work import FLOW_BACKWARD, FLOW_FORWARD, FLOW_OK, FRAMES, open_array

LONGEST = 480
"""Evidence is gathered at this many pixels along the longer side at most."""
STRIDES = 3, 7
"""Frames apart that are compared, beside neighbours."""
KEPT = 0.85
"""Share of the gathered evidence that goes on to the next frame."""
SLACK = 0.35
"""Pixels (at the longer side of 480) that flow may miss the background's motion by, at least."""
NOISE_70 = 1.74
"""70th percentile by median of the squared length of noise in two dimensions"""
CROWDED = 2.5
"""times as much from which it is no noise: neighbours in three real clips come to 2.2 at most"""
STRONG = 0.15
"""Share of a strong mover's squared motion below which nothing near it counts: flow bleeds."""
BLEEDS = 0.06
"""How near that is, of the longer side."""


class SmallClip:
    """The arrays of `work/`, read at the working size."""

    def __init__(self, work: Path, crowded: bool = False):
        """`crowded`: what moves against the background may fill a third of the picture or more."""
        self.work, self.crowded = work, crowded
        self.frames = open_array(work, FRAMES)
        self.flows = [open_array(work, name) for name in (FLOW_FORWARD, FLOW_BACKWARD)]
        self.ok = open_array(work, FLOW_OK)
        self.count, self.height, self.width = self.frames.shape[:3]
        self.factor = min(1.0, LONGEST / max(self.height, self.width))
        self.size = (round(self.width * self.factor), round(self.height * self.factor))
        self.grid = pixel_grid(self.size[1], self.size[0])

    @property
    def arrays(self) -> list[np.ndarray]:
        """All of them."""
        return [self.frames, *self.flows, self.ok]

    def flow(self, direction: int, pair: int) -> tuple[np.ndarray, np.ndarray]:
        """Forward (0) or backward (1) flow of a pair and its consistency, 0 to 1."""
        flow = self.flows[direction][pair].astype(np.float32)
        ok = self.ok[direction, pair] * np.float32(1)
        flow = cv2.resize(flow, self.size, interpolation=cv2.INTER_AREA) * self.factor
        return flow, cv2.resize(ok, self.size, interpolation=cv2.INTER_AREA)

    def flow_from(self, t: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Flow of frame t in frame t + step (1 or -1) and its consistency."""
        return self.flow(0, t) if step == 1 else self.flow(1, t - 1)

    def frame(self, t: int) -> np.ndarray:
        """Frame t at the working size."""
        return cv2.resize(self.frames[t], self.size, interpolation=cv2.INTER_AREA)

    def from_neighbour(self, image: np.ndarray, t: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """`image` of frame t - step as it lies in frame t, and where the flow is to be trusted."""
        flow, ok = self.flow_from(t, -step)
        return cv2.remap(image, self.grid + flow, None, cv2.INTER_LINEAR), ok


def camera_step(flow: np.ndarray, ok: np.ndarray) -> np.ndarray | None:  # [h, w, 2] -> [3, 3]
    """The homography that most of the flow follows; None where there is none."""
    points = pixel_grid(*ok.shape)[::6, ::6].reshape(-1, 2).astype(np.float64)
    chosen = ok[::6, ::6].ravel() > 0.5
    points, moved = points[chosen], (points + flow[::6, ::6].reshape(-1, 2))[chosen]
    return fit_pair("homography", points, moved, 1.0)


def against_background(flow: np.ndarray, ok: np.ndarray, crowded: bool = False) -> np.ndarray:
    """Evidence (about -1 to 3) that a pixel of flow [h, w, 2] moves by itself; 0 if unknown.

    `crowded`: as `SmallClip` has it.
    """
    height, width = ok.shape
    grid = pixel_grid(height, width)
    fit = camera_step(flow, ok)
    if fit is None:
        return np.zeros((height, width), np.float32)
    gap = apply(fit, grid.reshape(-1, 2)).reshape(grid.shape) - grid - flow
    if not (ok > 0.5).any():
        return np.zeros((height, width), np.float32)
    square = np.sum(gap**2, axis=-1)
    slack = SLACK * max(height, width) / LONGEST
    usual = 6 * usual_square(square[ok > 0.5], crowded)
    typical = np.maximum(STRONG * _around(square * ok), max(slack**2, usual))
    return (np.clip(square / typical - 1, -1, 3) * ok).astype(np.float32)


def usual_square(square: np.ndarray, crowded: bool) -> float:
    """The 70th percentile of what flow misses the background's motion by, squared.

    Where it is `crowded` and far more than noise lies there, as near posts that take a third of the
    picture do, what the median lets expect of noise.
    """
    usual, median = np.percentile(square, [70, 50])
    noise = NOISE_70 * float(median)
    return noise if crowded and usual > CROWDED * noise else float(usual)


def _around(square: np.ndarray) -> np.ndarray:  # [h, w]
    """The strongest motion near each pixel: a slow object far from a fast one counts in full."""
    height, width = square.shape
    size = max(width // 4, 1), max(height // 4, 1)
    small = cv2.resize(square.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    side = 2 * round(BLEEDS * max(height, width) / 4) + 1
    return cv2.resize(cv2.dilate(small, np.ones((side, side), np.uint8)), (width, height))


def gather(clip: SmallClip, scratch: Path, update: Callable[[], None]) -> np.ndarray:
    """Evidence of each pixel of each frame with its neighbours' brought along the flow, float16
    [T, h, w], in a file in the folder `scratch`; above 0 something moves. `update` is called
    `steps(clip)` times."""
    shape = (clip.count, *clip.size[::-1])
    own, evidence, more = (
        new_array(scratch / f"{name}.npy", shape, np.float16)
        for name in ("own", "evidence", "farther")
    )
    cameras = _neighbours(clip, own, update)
    for stride in _strides(clip):
        _farther(clip, cameras, stride, more, update)
        for t in range(clip.count):
            said = (t >= stride) + (t + stride < clip.count)
            own[t] += more[t] / np.float16(max(said, 1))
            more[t] = 0
            release(own, more)
    for order in (range(clip.count), range(clip.count - 1, -1, -1)):
        _along(clip, own, evidence, order, update)
    return evidence


def steps(clip: SmallClip) -> int:
    """How often `gather` says that it is a step on."""
    return 3 * clip.count + sum(clip.count - stride for stride in _strides(clip))


def _strides(clip: SmallClip) -> list[int]:
    return [stride for stride in STRIDES if stride < clip.count]


def _along(
    clip: SmallClip,
    own: np.ndarray,
    evidence: np.ndarray,
    order: range,
    update: Callable[[], None],
) -> None:
    """Add to `evidence` what comes along the flow in one direction, and forwards what is there."""
    running = None
    for t in order:
        if order.step == 1:
            evidence[t] = own[t]
        if running is None:
            running = own[t].astype(np.float32)
        else:
            came, ok = clip.from_neighbour(running, t, order.step)
            carried = KEPT * came * ok
            evidence[t] += carried.astype(np.float16)
            running = own[t] + carried
        running = np.clip(running, -8, 12)
        release(own, evidence, *clip.arrays)
        update()


def _neighbours(clip: SmallClip, own: np.ndarray, update: Callable[[], None]) -> list[np.ndarray]:
    """Evidence from neighbours into `own`; returns the camera's steps t -> t + 1, [3, 3] each."""
    cameras = []
    for t in range(clip.count):
        both = [clip.flow(0, t)] if t < clip.count - 1 else []
        if both:
            step = camera_step(*both[0])
            cameras.append(np.eye(3) if step is None else step)
        both += [clip.flow(1, t - 1)] if t else []
        own[t] = sum(against_background(*one, clip.crowded) for one in both) / len(both)
        release(own, *clip.arrays)
        update()
    return cameras


def _farther(
    clip: SmallClip,
    cameras: list[np.ndarray],
    stride: int,
    more: np.ndarray,
    update: Callable[[], None],
) -> None:
    """Add to `more` what frames `stride` apart show, in both of them."""
    flow_of = dis()
    flow_of.setFinestScale(1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for t in range(clip.count - stride):
        camera = np.eye(3)
        for step in cameras[t : t + stride]:
            camera = step @ camera
        first, second = grey(clip.frame(t)), grey(clip.frame(t + stride))
        brought = cv2.warpPerspective(second, camera, clip.size, flags=flags)
        there, back = flow_of.calc(first, brought, None), flow_of.calc(brought, first, None)
        inside = cv2.warpPerspective(np.full_like(second, 255), camera, clip.size, flags=flags)
        inside = cv2.erode(inside, np.ones((9, 9), np.uint8), borderValue=255) == 255
        trusted = (consistent(there, back) & inside).astype(np.float32)
        more[t] += against_background(there, trusted, clip.crowded).astype(np.float16)
        trusted = (consistent(back, there) & inside).astype(np.float32)
        shown = against_background(
            back, trusted, clip.crowded
        )  # it lies in the first frame's place
        more[t + stride] += cv2.warpPerspective(shown, camera, clip.size).astype(np.float16)
        release(more, *clip.arrays)
        update()
