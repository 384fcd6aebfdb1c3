"""Whether an object's points look the same where the flow takes them.

Flow that agrees with itself forward and back may be wrong all the same: where a limb is too fast,
it follows what is behind. The picture tells: around the points it is another one then.
"""

import cv2
import numpy as np

from nvd_core.priors.flow_size import local_contrast
from nvd_core.priors.motion_matches import MatchedClip, textured_points
from nvd_core.priors.turning_part import TurningPart

AROUND = 3
"""pixels of the flow around a point that are compared"""
ALIKE = 0.7
"""correlation from which on two places look the same"""


def share_alike(clip: MatchedClip, layer: int, part: TurningPart | None) -> float:
    """Share of the object's points, or its part's, that look the same in the next frame, among
    those that the flow follows there; 1 where there are none.
    """
    same, all_of_them = 0, 0
    following = local_contrast(clip.grey(0))
    for t in range(clip.count - 1):
        picture, following = following, local_contrast(clip.grey(t + 1))
        points = textured_points(clip.grey(t), clip.region(layer, t), clip.cell(layer))
        if part is not None:
            points = points[part.holds(points, t)]
        points = points[clip.ok(t)[points[:, 1], points[:, 0]] > 0]
        if not len(points):
            continue
        moved = clip.flow(t)[points[:, 1], points[:, 0]] / clip.scale
        found = correlations(picture, points, following, points + moved)
        same, all_of_them = same + int((found > ALIKE).sum()), all_of_them + len(points)
        clip.release()
    return same / all_of_them if all_of_them else 1.0


def correlations(
    picture: np.ndarray, points: np.ndarray, following: np.ndarray, ends: np.ndarray
) -> np.ndarray:  # [n]
    """Of the surroundings of points [n, 2] in a picture with those of `ends` [n, 2] in another."""
    side = np.arange(-AROUND, AROUND + 1)
    around = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    pictures = []
    for one, places in ((picture, points), (following, ends)):
        at = (places[:, None] + around).astype(np.float32)
        shown = cv2.remap(one, at, None, cv2.INTER_LINEAR).astype(np.float32)
        pictures.append(shown - shown.mean(1, keepdims=True))
    first, second = pictures
    lengths = (first * first).sum(1) * (second * second).sum(1)
    return (first * second).sum(1) / np.sqrt(lengths + 1)
