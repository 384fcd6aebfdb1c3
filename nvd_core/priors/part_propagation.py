"""Drawn parts of an object carried through the clip together, both ways.

Within the object's own mask each pixel is given to one part, or to the rest (part_shares.py). Of
several frames on which a part is drawn, the nearer counts the more. A frame in which little of a
part is left, or in which it fits badly, needs someone's eye.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.carried_clip import CarriedClip
from nvd_core.priors.colour_model import histogram
from nvd_core.priors.part_pose import Look, blurred
from nvd_core.priors.part_shares import INSIDE, KnownPart, next_shares, without_specks
from nvd_core.runtime.arena import Arena
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import MASKS, PART_MASKS, PART_WEIGHT, open_array

LEFT, SURE, DOUBTFUL, LEAST = 0.4, 0.6, 0.55, 0.01
"""a frame needs an eye where a part has less than this share of its area, its pixels are less sure
than this in the mean, or its look fits worse; or where the drawing shows less than so much of it,
as a share of the object"""


@dataclass
class _Told:
    """What one way through the clip says of a frame, in the box around the object."""

    box: tuple[slice, slice]
    shares: np.ndarray  # uint8 [K + 1, h, w], the rest first
    weights: np.ndarray  # [K + 1], 0: the part is not known on this way
    doubted: np.ndarray  # bool [K + 1]


def propagate_parts(
    work: Path,
    layer: int,
    given: Mapping[int, Sequence[int]],
    progress: Progress,
) -> dict[int, list[int]]:
    """Fill part_masks.npy in place for all parts of an object, front to back.

    `given` has by a part's row the frames in which its mask stands there, rising; masks.npy has the
    object's in all frames. By row, the frames in which the part needs someone's eye.
    """
    clip = _Parts(work, layer, given)
    progress.stage("carrying parts", 2 * clip.count)
    kept: dict[int, _Told] = {}
    arena = Arena(Path(work))
    for t, told in clip.carried(range(clip.count - 1, -1, -1)):
        kept[t] = replace(told, shares=arena.keep(told.shares))
        progress.update(len(kept))
    doubted: dict[int, list[int]] = {row: [] for row in given}
    for t, told in clip.carried(range(clip.count)):
        for row in clip.write(t, told, kept.pop(t)):
            doubted[row].append(t)
        progress.update(clip.count + t + 1)
    clip.masks.flush()
    clip.weights.flush()
    return doubted


class _Parts(CarriedClip):
    """An object with parts in the arrays of `work/`, at the working size."""

    def __init__(self, work: Path, layer: int, given: Mapping[int, Sequence[int]]) -> None:
        super().__init__(work, (PART_MASKS, PART_WEIGHT))
        self._objects, self._layer = open_array(work, MASKS), layer
        self._rows, self._given = list(given), [set(frames) for frames in given.values()]

    def shown(self, t: int) -> np.ndarray:  # bool [h, w]
        """Where frame t shows the object."""
        front = [self.small(self._objects[n, t]) > INSIDE for n in range(self._layer)]
        own = self.small(self._objects[self._layer, t]) > INSIDE
        release(self._objects)
        return own & ~np.any([np.zeros_like(own), *front], axis=0)

    def carried(self, frames: range) -> Iterator[tuple[int, _Told]]:
        """What is known of the parts of each frame on the way through `frames`."""
        known: list[KnownPart | None] = [None] * (len(self._rows) + 1)
        shares = np.zeros((len(known), self.size[1], self.size[0]), np.float32)
        middle = None
        for t in frames:
            shown, frame = self.shown(t), self.frame(t)
            drawn = {
                k: self.small(self.masks[row, t]) * shown
                for k, row in enumerate(self._rows, 1)
                if t in self._given[k - 1]
            }
            before, middle = middle, _middle(shown, middle)
            moved = np.zeros(2) if before is None or middle is None else middle - before
            if any(known) and shown.any():
                flow = self.flow_from(t, -frames.step)
                shares = next_shares(frame, shown, shares, known, flow, moved, set(drawn))
            shares = self._drawn(t, frame, shown, shares, known, drawn)
            yield t, self._told(t, shares, shown, known, drawn)
            release(self.frames, self.masks, *self.flows, self.ok)

    def _drawn(
        self,
        t: int,
        frame: np.ndarray,
        shown: np.ndarray,
        shares: np.ndarray,
        known: list[KnownPart | None],
        drawn: dict[int, np.ndarray],
    ) -> np.ndarray:  # float32 [K + 1, h, w]
        """The shares with what is drawn in the frame, which is what the parts are known by."""
        if not drawn:
            return shares
        free = np.ones_like(shares[0])
        for k, mask in drawn.items():
            shares[k] = mask * free
            free *= 1 - mask
        others = [k for k in range(len(known)) if k not in drawn]
        total = np.maximum(shares[others].sum(0), 1e-6)
        empty = shares[others].sum(0) < 1e-3
        shares[others] *= free / total
        shares[0] = np.where(empty, free, shares[0])
        shares *= shown
        picture = blurred(frame)
        for k in (0, *drawn):
            look = Look.of(picture, shares[k])
            if look is None:
                continue  # drawn where nothing of it shows: what was known of it is kept
            known[k] = KnownPart(histogram(frame, shares[k] > INSIDE), [look], t)
        return shares

    def _told(
        self,
        t: int,
        shares: np.ndarray,
        shown: np.ndarray,
        known: list[KnownPart | None],
        drawn: dict[int, np.ndarray],
    ) -> _Told:
        weights, doubted = np.zeros(len(known)), np.zeros(len(known), bool)
        for k, part in enumerate(known):
            if part is None:
                continue
            weights[k] = 1e6 if k in drawn else 1 / (1 + abs(t - part.drawn))
            own = (shares[k] > INSIDE) & shown
            sure = float(shares[k][own].mean()) if own.any() else 0.0
            area = part.looks[0].area
            few = own.sum() < LEFT * area or area < LEAST * shown.sum()
            doubted[k] = k not in drawn and bool(few or sure < SURE or part.score < DOUBTFUL)
        x, y, wide, high = cv2.boundingRect(shown.astype(np.uint8)) if weights.any() else (0,) * 4
        box = np.s_[y : y + high, x : x + wide]
        return _Told(box, np.rint(255 * shares[:, *box]).astype(np.uint8), weights, doubted)

    def write(self, t: int, *ways: _Told) -> list[int]:
        """Write the parts of frame t by both ways; the rows of those that need an eye."""
        weights = np.array([way.weights for way in ways])  # [2, K + 1]
        share_of_way = weights / np.maximum(weights.sum(0), 1e-9)
        shares = np.zeros((weights.shape[1], self.size[1], self.size[0]), np.float32)
        for share, way in zip(share_of_way, ways, strict=True):
            shares[:, *way.box] += share[:, None, None] * (way.shares / np.float32(255))
        full = self.width, self.height
        large = np.array([cv2.resize(share, full) for share in without_specks(shares)])
        number, better, needs_eye = large.argmax(0), weights.argmax(0), []
        for k, row in enumerate(self._rows, 1):
            if t in self._given[k - 1]:
                continue
            own = (number == k) & (large[k] > 0)
            self.masks[row, t] = np.where(own, np.uint8(255), np.uint8(0))
            self.weights[row, t] = np.rint(255 * large[k].clip(0, 1)).astype(np.uint8)
            unknown = not weights[:, k].any()
            if large.any() and (unknown or ways[better[k]].doubted[k]):
                needs_eye.append(row)
        release(self.masks, self.weights)
        return needs_eye


def _middle(shown: np.ndarray, last: np.ndarray | None) -> np.ndarray | None:
    """The middle (x, y) of the object, or the last one where it is not shown."""
    rows, columns = np.nonzero(shown)
    return np.array([columns.mean(), rows.mean()]) if len(rows) else last
