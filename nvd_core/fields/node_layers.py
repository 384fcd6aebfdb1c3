"""All layers of a frame from few questions to the networks, and how far off that is."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numba import njit

from nvd_core.fields.hash_grid.grid import HashGrid
from nvd_core.fields.inference import CHUNK, TRANSPARENT, Edges, FrameLayers, never, with_light
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.node_grid import Ask, sampled
from nvd_core.runtime.malloc import KeptArrays

MOST_STEP = 16
"""pixels of the analysis between the nodes of the coarsest lattice, at most"""


@dataclass(frozen=True)
class Tolerances:
    """By how much a guess may be off for its cell to be settled."""

    place: float
    """texels"""
    alpha: float
    light: float
    """which multiplies display-encoded colour"""


FINE = Tolerances(0.015, 1 / 255, 0.7 / 255)
COARSE = Tolerances(0.25, 4 / 255, 4 / 255)
ALPHA_CELLS = 4
"""alpha's coarsest nodes may be so many cells apart, since an edge gives itself away by STEEP"""
STEEP = 0.05
"""a cell over which alpha changes by more is never settled: edges may be symmetrical"""


@torch.inference_mode()
def frame_layers_by_nodes(
    model: LayeredVideo,
    t: int,
    texels_per_unit: list[float],
    edges: Edges | None = None,
    within: Tolerances = FINE,
    kept: KeptArrays | None = None,
    check: Callable[[], None] = never,
) -> FrameLayers:
    """As `inference.frame_layers` at every pixel of frame t, `within` these tolerances.

    texels_per_unit: density of each layer's texture, texels for 1 of the networks' coordinates.
    Of a plate larger than the analysis, the networks are asked at most about once a pixel of the
    analysis, and twice along each side at edges of alpha: so it costs them little more.
    `kept`: where its largest arrays are taken from. `check` is called before each layer, and may
    raise.
    """
    height, width = model.shape.height, model.shape.width
    finest = _finest(model)
    everywhere = np.ones((height, width), bool)
    step = _step(model.alpha.grid, max(height, width), finest, ALPHA_CELLS)
    found = sampled(_alpha(model, t), everywhere, within.alpha, step, STEEP, max(finest // 2, 1))
    alpha = np.empty((model.layers, height, width), np.float32)
    _share(found, np.float32(TRANSPARENT), alpha)
    own = alpha
    alpha = edges(own) if edges else own
    kept = kept or KeptArrays()
    uv = kept.empty((model.layers, height, width, 2))
    light = kept.empty((model.layers, height, width, 3))
    uv[:] = 0
    light[:] = model.kind != "additive"
    for n in range(model.layers):
        check()
        shown = alpha[n] > 0
        if not shown.any():
            continue
        part = _bounds(shown)
        shown = shown[part]
        mapping = _mapping(model, n, t, part[1].start, part[0].start)
        across = 2 * model.mappings[n].pixels_per_unit  # of the texture square
        step = _step(getattr(model.mappings[n], "grid", None), across, finest)
        off = within.place / texels_per_unit[n]
        jumps = _jumps(model, n, t, part)
        places = sampled(mapping, shown, off, step, finest=finest, jumps=jumps)
        _put(places, shown, uv[n][part])
        if model.kind != "none":
            step = min(step, _step(model.residuals[n].grid, across, finest))
            light_of = _light(model, n, t, places)
            found = sampled(light_of, shown, within.light, step, finest=finest, jumps=jumps)
            _put(found, shown, light[n][part])
    layers = with_light(model, uv, alpha, light)
    layers.own_alpha = own
    return layers


@njit(cache=True, nogil=True, error_model="numpy")
def _share(found, least, alpha):
    """Alphas [H', W', L] into [L, H, W]: those below `least` are none, and the sum is 1."""
    for y in range(alpha.shape[1]):
        for x in range(alpha.shape[2]):
            total = np.float32(0)
            for n in range(alpha.shape[0]):
                value = found[y, x, n]
                alpha[n, y, x] = np.float32(0) if value < least else value
                total += alpha[n, y, x]
            for n in range(alpha.shape[0]):
                alpha[n, y, x] /= total


def _finest(model: LayeredVideo) -> int:
    """The power of two that is next below the plate's pixels in one of the analysis."""
    return 2 ** max(math.floor(math.log2(model.plate_scale)), 0)


def _step(encoding: torch.nn.Module | None, pixels: float, finest: int, cells: float = 1.0) -> int:
    """Pixels between a field's coarsest nodes: at most `cells` of its own finest grid's cells.

    Inside a cell the grid is linear, so that a kink is within sight of the nodes that are asked
    next, half as far apart. `pixels` is what the grid spans; one without a grid is taken as fine.
    """
    if not isinstance(encoding, HashGrid):
        return 4 * finest
    cell = pixels / encoding.layout.resolutions[-1]
    most = np.log2(MOST_STEP * finest)
    return 2 ** int(np.clip(np.floor(np.log2(cell * cells)), 1, most))


def _put(found: np.ndarray, shown: np.ndarray, out: np.ndarray) -> None:
    """Where a pixel is shown, [H', W', C] into [H, W, C]."""
    height, width = shown.shape
    cv2.copyTo(found[:height, :width], shown.view(np.uint8), out)


def _bounds(shown: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _pixels(columns: np.ndarray, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([columns, rows], -1).astype(np.float32))


def _in_chunks(field: Callable, points: torch.Tensor, t: int, model: LayeredVideo) -> np.ndarray:
    """A network's answers at points [P, 2] of frame t, float32 [P, C]."""
    device = next(model.parameters()).device
    parts = []
    for part in points.split(CHUNK):
        when = torch.full((len(part),), t, device=device)
        parts.append(field(part.to(device), when).float().cpu())
    return torch.cat(parts).numpy()


def _alpha(model: LayeredVideo, t: int) -> Ask:
    return lambda columns, rows: _in_chunks(model.alpha, _pixels(columns, rows), t, model)


def _mapping(model: LayeredVideo, n: int, t: int, left: int, top: int) -> Ask:
    def ask(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return _in_chunks(model.mappings[n], _pixels(columns + left, rows + top), t, model)

    return ask


def _jumps(model: LayeredVideo, n: int, t: int, part: tuple[slice, slice]) -> np.ndarray | None:
    """Pixels of a part of frame t beside which another part of layer n begins; None without."""
    if not model.mappings[n].parts:
        return None
    rows, columns = np.mgrid[part]

    def numbers_at(points: torch.Tensor, when: torch.Tensor) -> torch.Tensor:
        return model.mappings[n].part_of(points, when)[:, None]

    found = _in_chunks(numbers_at, _pixels(columns.ravel(), rows.ravel()), t, model)
    numbers, around = found.reshape(rows.shape), np.ones((3, 3), np.uint8)
    return cv2.dilate(numbers, around) != cv2.erode(numbers, around)


def _light(model: LayeredVideo, n: int, t: int, places: np.ndarray) -> Ask:
    """The light where `places` [H', W', 2] say, which are filled up to the same lattice."""

    def ask(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return _in_chunks(model.residuals[n], torch.from_numpy(places[rows, columns]), t, model)

    return ask
