"""An object cut out of one frame, from clicks on it, clicks beside it, or a box around it.

What is known at first is rough: where something moves that was clicked (`click_motion`), the box,
or what of the picture hangs together around a click. From there on it is the same: histograms of
its colours and of those close around it, its motion where that is known, and a cut along the
picture's edges (GrabCut) in a window half as large again; three rounds, each from the one before.
Holes stay holes. At the end the edge is softened as the picture has it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.priors.colour_model import histogram, log_odds
from nvd_core.priors.soft_edge import softened

Point = tuple[float, float]

LONGEST = 560
"""Pixels along the longer side of the window at which the object is cut out, at most."""
LARGER = 1.5
"""How much larger than what is known of the object the window is."""
ROUNDS = 3
COLOUR, FAR, ONE_SIDE = 2.0, 1.5, 1.5
"""What colours count, in log odds; what is lost at the reach; what the last round's mask adds."""
REACH = 0.45
"""How far the object may go beyond what is known of it, of the root of its area."""
RING = 0.5
"""How far what is around it is looked at, the same."""
SURE = 3.0
"""Log odds from which the cut has no say."""
TOUCHED = 0.006
"""Radius of a click, of the longer side of the frame."""
SPREAD, ALIKE = 0.05, 7
"""How far around a click pixels of its colour that hang together with it count as clicked, of the
longer side, and how far they may be off, of 255 a channel."""
PIECE = 0.08
"""Share of the largest piece below which another is noise, unless it was clicked."""
RADII = 0.03, 0.05, 0.08, 0.125, 0.19, 0.28
"""Sizes that are tried where nothing but a click is known, of the longer side of the frame."""
TRIED_AT = 320
"""Pixels along the longer side at which they are tried."""


@dataclass(frozen=True)
class Clicks:
    """What was clicked, in pixels of the frame (x right, y down, centres at whole numbers)."""

    inside: tuple[Point, ...] = ()
    """points of the object"""
    outside: tuple[Point, ...] = ()
    """points that are not"""
    box: tuple[float, float, float, float] | None = None
    """left, top, right, bottom of a box that the object fills"""


@dataclass(frozen=True)
class Motion:
    """What the motion around a frame says of the object that was clicked."""

    mask: np.ndarray
    """float32 [H, W], 0 to 1: where it moves, and what belongs to that by its colours"""
    odds: np.ndarray
    """float32 [H, W]: log odds that a pixel moves as the object does"""


