"""Where the surface of what turns about its own axis lies after the turn, as its outline tells.

A head, a doll or a pot is nearly round. Then each line of its outline across the axis is a chord of
a circle, and one angle tells where every point of the surface goes: also so far that flow and
features lose it, and where a highlight stands still on it, or a pattern repeats. What is not round
is misplaced by that, so it is a guess only: of the angle the pictures decide, line by line, and of
each place whoever asks (surface_places.py). The axis is taken to stand upright or to lie.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from nvd_core.priors.surface_match import NOWHERE, Looks

WIDEST = 75.0
"""degrees of a turn; farther on little of the surface is left in view"""
STEP, FINER = 5.0, 2.0
"""degrees between the angles that are tried, and about the best of them"""
RIM = 80.0
"""degrees from the middle beyond which a surface is too steep to be seen"""
LONGEST_SIDE = 96
"""pixels of the surface's side (root of its area) at which angles are tried"""
MARGIN = 8
"""pixels around the surface that are compared"""
SMOOTH = 0.08
"""sides over which lines that agree on an angle are gathered"""
LEAST_GAIN = 0.06
"""of the surface, that has to be more alike turned than unturned"""
LEAST_OF_LINE, PLAIN = 0.06, 120.0
"""of a line, likewise, and its mean variance of local contrast: a line has to have one of them for
it to turn. What is plain looks turned as it looks unturned: what a head stands on may not turn.
A pattern that repeats may look so too, and does"""
HIDES = 2
"""pixels from a line's end to what is nearer, within which that may hide more of it"""
CLEARLY, APART = 1.5, 3
"""times as much as by any other angle, so many steps and more away; of another side, or a pattern
that repeats, several angles gain alike"""


@dataclass(frozen=True)
class Chords:
    """An outline, line by line across an axis that stands upright; lines of a picture's rows."""

    middle: np.ndarray  # float64 [H]; NaN where a line does not show it from edge to edge
    half: np.ndarray  # float64 [H]
    top: float | None
    """of the outline; None where the frame cuts it off"""
    bottom: float | None


def chords_of(own: np.ndarray, hidden: np.ndarray | None = None) -> Chords:  # bool [H, W]
    """The chords of an outline. A line that ends at what is `hidden` by something nearer, or at the
    frame's edge, is not seen from edge to edge.
    """
    height, width = own.shape
    middle, half = np.full((2, height), np.nan)
    rows = np.flatnonzero(own.any(1))
    if not len(rows):
        return Chords(middle, half, None, None)
    left = own[rows].argmax(1)
    right = width - 1 - own[rows, ::-1].argmax(1)
    whole = (left > 0) & (right < width - 1)
    near = np.zeros_like(own)
    if hidden is not None and hidden.any():
        near = cv2.dilate(hidden.astype(np.uint8), np.ones((2 * HIDES + 1,) * 2)) > 0
        whole &= ~near[rows, left] & ~near[rows, right]
    middle[rows[whole]] = (left + right)[whole] / 2
    half[rows[whole]] = (right - left)[whole] / 2 + 0.5
    ends = [
        None if row in (0, height - 1) or (near[row] & own[row]).any() else float(row)
        for row in (rows[0], rows[-1])
    ]
    return Chords(middle, half, *ends)


