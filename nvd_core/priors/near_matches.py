"""Matches of a layer between frames that follow one another, by flow, features or masks."""

from contextlib import closing

import numpy as np

from nvd_core.priors.motion_effort import MotionEffort
from nvd_core.priors.motion_features import BETTER, agreeing, by_features, is_lost
from nvd_core.priors.motion_fit import Matches, apply, fit_pair
from nvd_core.priors.motion_matches import MatchedClip, Regions, textured_points
from nvd_core.priors.split_masks import SplitMasks, grid_points, motion_to_next, outline_motion
from nvd_core.runtime.frame_threads import in_order, single_opencv

LEAST_MATCHES = 12
"""Below this many matches a frame's motion is not estimated but carried on."""
ROUNDS = 3
"""How often at most an object's matches are measured again after its motion was taken out."""
SETTLED_PX = 0.1
"""A motion that changes by less than this, averaged over the matches, is not measured again."""


def all_near_matches(
    clip: MatchedClip, layer: int, regions: "Regions", effort: MotionEffort
) -> list[Matches]:
    """The matches of every frame with the next."""
    pairs = ((t, (regions[t], regions[t + 1])) for t in range(clip.count - 1))
    near = []
    with (
        single_opencv(),
        closing(in_order(lambda pair: _near_matches(clip, layer, *pair), pairs)) as matched,
    ):
        for match in matched:
            near.append(clip.kept(match))
            clip.release()
            effort.matched(1)
    return near


def _near_matches(
    clip: MatchedClip, layer: int, t: int, regions: tuple[np.ndarray, np.ndarray]
) -> Matches:
    """Matches of frames t and t+1; an object's are measured again with its motion taken out.

    Dense flow moves whole patches and is smooth, so that a fast turn comes out too slow. What is
    left of the turn after warping by what was found is small, and so is what that loses. Where it
    has lost the layer, features may find it.
    """
    if clip.doubted(layer) & {t, t + 1}:
        return Matches(t, t + 1, np.zeros((0, 2)), np.zeros((0, 2)))
    match = clip.matches(layer, t, t + 1, regions, None)
    if is_lost(clip, t, regions[0]):
        again = by_features(clip, layer, t, t + 1, regions)
        if again is not None and agreeing(clip, again) > BETTER * agreeing(clip, match):
            match = again
    step = None if layer == len(clip.masks) else _step(clip, match)
    split = clip.masks if isinstance(clip.masks, SplitMasks) else None
    if layer < len(clip.masks) and split is not None and split.are_parts(layer):
        match, step = _by_outline(clip, layer, t, regions, match, step)
    for _ in range(ROUNDS):
        if step is None:
            break
        guess = np.linalg.inv(clip.norm) @ step @ clip.norm
        again = clip.matches(layer, t, t + 1, regions, guess)
        if len(again.start) < max(LEAST_MATCHES, len(match.start) / 2):  # the guess lost it
            break
        match, before, step = again, step, _step(clip, again)
        if step is not None:
            change = apply(step, match.start) - apply(before, match.start)
            if np.linalg.norm(change, axis=1).mean() < SETTLED_PX * clip.px:
                break
    return match


def _by_outline(
    clip: MatchedClip,
    layer: int,
    t: int,
    regions: tuple[np.ndarray, np.ndarray],
    match: Matches,
    step: np.ndarray | None,
) -> tuple[Matches, np.ndarray | None]:
    """The better of a part's matches by flow and of those from where its masks lie.

    A limb swings too fast for flow, but its mask tells where it lies and how it is turned. Where
    neither finds enough, the masks' own motion stands in; where the part goes out of sight, that to
    the frame in which it is seen again.
    """
    guess, goes_on = motion_to_next(lambda at: clip.mask(layer, at), t, clip.count)
    clip.release()
    if not goes_on:
        points = grid_points(clip.width, clip.height)
        return _matched_by(clip, t, points, guess), None  # nothing to measure again
    other = clip.matches(layer, t, t + 1, regions, guess)
    other_step = _step(clip, other)
    if _agreeing(clip, other, other_step) > _agreeing(clip, match, step):
        match, step = other, other_step
    if _agreeing(clip, match, step) >= LEAST_MATCHES:
        return match, step
    points = textured_points(clip.grey(t), regions[0], clip.cell(layer)).astype(np.float64)
    return _matched_by(clip, t, points, guess), None


def joined_by_masks(clip: MatchedClip, layer: int, i: int, j: int) -> Matches | None:
    """A part's motion over the frames in which it is in doubt, by its masks on either side."""
    guess = outline_motion(clip.mask(layer, i), clip.mask(layer, j))
    clip.release()
    return (
        None
        if guess is None
        else _matched_by_pair(clip, i, j, grid_points(clip.width, clip.height), guess)
    )


def _matched_by(clip: MatchedClip, t: int, points: np.ndarray, motion: np.ndarray) -> Matches:
    """Points [n, 2] of frame t with where a motion of pixels takes them in the next."""
    return _matched_by_pair(clip, t, t + 1, points, motion)


def _matched_by_pair(
    clip: MatchedClip, i: int, j: int, points: np.ndarray, motion: np.ndarray
) -> Matches:
    return Matches(i, j, *(apply(clip.norm, at) for at in (points, apply(motion, points))))


def _agreeing(clip: MatchedClip, match: Matches, step: np.ndarray | None) -> int:
    """How many matches one similarity explains."""
    if step is None:
        return 0
    off = np.linalg.norm(apply(step, match.start) - match.end, axis=1)
    return int((off < 1.5 * clip.px).sum())


def _step(clip: MatchedClip, match: Matches) -> np.ndarray | None:
    """The similarity that most matches agree on, normalised."""
    return fit_pair("similarity", match.start, match.end, 1.0 * clip.px)
