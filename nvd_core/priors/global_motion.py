"""One plane motion a frame and layer: where every mapping of the training starts.

The background's motions come from flow outside all masks, an object's from flow inside its mask.
Each model from translation to affine is fitted pair by pair (RANSAC), chained to the layer's
reference frame and refined jointly over neighbouring and farther pairs (`motion_fit.refine`).
Homographies start from the chained similarities and are softly held by them: chained freely they
drift, and a plane cannot hold a wide pan. The richest model that stays sane and clearly fits better
than the next stiffer one is taken.

Everything is measured at the size of the flow, which for large frames is a part of theirs
(`flow.flow_size`), in coordinates that are the same at both.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from nvd_core.arrays import release, streamed
from nvd_core.files import write_json, written_beside
from nvd_core.frame_threads import in_order, single_opencv
from nvd_core.priors.flow import (
    CONSISTENT_PX,
    at_flow_size,
    flow_scale,
    flow_size,
    grey,
    local_contrast,
)
from nvd_core.priors.motion_fit import (
    MODELS,
    Matches,
    apply,
    chain,
    distances,
    fit_pair,
    normaliser,
    refine,
)
from nvd_core.progress import Progress

CELLS = 40
"""Grid cells along the frame's longer side; each gives one match, its best textured pixel."""
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
AROUND = 16
"""Pixels around a layer that tracking sees, at least."""
TRACKING = {"winSize": (11, 11), "maxLevel": 2}
"""How OpenCV tracks points of which the motion is nearly known."""


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


def estimate_global_motion(work: Path, progress: Progress) -> np.ndarray:
    """Write motion.npy and motion.json in `work`; returns the motions, float64 [L, T, 3, 3]."""
    work = Path(work)
    clip = _Clip(work)
    layers = len(clip.masks) + 1
    progress.stage("motion", layers * clip.count)
    motions, facts = [], []
    for layer in range(layers):
        motion, fact = _layer_motion(clip, layer, progress, layer * clip.count)
        motions.append(motion)
        facts.append(fact)
    result = np.stack(motions)
    write_json(work / "motion.json", [asdict(fact) for fact in facts])
    with written_beside(work / "motion.npy") as path:
        np.save(path, result)
    progress.update(layers * clip.count)
    return result


