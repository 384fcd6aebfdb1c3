"""What is laid over a rendered frame to judge it: a grid on every layer, or where to doubt it.

The grid's lines are places of the textures, so that where a grid slides on its surface, paint
will. The doubt is the largest of three, each 0 to 1: how far the layers' own picture is from the
frame, how strained the coordinates are (folds are drawn in a colour of their own), and how
undecided alpha is over a wider area than an edge. A pin shows in both at once.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from nvd_core.editing.edits import load_texture
from nvd_core.editing.kernel import make_kernel
from nvd_core.editing.strain import coloured, jacobians, singular_values, strain_of
from nvd_core.editing.uncovered import uncovered
from nvd_core.media.images import decode_srgb, encode_srgb, to_float, to_integers
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

KINDS = ("grid", "doubt")
OPACITY = 0.5
CELLS = 16
"""of the grid along the longer side of a texture"""
WIDTH = 1.4
"""of its lines, pixels; every fourth is twice as wide"""
COLOURS = np.array(
    [[1.0, 0.85, 0.1], [0.1, 0.9, 1.0], [1.0, 0.3, 0.8], [0.5, 1.0, 0.3], [1.0, 0.5, 0.1]],
    np.float32,
)
"""of the objects' grids, front to back, again from the first where there are more"""
BACKGROUND = np.array([0.95, 0.95, 0.95], np.float32)
LEAST_ERROR, MOST_ERROR = 0.03, 0.15
"""of the layers' picture, display-encoded, between which doubt grows"""
LEAST_UNDECIDED, MOST_UNDECIDED = 0.3, 0.7
"""mean of 4 alpha (1 - alpha) around a pixel, between which doubt grows"""
AROUND = 60
"""a pixel's surroundings are so many times smaller than the picture's height"""
DOUBTED = 0.5
"""doubt from which on a pixel counts as doubted"""


class Overlay(Protocol):
    """Colours to be laid over frames."""

    def over(self, frame: np.ndarray, maps: FrameMaps, t: int) -> np.ndarray:
        """RGBA float32 [H, W, 4], premultiplied, display-encoded, of frame `t`.

        `frame` are its working colours as they were shot, `maps` those of all layers.
        """

    def facts(self) -> dict:
        """What was found, for whoever asked."""


class Grid:
    """Lines on the textures of a shot's layers."""

    def __init__(self, shot: Shot) -> None:
        self._sizes = [(r.texture_width, r.texture_height) for r in shot.manifest.layers]

    def over(self, frame: np.ndarray, maps: FrameMaps, t: int) -> np.ndarray:
        """As `Overlay`."""
        total = np.zeros((*frame.shape[:2], 4), np.float32)
        last = len(self._sizes) - 1
        for n, size in enumerate(self._sizes):
            lines = grid_lines(maps.uva[n], size) * maps.uva[n, ..., 2]
            colour = BACKGROUND if n == last else COLOURS[n % len(COLOURS)]
            total[..., :3] += lines[..., None] * colour
            total[..., 3] += lines
        return total

    def facts(self) -> dict:
        """As `Overlay`."""
        return {}


def grid_lines(uva: np.ndarray, size: tuple[int, int]) -> np.ndarray:  # float32 [H, W], 0 to 1
    """How much of each pixel the grid's lines cover, of a layer [H, W, 3] with a texture of `size`.

    Lines are as wide everywhere: a pixel's distance from one is counted in pixels.
    """
    cover = np.zeros(uva.shape[:2], np.float32)
    for axis in (0, 1):
        cells = CELLS * size[axis] / max(size)
        place = uva[..., axis].astype(np.float64) * cells
        slope = np.hypot(_step(place, 0), _step(place, 1))
        nearest = np.rint(place)
        away = np.abs(place - nearest) / np.maximum(slope, 1e-9)
        wide = np.where(nearest % 4 == 0, WIDTH, WIDTH / 2)
        cover = np.maximum(cover, (wide + 0.5 - away).clip(0, 1))
    return cover.astype(np.float32)


def _step(place: np.ndarray, axis: int) -> np.ndarray:
    """The smaller of the two steps to a pixel's neighbours: one may lie beyond the layer's edge."""
    steps = np.abs(np.diff(place, axis=axis))
    pad = [(0, 0), (0, 0)]
    pad[axis] = (1, 1)
    wide = np.pad(steps, pad, constant_values=np.inf)
    low, high = (np.take(wide, range(n, wide.shape[axis] - 1 + n), axis) for n in (0, 1))
    least = np.minimum(low, high)
    return np.where(np.isfinite(least), least, 0)


