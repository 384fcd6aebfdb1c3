"""One plane motion a frame and layer: where every mapping of the training starts.

The background's motions come from flow outside all masks, an object's from flow inside its mask.
Each model from translation to affine is fitted pair by pair (RANSAC), chained to the layer's
reference frame and refined jointly over neighbouring and farther pairs (`motion_refine.refine`).
Homographies start from the chained similarities and are softly held by them: chained freely they
drift, and a plane cannot hold a wide pan. The richest model that stays sane and clearly fits better
than the next stiffer one is taken.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.another_side import windows_where_hidden
from nvd_core.priors.flow_parts import Parts, write_parts
from nvd_core.priors.motion_features import (
    BETTER,
    Bridge,
    across,
    agreeing,
    bridges,
    by_features,
    is_lost,
)
from nvd_core.priors.motion_fit import (
    MODELS,
    Matches,
    apply,
    chain,
    distances,
    fit_pair,
)
from nvd_core.priors.motion_matches import MatchedClip, Regions, textured_points
from nvd_core.priors.motion_refine import Stacks, refine
from nvd_core.priors.parallax import (
    FEWEST_FRAMES,
    LEAST_ERROR,
    LEAST_GAIN,
    LOOKED_AT,
    PARALLAX_WINDOWS,
    BackgroundSheets,
    error_of,
    gain_of,
)
from nvd_core.priors.righted_flow import righted_parts
from nvd_core.priors.split_masks import SplitMasks, grid_points, motion_to_next, outline_motion
from nvd_core.priors.turning_part import PartRegions, TurningPart
from nvd_core.priors.views import part_that_turns, view_evidence
from nvd_core.runtime.files import without_nan, write_json, written_beside
from nvd_core.runtime.frame_threads import in_order, single_opencv
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import Window, split_windows
from nvd_core.work import (
    MASKS,
    MOTION,
    MOTION_FACTS,
    PART_MOTION,
    RIGHTED_BACKWARD,
    RIGHTED_FORWARD,
    RIGHTED_OK,
    open_array,
)

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
LEAST_MATCHES = 12
"""Below this many matches a frame's motion is not estimated but carried on."""
ROUNDS = 3
"""How often at most an object's matches are measured again after its motion was taken out."""
SETTLED_PX = 0.1
"""A motion that changes by less than this, averaged over the matches, is not measured again."""
WIDTHS = (6.0, 4.0, 2.5, 1.5, 1.5, 1.0, 1.0, 1.0)
"""Widths of the robust cost, an iteration each, from forgiving to strict, in pixels of the flow."""
SETTLE = 8
"""Iterations more for homographies, at the last width."""
ITERATION = 0.2
"""How long an iteration takes, as a part of what matching all neighbours takes."""
RIGHTING = 10
"""How long it takes to put the flow of an object right, by the same."""


@dataclass
class LayerMotion:
    """What is known of one layer's motion; `motion.json` holds a list of these, background last."""

    layer: int
    kind: str
    model: str = "translation"
    reference: int = 0
    extent_widths: float = 1.0
    """How far the layer spans in its reference frame's pixels, in frame widths."""
    inlier_share: float = 0.0
    """Share of the neighbouring frames' matches that the motion meets within 1.5 px of the flow."""
    error_px: float = 0.0
    """Mean distance of all matches in pixels of the frame, each at most 4 pixels of the flow."""
    frames_carried: int = 0
    """Frames with too few matches, which go on as their neighbour."""
    refused: dict[str, str] = field(default_factory=dict)
    """Richer models that were not taken, and why."""
    windows: list[list[int]] = field(default_factory=list)
    """First and last frames of its windows in time, if it has several (priors/views.py)."""
    evidence: dict[str, float] = field(default_factory=dict)
    """What its tracks say of whether it turns, where that was to decide on windows."""
    righted: int | None = None
    """Pairs of frames whose flow was put right, of an object with windows (righted_flow.py)."""


