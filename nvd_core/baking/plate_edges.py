"""Alpha brought to the plate's edges, where the engine looked at a smaller picture.

A network that saw 240 lines knows an object's edge to a pixel of theirs, which is several of a full
plate: its alpha is a ramp, and the edge lies somewhere within. Around such a ramp alpha is taken to
be linear in the plate's colours, a . I + b, window by window (He, Sun, Tang: Guided Image
Filtering), with least squares in which a pixel counts by how sure the network is of it: so the
levels on both sides are those beyond the ramp. Where colours do not tell the sides apart, the
network's alpha stays.
"""

import cv2
import numpy as np

REACH = 4.0
"""half the side of a window, in pixels of the analysis: what the networks' ramps are wide"""
SOFT = 0.02
"""alpha from which, and up to 1 less it, an edge is soft; sharper ones are not touched"""
AROUND = 1.0
"""pixels of the analysis beyond a soft edge within which the network's alpha comes back"""
SMOOTH = 2e-4
"""variance of colour, 0 to 1 a channel, that counts as none: noise of the plate"""
SURE = 8
"""power of 2 alpha - 1 by which a pixel counts"""
LEAST_SURE = 1e-3
CHANCE = 0.85
"""share of alpha's variance that colours of a textured window explain by chance"""
TILE = 384
"""side of what is worked on at a time, pixels: memory stays small whatever the plate's size"""


def follow_plate(alpha: np.ndarray, plate: np.ndarray, scale: float) -> np.ndarray:
    """Alphas float32 [L, H, W], summing to 1, brought to the edges of a frame uint8 [H, W, 3].

    scale: pixels of the plate in one of the analysis; 1 leaves all as it is. Each pixel's alphas
    still sum to 1. Away from soft edges they are the same, bit for bit.
    """
    if scale <= 1:
        return alpha
    reach = max(round(REACH * scale), 1)
    soft = ((alpha > SOFT) & (alpha < 1 - SOFT)).any(0)
    if not soft.any():
        return alpha
    share = _share(soft, AROUND * scale)
    result = alpha.copy()
    height, width = soft.shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = np.s_[top : min(top + TILE, height), left : min(left + TILE, width)]
            if share[tile].any():
                _follow(alpha, plate, share, tile, reach, result)
    return result


def _share(soft: np.ndarray, around: float) -> np.ndarray:
    """How much of the found alpha counts, float32 [H, W]: 1 at soft edges, 0 away from them."""
    distance = cv2.distanceTransform((~soft).astype(np.uint8), cv2.DIST_L2, 5)
    return (1 - distance / (around + 1)).clip(0, 1)


def _follow(
    alpha: np.ndarray,
    plate: np.ndarray,
    share: np.ndarray,
    tile: tuple[slice, slice],
    reach: int,
    result: np.ndarray,
) -> None:
    """Put the alphas of one tile into `result`; only what lies within two windows is looked at."""
    rows, columns = (slice(max(part.start - 2 * reach, 0), part.stop + 2 * reach) for part in tile)
    inner = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(tile, (rows, columns), strict=True)
    )
    before = alpha[:, rows, columns]
    found, trust = _guided(before, plate[rows, columns].astype(np.float32) / 255, reach)
    found, before = found[:, *inner], before[:, *inner]
    count = share[tile] * trust[inner]
    mixed = before + count * (found - before)
    np.clip(mixed, 0, 1, out=mixed)
    mixed /= mixed.sum(0)
    np.copyto(result[:, *tile], mixed, where=count > 0)


def _guided(alpha: np.ndarray, guide: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Alphas [L, h, w] by the colours [h, w, 3], and how well these tell them, [h, w], 0 to 1."""

    def mean(values: np.ndarray) -> np.ndarray:
        side = 2 * reach + 1
        return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)

    sure = np.abs(2 * alpha.max(0) - 1) ** SURE + np.float32(LEAST_SURE)
    total = mean(sure)
    own = mean(sure[..., None] * guide) / total[..., None]  # the window's mean colour
    spread = _covariance(guide, sure, total, own, mean)
    pairs = np.linalg.inv(spread + SMOOTH * np.eye(3, dtype=np.float32))
    slopes, levels, explained, varied = [], [], 0, 0
    for layer in alpha:
        level = mean(sure * layer) / total
        along = mean((sure * layer)[..., None] * guide) / total[..., None] - own * level[..., None]
        slope = (pairs @ along[..., None])[..., 0]
        slopes.append(slope)
        levels.append(level - (slope * own).sum(-1))
        explained = explained + (slope * along).sum(-1)
        varied = varied + mean(sure * layer * layer) / total - level * level
    explained = explained / np.maximum(varied, 1e-4)
    trust = ((explained - CHANCE) / (1 - CHANCE)).clip(0, 1)
    weight = mean(trust) + 1e-6
    found = [
        ((mean(trust[..., None] * slope) * guide).sum(-1) + mean(trust * level)) / weight
        for slope, level in zip(slopes, levels, strict=True)
    ]
    return np.stack(found), weight.clip(0, 1)


def _covariance(guide, sure, total, own, mean) -> np.ndarray:
    """The windows' covariances of colour, float32 [h, w, 3, 3]."""
    spread = np.empty((*sure.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            both = mean(sure * guide[..., i] * guide[..., j]) / total - own[..., i] * own[..., j]
            spread[..., i, j] = spread[..., j, i] = both
    return spread
