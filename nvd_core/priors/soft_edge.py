"""A mask's edge made as soft as the picture has it: the guided filter, in a band around the edge.

In a window the mask is taken for a linear function of the picture's colours (He, Sun and Tang,
"Guided Image Filtering", 2013, with the 3 x 3 covariance of the colours). Where object and
background differ in colour that is close to the true alpha of hair, blur and pixels half covered;
where they do not, the filter leaves a blur of the mask.
"""

import cv2
import numpy as np

EPSILON = 1e-4
"""Regulariser: variance of the colours (0 to 1) below which the picture has no edge to follow."""


def softened(
    frame: np.ndarray,  # uint8 [h, w, 3]
    mask: np.ndarray,  # float32 [h, w]
    radius: float,
    epsilon: float = EPSILON,
) -> np.ndarray:  # float32 [h, w]
    """The mask, 0 to 1, with its edge as the picture has it, within `radius` px of where it was."""
    inside = (mask > 0.5).astype(np.uint8)
    if not 0 < inside.sum() < inside.size:
        return mask.astype(np.float32)
    away = np.where(
        inside > 0,
        cv2.distanceTransform(inside, cv2.DIST_L2, 3),
        cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3),
    )
    band = np.clip(radius + 0.5 - away, 0, 1).astype(np.float32)  # 1 at the edge, 0 far from it
    guided = guided_filter(frame.astype(np.float32) / 255, mask, max(1, round(radius)), epsilon)
    return band * np.clip(guided, 0, 1) + (1 - band) * inside


def guided_filter(
    guide: np.ndarray,  # float32 [h, w, 3], 0 to 1
    image: np.ndarray,  # float32 [h, w]
    radius: int,
    epsilon: float,
) -> np.ndarray:  # float32 [h, w]
    """`image` as locally linear function of the colours of `guide`, windows of 2 radius + 1 px."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, side, borderType=cv2.BORDER_REFLECT)

    guide = guide.astype(np.float64)
    colours, value = mean(guide), mean(image.astype(np.float64))
    both = mean(guide * image[..., None]) - colours * value[..., None]
    spread = np.empty((*image.shape, 3, 3))
    for a in range(3):
        for b in range(a, 3):
            own = mean(guide[..., a] * guide[..., b]) - colours[..., a] * colours[..., b]
            spread[..., a, b] = spread[..., b, a] = own
    spread += epsilon * np.eye(3)
    slope = np.linalg.solve(spread, both[..., None])[..., 0]
    offset = value - (slope * colours).sum(-1)
    return ((mean(slope) * guide).sum(-1) + mean(offset)).astype(np.float32)
