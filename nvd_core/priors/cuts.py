"""Where one shot ends and another begins: cuts, and fades through an even colour.

Two neighbouring frames of one shot show the same things a little further on: after a shift of the
whole frame and optical flow, most of one is found in the other, by its local contrast, so that
light may change. Of two shots nothing is found. That alone would also tell of a camera that is
swung faster than can be followed, and of a flash; but a cut is one pair of frames amidst pairs that
are alike, and behind a flash the shot goes on. Where several pairs in a row are unlike, the colours
decide: they change at once at a cut, and little by little while the camera turns.

Of a dissolve every pair of frames is alike: those are found as mixtures (see `dissolves`).
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

from nvd_core.priors.dissolves import find_mixed
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.runtime.frame_threads import in_order, single_opencv

LONGEST = 160
"""pixels along the longer side at which frames are compared"""
ALIKE = 0.35
"""share of a frame that is found in the next, below which the two may be of two shots"""
SAME = 0.5
"""share that says that frames before and behind a flash are of one shot"""
ALONE = 0.5
"""a cut has less than this share of what the pairs beside it have"""
COLOURS, JUMP = 0.4, 3.0
"""share of the colours that changes at a cut, and how many times that of the pairs around"""
AROUND = 4
"""pairs to either side whose colours count"""
BEYOND = 3
"""frames that a flash may take"""
FADING = 6
"""frames before and behind even ones that a fade may take"""
EVEN = 0.02
"""share of a frame with contrast, below which it is even: black, white, or a plain colour"""
IN_MEMORY = 1 << 25
"""bytes of what is kept of frames, beyond which it is kept on disk"""
_BINS = 8, 16, 16  # of the lightness and the two colours of Lab
_BLUR, _NOISE = 2.5, 1.0  # pixels; squared contrast in 1/255 that says nothing
_CONTRAST = 4.0  # squared, in 1/255, that counts
_CORRELATED, _CONSISTENT_PX = 0.5, 1.0
_NARROWEST = 32  # pixels of the overlap that flow is asked of


@dataclass(frozen=True)
class Cut:
    """A place between two shots, in frames of the clip from 0."""

    frame: int
    """the first frame of the new shot"""
    kind: Literal["cut", "fade", "dissolve"] = "cut"
    even: tuple[int, int] | None = None
    """first and last of the frames of neither shot: without a picture, or mixed of both"""


@dataclass(frozen=True)
class Seen:
    """What is kept of a frame to compare it with others: small, and with the colours counted."""

    luma: np.ndarray  # uint8 [h, w]
    colours: np.ndarray  # float32 [8, 16, 16], shares
    even: bool

    @classmethod
    def of(cls, frame: np.ndarray) -> "Seen":
        """`frame`: uint8 [H, W, 3], display-encoded."""
        factor = LONGEST / max(frame.shape[:2])
        if factor < 1:
            size = [max(round(side * factor), 1) for side in frame.shape[1::-1]]
            frame = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
        frame = np.ascontiguousarray(frame)
        luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
        counts = cv2.calcHist([lab], [0, 1, 2], None, [*_BINS], [0, 256] * 3)
        contrast = _local_contrast(luma)
        even = bool((_mean(contrast * contrast) > _CONTRAST).mean() < EVEN)
        return cls(luma, (counts / counts.sum()).astype(np.float32), even)


class _Kept(Sequence[Seen]):
    """What is kept of the frames: of a long clip, 22 kB a frame, on disk."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (`close` is below)
        self._size: tuple[int, ...] = ()
        self.even: list[bool] = []

    def append(self, seen: Seen) -> None:
        self._size = seen.luma.shape
        self._file.seek(0, os.SEEK_END)
        self._file.write(seen.luma.tobytes() + seen.colours.tobytes())
        self.even.append(seen.even)

    def __len__(self) -> int:
        return len(self.even)

    def __getitem__(self, t):
        t = range(len(self))[t]
        shown = int(np.prod(self._size))
        whole = shown + 4 * int(np.prod(_BINS))
        self._file.seek(t * whole)
        data = self._file.read(whole)
        luma = np.frombuffer(data, np.uint8, shown).reshape(self._size)
        colours = np.frombuffer(data, np.float32, offset=shown).reshape(_BINS)
        return Seen(luma, colours, self.even[t])

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True)
class _Pair:
    alike: float
    colours: float  # share that changed


def find_cuts(
    frames: Iterable[np.ndarray], progress: Callable[[int], None] | None = None
) -> list[Cut]:
    """The cuts of a clip, in order; `frames` are uint8 [H, W, 3], read once.

    `progress` is told how many frames were seen.
    """
    pairs: list[_Pair] = []
    last: Seen | None = None
    with (
        single_opencv(),
        closing(_Kept()) as seen,
        closing(in_order(Seen.of, frames)) as all_seen,
    ):
        for frame in all_seen:
            if last is not None:
                pairs.append(_compared(last, frame))
            seen.append(frame)
            last = frame
            if progress:
                progress(len(seen))
        return _cuts(seen, pairs)


def _cuts(seen: _Kept, pairs: Sequence[_Pair]) -> list[Cut]:
    fades = [(first, last) for first, last in _runs(seen.even)]
    faded = {t for first, last in fades for t in range(first - FADING, last + FADING)}
    found = [cut for first, last in fades if (cut := _fade(seen, first, last))]
    unlike = [pair.alike < ALIKE and t not in faded for t, pair in enumerate(pairs)]
    for first, last in _runs(unlike):
        cut = _cut(seen, pairs, first, last)
        if cut is not None:
            found.append(Cut(cut + 1))
    found += _dissolves(seen, found)
    return sorted(found, key=lambda cut: cut.frame)


