"""Motion blur of what is painted, along the motion of the layers' coordinates.

While the shutter is open a pixel looks at a path on the texture. Where u is a layer's place in a
pixel of frame t, its place at the time t + s is taken to be

    u + s (u_after - u)     for s > 0,      u + s (u - u_before)     for s < 0,

from the maps of the frames before and after, and paint is the mean of what lies at these places
for times spread evenly over the shutter. Alpha and light stay those of frame t: the plate that they
were learned from is blurred already.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.runtime.time_windows import window_of
from nvd_core.shot.finish import MotionBlur
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.part_places import part_numbers
from nvd_core.shot.shot import Shot

NEAREST = 64
"""pixels within which a pixel without motion of its own takes that of another"""


@dataclass
class Around:
    """The maps of a frame, and places and mattes of those before and after it."""

    maps: FrameMaps
    before: np.ndarray | None = None  # float32 [L, H, W, 3]; None before the first frame
    after: np.ndarray | None = None

    def of(self, layers: list[int]) -> "Around":
        """Copies of the layers that have these numbers."""
        maps = self.maps
        own = FrameMaps(maps.uva[layers], maps.residual[layers], maps.added)
        sides = (None if side is None else side[layers] for side in (self.before, self.after))
        return Around(own, *sides)


def iter_around(
    shot: Shot, numbers: Iterable[int], names: list[str], blurs: bool
) -> Generator[Around, None, None]:
    """The maps of the layers `names` of the frames `numbers`, with neighbours where it `blurs`."""
    if not blurs:
        with closing(iter_maps(shot, numbers, names)) as all_maps:
            for maps in all_maps:
                yield Around(maps)
        return
    wanted: list[int] = []
    steps: list[tuple[int, list[int], set[int]]] = []  # frame, to read for it, to keep behind it
    kept: set[int] = set()
    for t in numbers:
        near = [n for n in (t - 1, t, t + 1) if 0 <= n < shot.frames]
        new = [n for n in near if n not in kept]
        wanted += new
        kept = set(near)
        steps.append((t, new, kept))
    known: dict[int, FrameMaps] = {}
    with closing(iter_maps(shot, wanted, names)) as all_maps:
        for t, new, keep in steps:
            known |= {n: next(all_maps) for n in new}
            known = {n: known[n] for n in keep}
            own = known[t]
            copy = FrameMaps(own.uva.copy(), own.residual.copy(), own.added)
            before, after = (_beside(shot, names, known, t, n) for n in (t - 1, t + 1))
            yield Around(copy, before, after)


def _beside(
    shot: Shot, names: list[str], known: dict[int, FrameMaps], t: int, n: int
) -> np.ndarray | None:
    """Places and mattes in frame `n`, None beyond the clip; without the layers of which `n` shows
    another part of the texture: those windows in time tell nothing of the motion.
    """
    if n not in known:
        return None
    uva = known[n].uva
    for number, name in enumerate(names):
        windows = shot.layer(name).windows
        if windows and len(set(window_of(windows, shot.frames)[[n, t]])) > 1:
            uva = uva.copy()
            uva[number, ..., 2] = 0
    return uva


def sample_times(blur: MotionBlur) -> np.ndarray:
    """The times of the samples, float64, in frames from the frame's own."""
    return blur.shutter * ((np.arange(blur.samples) + 0.5) / blur.samples - 0.5)


def steps_of(
    uva: np.ndarray,
    before: np.ndarray | None,
    after: np.ndarray | None,
    parts: Sequence[PartRecord] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """How far a layer's places move to the frame before and after, float32 [H, W, 2] each.

    All [H, W, 3] of one layer. Where the layer does not show in one of the two frames, it is taken
    to move on as it comes from the other; where it shows in neither, as the nearest pixel does.
    Where another of the layer's `parts` is, this one does not show.
    """
    backward, back_known = _step(uva, before, -1, parts)
    forward, known = _step(uva, after, 1, parts)
    first = np.where(back_known[..., None], backward, forward)
    second = np.where(known[..., None], forward, backward)
    _fill(first, second, known | back_known, uva[..., 2] > 0)
    return first, second


def _step(
    uva: np.ndarray, other: np.ndarray | None, sign: int, parts: Sequence[PartRecord]
) -> tuple[np.ndarray, np.ndarray]:
    """The places' motion in a frame's time, and where it is known."""
    if other is None:
        return np.zeros((*uva.shape[:2], 2), np.float32), np.zeros(uva.shape[:2], bool)
    known = (uva[..., 2] > 0) & (other[..., 2] > 0)
    if parts:
        one, two = (part_numbers(parts, side[..., 0], side[..., 1]) for side in (uva, other))
        known &= one == two
    return np.where(known[..., None], sign * (other[..., :2] - uva[..., :2]), 0), known


def _fill(first: np.ndarray, second: np.ndarray, known: np.ndarray, shown: np.ndarray) -> None:
    """Give the pixels without motion that of the nearest; in place."""
    if not known.any() or known.all():
        return
    far, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    empty = ~known & (far <= NEAREST)
    table = np.zeros(labels.max() + 1, np.int64)
    table[labels[known]] = np.flatnonzero(known)
    from_there = table[labels[empty]]
    for step in (first, second):
        step[empty] = step.reshape(-1, 2)[from_there]


def moved(
    uva: np.ndarray,  # float32 [H, W, 3]
    backward: np.ndarray,  # float32 [H, W, 2]
    forward: np.ndarray,
    time: float,
    out: np.ndarray,  # float32 [H, W, 3]
) -> None:
    """The places at `time`, in frames from the frame's own, into `out`; alpha is left there."""
    step = forward if time > 0 else backward
    np.multiply(step, np.float32(time), out=out[..., :2])
    out[..., :2] += uva[..., :2]
