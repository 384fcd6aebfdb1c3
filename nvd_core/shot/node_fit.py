"""Full maps brought into the compact form, each value within a tolerance of what it was."""

import numpy as np
from numba import njit

from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.node_decode import WEIGHTS, field_band
from nvd_core.shot.node_maps import (
    ALPHA_BITS,
    EMPTY,
    FINER,
    FULL,
    LIGHT_BITS,
    MOST_NODE,
    REST,
    SIDE,
    Lattice,
    NodeFrame,
    NodeLayer,
    place_bits,
    tiles_of,
)
from nvd_core.shot.node_planes import Planes

PLACE = 0.03
"""texels by which an interpolated place may be off, before it is rounded, in a tile that is left"""
LIGHT = 0.7 / 255
"""the same for light"""
MANY = 0.08
"""share of a layer's tiles from which on a finer lattice is tried, lest so many be corrected"""


def fitted(
    layers: list[LayerMaps],
    added: np.ndarray | None = None,
    place: float = PLACE,
    light: float = LIGHT,
) -> NodeFrame:
    """The compact form of a frame's maps, all layers front to back.

    place, light: tolerances, see above. Places are then rounded by MOST_ERROR texels at the most,
    light to 2 ** -LIGHT_BITS and alpha to 2 ** -ALPHA_BITS; the alphas' sum is kept.
    """
    height, width = layers[0].u.shape
    alphas = _whole_alphas(np.stack([layer.alpha for layer in layers]))
    result = []
    rest = np.full(alphas.shape[1:], 1 << ALPHA_BITS, np.int32)
    for layer, alpha in zip(layers, alphas, strict=True):
        result.append(_layer(layer, alpha, rest, place, light))
        rest -= alpha
    added = None if added is None else added.astype(np.float16)
    return NodeFrame(height, width, tuple(result), added)


def _whole_alphas(alphas: np.ndarray) -> np.ndarray:
    """Alphas [L, H, W] as int32 whose sum is that of all, rounded; filled up to whole tiles."""
    rows, columns = tiles_of(*alphas.shape[1:])
    whole = np.zeros((len(alphas), rows * SIDE, columns * SIDE), np.int32)
    _round_alphas(alphas.astype(np.float32, copy=False), whole)
    return whole


@njit(cache=True, nogil=True)
def _round_alphas(alphas, whole):
    """What rounding leaves of the sum goes to the layer that shows most."""
    one = np.float32(1 << ALPHA_BITS)
    for y in range(alphas.shape[1]):
        for x in range(alphas.shape[2]):
            total, missing, largest = np.float32(0), 0, 0
            for n in range(alphas.shape[0]):
                value = np.int32(np.rint(alphas[n, y, x] * one))
                whole[n, y, x] = value
                total += alphas[n, y, x]
                missing -= value
                if value > whole[largest, y, x]:
                    largest = n
            missing += np.int32(np.rint(total * one))
            if missing:
                value = whole[largest, y, x] + missing
                whole[largest, y, x] = min(max(value, 0), 1 << ALPHA_BITS)


def _tiled(values: np.ndarray) -> np.ndarray:
    """[H, W] by tiles, [h, w, SIDE, SIDE]; a view."""
    rows, columns = values.shape[0] // SIDE, values.shape[1] // SIDE
    return values.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)


