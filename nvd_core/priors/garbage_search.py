"""Finding what is burnt into the picture: what stays as it is while all around it moves.

Two things tell it from a picture. Letterbox bars are rows or columns along the border of one
colour, which end sharply. A logo, a timecode's box or dirt has edges that lie on the same pixels
with the same contrast in all frames, though the picture around has moved on. A clear sky has no
edges, and whatever the camera follows has none that hold so still. Where nothing moves, everything
stays: then there is nothing to tell.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.priors.flow_size import at_flow_size, flow_scale, grey
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FLOW_FORWARD, FRAMES, open_array

SAMPLES = 48
"""frames that are looked at, spread over the clip"""
TRAVEL = 0.03
"""share of the picture's longer side that the picture must move, for what stays to be told"""
MOVES = 0.5
"""share of the picture, what stays left out, that must move so far"""
EDGE = 12.0
"""steps of 255 from pixel to pixel that make an edge"""
HOLDS = (0.5, 1.6)
"""an edge's contrast in a frame, as a share of its mean, for it to be the same edge"""
ALWAYS = 0.95
"""share of the frames in which it is"""
FEWEST = 12
"""pixels of such edges that make a finding"""
REACH = 1 / 30
"""share of the longer side over which letters and lines are taken together"""
LARGEST_HOLE = 0.05
"""share of the picture up to which a frame's inside, as that of a timecode, belongs to it"""
FLAT = 10
"""steps of 255 by which a bar may differ from its colour, as compression does"""
MOST_BAR = 0.35
"""share of a side that a bar may take"""
ENDS = 0.3
"""share of the pixels beyond a bar that are of other colours, for it to be one"""
MOST_NAMED = 4
AROUND = 2
"""pixels of the flow by which a finding is widened, for compression smears it"""


@dataclass(frozen=True)
class Found:
    """What was found: its matte, uint8 [H, W] of 0 and 255, and where, in words."""

    matte: np.ndarray
    words: str


def find_garbage(work: Path, progress: Progress) -> Found | None:
    """Look for what stays; None where nothing does, or nothing can be told."""
    frames, flow = open_array(work, FRAMES), open_array(work, FLOW_FORWARD)
    count, height, width = frames.shape[:3]
    progress.stage("garbage", count)
    travel = _travel(flow, flow_scale((height, width), flow.shape[1:3]), progress)
    least = TRAVEL * max(travel.shape)
    if not (travel > least).any():  # a still camera
        return None
    lumas = []
    for t in np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).round()).astype(int):
        lumas.append(grey(at_flow_size(frames[t], flow.shape[1:3])))
        release(frames)
        progress.check()
    lumas = np.stack(lumas)
    matte = _bars(lumas)
    matte |= _marks(lumas, matte, travel, least)
    moves = travel[~matte] > least
    if not matte.any() or not moves.size or moves.mean() < MOVES:
        return None
    if matte.shape != (height, width):
        matte = cv2.resize(matte.astype(np.float32), (width, height)) > 0
    return Found(matte.astype(np.uint8) * 255, _words(matte))


def _travel(flow: np.ndarray, scale: np.ndarray, progress: Progress) -> np.ndarray:
    """How far what passes each pixel goes in all, float32 [h, w], in pixels of the flow.

    There and back is no way: a camera that shakes does not travel.
    """
    sums = np.zeros((*flow.shape[1:3], 2), np.float32)
    low, high = np.zeros_like(sums), np.zeros_like(sums)
    for t in range(len(flow)):
        sums += flow[t].astype(np.float32) / scale
        np.minimum(low, sums, out=low)
        np.maximum(high, sums, out=high)
        release(flow)
        progress.update(t + 1)
    return np.linalg.norm(high - low, axis=2)


def _bars(lumas: np.ndarray) -> np.ndarray:  # uint8 [S, h, w] -> bool [h, w]
    """Rows and columns along the border that are of one colour in all frames, and end sharply."""
    low, high = lumas.min(0).astype(int), lumas.max(0).astype(int)
    matte = np.zeros(low.shape, bool)
    for turned in (False, True):
        for flipped in (False, True):
            a, b = (np.rot90(image, turned)[:: -1 if flipped else 1] for image in (low, high))
            rows = _bar(a, b)
            np.rot90(matte, turned)[:: -1 if flipped else 1][:rows] = True  # a view
    return matte


