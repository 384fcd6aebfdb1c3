"""Where the strokes of a drawing lie on a layer's texture: point by point, by a frame's maps.

Each point of a drawing that is laid on a frame is an anchor: the texture's point that the frame
shows there. A part that lies beside the layer is left out, and the stroke is broken there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nvd_core.editing.stack_pictures import homography
from nvd_core.editing.stroke_cover import Views, of_frame
from nvd_core.media.svg import SvgPicture, SvgStroke
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.part_places import part_numbers
from nvd_core.shot.shot import Shot
from nvd_core.shot.strokes import FARTHEST, Stroke

SHOWN = 0.5
"""alpha above which a layer shows in a pixel"""


@dataclass(frozen=True)
class PlacedStrokes:
    """What became of a drawing."""

    strokes: tuple[Stroke, ...]
    lost: float = 0.0
    """share of its points that lie beside the layer"""


def on_texture(
    shot: Shot, layer: str, drawing: SvgPicture, corners: Sequence[Sequence[float]] | None
) -> PlacedStrokes:
    """With the corners of the drawing's box at these places of the texture; None: its corners.

    Widths are texels, and as many pixels.
    """
    record = shot.layer(layer)
    size = np.array([record.texture_width, record.texture_height], np.float64)
    quad = np.array(corners or [[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    onto = homography(_box_corners(drawing), quad * size)
    made = []
    for stroke in drawing.strokes:
        texels = _through(onto, stroke.points)
        width = stroke.width * _growth(stroke.points, texels)
        made.append(_stroke(stroke, texels / size, width, width / size.max()))
    return PlacedStrokes(tuple(made))


def on_frame(
    shot: Shot, layer: str, t: int, drawing: SvgPicture, places: np.ndarray | None
) -> PlacedStrokes:
    """With the corners of the drawing's box at the pixels `places` [4, 2] of frame `t`.

    None: the box is the picture. NvdError where the layer does not show at any of its points.
    """
    clip, record = shot.manifest.clip, shot.layer(layer)
    shot.check_frame(t)
    whole = np.array([[0, 0], [clip.width, 0], [clip.width, clip.height], [0, clip.height]])
    onto = homography(_box_corners(drawing), whole if places is None else places)
    anchors = _Anchors(shot, record.name, t)
    longer = max(record.texture_width, record.texture_height)
    made: list[Stroke] = []
    lost = total = 0
    for stroke in drawing.strokes:
        pixels = _through(onto, stroke.points)
        width = stroke.width * _growth(stroke.points, pixels)
        found, texels = anchors.at(pixels)
        known = np.isfinite(found).all(1)
        lost, total = lost + int((~known).sum()), total + len(known)
        for run in anchors.runs(found, known):
            share = width * float(np.median(texels[run])) / longer
            made.append(_stroke(stroke, found[run], width, share))
    if not made:
        raise NvdError(
            f"the layer {record.name} does not show where the strokes are in frame {t}",
            expected="strokes over pixels of the layer",
            found="none",
            remedy="choose another frame or place, or another layer",
        )
    return PlacedStrokes(tuple(made), lost / total)


class _Anchors:
    """The texture's points that a frame shows."""

    def __init__(self, shot: Shot, name: str, t: int) -> None:
        record, own = shot.layer(name), read_frame_maps(shot, t).layer(shot.names.index(name))
        self._uv = np.stack([own.u, 1 - own.v], -1).astype(np.float64)
        self._shown = own.alpha > SHOWN
        self._parts = record.parts
        self._numbers = part_numbers(record.parts, own.u, own.v)
        uva = np.stack([own.u, own.v, np.where(self._shown, own.alpha, 0)], -1)
        views, numbers = of_frame(uva)
        self._texels = np.full(self._shown.size, np.nan)
        self._texels[numbers] = _texels_a_pixel(views, record.texture_width, record.texture_height)

    def at(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places on the texture [N, 2], NaN where there are none, and texels a pixel there [N]."""
        height, width = self._shown.shape
        x, y = (pixels - 0.5).T
        left = np.floor(x).clip(0, width - 2).astype(int)
        top = np.floor(y).clip(0, height - 2).astype(int)
        fx, fy = (x - left)[:, None], (y - top)[:, None]
        corners = [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)]
        shares = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
        found = sum(self._uv[at] * share for at, share in zip(corners, shares, strict=True))
        known = np.all([self._shown[at] for at in corners], 0)
        known &= (x > -1) & (y > -1) & (x < width) & (y < height)  # half a pixel is gone on with
        if self._parts:  # between two of them the nearest pixel counts
            one, *others = (self._numbers[at] for at in corners)
            broken = np.any([one != other for other in others], 0)
            row, column = top + (fy[:, 0] > 0.5), left + (fx[:, 0] > 0.5)
            found[broken] = self._uv[row, column][broken]
        found[~known] = np.nan
        texels = self._texels.reshape(height, width)[top, left]
        return found, np.nan_to_num(texels, nan=1.0)

    def runs(self, places: np.ndarray, known: np.ndarray) -> list[slice]:
        """The stretches of the places [N, 2] that are known and of one part of the layer."""
        if not self._parts:
            return runs_of(known)
        u, v = np.nan_to_num(places).T
        numbers = part_numbers(self._parts, u, 1 - v)
        runs = [run for n in np.unique(numbers) for run in runs_of(known & (numbers == n))]
        return sorted(runs, key=lambda run: run.start)


def _texels_a_pixel(views: Views, width: int, height: int) -> np.ndarray:
    a = np.linalg.det(views.steps * np.array([[width], [height]]))
    return np.sqrt(np.abs(a))


def runs_of(known: np.ndarray) -> list[slice]:
    """The stretches of two or more points that are known; of a single point that alone."""
    if len(known) == 1:
        return [slice(0, 1)] if known[0] else []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(int), [0]])))
    return [
        slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1
    ]


def _box_corners(drawing: SvgPicture) -> np.ndarray:
    x, y, w, h = drawing.box
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float64)


def _through(onto: np.ndarray, points: np.ndarray) -> np.ndarray:
    laid: np.ndarray = cv2.perspectiveTransform(points[None].astype(np.float64), onto)[0]
    return laid


def _growth(before: np.ndarray, after: np.ndarray) -> float:
    """How much longer a line became."""
    was, now = (np.hypot(*np.diff(line, axis=0).T).sum() for line in (before, after))
    return float(now / was) if was else 1.0


def _stroke(stroke: SvgStroke, places: np.ndarray, width: float, share: float) -> Stroke:
    kept = np.clip(places.round(7), -FARTHEST, FARTHEST)
    points = tuple((float(u), float(v)) for u, v in kept)
    colour = tuple(round(one, 5) for one in stroke.colour)
    return Stroke(points, colour, stroke.opacity, round(width, 3), round(share, 7))
