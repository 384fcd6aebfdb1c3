"""The motions of a layer's frames in one window in time, by the richest model that stays sane.

Each model from translation to affine is fitted pair by pair (RANSAC), chained to the window's
reference frame and refined jointly over neighbouring and farther pairs (`motion_refine.refine`).
Homographies start from the chained similarities and are softly held by them: chained freely they
drift, and a plane cannot hold a wide pan. The richest model that stays sane and clearly fits better
than the next stiffer one is taken.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from nvd_core.priors.motion_effort import MotionEffort
from nvd_core.priors.motion_features import Bridge, across
from nvd_core.priors.motion_fit import MODELS, Matches, apply, chain, distances, fit_pair
from nvd_core.priors.motion_matches import MatchedClip, Regions
from nvd_core.priors.motion_refine import Stacks, refine
from nvd_core.priors.near_matches import LEAST_MATCHES
from nvd_core.runtime.frame_threads import in_order, single_opencv

GAPS = ((4, 2), (12, 4))
"""(frames apart, every how many frames) of the farther pairs that hold drift down."""
SCALE_RANGE = 4.0
"""A sane motion's local scale stays within this factor of the median, up and down."""
WIDEST = 6.0
"""Frame widths that a sane background may span, unless pure translation spans as much."""
PULLS = (0.03, 0.1, 0.3)
"""How firmly homographies are held by the similarities; the first that stays sane is taken."""
WORTH = 0.95
"""A richer model must bring the error below this share of the stiffer one's, ..."""
WORTH_PX = 0.02
"""... and by this many pixels."""
WIDTHS = (6.0, 4.0, 2.5, 1.5, 1.5, 1.0, 1.0, 1.0)
"""Widths of the robust cost, an iteration each, from forgiving to strict, in pixels of the flow."""
SETTLE = 8
"""Iterations more for homographies, at the last width."""


def iterations_of(background: bool) -> int:
    """Of the fits of all models that are tried."""
    return sum(len(_scales(1.0, model)) + 1 for model, _ in _candidates(background))


@dataclass
class MotionWindow:
    """Frames that share a reference frame, and the matches of neighbours among them."""

    first: int
    last: int
    reference: int
    near: list[Matches]
    bridges: list[Bridge]
    count: int
    """of the windows"""


def window_motion(
    clip: MatchedClip,
    layer: int,
    window: MotionWindow,
    regions: "Regions",
    outlines: list[np.ndarray | None],
    effort: MotionEffort,
    refused: dict[str, str],
) -> dict:
    """The motions of a window's frames, by the richest model that stays sane.

    Into `refused` goes why a model was not taken.
    """
    background, near, reference = layer == len(clip.masks), window.near, window.reference
    usable = [match for match in near if len(match.start) >= LEAST_MATCHES]
    linked = {match.i for match in usable}
    shown = [
        outline if window.first <= t <= window.last else None for t, outline in enumerate(outlines)
    ]

    def tick(share: float) -> None:
        effort.iterated(share / window.count)

    anchor = _fit_chain(clip, window, linked, "similarity", effort)
    matches = usable + [bridge.match for bridge in window.bridges]
    matches += _far_matches(clip, layer, regions, anchor, linked, effort)
    stacks = Stacks(matches, clip.arena.keep)
    best: dict | None = None
    for model, pull in _candidates(background) if matches else [("translation", 0.0)]:
        start = anchor
        if model != "homography":
            start = _fit_chain(clip, window, linked, model, effort)
        scales = _scales(clip.px, model)
        motions = refine(start, stacks, model, reference, scales, anchor, pull, tick)
        motions = _carry(motions, linked, window)
        if model == "similarity":
            anchor = motions
        widest = max(WIDEST, 1.5 * best["width"]) if best else np.inf
        trouble, width = _trouble(clip, shown, motions, widest, effort)
        error = distances(motions, matches) / clip.px
        mean = float(np.minimum(error, 4.0).mean()) if len(error) else 0.0
        if best and trouble:
            refused[model] = trouble
        elif best and mean > min(WORTH * best["error"], best["error"] - WORTH_PX):
            refused[model] = f"fits no better: {mean:.2f} px, {best['error']:.2f} px without"
        else:
            best = {"model": model, "motions": motions, "error": mean, "width": width}
            if model == "homography":
                refused.pop(model, None)
                break
    return best | {"reference": reference, "usable": usable}


