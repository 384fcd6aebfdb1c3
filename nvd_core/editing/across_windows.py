"""Paint taken across an object's windows in time (runtime/time_windows.py).

Each window has a part of the texture of its own, so that paint put on one view of an object would
end with that view. Two frames of different windows that show the same surface are a bridge
(window_bridges.py): the paint is looked up in one, moved to where the other shows it, and brought
onto the texture there; and so on, from window to window, over the best bridge first. At a border
the frames before and behind it are one; where a view comes back, any two frames may be. What no
bridge shows is not painted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from nvd_core.editing.back_projection import LEAST_LIGHT, LEAST_OPACITY, OPAQUE, paint_to_texture
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.window_bridges import (
    Bridge,
    LayerFrames,
    best_pair,
    moved,
    next_frame,
    share_seen,
    tried,
)
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

SMOOTH = 1 / 60
"""standard deviation of the exposure's smoothing, as a share of the picture's width"""
MOST_BRIDGES = 3
"""over which paint comes into one window"""
AS_GOOD = 0.9
"""times as much as the best of the layer has a bridge to show to be used beside it"""
LEAST_SHARE = 0.25
"""of the layer that the frames beside a border have to share: less is flow that agrees by chance"""
THERE_ALREADY = 0.5
"""share of a piece of paint that came, from which on what was painted there is that piece"""


def across_windows(shot: Shot, name: str, frame: int, paint: np.ndarray) -> np.ndarray:
    """`paint` [h, w, 4] on the layer's texture, straight alpha, in its other windows too.

    It was put there from `frame`. The same array where the layer has no windows.
    """
    windows = shot.layer(name).windows
    if not windows:
        return paint
    came = Spread(LayerFrames(shot, name), windows).came_of(frame, paint)
    return np.where(came[..., 3:] > LEAST_OPACITY, came, paint)


class Spread:
    """Takes paint from any window of a layer into all others; bridges are looked for once."""

    def __init__(self, frames: LayerFrames, windows: Sequence[Window]) -> None:
        self._frames, self._windows = frames, windows
        self._numbers = window_of(windows, windows[-1][1] + 1)
        self._found: dict[tuple, _Rated | None] = {}

    def came_of(
        self, frame: int, paint: np.ndarray, check: Callable[[], object] = lambda: None
    ) -> np.ndarray:  # float32 [h, w, 4], straight alpha
        """What comes of the `paint` [h, w, 4] of this frame's window into the others.

        `frame` shows most of it. `check` is called before every step.
        """
        home = int(self._numbers[frame])
        came, reached = np.zeros_like(paint), [home]
        left = set(range(len(self._windows))) - {home}
        while left:
            check()
            ways = {at: self._ways(reached, at, frame) for at in left}
            at = max(ways, key=lambda at: ways[at][0].share if ways[at] else -1.0)
            left.remove(at)
            sources = {one: paint if one == home else came for one in reached}
            further = self._arriving(ways[at], sources)
            if further is not None:
                came = under(came, further)
                reached.append(at)
        return came

    def _arriving(self, ways: list["_Rated"], sources: dict[int, np.ndarray]) -> np.ndarray | None:
        """What the good ones of some bridges bring of the paint of their windows; None: nothing.

        Most counts: what the others show of the same pieces is left out.
        """
        brought = []
        for way in ways[:MOST_BRIDGES]:
            if way.share >= AS_GOOD * ways[0].share:
                source = sources[int(self._numbers[way.bridge.frame])]
                brought.append(over_bridge(self._frames, way.bridge, source))
        brought.sort(key=lambda paint: float(paint[..., 3].sum()), reverse=True)
        if not brought or not brought[0].any():
            return None
        all_of_it = brought[0]
        for paint in brought[1:]:
            all_of_it = under(all_of_it, new_pieces(paint, all_of_it))
        return all_of_it

    def _ways(self, reached: Sequence[int], at: int, frame: int) -> list["_Rated"]:
        """Bridges from those windows into window `at`, the best first."""
        found = [self._again((frame,), at)]
        for one in reached:
            if abs(one - at) == 1:
                found.append(self._border(one, at))
            found.append(self._again(tuple(tried(self._windows[one])), at))
        return sorted((way for way in found if way), key=lambda way: way.share, reverse=True)

    def _border(self, one: int, at: int) -> "_Rated | None":
        way = at - one
        border = self._windows[one][1] if way > 0 else self._windows[one][0]
        rated = self._once((border, at), lambda: next_frame(self._frames, border, way))
        return rated if rated and rated.share > LEAST_SHARE else None

    def _again(self, some: tuple[int, ...], at: int) -> "_Rated | None":
        others = tried(self._windows[at])
        return self._once((some, at), lambda: best_pair(self._frames, some, others))

    def _once(self, key: tuple, find: Callable[[], Bridge | None]) -> "_Rated | None":
        if key not in self._found:
            bridge = find()
            share = 0.0 if bridge is None else share_seen(self._frames, bridge)
            self._found[key] = None if bridge is None else _Rated(share, bridge)
        return self._found[key]


@dataclass
class _Rated:
    share: float
    """of the layer that both frames show"""
    bridge: Bridge


def under(paint: np.ndarray, more: np.ndarray) -> np.ndarray:
    """`more` [h, w, 4], straight alpha, laid under `paint`, which keeps its place."""
    rest = more[..., 3:] * (1 - paint[..., 3:])
    opacity = paint[..., 3:] + rest
    colours = paint[..., :3] * paint[..., 3:] + more[..., :3] * rest
    colours = np.divide(colours, opacity, out=np.zeros_like(colours), where=opacity > 0)
    return np.concatenate([colours, opacity], -1)


def new_pieces(came: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """What came without the pieces that were painted there by hand, or by a frame, already.

    Both lie a little beside each other, and one behind the other would be a fringe.
    """
    count, pieces = cv2.connectedComponents((came[..., 3] > LEAST_OPACITY).astype(np.uint8))
    if count < 2:
        return came
    solid = came[..., 3] > 0.5
    whole = np.bincount(pieces[solid], minlength=count)
    hidden = np.bincount(pieces[solid & (paint[..., 3] > 0.5)], minlength=count)
    new = (whole > 0) & (hidden <= THERE_ALREADY * whole)  # without a core it is a speck
    return np.where(new[pieces][..., None], came, 0)


def over_bridge(
    frames: LayerFrames, bridge: Bridge, paint: np.ndarray
) -> np.ndarray:  # float32 [h, w, 4]
    """What the bridge's other frame shows of the paint that the first shows, on the texture."""
    here, there = frames.maps(bridge.frame), frames.maps(bridge.other)
    carried = moved(_looked_up(paint, here), bridge.place)  # colour times opacity
    carried[~bridge.seen] = 0
    opacity = carried[..., 3:]
    nothing = np.zeros_like(carried[..., :3])
    colours = np.divide(carried[..., :3], opacity, out=nothing, where=opacity > 0)
    light = moved(here.residual, bridge.place)
    colours *= smooth_gain(light, there.residual, bridge.seen)
    size = paint.shape[1], paint.shape[0]
    return paint_to_texture(np.dstack([colours, opacity]), there, size)