def _dissolves(seen: Sequence[Seen], found: Sequence[Cut]) -> list[Cut]:
    """Those that are none of the cuts and fades that were found."""
    dissolves = []
    for first, last in find_mixed(frame.luma for frame in seen):
        one, other = seen[first - 1], seen[last + 1]
        known = any(first - FADING <= cut.frame <= last + FADING for cut in found)
        if known or one.even or other.even or _compared(one, other).alike >= ALIKE:
            continue
        dissolves.append(Cut((first + last) // 2 + 1, "dissolve", (first, last)))
    return dissolves


def _cut(seen: Sequence[Seen], pairs: Sequence[_Pair], first: int, last: int) -> int | None:
    """Which of the pairs `first` to `last`, all unlike, is a cut; None: none of them."""
    if _goes_on(seen, first, last + 1):
        return None
    if first == last:
        beside = [pairs[t].alike for t in (first - 1, first + 1) if 0 <= t < len(pairs)]
        alone = pairs[first].alike < ALONE * min(beside, default=1.0)
        return first if alone else None
    at = max(range(first, last + 1), key=lambda t: pairs[t].colours)
    others = [*range(max(at - AROUND, 0), at), *range(at + 1, min(at + AROUND + 1, len(pairs)))]
    usual = float(np.median([pairs[t].colours for t in others])) if others else 0.0
    return at if pairs[at].colours > max(COLOURS, JUMP * usual) else None


def _goes_on(seen: Sequence[Seen], before: int, after: int) -> bool:
    """Whether a few frames up to `before` show what a few from `after` on show: a flash between.

    The flash may end at `before`, or begin at `after`.
    """
    return any(
        _compared(seen[a], seen[b]).alike >= SAME
        for a in range(before, max(before - BEYOND - 1, -1), -1)
        for b in range(after, min(after + BEYOND, len(seen)))
        if (a, b) != (before, after) or after - before > 1
    )


def _fade(seen: Sequence[Seen], first: int, last: int) -> Cut | None:
    """The fade whose even frames are `first` to `last`; None where the shot goes on behind them."""
    if first == 0 or last == len(seen) - 1:
        return None
    before = range(max(first - FADING, 0), first)
    after = range(last + 1, min(last + 1 + FADING, len(seen)))
    alike = (_compared(seen[a], seen[b]).alike for a in before for b in after)
    if any(share >= ALIKE for share in alike):
        return None
    return Cut(last + 1, "fade", (first, last))


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last of the runs of true."""
    padded = np.diff(np.array([False, *flags, False]).astype(np.int8))
    firsts, ends = np.flatnonzero(padded == 1), np.flatnonzero(padded == -1)
    return [(int(first), int(end) - 1) for first, end in zip(firsts, ends, strict=True)]


def _compared(one: Seen, other: Seen) -> _Pair:
    changed = 1 - float(np.minimum(one.colours, other.colours).sum())
    alike = _found_in(one.luma, other.luma)
    if alike < SAME:
        overlap = _overlap(one.luma, other.luma)
        alike = max(alike, _found_in(*overlap)) if overlap else alike
    return _Pair(alike, changed)


def _found_in(one: np.ndarray, other: np.ndarray) -> float:
    """Share of what has contrast in `one` [h, w] that is found in `other`, 0 to 1."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = one.shape
    if min(height, width) < 16:  # DIS has no patch that small
        return 1.0
    there, back = dis.calc(one, other, None), dis.calc(other, one, None)
    place = pixel_grid(height, width) + there
    warp = partial(cv2.remap, map1=place, map2=None, interpolation=cv2.INTER_LINEAR)
    inside = ((place >= 0) & (place <= [width - 1, height - 1])).all(-1)
    consistent = np.linalg.norm(there + warp(back), axis=-1) < _CONSISTENT_PX
    a, b = _local_contrast(one), _local_contrast(warp(other))
    of_a, of_b = _mean(a * a), _mean(b * b)
    correlation = _mean(a * b) / np.sqrt((of_a + _NOISE) * (of_b + _NOISE))
    counts = inside & (np.maximum(of_a, of_b) > _CONTRAST)
    if not counts.any():
        return 0.0 if (of_a > _CONTRAST).any() or (of_b > _CONTRAST).any() else 1.0
    return float((consistent & (correlation > _CORRELATED))[counts].mean())


def _overlap(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """What both frames show if one is the other shifted; None where that is too little."""
    height, width = one.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(_local_contrast(one), _local_contrast(other), window)
    x, y = round(x), round(y)
    if min(width - abs(x), height - abs(y)) < _NARROWEST or (x, y) == (0, 0):
        return None
    here = one[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
    there = other[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)]
    return np.ascontiguousarray(here), np.ascontiguousarray(there)


def _local_contrast(luma: np.ndarray) -> np.ndarray:
    values = luma.astype(np.float32)
    return values - _mean(values)


def _mean(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), _BLUR)


def shots_between(cuts: Sequence[Cut], frames: int) -> list[tuple[int, int]]:
    """First and last frame of each shot of a clip of `frames` frames."""
    return [(a, b - 1) for a, b in pairwise([0, *(cut.frame for cut in cuts), frames])]
