"""Masks that are drawn loosely: near their outline the picture decides, not the mask."""

from pathlib import Path

import cv2
import numpy as np

from nvd_core.runtime.mapped_arrays import release
from nvd_core.work import MASK_WEIGHT, MASKS, open_array


def doubt_edges(work: Path, margin: float, aspect: float = 1.0) -> None:
    """Take the weight off what lies within `margin` pixels of the masks' outlines.

    They are pixels of the frame's height: one that is `aspect` times as wide counts so often.
    Changes `work/mask_weight.npy` in place. A mask keeps its core: at the most the outer half of
    its thickest part is doubted, so that an object smaller than the margin is not lost.
    """
    masks = open_array(work, MASKS)
    weights = open_array(work, MASK_WEIGHT, "r+")
    for mask, weight in zip(masks, weights, strict=True):
        for t in range(len(mask)):
            weight[t][_near_outline(mask[t], margin, aspect)] = 0
            release(masks, weights)
    weights.flush()


def _near_outline(mask: np.ndarray, margin: float, aspect: float) -> np.ndarray:
    """Pixels of a mask [H, W] 0..255 less than `margin` from its outline; none without one."""
    inside = (mask > 127).astype(np.uint8)
    if not 0 < inside.sum() < inside.size:
        return np.zeros(mask.shape, bool)
    within, outside = (_distance(side, aspect) for side in (inside, 1 - inside))
    doubted = min(margin, within.max() / 2)
    return np.where(inside, within <= doubted, outside <= margin)


def _distance(side: np.ndarray, aspect: float) -> np.ndarray:
    """How far each pixel of a side, uint8 [H, W], is from the other one."""
    if aspect == 1:
        return cv2.distanceTransform(side, cv2.DIST_L2, 5)
    from scipy.ndimage import distance_transform_edt  # takes long, and few clips have a margin

    return distance_transform_edt(side, sampling=(1.0, aspect))
