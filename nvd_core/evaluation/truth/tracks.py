"""How well points stay on their surface: tracks through the texture, scored as TAP-Vid does.

A track's query point, where it is first visible, has a (u, v); in every later frame the pixel
whose (u, v) is nearest is the prediction (Chan et al., ICCV 2023, section 4.3). Scores are those
of Doersch et al., "TAP-Vid", NeurIPS 2022 data sets track, with the query mode "first": distances
count in a frame brought to 256 x 256, and only frames after the query.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nvd_core.evaluation.metrics import OPAQUE
from nvd_core.evaluation.truth.view_changes import ViewChanges, between
from nvd_core.runtime.array_files import read_npz
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading
from nvd_core.runtime.sizes import MOST_LAYERS
from nvd_core.shot.maps import FrameMaps

THRESHOLDS = (1, 2, 4, 8, 16)
RASTER = 256
MOST_BYTES = 1 << 28
_EXPECTED = "points [N, T, 2], occluded [N, T]"
FARTHEST_POINT = 1e6
_REMEDY = "give an .npz file as docs/reference/truth-folder.md describes"
FARTHEST = 1.5
"""pixels' worth of texels; where a layer shows nothing nearer to a point, the point is hidden

(the published networks have coordinates for what is hidden, with an alpha near 0; maps leave it
out)"""


@dataclass
class Tracks:
    """Points through a clip; pixels (x right, y down), pixel centres at whole numbers."""

    points: np.ndarray  # float64 [N, T, 2]
    occluded: np.ndarray  # bool [N, T]
    layer: np.ndarray | None = None  # int [N], front to back; None: whatever shows at the query

    @property
    def query(self) -> np.ndarray:  # int [N]
        """The first frame that shows each point; T for one that is never seen."""
        return np.where(self.occluded.all(1), self.occluded.shape[1], (~self.occluded).argmax(1))


def read_tracks(
    path: Path | str, frames: int, width: int, height: int, layers: int = MOST_LAYERS
) -> Tracks:
    """Read an .npz with `points` [N, T, 2] and `occluded` [N, T], and `layer` [N] if it has that.

    With `size` (width, height) in the file, points are raster coordinates in a frame of that size,
    edges at 0 and at size, as TAP-Vid has them ((1, 1) for its 0..1); else pixels of this clip.
    NvdError where it is something else, has another number of frames, or a layer beyond `layers`.
    """
    path = Path(path)
    problem = f"{path} does not hold tracks of this clip"
    with reading(path, "the tracks", _REMEDY, problem=problem, expected=_EXPECTED):
        arrays = read_npz(path, MOST_BYTES)
        points = np.asarray(arrays["points"], np.float64)
        occluded = np.asarray(arrays["occluded"]).astype(bool)
    if points.ndim != 3 or points.shape[2] != 2 or occluded.shape != points.shape[:2]:
        raise _no_tracks(path, f"points {points.shape}, occluded {occluded.shape}")
    if points.shape[1] != frames or not np.isfinite(points).all():
        raise _no_tracks(path, f"{points.shape[1]} frames", f"{frames} frames of finite points")
    if "size" in arrays:
        size = arrays["size"].reshape(-1).astype(np.float64)
        if size.shape != (2,) or not (np.isfinite(size).all() and (size > 0).all()):
            raise _no_tracks(path, f"a size of {size[:4]}", "the width and height of a frame")
        points = points * (width, height) / size - 0.5
    if points.size and np.abs(points).max() > FARTHEST_POINT:
        raise _no_tracks(path, f"{np.abs(points).max():.3g}", "points near the frame, in pixels")
    layer = arrays.get("layer")
    if layer is not None:
        if layer.shape != points.shape[:1] or layer.dtype.kind not in "iu":
            raise _no_tracks(path, f"layer {layer.shape} {layer.dtype}")
        if layer.size and not 0 <= int(layer.min()) <= int(layer.max()) < layers:
            found = f"layers {layer.min()} to {layer.max()}"
            raise _no_tracks(path, found, f"layers from 0 to {layers - 1}")
    return Tracks(points, occluded, layer)


def _no_tracks(path: Path, found: str, expected: str = _EXPECTED) -> NvdError:
    return NvdError(
        f"{path} does not hold tracks of this clip",
        expected=expected,
        found=found,
        remedy=_REMEDY,
    )


@dataclass
class TrackMeter:
    """Follows tracks through the maps of a clip, frame by frame from the first."""

    tracks: Tracks
    sizes: list[tuple[int, int]]  # width and height of each layer's texture
    views: ViewChanges | None = None  # of layers with windows in time
    frame: int = 0
    predicted: np.ndarray = field(init=False)  # [N, T, 2]
    hidden: np.ndarray = field(init=False)  # bool [N, T]

    def __post_init__(self) -> None:
        count, frames = self.tracks.occluded.shape
        self.predicted = np.zeros((count, frames, 2))
        self.hidden = np.ones((count, frames), bool)
        self._place = np.zeros((count, 2))  # the queries' (u, v) in texels
        self._layer = np.zeros(count, int)
        self._certain = np.ones(count, bool)  # whether the place is known in the present window

    def add(self, maps: FrameMaps) -> None:
        """Take in the next frame."""
        t, query = self.frame, self.tracks.query
        for k in np.flatnonzero(query == t):
            self._start(k, maps)
        for n in range(len(maps.uva)):
            known = np.flatnonzero((query < t) & (self._layer == n))
            if len(known):
                if self.views is not None and self.views.begins(n, t):
                    self._change_view(known, n)
                self._follow(known, maps, n)
        self.frame += 1

    def _start(self, k: int, maps: FrameMaps) -> None:
        """Look up the (u, v) of track k at its query point, between the pixels of its layer."""
        height, width = maps.uva.shape[1:3]
        x, y = self.tracks.points[k, self.frame]
        x, y = float(np.clip(x, 0, width - 1)), float(np.clip(y, 0, height - 1))
        column, row = round(x), round(y)
        chosen = None if self.tracks.layer is None else self.tracks.layer[k]
        n = int(maps.uva[:, row, column, 2].argmax()) if chosen is None else int(chosen)
        self._layer[k] = n
        self._place[k] = self._texels(between(maps.uva[n], x, y), n)
        self.predicted[k, self.frame] = self.tracks.points[k, self.frame]
        self.hidden[k, self.frame] = False

    def _change_view(self, known: np.ndarray, n: int) -> None:
        """Where the tracks `known` of layer n are on the texture from this frame on, in which
        another window begins: over its border, and where the window shows them again, there.
        """
        t, query = self.frame, self.tracks.query
        seen = ~self.hidden[known, t - 1]
        uv, certain = self.views.over_border(n, t, self.predicted[known, t - 1])
        self._place[known] = uv * self.sizes[n]
        self._certain[known] = certain & seen
        lost = known[~self._certain[known]]
        for frame in np.unique(query[lost]):
            own = lost[query[lost] == frame]
            found, certain = self.views.again(n, int(frame), t, self.tracks.points[own, frame])
            self._place[own[certain]] = found[certain] * self.sizes[n]
            self._certain[own[certain]] = True

    def _follow(self, known: np.ndarray, maps: FrameMaps, n: int) -> None:
        """Predict the tracks `known` of layer n in this frame."""
        alpha = maps.uva[n, ..., 2]
        row, column = np.nonzero(alpha > 0)
        if not len(row):
            return
        texels = self._texels(maps.uva[n], n)
        places, reach = texels[row, column], FARTHEST * _steps(texels, alpha > 0)[row, column]
        for k in known:
            away = ((places - self._place[k]) ** 2).sum(1)
            best = int(away.argmin())
            self.predicted[k, self.frame] = column[best], row[best]
            seen = alpha[row[best], column[best]] >= OPAQUE and away[best] <= reach[best] ** 2
            self.hidden[k, self.frame] = not (seen and self._certain[k])

    def _texels(self, uv: np.ndarray, n: int) -> np.ndarray:
        return uv[..., :2].astype(np.float64) * self.sizes[n]

    def scores(
        self, width: int, height: int, layer: int | None = None, again: bool = False
    ) -> dict | None:
        """TAP-Vid's scores in clips of `width` x `height`, of one layer's tracks or of all.

        With `again` only frames count that come after a point's first time hidden. None where
        there are no such tracks.
        """
        chosen = self.tracks.query < self.tracks.occluded.shape[1]
        if layer is not None:
            chosen &= self._layer == layer
        counted = self._hidden_once() if again else np.ones_like(self.tracks.occluded)
        chosen &= (counted & ~self.tracks.occluded).any(1) if again else True
        if not chosen.any():
            return None
        to_raster = np.array([RASTER / width, RASTER / height])
        return tapvid_scores(
            self.tracks.points[chosen] * to_raster,
            self.tracks.occluded[chosen],
            self.predicted[chosen] * to_raster,
            self.hidden[chosen],
            counted[chosen],
        )

    def _hidden_once(self) -> np.ndarray:  # bool [N, T]
        """Frames after a point has been seen and then hidden."""
        seen = np.cumsum(~self.tracks.occluded, 1) > 0
        return np.cumsum(seen & self.tracks.occluded, 1) > 0


def _steps(texels: np.ndarray, shown: np.ndarray) -> np.ndarray:  # [H, W]
    """How far the farthest shown neighbour of each pixel is, in texels; at least one texel."""
    steps = np.ones(shown.shape)
    for axis in (0, 1):
        here, there = (slice(None),) * axis, np.diff(texels, axis=axis)
        first, second = (*here, slice(None, -1)), (*here, slice(1, None))
        apart = np.where(shown[first] & shown[second], np.hypot(there[..., 0], there[..., 1]), 0)
        for side in (first, second):
            steps[side] = np.maximum(steps[side], apart)
    return steps


def tapvid_scores(
    points: np.ndarray,  # [N, T, 2] in a raster of 256 x 256
    occluded: np.ndarray,  # bool [N, T]
    predicted: np.ndarray,  # [N, T, 2]
    predicted_occluded: np.ndarray,  # bool [N, T]
    chosen: np.ndarray | None = None,  # bool [N, T], the frames that count; None: all
) -> dict:
    """Average Jaccard AJ, share of visible points within a distance, and occlusion accuracy OA.

    For a threshold d, a true positive is visible, said to be visible, and nearer than d to the
    truth; a false positive is said to be visible and is not, or is not that near. Jaccard is true
    positives by all that are visible plus the false positives. AJ and delta_avg are means over
    THRESHOLDS. Frames up to a track's first visible one do not count. Where nothing counts, None.
    """
    frames = np.arange(occluded.shape[1])
    first = np.where(occluded.all(1), len(frames), (~occluded).argmax(1))
    counted = (frames > first[:, None]) & (True if chosen is None else chosen)
    visible, claimed = ~occluded & counted, ~predicted_occluded & counted
    squared = ((points - predicted) ** 2).sum(-1)
    jaccard, within = [], []
    for threshold in THRESHOLDS:
        near = squared < threshold**2
        true_positives = (visible & claimed & near).sum()
        false_positives = (claimed & (~visible | ~near)).sum()
        total = visible.sum() + false_positives
        jaccard.append(true_positives / total if total else np.nan)
        within.append((visible & near).sum() / visible.sum() if visible.any() else np.nan)
    right = ((occluded == predicted_occluded) & counted).sum()
    scores = {
        "AJ": np.mean(jaccard),
        "delta_avg": np.mean(within),
        "OA": right / counted.sum() if counted.any() else np.nan,
    }
    rounded = {n: None if np.isnan(s) else round(float(s), 4) for n, s in scores.items()}
    return rounded | {"points": len(points)}
