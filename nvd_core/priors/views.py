"""Whether an object turns, and into which windows in time it falls then: by its tracks.

Points on key frames are followed along the flow, forward and back, as long as it agrees with
itself and the object's mask holds them. Of what only moves and bends most points live on; what
turns takes them out of sight. And the surface of what turns slips along under its outline, all
the time in the same direction, while a limb that swings comes back. Both have to be so, and the
flow has to hold: a fast limb, a mask that breathes or flow that fails is no turn. Where the whole
does not turn, a part of it may (turning_part.py), which is asked in the same way.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from nvd_core.priors.alike import share_alike
from nvd_core.priors.motion_fit import Matches, apply
from nvd_core.priors.motion_matches import MatchedClip, textured_points
from nvd_core.priors.parallax import LOOKED_AT
from nvd_core.priors.turning_part import Outlines, TurningPart, outlines_of, turning_part
from nvd_core.runtime.time_windows import Window
from nvd_core.settings import Settings

LEAST_ALIVE = 0.3
"""share of a key frame's points that another frame still shows, below which it is another view"""
LEAST_SLIP = 0.5
"""how far the surface moves on under the outline, by the root of the object's area"""
LEAST_FOLLOWED = 0.6
"""share of the points that reach the next frame, below which the flow says nothing"""
ALIVE_WITHIN = 0.8
"""share of its key frame's points that every frame of a window shows, where that can be had"""
SHOWN = 0.5
"""share of an object's usual area that a frame shows of it, at which it is taken for hidden"""
LEAST_POINTS = 24
"""of a key frame; fewer say nothing"""
LEAST_MATCHES = 12
"""of two neighbouring frames; fewer tell of no slip"""
FOLLOWED_PX = 1.5
"""pixels of the flow by which it may disagree with itself"""
PLACES = 2**20  # more than there are places across a frame, some of them beyond its edges
MOST_AT_ONCE = 16384
"""points that are looked up at once: OpenCV's images have fewer than 32767 lines"""
LEAST_ALIKE = 0.75
"""share of the points followed around which the picture is the same, below which flow is wrong"""
MOST_KEYS = 48
MOST_VIEWS = 12
FACTS = "alive", "slip", "followed", "alike"
"""of the evidence, in motion.json; and the part's share"""


@dataclass(frozen=True)
class Evidence:
    """What an object's tracks say."""

    alive: float
    """share of points that the worst other frame still shows, of the key frame with most of them"""
    slip: float
    """how far the surface moved on under the outline, by the root of the object's area"""
    followed: float
    """share of the points that reach the next frame"""
    alike: float | None = None
    """share of them around which the picture is the same there; asked where all else says so"""
    turning: TurningPart | None = None
    """what of the object is seen to turn, by which its motion is told; None: all of it"""
    windows: tuple[Window, ...] = ()
    """views that the evidence asks for; empty: one sheet serves"""

    @property
    def denies(self) -> bool:
        """It is seen not to turn; where neither this nor windows, too little is followed to say."""
        return self.alive >= LEAST_ALIVE or self.slip <= LEAST_SLIP

    def facts(self) -> dict[str, float]:
        """For motion.json."""
        named = {name: getattr(self, name) for name in FACTS}
        named["part"] = None if self.turning is None else self.turning.share
        return {name: round(float(value), 3) for name, value in named.items() if value is not None}


def wanted_views(settings: Settings, names: list[str], background: str) -> dict[str, int | None]:
    """How many windows each layer is to have; None: as the evidence says. The background has one
    unless it is named: it is looked at and said whether several would serve better, unless a number
    is given for all.
    """
    windows = settings.windows
    auto = None if settings.mapping.start == "motion" else 1
    looks = LOOKED_AT if auto is None and not isinstance(windows, int) else 1
    by_name = windows if isinstance(windows, dict) else dict.fromkeys(names, windows)
    wanted: dict[str, int | None] = {name: auto for name in names} | {background: looks}
    for name, count in by_name.items():
        wanted[name] = count if isinstance(count, int) else auto
    return wanted


def about_views(name: str, facts: dict[str, float], windows: list[Window]) -> str:
    """What is said of an object for which views were found."""
    frames = ", ".join(f"{first}-{last}" for first, last in windows)
    if facts.get("hidden"):
        return (
            f"{name} is hidden for a while and comes back another side to: {len(windows)} views in "
            f"time (frames {frames}); --windows {name}=1 keeps one picture"
        )
    of_which = f" ({facts['part']:.0%} of it)" if "part" in facts else ""
    return (
        f"{name} turns{of_which}: {len(windows)} views in time (frames {frames}), as some frame "
        f"shows no more than {facts['alive']:.0%} of the points of any other; "
        f"--windows {name}=1 keeps one picture"
    )


