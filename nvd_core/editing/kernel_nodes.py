"""The delta kernel on compact maps: eight lines at a time are interpolated and painted on at once.

Full maps of a frame are 50 MB a layer, which to write and to read takes longer than to make them.
The arithmetic of a line is kernel_numba's own, so the pixels are those of full maps, bit for bit.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from nvd_core.editing.kernel_numba import PackedTextures, _delta_row, _largest
from nvd_core.runtime.kernel_threads import parallel_njit
from nvd_core.shot.node_decode import WEIGHTS, PackedNodes, alpha_band, light_band, place_band
from nvd_core.shot.node_maps import SIDE


@dataclass(frozen=True)
class NodeMaps:
    """Compact maps of a frame for this kernel: of which layers, and how these are shown."""

    packed: PackedNodes
    wanted: np.ndarray  # int64 [K]: where the kernel's layers stand in `packed`
    visibility: np.ndarray  # float32 [K]: multiplies alpha
    light: np.ndarray  # float32 [K]: how much of the light's difference from 1 counts


def render_delta_nodes(
    frame: np.ndarray, maps: NodeMaps, deltas: PackedTextures, linear: bool, out: np.ndarray
) -> None:
    """As kernel_numba.render_delta, on compact maps."""
    np.copyto(out, frame)
    _delta(
        *maps.packed.arrays,
        WEIGHTS,
        maps.wanted,
        maps.visibility,
        maps.light,
        deltas.table,
        deltas.boxes,
        deltas.texels,
        deltas.tiles,
        _largest(out),
        linear,
        out,
    )


# fmt: off
@parallel_njit
def _delta(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
           textures, boxes, texels, painted, largest, linear, out):
    for band in prange(-(-out.shape[0] // SIDE)):
        _delta_band(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
                    textures, boxes, texels, painted, largest, linear, out, band * SIDE)


@njit(cache=True)
def _delta_band(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
                textures, boxes, texels, painted, largest, linear, out, top):
    lines, width = min(SIDE, out.shape[0] - top), out.shape[1]
    alpha = np.empty((table.shape[0], SIDE, -(-width // SIDE) * SIDE), np.int32)
    room = np.empty((3, alpha.shape[1], alpha.shape[2]), np.int32)
    places = np.empty((len(wanted), lines, width, 3), np.float32)
    lights = np.empty((len(wanted), lines, width, 3), np.float32)
    alpha_band(table, tiles, alphas, top, alpha)
    for k in range(textures.shape[0]):
        n = textures[k, 0]
        row, own = table[wanted[n]], alpha[wanted[n]]
        place_band(row, own, top, tiles, nodes, corrections, weights, room, places[n])
        light_band(row, own, top, tiles, nodes, corrections, weights, room, lights[n])
        _lay_on(places[n], lights[n], visibility[n], light[n])
    for y in range(lines):
        _delta_row(places[:, y], lights[:, y], textures, boxes, texels, painted, largest, linear,
                   out[top + y])
# fmt: on


@njit(cache=True)
def _lay_on(place, lit, visibility, light):
    """shot.values.lay_on_maps, on some lines of a layer."""
    if visibility != 1.0:
        for y in range(place.shape[0]):
            for x in range(place.shape[1]):
                place[y, x, 2] *= visibility
    if light != 1.0:
        for y in range(lit.shape[0]):
            for x in range(lit.shape[1]):
                for c in range(3):
                    lit[y, x, c] = (lit[y, x, c] - np.float32(1.0)) * light + np.float32(1.0)
