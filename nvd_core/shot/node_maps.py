"""The maps of a frame in compact form: nodes of a lattice, and what they miss of single tiles.

A layer's place (u, v) and light are smooth but at kinks and edges. They are kept at every 4th or
8th pixel and interpolated between by Catmull-Rom's cubic. Tiles of 8 x 8 pixels in which that is
off by more than a tolerance keep a correction for every pixel. All of it is whole numbers, so that
every reader gets the same bits. node_fit.py makes such frames of full maps, node_decode.py turns
them back quickly, and `full_maps` here does so plainly. map_chunks.py keeps them in files.
"""

import math
from dataclasses import dataclass

import numpy as np

SIDE = 8
"""pixels along a tile"""
STEPS = (2, 4, 8)
"""pixels between nodes; each divides SIDE"""
FINER = 2
"""binary digits that nodes have more than the values made of them"""
ALPHA_BITS, LIGHT_BITS = 12, 10
"""binary digits behind the point of alpha and of light"""
MOST_ERROR = 0.02
"""texels by which a place is rounded at the most"""
MOST_NODE = 5 << 18
"""so large a node may be: interpolation stays within 32 bits"""
MOST_LIGHT = 65504
"""the largest half; EXR holds no more"""
EMPTY, FULL, REST = -1, -2, -3
"""alpha of a whole tile: 0, 1, or what the layers in front leave of 1"""
WEIGHT_BITS = 10


@dataclass(frozen=True)
class Lattice:
    """One field of C channels over a layer's box of tiles [h, w]."""

    step: int
    nodes: np.ndarray  # int32 [C, h * SIDE / step + 3, w * SIDE / step + 3], one before the box on
    corrected: np.ndarray  # int32 [h, w]: the tile's number in `corrections`, -1: it has none
    corrections: np.ndarray  # int32 [n, C, SIDE, SIDE], added to what is interpolated


@dataclass(frozen=True)
class NodeLayer:
    """One layer of a frame. Beyond its box it does not show."""

    bits: tuple[int, int]
    """binary digits behind the point of u and v"""
    box: tuple[int, int, int, int]
    """left, top, right and bottom of its tiles, the last two excluded; nothing shows: 0, 0, 0, 0"""
    alpha: np.ndarray  # int32 [h, w]: EMPTY, FULL, REST or the tile's number in `alphas`
    alphas: np.ndarray  # uint16 [n, SIDE, SIDE], units of 2 ** -ALPHA_BITS
    place: Lattice
    light: Lattice

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of its box."""
        left, top, right, bottom = self.box
        return bottom - top, right - left


@dataclass(frozen=True)
class NodeFrame:
    """All layers of one frame, front to back."""

    height: int
    width: int
    layers: tuple[NodeLayer, ...]
    added: np.ndarray | None = None  # float16 [H, W, 3], as maps.FrameMaps has it


def place_bits(texels: int) -> int:
    """How many binary digits a place within a texture of this size needs."""
    return math.ceil(math.log2(max(texels, 1) / (2 * MOST_ERROR)))


def tiles_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the tiles of a frame."""
    return -(-height // SIDE), -(-width // SIDE)


def weights_of(step: int) -> np.ndarray:
    """Catmull-Rom's weights of the four nodes around each pixel of a cell, int32 [step, 4].

    In units of 2 ** -WEIGHT_BITS, which they are whole numbers of for all STEPS.
    """
    t = np.arange(step) / step
    before, left = -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3
    right, after = t + 4 * t**2 - 3 * t**3, -(t**2) + t**3
    return np.rint(np.stack([before, left, right, after], 1) * 2 ** (WEIGHT_BITS - 1)).astype(
        np.int32
    )


def interpolated(nodes: np.ndarray, step: int) -> np.ndarray:
    """The field [C, h, w] at every pixel of the box, in the nodes' unit; along lines first."""
    return _along(_along(nodes.astype(np.int64), step, 2), step, 1)


def _along(nodes: np.ndarray, step: int, axis: int) -> np.ndarray:
    weights, cells = weights_of(step), nodes.shape[axis] - 3
    shape = list(nodes.shape)
    shape[axis] = cells * step
    result = np.empty(shape, np.int64)
    for phase in range(step):
        four = [np.take(nodes, np.arange(k, k + cells), axis) for k in range(4)]
        summed = sum(int(w) * part for w, part in zip(weights[phase], four, strict=True))
        part = [slice(None)] * 3
        part[axis] = slice(phase, None, step)
        result[tuple(part)] = (summed + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS
    return result


def rounded(fine: np.ndarray) -> np.ndarray:
    """Interpolated values in the unit of what is made of them."""
    return (fine + (1 << (FINER - 1))) >> FINER


def full_maps(frame: NodeFrame) -> tuple[np.ndarray, np.ndarray]:
    """(u, v, alpha) and light at every pixel, both float64 [L, H, W, 3].

    The plain twin of node_decode.decode.
    """
    rows, columns = tiles_of(frame.height, frame.width)
    padded = rows * SIDE, columns * SIDE
    uva = np.zeros((len(frame.layers), *padded, 3))
    light = np.ones((len(frame.layers), *padded, 3))
    rest = np.full(padded, 1 << ALPHA_BITS)
    for n, layer in enumerate(frame.layers):
        left, top, right, bottom = (SIDE * edge for edge in layer.box)
        part = slice(top, bottom), slice(left, right)
        alpha = _alpha(layer, rest[part])
        shown = alpha > 0
        rest[part] -= alpha
        u, v = _field(layer.place)
        for c, (value, bits) in enumerate(zip((u, v), layer.bits, strict=True)):
            uva[n][part][shown, c] = (value.clip(0, 1 << bits) / 2**bits)[shown]
        uva[n][part][..., 2] = alpha / 2**ALPHA_BITS
        for c, value in enumerate(_field(layer.light)):
            light[n][part][shown, c] = (_as_half(value) / 2**LIGHT_BITS)[shown]
    inside = slice(frame.height), slice(frame.width)
    return uva[:, *inside], light[:, *inside]


def _alpha(layer: NodeLayer, rest: np.ndarray) -> np.ndarray:
    """Alpha of a layer's box; `rest` is what the layers in front leave there."""
    alpha = np.zeros(rest.shape, np.int64)
    for (y, x), kind in np.ndenumerate(layer.alpha):
        tile = slice(y * SIDE, (y + 1) * SIDE), slice(x * SIDE, (x + 1) * SIDE)
        if kind == FULL:
            alpha[tile] = 1 << ALPHA_BITS
        elif kind == REST:
            alpha[tile] = np.maximum(rest[tile], 0)
        elif kind != EMPTY:
            alpha[tile] = layer.alphas[kind]
    return alpha


def _field(lattice: Lattice) -> np.ndarray:
    """A field's whole numbers [C, h, w], corrected."""
    values = rounded(interpolated(lattice.nodes, lattice.step))
    for (y, x), number in np.ndenumerate(lattice.corrected):
        if number >= 0:
            tile = slice(y * SIDE, (y + 1) * SIDE), slice(x * SIDE, (x + 1) * SIDE)
            values[:, *tile] += lattice.corrections[number]
    return values


def _as_half(value: np.ndarray) -> np.ndarray:
    """Light in units of 2 ** -LIGHT_BITS as a half can hold it: 11 digits of what is above 2."""
    value = value.clip(0, MOST_LIGHT << LIGHT_BITS)
    drop = np.maximum(np.frexp(value.astype(np.float64))[1] - 11, 0)
    return (value + (1 << drop >> 1)) >> drop << drop
