"""Full maps brought into the compact form, each value within a tolerance of what it was."""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.node_decode import upsampled
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

PLACE = 0.03
"""texels by which an interpolated place may be off, before it is rounded, in a tile that is left"""
LIGHT = 0.7 / 255
"""the same for light"""
MANY = 0.08
"""share of a layer's tiles from which on a finer lattice is tried, lest so many be corrected"""
_FEW = 2
"""pixels, of every second along lines and columns, by tiles of a window's side, that are enough for
a plane"""
_WINDOWS = (3, 9)
"""tiles along a side of the surroundings to which a plane is fitted, where there is no pixel"""


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
            value = whole[largest, y, x] + missing
            whole[largest, y, x] = min(max(value, 0), 1 << ALPHA_BITS)


def _tiled(values: np.ndarray) -> np.ndarray:
    """[H, W] by tiles, [h, w, SIDE, SIDE]; a view."""
    rows, columns = values.shape[0] // SIDE, values.shape[1] // SIDE
    return values.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)


def _layer(
    layer: LayerMaps, alpha: np.ndarray, rest: np.ndarray, place: float, light: float
) -> NodeLayer:
    used = _tiled(alpha).any((2, 3))
    bits = place_bits(layer.texture[0]), place_bits(layer.texture[1])
    ys, xs = np.flatnonzero(used.any(1)), np.flatnonzero(used.any(0))
    box = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1) if len(ys) else (0, 0, 0, 0)
    rows, columns = (slice(box[k] * SIDE, box[k + 2] * SIDE) for k in (1, 0))
    alpha, rest = alpha[rows, columns], rest[rows, columns]
    kinds, stored = _alpha_tiles(alpha, rest)
    known = np.zeros(alpha.shape, bool)
    clip = layer.alpha[rows, columns]
    known[: clip.shape[0], : clip.shape[1]] = clip > 0
    shown = (alpha > 0) & known
    texels = np.array(layer.texture, np.float64)
    scales = 2.0 ** np.array(bits)
    unit = 2.0**LIGHT_BITS
    part = rows, columns
    places = _whole([layer.u, layer.v], scales, part, shown.shape)
    lights = _whole(list(np.moveaxis(layer.residual, 2, 0)), [unit] * 3, part, shown.shape)
    fields = (
        _lattice(places, shown, np.array(place * scales / texels, np.float32)),
        _lattice(lights, shown, np.full(3, light * unit, np.float32)),
    )
    return NodeLayer(bits, box, kinds, stored, *fields)


def _whole(
    values: list[np.ndarray], units: list[float], part: tuple[slice, slice], shape: tuple[int, int]
) -> np.ndarray:
    """A part of planes [H, W], in the units of its whole numbers, filled up to a `shape`."""
    field = np.zeros((len(values), *shape), np.float32)
    for c, value in enumerate(values):
        cut = value[part]
        np.multiply(cut, np.float32(units[c]), out=field[c, : cut.shape[0], : cut.shape[1]])
    return field


