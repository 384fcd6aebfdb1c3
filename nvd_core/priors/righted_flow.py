"""Flow of an object with views in time, put right where features or its turn tell better.

Dense flow follows what turns by a few degrees a frame. Of more, or of what moves by a third of its
width while something hides it, it takes what is behind for it, and a pattern or a highlight seems
to stand still. Its motion, its views and the training all follow the flow. So before any of them
the flow between neighbours is compared with what else is known of where the surface went
(surface_places.py): at each place that counts under which both frames look alike.
"""

from dataclasses import dataclass

import numpy as np

from nvd_core.priors.flow import FARTHEST, consistent
from nvd_core.priors.flow_size import pixel_grid
from nvd_core.priors.motion_matches import MatchedClip
from nvd_core.priors.surface_match import matched_groups
from nvd_core.priors.surface_places import Surface, places_of, surface_of, turns_of
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.work import FLOW_BACKWARD, FLOW_FORWARD, FLOW_OK, open_array

FOLLOWED = 0.85
"""of the object, from which on flow is right, unless the object is seen to turn"""
AGREES_PX = 1.5
"""pixels of the flow by which both directions may disagree, found one by one"""
LEAST_PIXELS = 64
"""of an object that a frame has to show"""


def right_flow(clip: MatchedClip, layer: int, progress: Progress) -> int:
    """Correct the flow of object `layer` in `work/`; the number of pairs that changed.

    All is found before any is written, as what an interrupted stage has read must not change.
    """
    arrays = [open_array(clip.work, name, "r+") for name in (FLOW_FORWARD, FLOW_BACKWARD, FLOW_OK)]
    found: list[tuple[int, _Righted]] = []
    before = _surface(clip, layer, 0)
    for t in range(clip.count - 1):
        progress.check()
        after = _surface(clip, layer, t + 1)
        if before is not None and after is not None:
            righted = _righted(clip, (before, after), arrays, t)
            if righted is not None:
                found.append((t, righted.kept(clip)))
        before = after
        release(*arrays)
        clip.release()
    for t, righted in found:
        for way, part in enumerate((righted.there, righted.back)):
            arrays[way][t][part.rows, part.columns] = part.flow
            arrays[2][way, t][part.rows, part.columns] = part.ok
    for array in arrays:
        array.flush()
    return len(found)


@dataclass(frozen=True)
class _Part:
    """What changes in one direction, where a frame shows the object."""

    rows: np.ndarray  # int32 [n]
    columns: np.ndarray
    flow: np.ndarray  # float16 [n, 2], in pixels of the frames
    ok: np.ndarray  # uint8 [n]


@dataclass(frozen=True)
class _Righted:
    there: _Part
    back: _Part

    def kept(self, clip: MatchedClip) -> "_Righted":
        """The same in a file."""
        return _Righted(*(_Part(*map(clip.arena.keep, vars(part).values())) for part in
                          (self.there, self.back)))  # fmt: skip


def _surface(clip: MatchedClip, layer: int, t: int) -> Surface | None:
    """What frame t shows of the object; None where that is too little."""
    own = clip.mask(layer, t) > 127
    for nearer in range(layer):
        own &= clip.mask(nearer, t) <= 64
    return surface_of(clip.grey(t), own) if np.count_nonzero(own) >= LEAST_PIXELS else None


def _righted(
    clip: MatchedClip, frames: tuple[Surface, Surface], arrays: list[np.ndarray], t: int
) -> _Righted | None:
    """The flow between two frames, both ways, where it changes; None where it is right."""
    one, two = frames
    scale = clip.scale.astype(np.float32)
    flows = [arrays[way][t].astype(np.float32) / scale for way in (0, 1)]
    oks = [arrays[2][way, t] > 0 for way in (0, 1)]
    turns = turns_of(one, two)
    followed = np.count_nonzero(oks[1] & two.own) / np.count_nonzero(two.own)
    if not turns and followed >= FOLLOWED:
        return None
    groups = matched_groups(one.features, two.features, min(one.side, two.side))
    if not turns and not groups:
        return None
    grid = pixel_grid(*one.own.shape)
    there, there_seen = places_of(
        two, one, (grid + flows[0], oks[0] & one.own), [group.back for group in groups],
        [turn.back for turn in turns],
    )  # fmt: skip
    back, back_seen = places_of(one, two, (grid + flows[1], oks[1] & two.own), groups, turns)
    ways = (there, there_seen), (back, back_seen)
    found = []
    for way, own in enumerate((one.own, two.own)):
        (place, seen), (other, _) = ways[way], ways[1 - way]
        rows, columns = np.nonzero(own)
        changed = (place != grid + flows[way]).any(-1)
        flow = place - grid
        sure = np.where(changed, seen, oks[way]) & consistent(flow, other - grid, AGREES_PX)
        values = np.clip(flow * scale, -FARTHEST, FARTHEST).astype(np.float16)
        values = np.where(changed[..., None], values, arrays[way][t])[rows, columns]
        at = rows.astype(np.int32), columns.astype(np.int32)
        found.append(_Part(*at, values, sure[rows, columns].astype(np.uint8)))
    return _Righted(*found)