def estimate_global_motion(
    work: Path,
    progress: Progress,
    aspect: float = 1.0,
    windows: Sequence[int | None] = (),
    parts: Sequence[int] = (),
    doubted: Mapping[tuple[int, int], Sequence[int]] | None = None,
    source: str = "dis",
) -> np.ndarray:
    """Write motion.npy and motion.json in `work`; returns the motions, float64 [L, T, 3, 3].

    `aspect` is a pixel's width by its height: what turns does so in square ones. Layers have so
    many `windows` in time each, one where nothing is said, with a reference frame of their own;
    None: an object has as many as its tracks ask for, the background several where that tells it
    clearly better; LOOKED_AT: one, and whether several would is noted.

    `parts`: how many parts each layer has beside the rest, if any has. Their motions go to
    part_motion.npy, by layer and number; motion.npy has the rests'. Frames in which a part, by
    layer and number, is `doubted` tell nothing of its motion: what is before and behind is joined.

    Where the flow of an object with windows is put right, by what its `source` (flow.METHODS) is
    good for, it goes to righted_*.npy. What was found is left as it is, and is all that is read.
    """
    work = Path(work)
    for name in (RIGHTED_OK, RIGHTED_BACKWARD, RIGHTED_FORWARD):  # of an earlier run
        (work / name).unlink(missing_ok=True)
    clip = MatchedClip(work, aspect, parts, doubted)
    layers = len(clip.masks) + 1
    order = [(n, 0) for n in range(layers)]
    if isinstance(clip.masks, SplitMasks):
        order = clip.masks.order
    efforts = [_Effort(progress, clip.count, layer == layers - 1) for layer in range(layers)]
    progress.stage("motion", sum(effort.whole for effort in efforts))
    motions, facts, righted = [], [], list[Parts]()
    for layer, effort in enumerate(efforts):
        effort.first = sum(before.whole for before in efforts[:layer])
        effort.behind = sum(after.whole for after in efforts[layer + 1 :])
        of_layer = order[layer][0]
        wanted = windows[of_layer] if of_layer < len(windows) else 1
        motion, fact = _layer_motion(clip, layer, effort, wanted, source)
        motions.append(motion)
        facts.append(fact)
        righted.append(clip.righted)
        clip.righted = {}
    write_parts(work, righted, progress.check)
    rests = [row for row, (_, part) in enumerate(order) if not part]
    result = np.stack([motions[row] for row in rests])
    known = [asdict(facts[row]) | {"layer": n} for n, row in enumerate(rests)]
    write_json(work / MOTION_FACTS, without_nan(known))
    if len(rests) < layers:
        with written_beside(work / PART_MOTION) as path:
            np.save(path, np.stack([motions[k] for k in range(layers) if k not in rests]))
    with written_beside(work / MOTION) as path:
        np.save(path, result)
    progress.update(sum(effort.whole for effort in efforts))
    return result


def object_motions(
    work: Path, layer: int, progress: Progress, doubted: Sequence[Sequence[int]] = ()
) -> np.ndarray:
    """The motions of one object alone, [K, T, 3, 3] in pixels: of the rest, then of its parts.

    `doubted` has the frames in which each of the parts is in doubt. Nothing is written; parts.npy
    has to be there where there are parts.
    """
    parts = len(doubted)
    objects = len(open_array(Path(work), MASKS))
    counts = [parts if n == layer else 0 for n in range(objects + 1)] if parts else []
    by_part = {(layer, number): frames for number, frames in enumerate(doubted, 1)}
    clip = MatchedClip(Path(work), 1.0, counts, by_part)
    rows = {0: layer}
    if isinstance(clip.masks, SplitMasks):
        rows = {part: row for row, (n, part) in enumerate(clip.masks.order) if n == layer}
    effort = _Effort(progress, clip.count, False)
    progress.stage("motion", effort.whole * len(rows))
    motions = []
    for done, part in enumerate(sorted(rows)):
        effort = _Effort(progress, clip.count, False)
        effort.first = done * effort.whole
        motions.append(_layer_motion(clip, rows[part], effort, 1)[0])
    return np.stack(motions)


