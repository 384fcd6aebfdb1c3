"""Drawn masks carried through the clip, both ways, along the flow.

From the drawn frame outwards, each frame asks the drawn one and the last few which of its pixels
are the object's (`mask_votes`). Where little there looks alike, and so where something comes into
view, two more witnesses are heard: whether a pixel moves with the object or with the background,
and whether its colour was seen in the object or around it. Then neighbours of like colours agree.
What can be doubted gets a lower weight: where the flow is not consistent, near the edge, and the
more so the farther from the drawn frame.

What passes behind another object is carried whole: where that object stands, and where it has just
left, the flow tells nothing, and the mask goes along the object's own motion (affine).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.colour_model import Colours
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.mask_canvas import around, look_up
from nvd_core.priors.mask_edge import settled, sharp, snapped
from nvd_core.priors.mask_memory import Memory
from nvd_core.priors.mask_votes import Looks
from nvd_core.priors.motion_fit import apply, fit_pair
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    FRAMES,
    MASK_WEIGHT,
    MASKS,
    open_array,
)

LONGEST = 640
"""Masks are carried at this many pixels along the longer side at most."""
BAND = 0.012
"""Half-width of the band in which colour may move the edge of what was lost, of the longer side."""
LOST_PER_FRAME = 0.985
"""Confidence that is left after one more frame from the drawn one."""
LOST_INCONSISTENT = 0.7
"""Confidence that is left where the flow of a step is not consistent."""
PRIOR, COLOUR, MOTION = 3.0, 2.0, 1.0
"""How much the carried mask, the colour and the motion count, in log odds."""
CARRIED = 1.0
"""How much the mask that the flow brings counts where the votes are few and the flow consistent."""
UNASKED = 0.3
"""What the votes' share counts where hardly any were given."""
FOUND_AGAIN = 0.5
"""Confidence in what was lost and is found by its looks, or not."""
CUT = 0.6
"""Share of the cut along the picture's edges in the mask of what was lost and is found."""
FRINGE = 3
"""Pixels around what stands in front in which the flow is its own, not that of what is behind."""
LEAST_WEIGHT = 24
"""A carried mask is never believed less than this, of 255."""


def propagate_masks(
    work: Path,
    keys: dict[int, list[int]],
    progress: Progress,
    *,
    sure: bool = True,
    arrays: tuple[str, str] = (MASKS, MASK_WEIGHT),
) -> dict[int, list[int]]:
    """Fill masks.npy and mask_weight.npy in place for objects drawn on some frames.

    `keys` has the drawn frames of every such object's number, rising; those frames' masks must
    stand in masks.npy. What lies between two of them is carried from both sides, and counts the
    more the nearer it is. Objects in front are carried first, so that those behind know what hides
    them. An interrupted run starts again from the drawn frames. These are `sure`, or are believed
    as mask_weight.npy has it. `arrays`: names of two others in their place.

    Returns the frames in which each object was lost and looked for: they need someone's eye.
    """
    work = Path(work)
    clip = CarriedClip(work, arrays)
    steps = {n: sum(map(len, _runs(drawn, clip.count))) for n, drawn in keys.items()}
    progress.stage("carrying masks", max(1, sum(steps.values())))
    done = 0
    lost: dict[int, set[int]] = {n: set() for n in keys}
    for layer, drawn in sorted(keys.items()):
        for key in drawn if sure else ():
            clip.weights[layer, key] = 255
        for run in _runs(drawn, clip.count):
            for looked_for in _carry(clip, layer, run, set(drawn)):
                lost[layer] |= set() if looked_for is None else {looked_for}
                done += 1
                progress.update(done)
    clip.masks.flush()
    clip.weights.flush()
    return {n: sorted(frames) for n, frames in lost.items()}


def _runs(drawn: list[int], count: int) -> list[range]:
    """The frames to carry to, forwards from each drawn frame, then backwards from each."""
    ends = [-1, *drawn, count]
    forwards = [range(a + 1, b) for a, b in pairwise(ends[1:])]
    return forwards + [range(b - 1, a, -1) for a, b in pairwise(ends[:-1])]


