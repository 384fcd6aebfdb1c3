"""Which of what moves belongs together: points followed through the clip, grouped into objects.

In each frame what moves falls into regions. Two objects that pass each other are one region for a
while, and one object may be in pieces for a while, so no single frame tells. Points of the regions
are followed along the flow, and two of them belong to one object the more, the oftener they lay in
the same region where both were seen. Groups that are never seen together may be one object that was
hidden: their colours tell.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree
from scipy.spatial.distance import squareform

from nvd_core.priors.colour_model import histogram
from nvd_core.priors.flow_size import grey
from nvd_core.priors.motion_evidence import SmallClip
from nvd_core.runtime.mapped_arrays import release

MOVES = 2.0
"""Evidence from which a pixel moves by itself."""
MOST = 6
"""Objects that are found at most: the strongest."""
SMALLEST = 0.002
"""A moving region covers at least this share of the frame where it is largest."""
PIECE = 0.0004
"""Share of the frame below which a region is noise."""
NEAR = 0.008
"""Regions nearer to each other than this, of the longer side, count as one."""
APART = 0.45
"""Share of the frames in which two groups lay in different regions that makes them two objects."""
BUNDLE = 0.3
"""The same for two bundles of tracks to begin with."""
KNOWN = 6
"""Frames times pairs of tracks that two bundles were both seen in, for it to mean anything."""
WEAKEST = 0.12
"""Strength of an object at least, against that of the strongest."""
SEEN = 0.08
"""Share of the clip's frames in which an object moves, at least."""
ALIKE = 0.55
"""Share of the colours that two groups must have in common to be one object seen again."""
FLAT, STRUCTURED = 3.0, 0.3
"""Spread of the greys around a pixel (of 255) from which flow means something there, and the share
of an object where it must: a clear sky follows no camera."""
OVERLAP = 0.4
"""Share of their frames in which they may both be there: one goes behind, the other comes out."""
MOST_TRACKS = 4000


@dataclass
class Track:
    """A point followed from frame `start` on: its places (x, y) and its regions, 0 = none."""

    start: int
    places: list[np.ndarray] = field(default_factory=list)
    regions: list[int] = field(default_factory=list)

    def at(self, t: int) -> np.ndarray | None:
        """Where it is in frame t; None where it is not followed."""
        return self.places[t - self.start] if 0 <= t - self.start < len(self.places) else None