def view_evidence(clip: MatchedClip, layer: int, near: list[Matches]) -> Evidence | None:
    """What the tracks of object `layer` say; None where there are too few of them.

    `near` are the matches of each frame with the next.
    """
    outlines = outlines_of(clip, layer)
    areas = outlines.areas
    if np.count_nonzero(areas) < 4:
        return None
    whole = _judged(clip, layer, areas, surface_slip(clip, outlines, near))
    if whole is None:
        return None
    part = turning_part(clip, layer, outlines)
    if whole.windows:
        return replace(whole, turning=part)
    of_part = None if part is None else _judged(clip, layer, areas, part.slip, part)
    return of_part if of_part is not None and of_part.windows else whole


def part_that_turns(clip: MatchedClip, layer: int) -> TurningPart | None:
    """What of an object with views given by hand turns; None: all of it, or nothing is certain."""
    part = turning_part(clip, layer, outlines_of(clip, layer))
    return part if part is not None and share_alike(clip, layer, part) >= LEAST_ALIKE else None


def _judged(
    clip: MatchedClip, layer: int, areas: np.ndarray, slip: float, part: TurningPart | None = None
) -> Evidence | None:
    """What the tracks of the object or its part say, which shows `areas` [T] and slips so far."""
    frames = np.flatnonzero(areas)
    keys = np.unique(frames[np.linspace(0, len(frames) - 1, MOST_KEYS).round().astype(int)])
    shares, followed = alive_tracks(clip, layer, keys, part)
    known = np.flatnonzero(np.isfinite(shares[:, 0]))
    if len(known) < 4:
        return None
    alive = shares[np.ix_(known, keys[known])]
    alive = np.maximum(alive, alive.T)  # a frame that shows a part is seen whole by the other
    gaps = np.cumsum(areas < SHOWN * np.median(areas[frames]))[keys[known]]
    # tracks end at what hides most of it, and where its mask was lost: beyond, nothing is known
    alive[gaps[:, None] != gaps] = 1
    least = float(alive.min(1).max())
    evidence = Evidence(least, slip, followed, turning=part)
    if evidence.denies or followed < LEAST_FOLLOWED:
        return evidence
    evidence = replace(evidence, alike=share_alike(clip, layer, part))
    if evidence.alike < LEAST_ALIKE:
        return evidence
    return replace(evidence, windows=tuple(_windows(alive, keys[known], clip.count)))


def alive_tracks(
    clip: MatchedClip, layer: int, keys: np.ndarray, part: TurningPart | None = None
) -> tuple[np.ndarray, float]:  # float32 [K, T]
    """Share of each key frame's points that each frame still shows; NaN for keys with too few.

    And the share that reaches the next frame, over all of them. Points start within the part.
    """
    counts = np.zeros((len(keys), clip.count), np.float32)
    starts = []
    for k, t in enumerate(keys):
        points = textured_points(clip.grey(t), clip.region(layer, t), clip.cell(layer))
        if part is not None:
            points = points[part.holds(points, t)]
        starts.append(points.astype(np.float32))
        counts[k, t] = len(_apart(points, np.zeros(len(points), int), clip.cell(layer)))
    went, came = 0, 0
    for way in (1, -1):
        points, owner = np.zeros((0, 2), np.float32), np.zeros(0, int)
        for t in range(clip.count - 1) if way > 0 else range(clip.count - 1, 0, -1):
            for k in np.flatnonzero(keys == t):
                points = np.concatenate([points, starts[k]])
                owner = np.concatenate([owner, np.full(len(starts[k]), k)])
            if not len(points):
                continue
            pair, there = (t, 0) if way > 0 else (t - 1, 1)
            flows = clip.flow(pair, there), clip.flow(pair, 1 - there)
            ends, good = _step(clip, layer, points, flows, t + way)
            went, came = went + len(points), came + int(good.sum())
            points, owner = ends[good], owner[good]
            np.add.at(counts[:, t + way], _apart(points, owner, clip.cell(layer)), 1)
            clip.release()
    first = counts[np.arange(len(keys)), keys]
    share = counts / np.maximum(first, 1)[:, None]
    share[first < LEAST_POINTS] = np.nan
    return share, came / max(went, 1)


def _apart(points: np.ndarray, owner: np.ndarray, cell: int) -> np.ndarray:  # int [m]
    """Owners of those points [n, 2] that lie apart: what turns away crowds at the rim, and counts
    once.
    """
    x, y = np.floor(points / max(cell / 2, 1)).astype(np.int64).T + PLACES // 2
    return np.unique((owner * PLACES + y) * PLACES + x) // PLACES**2  # one number sorts fast