def _layer(
    layer: LayerMaps, alpha: np.ndarray, rest: np.ndarray, place: float, light: float
) -> NodeLayer:
    used = np.zeros((alpha.shape[0] // SIDE, alpha.shape[1] // SIDE), bool)
    _mark_used(alpha, used)
    bits = place_bits(layer.texture[0]), place_bits(layer.texture[1])
    ys, xs = np.flatnonzero(used.any(1)), np.flatnonzero(used.any(0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1) if len(ys) else (0, 0, 0, 0)
    part = tuple(slice(box[k] * SIDE, box[k + 2] * SIDE) for k in (1, 0))
    alpha, rest = alpha[part], rest[part]
    kinds, stored = _alpha_tiles(alpha, rest)
    shown = np.zeros(alpha.shape, bool)
    known = layer.alpha[part] > 0
    inside = tuple(slice(size) for size in known.shape)
    np.logical_and(alpha[inside] > 0, known, out=shown[inside])
    scales = 2.0 ** np.array([*bits, *[LIGHT_BITS] * 3])
    off = np.array([*place * scales[:2] / layer.texture, *light * scales[2:]], np.float32)
    lights = list(np.moveaxis(layer.residual.astype(np.float32, copy=False), 2, 0))
    places = _whole([layer.u, layer.v], scales[:2], part, shown.shape)
    values = places, _whole(lights, scales[2:], part, shown.shape)
    beyond = Planes(*values, shown)
    fields = [
        _lattice(values[own], shown, off[channels], beyond, channels)
        for own, channels in enumerate((slice(2), slice(2, 5)))
    ]
    return NodeLayer(bits, box, kinds, stored, *fields)


def _whole(
    planes: list[np.ndarray], units: np.ndarray, part: tuple[slice, ...], shape: tuple[int, ...]
) -> np.ndarray:
    """A part of planes [H, W], in the units of its whole numbers, filled up to a `shape`."""
    field = np.zeros((len(planes), *shape), np.float32)
    for plane, unit, value in zip(planes, units, field, strict=True):
        _scale(plane[part], np.float32(unit), value)
    return field


@njit(cache=True, nogil=True)
def _mark_used(alpha, used):
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            if alpha[y, x]:
                used[y // SIDE, x // SIDE] = True


@njit(cache=True, nogil=True)
def _scale(plane, scale, out):
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            out[y, x] = plane[y, x] * scale


def _alpha_tiles(alpha: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kinds = np.empty((alpha.shape[0] // SIDE, alpha.shape[1] // SIDE), np.int32)
    _find_kinds(alpha, rest, kinds)
    return kinds, _tiled(alpha)[kinds >= 0].astype(np.uint16)


@njit(cache=True, nogil=True)
def _find_kinds(alpha, rest, kinds):
    count = 0
    for row in range(kinds.shape[0]):
        for column in range(kinds.shape[1]):
            empty, full, equal = True, True, True
            for y in range(row * SIDE, (row + 1) * SIDE):
                for x in range(column * SIDE, (column + 1) * SIDE):
                    value = alpha[y, x]
                    empty &= value == 0
                    full &= value == 1 << ALPHA_BITS
                    equal &= value == max(rest[y, x], 0)
            kind = EMPTY if empty else FULL if full else REST if equal else count
            kinds[row, column] = kind
            if kind >= 0:
                count += 1


def _lattice(
    values: np.ndarray, shown: np.ndarray, off: np.ndarray, beyond: Planes, own: slice
) -> Lattice:
    """A field [C, h, w], in the unit of its whole numbers, that counts where it is `shown`.

    own: its channels among those of `beyond`.
    """
    tiles = max(beyond.shown_tiles, 1)
    tried = [_tried(values, shown, off, 8, beyond, own)]
    if len(tried[0].corrections) >= MANY * tiles:
        tried.append(_tried(values, shown, off, 4, beyond, own))
    # about what they take: a node 10 bits, a pixel that is corrected 3
    return min(tried, key=lambda one: 10 * one.nodes.size + 3 * one.corrections.size)


def _tried(
    values: np.ndarray,
    shown: np.ndarray,
    off: np.ndarray,
    step: int,
    beyond: Planes,
    own: slice,
) -> Lattice:
    channels, height, width = values.shape
    nodes = np.zeros((channels, height // step + 3, width // step + 3), np.float32)
    inside = slice(1, height // step + 1), slice(1, width // step + 1)
    there = np.zeros(nodes.shape[1:], bool)
    there[inside] = shown[::step, ::step]
    for c in range(channels):
        nodes[c][inside] = values[c, ::step, ::step]
    rows, columns = np.nonzero(~there)
    nodes[:, rows, columns] = beyond.at(step * (rows - 1), step * (columns - 1), own)
    whole = np.rint(nodes * np.float32(1 << FINER)).clip(-MOST_NODE, MOST_NODE).astype(np.int32)
    corrected = np.full((height // SIDE, width // SIDE), -1, np.int32)
    corrections = np.empty((corrected.size, channels, SIDE, SIDE), np.int32)
    field = np.array([step, 0, nodes.shape[2], 0])
    lines = whole.reshape(channels, -1)
    count = _compare(lines, field, WEIGHTS, values, shown, off, corrected, corrections)
    return Lattice(step, whole, corrected, corrections[:count].copy())


@njit(cache=True, nogil=True)
def _compare(nodes, field, weights, values, shown, off, corrected, corrections):
    """Correct tiles in which a shown pixel is farther off than `off`; returns how many."""
    channels, height, width = values.shape
    fine = np.empty((channels, SIDE, width), np.int32)
    bad = np.empty(width, np.uint8)
    count = 0
    for top in range(0, height, SIDE):
        bad[:] = 0
        for c in range(channels):
            field_band(nodes[c], field, top, weights, 0, width, fine[c])
            for y in range(SIDE):
                _mark_off(fine[c, y], values[c, top + y], shown[top + y], off[c], bad)
        for left in range(0, width, SIDE):
            if bad[left : left + SIDE].any():
                own = corrections[count]
                corrected[top // SIDE, left // SIDE] = count
                count += 1
                for c in range(channels):
                    for y in range(SIDE):
                        for x in range(SIDE):
                            made = (fine[c, y, left + x] + (1 << (FINER - 1))) >> FINER
                            wanted = np.int32(np.rint(values[c, top + y, left + x]))
                            own[c, y, x] = wanted - made if shown[top + y, left + x] else 0
    return count


@njit(cache=True, nogil=True)
def _mark_off(fine, values, shown, off, bad):
    unit = np.float32(1.0 / (1 << FINER))
    for x in range(fine.shape[0]):
        bad[x] |= np.uint8(shown[x] & (abs(np.float32(fine[x]) * unit - values[x]) > off))