def _carry(clip: "CarriedClip", layer: int, frames: range, drawn: set[int]) -> Iterator[int | None]:
    """Carry a mask through `frames`, from the drawn frame before them; yields after each, the frame
    where the object had to be looked for.

    Backwards to another drawn frame it meets what was carried forwards from there.
    """
    if not frames:
        return
    direction = frames.step
    key, other = frames[0] - direction, frames[-1] + direction
    meets = direction < 0 and other in drawn
    mask = clip.small(clip.masks[layer, key])
    confidence = np.ones_like(mask)
    frame = clip.frame(key)
    colours, memory = Colours(frame, mask), Memory(frame, mask)
    motion, looks = Motion(), Looks(frame, mask, clip.hidden(layer, key))
    for t in frames:
        frame = clip.frame(t)
        hidden = clip.hidden(layer, t - direction), clip.hidden(layer, t)
        motion = clip.motion(mask, hidden[0], t, direction, motion)
        looks.move(motion.stiff, motion.behind)
        mask, confidence = clip.step(mask, confidence, colours, looks, t, direction, hidden, motion)
        carried = mask
        mask, confidence = _found_again(frame, memory, colours, mask, confidence, hidden[1])
        remembered = looks.add if mask is carried else looks.found
        remembered(frame, mask, hidden[1])
        seen, trust = mask * (1 - hidden[1]), confidence
        if meets:
            near = abs(t - other) / abs(key - other)  # 1 at the frame that this comes from
            seen, trust = _met(clip, layer, t, seen, trust, near)
        clip.store(layer, t, seen, trust)
        yield None if mask is carried else t


