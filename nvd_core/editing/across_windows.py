"""Paint taken across an object's windows in time (runtime/time_windows.py).

Each window has a part of the texture of its own, so that paint put on one view of an object would
end with that view. At the border of two windows the last frame of one and the first of the other
show nearly the same: the paint is looked up in one, moved along the flow, and brought onto the
texture where the other shows it; and so on, from window to window. What a border does not show is
not painted behind it; but where a later window shows the surface of the painted frame again, which
points of both tell (SIFT, with a motion that most of them agree on), it is brought there directly,
and goes on from there as from the painted one.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from nvd_core.editing.back_projection import LEAST_LIGHT, LEAST_OPACITY, OPAQUE, paint_to_texture
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.window_bridges import (
    Bridge,
    LayerFrames,
    moved,
    next_frame,
    seen_again,
)
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

SMOOTH = 1 / 60
"""standard deviation of the exposure's smoothing, as a share of the picture's width"""


def across_windows(shot: Shot, name: str, frame: int, paint: np.ndarray) -> np.ndarray:
    """`paint` [h, w, 4] on the layer's texture, straight alpha, in the windows beside it too.

    It was put there from `frame`. The same array where the layer has no windows.
    """
    windows = shot.layer(name).windows
    if not windows:
        return paint
    frames = LayerFrames(shot, name)
    home = int(window_of(windows, shot.frames)[frame])
    reached = {home}
    paint = _spread(frames, windows, home, paint, reached)
    again = []
    for at in range(len(windows)):  # not seen next to it: it may have come back
        bridge = seen_again(frames, frame, windows[at]) if abs(at - home) > 1 else None
        if bridge is not None:
            paint, came = _with_crossed(frames, bridge, paint, below=at in reached)
            again += [at] if came else []
    reached.update(again)
    for at in again:
        paint = _spread(frames, windows, at, paint, reached)
    return paint


def _spread(
    frames: LayerFrames, windows: Sequence[Window], start: int, paint: np.ndarray, reached: set[int]
) -> np.ndarray:
    """`paint` of the window `start` in those beside it too, and on from there, as far as there is
    any and none was `reached` before; those are added.
    """
    for way in (1, -1):
        at = start
        while 0 <= at + way < len(windows) and at + way not in reached:
            border = windows[at][1] if way > 0 else windows[at][0]
            paint, came = _with_crossed(frames, next_frame(frames, border, way), paint)
            if not came:
                break
            at += way
            reached.add(at)
    return paint


def _with_crossed(
    frames: LayerFrames, bridge: Bridge, paint: np.ndarray, below: bool = False
) -> tuple[np.ndarray, bool]:
    """`paint` with what crosses the bridge too, `below` what is there; whether any does."""
    crossed = over_bridge(frames, bridge, paint)
    came = crossed[..., 3:] > LEAST_OPACITY
    if below:
        came &= paint[..., 3:] <= LEAST_OPACITY
    return np.where(came, crossed, paint), bool(came.any())


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
