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

from nvd_core.editing.back_projection import LEAST_OPACITY
from nvd_core.editing.over_bridge import Box, box_around, over_bridge
from nvd_core.editing.window_bridges import (
    Bridge,
    LayerFrames,
    best_pair,
    next_frame,
    share_seen,
    tried,
)
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.shot import Shot

MOST_BRIDGES = 3
"""over which paint comes into one window, of those that bring any"""
AS_GOOD = 0.9
"""times as much of the layer as the best that brings paint has a bridge to show, to be used too"""
LEAST_SHARE = 0.25
"""of the layer that the frames beside a border have to share: less is flow that agrees by chance"""
THERE_ALREADY = 0.5
"""share of a piece of paint that came, from which on what was painted there is that piece"""


_Bare = dict[int, np.ndarray]
"""by the id of a bridge that brought nothing: the texels of its window's box that it showed, a bit
each"""


def across_windows(
    shot: Shot,
    name: str,
    frame: int,
    paint: np.ndarray,
    progress: Progress | None = None,
    done: int = 0,
) -> np.ndarray:
    """`paint` [h, w, 4] on the layer's texture, straight alpha, in its other windows too.

    It was put there from `frame`. The same array where the layer has no windows. Windows that it
    reaches are steps of the stage of `progress`, of which `done` were done before.
    """
    windows = shot.layer(name).windows
    if not windows:
        return paint
    progress = progress or Progress()
    spread = Spread(LayerFrames(shot, name), windows, progress.check)
    came = spread.came_of(frame, paint, lambda reached: progress.update(done + reached))
    return np.where(came[..., 3:] > LEAST_OPACITY, came, paint)


class Spread:
    """Takes paint from any window of a layer into all others; bridges are looked for once.

    `check` is called before each search, and may raise to end it.
    """

    def __init__(
        self,
        frames: LayerFrames,
        windows: Sequence[Window],
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._frames, self._windows, self._check = frames, windows, check
        self._numbers = window_of(windows, windows[-1][1] + 1)
        self._found: dict[tuple, _Rated | None] = {}
        self._boxes: dict[tuple[int, int, int], Box] = {}

    def came_of(
        self, frame: int, paint: np.ndarray, step: Callable[[int], object] = lambda _reached: None
    ) -> np.ndarray:  # float32 [h, w, 4], straight alpha
        """What comes of the `paint` [h, w, 4] of this frame's window into the others.

        `frame` shows most of it. `step` is told how many windows have been reached, each time.
        """
        home = int(self._numbers[frame])
        came, reached = np.zeros_like(paint), [home]
        size = paint.shape[1], paint.shape[0]
        bare: _Bare = {}
        while len(reached) < len(self._windows):
            step(len(reached))
            sources = {one: paint if one == home else came for one in reached}
            next_ = self._next(frame, sources, bare)
            if next_ is None:
                break
            at, further = next_
            there = self._box(at, size).of(came)
            there[...] = under(there, further)
            reached.append(at)
        return came

    def _box(self, at: int, size: tuple[int, int]) -> Box:
        """What window `at` fills of a texture of this width and height."""
        key = (at, *size)
        if key not in self._boxes:
            first, last = self._windows[at]
            asked = {*tried((first, last)), first, last}
            bounds = [self._frames.known(t).bounds for t in sorted(asked)]
            self._boxes[key] = box_around(bounds, size)
        return self._boxes[key]

    def _next(
        self, frame: int, sources: dict[int, np.ndarray], bare: _Bare
    ) -> tuple[int, np.ndarray] | None:
        """The window that paint reaches next from those of `sources`, and what comes into its box.

        It is the one with the best bridge, of those that bring any: a better one need not show
        what is painted. Worse ones are asked where the best bring nothing to any: what they bring
        is less certain, and goes on from there. `bare` holds bridges that showed none, as a window
        keeps what came there.
        """
        left = set(range(len(self._windows))) - set(sources)
        ways = {at: self._ways(list(sources), at, frame) for at in left}
        for worse in (False, True):
            for at in sorted(left, key=lambda at: -ways[at][0].share if ways[at] else 1.0):
                came = self._arriving(ways[at], sources, bare, worse)
                if came is not None:
                    return at, came
        return None

    def _arriving(
        self, ways: list["_Rated"], sources: dict[int, np.ndarray], bare: _Bare, worse: bool
    ) -> np.ndarray | None:
        """What some bridges, the best first, bring of the paint of their windows; None: nothing.

        Those count that are nearly as good as the best which brings any; unless `worse` are asked
        too, as good as the best of all. Most counts: what the others show of the same pieces is
        left out. What a better bridge shows bare stays so: on a pattern that repeats a worse one
        may lie elsewhere.
        """
        brought: list[np.ndarray] = []
        best = 0.0 if worse or not ways else ways[0].share
        without: np.ndarray | None = None
        for way in ways:
            if len(brought) == MOST_BRIDGES or way.share < AS_GOOD * best:
                break
            paint = self._brought(way, sources, bare)
            if paint is None:
                shown = self._shown(bare[id(way)], way, sources)
                without = shown if without is None else without | shown
                continue
            paint = paint if without is None else new_pieces(paint, without)
            if paint.any():
                brought.append(paint)
                best = best or way.share
        if not brought:
            return None
        brought.sort(key=lambda paint: float(paint[..., 3].sum()), reverse=True)
        all_of_it = brought[0]
        for paint in brought[1:]:
            all_of_it = under(all_of_it, new_pieces(paint, all_of_it[..., 3] > 0.5))
        return all_of_it

    def _brought(
        self, way: "_Rated", sources: dict[int, np.ndarray], bare: _Bare
    ) -> np.ndarray | None:
        """What the bridge shows of its window's paint; None where that is nothing."""
        if id(way) in bare:
            return None
        one, at = (int(self._numbers[t]) for t in (way.bridge.frame, way.bridge.other))
        size = sources[one].shape[1], sources[one].shape[0]
        shown = box_around([self._frames.known(way.bridge.frame).bounds], size)
        boxes, source = (shown, self._box(at, size)), shown.of(sources[one])
        paint = over_bridge(self._frames, way.bridge, source, boxes, size)
        if paint.any():
            return paint
        everything = over_bridge(self._frames, way.bridge, np.ones_like(source), boxes, size)
        bare[id(way)] = np.packbits(everything[..., 3] > 0.5)
        return None

    def _shown(
        self, packed: np.ndarray, way: "_Rated", sources: dict[int, np.ndarray]
    ) -> np.ndarray:  # bool [h, w], of the box that it leads to
        height, width = next(iter(sources.values())).shape[:2]
        box = self._box(int(self._numbers[way.bridge.other]), (width, height))
        wide, high = box.size
        return np.unpackbits(packed, count=wide * high).reshape(high, wide) > 0

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
            self._check()
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


def new_pieces(came: np.ndarray, there: np.ndarray) -> np.ndarray:
    """What came [h, w, 4] without the pieces that were painted `there`, bool [h, w], already, by
    hand or by a frame.

    Both lie a little beside each other, and one behind the other would be a fringe.
    """
    count, pieces = cv2.connectedComponents((came[..., 3] > LEAST_OPACITY).astype(np.uint8))
    if count < 2:
        return came
    solid = came[..., 3] > 0.5
    whole = np.bincount(pieces[solid], minlength=count)
    hidden = np.bincount(pieces[solid & there], minlength=count)
    new = (whole > 0) & (hidden <= THERE_ALREADY * whole)  # without a core it is a speck
    return np.where(new[pieces][..., None], came, 0)
