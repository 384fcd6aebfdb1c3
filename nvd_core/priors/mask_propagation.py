"""Drawn masks carried through the clip, both ways, along the flow.

From the drawn frame outwards each object goes from frame to frame (`carried_object`). Between two
drawn frames what comes from both sides meets. What can be doubted gets a lower weight: where the
flow is not consistent, near the edge, and the more so the farther from the drawn frame.

What passes behind another object is carried whole: where that object stands, and where it has just
left, the flow tells nothing, and the mask goes along the object's own motion (affine).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from nvd_core.priors.carried_clip import CarriedClip
from nvd_core.priors.carried_object import CarriedObject
from nvd_core.priors.mask_edge import sharp
from nvd_core.priors.mask_votes import OthersLooks
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

    A drawn frame with an empty mask says that the object is gone: it is lost there, and looked for
    on its far side by its looks in the drawn frames that show it. What lets something through all
    over is carried as if it did not, and stored as it was drawn.

    Returns the frames in which each object was lost and looked for, or is in doubt: they need
    someone's eye.
    """
    work = Path(work)
    clip = CarriedClip(work, arrays)
    told = {n: _Drawn.of(clip, n, drawn) for n, drawn in keys.items()}
    steps = sum(len(run) for drawn in told.values() for run in drawn.runs(clip.count))
    progress.stage("carrying masks", max(1, steps))
    done = 0
    lost: dict[int, set[int]] = {n: set() for n in keys}
    for layers in _together(told):
        for layer in layers:
            for key in keys[layer] if sure else ():
                clip.weights[layer, key] = 255
        for direction in (1, -1):
            for layer, looked_for in _carry(clip, layers, direction, told):
                lost[layer] |= set() if looked_for is None else {looked_for}
                done += 1
                progress.update(done)
    clip.masks.flush()
    clip.weights.flush()
    return {n: sorted(frames) for n, frames in lost.items()}


@dataclass
class _Drawn:
    """The drawn frames of an object, rising: those that show it, and those where it is gone."""

    shown: list[int]
    gone: list[int]
    fullest: float  # the most that any is drawn at, 0 to 1
    small: float  # the same at the working size: less of what is thinner than a pixel of that

    @classmethod
    def of(cls, clip: CarriedClip, layer: int, drawn: list[int]) -> "_Drawn":
        """What stands in the clip's masks; all frames show an object that no frame shows."""
        most = {t: float(clip.small(clip.masks[layer, t]).max()) for t in drawn}
        small = max(most.values(), default=0.0)
        if not small:
            return cls(drawn, [], 1.0, 1.0)
        shown = [t for t in drawn if most[t] > 0.5 * small]
        fullest = max(int(clip.masks[layer, t].max()) for t in shown) / 255
        return cls(shown, [t for t in drawn if t not in shown], fullest, small)

    def runs(self, count: int) -> list[range]:
        """The frames to carry to, forwards from each frame that shows it, then backwards from each.

        Both ways lead to the next such frame; but if it is gone between the two, only to where it
        is, from both sides: to the middle one, if it is in several.
        """
        ends = [-1, *self.shown, count]
        forwards, backwards = [], []
        for a, b in pairwise(ends):
            between = [t for t in self.gone if a < t < b and a >= 0 and b < count]
            middle = min(between, key=lambda t: abs(2 * t - a - b), default=None)
            forwards.append(range(a + 1, b if middle is None else middle))
            backwards.append(range(b - 1, a if middle is None else middle, -1))
        return forwards[1:] + backwards[:-1]


def _together(told: dict[int, _Drawn]) -> list[list[int]]:
    """The objects, front to back; those beside each other that start from the same frame go along
    together, unless they are gone in others."""
    groups: list[list[int]] = []
    for layer in sorted(told):
        drawn = told[layer]
        alike = groups and told[groups[-1][0]]
        if alike and (alike.shown[0], alike.gone) == (drawn.shown[0], drawn.gone):
            same = not drawn.gone or len(alike.shown) == len(drawn.shown) == 1
        else:
            same = False
        if same:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _carry(
    clip: CarriedClip, layers: list[int], direction: int, told: dict[int, _Drawn]
) -> Iterator[tuple[int, int | None]]:
    """Carry the masks of `layers` through the clip, from each of their drawn frames in a
    `direction`, 1 or -1; yields after each the layer and the frame if the object had to be looked
    for there.

    While one of them is on its way the others go along from where they are known, and have a say in
    what looks like them. Backwards to another drawn frame each meets what was carried forwards from
    there. Frames where it was drawn as gone stay as drawn.
    """
    every = {n: [run for run in told[n].runs(clip.count) if run] for n in layers}
    starts = {
        n: {run[0] - direction: run for run in runs if run.step == direction}
        for n, runs in every.items()
    }
    on_its_way: dict[int, range] = {}
    carried: dict[int, CarriedObject] = {}
    for t in range(clip.count)[::direction]:
        for one in carried.values():
            one.leave(t)
        looks = {n: one.looks() for n, one in carried.items()}
        for n, one in carried.items():
            others = [theirs for m, theirs in looks.items() if m != n]
            if t in on_its_way.get(n, ()):
                yield n, _arrived(clip, n, on_its_way[n], t, one, others, told[n])
            else:
                one.arrive(t, clip.hidden(n, t), others=others)
        on_its_way = {n: run for n, run in on_its_way.items() if run[-1] != t}
        on_its_way |= {n: starts[n][t] for n in layers if t in starts[n]}
        known = {n for n in layers if t in told[n].shown or (n in carried and on_its_way)}
        if direction < 0:
            known |= {n for n in layers if t > told[n].shown[0] and t not in told[n].gone}
        carried = {
            n: carried[n]
            if n in carried and t not in told[n].shown
            else CarriedObject(clip, n, t, direction, told[n].small)
            for n in layers
            if n in known and on_its_way
        }


def _arrived(
    clip: CarriedClip,
    layer: int,
    run: range,
    t: int,
    carried: CarriedObject,
    others: Sequence[OthersLooks],
    drawn: _Drawn,
) -> int | None:
    """Store the mask of a layer in frame t of a `run`, to which it is `carried`; the frame if the
    object had to be looked for there."""
    key, other = run[0] - run.step, run[-1] + run.step
    hidden, gone = clip.hidden(layer, t), t in drawn.gone
    mask, confidence, lost = carried.arrive(t, hidden, gone, others)
    if gone:
        return None
    seen = mask * (1 - hidden)
    if other < key and other in drawn.shown:
        near = abs(t - other) / abs(key - other)  # 1 at the frame that this comes from
        seen, confidence = _met(clip, layer, t, seen, confidence, near, drawn.fullest)
    clip.store(layer, t, seen, confidence, drawn.fullest)
    return t if lost else None


def _met(
    clip: CarriedClip,
    layer: int,
    t: int,
    mask: np.ndarray,
    confidence: np.ndarray,
    near: float,
    fullest: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Mask and confidence of frame t, from this and from what stands there from the other side."""
    there = np.minimum(clip.small(clip.masks[layer, t]) / fullest, 1)
    trust = clip.small(clip.weights[layer, t])
    here, away = near * confidence + 1e-3, (1 - near) * trust + 1e-3
    met = sharp((here * mask + away * there) / (here + away))
    agree = 1 - 0.5 * np.abs(mask - there)
    return met, agree * np.maximum(confidence, trust)