def _candidates(background: bool) -> list[tuple[str, float]]:
    """The models to try and how firmly each is held by the similarities, stiffest first."""
    stiff = [(model, 0.0) for model in MODELS[:3]]
    return stiff + [("homography", pull) for pull in PULLS if background]


def _fit_chain(
    clip: MatchedClip, window: MotionWindow, linked: set[int], model: str, effort: MotionEffort
) -> np.ndarray:
    steps: list[np.ndarray | None] = [None] * (clip.count - 1)
    for match in window.near:
        if match.i in linked:
            steps[match.i] = fit_pair(model, match.start, match.end, 1.0 * clip.px)
        effort.iterated(0.5 / clip.count)
    for bridge in window.bridges:
        step = fit_pair(model, bridge.match.start, bridge.match.end, 1.0 * clip.px)
        if step is not None:
            steps[bridge.first - 1] = across(steps, bridge, step)
    return chain(steps, window.reference)


def _scales(px: float, model: str) -> tuple[float, ...]:
    """Widths of the robust cost, where `px` is the size of a pixel of the flow."""
    widths = WIDTHS + (WIDTHS[-1],) * (SETTLE if model == "homography" else 0)
    return tuple(px * width for width in widths)


def _carry(motions: np.ndarray, linked: set[int], window: MotionWindow) -> np.ndarray:
    """Frames that no match ties to the reference's side go on as their neighbour."""
    motions, linked = motions.copy(), set(linked)
    for bridge in window.bridges:
        motions[bridge.last + 1 : bridge.first] = motions[bridge.last]
        linked.update(range(bridge.last, bridge.first))
    for t in range(window.reference, len(motions) - 1):
        if t not in linked:
            motions[t + 1] = motions[t]
    for t in range(window.reference - 1, -1, -1):
        if t not in linked:
            motions[t] = motions[t + 1]
    return motions


def _far_matches(
    clip: MatchedClip,
    layer: int,
    regions: Regions,
    motions: np.ndarray,
    linked: set[int],
    effort: MotionEffort,
) -> list[Matches]:
    """Matches of frames farther apart, where every frame between them is linked."""
    to_pixels = np.linalg.inv(clip.norm)

    def pairs() -> Generator[tuple, None, None]:
        for gap, every in GAPS:
            for i in range(0, clip.count - gap, every):
                if linked.issuperset(range(i, i + gap)):
                    guess = to_pixels @ np.linalg.inv(motions[i + gap]) @ motions[i] @ clip.norm
                    yield i, i + gap, (regions[i], regions[i + gap]), guess

    found = []
    with (
        single_opencv(),
        closing(in_order(lambda pair: clip.matches(layer, *pair), pairs())) as matched,
    ):
        for match in matched:
            clip.release()
            effort.matched(1 / sum(1 / every for _, every in GAPS))
            if len(match.start) >= LEAST_MATCHES:
                found.append(clip.kept(match))
    return found


def _trouble(
    clip: MatchedClip,
    outlines: list[np.ndarray | None],
    motions: np.ndarray,
    widest: float,
    effort: MotionEffort,
) -> tuple[str, float]:
    """Why these motions are not sane ("" if they are), and the extent in frame widths."""
    corners, scales = [], []
    for t, (motion, outline) in enumerate(zip(motions, outlines, strict=True)):
        effort.iterated(0.5 / clip.count)
        if outline is None:
            continue
        w = outline @ motion[2, :2] + motion[2, 2]
        if not np.isfinite(motion).all() or w.min() <= 1e-3 * w.max():
            return f"folds in frame {t}", np.inf
        corners.append(apply(motion, outline))
        scales.append(np.sqrt(np.abs(np.linalg.det(motion)) / w**3))
    if not corners:
        return "", 1.0
    everything, scale = np.concatenate(corners), np.concatenate(scales)
    extent = float(np.ptp(everything, axis=0).max() / 2 * max(clip.height, clip.width) / clip.width)
    relative = scale / np.median(scale)
    if relative.max() > SCALE_RANGE or relative.min() < 1 / SCALE_RANGE:
        return f"scale runs from {relative.min():.2g} to {relative.max():.2g}", extent
    if extent > widest:
        return f"spans {extent:.1f} frame widths", extent
    return "", extent
