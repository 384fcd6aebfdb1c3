"""Motions that flow cannot follow: features of two frames, matched wherever they lie.

Dense flow loses what moves by much of its own size from one frame to the next, or was hidden in
between. SIFT features of the layer's own pixels are found again at any place and turned by any
angle; the similarity that most of them agree on is a guess, which is then tracked and checked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.motion_fit import Matches, apply, fit_pair
from nvd_core.priors.motion_matches import MatchedClip, Regions

FEATURES = 1000
CONTRAST = 0.02  # of features; OpenCV's own .04 leaves few on cloth and fur
AMBIGUOUS = 0.8  # a match is left out whose second best is nearer than the best by this factor
LEAST_AGREED = 8
"""features that have to agree on one motion"""
AGREED_SHARE = 0.3
"""of the features matched: fewer agree by chance, on a pattern that repeats"""
NEAR_PX = 2.0
FOLLOWED = 0.5
"""share of a layer's pixels whose flow has to agree forward and back for it to be trusted"""
BETTER = 2
"""times as many points have to agree as by the flow"""
NEIGHBOURS = 8
"""frames before and after a gap of which those are taken that show most"""


@dataclass(frozen=True)
class Bridge:
    """A gap in which the layer could not be followed: seen in `last`, and again in `first`."""

    last: int
    first: int
    match: Matches
    """of two frames that show much of it, on this side and on that"""


def is_lost(clip: MatchedClip, t: int, region: np.ndarray) -> bool:
    """Whether flow does not follow the layer's pixels [H, W] of frame t into the next."""
    covered = int(np.count_nonzero(region))
    followed = int(np.count_nonzero(region & (clip.ok(t) > 0)))
    return covered > 0 and followed < FOLLOWED * covered


def by_features(
    clip: MatchedClip, layer: int, i: int, j: int, regions: tuple[np.ndarray, np.ndarray]
) -> Matches | None:
    """Matches of any two frames by features, tracked from there; None where too few agree."""
    guess = _similarity(clip.grey(i), clip.grey(j), regions)
    return None if guess is None else clip.matches(layer, i, j, regions, guess)


def agreeing(clip: MatchedClip, match: Matches) -> int:
    """How many of the points follow one similarity."""
    step = fit_pair("similarity", match.start, match.end, 1.0 * clip.px)
    if step is None:
        return 0
    off = np.linalg.norm(apply(step, match.start) - match.end, axis=1)
    return int(np.count_nonzero(off < 1.5 * clip.px))


def _similarity(
    first: np.ndarray, second: np.ndarray, regions: tuple[np.ndarray, np.ndarray]
) -> np.ndarray | None:  # uint8 [H, W], bool [H, W] -> [3, 3]
    """What takes pixels of the first frame to the second's, within the regions."""
    sift = cv2.SIFT.create(FEATURES, contrastThreshold=CONTRAST)
    (here, one), (there, other) = (
        sift.detectAndCompute(image, region.astype(np.uint8))
        for image, region in zip((first, second), regions, strict=True)
    )
    if min(len(here), len(there)) < LEAST_AGREED:
        return None
    nearest = cv2.BFMatcher().knnMatch(one, other, k=2)
    matched = [best for best, next_ in nearest if best.distance < AMBIGUOUS * next_.distance]
    if len(matched) < LEAST_AGREED:
        return None
    start = np.array([here[match.queryIdx].pt for match in matched])
    end = np.array([there[match.trainIdx].pt for match in matched])
    found = fit_pair("similarity", start, end, NEAR_PX)
    if found is None:
        return None
    agreed = np.count_nonzero(np.linalg.norm(apply(found, start) - end, axis=1) < NEAR_PX)
    return found if agreed >= max(LEAST_AGREED, AGREED_SHARE * len(matched)) else None


def bridges(
    clip: MatchedClip,
    layer: int,
    regions: Regions,
    linked: set[int],
    areas: np.ndarray,
    span: tuple[int, int],
    least: int,
    otherwise: Callable[[int, int], Matches | None] = lambda _i, _j: None,
) -> list[Bridge]:
    """What was found again behind the gaps of a window's frames `span`, first and last.

    `linked` are the frames that are matched with their next; `areas` [T] how much each shows of
    the layer. A bridge has `least` points that agree; `otherwise` matches the two frames where too
    few do.
    """
    found = []
    for last, first in _gaps(linked, span):
        before = _fullest(areas, last, -1, linked, span)
        after = _fullest(areas, first, 1, linked, span)
        if not (areas[before] and areas[after]):
            continue
        match = by_features(clip, layer, before, after, (regions[before], regions[after]))
        clip.release()
        if match is None or agreeing(clip, match) < max(least, len(match.start) / 2):
            match = otherwise(before, after)
        if match is not None:
            found.append(Bridge(last, first, match))
    return found


def _gaps(linked: set[int], span: tuple[int, int]) -> list[tuple[int, int]]:
    """The last frame before and the first frame behind each run of frames without a match."""
    gaps: list[tuple[int, int]] = []
    for t in range(span[0], span[1]):
        if t in linked:
            continue
        if gaps and gaps[-1][1] == t:
            gaps[-1] = gaps[-1][0], t + 1
        else:
            gaps.append((t, t + 1))
    return gaps


def _fullest(
    areas: np.ndarray, frame: int, way: int, linked: set[int], span: tuple[int, int]
) -> int:
    """The frame that shows most, of `frame` and those that hang together with it that way."""
    best = frame
    for _ in range(NEIGHBOURS):
        beyond = frame + way
        if not span[0] <= beyond <= span[1] or min(frame, beyond) not in linked:
            break
        frame = beyond
        best = frame if areas[frame] > areas[best] else best
    return best


def across(steps: Sequence[np.ndarray | None], bridge: Bridge, step: np.ndarray) -> np.ndarray:
    """The motion over the gap itself, where `step` is that of the bridge's two frames.

    `steps` take each frame's points to the next, as far as they are known.
    """
    whole = step
    for t in range(bridge.match.i, bridge.last):
        whole = whole @ np.linalg.inv(_known(steps[t]))
    for t in reversed(range(bridge.first, bridge.match.j)):
        whole = np.linalg.inv(_known(steps[t])) @ whole
    return whole


def _known(step: np.ndarray | None) -> np.ndarray:
    return np.eye(3) if step is None else step
