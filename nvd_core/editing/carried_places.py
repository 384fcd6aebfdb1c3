"""Where each texel of a layer's texture lies in the texture of another decomposition of the clip.

Both see the same frames, so a pixel ties a place of the one texture to a place of the other. As in
inverse_maps.py four neighbouring pixels are two flat triangles; the mean over all frames counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numba import njit

from nvd_core.editing.inverse_maps import MOST_SPAN
from nvd_core.editing.kernel_torch import lookup
from nvd_core.runtime.parts import MOST_PARTS
from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.part_places import part_numbers, pieces_of

FAINTEST = 1 / 16
"""alpha in either decomposition below which a pixel ties nothing: there coordinates are guesses"""
MOST_CELLS = 2048
"""along the longer side of the grid on which places are gathered: they change slowly"""
_INSIDE = 1e-9


@dataclass
class Places:
    """How far off each texel of the new texture lies in the old one, on a grid of the new one.

    Relative to the textures' sizes, right and down: a texture that lies the same has zeros.
    """

    shift: np.ndarray  # float32 [h, w, 2]: place in the old texture less that in the new, 0 to 1
    seen: np.ndarray  # bool [h, w]: shown by a frame in both; elsewhere `shift` is continued
    spread: np.ndarray  # float32 [h, w]: root mean square over the frames, old texels; 0 unseen

    def at(self, width: int, height: int, rows: slice) -> np.ndarray:  # float32 [rows, w, 2]
        """`rows` of the shift brought to a texture of this size."""
        y = (np.arange(height)[rows] + 0.5) / height * self.shift.shape[0] - 0.5
        x = (np.arange(width) + 0.5) / width * self.shift.shape[1] - 0.5
        shift = torch.from_numpy(self.shift)
        u = torch.from_numpy((x + 0.5) / self.shift.shape[1]).expand(len(y), -1)
        v = torch.from_numpy(1 - (y + 0.5) / self.shift.shape[0])[:, None].expand(-1, len(x))
        return lookup(shift, u, v).numpy()


class PlacesFound:
    """Gathers the places of one layer, frame by frame."""

    def __init__(
        self,
        old_size: tuple[int, int],
        new_size: tuple[int, int],
        old_parts: Sequence[PartRecord] = (),
        new_parts: Sequence[PartRecord] = (),
    ) -> None:
        """Width and height of both textures, and the layer's parts in both."""
        self._old = old_size
        self._old_parts, self._new_parts = old_parts, new_parts
        width, height = (-(-side // -(-max(new_size) // MOST_CELLS)) for side in new_size)
        # weight, then weighted x, y and x^2 + y^2 of the shift, old texels
        self._sums = np.zeros((height, width, 4))

    def add(self, old: LayerMaps, new: LayerMaps) -> None:
        """Take in a frame; `old` may be of another size than `new`."""
        old = _at_size(old, new.u.shape)
        width, height = self._old
        numbers = part_numbers(self._new_parts, new.u, new.v).astype(np.int64)
        numbers += MOST_PARTS * part_numbers(self._old_parts, old.u, old.v)  # both go on together
        for _, piece in pieces_of(new, numbers):
            arrays = (piece.u, piece.v, piece.alpha, old.u, old.v, old.alpha)
            u, v, alpha, *old_ones = (np.ascontiguousarray(a, np.float32) for a in arrays)
            old_u, old_v, old_alpha = old_ones
            _tie(u, v, alpha, old_u, old_v, old_alpha, width, height, self._sums)

    def places(self) -> Places | None:
        """What was found; None where no frame shows the layer in both decompositions."""
        weight = self._sums[..., 0]
        seen = weight > 0
        if not seen.any():
            return None
        means = self._sums[..., 1:] / np.where(seen, weight, 1)[..., None]
        spread = np.sqrt((means[..., 2] - (means[..., :2] ** 2).sum(-1)).clip(min=0))
        shift = _continued(means[..., :2] / self._old, seen)
        return Places(shift.astype(np.float32), seen, spread.astype(np.float32))


def _relative(width: int, height: int) -> np.ndarray:  # [h, w, 2]
    """Texel centres, right and down, 0 to 1."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    return np.stack(np.meshgrid(x, y), -1)


def _at_size(maps: LayerMaps, size: tuple[int, int]) -> LayerMaps:
    """Maps [H, W] brought to another `size`, bilinear; only pixels that show the layer mix."""
    if maps.u.shape == size:
        return maps
    shows = (maps.alpha > 0).astype(np.float32)
    stack = np.dstack([maps.u * shows, maps.v * shows, shows, maps.alpha]).astype(np.float32)
    stack = cv2.resize(stack, size[::-1], interpolation=cv2.INTER_LINEAR)
    whole = np.maximum(stack[..., 2], 1e-6)
    alpha = np.where(stack[..., 2] > 1e-3, stack[..., 3], 0)
    return LayerMaps(stack[..., 0] / whole, stack[..., 1] / whole, alpha, maps.residual)


def _continued(shift: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """`shift` [h, w, 2] with the unseen texels: the whole's affine part, and the nearest's rest."""
    if seen.all():
        return shift
    height, width = seen.shape
    own = np.dstack([_relative(width, height), np.ones(seen.shape)])
    fit = np.zeros((3, 2))
    if np.linalg.matrix_rank(own[seen]) == 3:
        fit = np.linalg.lstsq(own[seen], shift[seen], rcond=None)[0]
    flat = own @ fit
    labels = cv2.distanceTransformWithLabels(
        (~seen).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    rest = np.zeros((int(labels.max()) + 1, 2))
    rest[labels[seen]] = (shift - flat)[seen]
    return np.where(seen[..., None], shift, flat + rest[labels])


@njit(cache=True)
def _tie(u, v, alpha, old_u, old_v, old_alpha, old_width, old_height, sums):
    """Add the triangles of one frame to `sums`."""
    rows, columns = u.shape
    height, width = sums.shape[:2]
    corner = np.empty((4, 5))  # new x, y; old x, y in texels; weight
    for y in range(rows - 1):
        for x in range(columns - 1):
            shown = True
            for k in range(4):
                row, column = y + k // 2, x + k % 2
                if not (alpha[row, column] > FAINTEST and old_alpha[row, column] > FAINTEST):
                    shown = False
                    break
                corner[k, 0] = np.float64(u[row, column]) * width - 0.5
                corner[k, 1] = (1.0 - np.float64(v[row, column])) * height - 0.5
                corner[k, 2] = np.float64(old_u[row, column]) * old_width
                corner[k, 3] = (1.0 - np.float64(old_v[row, column])) * old_height
                corner[k, 4] = np.float64(alpha[row, column]) * old_alpha[row, column]
            if shown:
                _add(corner[0], corner[1], corner[2], old_width, old_height, sums)
                _add(corner[3], corner[2], corner[1], old_width, old_height, sums)


@njit(cache=True)
def _add(a, b, c, old_width, old_height, sums):
    """The texel centres in a triangle, its edges included."""
    left, right = min(a[0], b[0], c[0]), max(a[0], b[0], c[0])
    top, bottom = min(a[1], b[1], c[1]), max(a[1], b[1], c[1])
    area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
    wide = max(max(a[2], b[2], c[2]) - min(a[2], b[2], c[2]), right - left)
    high = max(max(a[3], b[3], c[3]) - min(a[3], b[3], c[3]), bottom - top)
    if area == 0.0 or wide > MOST_SPAN or high > MOST_SPAN:
        return
    height, width = sums.shape[:2]
    for y in range(max(math.ceil(top), 0), min(math.floor(bottom), height - 1) + 1):
        for x in range(max(math.ceil(left), 0), min(math.floor(right), width - 1) + 1):
            second = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
            third = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
            first = 1.0 - second - third
            if min(first, second, third) < -_INSIDE:
                continue
            weight = first * a[4] + second * b[4] + third * c[4]
            old_x = first * a[2] + second * b[2] + third * c[2] - (x + 0.5) / width * old_width
            old_y = first * a[3] + second * b[3] + third * c[3] - (y + 0.5) / height * old_height
            sums[y, x, 0] += weight
            sums[y, x, 1] += weight * old_x
            sums[y, x, 2] += weight * old_y
            sums[y, x, 3] += weight * (old_x * old_x + old_y * old_y)
