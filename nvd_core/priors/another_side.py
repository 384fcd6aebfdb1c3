"""Whether an object that was hidden comes back with another side to the camera.

What comes back as it went is joined by its features, and one sheet serves it (motion_features.py).
Where they no longer follow one motion, nothing says where the new view lies in the sheet beside
the old one, and paint on either ends there. So each is a window in time then: paint crosses from
one to the other where both show the same surface (editing/across_windows.py).

Cloth, a person or an animal follows no one motion either, and comes back the same side to all the
same: its features then agree with their neighbours (surface_match.py), and one sheet serves it too.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nvd_core.priors.motion_features import bridges
from nvd_core.priors.motion_matches import MatchedClip, Regions
from nvd_core.priors.split_masks import SplitMasks
from nvd_core.priors.surface_match import Features, features_of, matched_groups
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.time_windows import Window
from nvd_core.work import MASK_WEIGHT, open_array

HIDDEN = 0.01
"""of what its fullest frame shows of an object: less is nothing"""
IN_VIEW = 0.5
"""of that, too: as much as a frame has to show to tell of its side"""
LEAST_FRAMES = 2
"""before and behind, that show so much"""
CERTAIN = 0.9
"""weight of the masks of a gap, which are given then"""
LEAST_FEATURES = 40
"""of both frames: that a plain object's do not agree tells nothing"""
LEAST_BLANK = 2
"""frames on end that do not show it: one alone is a mask that was left out, or a flash"""
SAME_SIDE, SAME_SHARE = 20, 0.2
"""features that agree with their neighbours, and their share of the fewer of two frames', from
which on both show one side: cloth that waves has .4 and more, a doll turned by fifty degrees .12"""


def windows_where_hidden(
    clip: MatchedClip, layer: int, regions: Regions, areas: np.ndarray, linked: set[int], least: int
) -> list[Window]:
    """Windows of object `layer`, cut where it was hidden and shows another side; empty for one.

    `areas` [T] is how much each frame shows of it; `linked` are the frames that are matched with
    their next; features that are joined have `least` points that agree.
    """
    gaps = _hidden(areas)
    if not gaps:
        return []
    everything = 0, clip.count - 1
    joined = bridges(clip, layer, regions, linked, areas, everything, least)
    firsts = [0]
    for last, first in gaps:
        if first - last - 1 < LEAST_BLANK:
            continue
        if any(bridge.last <= last and first <= bridge.first for bridge in joined):
            continue
        if not _certain(clip, layer, range(last, first + 1)):
            continue
        views = _Views(clip, regions, areas)
        before, behind = views.of((firsts[-1], last), -1), views.of((first, clip.count - 1), 0)
        if before and behind and not any(map(views.same_side, before, behind)):
            firsts.append(first)
    if len(firsts) == 1:
        return []
    return list(zip(firsts, [*(first - 1 for first in firsts[1:]), clip.count - 1], strict=True))


def _hidden(areas: np.ndarray) -> list[tuple[int, int]]:
    """The last frame before and the first behind each run of frames that do not show it."""
    shown = np.flatnonzero(areas > HIDDEN * areas.max(initial=1))
    return [(int(a), int(b)) for a, b in pairwise(shown) if b - a > 1]


def _certain(clip: MatchedClip, layer: int, frames: range) -> bool:
    """Whether the masks of these frames are to be believed: one that was carried may be lost."""
    weights = open_array(clip.work, MASK_WEIGHT)
    number = clip.masks.order[layer][0] if isinstance(clip.masks, SplitMasks) else layer
    sure = all(float(weights[number, t].mean()) > CERTAIN * 255 for t in frames)
    release(weights)
    return sure


@dataclass
class _Views:
    """Frames that show the object well enough to know its side again."""

    clip: MatchedClip
    regions: Regions
    areas: np.ndarray

    def of(self, span: tuple[int, int], nearest: int) -> list[int]:
        """The frame of the span that shows most, and that `nearest` the gap, -1 the last or 0 the
        first, which shows enough; empty where none tells."""
        within = self.areas[span[0] : span[1] + 1]
        enough = np.flatnonzero(within > IN_VIEW * self.areas.max())
        if len(enough) < LEAST_FRAMES:
            return []
        chosen = [span[0] + int(within.argmax()), span[0] + int(enough[nearest])]
        return chosen if len(self._features(chosen[0])) >= LEAST_FEATURES else []

    def same_side(self, t: int, other: int) -> bool:
        """Whether features of both frames tell so."""
        one, two = self._features(t), self._features(other)
        side = float(np.sqrt(min(np.count_nonzero(self.regions[i]) for i in (t, other))))
        groups = matched_groups(one, two, side)
        least = max(SAME_SIDE, SAME_SHARE * min(len(one), len(two)))
        return bool(groups) and len(groups[0].end) >= least

    def _features(self, t: int) -> Features:
        found = features_of(self.clip.grey(t), self.regions[t])
        self.clip.release()
        return found
