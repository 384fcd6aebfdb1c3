"""Where each pixel of a surface lies in another frame: what flow, features and a turn say of it.

Every group of features (surface_match.py) is a guess, a turn about the surface's own axis is one
(spun_surface.py), and so is flow, where there is any. Around each pixel
that guess counts under which both frames look alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.spun_surface import (
    LONGEST_SIDE,
    PLAIN,
    Shown,
    Turn,
    spun_places,
    turns_between,
)
from nvd_core.priors.surface_match import (
    Features,
    Group,
    Looks,
    alike,
    features_of,
    field_of,
    matched_groups,
    refined,
)

ALIKE = 0.5
"""correlation from which on the picture agrees with what a group of features says"""
REACH = 0.5
"""sides of the surface (root of its area) from its features beyond which a group says nothing"""
NEAR, SMOOTH = 0.2, 0.12
"""sides by which a group loses weight, and over which it is judged which guess is right"""
OF_A_TURN = 1.3
"""times as much a turn counts: one angle tells all of it, and the picture agrees with few others.
Of a pattern that repeats flow and features may find the neighbour, which agrees as well"""
MARGIN = 16
"""pixels around the surface that flow sees"""


@dataclass(frozen=True)
class Surface:
    """What a frame shows of a layer."""

    picture: np.ndarray  # uint8 [H, W], luma
    own: np.ndarray  # bool [H, W]
    features: Features
    hidden: np.ndarray | None = None
    """where something nearer may hide more of it, bool [H, W]"""

    @property
    def shown(self) -> Shown:
        """The same without its features."""
        return Shown(self.picture, self.own, self.hidden)

    @property
    def side(self) -> float:
        """The root of its area, in pixels."""
        return side_of(self.own)

    @property
    def part(self) -> tuple[slice, slice]:
        """Rows and columns around it."""
        left, top, wide, high = cv2.boundingRect(self.own.astype(np.uint8))
        rows = slice(max(top - MARGIN, 0), min(top + high + MARGIN, self.own.shape[0]))
        return rows, slice(max(left - MARGIN, 0), min(left + wide + MARGIN, self.own.shape[1]))


@dataclass
class _Guess:
    place: np.ndarray  # float32 [h, w, 2]
    seen: np.ndarray  # bool [h, w], where both show the layer there, and it is to be believed
    weight: np.ndarray  # float32 [h, w]


def side_of(own: np.ndarray) -> float:
    """The root of an area, in pixels; 1 where there is none."""
    return max(float(np.sqrt(np.count_nonzero(own))), 1.0)


def surface_of(picture: np.ndarray, own: np.ndarray, hidden: np.ndarray | None = None) -> Surface:
    """A layer in a frame, with its features."""
    return Surface(picture, own, features_of(picture, own), hidden)


def places_of(
    one: Surface,
    other: Surface,
    by_flow: tuple[np.ndarray, np.ndarray] | None = None,
    groups: list[Group] | None = None,
    turns: list[Turn] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where in `one` each pixel of `other` lies, float32 [H, W, 2], and where that is certain.

    `by_flow` is the same by flow. `groups` are those of their features, and `turns` what is seen
    of the surface's turn from `one` to `other`, if they are known.
    """
    place, seen = pixel_grid(*other.own.shape), np.zeros(other.own.shape, bool)
    if by_flow is not None:
        place, seen = by_flow[0].copy(), by_flow[1].copy()
    if not (one.own.any() and other.own.any()):
        return place, seen
    if groups is None:
        groups = matched_groups(one.features, other.features, min(one.side, other.side))
    if turns is None:
        turns = turns_of(one, other)
    part, guesses = other.part, []
    if by_flow is not None:
        shown = cv2.remap(one.picture, place[part], None, cv2.INTER_LINEAR)
        same = alike(shown, np.ascontiguousarray(other.picture[part]))
        sure = seen[part]
        guesses.append(_guess(place[part], sure, sure & (same > ALIKE), same, other.side))
    told = [*_by_features(one, other, groups), *_by_turns(one, other, turns)]
    shows = ~_plain(other) if told else None
    for guess in told:  # of what is plain any place looks right
        guess.weight *= shows
        guess.seen &= shows
    best = _best([*guesses, *told])
    if best is not None:
        place[part], seen[part] = best.place, best.seen
    return place, seen