class Doubt:
    """Where a decomposition itself is in doubt, frame by frame."""

    def __init__(self, shot: Shot) -> None:
        self._sizes = [(r.texture_width, r.texture_height) for r in shot.manifest.layers]
        self._parts = [record.parts for record in shot.manifest.layers]
        self._linear = shot.manifest.clip.is_linear
        textures = {n: load_texture(shot, name) for n, name in enumerate(shot.names)}
        self._kernel = make_kernel(textures, "full", False, "cpu")
        self._signs = np.zeros((len(self._sizes), 2), np.int64)
        self._shares: dict[int, float] = {}

    def over(self, frame: np.ndarray, maps: FrameMaps, t: int) -> np.ndarray:
        """As `Overlay`."""
        doubt, folds = self.of_frame(frame, maps)
        self._shares[t] = float((folds | (doubt > DOUBTED)).mean())
        return coloured(doubt.ravel(), folds.ravel()).reshape(*doubt.shape, 4).astype(np.float32)

    def of_frame(self, frame: np.ndarray, maps: FrameMaps) -> tuple[np.ndarray, np.ndarray]:
        """How much a frame's pixels are to be doubted, float32 [H, W], and where it folds, bool."""
        doubt = np.maximum(self._error(frame, maps), undecided(maps))
        folds = np.zeros(doubt.shape, bool)
        for n, size in enumerate(self._sizes):
            inside, right, below = jacobians(maps, n, size, self._parts[n])
            strain = strain_of(*singular_values(right, below))
            determinant = right[:, 0] * below[:, 1] - right[:, 1] * below[:, 0]
            self._signs[n] += [(determinant > 0).sum(), (determinant < 0).sum()]
            keeps = 1 if self._signs[n, 0] >= self._signs[n, 1] else -1
            part, folded = doubt[:-1, :-1], folds[:-1, :-1]
            part[inside] = np.maximum(part[inside], strain)
            folded[inside] |= determinant * keeps < 0
        return doubt, folds

    def facts(self) -> dict:
        """As `Overlay`: the share of pixels in doubt, and the frames in which it is largest."""
        if not self._shares:
            return {}
        worst = sorted(self._shares, key=lambda t: -self._shares[t])[:5]
        return {
            "doubt": round(float(np.mean(list(self._shares.values()))), 4),
            "worst_frames": worst,
            "doubt_by_frame": {
                str(t): round(share, 4) for t, share in sorted(self._shares.items())
            },
        }

    def _error(self, frame: np.ndarray, maps: FrameMaps) -> np.ndarray:  # float32 [H, W]
        display = _display(frame, self._linear)
        full = self._kernel(np.zeros(frame.shape, np.float32), maps)
        full += uncovered(maps)[..., None] * display
        apart = np.abs(full - display).max(2)
        apart = cv2.GaussianBlur(np.nan_to_num(apart), (0, 0), max(frame.shape[0] / 300, 0.8))
        return ((apart - LEAST_ERROR) / (MOST_ERROR - LEAST_ERROR)).clip(0, 1).astype(np.float32)


def undecided(maps: FrameMaps) -> np.ndarray:  # float32 [H, W], 0 to 1
    """How undecided alphas are around a pixel: edges are soft, wide areas ought not to be."""
    alphas = maps.uva[..., 2]
    soft = (4 * alphas * (1 - alphas)).max(0)
    size = max(2 * (soft.shape[0] // AROUND // 2) + 1, 3)
    mean = cv2.blur(soft, (size, size))
    return ((mean - LEAST_UNDECIDED) / (MOST_UNDECIDED - LEAST_UNDECIDED)).clip(0, 1)


def make_overlay(shot: Shot, kind: str) -> Overlay:
    """The overlay `kind`, "grid" or "doubt"."""
    if kind not in KINDS:
        raise NvdError(
            "there is no such overlay",
            expected=f"one of {', '.join(KINDS)}",
            found=kind,
            remedy="choose one of these",
        )
    return Grid(shot) if kind == "grid" else Doubt(shot)


def overlaid(
    change: Callable[[np.ndarray], np.ndarray],
    overlay: Overlay,
    maps: FrameMaps,
    t: int,
    opacity: float,
    linear: bool,
) -> Callable[[np.ndarray], np.ndarray]:
    """`change` of frame `t`, and the overlay on top of what it makes.

    `maps` are of all layers, and not used up; `linear` says what floating-point frames hold.
    """

    def lay(frame: np.ndarray) -> np.ndarray:
        over = overlay.over(frame, maps, t) * np.float32(opacity)
        changed = change(frame)
        shows = over[..., 3] > 0
        mixed = _display(changed, linear) * (1 - over[..., 3:]) + over[..., :3]
        if frame.dtype.kind == "u":
            made = to_integers(mixed.clip(0, 1), frame.dtype)
        else:
            made = (decode_srgb(mixed) if linear else mixed).astype(frame.dtype)
        return np.where(shows[..., None], made, changed)

    return lay


def _display(frame: np.ndarray, linear: bool) -> np.ndarray:
    """Working colours, display-encoded float32."""
    if frame.dtype.kind == "u":
        return to_float(frame).astype(np.float32)
    return (encode_srgb(frame) if linear else frame).astype(np.float32)


def check_overlay(
    kind: str | None, opacity: float, layer: str | None, names: Sequence[str]
) -> None:
    """NvdError where what is asked of an overlay does not go together."""
    if kind is None:
        return
    if not 0 <= opacity <= 1:
        raise NvdError(
            "an overlay cannot be that opaque",
            expected="a number from 0 to 1",
            found=f"{opacity:g}",
            remedy="correct --overlay-opacity",
        )
    if layer is not None:
        raise NvdError(
            f"{layer} is rendered alone, and the {kind} lies over whole frames",
            expected=f"all of {', '.join(names)}",
            remedy="leave out --layer or --overlay",
        )
