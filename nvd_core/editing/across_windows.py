"""Paint taken across an object's windows in time (runtime/time_windows.py).

Each window has a part of the texture of its own, so that paint put on one view of an object would
end with that view. At the border of two windows the last frame of one and the first of the other
show nearly the same: the paint is looked up in one, moved along the flow, and brought onto the
texture where the other shows it; and so on, from window to window. What a border does not show is
not painted behind it; but where a later window shows the surface of the painted frame again, which
points of both tell (SIFT, with a motion that most of them agree on), it is brought there directly.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from nvd_core.editing.back_projection import LEAST_LIGHT, LEAST_OPACITY, OPAQUE, paint_to_texture
from nvd_core.editing.edits import display_colours
from nvd_core.editing.kernel_torch import lookup
from nvd_core.media.images import read_image, to_integers
from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

SMOOTH = 1 / 60
"""standard deviation of the exposure's smoothing, as a share of the picture's width"""
FRAMES_KEPT = 4
MOST_TRIED = 8
"""frames of a window that are compared with the painted one"""
MOST_POINTS = 2000
LEAST_AGREEING = 12
AGREEING_SHARE = 0.4
"""of the points that were matched: fewer may agree by chance"""
DISTINCT = 0.75
"""how much nearer a point's match has to be than the next best (Lowe's ratio)"""
LEAST_FOLLOWED = 0.5
"""of a view that comes back; of another, with the same pattern, flow follows less"""
MOST_STRETCH = 3.0
"""of the motion between two views of one surface"""


def across_windows(shot: Shot, name: str, frame: int, paint: np.ndarray) -> np.ndarray:
    """`paint` [h, w, 4] on the layer's texture, straight alpha, in the windows beside it too.

    It was put there from `frame`. The same array where the layer has no windows.
    """
    windows = shot.layer(name).windows
    if not windows:
        return paint
    frames = _Frames(shot, name)
    home = int(window_of(windows, shot.frames)[frame])
    reached = {home}
    for way in (1, -1):
        at = home
        while 0 <= at + way < len(windows):
            border = windows[at][1] if way > 0 else windows[at][0]
            paint, came = _over_bridge(frames, _next_frame(frames, border, way), paint)
            if not came:
                break
            at += way
            reached.add(at)
    far = [at for at in range(len(windows)) if abs(at - home) > 1]
    points = frames.points(frame) if far else None
    for at in far:  # not seen next to it: it may have come back
        bridge = _seen_again(frames, frame, points, windows[at])
        if bridge is not None and _share_followed(frames, bridge) > LEAST_FOLLOWED:
            paint, _ = _over_bridge(frames, bridge, paint, below=at in reached)
    return paint


class _Frames:
    """A layer in the shot's frames; of the last few what was read is kept."""

    def __init__(self, shot: Shot, name: str) -> None:
        self._shot, self._name = shot, name
        self.maps = lru_cache(FRAMES_KEPT)(self._maps)
        self.picture = lru_cache(FRAMES_KEPT)(self._picture)

    def points(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Places [P, 2] and descriptors of points on the layer in frame t."""
        own = (self.maps(t).alpha > OPAQUE).astype(np.uint8)
        keys, found = cv2.SIFT.create(MOST_POINTS).detectAndCompute(self.picture(t), own)
        if found is None:
            return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
        return np.array([key.pt for key in keys], np.float32), found

    def _maps(self, t: int) -> LayerMaps:
        return read_frame_maps(self._shot, t, [self._name]).layer(0)

    def _picture(self, t: int) -> np.ndarray:  # uint8 [H, W]
        colours = display_colours(read_image(self._shot.frame_path(t)))[0]
        return grey(to_integers(colours.clip(0, 1), np.uint8))


@dataclass
class _Bridge:
    """Two frames that show the same surface."""

    frame: int
    other: int
    place: np.ndarray
    """where in `frame` each pixel of `other` lies, float32 [H, W, 2]"""
    seen: np.ndarray
    """where both show the layer there, and the place is certain, bool [H, W]"""


def _next_frame(frames: _Frames, frame: int, way: int) -> _Bridge:
    """From a window's last frame to the one behind it, or from its first to the one before.

    Dense flow loses much of a fast turn: what most of the layer does is taken out, and flow found
    again of what is left.
    """
    other = frame + way
    back, followed = _flow_back(frames.picture(frame), frames.picture(other))
    rows, columns = np.nonzero(followed & (frames.maps(other).alpha > OPAQUE))
    matrix = None
    if len(rows) >= LEAST_AGREEING:
        at_other = np.column_stack([columns, rows]).astype(np.float32)
        chosen = slice(None, None, max(1, len(rows) // MOST_POINTS))
        moved = (at_other + back[rows, columns])[chosen].copy()  # which OpenCV wants
        matrix, _ = cv2.estimateAffinePartial2D(at_other[chosen].copy(), moved)
    return _bridge(frames, frame, other, np.eye(2, 3) if matrix is None else matrix)


def _bridge(frames: _Frames, frame: int, other: int, matrix: np.ndarray) -> _Bridge:
    """Of two frames of which `matrix` [2, 3] tells roughly where the other's pixels lie in one."""
    image, target = frames.picture(frame), frames.picture(other)
    size = target.shape[1], target.shape[0]
    turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    back, followed = _flow_back(turned, target)
    matrix = matrix.astype(np.float32)
    place = (pixel_grid(*back.shape[:2]) + back) @ matrix[:, :2].T + matrix[:, 2]
    shown = _moved(frames.maps(frame).alpha, place) > OPAQUE
    seen = followed & shown & (frames.maps(other).alpha > OPAQUE)
    return _Bridge(frame, other, place, seen)


def _seen_again(frames: _Frames, frame: int, points: tuple, window: Window) -> _Bridge | None:
    """From `frame`, with its `points`, to the frame of another window that shows the same view of
    the layer, if any.
    """
    step = max(1, (window[1] - window[0] + 1) // MOST_TRIED)
    best: tuple[int, int, np.ndarray] | None = None
    for t in range(window[0], window[1] + 1, step):
        agreed, matrix = _agreeing(points, frames.points(t))
        if matrix is not None and agreed > (best[0] if best else LEAST_AGREEING - 1):
            best = agreed, t, matrix
    if best is None:
        return None
    _, t, matrix = best
    return _bridge(frames, frame, t, cv2.invertAffineTransform(matrix))


def _agreeing(points: tuple, others: tuple) -> tuple[int, np.ndarray | None]:
    """How many points are matched by one affine motion, and that [2, 3], if that is convincing."""
    if min(len(points[0]), len(others[0])) < LEAST_AGREEING:
        return 0, None
    pairs = cv2.BFMatcher().knnMatch(points[1], others[1], k=2)
    good = [a for a, *rest in pairs if rest and a.distance < DISTINCT * rest[0].distance]
    if len(good) < LEAST_AGREEING:
        return 0, None
    start = points[0][[m.queryIdx for m in good]]
    end = others[0][[m.trainIdx for m in good]]
    matrix, inside = cv2.estimateAffine2D(start, end, ransacReprojThreshold=3.0)
    if matrix is None or inside.mean() < AGREEING_SHARE:
        return 0, None
    stretch = np.linalg.svd(matrix[:, :2])[1]
    if stretch[1] < 1 / MOST_STRETCH or stretch[0] > MOST_STRETCH:
        return 0, None
    return int(inside.sum()), matrix


def _over_bridge(
    frames: _Frames, bridge: _Bridge, paint: np.ndarray, below: bool = False
) -> tuple[np.ndarray, bool]:
    """`paint` with what crosses the bridge too, `below` what is there; whether any does."""
    crossed = _crossed(frames, bridge, paint)
    came = crossed[..., 3:] > LEAST_OPACITY
    if below:
        came &= paint[..., 3:] <= LEAST_OPACITY
    return np.where(came, crossed, paint), bool(came.any())


def _crossed(
    frames: _Frames, bridge: _Bridge, paint: np.ndarray
) -> np.ndarray:  # float32 [h, w, 4]
    """What the bridge's other frame shows of the paint that the first shows, on the texture."""
    here, there = frames.maps(bridge.frame), frames.maps(bridge.other)
    carried = _moved(_looked_up(paint, here), bridge.place)  # colour times opacity
    carried[~bridge.seen] = 0
    opacity = carried[..., 3:]
    nothing = np.zeros_like(carried[..., :3])
    colours = np.divide(carried[..., :3], opacity, out=nothing, where=opacity > 0)
    light = _moved(here.residual, bridge.place)
    colours *= smooth_gain(light, there.residual, bridge.seen)
    size = paint.shape[1], paint.shape[0]
    return paint_to_texture(np.dstack([colours, opacity]), there, size)


def _moved(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What one frame has, as the other shows it."""
    return cv2.remap(values.astype(np.float32), place, None, cv2.INTER_LINEAR)


def _share_followed(frames: _Frames, bridge: _Bridge) -> float:
    """The part of the layer that both frames of the bridge show, of where it shows less."""
    shown = (np.count_nonzero(frames.maps(t).alpha > OPAQUE) for t in (bridge.frame, bridge.other))
    return np.count_nonzero(bridge.seen) / max(min(shown), 1)


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


def _flow_back(frame: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow [H, W, 2] from the second frame into the first, and where it is consistent."""
    back, forth = dis().calc(following, frame, None), dis().calc(frame, following, None)
    return back, consistent(back, forth)
