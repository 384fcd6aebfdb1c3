"""One plane motion a frame and layer: where every mapping of the training starts.

The background's motions come from flow outside all masks, an object's from flow inside its mask:
matches of neighbouring frames (`near_matches`), and motions that fit them in each window in time
(`window_motion`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.another_side import windows_where_hidden
from nvd_core.priors.flow_parts import Parts, write_parts
from nvd_core.priors.motion_effort import MotionEffort
from nvd_core.priors.motion_features import (
    bridges,
)
from nvd_core.priors.motion_fit import (
    Matches,
    apply,
    distances,
)
from nvd_core.priors.motion_matches import MatchedClip, Regions
from nvd_core.priors.near_matches import LEAST_MATCHES, all_near_matches, joined_by_masks
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
from nvd_core.priors.split_masks import SplitMasks
from nvd_core.priors.turning_part import PartRegions, TurningPart
from nvd_core.priors.views import part_that_turns, view_evidence
from nvd_core.priors.window_motion import MotionWindow, iterations_of, window_motion
from nvd_core.runtime.files import without_nan, write_json, written_beside
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
    efforts = [
        MotionEffort(progress, clip.count, iterations_of(layer == layers - 1))
        for layer in range(layers)
    ]
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
    effort = MotionEffort(progress, clip.count, iterations_of(False))
    progress.stage("motion", effort.whole * len(rows))
    motions = []
    for done, part in enumerate(sorted(rows)):
        effort = MotionEffort(progress, clip.count, iterations_of(False))
        effort.first = done * effort.whole
        motions.append(_layer_motion(clip, rows[part], effort, 1)[0])
    return np.stack(motions)


def _layer_motion(
    clip: MatchedClip, layer: int, effort: MotionEffort, windows: int | None, source: str = "dis"
) -> tuple[np.ndarray, LayerMotion]:
    """One layer's motions in pixels [T, 3, 3] and the facts about them.

    What was put right of its flow lies over the clip's then.
    """
    regions, areas = Regions(clip, layer), _areas(clip, layer, effort)
    near = all_near_matches(clip, layer, regions, effort)
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


def _put_right(
    clip: MatchedClip, layer: int, seen: "_Seen", effort: MotionEffort, source: str
) -> int:
    """Put the object's flow right and match it again by that; of how many pairs it changed."""
    effort.more((RIGHTING + 1) * clip.count)
    clip.righted = righted_parts(clip, layer, source, lambda n: effort.matched(RIGHTING * n))
    if clip.righted:
        seen.regions = Regions(clip, layer)
        seen.near = all_near_matches(clip, layer, seen.regions, effort)
    return len({t for _, t in clip.righted})


def _in_pixels(clip: MatchedClip, motions: np.ndarray) -> np.ndarray:
    """Normalised motions [T, 3, 3] in pixels of the frames."""
    pixels = np.linalg.inv(clip.of_frames) @ motions @ clip.of_frames
    return pixels / pixels[:, 2:, 2:]


def _background_motion(
    clip: MatchedClip, layer: int, seen: "_Seen", effort: MotionEffort, taken: bool
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
    clip: MatchedClip, layer: int, seen: "_Seen", part: TurningPart | None, effort: MotionEffort
) -> None:
    """Match the part alone that turns, if one does: what stands still would be followed."""
    if part is not None:
        seen.regions = PartRegions(clip, layer, part)
        seen.near = all_near_matches(clip, layer, seen.regions, effort)


@dataclass
class _Seen:
    """What is known of a layer in every frame."""

    regions: Regions
    areas: np.ndarray
    near: list[Matches]
    """of every frame with the next"""
    outlines: list[np.ndarray | None]


def _motion_in(
    clip: MatchedClip, layer: int, split: list[Window], seen: _Seen, effort: MotionEffort
) -> tuple[np.ndarray, LayerMotion]:
    """The layer's motions in these windows [T, 3, 3], normalised, and the facts about them."""
    background = layer == len(clip.masks)
    fact = LayerMotion(layer, "background" if background else "object")
    inside = [[m for m in seen.near if first <= m.i and m.j <= last] for first, last in split]
    linked = {m.i for matches in inside for m in matches if len(m.start) >= LEAST_MATCHES}

    def by_outline(i: int, j: int) -> Matches | None:
        return joined_by_masks(clip, layer, i, j) if clip.doubted(layer) else None

    found_again = [
        bridges(clip, layer, seen.regions, linked, seen.areas, span, LEAST_MATCHES, by_outline)
        for span in split
    ]
    fact.frames_carried = clip.count - len(split) - len(linked) - sum(map(len, found_again))
    found = []
    for (first, last), matches, again in zip(split, inside, found_again, strict=True):
        middle = (last - first + 1) // 2
        reference = first + (middle if background else int(seen.areas[first : last + 1].argmax()))
        window = MotionWindow(first, last, reference, matches, again, len(split))
        found.append(
            window_motion(clip, layer, window, seen.regions, seen.outlines, effort, fact.refused)
        )
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


def _areas(clip: MatchedClip, layer: int, effort: MotionEffort) -> np.ndarray:  # int [T]
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


def _outlines(clip: MatchedClip, layer: int, effort: MotionEffort) -> list[np.ndarray | None]:
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