def _alpha_tiles(alpha: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tiles, left = _tiled(alpha), _tiled(rest)
    kinds = np.zeros(tiles.shape[:2], np.int32)
    equal = (tiles == np.maximum(left, 0)).all((2, 3))
    full, empty = (tiles == 1 << ALPHA_BITS).all((2, 3)), (tiles == 0).all((2, 3))
    stored = ~(equal | full | empty)
    kinds[equal] = REST
    kinds[full] = FULL
    kinds[empty] = EMPTY
    kinds[stored] = np.arange(stored.sum())
    return kinds, tiles[stored].astype(np.uint16)


def _lattice(values: np.ndarray, shown: np.ndarray, off: np.ndarray) -> Lattice:
    """A field [C, h, w], in the unit of its whole numbers, that counts where it is `shown`."""
    planes = _Planes(values, shown)
    tiles = max(_tiled(shown).any((2, 3)).sum(), 1)
    tried = [_tried(values, shown, off, 8, planes)]
    if len(tried[0].corrections) >= MANY * tiles:
        tried.append(_tried(values, shown, off, 4, planes))
    # about what they take: a node 10 bits, a pixel that is corrected 3
    return min(tried, key=lambda one: 10 * one.nodes.size + 3 * one.corrections.size)


def _tried(
    values: np.ndarray, shown: np.ndarray, off: np.ndarray, step: int, planes: "_Planes"
) -> Lattice:
    channels, height, width = values.shape
    nodes = np.empty((channels, height // step + 3, width // step + 3), np.float32)
    ys, xs = (step * (np.arange(count) - 1) for count in nodes.shape[1:])
    planes.fill(ys, xs, nodes)
    inside = slice(1, height // step + 1), slice(1, width // step + 1)
    there = shown[::step, ::step]
    for c in range(channels):
        np.copyto(nodes[c][inside], values[c, ::step, ::step], where=there)
    whole = np.rint(nodes * np.float32(1 << FINER)).clip(-MOST_NODE, MOST_NODE).astype(np.int32)
    none = np.zeros((0, channels, SIDE, SIDE), np.int32)
    plain = Lattice(step, whole, np.full((height // SIDE, width // SIDE), -1, np.int32), none)
    fine = upsampled(plain)
    failed = np.zeros(plain.corrected.shape, bool)
    _judge(fine, values, shown, off, failed)
    corrected = np.full(failed.shape, -1, np.int32)
    corrected[failed] = np.arange(failed.sum(), dtype=np.int32)
    corrections = np.zeros((int(failed.sum()), channels, SIDE, SIDE), np.int32)
    _correct(fine, values, shown, corrected, corrections)
    return Lattice(step, whole, corrected, corrections)


@njit(cache=True, nogil=True)
def _judge(fine, values, shown, off, failed):
    """Mark tiles in which a shown pixel is farther off than `off`."""
    unit = np.float32(1.0 / (1 << FINER))
    for c in range(values.shape[0]):
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                if shown[y, x] and abs(np.float32(fine[c, y, x]) * unit - values[c, y, x]) > off[c]:
                    failed[y // SIDE, x // SIDE] = True


@njit(cache=True, nogil=True)
def _correct(fine, values, shown, corrected, corrections):
    for y in range(values.shape[1]):
        for x in range(values.shape[2]):
            number = corrected[y // SIDE, x // SIDE]
            if number < 0 or not shown[y, x]:
                continue
            for c in range(values.shape[0]):
                made = (fine[c, y, x] + (1 << (FINER - 1))) >> FINER
                wanted = np.int32(np.rint(values[c, y, x]))
                corrections[number, c, y % SIDE, x % SIDE] = wanted - made


@dataclass
class _Planes:
    """Planes fitted to a field in the surroundings of tiles: what goes on where it is not known."""

    values: np.ndarray  # float32 [C, h, w]
    shown: np.ndarray  # bool [h, w]

    def __post_init__(self) -> None:
        height, width = self.shown.shape
        self._size = float(max(height, width, 1))
        sums = np.zeros((6 + 3 * len(self.values), height // SIDE, width // SIDE))
        _add_moments(self.values, self.shown, 1 / self._size, sums)
        self._sums = list(sums)

    def fill(self, ys: np.ndarray, xs: np.ndarray, nodes: np.ndarray) -> None:
        """The planes' values at rows `ys` and columns `xs`, into nodes [C, len(ys), len(xs)]."""
        rows, columns = self._sums[0].shape
        if not rows:
            nodes[:] = 0
            return
        at_y, at_x = (ys // SIDE).clip(0, rows - 1), (xs // SIDE).clip(0, columns - 1)
        whole = self._solved([part.sum() * np.ones((1, 1)) for part in self._sums])
        coefficients = np.broadcast_to(whole, (rows, columns, 3, whole.shape[-1])).copy()
        for window in _WINDOWS[::-1]:
            kernel = (window, window)
            sums = [
                cv2.boxFilter(part, -1, kernel, normalize=False, borderType=cv2.BORDER_CONSTANT)
                for part in self._sums
            ]
            enough = sums[0] > _FEW * window
            if enough.any():
                coefficients[enough] = self._solved([part[enough][None] for part in sums])[0]
        own = coefficients[at_y][:, at_x]
        for c in range(len(nodes)):
            nodes[c] = own[..., 0, c] + own[..., 1, c] * (xs / self._size)[None]
            nodes[c] += own[..., 2, c] * (ys / self._size)[:, None]

    def _solved(self, sums: list[np.ndarray]) -> np.ndarray:
        """Constant, slope in x and in y, [..., 3, C]."""
        w, x, y, xx, xy, yy, *of_values = sums
        w = np.maximum(w, 1e-9)
        mx, my = x / w, y / w
        cxx, cxy, cyy = xx / w - mx * mx, xy / w - mx * my, yy / w - my * my
        small = 1e-9 + 1e-4 * (cxx + cyy)
        cxx, cyy = cxx + small, cyy + small
        determinant = cxx * cyy - cxy * cxy
        result = []
        for c in range(0, len(of_values), 3):
            m, mxv, myv = (part / w for part in of_values[c : c + 3])
            a, b = mxv - mx * m, myv - my * m
            slope_x, slope_y = (cyy * a - cxy * b) / determinant, (cxx * b - cxy * a) / determinant
            result.append(np.stack([m - slope_x * mx - slope_y * my, slope_x, slope_y], -1))
        return np.stack(result, -1)


@njit(cache=True, nogil=True)
def _add_moments(values, shown, scale, sums):
    """Of each tile's shown pixels: 1, x, y, xx, xy, yy, then of each value v: v, xv, yv.

    Of every second one along lines and columns, which is enough for a plane.
    """
    for py in range(0, shown.shape[0], 2):
        for px in range(0, shown.shape[1], 2):
            if not shown[py, px]:
                continue
            row, column, x, y = py // SIDE, px // SIDE, px * scale, py * scale
            sums[0, row, column] += 1
            sums[1, row, column] += x
            sums[2, row, column] += y
            sums[3, row, column] += x * x
            sums[4, row, column] += x * y
            sums[5, row, column] += y * y
            for c in range(values.shape[0]):
                value = values[c, py, px]
                sums[6 + 3 * c, row, column] += value
                sums[7 + 3 * c, row, column] += x * value
                sums[8 + 3 * c, row, column] += y * value