class Spun:
    """The places of a surface in two frames, whatever it turned between them."""

    def __init__(self, one: Chords, other: Chords, width: int) -> None:
        rows = _lines(one, other)
        inside = (rows >= 0) & (rows <= len(one.middle) - 1)
        nearest = rows.round().astype(int).clip(0, len(one.middle) - 1)
        self._middle, self._half = (a[nearest][:, None] for a in (one.middle, one.half))
        with np.errstate(invalid="ignore", divide="ignore"):
            across = (np.arange(width) - other.middle[:, None]) / other.half[:, None]
        shown = (np.abs(across) <= 1) & inside[:, None] & np.isfinite(self._middle)
        self._sine = np.where(shown, across, 0)
        self._cosine = np.sqrt(1 - self._sine**2)
        self._around = np.where(shown, np.degrees(np.arcsin(self._sine)), np.inf)
        self._rows = np.broadcast_to(rows[:, None], across.shape)

    def at(self, angle: float) -> tuple[np.ndarray, np.ndarray]:
        """Where in the one frame each pixel of the other lies, float32 [H, W, 2], and which it
        shows, with the surface turned by `angle` degrees from the one to the other, its front to
        the right.
        """
        turn = np.radians(angle)
        shown = np.abs(self._around - angle) < RIM
        sine = self._sine * np.cos(turn) - self._cosine * np.sin(turn)
        place = np.empty((*shown.shape, 2), np.float32)
        place[..., 0], place[..., 1] = self._middle + self._half * sine, self._rows
        place[~shown] = NOWHERE
        return place, shown


def _lines(one: Chords, other: Chords) -> np.ndarray:  # float64 [H]
    """The one's line that each of the other's shows, as the outlines begin and end."""
    lines = np.arange(len(other.middle), dtype=np.float64)
    ends = [
        (mine, its)
        for mine, its in ((one.top, other.top), (one.bottom, other.bottom))
        if mine is not None and its is not None
    ]
    if len(ends) == 2 and ends[1][1] > ends[0][1]:
        (top, its_top), (bottom, its_bottom) = ends
        return top + (lines - its_top) * (bottom - top) / (its_bottom - its_top)
    return lines + (ends[0][0] - ends[0][1] if ends else 0)


@dataclass(frozen=True)
class Turn:
    """How a surface turns between two frames."""

    lying: bool
    """the axis lies, instead of standing upright"""
    angle: float
    """degrees, the front to the right, or down where the axis lies"""
    lines: tuple[np.ndarray, np.ndarray] | None = field(default=None, compare=False)
    """which lines across the axis are seen to turn, bool [H] of the one frame and of the other, or
    [W] where it lies; None: all"""

    @property
    def back(self) -> "Turn":
        """The same from the other frame to the one."""
        return Turn(self.lying, -self.angle, self.lines and self.lines[::-1])


@dataclass(frozen=True)
class Shown:
    """What a frame shows of a surface."""

    picture: np.ndarray  # uint8 [H, W], luma
    own: np.ndarray  # bool [H, W]
    hidden: np.ndarray | None = None  # bool [H, W], where something nearer may hide more of it

    @property
    def turned(self) -> "Shown":
        """The same with rows for columns."""
        hidden = None if self.hidden is None else self.hidden.T
        return Shown(np.ascontiguousarray(self.picture.T), self.own.T, hidden)

    @property
    def chords(self) -> Chords:
        """Those of its outline."""
        return chords_of(self.own, self.hidden)


def turns_between(one: Shown, other: Shown) -> list[Turn]:
    """How the surface is seen to turn from the one frame to the other: the likeliest, or none."""
    side = float(np.sqrt(min(np.count_nonzero(one.own), np.count_nonzero(other.own))))
    if side < 1:
        return []
    factor = min(1.0, LONGEST_SIDE / side)
    (small, _), (its_small, (top, left)) = (_part(shown, factor) for shown in (one, other))
    tried = []
    for lying in (False, True):
        frames = (small.turned, its_small.turned) if lying else (small, its_small)
        tried.append((*_angle(*frames, side * factor), lying))
    gain, angle, lines, lying = max(tried, key=lambda each: each[0])
    if gain < LEAST_GAIN:
        return []
    frames = (one.turned, other.turned) if lying else (one, other)
    mine, its = (shown.chords for shown in frames)
    count, start = len(its.middle), left if lying else top
    at = ((np.arange(count) - start + 0.5) * factor).astype(int)
    told = lines[at.clip(0, len(lines) - 1)] & (at >= 0) & (at < len(lines))
    of_one = _lines(its, mine).round().astype(int)  # the other's line that each of the one's shows
    told_of_one = told[of_one.clip(0, count - 1)] & (of_one >= 0) & (of_one < count)
    return [Turn(lying, angle, (told_of_one, told))]