def _step(
    clip: MatchedClip, layer: int, points: np.ndarray, flow: tuple, to: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where points [n, 2] lie in frame `to`, and which of them it shows."""
    scale = clip.scale.astype(np.float32)
    ends = points + _at(flow[0], points, scale)
    apart = np.linalg.norm(ends + _at(flow[1], ends, scale) - points, axis=1)
    inside = _at(clip.mask(layer, to), ends) > 100
    return ends, (apart < FOLLOWED_PX) & inside


def _at(field: np.ndarray, points: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """A field [H, W] or [H, W, 2] at places float32 [n, 2], divided by `scale`; 0 beyond it.

    Only what is around the points is read of it.
    """
    size = np.array(field.shape[1::-1])
    left, top = np.clip(np.floor(points.min(0)).astype(int) - 1, 0, size - 1)
    right, bottom = np.clip(np.floor(points.max(0)).astype(int) + 3, 1, size)
    around = np.asarray(field[top:bottom, left:right], np.float32)
    around = around if scale is None else around / scale
    points = points - np.array([left, top], np.float32)
    border = cv2.BORDER_CONSTANT
    found = []
    for part in np.array_split(points, len(points) // MOST_AT_ONCE + 1):
        x, y = (np.ascontiguousarray(part[:, k : k + 1]) for k in (0, 1))
        found.append(cv2.remap(around, x, y, cv2.INTER_LINEAR, borderMode=border)[:, 0])
    return np.concatenate(found)


def surface_slip(clip: MatchedClip, outlines: Outlines, near: list[Matches]) -> float:
    """How far the object's surface moves on under its outline over the clip, across or down, by
    the root of its area. Along an axis on which the frame cuts the outline off nothing is told.
    """
    middles, areas, cut = apply(clip.norm, outlines.middles), outlines.areas, outlines.cut
    path = [np.zeros(2)]
    for match in near:
        moved = np.zeros(2)
        if len(match.start) >= LEAST_MATCHES and areas[match.i] and areas[match.j]:
            surface = np.median(match.end - match.start, axis=0)
            moved = surface - (middles[match.j] - middles[match.i])
            moved[cut[match.i] | cut[match.j]] = 0
        path.append(path[-1] + moved)
    side = np.sqrt(np.median(areas[areas > 0])) * clip.px
    return float(np.ptp(path, axis=0).max() / side)


def _windows(alive: np.ndarray, keys: np.ndarray, frames: int) -> list[Window]:
    """As few windows as keep ALIVE_WITHIN of a key frame's points in each, the worst of them as
    good as can be. `alive` [K, K] among the key frames.
    """
    good = _kept_within(alive)
    most, cuts = -1.0, list[int]()
    for count in range(2, min(MOST_VIEWS, len(keys) // 2) + 1):
        worst, found = _best_cuts(good, count)
        if worst > most:
            most, cuts = worst, found
        if worst >= ALIVE_WITHIN:
            break
    firsts = [0, *(int(keys[cut]) for cut in cuts)]
    return list(zip(firsts, [*(first - 1 for first in firsts[1:]), frames - 1], strict=True))


def _kept_within(alive: np.ndarray) -> np.ndarray:
    """[K, K + 1]: share of points that all key frames from i to j - 1 show, of the best of them."""
    count = len(alive)
    kept = np.zeros((count, count + 1), np.float32)
    for i in range(count):
        for j in range(i + 1, count + 1):
            kept[i, j] = alive[i:j, i:j].min(1).max()
    return kept


def _best_cuts(kept: np.ndarray, count: int) -> tuple[float, list[int]]:
    """Where to cut the key frames into `count` windows so that the worst is best, and how good.

    Each has two key frames or more; of equals the more even cut is taken.
    """
    keys = len(kept)
    lengths = np.arange(keys + 1)
    even = -((lengths - keys / count) ** 2) * 1e-6
    score = np.full((count + 1, keys + 1), -np.inf)
    before = np.zeros((count + 1, keys + 1), int)
    score[0, 0] = 2.0
    for n in range(1, count + 1):
        for j in range(2 * n, keys + 1):
            starts = np.arange(0, j - 1)
            own = np.minimum(score[n - 1, starts], kept[starts, j]) + even[j - starts]
            before[n, j] = starts[own.argmax()]
            score[n, j] = own.max()
    cuts, j = [], keys
    for n in range(count, 0, -1):
        j = int(before[n, j])
        cuts.append(j)
    bounds = [*cuts[::-1], keys]
    worst = min(float(kept[a, b]) for a, b in pairwise(bounds))
    return worst, bounds[1:-1]
