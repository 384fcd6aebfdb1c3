"""Limbs in an object's outline: what is narrow beside its trunk and stands out from it.

Where legs cross, dense flow loses them, but the outline shows both whenever they are apart. A limb
is what an opening of the mask by a disc takes away, the disc being so wide that the trunk stays;
straps, ears and folds are too small or too short.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

WIDTHS = (0.45, 0.55, 0.65, 0.75)
"""of the disc, as shares of the widest that fits into the mask"""
LEAST, MOST = 0.025, 0.25
"""a limb's share of the object's area"""
LONG = 1.6
"""how far a limb reaches from the trunk, in radii of the disc, at least"""
MOST_LIMBS = 6
LEAST_AREA = 400
"""pixels of an object below which its limbs are not looked for"""


@dataclass(frozen=True)
class Limbs:
    """The limbs that a frame shows, none of which meets another."""

    frame: int
    numbers: np.ndarray  # uint8 [h, w], 1 and on, the longest first; 0: none
    spread: float
    """how far they stand out together, in radii of the trunk"""

    @property
    def count(self) -> int:
        """Number of limbs."""
        return int(self.numbers.max())


def limbs_of(mask: np.ndarray, frame: int = 0) -> Limbs | None:
    """The limbs of an object of which this is the mask, bool [h, w]; None: it has none.

    Of several widths of the disc that counts by which the limbs together stand out farthest. What
    touches the picture's edge is cut off there, and no limb for that.
    """
    area = int(mask.sum())
    if area < LEAST_AREA:
        return None
    padded = np.pad(mask.astype(np.uint8), 1)
    trunk = float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max())
    best: Limbs | None = None
    for width in WIDTHS:
        numbers, spread = _standing_out(padded, width * trunk, area)
        if spread and (best is None or spread > best.spread):
            best = Limbs(frame, numbers[1:-1, 1:-1], spread / trunk)
    return best


def _standing_out(mask: np.ndarray, radius: float, area: int) -> tuple[np.ndarray, float]:
    """Numbers of what an opening by a disc takes away, and how far that reaches together."""
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    core = (inside > radius).astype(np.uint8)
    opened = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5) <= radius
    count, pieces, facts, _ = cv2.connectedComponentsWithStats(mask * ~opened, connectivity=4)
    far = cv2.distanceTransform((~opened).astype(np.uint8), cv2.DIST_L2, 5)
    kept = []
    for k in range(1, count):
        share = facts[k, cv2.CC_STAT_AREA] / area
        reach = float(far[pieces == k].max())
        if LEAST < share < MOST and reach > LONG * radius:
            kept.append((reach, k))
    kept = sorted(kept, reverse=True)[:MOST_LIMBS]
    numbers = np.zeros(mask.shape, np.uint8)
    for number, (_, k) in enumerate(kept, 1):
        numbers[pieces == k] = number
    return numbers, sum(reach for reach, _ in kept)


def widest(masks: Iterable[np.ndarray]) -> Limbs | None:
    """The limbs of the frame in which they stand out farthest, of the masks bool [h, w] of all."""
    found = [limbs for t, mask in enumerate(masks) if (limbs := limbs_of(mask, t))]
    return max(found, key=lambda limbs: limbs.spread, default=None)
