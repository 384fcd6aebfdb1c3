"""Which pixels are the object's, voted by frames in which that is known.

A mask that is only ever looked up in the frame before drifts: what is lost once stays lost, and a
bit of the background that was taken along is taken along for good. So every frame asks several: the
drawn one, whose mask is beyond doubt, and the last few. Each is laid over the new frame in three
ways: along the object's own motion and from there by optical flow, along the object's motion alone,
and along the background's. The last two may vote for what moves that way only. In each, the pixels
near by vote for their own label, the more so the more alike they look, in a patch of Lab colours.
Where nothing looks alike few votes are given, and others have to decide.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.priors.mask_canvas import Canvas, look_up
from nvd_core.priors.mask_pose import Points, checked_step, fit_of, points_of, realigned
from nvd_core.priors.motion_fit import apply

BACK = 1, 3
"""How many frames ago those were that vote beside the drawn one."""
DRAWN = 60.0
"""How much the drawn frame counts; the one before 1."""
SURELY = 8.0
"""How much the last frame counts that was beyond doubt, where the last ones are not."""
LESS_PER_FRAME, LEAST = 0.985, 0.3
"""What a vote is worth after one more frame from the drawn one; and at the least."""
ALIKE = 5.0
"""Difference of patches in Lab (L from 0 to 100), standard deviation."""
PATCH = 3
"""Pixels along a patch."""
NEAR, BESIDE, STEP = 4, 2, 2
"""Pixels around a place that vote: about that of the flow, and of a motion; every how many."""
FALLOFF = 5.0
"""Pixels away at which a vote counts less, standard deviation."""
RETURNS = 2.0
"""Pixels off, there and back, from which flow is believed less, standard deviation."""
DOUBTED = 0.15
"""What flow that does not come back still counts."""
ALONG, BEHIND = 0.5, 0.7
"""What the votes along the object's and the background's motion count."""
FARTHEST = 12
"""Frames over which the background's motion is good enough to lay pictures over each other."""
ENOUGH = 2.0
"""Sum of votes that is worth half of what the most would be."""
EXPLAINED = 0.7
"""Part of the difference of colours that is left at most where another light is made up for."""
OFF_IT = 0.3
"""Intersection by union with the mask below which the drawn frame, laid over it, is off it."""
SURE, LEAST_POINTS = 0.6, 30
"""How far flow is believed by which an object's light is told, of so many pixels at the least."""
SMALLEST = 24
"""Pixels along the shorter side of a canvas below which there is no flow in it."""


@dataclass
class _Look:
    """A frame that votes; the motions lead to its pixels from those of the newest frame."""

    lab: np.ndarray  # float32 [h, w, 3]
    luma: np.ndarray  # float32 [h, w]
    mask: np.ndarray  # float32 [h, w]
    seen: np.ndarray  # float32 [h, w], 0 where something known stands in front
    worth: float
    age: int = 0
    along: np.ndarray = field(default_factory=lambda: np.eye(3))
    behind: np.ndarray = field(default_factory=lambda: np.eye(3))
    points: Points | None = None


@dataclass(frozen=True)
class OthersLooks:
    """What another object has to say of a frame: itself as it was drawn, laid over that; and the
    looks of it that vote, with what each counts."""

    whole: np.ndarray  # float32 [h, w]
    asked: list[tuple[_Look, float]]


