"""Drawn parts of an object carried through the clip together, both ways.

Within the object's own mask each pixel is given to one part, or to the rest: by where the flow
leads from the frame before, by where each part is found as a whole (part_pose.py), and by which
part's colours it has. Of several frames on which a part is drawn, the nearer counts the more. A
frame in which little of a part is left, or in which it fits badly, needs someone's eye.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.colour_model import cells, histogram
from nvd_core.priors.mask_propagation import CarriedClip
from nvd_core.priors.part_pose import Look, blurred, found
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import MASKS, PART_MASKS, PART_WEIGHT, open_array

INSIDE = 0.5
"""of a mask from which a pixel is its"""
PRIOR, COLOUR = 1.0, 1.0
"""how much the place and the colour count, in log odds"""
ANYWHERE = 0.02
"""share of a part's prior where neither its flow nor its pose leads: its colours may say more"""
FOLLOWED = 0.5
"""share of the flow in the prior where it is consistent"""
SMOOTH, ROUNDS = 3.0, 4
"""how much a pixel goes along with its neighbours, and how often that is settled"""
TAKEN = 0.2
"""how much a pixel counts in the search for a part where one that is in front stands"""
SPECK = 0.12
"""share of a part below which a piece of it that lies apart is taken for another's"""
REACH = 0.3
"""of its size: how far a part is looked for from where it is expected"""
LEARNT = 0.05
"""of a frame's colours that a part takes on"""
FITS, FITS_WELL = 0.45, 0.65
"""scores of a look: with the one it tells nothing of where its part is, from the other on all"""
LEFT, SURE, DOUBTFUL, LEAST = 0.4, 0.6, 0.55, 0.01
"""a frame needs an eye where a part has less than this share of its area, its pixels are less sure
than this in the mean, or its look fits worse; or where the drawing shows less than so much of it,
as a share of the object"""


