"""Two frames of a layer with windows in time that show the same surface, and where it lies in both.

At the border of two windows the last frame of one and the first of the other show nearly the same:
they are tied by flow. A window that isn't next to it may show a surface again: then points of both
tell (SIFT, with a motion that most of them agree on).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nvd_core.editing.back_projection import OPAQUE
from nvd_core.editing.edits import display_colours
from nvd_core.media.images import read_image, to_integers
from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.runtime.time_windows import Window
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

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
POINTS_KEPT = 256
"""frames of which the points are kept"""


class LayerFrames:
    """A layer in the shot's frames; of the last few what was read is kept."""

    def __init__(self, shot: Shot, name: str) -> None:
        self._shot, self._name = shot, name
        self.maps = lru_cache(FRAMES_KEPT)(self._maps)
        self.picture = lru_cache(FRAMES_KEPT)(self._picture)
        self.points = lru_cache(POINTS_KEPT)(self._points)

    def _points(self, t: int) -> tuple[np.ndarray, np.ndarray]:
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
class Bridge:
    """Two frames that show the same surface."""

    frame: int
    other: int
    place: np.ndarray
    """where in `frame` each pixel of `other` lies, float32 [H, W, 2]"""
    seen: np.ndarray
    """where both show the layer there, and the place is certain, bool [H, W]"""


def next_frame(frames: LayerFrames, frame: int, way: int) -> Bridge:
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
        ends = (at_other + back[rows, columns])[chosen].copy()  # which OpenCV wants
        matrix, _ = cv2.estimateAffinePartial2D(at_other[chosen].copy(), ends)
    return _bridge(frames, frame, other, np.eye(2, 3) if matrix is None else matrix)


def _bridge(frames: LayerFrames, frame: int, other: int, matrix: np.ndarray) -> Bridge:
    """Of two frames of which `matrix` [2, 3] tells roughly where the other's pixels lie in one."""
    image, target = frames.picture(frame), frames.picture(other)
    size = target.shape[1], target.shape[0]
    turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    back, followed = _flow_back(turned, target)
    matrix = matrix.astype(np.float32)
    place = (pixel_grid(*back.shape[:2]) + back) @ matrix[:, :2].T + matrix[:, 2]
    shown = moved(frames.maps(frame).alpha, place) > OPAQUE
    seen = followed & shown & (frames.maps(other).alpha > OPAQUE)
    return Bridge(frame, other, place, seen)


def seen_again(frames: LayerFrames, frame: int, window: Window) -> Bridge | None:
    """From `frame` to the frame of another window that shows the same view of the layer, if any."""
    points = frames.points(frame)
    step = max(1, (window[1] - window[0] + 1) // MOST_TRIED)
    best: tuple[int, int, np.ndarray] | None = None
    for t in range(window[0], window[1] + 1, step):
        agreed, matrix = _agreeing(points, frames.points(t))
        if matrix is not None and agreed > (best[0] if best else LEAST_AGREEING - 1):
            best = agreed, t, matrix
    if best is None:
        return None
    _, t, matrix = best
    bridge = _bridge(frames, frame, t, cv2.invertAffineTransform(matrix))
    return bridge if _share_followed(frames, bridge) > LEAST_FOLLOWED else None


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


def _share_followed(frames: LayerFrames, bridge: Bridge) -> float:
    """The part of the layer that both frames of the bridge show, of where it shows less."""
    shown = (np.count_nonzero(frames.maps(t).alpha > OPAQUE) for t in (bridge.frame, bridge.other))
    return np.count_nonzero(bridge.seen) / max(min(shown), 1)


def moved(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What one frame has, as the other shows it."""
    return cv2.remap(values.astype(np.float32), place, None, cv2.INTER_LINEAR)


def _flow_back(frame: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow [H, W, 2] from the second frame into the first, and where it is consistent."""
    back, forth = dis().calc(following, frame, None), dis().calc(frame, following, None)
    return back, consistent(back, forth)
