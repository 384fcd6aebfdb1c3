"""Paint that one frame of a bridge shows, brought onto the texture by the other.

Only what the bridge shows is looked at, in both frames, and of the texture the box that each of the
two windows fills: a layer with many views has a large one, and most of it is another window's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from nvd_core.editing.back_projection import LEAST_LIGHT, OPAQUE, paint_to_texture
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.window_bridges import Bridge, LayerFrames, moved
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.shot.maps import LayerMaps

SMOOTH = 1 / 60
"""standard deviation of the exposure's smoothing, as a share of the picture's width"""
DARK, MOST_GAIN = 0.15, 3.0
"""display-encoded, below which a texture does not tell how bright it is, and how many times as
bright or dark paint may become: what is learned of black cloth is noise"""
FARTHEST = 4
"""standard deviations beyond which nothing counts in it"""
HOLE, AROUND_HOLE = 0.04, 0.5
"""sides of the layer (root of its area) around a pixel whose place is not certain, and the share of
them that has to be certain for the pixel to lie as they do"""
BESIDE = 2
"""texels around what the frames show that belong to its box: what a lookup between them finds"""


@dataclass(frozen=True)
class Box:
    """A part of a texture, in texels; rows from the top."""

    rows: slice
    columns: slice

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.columns.stop - self.columns.start, self.rows.stop - self.rows.start

    def of(self, texture: np.ndarray) -> np.ndarray:
        """This part of a whole texture [h, w, C], not a copy."""
        return texture[self.rows, self.columns]

    def within(self, maps: LayerMaps, size: tuple[int, int]) -> LayerMaps:
        """The maps with places in the box, for maps of places in the texture of this `size`."""
        (width, height), (wide, high) = size, self.size
        u = (maps.u.astype(np.float64) * width - self.columns.start) / wide
        v = 1 - ((1 - maps.v.astype(np.float64)) * height - self.rows.start) / high
        return replace(maps, u=u, v=v)


def box_around(bounds: Iterable[np.ndarray], size: tuple[int, int]) -> Box:
    """The box of a texture of width and height `size` that holds places within all `bounds`.

    Each is [2, 2]: the least and the most (u, v), the other way round where nothing is shown; one
    texel where that is so of all.
    """
    shown = [ends for ends in bounds if (ends[0] <= ends[1]).all()]
    if not shown:
        return Box(slice(0, 1), slice(0, 1))
    ends = np.stack(shown)
    low, high = ends[:, 0].min(0), ends[:, 1].max(0)
    width, height = size
    sides = (
        (int((1 - high[1]) * height) - BESIDE, int((1 - low[1]) * height) + 1 + BESIDE, height),
        (int(low[0] * width) - BESIDE, int(high[0] * width) + 1 + BESIDE, width),
    )
    return Box(*(slice(max(first, 0), min(last, most)) for first, last, most in sides))


def over_bridge(
    frames: LayerFrames,
    bridge: Bridge,
    paint: np.ndarray,  # [h, w, 4], the texture's box `source`
    boxes: tuple[Box, Box],
    size: tuple[int, int],
) -> np.ndarray:  # float32 [h, w, 4], of the box it goes to
    """What the bridge's other frame shows of the paint that the first shows, on the texture.

    `boxes` are where it is and where it comes to; `size` is the whole texture's width and height.
    Each window's part of the texture holds the surface as bright as it likes, and its light makes
    up for it: the paint is as much brighter as the texture is. So it is lit as the surface is.
    """
    source, aim = boxes
    here, there = frames.maps(bridge.frame), frames.maps(bridge.other)
    nothing = np.zeros((*aim.size[::-1], 4), np.float32)
    sigma = max(SMOOTH * bridge.seen.shape[1], 1.0)
    part = _around(bridge.seen, int(np.ceil(FARTHEST * sigma)) + 1)
    if part is None:
        return nothing
    owns = here.alpha > OPAQUE, there.alpha[part] > OPAQUE
    place, seen = without_holes(bridge.place[part], bridge.seen[part], *owns, part)
    carried = moved(_looked_up(paint, source.within(here, size)), place)  # colour times opacity
    carried[~seen] = 0
    opacity = carried[..., 3:]
    if not opacity.any():
        return nothing
    colours = np.divide(
        carried[..., :3], opacity, out=np.zeros_like(carried[..., :3]), where=opacity > 0
    )
    other = LayerMaps(*(a[part] for a in (there.u, there.v, there.alpha, there.residual)))
    bare, its_bare = (_colours(frames.texture, maps) for maps in (here, other))
    colours *= smooth_gain(its_bare, moved(bare, place), seen, sigma, DARK, MOST_GAIN)
    return paint_to_texture(np.dstack([colours, opacity]), aim.within(other, size), aim.size)


def without_holes(
    place: np.ndarray,  # float32 [h, w, 2]
    seen: np.ndarray,  # bool [h, w]
    own: np.ndarray,  # bool [H, W], where the first frame shows the layer
    its_own: np.ndarray,  # bool [h, w]
    part: tuple[slice, slice],
) -> tuple[np.ndarray, np.ndarray]:
    """Places and which are certain, with those in small holes between certain ones, as these lie.

    A reflection, or a plain spot, would tear paint that both frames show on all sides of it.
    """
    sigma = max(HOLE * float(np.sqrt(np.count_nonzero(own))), 1.0)
    grid = pixel_grid(*seen.shape) + np.float32((part[1].start, part[0].start))
    shares = np.dstack([(place - grid) * seen[..., None], seen]).astype(np.float32)
    sums = cv2.GaussianBlur(shares, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    between = grid + sums[..., :2] / np.maximum(sums[..., 2:], 1e-3)
    holes = its_own & ~seen & (sums[..., 2] > AROUND_HOLE)
    holes &= moved(own, between) > OPAQUE
    return np.where(holes[..., None], between, place), seen | holes


def _around(seen: np.ndarray, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns of what is seen, and so far around it; None where nothing is."""
    left, top, wide, high = cv2.boundingRect(seen.astype(np.uint8))
    if not wide:
        return None
    rows = slice(max(top - margin, 0), min(top + high + margin, seen.shape[0]))
    return rows, slice(max(left - margin, 0), min(left + wide + margin, seen.shape[1]))


