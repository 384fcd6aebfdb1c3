"""Where the surface that one frame shows lies in another, some turn away: by features that agree.

Flow follows what turns by a few degrees. Beyond that, and after a time out of sight, features are
found again (SIFT). Each match tells how its surroundings are turned and scaled, and those that say
so of each other hang together: a group. A smooth field through a group's matches tells roughly
where the rest of the surface lies, and flow refines it. Where several groups reach, of a head and
its shoulders, or of a pattern that repeats, the picture has to decide (`alike`).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import local_contrast, pixel_grid

FEATURES = 1500
CONTRAST = 0.01
"""of features; OpenCV's own .04 leaves few on skin and cloth"""
DISTINCT = 0.9
"""times as near as the next best a match has to be; what is wrong has no others to agree with"""
AROUND = 0.35
"""sides of the surface (root of its area) within which matches are asked for each other"""
OFF, OFF_PX = 0.25, 3.0
"""how far one may lie from where another expects it: by their distance, and pixels beside"""
LEAST_AGREEING = 3
"""others that a match of a group has to agree with"""
LEAST_GROUP = 6
"""matches of a group; fewer may agree by chance"""
MOST_GROUPS = 4
LEAST_SMOOTH = 8
"""matches from which on a field bends; fewer tell an affine motion"""
SMOOTHING = 1e-3
TAKEN_IN = 0.04
"""sides by which a match may lie off a group's field to be taken into it"""
ROUNDS = 6
GRID = 8
"""pixels between the places at which a field is asked"""
COARSEST = 3
"""scale that flow begins at, as a field is nearly right: what is behind the surface misleads it"""
PATCH = 7
"""pixels across, of the surroundings that are compared"""
NOWHERE = -1e4
"""place of what no picture shows; nothing is told between such a one and another"""
FLAT = 60.0
"""variance of local contrast below which surroundings show nothing that could differ"""


@dataclass(frozen=True)
class Features:
    """Points of a surface in a frame."""

    places: np.ndarray  # float64 [P, 2], (x, y)
    sizes: np.ndarray  # float64 [P]
    angles: np.ndarray  # float64 [P], radians
    words: np.ndarray  # float32 [P, 128]

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Group:
    """Matches that agree with each other."""

    start: np.ndarray  # float64 [n, 2], in the one frame
    end: np.ndarray  # float64 [n, 2], in the other

    @property
    def back(self) -> "Group":
        """The same from the other frame to the one."""
        return Group(self.end, self.start)


def features_of(picture: np.ndarray, own: np.ndarray) -> Features:  # uint8, bool [H, W]
    """The features of what is `own` of the luma `picture`."""
    sift = cv2.SIFT.create(FEATURES, contrastThreshold=CONTRAST)
    keys, words = sift.detectAndCompute(picture, own.astype(np.uint8))
    if words is None:
        words = np.zeros((0, 128), np.float32)
    table = np.array([[*key.pt, key.size, np.deg2rad(key.angle)] for key in keys]).reshape(-1, 4)
    return Features(table[:, :2], table[:, 2], table[:, 3], words)


def matched_groups(one: Features, other: Features, side: float) -> list[Group]:
    """Groups of matches of two frames, the largest first; `side` is the surface's, in pixels."""
    if min(len(one), len(other)) < LEAST_GROUP:
        return []
    pairs = cv2.BFMatcher().knnMatch(one.words, other.words, k=2)
    good = [a for a, *rest in pairs if rest and a.distance < DISTINCT * rest[0].distance]
    start, end = ([getattr(m, k) for m in good] for k in ("queryIdx", "trainIdx"))
    places = np.hstack([one.places[start], other.places[end]]).reshape(-1, 4)
    _, once = np.unique(places.round(), axis=0, return_index=True)  # one place has two angles
    if len(once) < LEAST_GROUP:
        return []
    a, b = np.array(start)[once], np.array(end)[once]
    first, second = one.places[a], other.places[b]
    turn, scale = other.angles[b] - one.angles[a], other.sizes[b] / one.sizes[a]
    found = _agreeing(first, second, turn, scale, side)
    return [Group(first[k], second[k]) for k in found[:MOST_GROUPS]]


def _agreeing(
    first: np.ndarray, second: np.ndarray, turn: np.ndarray, scale: np.ndarray, side: float
) -> list[np.ndarray]:
    """Of matches [n, 2] with how each turns and scales its surroundings [n]: groups' numbers."""
    apart, real = first[None] - first[:, None], second[None] - second[:, None]
    cos, sin = (np.cos(turn) * scale)[:, None], (np.sin(turn) * scale)[:, None]
    x, y = apart[..., 0], apart[..., 1]
    expected = np.stack([cos * x - sin * y, sin * x + cos * y], -1)
    distance = np.linalg.norm(apart, axis=-1)
    off = np.linalg.norm(expected - real, axis=-1)
    agree = (off < OFF_PX + OFF * distance) & (distance < AROUND * side) & (distance > 1)
    agree &= agree.T
    while True:
        kept = agree.sum(1) >= LEAST_AGREEING
        fewer = agree & kept[:, None] & kept
        if (fewer == agree).all():
            break
        agree = fewer
    count, labels = connected_components(coo_matrix(agree), directed=False)
    groups = [np.flatnonzero((labels == k) & kept) for k in range(count)]
    return sorted((g for g in groups if len(g) >= LEAST_GROUP), key=len, reverse=True)