def spun_places(one: Shown, other: Shown, turn: Turn) -> tuple[np.ndarray, np.ndarray]:
    """Where in the one frame each pixel of the other lies, float32 [H, W, 2], and which it shows,
    bool [H, W], as both show the surface and it turns so, on the lines that do.
    """
    if turn.lying:
        place, shown = spun_places(one.turned, other.turned, Turn(False, turn.angle, turn.lines))
        return np.ascontiguousarray(place.transpose(1, 0, 2)[..., ::-1]), shown.T
    place, shown = Spun(one.chords, other.chords, other.own.shape[1]).at(turn.angle)
    shown = shown & other.own
    if turn.lines is not None:
        shown &= turn.lines[1][:, None]
    return place, shown


def _angle(one: Shown, other: Shown, side: float) -> tuple[float, float, np.ndarray]:
    """How much of the surface is more alike turned, as a share of it, by which angle it is so
    most, about an upright axis, and on which of the other's lines, bool [h]; 0 where no angle is
    clearly the best. The surface's side is so long.
    """
    spun = Spun(one.chords, other.chords, other.own.shape[1])
    looks, area = Looks(other.picture), max(np.count_nonzero(other.own), 1)
    sigma = max(SMOOTH * side, 1.0)

    def same(place: np.ndarray) -> np.ndarray:
        shown = cv2.remap(one.picture, place, None, cv2.INTER_LINEAR)
        return Looks(shown).alike(looks).clip(0, 1)

    still = same(spun.at(0.0)[0])

    def along(values: np.ndarray) -> np.ndarray:  # [h]
        return cv2.GaussianBlur(values[:, None], (1, 0), 0, None, sigma)[:, 0]

    def by_line(angle: float) -> np.ndarray:
        place, shown = spun.at(angle)
        more = (same(place) - still) * (shown & other.own)
        return along(more.sum(1))

    def gain(angle: float) -> float:
        return float(np.maximum(by_line(angle), 0).sum()) / area

    angles = np.arange(-WIDEST, WIDEST + STEP / 2, STEP)
    gains = np.array([gain(angle) for angle in angles])
    number = int(gains.argmax())
    most, best = float(gains[number]), float(angles[number])
    others = gains[np.abs(np.arange(len(angles)) - number) >= APART]
    if most < CLEARLY * others.max():
        return 0.0, best, np.zeros(len(other.own), bool)
    about = ((gain(angle), angle) for angle in (best - FINER, best + FINER))
    most, best = max((most, best), *about)
    widths = np.maximum(along(other.own.sum(1).astype(np.float64)), 1)
    shows = along((looks.spread.clip(0, 2 * PLAIN) * other.own).sum(1)) > PLAIN * widths
    return most, best, shows | (by_line(best) > LEAST_OF_LINE * widths)


def _part(shown: Shown, factor: float) -> tuple[Shown, tuple[int, int]]:
    """What is around the surface, smaller by a factor, and its first row and column."""
    left, top, wide, high = cv2.boundingRect(shown.own.astype(np.uint8))
    top, left, bottom, right = (
        max(top - MARGIN, 0), max(left - MARGIN, 0), top + high + MARGIN, left + wide + MARGIN,
    )  # fmt: skip
    part = slice(top, bottom), slice(left, right)

    def small(image: np.ndarray) -> np.ndarray:
        image = np.ascontiguousarray(image[part])
        if factor == 1:
            return image
        return cv2.resize(image, None, None, factor, factor, cv2.INTER_AREA)

    masks = [shown.own, np.zeros_like(shown.own) if shown.hidden is None else shown.hidden]
    own, hidden = (small(mask.astype(np.uint8) * 255) for mask in masks)
    return Shown(small(shown.picture), own > 127, hidden > 0), (top, left)