def cut_out(
    frame: np.ndarray,  # uint8 [H, W, 3]
    clicks: Clicks,
    motion: Motion | None = None,
) -> np.ndarray:  # float32 [H, W]
    """The mask of what was clicked, 0 to 1, with a soft edge; empty where nothing is told apart."""
    height, width = frame.shape[:2]
    known = _known(frame, clicks, motion)
    if not known.any():
        return np.zeros((height, width), np.float32)
    part, factor = _window(known, clicks)
    picture = _scaled(frame[part], factor)
    size = picture.shape[1::-1]
    inside = cv2.resize(known[part].astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
    odds = np.zeros(size[::-1], np.float32)
    if motion is not None:
        odds = cv2.resize(motion.odds[part], size, interpolation=cv2.INTER_AREA)
    fixed = _fixed(picture, _within(clicks, part, factor), TOUCHED * factor * max(height, width))
    boxed = clicks.box is not None and motion is None
    for number in range(ROUNDS):
        inside = _round(picture, inside, odds, fixed, first=number == 0, boxed=boxed)
    inside = _pieces(inside, fixed > 0)
    mask = np.zeros((height, width), np.float32)
    whole = frame[part]
    rough = cv2.resize(
        inside.astype(np.float32), whole.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    mask[part] = softened(whole, rough, max(2.0, 1.5 / factor))
    return mask


def _known(frame: np.ndarray, clicks: Clicks, motion: Motion | None) -> np.ndarray:  # bool [H, W]
    """Where the object is, as far as motion, box or what hangs together around the clicks tell."""
    height, width = frame.shape[:2]
    known = np.zeros((height, width), bool)
    if clicks.box is not None:
        known[_box(clicks.box, height, width)] = True
    if motion is not None:
        moving = motion.mask > 0.5
        both = known & moving if known.any() else moving
        if both.sum() > 0.1 * known.sum():
            return both
    return known if known.any() else _around_clicks(frame, clicks)


def _box(box: tuple[float, float, float, float], height: int, width: int) -> tuple[slice, slice]:
    left, top, right, bottom = box
    rows = slice(max(round(top), 0), min(round(bottom) + 1, height))
    return rows, slice(max(round(left), 0), min(round(right) + 1, width))


def _window(known: np.ndarray, clicks: Clicks) -> tuple[tuple[slice, slice], float]:
    """The part of the frame that is looked at, and how much smaller."""
    height, width = known.shape
    left, top, wide, high = cv2.boundingRect(known.astype(np.uint8))
    right, bottom = left + wide, top + high
    for x, y in clicks.inside:
        left, right = min(left, round(x)), max(right, round(x) + 1)
        top, bottom = min(top, round(y)), max(bottom, round(y) + 1)
    more = (LARGER - 1) / 2
    across, down = more * (right - left) + 8, more * (bottom - top) + 8
    part = (
        slice(max(round(top - down), 0), min(round(bottom + down), height)),
        slice(max(round(left - across), 0), min(round(right + across), width)),
    )
    longest = max(part[0].stop - part[0].start, part[1].stop - part[1].start)
    return part, min(1.0, LONGEST / longest)


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    if factor == 1:
        return np.ascontiguousarray(image)
    size = max(round(image.shape[1] * factor), 8), max(round(image.shape[0] * factor), 8)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _within(clicks: Clicks, part: tuple[slice, slice], factor: float) -> Clicks:
    """The clicks in pixels of a part of the frame."""
    rows, columns = part

    def moved(x: float, y: float) -> Point:
        return (x + 0.5 - columns.start) * factor - 0.5, (y + 0.5 - rows.start) * factor - 0.5

    box = clicks.box
    if box is not None:
        box = (*moved(*box[:2]), *moved(*box[2:]))
    inside, outside = ([moved(*p) for p in points] for points in (clicks.inside, clicks.outside))
    return Clicks(tuple(inside), tuple(outside), box)


def _fixed(picture: np.ndarray, clicks: Clicks, radius: float) -> np.ndarray:  # int8 [h, w]
    """1 where the clicks say that the object is, -1 where they say that it is not, else 0.

    A click stands for its disc, and for what around it has its colour and hangs together with it;
    where both kinds reach a pixel the nearer one counts.
    """
    height, width = picture.shape[:2]
    fixed = np.zeros((height, width), np.int8)
    if clicks.box is not None:
        fixed[:] = -1
        fixed[_box(clicks.box, height, width)] = 0
    smooth = cv2.bilateralFilter(picture, 5, 12, 3)
    nearest = np.full((height, width), np.inf, np.float32)
    y, x = np.mgrid[:height, :width]
    for sign, points in ((1, clicks.inside), (-1, clicks.outside)):
        for across, down in points:
            column, row = round(across), round(down)
            if not (0 <= row < height and 0 <= column < width):
                continue
            away = np.hypot(x - across, y - down).astype(np.float32)
            touched = away <= max(radius, 1.5)
            touched |= _flooded(smooth, column, row) & (away <= radius * SPREAD / TOUCHED)
            touched &= away < nearest
            fixed[touched] = sign
            nearest[touched] = away[touched]
    return fixed


def _flooded(picture: np.ndarray, column: int, row: int) -> np.ndarray:  # bool [h, w]
    """What has the colour of a pixel, nearly, and hangs together with it."""
    mask = np.zeros((picture.shape[0] + 2, picture.shape[1] + 2), np.uint8)
    flags = 4 | (1 << 8) | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY
    cv2.floodFill(picture.copy(), mask, (column, row), 0, (ALIKE,) * 3, (ALIKE,) * 3, flags)
    return mask[1:-1, 1:-1] > 0


def _round(
    picture: np.ndarray,  # uint8 [h, w, 3]
    inside: np.ndarray,  # bool [h, w]
    motion: np.ndarray,  # float32 [h, w]
    fixed: np.ndarray,  # int8 [h, w]
    *,
    first: bool,
    boxed: bool,
) -> np.ndarray:  # bool [h, w]
    """The object's mask from what is known of it."""
    if not inside.any():
        inside = fixed > 0
    own = inside.astype(np.uint8)
    root = float(np.sqrt(max(own.sum(), 1)))
    reach, ring = max(4.0, REACH * root), max(4, int(RING * root))
    around = (cv2.dilate(own, _disc(ring)) > cv2.dilate(own, _disc(2))) | (fixed < 0)
    core = inside if first else cv2.erode(own, _disc(2), borderValue=1) > 0
    core = (core if core.any() else inside) | (fixed > 0)
    odds = motion + COLOUR * log_odds(
        picture, histogram(picture, core & (fixed >= 0)), histogram(picture, around & (fixed <= 0))
    )
    away = cv2.distanceTransform(1 - own, cv2.DIST_L2, 3) / reach
    odds -= FAR * away
    if not (first and boxed):  # of a full box nothing is known but what is outside
        odds += ONE_SIDE * (2 * cv2.GaussianBlur(own.astype(np.float32), (0, 0), 2.0) - 1)
    odds = cv2.GaussianBlur(odds, (0, 0), 1.0)
    odds = np.where(fixed > 0, np.float32(9), np.where(fixed < 0, np.float32(-9), odds))
    odds[away > 1] = np.minimum(odds[away > 1], -SURE - 1)
    return _grab_cut(picture, odds)


def _grab_cut(picture: np.ndarray, odds: np.ndarray) -> np.ndarray:  # bool [h, w]
    labels = np.where(odds > 0, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[odds < -SURE], labels[odds > SURE] = cv2.GC_BGD, cv2.GC_FGD
    shown = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if shown.sum() < 10 or (~shown).sum() < 10:
        return shown
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(picture, labels, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _pieces(inside: np.ndarray, clicked: np.ndarray) -> np.ndarray:  # bool [h, w]
    """The pieces that were clicked or are large; holes in them stay."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), None, 8)
    if count < 2:
        return inside
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    keep = areas > PIECE * areas.max()
    keep[np.unique(labels[clicked])] = True
    keep[0] = False
    return keep[labels]


def _around_clicks(frame: np.ndarray, clicks: Clicks) -> np.ndarray:  # bool [H, W]
    """What hangs together around the clicks: of several sizes the one whose outline is clearest."""
    factor = min(1.0, TRIED_AT / max(frame.shape[:2]))
    picture = _scaled(frame, factor)
    height, width = picture.shape[:2]
    everywhere = slice(0, frame.shape[0]), slice(0, frame.shape[1])
    own = _within(clicks, everywhere, factor)
    fixed = _fixed(picture, own, max(1.5, TOUCHED * max(height, width)))
    if not (fixed > 0).any():
        return np.zeros(frame.shape[:2], bool)
    away = cv2.distanceTransform((fixed <= 0).astype(np.uint8), cv2.DIST_L2, 3)
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    best, found = -1.0, fixed > 0
    for share in RADII:
        radius = share * max(height, width)
        odds = np.clip(2 * (1 - away / radius), -2, 2)
        odds[away > 2 * radius] = -9
        odds = np.where(fixed > 0, 9.0, np.where(fixed < 0, -9.0, odds))
        if (odds > -9).all():
            break
        tried = _pieces_clicked(_grab_cut(picture, odds), fixed > 0)
        score = _clearness(lab, tried, away > 1.9 * radius)
        if score > best:
            best, found = score, tried
    return cv2.resize(found.astype(np.uint8), frame.shape[1::-1]) > 0


def _pieces_clicked(inside: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    labels = cv2.connectedComponents(inside.astype(np.uint8))[1]
    return np.isin(labels, np.unique(labels[clicked & inside])) & inside


def _clearness(lab: np.ndarray, inside: np.ndarray, limit: np.ndarray) -> float:
    """How different in colour both sides of an outline are; 0 where it ends at the limit."""
    own = inside.astype(np.uint8)
    edge = cv2.dilate(own, _disc(1)) > own
    if not edge.any():
        return 0.0
    ways = []
    for step in (2, 3):
        kernel = _disc(step)
        within = cv2.blur(lab * own[..., None], kernel.shape)
        share = cv2.blur(own.astype(np.float32), kernel.shape)[..., None]
        outside = cv2.blur(lab * (1 - own[..., None]), kernel.shape) / np.maximum(1 - share, 1e-3)
        ways.append(np.linalg.norm(within / np.maximum(share, 1e-3) - outside, axis=-1))
    step_over = np.minimum(np.mean(ways, axis=0), 40)
    return float(np.where(limit, 0, step_over)[edge].mean())


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
