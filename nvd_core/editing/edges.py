"""The edges of a layer's paint: its matte drawn in or spread, softened, and cut by a holdout.

    choke r > 0:  the least alpha within r pixels;  r < 0: the largest; between whole r linear
    feather r:    a Gaussian of standard deviation r / 3, which ends at r pixels
    holdout h:    alpha (1 - h)

`spilt` comes before them: it finds in the plate how much of the replaced colour is left at a soft
edge. Mattes are float32 [H, W], 0 to 1; lengths are pixels.
"""

import math

import cv2
import numpy as np

from nvd_core.shot.finish import LayerEdges

SPILL_REACH = 240
"""lines of the picture for each pixel beyond a matte's edge in which colour may have spilt"""
LEAST_REACH = 2
SOFT = 1 / 64
"""alpha that still counts as none, and 1 less it as whole"""
NOISE = 0.02
"""difference of two colours, 0 to 1 a channel, that tells them apart half"""


def edged(alpha: np.ndarray, edges: LayerEdges, holdout: np.ndarray | None) -> np.ndarray:
    """The matte with `choke`, `feather` and the `holdout` [H, W] on it; a new one where any is."""
    if edges.choke:
        alpha = choked(alpha, edges.choke)
    if edges.feather:
        alpha = feathered(alpha, edges.feather)
    return alpha if holdout is None else alpha * (1 - holdout)


def choked(alpha: np.ndarray, pixels: float) -> np.ndarray:
    """The matte drawn in by so many pixels, below 0 spread. Beyond the picture it goes on."""
    whole = math.floor(abs(pixels))
    part = abs(pixels) - whole
    change = cv2.erode if pixels > 0 else cv2.dilate
    result = change(alpha, disc(whole)) if whole else alpha
    if part:
        result = result + np.float32(part) * (change(alpha, disc(whole + 1)) - result)
    return result


def disc(radius: int) -> np.ndarray:
    """uint8 [2 radius + 1, 2 radius + 1]: 1 at the pixels within `radius` of the middle."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)


def feathered(alpha: np.ndarray, pixels: float) -> np.ndarray:
    """The matte softened over so many pixels to both sides. Beyond the picture it goes on."""
    side = 2 * math.ceil(pixels) + 1
    soft = cv2.GaussianBlur(alpha, (side, side), pixels / 3, borderType=cv2.BORDER_REPLICATE)
    return np.where(soft > 1e-4, soft, 0).astype(np.float32)


def reach_of(edges: LayerEdges, height: int) -> int:
    """Pixels beyond the layer's matte in which its paint may come to show, in a picture so high."""
    spill = spill_reach(height) if edges.spill else 0
    return math.ceil(max(-edges.choke, 0)) + math.ceil(edges.feather) + spill


def spill_reach(height: int) -> int:
    """Pixels around a matte's soft edge in which the plate is asked for the replaced colour."""
    return max(LEAST_REACH, round(height / SPILL_REACH))


def continued(uva: np.ndarray, residual: np.ndarray, reach: int) -> None:
    """Give places and light to pixels within `reach` of the layer's matte, in place.

    Maps [H, W, 3] hold none where the layer does not show. A pixel p takes what its nearest pixel q
    of the layer and the one as far again behind, 2 q - p, say: 2 u(q) - u(2 q - p), or u(q) where
    the layer ends before; and the light of q.
    """
    shown = uva[..., 2] > 0
    if not reach or not shown.any() or shown.all():
        return
    rows, columns = _box(shown, reach)
    part, inner = uva[rows, columns], shown[rows, columns]
    far, nearest = _nearest(inner)
    y, x = np.nonzero(~inner & (far <= reach + 0.5))
    qy, qx = np.divmod(nearest[y, x], inner.shape[1])
    my, mx = 2 * qy - y, 2 * qx - x
    within = (my >= 0) & (mx >= 0) & (my < inner.shape[0]) & (mx < inner.shape[1])
    my, mx = np.where(within, my, qy), np.where(within, mx, qx)
    mirrored = (within & inner[my, mx])[:, None]
    near = part[qy, qx, :2]
    part[y, x, :2] = np.where(mirrored, 2 * near - part[my, mx, :2], near)
    residual[rows, columns][y, x] = residual[rows, columns][qy, qx]


def _nearest(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far the next pixel of `inner` is from each, and where it is, counted row by row."""
    far, labels = cv2.distanceTransformWithLabels(
        (~inner).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(labels.max() + 1, np.int64)
    table[labels[inner]] = np.flatnonzero(inner)
    return far, table[labels]


def _box(shown: np.ndarray, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    down, across = (
        slice(max(int(at[0]) - margin, 0), int(at[-1]) + 1 + margin) for at in (rows, columns)
    )
    return down, across


def spilt(
    alpha: np.ndarray,
    plate: np.ndarray,
    own: np.ndarray,
    behind: np.ndarray,
    share: float,
) -> np.ndarray:
    """The matte, where its edge is soft raised to what the plate shows of the replaced colour.

    `plate`, `own` (the layer as learned and lit, alone) and `behind` (all others) are display
    colours, float32 [H, W, 3]. At an edge the plate is a mixture of the two, and

        found = (plate - behind) . (own - behind) / |own - behind|^2

    says of how much of either. `share` of what it is above alpha is added, as far as the two
    colours can be told apart. Away from soft edges nothing changes.
    """
    reach = spill_reach(alpha.shape[0])
    around = np.ones((2 * reach + 1,) * 2, np.uint8)
    near = (cv2.dilate(alpha, around) > SOFT) & (cv2.erode(alpha, around) < 1 - SOFT)
    apart = own[near] - behind[near]
    size = (apart * apart).sum(1)
    found = ((plate[near] - behind[near]) * apart).sum(1) / np.maximum(size, 1e-8)
    trust = size / (size + 3 * NOISE**2)
    before = alpha[near]
    result = alpha.copy()
    result[near] = before + share * trust * (found.clip(0, 1) - before).clip(0, None)
    return result
