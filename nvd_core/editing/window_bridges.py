"""Two frames of a layer with windows in time that show the same surface, and where it lies in both.

At the border of two windows the last frame of one and the first of the other show nearly the same:
they are tied by flow, and where that fails by features (`priors/surface_match.py`). Any two windows
may show a surface again, which features of both tell alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from nvd_core.editing.back_projection import OPAQUE
from nvd_core.editing.edits import display_colours, load_texture
from nvd_core.media.images import read_image, to_integers
from nvd_core.priors.flow import consistent, dis
from nvd_core.priors.flow_size import grey, pixel_grid
from nvd_core.priors.surface_match import Features, Group, matched_groups
from nvd_core.priors.surface_places import Surface, places_of, surface_of
from nvd_core.runtime.time_windows import Window
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

FRAMES_KEPT = 4
MOST_TRIED = 8
"""frames of a window, and pairs of frames of two, that are compared"""
KNOWN_KEPT = 256
"""frames of which the features are kept"""
PAIRS_KEPT = 2048
"""of frames, of which the matches of their features are kept"""
BRIDGES_KEPT = 16
THUMBNAIL = 32
"""pixels across and down"""
MOST_POINTS = 2000
LEAST_POINTS = 12
FOLLOWED = 0.85
"""of the layer, from which on flow alone is asked at a border"""
LEAST_SEEN = 0.4
"""of a surface that comes back; of another, with the same pattern, less is found"""


class LayerFrames:
    """A layer in the shot's frames; of the last few what was read is kept."""

    def __init__(self, shot: Shot, name: str) -> None:
        self._shot, self._name = shot, name
        self.maps = lru_cache(FRAMES_KEPT)(self._maps)
        self.picture = lru_cache(FRAMES_KEPT)(self._picture)
        self.known = lru_cache(KNOWN_KEPT)(self._known)
        self.groups = lru_cache(PAIRS_KEPT)(self._groups)
        self.alike = lru_cache(BRIDGES_KEPT)(self._alike)

    @cached_property
    def texture(self) -> np.ndarray:  # float32 [h, w, 3]
        """The layer's learned texture, display-encoded."""
        return load_texture(self._shot, self._name)

    def _known(self, t: int) -> "_Known":
        maps = self.maps(t)
        own = maps.alpha > OPAQUE
        surface = surface_of(self.picture(t), own)
        thumbnail = _thumbnail(surface.picture, own)
        bounds = _bounds(maps.u[own], maps.v[own])
        return _Known(surface.features, surface.side, np.packbits(own), thumbnail, bounds)

    def _groups(self, t: int, other: int) -> list[Group]:
        one, two = self.known(t), self.known(other)
        return matched_groups(one.features, two.features, min(one.side, two.side))

    def _alike(self, t: int, other: int) -> "Bridge":
        """What two frames that look alike both show."""
        one, two = self.surface(t), self.surface(other)
        return Bridge(t, other, *places_of(one, two, None, self.groups(t, other)))

    def surface(self, t: int) -> Surface:
        """What frame t shows of it."""
        known, picture = self.known(t), self.picture(t)
        own = np.unpackbits(known.packed, count=picture.size).reshape(picture.shape) > 0
        return Surface(picture, own, known.features)

    def _maps(self, t: int) -> LayerMaps:
        return read_frame_maps(self._shot, t, [self._name]).layer(0)

    def _picture(self, t: int) -> np.ndarray:  # uint8 [H, W]
        colours = display_colours(read_image(self._shot.frame_path(t)))[0]
        return grey(to_integers(colours.clip(0, 1), np.uint8))