class _Clip:
    """The arrays of `work/` at the size of the flow, and the matches read from them."""

    def __init__(self, work: Path):
        self.frames = np.load(work / "frames.npy", mmap_mode="r")
        self.masks = np.load(work / "masks.npy", mmap_mode="r")
        self.flow = np.load(work / "flow_forward.npy", mmap_mode="r")
        self.ok = np.load(work / "flow_ok.npy", mmap_mode="r")
        self.count, *size = self.frames.shape[:3]
        self.height, self.width = flow_size(*size)
        self.scale = flow_scale(*size)
        self.of_frames = normaliser(*size)
        """from the frames' own pixels to normalised coordinates"""
        self.norm = self.of_frames @ _enlarged(self.scale)
        self.px = self.norm[0, 0]  # one pixel in normalised units
        self.margin = max(2, round(max(self.height, self.width) / 100))

    def grey(self, t: int) -> np.ndarray:  # uint8 [H, W]
        """Luma of frame t."""
        return grey(at_flow_size(self.frames[t]))

    def mask(self, layer: int, t: int) -> np.ndarray:  # uint8 [H, W]
        """The mask of an object in frame t, 0 to 255."""
        return at_flow_size(self.masks[layer, t])

    def release(self) -> None:
        """Give the memory of the arrays back."""
        release(self.frames, self.masks, self.flow, self.ok)

    def region(self, layer: int, t: int) -> np.ndarray:  # bool [H, W]
        """Where frame t shows the layer for certain: masks dilated for the background, eroded."""
        size = 2 * self.margin + 1
        if layer == len(self.masks):
            covered = np.zeros((self.height, self.width), np.uint8)
            for n in range(len(self.masks)):
                covered |= (self.mask(n, t) > 64).astype(np.uint8)
            return cv2.dilate(covered, np.ones((size, size), np.uint8)) == 0
        inside = (self.mask(layer, t) > 127).astype(np.uint8)
        for nearer in range(layer):
            inside[self.mask(nearer, t) > 64] = 0
        return cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1) > 0

    def cell(self, layer: int) -> int:
        """Side of a grid cell in pixels; finer for objects, which cover less of the frame."""
        side = max(self.height, self.width) / CELLS
        return max(2, round(side if layer == len(self.masks) else side / 3))

    def matches(
        self,
        layer: int,
        i: int,
        j: int,
        regions: tuple[np.ndarray, np.ndarray],
        guess: np.ndarray | None,
    ) -> Matches:
        """Matches of neighbours from the stored flow; of others after warping j by `guess`."""
        first = self.grey(i)
        if guess is None:
            flow, ok = self.flow[i] / self.scale, self.ok[0, i] > 0
            points = textured_points(first, ok & regions[0], self.cell(layer))
            there = points + flow[points[:, 1], points[:, 0]].astype(np.float64)
        else:
            points, there = self._track(layer, first, self.grey(j), regions[0], guess)
        column, row = np.rint(there).astype(int).T
        seen = (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
        seen[seen] = regions[1][row[seen], column[seen]]
        return Matches(i, j, apply(self.norm, points[seen]), apply(self.norm, there[seen]))

    def _track(
        self,
        layer: int,
        first: np.ndarray,
        second: np.ndarray,
        region: np.ndarray,
        guess: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points of `first` in `region` and where they lie in `second`, each [n, 2].

        `guess` brings `second` onto `first`; what is left is small and is tracked there, point by
        point (Lucas-Kanade, forward and back).
        """
        left, top, wide, high = cv2.boundingRect(region.astype(np.uint8))
        if not wide:
            return np.zeros((0, 2)), np.zeros((0, 2))
        left, right = max(left - AROUND, 0), min(left + wide + AROUND, self.width)
        top, bottom = max(top - AROUND, 0), min(top + high + AROUND, self.height)
        part = slice(top, bottom), slice(left, right)
        there = guess @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], float)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

        def bring(image: np.ndarray) -> np.ndarray:
            return cv2.warpPerspective(image, there, (right - left, bottom - top), flags=flags)

        before, brought = np.ascontiguousarray(first[part]), bring(second)
        inner = cv2.erode(bring(np.full_like(second, 255)), np.ones((9, 9), np.uint8)) == 255
        points = textured_points(before, region[part] & inner, self.cell(layer))
        if not len(points):
            return points.astype(float), points.astype(float)
        start = points.astype(np.float32)
        before, brought = local_contrast(before), local_contrast(brought)  # light may change
        end, found, _ = cv2.calcOpticalFlowPyrLK(before, brought, start, None, **TRACKING)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(brought, before, end, None, **TRACKING)
        good = (found[:, 0] > 0) & (found_back[:, 0] > 0)
        good &= np.linalg.norm(back - start, axis=1) < CONSISTENT_PX
        corner = np.array([left, top], float)
        return points[good] + corner, apply(guess, end[good].astype(np.float64) + corner)


def _enlarged(scale: np.ndarray) -> np.ndarray:  # [2] -> [3, 3]
    """The matrix from pixels of an image to those of one that is `scale` times as wide and high."""
    x, y = scale.astype(float)
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def textured_points(
    image: np.ndarray, allowed: np.ndarray, cell: int
) -> np.ndarray:  # uint8 [H, W], bool [H, W] -> int [n, 2]
    """The (x, y) of the best textured allowed pixel in every cell of a grid."""
    texture = cv2.cornerMinEigenVal(image, 5)
    texture = np.where(allowed, np.maximum(texture, 1e-12), 0)
    rows, columns = image.shape[0] // cell, image.shape[1] // cell
    if not rows or not columns:
        return np.zeros((0, 2), int)
    cells = texture[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    cells = cells.transpose(0, 2, 1, 3).reshape(rows, columns, cell * cell)
    best, value = cells.argmax(axis=-1), cells.max(axis=-1)
    row, column = np.nonzero(value > 0)
    chosen = best[row, column]
    return np.column_stack([column * cell + chosen % cell, row * cell + chosen // cell])


def _layer_motion(
    clip: _Clip, layer: int, progress: Progress, done: int
) -> tuple[np.ndarray, LayerMotion]:
    """One layer's motions in pixels [T, 3, 3] and the facts about them."""
    background = layer == len(clip.masks)
    fact = LayerMotion(layer, "background" if background else "object")
    regions = _Regions(clip, layer)
    fact.reference = _reference(clip, layer)
    near = _all_near_matches(clip, layer, regions, progress, done)
    usable = [match for match in near if len(match.start) >= LEAST_MATCHES]
    linked = {match.i for match in usable}
    fact.frames_carried = clip.count - 1 - len(linked)

    anchor = _fit_chain(clip, near, linked, "similarity", fact.reference)
    matches = usable + _far_matches(clip, layer, regions, anchor, linked, progress, done)
    best = None
    for model, pull in _candidates(background) if matches else [("translation", 0.0)]:
        if model == "homography":
            start, scales = anchor, _scales(clip, settle=8)
        else:
            start, scales = _fit_chain(clip, near, linked, model, fact.reference), _scales(clip)
        motions = refine(start, matches, model, fact.reference, scales, anchor, pull)
        motions = _carry(motions, linked, fact.reference)
        if model == "similarity":
            anchor = motions
        widest = max(WIDEST, 1.5 * best["width"]) if best else np.inf
        trouble, width = _trouble(clip, layer, motions, widest)
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
    motions = best["motions"]
    fact.model = best["model"]
    fact.error_px = round(best["error"] * float(clip.scale[0]), 3)
    fact.extent_widths = round(best["width"], 3)
    close = distances(motions, usable) / clip.px
    fact.inlier_share = round(float((close < 1.5).mean()), 4) if len(close) else 0.0
    pixels = np.linalg.inv(clip.of_frames) @ motions @ clip.of_frames
    return pixels / pixels[:, 2:, 2:], fact


def _all_near_matches(
    clip: _Clip, layer: int, regions: "_Regions", progress: Progress, done: int
) -> list[Matches]:
    """The matches of every frame with the next."""
    pairs = ((t, (regions[t], regions[t + 1])) for t in range(clip.count - 1))
    near = []
    with (
        single_opencv(),
        closing(in_order(lambda pair: _near_matches(clip, layer, *pair), pairs)) as matched,
    ):
        for match in matched:
            near.append(match)
            clip.release()
            progress.update(done + match.i // 2)
    return near


def _near_matches(
    clip: _Clip, layer: int, t: int, regions: tuple[np.ndarray, np.ndarray]
) -> Matches:
    """Matches of frames t and t+1; an object's are measured again with its motion taken out.

    Dense flow moves whole patches and is smooth, so that a fast turn comes out too slow. What is
    left of the turn after warping by what was found is small, and so is what that loses.
    """
    match = clip.matches(layer, t, t + 1, regions, None)
    step = None if layer == len(clip.masks) else _step(clip, match)
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


def _step(clip: _Clip, match: Matches) -> np.ndarray | None:
    """The similarity that most matches agree on, normalised."""
    return fit_pair("similarity", match.start, match.end, 1.0 * clip.px)


def _candidates(background: bool) -> list[tuple[str, float]]:
    """The models to try and how firmly each is held by the similarities, stiffest first."""
    stiff = [(model, 0.0) for model in MODELS[:3]]
    return stiff + [("homography", pull) for pull in PULLS if background]


class _Regions:
    """The layer's certain pixels, a frame at a time, the last few kept."""

    def __init__(self, clip: _Clip, layer: int):
        self.clip, self.layer = clip, layer
        self.kept: dict[int, np.ndarray] = {}

    def __getitem__(self, t: int) -> np.ndarray:
        if t not in self.kept:
            if len(self.kept) > 24:
                self.kept.pop(next(iter(self.kept)))
            self.kept[t] = self.clip.region(self.layer, t)
        return self.kept[t]


def _reference(clip: _Clip, layer: int) -> int:
    """The middle frame for the background, the frame that shows most of it for an object."""
    if layer == len(clip.masks):
        return clip.count // 2
    areas = [np.count_nonzero(mask > 127) for mask in streamed(clip.masks[layer])]
    return int(np.argmax(areas))


def _fit_chain(
    clip: _Clip, near: list[Matches], linked: set[int], model: str, reference: int
) -> np.ndarray:
    steps = [
        fit_pair(model, match.start, match.end, 1.0 * clip.px) if match.i in linked else None
        for match in near
    ]
    return chain(steps, reference)


def _scales(clip: _Clip, settle: int = 0) -> tuple[float, ...]:
    """Widths of the robust cost, from forgiving to strict, in normalised units."""
    widths = (6.0, 4.0, 2.5, 1.5, 1.5, 1.0, 1.0, 1.0) + (1.0,) * settle
    return tuple(clip.px * width for width in widths)


def _carry(motions: np.ndarray, linked: set[int], reference: int) -> np.ndarray:
    """Frames that no match ties to the reference's side go on as their neighbour."""
    motions = motions.copy()
    for t in range(reference, len(motions) - 1):
        if t not in linked:
            motions[t + 1] = motions[t]
    for t in range(reference - 1, -1, -1):
        if t not in linked:
            motions[t] = motions[t + 1]
    return motions


def _far_matches(
    clip: _Clip,
    layer: int,
    regions: _Regions,
    motions: np.ndarray,
    linked: set[int],
    progress: Progress,
    done: int,
) -> list[Matches]:
    """Matches of frames farther apart, where every frame between them is linked."""
    to_pixels = np.linalg.inv(clip.norm)

    def pairs() -> Iterator[tuple]:
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
            progress.update(done + clip.count // 2 + match.i // 2)
            if len(match.start) >= LEAST_MATCHES:
                found.append(match)
    return found


def _trouble(clip: _Clip, layer: int, motions: np.ndarray, widest: float) -> tuple[str, float]:
    """Why these motions are not sane ("" if they are), and the extent in frame widths."""
    corners, scales = [], []
    for t, motion in enumerate(motions):
        outline = _outline(clip, layer, t)
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


def _outline(clip: _Clip, layer: int, t: int) -> np.ndarray | None:  # [n, 2]
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
