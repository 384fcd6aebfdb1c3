"""The edge of a mask, brought to where the picture has one."""

import cv2
import numpy as np

EDGE, PULL, ROUNDS = 8.0, 1.2, 12
"""Difference of colours in Lab at which neighbours hardly pull at each other, standard deviation;
how much they do at most, in log odds; and how often they are asked."""


def snapped(
    frame: np.ndarray,  # uint8 [h, w, 3]
    mask: np.ndarray,  # float32 [h, w]
    belief: np.ndarray,  # float32 [h, w]
    band: int,
    cut_share: float | np.ndarray,
) -> np.ndarray:  # float32 [h, w]
    """The mask after all witnesses, its edge moved to where the picture has one.

    `mask` is the carried one, `belief` what all witnesses say together; the result stays within
    `band` px of the carried mask. `cut_share` is how much the cut along the picture's edges counts.
    """
    inside = (mask > 0.5).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(inside)
    if not wide:
        return np.zeros_like(mask)
    pad = 4 * band
    rows = slice(max(top - pad, 0), top + high + pad)
    columns = slice(max(left - pad, 0), left + wide + pad)
    local, trust = inside[rows, columns], belief[rows, columns]
    share = np.broadcast_to(cut_share, mask.shape)[rows, columns]
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    core = cv2.erode(local, kernel, borderValue=1)
    near = cv2.dilate(local, kernel)
    if not core.any() or near.all():
        return sharp(mask)
    labels = np.where(trust > 0.5, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    labels[(core > 0) & (trust > 0.8)] = cv2.GC_FGD
    labels[(near == 0) | (trust < 0.05)] = cv2.GC_BGD
    if not ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).any():
        return np.zeros_like(mask)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    image = np.ascontiguousarray(frame[rows, columns])
    cv2.setRNGSeed(0)
    cv2.grabCut(image, labels, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    cut = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    result = mask.copy()
    result[rows, columns] = share * cut + (1 - share) * trust * near
    return sharp(cv2.GaussianBlur(result, (0, 0), 1.0))


def sharp(mask: np.ndarray) -> np.ndarray:
    """Steeper about one half, so that many steps do not blur the edge."""
    return np.clip((mask - 0.5) * 2 + 0.5, 0, 1)


def settled(
    lab: np.ndarray,  # float32 [h, w, 3]
    odds: np.ndarray,  # float32 [h, w]
) -> np.ndarray:  # float32 [h, w]
    """What pixels with these log odds of their own agree on with their neighbours, 0 to 1.

    Neighbours pull at each other, the more so the more alike their colours are (mean field of a
    Potts model), so that the edge comes to lie where the picture has one.
    """
    height, width = odds.shape
    pairs = []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left, right = max(-across, 0), max(across, 0)
        one = np.s_[: height - down, left : width - right]
        two = np.s_[down:, right : width - left]
        apart = lab[one] - lab[two]
        alike = np.exp(-np.einsum("hwc,hwc->hw", apart, apart) / (2 * EDGE**2))
        pairs.append((one, two, PULL * alike / np.hypot(down, across)))
    belief = 1 / (1 + np.exp(-odds))
    for _ in range(ROUNDS):
        told = odds.copy()
        side = 2 * belief - 1
        for one, two, weight in pairs:
            told[one] += weight * side[two]
            told[two] += weight * side[one]
        belief = 1 / (1 + np.exp(-told))
    return belief
