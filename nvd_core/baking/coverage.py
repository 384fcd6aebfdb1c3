"""Which texels the clip shows, how opaquely, and colours for those that it does not show."""

import cv2
import numpy as np
from numba import prange

from nvd_core.runtime.kernel_threads import parallel_njit, sharing_threads
from nvd_core.shot.texel_lookup import spread, texel_corner, texel_table

VISIBLE = 0.5
"""alpha from which something counts as seen"""

_ALPHA, _SQUARE = range(2)  # columns of Coverage.sums


class Coverage:
    """How opaque the texels of all layers are where the clip's pixels look them up.

    A texel at an object's edge is looked up by many pixels that hardly show it. What the networks
    hold there is a guess, often dark, that no picture depends on; so it is not the one pixel with
    the most alpha that decides, but the mean alpha, weighted by itself.
    """

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        """sizes: width and height of the textures, front to back."""
        self.table = texel_table(sizes)
        texels = sum(width * height for width, height in sizes)
        self.sums = np.zeros((texels, 2), np.float32)  # of alpha, and of its square

    def add(self, uva: np.ndarray) -> None:
        """Count a frame's lookups, float32 [L, H, W, 3]: u, v, alpha."""
        with sharing_threads():
            _add_lookups(uva, self.table, self.sums)

    def seen(self) -> list[np.ndarray]:
        """The texels of each layer that the clip shows, bool [h, w]."""
        alpha, square = self.sums[:, _ALPHA], self.sums[:, _SQUARE]
        seen = (alpha > 0) & (square > VISIBLE * alpha)
        return [close_gaps(seen[f : f + w * h].reshape(h, w)) for w, h, f in self.table]

    def mixed(self) -> np.ndarray:
        """Sum of alpha * (1 - alpha) over the lookups of each texel of all layers, float32 [N]."""
        return self.sums[:, _ALPHA] - self.sums[:, _SQUARE]


@parallel_njit
def _add_lookups(uva, table, sums):
    for n in prange(table.shape[0]):
        for y in range(uva.shape[1]):
            for x in range(uva.shape[2]):
                alpha = uva[n, y, x, 2]
                if alpha > 0.0:
                    corner = texel_corner(uva[n, y, x, 0], uva[n, y, x, 1], table[n])
                    spread(sums, _ALPHA, corner, alpha)
                    spread(sums, _SQUARE, corner, alpha * alpha)


def close_gaps(seen: np.ndarray) -> np.ndarray:
    """`seen` without the pinholes that pixels wider than two texels leave, bool [h, w]."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(seen.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    return closed.astype(bool)


def fill_unseen(colour: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Colour [h, w, 3] with the unseen texels filled smoothly from the seen ones around.

    Pull-push over an image pyramid: means of the seen texels go down, and come back up where
    nothing was seen. Seen texels keep their values. `colour` itself is filled and returned.
    """
    weight = seen.astype(np.float32)
    if weight.min() > 0 or weight.max() == 0:
        return colour
    filled = _pull_push(colour * weight[..., None], weight)
    np.copyto(colour, filled, where=~seen[..., None])
    return colour


def _pull_push(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Filled colours from colours times weights [h, w, 3], in place, and weights [h, w]."""
    if min(weight.shape) <= 2 or weight.min() > 0:
        mean = weighted / np.maximum(weight, 1e-6)[..., None]
        return np.where(weight[..., None] > 0, mean, weighted.sum((0, 1)) / weight.sum())
    coarse = _pull_push(cv2.pyrDown(weighted), cv2.pyrDown(weight))
    filled = cv2.pyrUp(coarse, dstsize=weight.shape[::-1])
    blend = np.minimum(weight, 1)[..., None]
    filled *= 1 - blend
    weighted /= np.maximum(weight, 1e-6)[..., None]  # the mean of what was seen
    weighted *= blend
    weighted += filled
    return weighted