def _by_features(one: Surface, other: Surface, groups: list[Group]) -> Iterable[_Guess]:
    """What each group says, in the part of `other` that shows the layer."""
    part, side = other.part, other.side
    corner = np.array([part[1].start, part[0].start])
    target = np.ascontiguousarray(other.picture[part])
    at_part = [Group(group.start, group.end - corner) for group in groups]
    own = one.own.astype(np.float32)
    for k, group in enumerate(at_part):
        rest = [another for n, another in enumerate(at_part) if n != k]
        place, told = field_of(group, rest, side, target.shape)
        shared = (cv2.remap(own, place, None, cv2.INTER_LINEAR) > 0.5) & other.own[part]
        place, followed, same = refined(one.picture, target, place, shared)
        free = np.ones(target.shape, np.uint8)
        rows, columns = (told[:, k].round().astype(int) for k in (1, 0))
        free[rows.clip(0, len(free) - 1), columns.clip(0, len(free[0]) - 1)] = 0
        away = cv2.distanceTransform(free, cv2.DIST_L2, 5) / side
        shown = cv2.remap(own, place, None, cv2.INTER_LINEAR) > 0.5
        sure = followed & other.own[part] & shown
        guess = _guess(place, sure, sure & (same > ALIKE) & (away < REACH), same, side)
        guess.weight *= np.exp(-(away**2) / (2 * NEAR**2))
        yield guess


def _plain(surface: Surface) -> np.ndarray:  # bool [h, w]
    """Where its part shows nothing but noise, for as far as guesses are judged."""
    picture = np.ascontiguousarray(surface.picture[surface.part])
    own = surface.own[surface.part].astype(np.float32)
    factor = min(1.0, LONGEST_SIDE / surface.side)  # where most of the noise has gone
    small, on = (cv2.resize(a, None, None, factor, factor, cv2.INTER_AREA) for a in (picture, own))
    sigma = max(SMOOTH * surface.side * factor, 1.0)
    counts = cv2.GaussianBlur(on, (0, 0), sigma)
    shown = Looks(small).spread.clip(0, 2 * PLAIN) * on  # half of what is around has to show it
    mean = cv2.GaussianBlur(shown, (0, 0), sigma) / np.maximum(counts, 1e-3)
    return cv2.resize(mean, picture.shape[::-1], None, 0, 0, cv2.INTER_LINEAR) < PLAIN


def turns_of(one: Surface, other: Surface) -> list[Turn]:
    """How the surface is seen to turn from `one` to `other`."""
    return turns_between(one.shown, other.shown)


def _by_turns(one: Surface, other: Surface, turns: list[Turn]) -> Iterable[_Guess]:
    """What each turn of the surface about its own axis says, in the part of `other`."""
    part = other.part
    target = np.ascontiguousarray(other.picture[part])
    for turn in turns:
        place, shown = spun_places(one.shown, other.shown, turn)
        place = np.ascontiguousarray(place[part])
        place, followed, same = refined(one.picture, target, place, shown[part])
        sure = followed & shown[part]
        guess = _guess(place, sure, sure & (same > ALIKE), same, other.side)
        guess.weight *= OF_A_TURN
        yield guess


def _guess(
    place: np.ndarray, sure: np.ndarray, seen: np.ndarray, same: np.ndarray, side: float
) -> _Guess:
    """A guess that weighs as much as the picture agrees with it around each pixel."""
    agreeing = (same.clip(0, 1) * sure).astype(np.float32)
    weight = cv2.GaussianBlur(agreeing, (0, 0), max(SMOOTH * side, 1.0))
    return _Guess(place.copy(), seen.copy(), weight)


def _best(guesses: list[_Guess]) -> _Guess | None:
    """At each pixel the guess of most weight, the first of equals."""
    if not guesses:
        return None
    best, *others = guesses
    for guess in others:
        better = guess.weight > best.weight
        best.weight[better] = guess.weight[better]
        best.place[better], best.seen[better] = guess.place[better], guess.seen[better]
    return best