def _bar(low: np.ndarray, high: np.ndarray) -> int:
    """How many rows from the first are a bar, by the least and the most that a pixel ever is."""
    colour = np.median((low[0] + high[0]) / 2)
    off = np.maximum(high - colour, colour - low)  # [h, w]
    flat = np.quantile(off, ALWAYS, axis=1) <= FLAT
    rows = int(np.argmin(flat)) if not flat.all() else len(flat)
    if not 0 < rows <= MOST_BAR * len(flat):
        return 0
    # one row may be half of the bar and half of the picture, and its smear goes on for one more
    beyond = off[rows + AROUND : rows + AROUND + 2]
    sharp = beyond.size and (beyond > 3 * FLAT).mean() > ENDS
    return rows + AROUND if sharp else 0


def _marks(
    lumas: np.ndarray, bars: np.ndarray, travel: np.ndarray, least: float
) -> np.ndarray:  # bool [h, w]
    """Where edges stay that the picture does not take along."""
    edges = _edges_that_stay(lumas)
    beside = cv2.dilate(bars.astype(np.uint8), np.ones((2 * AROUND + 3, 2 * AROUND + 3)))
    edges &= beside == 0
    size = max(3, round(REACH * max(edges.shape))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    joined = cv2.morphologyEx(edges.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    count, labels = cv2.connectedComponents(joined)
    still = np.ptp(lumas, axis=0) <= 2 * FLAT
    matte = np.zeros(edges.shape, bool)
    for label in range(1, count):
        mark = labels == label
        if np.count_nonzero(edges & mark) < FEWEST:
            continue
        filled = _filled(mark)
        near = cv2.dilate(filled.astype(np.uint8), np.ones((3 * size, 3 * size))) > 0
        around = near & ~filled & ~bars & (labels == 0)
        if around.any() and np.median(travel[around]) > least:
            wide = 2 * AROUND + 1
            whole = _joined_by(still, filled, size)
            matte |= cv2.dilate(whole.astype(np.uint8), np.ones((wide, wide))) > 0
    return matte


def _edges_that_stay(lumas: np.ndarray) -> np.ndarray:  # uint8 [S, h, w] -> bool [h, w]
    def gradient(luma: np.ndarray) -> np.ndarray:  # float32 [h, w, 2]
        soft = cv2.GaussianBlur(luma, (3, 3), 0).astype(np.float32)
        return np.stack([cv2.Sobel(soft, cv2.CV_32F, *d, scale=1 / 8) for d in ((1, 0), (0, 1))], 2)

    mean = sum(gradient(luma) for luma in lumas) / len(lumas)
    square = np.einsum("hwc,hwc->hw", mean, mean)
    holds = np.zeros(square.shape, np.int32)
    for luma in lumas:
        share = np.einsum("hwc,hwc->hw", gradient(luma), mean) / np.maximum(square, 1e-6)
        holds += (share > HOLDS[0]) & (share < HOLDS[1])
    return (square > EDGE**2) & (holds >= ALWAYS * len(lumas))


def _joined_by(still: np.ndarray, mark: np.ndarray, reach: int) -> np.ndarray:
    """A mark with the pixels that hang together with it and stay, up to `reach` of them away.

    A plain margin has no edge that stays: what it borders on moves.
    """
    near = cv2.dilate(mark.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1))) > 0
    _, labels = cv2.connectedComponents(((still & near) | mark).astype(np.uint8))
    return np.isin(labels, np.unique(labels[mark]))


def _filled(mark: np.ndarray) -> np.ndarray:  # bool [h, w]
    """A mark with its holes, but for those as large as a picture within a frame."""
    outside = (~mark).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, None, None, 4)
    height, width = mark.shape
    filled = mark.copy()
    for hole in range(1, count):
        left, top, wide, high, area = stats[hole]
        at_border = left == 0 or top == 0 or left + wide == width or top + high == height
        if not at_border and area <= LARGEST_HOLE * mark.size:
            filled |= labels == hole
    return filled


def _words(matte: np.ndarray) -> str:
    """Where a matte [H, W] lies: rectangles, the largest first, and its share of the picture."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(matte.astype(np.uint8), None, None, 8)
    boxes = sorted(stats[1:count].tolist(), key=lambda box: -box[4])
    named = [f"{wide} x {high} pixels at x {left}, y {top}" for left, top, wide, high, _ in boxes]
    more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    share = max(float(matte.mean()), 0.001)
    return f"{'; '.join(named[:MOST_NAMED] + more)} ({share:.1%} of the picture)"
