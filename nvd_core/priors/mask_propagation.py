"""Drawn masks carried through the clip, both ways, along the flow.

From the drawn frame outwards each object goes from frame to frame (`carried_object`). Between two
drawn frames what comes from both sides meets. What can be doubted gets a lower weight: where the
flow is not consistent, near the edge, and the more so the farther from the drawn frame.

What passes behind another object is carried whole: where that object stands, and where it has just
left, the flow tells nothing, and the mask goes along the object's own motion (affine).
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from nvd_core.priors.carried_clip import CarriedClip
from nvd_core.priors.carried_object import CarriedObject
from nvd_core.priors.mask_edge import sharp
from nvd_core.runtime.progress import Progress
from nvd_core.work import MASK_WEIGHT, MASKS


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

    Returns the frames in which each object was lost and looked for, or is in doubt: they need
    someone's eye.
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


def _carry(clip: CarriedClip, layer: int, frames: range, drawn: set[int]) -> Iterator[int | None]:
    """Carry a mask through `frames`, from the drawn frame before them; yields after each, the frame
    where the object had to be looked for.

    Backwards to another drawn frame it meets what was carried forwards from there.
    """
    if not frames:
        return
    key, other = frames[0] - frames.step, frames[-1] + frames.step
    meets = frames.step < 0 and other in drawn
    carried = CarriedObject(clip, layer, key, frames.step)
    for t in frames:
        hidden = clip.hidden(layer, t)
        mask, confidence, lost = carried.to(t, hidden)
        seen = mask * (1 - hidden)
        if meets:
            near = abs(t - other) / abs(key - other)  # 1 at the frame that this comes from
            seen, confidence = _met(clip, layer, t, seen, confidence, near)
        clip.store(layer, t, seen, confidence)
        yield t if lost else None


def _met(
    clip: "CarriedClip", layer: int, t: int, mask: np.ndarray, confidence: np.ndarray, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and confidence of frame t, from this and from what stands there from the other side."""
    there, trust = clip.small(clip.masks[layer, t]), clip.small(clip.weights[layer, t])
    here, away = near * confidence + 1e-3, (1 - near) * trust + 1e-3
    met = sharp((here * mask + away * there) / (here + away))
    agree = 1 - 0.5 * np.abs(mask - there)
    return met, agree * np.maximum(confidence, trust)