def _looked_up(paint: np.ndarray, maps: LayerMaps) -> np.ndarray:  # float32 [H, W, 4]
    """The paint in the frame, colour times opacity."""
    texels = paint.copy()
    texels[..., :3] *= texels[..., 3:]
    shown = lookup(*(torch.from_numpy(array) for array in (texels, maps.u, maps.v))).numpy()
    shown[maps.alpha <= OPAQUE] = 0
    return shown


def smooth_gain(light: np.ndarray, other: np.ndarray, seen: np.ndarray) -> np.ndarray:  # [H, W, 3]
    """One light by the `other`, a smooth field: mean logarithm around each pixel where it was seen.

    Far from them all it is 1. `light` and `other` are [H, W, 3], `seen` is bool [H, W].
    """
    apart = np.log(np.maximum(light, LEAST_LIGHT) / np.maximum(other, LEAST_LIGHT))
    counts = seen.astype(np.float32)[..., None]
    sigma = max(SMOOTH * seen.shape[1], 1.0)
    sums = cv2.GaussianBlur(np.dstack([apart * counts, counts]).astype(np.float32), (0, 0), sigma)
    weight = sums[..., 3:]
    return np.exp(np.where(weight > 1e-3, sums[..., :3] / np.maximum(weight, 1e-3), 0))