class _Effort:
    """How much of a layer's work is done; the unit is to match a frame with the next."""

    def __init__(self, progress: Progress, frames: int, background: bool) -> None:
        self.progress, self.frames, self.done = progress, frames, 0.0
        self.first = 0
        """what the layers before take"""
        self.behind = 0
        """and those behind"""
        models = [len(_scales(1.0, model)) + 1 for model, _ in _candidates(background)]
        self.whole = round(frames * (2 + ITERATION * sum(models)))

    def more(self, frames: float) -> None:
        """It turns out to take so much more."""
        self.whole += round(frames)
        self.progress.expect(self.first + self.whole + self.behind)

    def matched(self, frames: float) -> None:
        """Frames more were matched."""
        self.done += frames
        self.progress.update(self.first + min(round(self.done), self.whole))

    def iterated(self, share: float) -> None:
        """So much of an iteration more was done."""
        self.matched(ITERATION * self.frames * share)


def _layer_motion(
    clip: MatchedClip, layer: int, effort: _Effort, windows: int | None, source: str = "dis"
) -> tuple[np.ndarray, LayerMotion]:
    """One layer's motions in pixels [T, 3, 3] and the facts about them.

    What was put right of its flow lies over the clip's then.
    """
    regions, areas = Regions(clip, layer), _areas(clip, layer, effort)
    near = _all_near_matches(clip, layer, regions, effort)
    seen = _Seen(regions, areas, near, _outlines(clip, layer, effort))
    if windows in (None, LOOKED_AT) and layer == len(clip.masks):
        motions, fact = _background_motion(clip, layer, seen, effort, windows is None)
    elif windows is not None:
        split, righted = split_windows(areas, windows), None
        if len(split) > 1 and layer < len(clip.masks):
            righted = _put_right(clip, layer, seen, effort, source)
            _of_part(clip, layer, seen, part_that_turns(clip, layer), effort)
        motions, fact = _motion_in(clip, layer, split, seen, effort)
        fact.righted = righted
    else:
        motions, fact = _motion_in(clip, layer, [(0, clip.count - 1)], seen, effort)
        evidence = view_evidence(clip, layer, near)
        facts = {} if evidence is None else evidence.facts()
        found = [] if evidence is None else list(evidence.windows)
        if not found:
            linked = {match.i for match in near if len(match.start) >= LEAST_MATCHES}
            found = windows_where_hidden(clip, layer, regions, areas, linked, LEAST_MATCHES)
            facts |= {"hidden": 1.0} if found else {}
        if found:
            righted = _put_right(clip, layer, seen, effort, source)
            if righted and evidence is not None and "hidden" not in facts:
                again = view_evidence(clip, layer, seen.near)
                other = again is not None and len(again.windows) not in (0, len(found))
                if again is not None and (other or again.denies):  # as many: the first stay
                    evidence, found, facts = again, list(again.windows), again.facts()
            part = None if evidence is None or "hidden" in facts else evidence.turning
        if found:
            _of_part(clip, layer, seen, part, effort)
            motions, fact = _motion_in(clip, layer, found, seen, effort)
            fact.righted = righted
        else:
            clip.righted = {}
        fact.evidence = facts
    return _in_pixels(clip, motions), fact


def _put_right(clip: MatchedClip, layer: int, seen: "_Seen", effort: _Effort, source: str) -> int:
    """Put the object's flow right and match it again by that; of how many pairs it changed."""
    effort.more((RIGHTING + 1) * clip.count)
    clip.righted = righted_parts(clip, layer, source, lambda n: effort.matched(RIGHTING * n))
    if clip.righted:
        seen.regions = Regions(clip, layer)
        seen.near = _all_near_matches(clip, layer, seen.regions, effort)
    return len({t for _, t in clip.righted})