def _looked_up(paint: np.ndarray, maps: LayerMaps) -> np.ndarray:  # float32 [H, W, 4]
    """The paint in the frame, colour times opacity."""
    texels = paint.copy()
    texels[..., :3] *= texels[..., 3:]
    shown = np.zeros((*maps.u.shape, 4), np.float32)
    inside = maps.alpha > OPAQUE
    places = (torch.from_numpy(array[inside]) for array in (maps.u, maps.v))
    shown[inside] = lookup(torch.from_numpy(texels), *places).numpy()
    return shown


def _colours(texture: np.ndarray, maps: LayerMaps) -> np.ndarray:  # float32 [H, W, 3]
    """The texture's colours in a frame, without the light."""
    shown = np.zeros((*maps.u.shape, 3), np.float32)
    inside = maps.alpha > OPAQUE
    places = (torch.from_numpy(array[inside]) for array in (maps.u, maps.v))
    shown[inside] = lookup(torch.from_numpy(texture), *places).numpy()
    return shown


def smooth_gain(
    light: np.ndarray,
    other: np.ndarray,
    seen: np.ndarray,
    sigma: float | None = None,
    least: float = LEAST_LIGHT,
    most: float | None = None,
) -> np.ndarray:  # [H, W, 3]
    """One light by the `other`, a smooth field: mean logarithm around each pixel where it was seen.

    Far from them all it is 1. `light` and `other` are [H, W, 3], `seen` is bool [H, W]; `sigma` is
    how far it reaches, in pixels, by itself a share of the width. What is below `least` counts as
    that, and at no pixel is it more than `most` times as much, or as little.
    """
    apart = np.log(np.maximum(light, least) / np.maximum(other, least))
    if most is not None:
        apart = apart.clip(-np.log(most), np.log(most))
    counts = seen.astype(np.float32)[..., None]
    sigma = max(SMOOTH * seen.shape[1], 1.0) if sigma is None else sigma
    sums = cv2.GaussianBlur(np.dstack([apart * counts, counts]).astype(np.float32), (0, 0), sigma)
    weight = sums[..., 3:]
    return np.exp(np.where(weight > 1e-3, sums[..., :3] / np.maximum(weight, 1e-3), 0))
