"""Fitting each layer's estimated motion to its texture square: where the mappings start."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvd_core.fields.model import ClipShape, LayerStart, frame_outline
from nvd_core.priors.still_background import deformation_mask, stands_still
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.parts import Part, packed
from nvd_core.runtime.time_windows import Window, regions
from nvd_core.work import ClipData, frame_boxes

OBJECT_FILL = 0.7
"""an object starts within this part of its square, for its true outline is not known yet"""
BACKGROUND_FILL = 0.95
GUTTER = 16
"""pixels between two parts, beside what their cells leave free"""
LEAST_WIDTH, MOST_WIDTH = 1e-2, 1e7
"""pixels between a layer's outermost points"""


def layer_starts(
    data: ClipData,
    motion: np.ndarray,
    projective: list[bool],
    hold_background: bool = False,
    windows: Sequence[list[Window]] = (),
    parts: "StartParts | None" = None,
) -> list[LayerStart]:
    """One start a layer from `motion` [L, T, 3, 3] (pixels of a frame to reference pixels).

    Objects fill the square with their masks, the background with the outlines of all frames; a
    layer with `windows` fills the part that each has, all at one scale.
    `hold_background` keeps that of a still camera from deforming where nothing asks for it, unless
    it has `parts`.
    """
    outline = frame_outline(ClipShape(*data.shape))
    starts = []
    for n, matrices in enumerate(motion):
        if parts and parts.names[n]:
            starts.append(_in_parts(data, n, matrices, parts, projective[n]))
            continue
        if n < len(motion) - 1:
            outlines = [(int(b[0]), _box_corners(b[1:])) for b in data.boxes[n]]
            fill = OBJECT_FILL
        else:
            outlines, fill = [(t, outline) for t in range(len(matrices))], BACKGROUND_FILL
        points = [(t, _map(matrices[t], places)) for t, places in outlines]
        if windows and windows[n]:
            starts.append(_in_windows(matrices, points, windows[n], fill, projective[n]))
        else:
            everything = np.concatenate([places for _, places in points])
            starts.append(_fitted(matrices, everything, fill, projective[n]))
    last = starts[-1]
    whole = hold_background and not (last.windows or last.parts)
    if whole and stands_still(data, last.matrices, last.pixels_per_unit):
        free = deformation_mask(data, last.matrices)
        starts[-1] = dataclasses.replace(last, deformation_mask=free)
    return starts


def _fitted(matrices: np.ndarray, points: np.ndarray, fill: float, projective: bool) -> LayerStart:
    low, high = _extent(points)
    scale = 2 * fill / max(high - low)
    fitted = _placed(matrices, scale, (low + high) / 2, np.zeros(2))
    return LayerStart(fitted, 1 / scale, projective)


def _in_windows(
    matrices: np.ndarray,
    points: list[tuple[int, np.ndarray]],  # frame, outline [n, 2] in its window's reference
    windows: list[Window],
    fill: float,
    projective: bool,
) -> LayerStart:
    """Each window's frames to its own part of the square, at the scale that fits the largest."""
    lows, highs = np.zeros((2, len(windows), 2))
    for k, (first, last) in enumerate(windows):
        if own := [places for t, places in points if first <= t <= last]:
            lows[k], highs[k] = _extent(np.concatenate(own))
    middles, side = regions(len(windows), (highs - lows).max(0) / fill)
    scale = 2 / side
    fitted = np.empty_like(matrices)
    for (first, last), middle, centre in zip(windows, middles, (lows + highs) / 2, strict=True):
        own = slice(first, last + 1)
        fitted[own] = _placed(matrices[own], scale, centre, middle)
    return LayerStart(fitted, 1 / scale, projective, windows=tuple(windows))


@dataclass
class StartParts:
    """The parts of all layers, as the motion start needs them."""

    names: list[list[str]]
    """by layer, the rest first; empty for a layer without parts"""
    labels: np.ndarray | None  # uint8 [L, T, H, W]; None where only the motions are asked for
    motion: np.ndarray  # float64 [K, T, 3, 3], by layer and number, without the rests

    def of_layer(self, n: int, rest: np.ndarray) -> np.ndarray:  # [T, 3, 3] -> [K', T, 3, 3]
        """The motions of a layer's parts, that of the `rest` first."""
        first = sum(max(len(names) - 1, 0) for names in self.names[:n])
        return np.concatenate([rest[None], self.motion[first : first + len(self.names[n]) - 1]])


def _in_parts(
    data: ClipData, n: int, rest: np.ndarray, parts: StartParts, projective: bool
) -> LayerStart:
    """Each part to a cell of its own of the square, all at one scale."""
    motions, background = parts.of_layer(n, rest), n == len(data.masks)
    labels = np.array(parts.labels[n])
    lows, highs = np.zeros((2, len(motions), 2))
    for k, matrices in enumerate(motions):
        seen = (_seen(data, n, t) & (labels[t] == k) for t in range(len(labels)))
        boxes = frame_boxes(seen)
        if len(boxes):
            corners = (_map(matrices[int(b[0])], _box_corners(b[1:])) for b in boxes)
            lows[k], highs[k] = _extent(np.concatenate(list(corners)))
    fill = BACKGROUND_FILL if background else OBJECT_FILL
    sizes = (highs - lows) / fill + GUTTER
    middles, side = packed(sizes)
    scale = 2 / side
    places = zip(motions, (lows + highs) / 2, middles, strict=True)
    fitted = [_placed(matrices, scale, centre, middle) for matrices, centre, middle in places]
    cells = np.concatenate([middles - sizes / side, middles + sizes / side], 1)
    named = zip(parts.names[n], cells.tolist(), strict=True)
    return LayerStart(
        np.concatenate(fitted),
        1 / scale,
        projective,
        parts=tuple(Part(name, tuple(cell)) for name, cell in named),
        labels=labels,
    )


def _seen(data: ClipData, n: int, t: int) -> np.ndarray:  # bool [H, W]
    """Where frame t shows layer n."""
    if n < len(data.masks):
        return np.array(data.masks[n, t]) > 127
    return np.logical_not(np.any(np.array(data.masks[:, t]) > 127, axis=0, keepdims=True)[0])


def _extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest of the points [n, 2], without the farthest."""
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    width = max(high - low)
    if not LEAST_WIDTH <= width <= MOST_WIDTH:  # of a damaged array: no clip moves so
        raise NvdError(
            f"the motion leads a layer to a texture {width:.3g} pixels wide",
            expected=f"{LEAST_WIDTH:g} to {MOST_WIDTH:g}",
            remedy="remove the folder and run `nvd decompose` again",
        )
    return low, high


def _placed(
    matrices: np.ndarray, scale: float, centre: np.ndarray, middle: np.ndarray
) -> np.ndarray:
    """Matrices that take what lies at `centre` to `middle`, so much larger."""
    shift = middle - scale * centre
    fitted = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]]) @ matrices
    return fitted / fitted[:, 2:3, 2:3]


def _box_corners(box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _map(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    mapped = np.concatenate([points, np.ones_like(points[:, :1])], -1) @ matrix.T
    return mapped[:, :2] / np.maximum(mapped[:, 2:], 1e-3)