def _in_pixels(clip: MatchedClip, motions: np.ndarray) -> np.ndarray:
    """Normalised motions [T, 3, 3] in pixels of the frames."""
    pixels = np.linalg.inv(clip.of_frames) @ motions @ clip.of_frames
    return pixels / pixels[:, 2:, 2:]


def _background_motion(
    clip: MatchedClip, layer: int, seen: "_Seen", effort: _Effort, taken: bool
) -> tuple[np.ndarray, LayerMotion]:
    """The background's motions in one window [T, 3, 3], and whether several tell it better
    (parallax.py), where one does not tell it well. They are `taken` then, or only told of.
    """
    motions, fact = _motion_in(clip, layer, [(0, clip.count - 1)], seen, effort)
    split = split_windows(seen.areas, PARALLAX_WINDOWS)
    if clip.count < FEWEST_FRAMES:
        return motions, fact
    sheets = BackgroundSheets(clip, effort.progress.check)
    whole = sheets.laid(_in_pixels(clip, motions), [(0, clip.count - 1)])
    error = error_of(whole)
    fact.evidence = {"sheet_error": round(error, 2)}
    if error >= LEAST_ERROR:
        apart, apart_fact = _motion_in(clip, layer, split, seen, effort)
        gain = gain_of(whole, sheets.laid(_in_pixels(clip, apart), split))
        apart_fact.evidence = fact.evidence = fact.evidence | {"windows_gain": round(gain, 3)}
        if taken and gain >= LEAST_GAIN:
            return apart, apart_fact
    return motions, fact


def _of_part(
    clip: MatchedClip, layer: int, seen: "_Seen", part: TurningPart | None, effort: _Effort
) -> None:
    """Match the part alone that turns, if one does: what stands still would be followed."""
    if part is not None:
        seen.regions = PartRegions(clip, layer, part)
        seen.near = _all_near_matches(clip, layer, seen.regions, effort)


@dataclass
class _Seen:
    """What is known of a layer in every frame."""

    regions: Regions
    areas: np.ndarray
    near: list[Matches]
    """of every frame with the next"""
    outlines: list[np.ndarray | None]


def _motion_in(
    clip: MatchedClip, layer: int, split: list[Window], seen: _Seen, effort: _Effort
) -> tuple[np.ndarray, LayerMotion]:
    """The layer's motions in these windows [T, 3, 3], normalised, and the facts about them."""
    background = layer == len(clip.masks)
    fact = LayerMotion(layer, "background" if background else "object")
    inside = [[m for m in seen.near if first <= m.i and m.j <= last] for first, last in split]
    linked = {m.i for matches in inside for m in matches if len(m.start) >= LEAST_MATCHES}

    def by_outline(i: int, j: int) -> Matches | None:
        return _joined(clip, layer, i, j) if clip.doubted(layer) else None

    found_again = [
        bridges(clip, layer, seen.regions, linked, seen.areas, span, LEAST_MATCHES, by_outline)
        for span in split
    ]
    fact.frames_carried = clip.count - len(split) - len(linked) - sum(map(len, found_again))
    found = []
    for (first, last), matches, again in zip(split, inside, found_again, strict=True):
        middle = (last - first + 1) // 2
        reference = first + (middle if background else int(seen.areas[first : last + 1].argmax()))
        window = _Window(first, last, reference, matches, again, len(split))
        found.append(_window_motion(clip, layer, window, seen.regions, seen.outlines, effort, fact))
    if len(split) > 1:
        fact.windows = [list(window) for window in split]
    motions = np.concatenate(
        [best["motions"][a : b + 1] for best, (a, b) in zip(found, split, strict=True)]
    )
    most = int(np.argmax([b - a for a, b in split]))  # the window that the facts tell of
    fact.model, fact.reference = found[most]["model"], found[most]["reference"]
    fact.error_px = round(max(best["error"] for best in found) * float(clip.scale[0]), 3)
    fact.extent_widths = round(max(best["width"] for best in found), 3)
    close = [distances(b["motions"], b["usable"]) / clip.px for b in found]
    everything = np.concatenate(close)
    fact.inlier_share = round(float((everything < 1.5).mean()), 4) if len(everything) else 0.0
    return motions, fact