def _found_again(
    frame: np.ndarray,
    memory: Memory,
    colours: Colours,
    mask: np.ndarray,
    confidence: np.ndarray,
    hidden: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and confidence as they were carried, or, of an object that was lost, as it was found."""
    if (mask * hidden).sum() > 0.05 * mask.sum():
        return mask, confidence  # a known object is in front, and the mask is whole
    if not memory.is_lost(mask):
        memory.seen(frame, mask)
        return mask, confidence
    coloured = colours.power() * colours.odds(frame)
    found = memory.find(frame, coloured / 3)
    if found.any():
        odds = PRIOR * (2 * found - 1) + COLOUR * coloured
        band = max(3, round(BAND * max(mask.shape)))
        found = snapped(frame, found, 1 / (1 + np.exp(-odds)), band, CUT)
    return found, np.minimum(confidence, FOUND_AGAIN)


def _met(
    clip: "CarriedClip", layer: int, t: int, mask: np.ndarray, confidence: np.ndarray, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and confidence of frame t, from this and from what stands there from the other side."""
    there, trust = clip.small(clip.masks[layer, t]), clip.small(clip.weights[layer, t])
    here, away = near * confidence + 1e-3, (1 - near) * trust + 1e-3
    met = sharp((here * mask + away * there) / (here + away))
    agree = 1 - 0.5 * np.abs(mask - there)
    return met, agree * np.maximum(confidence, trust)


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

    def moving(self, t: int, direction: int, mask: np.ndarray) -> np.ndarray:
        """Log odds that pixels of frame t move with the object, by the flow back and onwards.

        What the object has just uncovered has no match in the frame before, but has one in the
        next.
        """
        odds = moving_along(*self.flow_from(t, -direction), mask)
        if 0 <= t + direction < self.count:
            odds += moving_along(*self.flow_from(t, direction), mask)
        return np.clip(odds, -2, 2)

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

    def step(
        self,
        mask: np.ndarray,
        confidence: np.ndarray,
        colours: "Colours",
        looks: Looks,
        t: int,
        direction: int,
        hidden: tuple[np.ndarray, np.ndarray],
        motion: "Motion",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mask and confidence of frame t from those of frame t - direction.

        `hidden` is what stands in front in both frames, `motion` how the object moves. The mask is
        whole: what is hidden is part of it.
        """
        flow, ok = self.flow_from(t, -direction)
        place = self.grid + flow
        blind = _blind(hidden, place)
        along = apply(np.linalg.inv(motion.own), self.grid.reshape(-1, 2)).reshape(place.shape)
        place = np.where(blind[..., None] > 0, along, place).astype(np.float32)
        ok = np.where(blind > 0, np.float32(1), ok)
        whole = look_up(mask, place)
        confidence = look_up(confidence, place) * LOST_PER_FRAME
        confidence *= LOST_INCONSISTENT + (1 - LOST_INCONSISTENT) * ok
        frame = self.frame(t)
        moving = np.where(blind > 0, 0, self.moving(t, direction, whole * (1 - hidden[1])))
        others = COLOUR * colours.power() * colours.odds(frame) + MOTION * moving
        others += CARRIED * (2 * whole - 1) * ok
        mask = _decided(frame, looks, whole, others, blind)
        covered = hidden[1] > 0.5
        mask = np.where(covered, whole, mask)
        colours.learn(frame, np.where(covered, 0.5, mask), mask)
        return mask, confidence

    def store(self, layer: int, t: int, mask: np.ndarray, confidence: np.ndarray) -> None:
        """Write frame t at full size; the weight falls towards the edge of the mask."""
        edge = 1 - 2 * np.abs(cv2.GaussianBlur(mask, (0, 0), 1.5) - 0.5)
        weight = np.maximum(confidence * (1 - 0.7 * edge) * 255, LEAST_WEIGHT)
        full = (self.width, self.height)
        self.masks[layer, t] = np.rint(255 * cv2.resize(mask, full)).astype(np.uint8)
        self.weights[layer, t] = cv2.resize(weight, full).astype(np.uint8)
        release(self.frames, self.masks, self.weights, *self.flows, self.ok)


def _decided(
    frame: np.ndarray, looks: Looks, carried: np.ndarray, others: np.ndarray, blind: np.ndarray
) -> np.ndarray:  # float32 [h, w]
    """The mask of a frame, by the votes of its `looks` and, where these tell little, the log odds
    of the `others`; where it is `blind` the `carried` mask takes the votes' place."""
    canvas = around(carried)
    if canvas is None:
        return np.zeros_like(carried)
    share, trust, lab = looks.votes(frame, canvas)
    share = np.clip(share, 0.02, 0.98)
    odds = np.log(share / (1 - share)) * (UNASKED + (1 - UNASKED) * trust)
    odds += (1 - trust) * canvas.take(others)
    if blind.any():
        there = canvas.take(blind) > 0.5
        odds = np.where(there, PRIOR * (2 * canvas.take(carried) - 1) + canvas.take(others), odds)
    return canvas.put(sharp(settled(lab, odds)))


def _blind(hidden: tuple[np.ndarray, np.ndarray], place: np.ndarray) -> np.ndarray:
    """Where the flow tells nothing of an object, 0 or 1 [h, w]: something in front is or was there.

    `place` is where each pixel was in the frame before, whose cover is the first of `hidden`.
    """
    if not max(cover.max() for cover in hidden):
        return np.zeros(place.shape[:2], np.uint8)
    before = np.maximum(hidden[0], look_up(hidden[0], place))
    cover = (np.maximum(before, hidden[1]) > 0.2).astype(np.uint8)
    return cv2.dilate(cover, np.ones((2 * FRINGE + 1, 2 * FRINGE + 1), np.uint8))


def moving_along(
    flow: np.ndarray,  # [h, w, 2]
    ok: np.ndarray,  # [h, w]
    mask: np.ndarray,  # [h, w]
) -> np.ndarray:  # float32 [h, w]
    """Log odds that a pixel moves with the object and not with the background, -2 to 2."""
    height, width = mask.shape
    points = pixel_grid(height, width)[::4, ::4].reshape(-1, 2).astype(np.float64)
    moved = points + flow[::4, ::4].reshape(-1, 2)
    inside, trusted = mask[::4, ::4].ravel(), ok[::4, ::4].ravel() > 0.5
    errors = []
    for model, chosen in (("affine", inside > 0.6), ("homography", inside < 0.1)):
        chosen = chosen & trusted
        fit = fit_pair(model, points[chosen], moved[chosen], 1.0)
        if fit is None:
            return np.zeros_like(mask)
        grid = pixel_grid(height, width).reshape(-1, 2)
        gap = apply(fit, grid).reshape(height, width, 2) - grid.reshape(height, width, 2) - flow
        errors.append(np.minimum(np.sum(gap**2, axis=-1), 16))
    return (np.clip(errors[1] - errors[0], -2, 2) * ok).astype(np.float32)