@dataclass(frozen=True)
class _Known:
    """What is kept of a frame, to find others that show the same view of the layer."""

    features: Features
    side: float
    packed: np.ndarray
    """where it shows, a bit each pixel"""
    thumbnail: np.ndarray
    """float32 [THUMBNAIL, THUMBNAIL], of length 1"""
    bounds: np.ndarray
    """float64 [2, 2], the least and the most (u, v) that it shows"""


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
    again of what is left. Where features show better what the surface did, they say.
    """
    other = frame + way
    picture, target = frames.picture(frame), frames.picture(other)
    back, followed = _flow_back(picture, target)
    one, two = frames.surface(frame), frames.surface(other)
    rows, columns = np.nonzero(followed & two.own)
    matrix = np.eye(2, 3)
    if len(rows) >= LEAST_POINTS:
        at_other = np.column_stack([columns, rows]).astype(np.float32)
        chosen = slice(None, None, max(1, len(rows) // MOST_POINTS))
        ends = (at_other + back[rows, columns])[chosen].copy()  # which OpenCV wants
        found, _ = cv2.estimateAffinePartial2D(at_other[chosen].copy(), ends)
        matrix = matrix if found is None else found
    place, followed = _flow_beyond(picture, target, matrix)
    seen = followed & two.own & (moved(one.own, place) > OPAQUE)
    bridge = Bridge(frame, other, place, seen)
    if share_seen(frames, bridge) < FOLLOWED:
        groups = frames.groups(frame, other)
        bridge.place, bridge.seen = places_of(one, two, (place, seen), groups)
    return bridge


def seen_again(frames: LayerFrames, frame: int, window: Window) -> Bridge | None:
    """From `frame` to the frame of another window that shows the same view of the layer, if any."""
    return best_pair(frames, [frame], tried(window))


def best_pair(frames: LayerFrames, some: Sequence[int], others: Sequence[int]) -> Bridge | None:
    """From one of some frames to one of others: the pair whose features agree best, if any does.

    Of many pairs those are asked whose thumbnails are most alike.
    """
    of_some, of_others = (
        np.stack([frames.known(t).thumbnail.ravel() for t in which]) for which in (some, others)
    )
    most_alike = np.argsort(-(of_some @ of_others.T), axis=None, kind="stable")[:MOST_TRIED]
    best, found = LEAST_POINTS - 1, None
    for pair in most_alike:
        t, other = some[pair // len(others)], others[pair % len(others)]
        agreeing = sum(len(group.end) for group in frames.groups(t, other))
        if agreeing > best:
            best, found = agreeing, (t, other)
    if found is None:
        return None
    bridge = frames.alike(*found)
    return bridge if share_seen(frames, bridge) >= LEAST_SEEN else None


def tried(window: Window) -> range:
    """The frames of a window that are compared."""
    first, last = window
    return range(first, last + 1, -(-(last - first + 1) // MOST_TRIED))


def share_seen(frames: LayerFrames, bridge: Bridge) -> float:
    """The part of the layer that both frames of the bridge show, of where it shows less."""
    smaller = min(frames.known(t).side for t in (bridge.frame, bridge.other))
    return np.count_nonzero(bridge.seen) / smaller**2


def moved(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """What one frame has, as the other shows it."""
    return cv2.remap(values.astype(np.float32), place, None, cv2.INTER_LINEAR)


def _bounds(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The least and the most of places; the other way round where there are none."""
    ends = [(a.min(initial=1), a.max(initial=0)) for a in (u, v)]
    return np.array(ends, np.float64).T


def _thumbnail(picture: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The layer's box in a frame, small, its mean taken out and of length 1; 0 beside the layer."""
    box = cv2.boundingRect(own.astype(np.uint8))
    if not box[2]:
        return np.zeros((THUMBNAIL, THUMBNAIL), np.float32)
    part = slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2])
    small, share = (
        cv2.resize(one[part].astype(np.float32), (THUMBNAIL, THUMBNAIL), None, 0, 0, cv2.INTER_AREA)
        for one in (picture, own)
    )
    apart = (small - (small * share).sum() / share.sum()) * share
    return apart / max(float(np.linalg.norm(apart)), 1e-6)


def _flow_beyond(
    picture: np.ndarray, target: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the target's pixels lie in the picture, float32 [H, W, 2], and where flow holds.

    `matrix` [2, 3] tells it roughly, and flow what is left.
    """
    size = target.shape[1], target.shape[0]
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    back, followed = _flow_back(turned, target)
    matrix = matrix.astype(np.float32)
    return (pixel_grid(*back.shape[:2]) + back) @ matrix[:, :2].T + matrix[:, 2], followed


def _flow_back(frame: np.ndarray, following: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow [H, W, 2] from the second frame into the first, and where it is consistent."""
    back, forth = dis().calc(following, frame, None), dis().calc(frame, following, None)
    return back, consistent(back, forth)
