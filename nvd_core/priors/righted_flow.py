"""Flow of an object with views in time, put right where features or its turn tell better.

Dense flow follows what turns by a few degrees a frame. Of more, or of what moves by a third of its
width while something hides it, it takes what is behind for it, and a pattern or a highlight seems
to stand still. Its motion, its views and the training all follow the flow. So before any of them
the flow between neighbours is compared with what else is known of where the surface went
(surface_places.py): at each place that counts under which both frames look alike.

A renderer's vectors, from files, are right. RAFT is, where it agrees with itself.
"""

from collections.abc import Callable
from contextlib import closing
from functools import lru_cache

import cv2
import numpy as np

from nvd_core.priors.flow import FARTHEST, consistent
from nvd_core.priors.flow_parts import FlowPart, Parts
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.garbage import NEAR_GARBAGE
from nvd_core.priors.motion_matches import MatchedClip
from nvd_core.priors.surface_match import matched_groups
from nvd_core.priors.surface_places import Surface, places_of, surface_of, turns_of
from nvd_core.runtime.frame_threads import in_order, single_opencv, worker_count

FOLLOWED = 0.85
"""of the object, from which on flow is right, unless the object is seen to turn"""
RIGHT_FROM = {"dis": 0.99, "raft": FOLLOWED, "files": 0.0}
"""of the object, from which on flow of each source is right and nothing else is asked"""
AGREES_PX = 1.5
"""pixels of the flow by which both directions may disagree, found one by one"""
LEAST_PIXELS = 64
"""of an object that a frame has to show"""


def righted_parts(
    clip: MatchedClip, layer: int, source: str, done: Callable[[float], object]
) -> Parts:
    """What changes of the flow of object `layer`, which comes from this source (flow.METHODS).

    `done` is told of every pair of frames, and may raise to end it.
    """
    parts: Parts = {}
    if RIGHT_FROM[source] <= 0:
        return parts
    look = _Look(clip, layer, RIGHT_FROM[source], worker_count())
    with single_opencv(), closing(in_order(look.righted, range(clip.count - 1))) as found:
        for t, ways in enumerate(found):
            for way, part in enumerate(ways):
                parts[way, t] = FlowPart(*map(clip.arena.keep, vars(part).values()))
            clip.release()
            done(1)
    return parts


def about_righted(name: str, changed: int, pairs: int) -> str:
    """What is said of an object whose flow was put right between so many of all pairs of frames."""
    return (
        f"the optical flow of {name} was put right between {changed} of {pairs} pairs of frames, "
        f"by features or the turn of its outline; with --windows {name}=1 it stays as it was found"
    )


class _Look:
    """An object in the frames, each prepared once as long as they are asked for in order."""

    def __init__(self, clip: MatchedClip, layer: int, right_from: float, workers: int) -> None:
        self.clip, self.layer, self.right_from = clip, layer, right_from
        self.own = lru_cache(2 * workers + 2)(self._own)
        self.surface = lru_cache(2 * workers + 2)(self._surface)

    def _own(self, t: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Where frame t shows the object, and where something hides what may be of it."""
        clip = self.clip
        own = clip.mask(self.layer, t) > 127
        hidden = clip.near_garbage(t, NEAR_GARBAGE)
        for nearer in range(self.layer):
            covered = clip.mask(nearer, t) > 64
            hidden = covered if hidden is None else hidden | covered
        return (own if hidden is None else own & ~hidden), hidden

    def _surface(self, t: int) -> Surface:
        return surface_of(self.clip.grey(t), *self.own(t))

    def righted(self, t: int) -> tuple[FlowPart, ...]:
        """The flow between frames t and t + 1, both ways, where it changes; () where it is right
        or too little is shown.
        """
        owns = [self.own(at)[0] for at in (t, t + 1)]
        if min(map(np.count_nonzero, owns)) < LEAST_PIXELS:
            return ()
        clip = self.clip
        oks = [clip.ok(t, way) > 0 for way in (0, 1)]
        followed = np.count_nonzero(oks[1] & owns[1]) / np.count_nonzero(owns[1])
        if followed >= self.right_from:
            return ()
        left_out = [clip.near_garbage(at, NEAR_GARBAGE) for at in (t, t + 1)]
        flows = [clip.flow(t, way) for way in (0, 1)]
        frames = self.surface(t), self.surface(t + 1)
        return righted_pair(frames, flows, oks, clip.scale, followed < FOLLOWED, left_out)


def righted_pair(
    frames: tuple[Surface, Surface],
    flows: list[np.ndarray],  # float16 [H, W, 2] each way, in pixels of the frames
    oks: list[np.ndarray],  # bool [H, W]
    scale: np.ndarray,  # [2], their pixels by the flow's
    lost: bool,
    left_out: list[np.ndarray | None],
) -> tuple[FlowPart, ...]:
    """The flow between two frames, both ways, where it changes; () where it stays.

    `lost`: flow does not follow enough of it, so that features are asked even of what is not seen
    to turn. No flow holds that ends where a frame is `left_out`.
    """
    one, two = frames
    scale = scale.astype(np.float32)
    apart = [flow.astype(np.float32) / scale for flow in flows]
    turns = turns_of(one, two)
    if not turns and not lost:
        return ()
    groups = matched_groups(one.features, two.features, min(one.side, two.side))
    if not turns and not groups:
        return ()
    grid = pixel_grid(*one.own.shape)
    back_groups, back_turns = [group.back for group in groups], [turn.back for turn in turns]
    ways = (
        places_of(two, one, (grid + apart[0], oks[0] & one.own), back_groups, back_turns),
        places_of(one, two, (grid + apart[1], oks[1] & two.own), groups, turns),
    )
    found = []
    for way, surface in enumerate(frames):
        (place, seen), (other, _) = ways[way], ways[1 - way]
        rows, columns = np.nonzero(surface.own)
        changed = (place != grid + apart[way]).any(-1)
        flow = place - grid
        sure = np.where(changed, seen, oks[way]) & consistent(flow, other - grid, AGREES_PX)
        end = left_out[1 - way]
        if end is not None:
            sure &= cv2.remap(end.astype(np.uint8), place, None, cv2.INTER_NEAREST) == 0
        values = np.clip(flow * scale, -FARTHEST, FARTHEST).astype(np.float16)
        values = np.where(changed[..., None], values, flows[way])[rows, columns]
        at = rows.astype(np.int32), columns.astype(np.int32)
        found.append(FlowPart(*at, values, sure[rows, columns].astype(np.uint8)))
    return tuple(found)