def regions_of(evidence: np.ndarray) -> np.ndarray:  # [h, w] -> int32 [h, w]
    """Regions of what moves, 0 = none; those that nearly touch have one number."""
    smooth = cv2.GaussianBlur(evidence.astype(np.float32), (0, 0), 1.5)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    moving = cv2.morphologyEx((smooth > MOVES).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    side = 2 * round(NEAR * max(moving.shape)) + 1
    near = cv2.dilate(moving, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    labels = cv2.connectedComponents(near)[1] * moving
    areas = np.bincount(labels.ravel())
    large = areas >= PIECE * moving.size
    large[0] = False
    return np.where(large[labels], labels, 0)


def grouped(clip: SmallClip, evidence: np.ndarray, groups: np.ndarray) -> int:
    """Fill `groups` uint8 [T, h, w] with the number of the object that moves there, 0 = none.

    Returns how many there are; the strongest is 1. None where nothing moves by itself: 0.
    """
    for t in range(clip.count):
        groups[t] = np.minimum(regions_of(evidence[t]), 255)
        release(groups, evidence)
    tracks = followed(clip, groups)
    if len(tracks) < 3:
        groups[:] = 0
        return 0
    members = _clusters(tracks, clip.count)
    strengths = np.zeros(members.max() + 1)
    largest, frames, rough = (np.zeros_like(strengths) for _ in range(3))
    total = np.full_like(strengths, 1e-9)
    for t in range(clip.count):
        labels = _assigned(groups[t], tracks, members, t)
        sure = np.clip(evidence[t].astype(np.float32), 0, 12) / 12
        strengths += np.bincount(labels.ravel(), sure.ravel(), len(strengths))
        areas = np.bincount(labels.ravel(), minlength=len(strengths)) / labels.size
        structure = _structure(clip.frame(t)) > FLAT
        rough += np.bincount(labels[structure], minlength=len(strengths)) / labels.size
        total += areas
        largest, frames = np.maximum(largest, areas), frames + (areas > PIECE)
        groups[t] = np.minimum(labels, 255)
        release(groups, evidence)
    strengths[0] = 0
    real = (largest >= SMALLEST) & (frames >= max(2, SEEN * clip.count))
    real &= rough >= STRUCTURED * total
    strengths[~real] = 0
    new = _renumbered(clip, groups, strengths)
    for t in range(clip.count):
        groups[t] = new[groups[t]]
        release(groups)
    return int(new.max())


def followed(clip: SmallClip, regions: np.ndarray) -> list[Track]:
    """Points of the regions, followed forwards as far as the flow agrees with itself."""
    areas = []
    for t in range(clip.count):
        areas.append(int((regions[t] > 0).sum()))
        release(regions)
    spacing = max(5.0, float(np.sqrt(np.mean(areas) / 60)))
    alive: list[Track] = []
    done: list[Track] = []
    for t in range(clip.count):
        labels = np.asarray(regions[t])
        if t and alive:
            alive, ended = _moved(clip, alive, labels, t)
            done += ended
        if len(alive) + len(done) < MOST_TRACKS:
            alive += _seeded(labels, alive, spacing, t)
        release(regions, *clip.arrays)
    return [track for track in done + alive if np.count_nonzero(track.regions) >= 2]


def _moved(
    clip: SmallClip, alive: list[Track], labels: np.ndarray, t: int
) -> tuple[list[Track], list[Track]]:
    """The tracks that go on to frame t, and those that end before it."""
    flow, ok = clip.flow_from(t - 1, 1)
    places = np.array([track.places[-1] for track in alive])
    column, row = np.rint(places).astype(int).T
    moved = places + flow[row, column]
    height, width = labels.shape
    fits = (ok[row, column] > 0.5) & (moved.min(1) >= 0)
    fits &= (moved[:, 0] <= width - 1) & (moved[:, 1] <= height - 1)
    going, ended = [], []
    for track, place, good in zip(alive, moved, fits, strict=True):
        if not good or not any(track.regions[-8:]):
            ended.append(track)
            continue
        track.places.append(place)
        track.regions.append(int(labels[round(place[1]), round(place[0])]))
        going.append(track)
    return going, ended


def _seeded(labels: np.ndarray, alive: list[Track], spacing: float, t: int) -> list[Track]:
    """New tracks where a region has none near."""
    step = round(spacing)
    y, x = np.mgrid[step // 2 : labels.shape[0] : step, step // 2 : labels.shape[1] : step]
    inside = labels[y, x] > 0
    points = np.column_stack([x[inside], y[inside]]).astype(float)
    if alive and len(points):
        points = points[cKDTree([a.places[-1] for a in alive]).query(points)[0] > spacing]
    return [Track(t, [p], [int(labels[int(p[1]), int(p[0])])]) for p in points]


def _clusters(tracks: list[Track], count: int) -> np.ndarray:  # int [n], from 1
    """The group of each track: of those that were seen apart seldom, against all frames in which
    both were seen. Close bundles first, by average linkage; then bundles, the surest first."""
    n = len(tracks)
    together, both = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    table = np.zeros((n, count), np.int32)
    for i, track in enumerate(tracks):
        table[i, track.start : track.start + len(track.regions)] = track.regions
    for column in table.T:
        there = np.flatnonzero(column)
        if len(there):
            square = np.ix_(there, there)
            both[square] += 1
            together[square] += column[there][:, None] == column[there]
    apart = (both - together + 0.5) / (both + 1)  # of those never seen together one half
    np.fill_diagonal(apart, 0)
    near = linkage(squareform(apart, checks=False), "average")
    bundles = fcluster(near, BUNDLE, "distance") - 1
    return _joined(bundles, together, both) + 1


def _joined(bundles: np.ndarray, together: np.ndarray, both: np.ndarray) -> np.ndarray:
    """The number of each track's group, from 0: bundles are joined while two belong together.

    Only pairs of tracks that were seen at the same time have a say.
    """
    count = int(bundles.max()) + 1
    of = np.zeros((len(bundles), count), np.float32)
    of[np.arange(len(bundles)), bundles] = 1
    same, all_of_it = of.T @ together @ of, of.T @ both @ of
    number = np.arange(count)
    while True:
        apart = np.where(all_of_it >= KNOWN, 1 - same / np.maximum(all_of_it, 1), np.inf)
        np.fill_diagonal(apart, np.inf)
        a, b = np.unravel_index(int(apart.argmin()), apart.shape)
        if not apart[a, b] < APART:
            return np.unique(number[bundles], return_inverse=True)[1]
        for table in (same, all_of_it):
            table[a] += table[b]
            table[:, a] += table[:, b]
            table[b] = table[:, b] = 0
        number[number == b] = a


def _assigned(labels: np.ndarray, tracks: list[Track], members: np.ndarray, t: int) -> np.ndarray:
    """The group of each pixel of frame t's regions: that of the nearest track in its region."""
    out = np.zeros(labels.shape, np.int32)
    points, groups, regions = [], [], []
    for track, group in zip(tracks, members, strict=True):
        place = track.at(t)
        if place is not None and track.regions[t - track.start]:
            points.append(place)
            groups.append(group)
            regions.append(track.regions[t - track.start])
    if not points:
        return out
    points, groups, regions = np.array(points), np.array(groups), np.array(regions)
    for region in np.unique(regions):
        own = regions == region
        row, column = np.nonzero(labels == region)
        near = min(3, int(own.sum()))
        found = cKDTree(points[own]).query(np.column_stack([column, row]), near)[1]
        votes = groups[own][found.reshape(len(row), near)]
        nearest = votes[:, 0]
        if near == 3:
            nearest = np.where(votes[:, 1] == votes[:, 2], votes[:, 1], nearest)
        out[row, column] = nearest
    return out


def _structure(frame: np.ndarray) -> np.ndarray:  # uint8 [h, w, 3] -> float32 [h, w]
    """Standard deviation of the greys around each pixel."""
    values = grey(frame).astype(np.float32)
    square, mean = cv2.blur(values * values, (9, 9)), cv2.blur(values, (9, 9))
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _renumbered(clip: SmallClip, groups: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """New numbers by old ones: groups that are one object joined, the strongest first, weak out."""
    new = np.zeros(max(len(strengths), 256), np.uint8)
    order = [int(k) for k in np.argsort(-strengths) if strengths[k] > 0 and k < 256][: 3 * MOST]
    looks = {k: _looks(clip, groups, k) for k in order}
    joined: list[list[int]] = []
    for k in order:
        for family in joined:
            frames = set().union(*(looks[other][1] for other in family))
            common = np.minimum(looks[k][0], looks[family[0]][0]).sum()
            shared = len(frames & looks[k][1])
            if shared <= OVERLAP * min(len(frames), len(looks[k][1])) and common > ALIKE:
                family.append(k)
                break
        else:
            joined.append([k])
    total = [sum(strengths[k] for k in family) for family in joined]
    number = 0
    for index in np.argsort([-value for value in total]):
        if number < MOST and total[index] >= WEAKEST * max(total):
            number += 1
            new[joined[index]] = number
    return new


def _looks(clip: SmallClip, groups: np.ndarray, group: int) -> tuple[np.ndarray, set[int]]:
    """The colours of a group, as a histogram, and the frames in which it is there."""
    frames = []
    for t in range(clip.count):
        if (groups[t] == group).any():
            frames.append(t)
        release(groups)
    total = np.full(1, 1e-9)
    for t in frames[:: max(1, len(frames) // 8)]:
        total = total + histogram(clip.frame(t), groups[t] == group)
        release(groups, *clip.arrays)
    return total / total.sum(), set(frames)
