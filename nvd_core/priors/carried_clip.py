"""Frames, flow and masks of a clip at the size at which masks are carried."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.colour_model import Colours
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.mask_search import Sight, residual_motion
from nvd_core.priors.motion_fit import apply, fit_pair
from nvd_core.runtime.mapped_arrays import release
from nvd_core.work import FLOW_BACKWARD, FLOW_FORWARD, FLOW_OK, FRAMES, open_array

LONGEST = 640
"""Masks are carried at this many pixels along the longer side at most."""
FOLLOWS = 2.0
"""Pixels within which what moves with an object follows its motion."""
LEAST_WEIGHT = 24
"""A carried mask is never believed less than this, of 255."""


@dataclass
class Motion:
    """How things move from one frame to the next, [3, 3] each: the object as an affine motion and
    as one that keeps its shape, and the background."""

    own: np.ndarray = field(default_factory=lambda: np.eye(3))
    stiff: np.ndarray = field(default_factory=lambda: np.eye(3))
    behind: np.ndarray = field(default_factory=lambda: np.eye(3))


class CarriedClip:
    """The arrays of `work/`, read at the working size."""

    def __init__(self, work: Path, arrays: tuple[str, str]):
        self.frames = open_array(work, FRAMES)
        self.masks, self.weights = (open_array(work, name, "r+") for name in arrays)
        self.flows = [open_array(work, name) for name in (FLOW_FORWARD, FLOW_BACKWARD)]
        self.ok = open_array(work, FLOW_OK)
        self.count, self.height, self.width = self.frames.shape[:3]
        factor = min(1.0, LONGEST / max(self.height, self.width))
        self.size = (round(self.width * factor), round(self.height * factor))
        self.factor = factor
        self.grid = pixel_grid(self.size[1], self.size[0])
        self._background: dict[tuple[int, int], np.ndarray] = {}

    def small(self, image: np.ndarray) -> np.ndarray:  # uint8 [H, W] -> float32 [h, w]
        """A mask at the working size, 0 to 1."""
        scaled = cv2.resize(np.asarray(image), self.size, interpolation=cv2.INTER_AREA)
        return scaled.astype(np.float32) / 255

    def frame(self, t: int) -> np.ndarray:  # uint8 [h, w, 3]
        """Frame t at the working size."""
        return cv2.resize(self.frames[t], self.size, interpolation=cv2.INTER_AREA)

    def flow_from(self, t: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The flow from frame t to frame t + step (1 or -1) and its consistency, 0 to 1."""
        pair, direction = (t, 0) if step == 1 else (t - 1, 1)
        flow = self.flows[direction][pair].astype(np.float32)
        flow = cv2.resize(flow, self.size, interpolation=cv2.INTER_AREA) * self.factor
        return flow, self.small(self.ok[direction, pair] * np.uint8(255))

    def moving(self, t: int, direction: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log odds that pixels of frame t move with the object and not with the background, and
        that they do so and not in any other way, by the flow back and onwards.

        What the object has just uncovered has no match in the frame before, but has one in the
        next.
        """
        odds = moving_along(*self.flow_from(t, -direction), mask)
        if 0 <= t + direction < self.count:
            onwards = moving_along(*self.flow_from(t, direction), mask)
            odds = odds[0] + onwards[0], odds[1] + onwards[1]
        return np.clip(odds[0], -2, 2), np.clip(odds[1], -2, 2)

    def hidden(self, layer: int, t: int) -> np.ndarray:  # float32 [h, w]
        """Where the objects in front of `layer` stand in frame t, 0 to 1."""
        masks = [self.small(self.masks[n, t]) for n in range(layer)]
        return np.maximum.reduce([np.zeros(self.size[::-1], np.float32), *masks])

    def motion(
        self, mask: np.ndarray, hidden: np.ndarray, t: int, direction: int, last: "Motion"
    ) -> "Motion":
        """How object and background move from frame t - direction to t, by the mask of that
        frame; as they did in the `last` step where that cannot be told."""
        flow, ok = self.flow_from(t - direction, direction)

        def fit(model: str, where: np.ndarray) -> np.ndarray | None:
            points = self.grid[where].astype(np.float64)
            found = fit_pair(model, points, points + flow[where], 1.0)
            sane = found is not None and 0.5 < np.linalg.det(found[:2, :2]) < 2
            return found if sane else None

        trusted = (mask * (1 - hidden) > 0.9) & (ok > 0.5)
        beside = (np.maximum(mask, hidden) < 0.1) & (ok > 0.5)
        beside[np.arange(len(beside)) % 4 > 0] = False
        beside[:, np.arange(beside.shape[1]) % 4 > 0] = False
        own, stiff = fit("affine", trusted), fit("similarity", trusted)
        behind = fit("homography", beside)
        return Motion(
            last.own if own is None else own,
            last.stiff if stiff is None else stiff,
            last.behind if behind is None else behind,
        )

    def background(self, t: int, step: int) -> np.ndarray:  # [3, 3]
        """How most of frame t moves to frame t + step (1 or -1)."""
        if (t, step) not in self._background:
            flow, ok = self.flow_from(t, step)
            points = self.grid[::4, ::4].reshape(-1, 2).astype(np.float64)
            moved = points + flow[::4, ::4].reshape(-1, 2)
            sure = ok[::4, ::4].ravel() > 0.5
            fit = fit_pair("homography", points[sure], moved[sure], 1.0)
            self._background[t, step] = np.eye(3) if fit is None else fit
        return self._background[t, step]

    def sight(self, t: int, direction: int, colours: Colours) -> Sight | None:
        """What is looked at to find a lost object in frame t; None outside of the clip."""
        if not 0 <= t < self.count:
            return None
        onwards = 0 <= t + direction < self.count
        step = direction if onwards else -direction
        flow, ok = self.flow_from(t, step)
        residual = residual_motion(flow, self.background(t, step)) * (1 if onwards else -1)
        frame = self.frame(t)
        odds = colours.power() * colours.odds(frame) / 3
        return Sight(frame, odds, self.background(t - direction, direction), residual, ok)

    def store(
        self, layer: int, t: int, mask: np.ndarray, confidence: np.ndarray, fullest: float = 1.0
    ) -> None:
        """Write frame t at full size; the weight falls towards the edge of the mask, whose 1 is
        stored as `fullest`, 0 to 1."""
        edge = 1 - 2 * np.abs(cv2.GaussianBlur(mask, (0, 0), 1.5) - 0.5)
        weight = np.maximum(confidence * (1 - 0.7 * edge) * 255, LEAST_WEIGHT)
        full = (self.width, self.height)
        self.masks[layer, t] = np.rint(255 * fullest * cv2.resize(mask, full)).astype(np.uint8)
        self.weights[layer, t] = cv2.resize(weight, full).astype(np.uint8)
        release(self.frames, self.masks, self.weights, *self.flows, self.ok)


def moving_along(
    flow: np.ndarray,  # [h, w, 2]
    ok: np.ndarray,  # [h, w]
    mask: np.ndarray,  # [h, w]
) -> tuple[np.ndarray, np.ndarray]:  # float32 [h, w] each
    """Log odds that a pixel moves with the object and not with the background, and that it moves
    with it and not in any other way; -2 to 2, 0 where the flow is not consistent."""
    height, width = mask.shape
    points = pixel_grid(height, width)[::4, ::4].reshape(-1, 2).astype(np.float64)
    moved = points + flow[::4, ::4].reshape(-1, 2)
    inside, trusted = mask[::4, ::4].ravel(), ok[::4, ::4].ravel() > 0.5
    errors = []
    for model, chosen in (("affine", inside > 0.6), ("homography", inside < 0.1)):
        chosen = chosen & trusted
        fit = fit_pair(model, points[chosen], moved[chosen], 1.0)
        if fit is None:
            return np.zeros_like(mask), np.zeros_like(mask)
        grid = pixel_grid(height, width).reshape(-1, 2)
        gap = apply(fit, grid).reshape(height, width, 2) - grid.reshape(height, width, 2) - flow
        errors.append(np.minimum(np.sum(gap**2, axis=-1), 16))
    against = errors[1] - errors[0], FOLLOWS**2 - errors[0]
    one, other = ((np.clip(odds, -2, 2) * ok).astype(np.float32) for odds in against)
    return one, other