@dataclass
class _Window:
    """Frames that share a reference frame, and the matches of neighbours among them."""

    first: int
    last: int
    reference: int
    near: list[Matches]
    bridges: list[Bridge]
    count: int
    """of the windows"""


def _window_motion(
    clip: MatchedClip,
    layer: int,
    window: _Window,
    regions: "Regions",
    outlines: list[np.ndarray | None],
    effort: _Effort,
    fact: LayerMotion,
) -> dict:
    """The motions of a window's frames, by the richest model that stays sane."""
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
            fact.refused[model] = trouble
        elif best and mean > min(WORTH * best["error"], best["error"] - WORTH_PX):
            fact.refused[model] = f"fits no better: {mean:.2f} px, {best['error']:.2f} px without"
        else:
            best = {"model": model, "motions": motions, "error": mean, "width": width}
            if model == "homography":
                fact.refused.pop(model, None)
                break
    return best | {"reference": reference, "usable": usable}


def _all_near_matches(
    clip: MatchedClip, layer: int, regions: "Regions", effort: _Effort
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


def _joined(clip: MatchedClip, layer: int, i: int, j: int) -> Matches | None:
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


def _candidates(background: bool) -> list[tuple[str, float]]:
    """The models to try and how firmly each is held by the similarities, stiffest first."""
    stiff = [(model, 0.0) for model in MODELS[:3]]
    return stiff + [("homography", pull) for pull in PULLS if background]


def _areas(clip: MatchedClip, layer: int, effort: _Effort) -> np.ndarray:  # int [T]
    """Pixels that each frame shows of an object; the reference is where it shows most of it."""
    if layer == len(clip.masks):
        return np.ones(clip.count, int)
    areas = []
    for t in range(clip.count):
        seen = t not in clip.doubted(layer)
        areas.append(np.count_nonzero(clip.masks[layer, t] > 127) if seen else 0)
        clip.release()
        effort.progress.check()
    return np.array(areas)


def _fit_chain(
    clip: MatchedClip, window: _Window, linked: set[int], model: str, effort: _Effort
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


def _carry(motions: np.ndarray, linked: set[int], window: _Window) -> np.ndarray:
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
    effort: _Effort,
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
    effort: _Effort,
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


def _outlines(clip: MatchedClip, layer: int, effort: _Effort) -> list[np.ndarray | None]:
    """The outline of every frame."""
    outlines = []
    for t in range(clip.count):
        outlines.append(_outline(clip, layer, t))
        effort.iterated(0.5 / clip.count)
    return outlines


def _outline(clip: MatchedClip, layer: int, t: int) -> np.ndarray | None:  # [n, 2]
    """Points around what frame t shows of the layer, normalised."""
    if layer == len(clip.masks):
        left, top, right, bottom = 0, 0, clip.width - 1, clip.height - 1
    else:
        left, top, wide, high = cv2.boundingRect((clip.mask(layer, t) > 127).astype(np.uint8))
        clip.release()
        if not wide:
            return None
        right, bottom = left + wide - 1, top + high - 1
    side = np.linspace(0, 1, 9)
    x, y = left + side * (right - left), top + side * (bottom - top)
    ring = [np.column_stack([x, np.full(9, v)]) for v in (top, bottom)]
    ring += [np.column_stack([np.full(9, v), y]) for v in (left, right)]
    return apply(clip.norm, np.concatenate(ring))
