"""What one frame adds to the least-squares problem of texture_fit, in one pass over its pixels.

Compact maps are decoded eight lines at a time, which stay in a core's own cache. The passes of a
frame run in one thread: several frames are worked on at once, and each sum has a fixed order.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.node_decode import WEIGHTS, PackedNodes, alpha_band, light_band, place_band
from nvd_core.shot.node_maps import SIDE
from nvd_core.shot.texel_lookup import texel_corner

UNLIT = 0.3
"""weight of the reconstruction without the residual"""
_NOTHING_HIDDEN = np.zeros((0, 0), bool)


@dataclass(frozen=True)
class NodeLookups:
    """Compact maps of a frame, of all layers front to back."""

    packed: PackedNodes
    wanted: np.ndarray  # int64 [L]: where the layers stand in `packed`
    hidden: np.ndarray | None = None  # bool [H, W]: where no layer counts; None: nowhere


def lookups(files: MapFiles, t: int, matte: np.ndarray | None) -> FrameMaps | NodeLookups:
    """What frame `t` looks up by its files; nothing where its `matte` [H, W] has garbage."""
    hidden = None if matte is None or not matte.any() else matte > 0
    found = files.packed(t, files.names)
    if found is not None:
        return NodeLookups(found[0], np.array(found[1], np.int64), hidden)
    maps = files.read(t)
    if hidden is not None:
        maps.uva[:, hidden, 2] = 0
    return maps


def add_frame(
    maps: FrameMaps | NodeLookups,
    colours: np.ndarray | None,
    table: np.ndarray,
    texels: np.ndarray,
    sums: np.ndarray,
) -> float:
    """The two weighted sums of squares of texture_fit for one frame, and what they add.

    colours: whole numbers [H, W, 3] from 0 to 255, display-encoded; None: black, without light
    that is added. table, texels: as `Texels` has them. To `sums` [N, 4], if it has texels, half the
    negative gradient is added, and in the last column the sums of the rows of half the second
    derivative, their mean over the three channels.
    """
    kind = texels.dtype
    light = maps.packed.added if isinstance(maps, NodeLookups) else maps.added
    none = light is None or colours is None
    added = np.zeros((0, 0, 3), kind) if none else light.astype(kind)
    colours = np.zeros((0, 0, 3), np.uint8) if colours is None else colours
    unlit = kind.type(UNLIT)
    if not isinstance(maps, NodeLookups):
        return _add_full(maps.uva, maps.residual, colours, added, table, texels, unlit, sums)
    size = maps.packed.height, maps.packed.width
    hidden = _NOTHING_HIDDEN if maps.hidden is None else maps.hidden
    by = maps.packed.arrays, WEIGHTS, maps.wanted
    return _add_nodes(*by, hidden, size, colours, added, table, texels, unlit, sums)


# fmt: off
@njit(cache=True, nogil=True)
def _add_full(uva, residual, colours, added, table, texels, unlit, sums):
    height, width = uva.shape[1:3]
    target = np.empty((width, 3), texels.dtype)
    at, shares = np.empty((len(table), 4), np.uint64), np.empty((len(table), 4), texels.dtype)
    total = 0.0
    for y in range(height):
        _aim(colours, added, y, target)
        total += _add_line(uva[:, y], residual[:, y], target, table, texels, unlit, at, shares,
                           sums)
    return total


@njit(cache=True, nogil=True)
def _add_nodes(arrays, weights, wanted, hidden, size, colours, added, table, texels, unlit, sums):
    layers, tiles, alphas, nodes, corrections = arrays
    height, width = size
    alpha = np.empty((layers.shape[0], SIDE, -(-width // SIDE) * SIDE), np.int32)
    room = np.empty((3, alpha.shape[1], alpha.shape[2]), np.int32)
    places = np.empty((len(wanted), SIDE, width, 3), np.float32)
    lights = np.empty((len(wanted), SIDE, width, 3), np.float32)
    target = np.empty((width, 3), texels.dtype)
    at, shares = np.empty((len(wanted), 4), np.uint64), np.empty((len(wanted), 4), texels.dtype)
    total = 0.0
    for top in range(0, height, SIDE):
        lines = min(SIDE, height - top)
        alpha_band(layers, tiles, alphas, top, alpha)
        for k in range(len(wanted)):
            row, own = layers[wanted[k]], alpha[wanted[k]]
            place, light = places[k, :lines], lights[k, :lines]
            place_band(row, own, top, tiles, nodes, corrections, weights, room, place)
            light_band(row, own, top, tiles, nodes, corrections, weights, room, light)
            if hidden.shape[0]:
                _hide(hidden[top : top + lines], place)
        for y in range(lines):
            _aim(colours, added, top + y, target)
            total += _add_line(places[:, y], lights[:, y], target, table, texels, unlit, at, shares,
                               sums)
    return total
# fmt: on


@njit(cache=True, nogil=True)
def _hide(hidden, place):
    for y in range(hidden.shape[0]):
        for x in range(hidden.shape[1]):
            if hidden[y, x]:
                place[y, x, 2] = 0


@njit(cache=True, nogil=True)
def _aim(colours, added, y, target):
    """What a line's layers are to make together."""
    if not colours.shape[0]:
        target[:] = 0
        return
    for x in range(target.shape[0]):
        for c in range(3):
            target[x, c] = colours[y, x, c] / 255.0
            if added.shape[0]:
                target[x, c] -= added[y, x, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_line(places, lights, target, table, texels, unlit, at, shares, sums):
    """A line's sums of squares; places, lights [L, W, 3], target [W, 3].

    at, shares: room for the four texels of each layer's lookup, and for what each counts.
    """
    layers, total = len(table), 0.0
    for x in range(len(target)):
        red, green, blue = target[x, 0], target[x, 1], target[x, 2]
        dark_red, dark_green, dark_blue = red, green, blue
        for n in range(layers):
            if places[n, x, 2] == 0.0:
                continue
            _find(places, n, x, table, at, shares)
            own_red, own_green, own_blue = _looked_up(texels, n, at, shares)
            red, dark_red = red - lights[n, x, 0] * own_red, dark_red - own_red
            green, dark_green = green - lights[n, x, 1] * own_green, dark_green - own_green
            blue, dark_blue = blue - lights[n, x, 2] * own_blue, dark_blue - own_blue
        total += red * red + green * green + blue * blue
        total += unlit * (dark_red * dark_red + dark_green * dark_green + dark_blue * dark_blue)
        if len(sums):
            lit, dark = (red, green, blue), (dark_red, dark_green, dark_blue)
            _spread(places, lights, x, lit, dark, unlit, at, shares, sums)
    return total


# These are made part of what calls them: handing arrays on takes longer than what is done with them
@njit(inline="always", error_model="numpy")
def _find(places, n, x, table, at, shares):
    """The texels of layer n's lookup, and their shares times alpha."""
    first, below, right, fx, fy = texel_corner(places[n, x, 0], places[n, x, 1], table[n])
    kind, alpha = type(shares[n, 0]), places[n, x, 2]
    fx, fy, gx, gy = kind(fx), kind(fy), kind(1 - fx), kind(1 - fy)
    at[n, 0], at[n, 1] = first, first + right
    at[n, 2], at[n, 3] = first + below, first + below + right
    shares[n, 0], shares[n, 1] = gx * gy * alpha, fx * gy * alpha
    shares[n, 2], shares[n, 3] = gx * fy * alpha, fx * fy * alpha


@njit(inline="always", error_model="numpy")
def _looked_up(texels, n, at, shares):
    a, b, c, d = at[n, 0], at[n, 1], at[n, 2], at[n, 3]
    p, q, r, s = shares[n, 0], shares[n, 1], shares[n, 2], shares[n, 3]
    return (
        p * texels[a, 0] + q * texels[b, 0] + r * texels[c, 0] + s * texels[d, 0],
        p * texels[a, 1] + q * texels[b, 1] + r * texels[c, 1] + s * texels[d, 1],
        p * texels[a, 2] + q * texels[b, 2] + r * texels[c, 2] + s * texels[d, 2],
    )


@njit(inline="always", error_model="numpy")
def _spread(places, lights, x, lit, dark, unlit, at, shares, sums):
    """A pixel's part of the sums, of what is left with and without light.

    Four columns at a time are one vector of the processor.
    """
    layers, third = len(places), type(unlit)(1 / 3)
    red = green = blue = type(unlit)(0)
    for n in range(layers):
        alpha = places[n, x, 2]
        red += alpha * lights[n, x, 0]
        green += alpha * lights[n, x, 1]
        blue += alpha * lights[n, x, 2]
    for n in range(layers):
        if places[n, x, 2] == 0.0:
            continue
        own_red, own_green, own_blue = lights[n, x, 0], lights[n, x, 1], lights[n, x, 2]
        of_red = own_red * lit[0] + unlit * dark[0]
        of_green = own_green * lit[1] + unlit * dark[1]
        of_blue = own_blue * lit[2] + unlit * dark[2]
        # the layers' alphas sum to 1
        row = unlit + (own_red * red + own_green * green + own_blue * blue) * third
        for k in range(4):
            texel, share = at[n, k], shares[n, k]
            sums[texel, 0] += share * of_red
            sums[texel, 1] += share * of_green
            sums[texel, 2] += share * of_blue
            sums[texel, 3] += share * row