def field_of(
    group: Group, others: list[Group], side: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:  # float32 [H, W, 2], [n, 2]
    """Where in the one frame each pixel of the other lies, of `size` (H, W), by a group's matches.

    Also the places in the other of the matches that tell it: those of `others` that fit are taken
    in, and those of the group that don't are left out.
    """
    start = np.concatenate([group.start, *(o.start for o in others)])
    end = np.concatenate([group.end, *(o.end for o in others)])
    taken = np.arange(len(start)) < len(group.start)
    field = _smooth(start[taken], end[taken], side)
    for _ in range(ROUNDS):
        off = np.linalg.norm(field(end) - start, axis=1)
        fitting = off < TAKEN_IN * side
        if fitting.sum() < LEAST_GROUP or (fitting == taken).all():
            break
        taken = fitting
        field = _smooth(start[taken], end[taken], side)
    height, width = size
    rows, columns = -(-height // GRID) + 1, -(-width // GRID) + 1
    grid = pixel_grid(rows, columns).reshape(-1, 2) * GRID
    coarse = field(grid).reshape(rows, columns, 2).astype(np.float32)
    return cv2.remap(coarse, pixel_grid(height, width) / GRID, None, cv2.INTER_LINEAR), end[taken]


def _smooth(start: np.ndarray, end: np.ndarray, side: float):
    """A function from places in the other frame to places in the one [n, 2]."""
    if len(start) >= LEAST_SMOOTH:
        spline = RBFInterpolator(
            end / side, start, smoothing=SMOOTHING * len(start), kernel="thin_plate_spline"
        )
        return lambda places: spline(places / side)
    ground = np.column_stack([end, np.ones(len(end))])
    matrix = np.linalg.lstsq(ground, start, rcond=None)[0]
    return lambda places: np.column_stack([places, np.ones(len(places))]) @ matrix


def refined(
    picture: np.ndarray, target: np.ndarray, place: np.ndarray, shared: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A field that is nearly right, corrected by flow: float32 [H, W, 2].

    `picture` uint8 [h, w] as the field `place` shows it is compared with `target` [H, W]. Also
    where the flow holds, bool [H, W], and how alike both are there, -1 to 1. `shared`, bool [H, W],
    is where both show the surface: what is beside it moves otherwise, and does not count.
    """
    shown = cv2.remap(picture, place, None, cv2.INTER_LINEAR)
    if shared is not None:
        shown = np.where(shared, shown, target)
    flow = dis()
    flow.setCoarsestScale(COARSEST)
    back, forth = flow.calc(target, shown, None), flow.calc(shown, target, None)
    grid = pixel_grid(*target.shape)
    better = cv2.remap(place, grid + back, None, cv2.INTER_LINEAR)
    known = (place > NOWHERE / 2).all(-1).astype(np.float32)
    known = cv2.remap(known, grid + back, None, cv2.INTER_LINEAR) > 0.999
    shown = cv2.remap(picture, better, None, cv2.INTER_LINEAR)
    return better, consistent(back, forth) & known, alike(shown, target)


def alike(picture: np.ndarray, other: np.ndarray) -> np.ndarray:  # float32 [H, W]
    """Correlation of the local contrast around each pixel of two pictures uint8 [H, W].

    It is 1 where neither shows anything.
    """
    return Looks(picture).alike(Looks(other))


class Looks:
    """The local contrast of a picture uint8 [H, W], to be compared with several others'."""

    def __init__(self, picture: np.ndarray) -> None:
        self._contrast = local_contrast(picture).astype(np.float32) - 128
        self._mean = _around(self._contrast)
        self._spread = _around(self._contrast**2) - self._mean**2

    @property
    def spread(self) -> np.ndarray:  # float32 [H, W]
        """Variance of the local contrast around each pixel."""
        return self._spread

    def alike(self, other: "Looks") -> np.ndarray:  # float32 [H, W]
        """As the function has it."""
        both = _around(self._contrast * other._contrast) - self._mean * other._mean
        spread = self._spread * other._spread
        return (both + FLAT) / (np.sqrt(np.maximum(spread, 0)) + FLAT)


def _around(values: np.ndarray) -> np.ndarray:
    return cv2.blur(values, (PATCH, PATCH))