@dataclass
class _Known:
    """A part on its way through the clip."""

    colours: np.ndarray
    looks: list[Look]
    """in the drawn frame, and in the last in which it was seen well"""
    drawn: int
    motion: np.ndarray = field(default_factory=lambda: np.zeros(2))
    """of the last step, beyond the object's"""
    score: float = 1.0

    @property
    def trust(self) -> float:
        """How far it is believed to be where its look fits best, 0 to 1."""
        return float(np.clip((self.score - FITS) / (FITS_WELL - FITS), 0.0, 1.0))


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
    for t, told in clip.carried(range(clip.count - 1, -1, -1)):
        kept[t] = told
        progress.update(len(kept))
    doubted: dict[int, list[int]] = {row: [] for row in given}
    for t, told in clip.carried(range(clip.count)):
        for row in clip.store(t, told, kept.pop(t)):
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
        known: list[_Known | None] = [None] * (len(self._rows) + 1)
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
                shares = _step(frame, shown, shares, known, flow, moved, set(drawn))
            shares = self._drawn(t, frame, shown, shares, known, drawn)
            yield t, self._told(t, shares, shown, known, drawn)
            release(self.frames, self.masks, *self.flows, self.ok)

    def _drawn(
        self,
        t: int,
        frame: np.ndarray,
        shown: np.ndarray,
        shares: np.ndarray,
        known: list[_Known | None],
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
                known[k] = None if k else known[k]
                continue
            known[k] = _Known(histogram(frame, shares[k] > INSIDE), [look], t)
        return shares

    def _told(
        self,
        t: int,
        shares: np.ndarray,
        shown: np.ndarray,
        known: list[_Known | None],
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

    def store(self, t: int, *ways: _Told) -> list[int]:
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
            if ways[better[k]].doubted[k]:
                needs_eye.append(row)
        release(self.masks, self.weights)
        return needs_eye


def _step(
    frame: np.ndarray,
    shown: np.ndarray,
    shares: np.ndarray,
    known: list[_Known | None],
    flow: tuple[np.ndarray, np.ndarray],
    moved: np.ndarray,
    drawn: set[int],
) -> np.ndarray:  # float32 [K + 1, h, w]
    """Each part's share of each pixel, from those of the frame before."""
    height, width = shown.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    led = [cv2.remap(one, x + flow[0][..., 0], y + flow[0][..., 1], cv2.INTER_LINEAR)
           for one in shares]  # fmt: skip
    colours = _colour_odds(frame, known)
    picture = blurred(frame)
    followed = FOLLOWED * flow[1]
    prior = np.full_like(shares, 0)
    free = np.ones_like(shares[0])
    for k in (*range(1, len(known)), 0):  # what is in front hides what is behind
        part = known[k]
        if part is None:
            continue
        if k in drawn:
            continue
        likely = _likely(colours, k, known) * shown * (TAKEN + (1 - TAKEN) * free)
        laid = _laid(part, picture, likely, moved)
        there = followed * led[k] + (1 - followed) * laid
        prior[k] = there * free + ANYWHERE
        free = free * (1 - 0.9 * there)
    odds = PRIOR * np.log(prior + 1e-6) + COLOUR * colours
    odds[[part is None for part in known]] = -50
    new = without_specks(_settled(odds, shown))
    for k, part in enumerate(known):
        if part is not None:
            _learn(part, frame, picture, new[k])
    return new


def _laid(part: _Known, picture, likely, moved) -> np.ndarray:
    """Where the part is as a whole, as that of its looks has it which fits best."""
    best = None
    for look in part.looks:
        expected = look.place + moved + 0.5 * part.motion
        told = found(look, picture, likely, expected, look.turn, REACH * look.size)
        if best is None or told[0] > best[0][0]:
            best = told, look, told[1] - look.place - moved
        look.place, look.turn = told[1], told[2]
    (part.score, _, _), look, part.motion = best
    return look.laid() * part.trust


def _learn(part: _Known, frame: np.ndarray, picture: np.ndarray, share: np.ndarray) -> None:
    """Take on how the part looks in a frame where it is seen well."""
    sure = share > 0.8
    if part.score < FITS_WELL or sure.sum() < max(0.5 * part.looks[0].area, 24):
        return
    part.colours = part.colours + LEARNT * (histogram(frame, sure) - part.colours)
    look = Look.of(picture, share)
    if look is not None:
        part.looks[1:] = [look]


def _colour_odds(frame: np.ndarray, known: list[_Known | None]) -> np.ndarray:
    """Log odds [K + 1, h, w] of each part's colours beside those of all parts together."""
    at = cells(frame)
    mean = np.mean([part.colours for part in known if part is not None], axis=0)
    odds = np.zeros((len(known), *at.shape), np.float32)
    for k, part in enumerate(known):
        if part is not None:
            ratio = np.log((part.colours + 2e-5) / (mean + 2e-5)).clip(-3, 3).astype(np.float32)
            odds[k] = cv2.GaussianBlur(ratio[at], (0, 0), 1.2)
    return odds


def _likely(colours: np.ndarray, k: int, known: list[_Known | None]) -> np.ndarray:
    """How likely a pixel is of part k by its colour, 0 to 1; 1 where no colour tells."""
    there = [n for n, part in enumerate(known) if part is not None]
    powers = np.exp(colours[there])
    return np.exp(colours[k]) / np.maximum(powers.max(0), 1e-6)


def _settled(odds: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Shares [K + 1, h, w] within `shown`, neighbours going along with each other."""
    shares = _softmax(odds) * shown
    inside = np.maximum(cv2.blur(shown.astype(np.float32), (5, 5)), 1e-3)
    for _ in range(ROUNDS):
        around = np.array([cv2.blur(share, (5, 5)) for share in shares]) / inside
        shares = _softmax(odds + SMOOTH * around) * shown
    return shares


def without_specks(shares: np.ndarray) -> np.ndarray:  # [K + 1, h, w], both
    """Shares of which no small piece lies apart from its part: it goes with what is nearest.

    A shoe's colours on the other shoe would be such a piece, and a cell of the texture that reaches
    to it.
    """
    seen = shares.sum(0) > 0
    number = np.where(seen, shares.argmax(0), -1)
    specks = np.zeros_like(seen)
    for k in range(len(shares)):
        count, piece, facts, _ = cv2.connectedComponentsWithStats((number == k).astype(np.uint8))
        areas = facts[1:, cv2.CC_STAT_AREA]
        small = areas < SPECK * areas.sum() if count > 2 else np.zeros(count - 1, bool)
        specks |= np.isin(piece, 1 + np.flatnonzero(small))
    whole = seen & ~specks
    if not specks.any() or not whole.any():
        return shares
    _, nearest = cv2.distanceTransformWithLabels(
        (~whole).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(nearest.max() + 1, np.int64)
    by_label[nearest[whole]] = number[whole]
    out = shares.copy()
    own = by_label[nearest[specks]]
    out[:, specks] = np.arange(len(shares))[:, None] == own
    return out


def _softmax(odds: np.ndarray) -> np.ndarray:
    powers = np.exp(odds - odds.max(0))
    return (powers / powers.sum(0)).astype(np.float32)


def _middle(shown: np.ndarray, last: np.ndarray | None) -> np.ndarray | None:
    """The middle (x, y) of the object, or the last one where it is not shown."""
    rows, columns = np.nonzero(shown)
    return np.array([columns.mean(), rows.mean()]) if len(rows) else last
