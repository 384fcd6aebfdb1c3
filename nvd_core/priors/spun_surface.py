"""Where the surface of what turns about its own axis lies after the turn, as its outline tells.

A head, a doll or a pot is nearly round. Then each line of its outline across the axis is a chord of
a circle, and one angle tells where every point of the surface goes: also so far that flow and
features lose it, and where a highlight stands still on it, or a pattern repeats. What is not round
is misplaced by that, so it is a guess only: of the angle the pictures decide, line by line, and of
each place whoever asks (surface_places.py). The axis is taken to stand upright or to lie.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.surface_match import Looks

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


def chords_of(own: np.ndarray) -> Chords:  # bool [H, W]
    """The chords of an outline."""
    height, width = own.shape
    middle, half = np.full((2, height), np.nan)
    rows = np.flatnonzero(own.any(1))
    if not len(rows):
        return Chords(middle, half, None, None)
    left = own[rows].argmax(1)
    right = width - 1 - own[rows, ::-1].argmax(1)
    whole = (left > 0) & (right < width - 1)
    middle[rows[whole]] = (left + right)[whole] / 2
    half[rows[whole]] = (right - left)[whole] / 2 + 0.5
    top, bottom = float(rows[0]), float(rows[-1])
    return Chords(middle, half, top if top > 0 else None, bottom if bottom < height - 1 else None)


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
        place[~shown] = -(10**4)
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

    @property
    def back(self) -> "Turn":
        """The same from the other frame to the one."""
        return Turn(self.lying, -self.angle)


def turns_between(
    picture: np.ndarray,  # uint8 [H, W], luma
    own: np.ndarray,  # bool [H, W]
    target: np.ndarray,
    its_own: np.ndarray,
) -> list[Turn]:
    """How what is `own` of the picture is seen to turn in the target: the likeliest, or none."""
    side = float(np.sqrt(min(np.count_nonzero(own), np.count_nonzero(its_own))))
    if side < 1:
        return []
    factor = min(1.0, LONGEST_SIDE / side)
    upright = [*_part(picture, own, factor), *_part(target, its_own, factor)]
    tried = []
    for lying in (False, True):
        images = [image.T.copy() for image in upright] if lying else upright
        tried.append((*_angle(images, side * factor), lying))
    gain, angle, lying = max(tried)
    return [Turn(lying, angle)] if gain >= LEAST_GAIN else []


def spun_places(
    own: np.ndarray, its_own: np.ndarray, turn: Turn
) -> tuple[np.ndarray, np.ndarray]:  # bool [H, W] each
    """Where in the one frame each pixel of the other lies, float32 [H, W, 2], and which it shows,
    bool [H, W], as both show the surface and it turns so.
    """
    if not turn.lying:
        place, shown = Spun(chords_of(own), chords_of(its_own), its_own.shape[1]).at(turn.angle)
        return place, shown & its_own
    place, shown = spun_places(own.T, its_own.T, Turn(False, turn.angle))
    return np.ascontiguousarray(place.transpose(1, 0, 2)[..., ::-1]), shown.T


def _angle(images: list[np.ndarray], side: float) -> tuple[float, float]:
    """How much of the surface is more alike turned, as a share of it, and by which angle it is so
    most, about an upright axis; 0 where no angle is clearly the best. `images` are as those of
    `turns_between`, of a surface whose side is so long.
    """
    picture, own, target, its_own = images
    spun = Spun(chords_of(own), chords_of(its_own), target.shape[1])
    looks, area = Looks(target), max(np.count_nonzero(its_own), 1)

    def same(place: np.ndarray) -> np.ndarray:
        shown = cv2.remap(picture, place, None, cv2.INTER_LINEAR)
        return Looks(shown).alike(looks).clip(0, 1)

    still = same(spun.at(0.0)[0])

    def gain(angle: float) -> float:
        place, shown = spun.at(angle)
        more = (same(place) - still) * (shown & its_own)
        lines = cv2.GaussianBlur(more.sum(1), (1, 0), 0, None, max(SMOOTH * side, 1.0))
        return float(np.maximum(lines, 0).sum()) / area

    angles = np.arange(-WIDEST, WIDEST + STEP / 2, STEP)
    gains = np.array([gain(angle) for angle in angles])
    number = int(gains.argmax())
    most, best = float(gains[number]), float(angles[number])
    others = gains[np.abs(np.arange(len(angles)) - number) >= APART]
    if most < CLEARLY * others.max():
        return 0.0, best
    about = ((gain(angle), angle) for angle in (best - FINER, best + FINER))
    return max((most, best), *about)


def _part(
    picture: np.ndarray, own: np.ndarray, factor: float
) -> tuple[np.ndarray, np.ndarray]:  # uint8, bool [h, w]
    """What is around the surface, smaller by a factor."""
    left, top, wide, high = cv2.boundingRect(own.astype(np.uint8))
    part = (
        slice(max(top - MARGIN, 0), top + high + MARGIN),
        slice(max(left - MARGIN, 0), left + wide + MARGIN),
    )
    images = np.ascontiguousarray(picture[part]), own[part].astype(np.uint8) * 255
    if factor < 1:
        images = tuple(
            cv2.resize(image, None, None, factor, factor, cv2.INTER_AREA) for image in images
        )
    return images[0], images[1] > 127