class Looks:
    """The frames that are remembered of an object on its way from a drawn one."""

    def __init__(self, frame: np.ndarray, mask: np.ndarray, hidden: np.ndarray):
        """`frame` uint8 [h, w, 3], `mask` and what is `hidden` float32 [h, w] of the drawn one."""
        self._worth = 1.0
        self._drawn = _look(frame, mask, hidden, 1.0)
        self._last = [self._drawn]
        self._sure = self._drawn  # the last that was beyond doubt

    def step(self, frame: np.ndarray, steps: list[np.ndarray]) -> np.ndarray:  # [3, 3]
        """Which of some `steps` of the object leads to the newest frame, uint8 [h, w, 3]."""
        looks = {id(look): look for look in (self._drawn, self._sure)}.values()
        return checked_step(
            _lab(frame), [(look.points, np.linalg.inv(look.along)) for look in looks], steps
        )

    def move(self, along: np.ndarray, behind: np.ndarray) -> None:
        """One frame on: how the object and the background move to it, [3, 3] both."""
        back = np.linalg.inv(along), np.linalg.inv(behind)
        for look in {id(look): look for look in (self._drawn, self._sure, *self._last)}.values():
            look.age += 1
            look.along, look.behind = look.along @ back[0], look.behind @ back[1]

    def add(self, frame: np.ndarray, mask: np.ndarray, hidden: np.ndarray, doubtful: bool) -> None:
        """Take in the newest frame with the mask that was decided on."""
        self._worth = max(self._worth * LESS_PER_FRAME, LEAST)
        self._last = [look for look in self._last if look.age < max(BACK)]
        self._last.append(_look(frame, mask, hidden, self._worth))
        if not doubtful:
            self._sure = self._last[-1]

    def found(self, whole: np.ndarray) -> None:
        """The lost object was found where a former look of it, the mask `whole`, fits: the drawn
        frame is laid over it, and what the last frames know is forgotten."""
        here, there = _frame_of(whole), _frame_of(self._drawn.mask)
        if here is not None and there is not None:
            self._drawn.along = there @ np.linalg.inv(here)
        self._sure = self._drawn
        self._drawn.age = max(self._drawn.age, FARTHEST + 1)
        self._worth = LEAST
        self._last = []

    def anchor(self, frame: np.ndarray, mask: np.ndarray) -> None:
        """Lay the drawn frame over the `mask` of the newest, where it came to lie off it and where
        that is no worse: its looks may have changed too much to be followed."""
        here, there = _frame_of(mask), _frame_of(self._drawn.mask)
        if here is None or there is None or self._drawn.points is None:
            return
        both = np.minimum(self.laid(), mask).sum() / np.maximum(self.laid(), mask).sum()
        poses = self._drawn.along, there @ np.linalg.inv(here)
        scores = [fit_of(_lab(frame), self._drawn.points, pose) for pose in poses]
        if both < OFF_IT and scores[1] >= scores[0]:
            self._drawn.along = poses[1]

    def middle(self) -> np.ndarray | None:
        """Where in the newest frame the middle (x, y) of the drawn mask's box is; None: empty."""
        frame = _frame_of(self._drawn.mask)
        if frame is None:
            return None
        return apply(np.linalg.inv(self._drawn.along), frame[:2, 2][None])[0]

    def laid(self) -> np.ndarray:  # float32 [h, w]
        """The whole mask of the drawn frame, laid over the newest."""
        mask = self._drawn.mask
        place = _moved(self._drawn.along, pixel_grid(*mask.shape))
        return cv2.remap(mask, place, None, cv2.INTER_LINEAR, borderValue=0)

    def laid_picture(self) -> np.ndarray:  # float32 [h, w]
        """1 where the drawn frame shows anything if its object is laid over the newest, 0 beyond
        its border."""
        shape = self._drawn.mask.shape
        return _inside(_moved(self._drawn.along, pixel_grid(*shape)), shape)

    def area(self) -> float:
        """Pixels that the drawn mask would have in the newest frame if that went on for ever."""
        grown = abs(float(np.linalg.det(self._drawn.along[:2, :2])))
        return float((self._drawn.mask > 0.5).sum()) / max(grown, 1e-6)

    def votes(
        self, frame: np.ndarray, canvas: Canvas, others: Sequence[OthersLooks] = ()
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # float32 [h, w], [h, w], [h, w, 3]
        """The object's share of the votes in a canvas of the newest frame, how far that can be
        believed, and the canvas's colours in Lab. What looks like one of the `others`, objects on
        the same way, is voted for by their looks as well."""
        lab, luma = canvas.take(_lab(frame)), canvas.take(_luma(frame))
        ours, all_votes = np.full((2, *lab.shape[:2]), 1e-6, np.float32)
        ours *= 0.5
        for look, counts in self._asked():
            _ask(look, counts, canvas, lab, luma, ours, all_votes)
        for other in others:
            if not canvas.take(other.whole).any():
                continue
            theirs, rest = np.zeros((2, *lab.shape[:2]), np.float32)
            for look, counts in other.asked:
                _ask(dataclasses.replace(look), counts, canvas, lab, luma, theirs, rest)
            all_votes += theirs
        return ours / all_votes, all_votes / (all_votes + ENOUGH), lab

    def of_another(self) -> OthersLooks:
        """These looks as they are now, to be asked about other objects."""
        asked = [(dataclasses.replace(look), counts) for look, counts in self._asked()]
        return OthersLooks(self.laid(), asked)

    def _asked(self) -> Iterable[tuple["_Look", float]]:
        """The looks that vote, and what each counts."""
        asked = {id(look): (look, 1.0) for look in self._last if look.age in BACK}
        if SURELY and self._sure.age > max(BACK):
            asked[id(self._sure)] = self._sure, SURELY
        asked[id(self._drawn)] = self._drawn, DRAWN
        return asked.values()


def _ask(
    look: _Look,
    counts: float,
    canvas: Canvas,
    lab: np.ndarray,
    luma: np.ndarray,
    ours: np.ndarray,
    all_votes: np.ndarray,
) -> None:
    """Add the votes of one look, those for the object and all of them."""
    soft = canvas.softened(look.lab)
    places = canvas.places()
    along = _moved(look.along, places)
    flow, returns = _flow(luma, look_up(canvas.softened(look.luma), along))
    by_flow = _moved(look.along, canvas.places(pixel_grid(*luma.shape) + flow))
    if look.age > 1:
        sure = (look_up(look.mask, by_flow) > 0.9) & (returns > SURE)
        start, end = (at[sure][::3].astype(np.float64) for at in (places, by_flow))
        look.along = realigned(lab, look.points, look.along, start, end, canvas.of_frame())
    light = _in_other_light(lab, look, soft, by_flow, returns) if look.age > 1 else None
    ways = [(by_flow, returns, None, NEAR), (along, ALONG, 1, BESIDE)]
    if look.age <= FARTHEST:
        ways.append((_moved(look.behind, places), BEHIND, 0, BESIDE))
    for place, trust, label, reach in ways:
        mask = look_up(look.mask, place)
        weight = look_up(look.seen, place) * _inside(place, look.mask.shape) * look.worth * counts
        weight *= trust
        if label is not None:
            weight *= (mask > 0.5) if label else (mask < 0.5)
        shown = look_up(soft, place)
        if light is not None and label != 0:
            shown += light * (mask > 0.5)[..., None]
        _vote(lab, shown, mask, weight, reach, ours, all_votes)


def _in_other_light(
    lab: np.ndarray, look: _Look, soft: np.ndarray, by_flow: np.ndarray, returns: np.ndarray
) -> np.ndarray | None:  # float32 [3]
    """By how much the object's colours in Lab are others in the newest frame than in a look, as a
    whole; None where that does not explain the difference."""
    sure = (look_up(look.mask, by_flow) > 0.9) & (returns > SURE)
    if sure.sum() < LEAST_POINTS:
        return None
    apart = (lab - look_up(soft, by_flow))[sure]
    light = np.median(apart, axis=0)
    before, after = (
        float(np.minimum(np.linalg.norm(gap, axis=1), 4 * ALIKE).mean())
        for gap in (apart, apart - light)
    )
    return light.astype(np.float32) if after < EXPLAINED * before else None


def _vote(
    lab: np.ndarray,  # [h, w, 3]
    shown: np.ndarray,  # [h, w, 3]
    mask: np.ndarray,  # [h, w]
    weight: np.ndarray,  # [h, w]
    reach: int,
    ours: np.ndarray,  # [h, w]
    all_votes: np.ndarray,  # [h, w]
) -> None:
    """Add the votes of what a look has `shown` at every pixel, and of those up to `reach` away."""
    height, width = mask.shape
    steps = range(-reach, reach + 1, STEP)
    for x, y in ((x, y) for y in steps for x in steps if x * x + y * y <= reach * reach):
        if abs(x) >= width or abs(y) >= height:  # of a canvas that is thinner
            continue
        here = np.s_[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
        there = np.s_[max(y, 0) : height - max(-y, 0), max(x, 0) : width - max(-x, 0)]
        apart = lab[here] - shown[there]
        apart = cv2.blur(np.einsum("hwc,hwc->hw", apart, apart), (PATCH, PATCH))
        away = (x * x + y * y) / (2 * FALLOFF**2)
        votes = np.exp(-apart / (2 * ALIKE**2) - away) * weight[there]
        ours[here] += votes * mask[there]
        all_votes[here] += votes


def _flow(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow of one canvas to another, [h, w, 2], and how far it is believed, [h, w]."""
    height, width = first.shape
    if min(height, width) < SMALLEST:
        return np.zeros((height, width, 2), np.float32), np.ones((height, width), np.float32)
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    one, two = first.astype(np.uint8), second.astype(np.uint8)
    there, back = estimator.calc(one, two, None), estimator.calc(two, one, None)
    gap = there + look_up(back, pixel_grid(height, width) + there)
    returns = np.exp(-np.einsum("hwc,hwc->hw", gap, gap) / (2 * RETURNS**2))
    return there, DOUBTED + (1 - DOUBTED) * returns


def _look(frame: np.ndarray, mask: np.ndarray, hidden: np.ndarray, worth: float) -> _Look:
    lab = _lab(frame)
    points = points_of(lab, mask * (1 - hidden))
    return _Look(lab, _luma(frame), mask, 1 - hidden, worth, points=points)


def _lab(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def _luma(frame: np.ndarray) -> np.ndarray:
    return grey(frame).astype(np.float32)


def _moved(motion: np.ndarray, places: np.ndarray) -> np.ndarray:
    points = places.reshape(-1, 2).astype(np.float64)
    return apply(motion, points).reshape(places.shape).astype(np.float32)


def _inside(place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """1 where a place is in the picture, 0 elsewhere."""
    x, y = place[..., 0], place[..., 1]
    return ((x >= -1) & (y >= -1) & (x <= shape[1]) & (y <= shape[0])).astype(np.float32)


def _frame_of(mask: np.ndarray) -> np.ndarray | None:  # [3, 3]
    """From a unit square around 0 to an object: the middle of its box, and its size."""
    inside = (mask > 0.5).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(inside)
    if not wide:
        return None
    size = float(np.sqrt(inside.sum()))
    return np.array([[size, 0, left + wide / 2], [0, size, top + high / 2], [0, 0, 1]])
