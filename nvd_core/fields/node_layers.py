"""All layers of a frame from few questions to the networks, and how far off that is."""

from collections.abc import Callable

import numpy as np
import torch
from numba import prange

from nvd_core.fields.hash_grid.grid import HashGrid
from nvd_core.fields.inference import CHUNK, TRANSPARENT, FrameLayers, with_light
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.node_grid import Ask, sampled
from nvd_core.runtime.kernel_threads import parallel_njit

MAPPING_STEP = 16
LIGHT_STEP = 16
"""pixels between the nodes of the coarsest lattices"""
PLACE = 0.03
"""texels by which a guessed place may be off for its cell to be settled"""
ALPHA = 1 / 255
LIGHT = 0.7 / 255
"""the same for alpha and for light, which multiplies display-encoded colour"""
STEEP = 0.05
"""a cell over which alpha changes by more is never settled: edges may be symmetrical"""


@torch.inference_mode()
def frame_layers_by_nodes(model: LayeredVideo, t: int, texels_per_unit: list[float]) -> FrameLayers:
    """As `inference.frame_layers` at every pixel of frame t, within the tolerances above.

    texels_per_unit: density of each layer's texture, texels for 1 of the networks' coordinates.
    """
    height, width = model.shape.height, model.shape.width
    everywhere = np.ones((height, width), bool)
    found = sampled(_alpha(model, t), everywhere, ALPHA, _alpha_step(model), STEEP)
    alpha = np.empty((model.layers, height, width), np.float32)
    _normalise(found, np.float32(TRANSPARENT), alpha)
    uv = np.zeros((model.layers, height, width, 2), np.float32)
    light = np.full((model.layers, height, width, 3), model.kind != "additive", np.float32)
    for n in range(model.layers):
        shown = alpha[n] > 0
        if not shown.any():
            continue
        part = _bounds(shown)
        shown = shown[part]
        mapping = _mapping(model, n, t, part[1].start, part[0].start)
        places = sampled(mapping, shown, PLACE / texels_per_unit[n], MAPPING_STEP)
        _put(places, shown, uv[n][part])
        if model.kind != "none":
            found = sampled(_light(model, n, t, places), shown, LIGHT, LIGHT_STEP)
            _put(found, shown, light[n][part])
    return with_light(model, uv, alpha, light)


def _alpha_step(model: LayeredVideo) -> int:
    """Pixels between alpha's coarsest nodes; the first new ones stand half as far apart.

    That is some 4/3 of a cell of the network's own finest grid: it holds little that is narrower.
    """
    if not isinstance(model.alpha.grid, HashGrid):
        return 4
    cell = max(model.shape.height, model.shape.width) / model.alpha.grid.layout.resolutions[-1]
    return 2 ** round(float(np.clip(np.log2(cell * 8 / 3), 1, 5)))


@parallel_njit
def _normalise(found, least, alpha):
    """Alphas [H', W', L] into [L, H, W]: none below `least`, and a sum of 1."""
    for y in prange(alpha.shape[1]):
        for x in range(alpha.shape[2]):
            total = np.float32(0)
            for n in range(alpha.shape[0]):
                value = found[y, x, n] if found[y, x, n] >= least else np.float32(0)
                alpha[n, y, x] = value
                total += value
            for n in range(alpha.shape[0]):
                alpha[n, y, x] /= total


@parallel_njit
def _put(found, shown, out):
    """Where a pixel is shown, [H', W', C] into [H, W, C]."""
    for y in prange(out.shape[0]):
        for x in range(out.shape[1]):
            if shown[y, x]:
                for c in range(out.shape[2]):
                    out[y, x, c] = found[y, x, c]


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


def _light(model: LayeredVideo, n: int, t: int, places: np.ndarray) -> Ask:
    """The light where `places` [H', W', 2] say, which are filled up to the same lattice."""

    def ask(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return _in_chunks(model.residuals[n], torch.from_numpy(places[rows, columns]), t, model)

    return ask
