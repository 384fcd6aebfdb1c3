"""Compact maps of a layer, taken apart and evaluated in numpy; no bpy, for threads.

    nodes = read_layer(path, t, layer, size)   # small: what a graphics card is given
    full_maps(nodes)                           # the maps at every pixel, bit for bit the EXR's

The same arithmetic as the engine's nvd_core/shot/node_decode.py, in whole numbers that doubles hold
exactly. paint/node_shader.py evaluates them on the graphics card.
"""

import struct
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from .map_file import as_maps_errors, read_block

SIDE = 8
"""pixels along a tile"""
STEPS = (2, 4, 8)
"""pixels between nodes"""
EMPTY, FULL = -1, -2
"""alpha of a whole tile: 0 or 1"""
ALPHA_BITS, LIGHT_BITS, WEIGHT_BITS, FINER = 12, 10, 10, 2
"""binary digits: of alpha, of light, of the weights, and of nodes more than of values"""
MOST_LIGHT = 65504 << LIGHT_BITS
_REST, _STORED = 2, 3  # kinds in a file, beside 0, empty, and 1, full
_MOST_BITS = 18
_MOST_NODE = 5 << 18
_MOST_CORRECTION = 1 << 27
_LAYER = struct.Struct("<4H4B")  # box, bits of u and v, steps of place and light
_STREAM = struct.Struct("<BI")  # bytes a value, bytes packed
_STREAMS = 8  # of a layer


@dataclass(frozen=True)
class Lattice:
    """A field of C channels over a layer's box of tiles [h, w]."""

    step: int
    nodes: np.ndarray  # int32 [C, h * SIDE / step + 3, w * SIDE / step + 3]
    corrected: np.ndarray  # int32 [h, w]: the tile's number in `corrections`, -1: it has none
    corrections: np.ndarray  # int32 [n, C, SIDE, SIDE]

    @property
    def nbytes(self) -> int:
        return self.nodes.nbytes + self.corrected.nbytes + self.corrections.nbytes


@dataclass(frozen=True)
class LayerNodes:
    """A layer of a frame. Beyond its box it does not show."""

    size: tuple[int, int]
    """width and height of the frame"""
    bits: tuple[int, int]
    """binary digits behind the point of u and v"""
    box: tuple[int, int, int, int]
    """left, top, right and bottom of its tiles, the last two excluded"""
    alpha: np.ndarray  # int32 [h, w]: EMPTY, FULL or the tile's number in `alphas`
    alphas: np.ndarray  # int32 [n, SIDE, SIDE], in 2 ** -ALPHA_BITS
    place: Lattice
    light: Lattice

    @property
    def nbytes(self) -> int:
        """Bytes kept."""
        own = self.alpha.nbytes + self.alphas.nbytes
        return own + self.place.nbytes + self.light.nbytes


def read_layer(path: Path, t: int, name: str, size: tuple[int, int]) -> LayerNodes:
    """The layer `name` of frame `t` in `path`, whose clip is of `size`, (width, height).

    MapsError where it is not there, or damaged.
    """
    block = read_block(path, t, size)
    with as_maps_errors(path):
        if name not in block.layers:
            raise ValueError(f"no layer {name}")
        source, tiles = _Source(block.data), tuple(-(-side // SIDE) for side in size)
        rest: dict[tuple[int, int], np.ndarray] = {}
        for _front in block.layers[: block.layers.index(name)]:
            bits, box, _ = source.layer(tiles)
            kinds, alphas = source.alpha(box)
            source.skip(_STREAMS - 2)
            _leave(rest, box, kinds, alphas)
        bits, box, steps = source.layer(tiles)
        kinds, stored = source.alpha(box)
        alpha, alphas = _resolved(kinds, stored, box, rest)
        place, light = source.lattice(box, steps[0], 2), source.lattice(box, steps[1], 3)
        return LayerNodes(tuple(size), bits, box, alpha, alphas, place, light)


@dataclass
class _Source:
    """The streams of a block, one after the other."""

    data: bytes
    at: int = 0

    def layer(self, tiles: tuple[int, int]) -> tuple[tuple, tuple, tuple]:
        """Bits, box and steps of the layer that begins here."""
        *four, bits_u, bits_v, place, light = _LAYER.unpack_from(self.data, self.at)
        self.at += _LAYER.size
        left, top, right, bottom = four
        if any(four) and not (left < right <= tiles[0] and top < bottom <= tiles[1]):
            raise ValueError(f"tiles {four} of {tiles[0]} x {tiles[1]}")
        if max(bits_u, bits_v) > _MOST_BITS or place not in STEPS or light not in STEPS:
            raise ValueError(f"{bits_u} and {bits_v} digits, steps of {place} and {light}")
        return (bits_u, bits_v), tuple(four), (place, light)

    def alpha(self, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The tiles' kinds [h, w], and the stored ones [n, SIDE, SIDE]."""
        kinds = self.take(_tiles(box))
        if kinds.size and kinds.max() > _STORED:
            raise ValueError("an unknown kind of tile")
        alphas = self.take((int((kinds == _STORED).sum()), SIDE, SIDE))
        if alphas.size and alphas.max() > 1 << ALPHA_BITS:
            raise ValueError("an alpha above 1")
        return kinds, alphas.astype(np.int32)

    def lattice(self, box: tuple[int, int, int, int], step: int, channels: int) -> Lattice:
        rows, columns = (side * SIDE // step + 3 for side in _tiles(box))
        steps = _signed(self.take((channels, rows, columns)))
        nodes = np.cumsum(np.cumsum(steps, 2, np.int32), 1, np.int32)
        _check_within(nodes, _MOST_NODE)
        marked = self.take(_tiles(box))
        if marked.size and marked.max() > 1:
            raise ValueError("an unknown mark of a tile")
        numbers = np.cumsum(marked.reshape(-1), dtype=np.int32).reshape(marked.shape) - 1
        corrections = _signed(self.take((int(marked.sum()), channels, SIDE, SIDE)))
        _check_within(corrections, _MOST_CORRECTION)
        return Lattice(step, nodes, np.where(marked, numbers, -1).astype(np.int32), corrections)

    def skip(self, streams: int) -> None:
        for _ in range(streams):
            self.at += _STREAM.size + self._sizes()[1]

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next stream, uint32 of this shape."""
        count = int(np.prod(shape, dtype=object))
        wide, size = self._sizes()
        if count * wide > 1100 * size + 64:  # more than zlib can pack into so little
            raise ValueError("a part of it claims more than it can hold")
        packed = self.data[self.at + _STREAM.size : self.at + _STREAM.size + size]
        self.at += _STREAM.size + size
        if not count:
            return np.zeros(shape, np.uint32)
        raw = zlib.decompressobj().decompress(packed, count * wide + 1)
        if len(raw) != count * wide:
            raise ValueError("a part of it holds more or less than it should")
        planes = np.frombuffer(raw, np.uint8).reshape(wide, count)
        values = np.ascontiguousarray(planes.T).view(f"<u{wide}")
        return values.reshape(shape).astype(np.uint32)

    def _sizes(self) -> tuple[int, int]:
        wide, size = _STREAM.unpack_from(self.data, self.at)
        if wide not in (1, 2, 4) or self.at + _STREAM.size + size > len(self.data):
            raise ValueError("a part of it is cut off")
        return wide, size


def _tiles(box: tuple[int, int, int, int]) -> tuple[int, int]:
    """Rows and columns."""
    return box[3] - box[1], box[2] - box[0]


def _signed(values: np.ndarray) -> np.ndarray:
    return (values >> 1).astype(np.int32) ^ -(values & 1).astype(np.int32)


def _check_within(values: np.ndarray, most: int) -> None:
    if values.size and (values.max() > most or values.min() < -most):
        raise ValueError("a number that is too large")


def _leave(rest: dict, box: tuple, kinds: np.ndarray, alphas: np.ndarray) -> None:
    """Take from `rest`, by (row, column) of a tile, what a layer in front covers.

    A tile of kind rest takes all that is left, so the layers in front of it are known by then.
    """
    number = 0
    for y, x in np.argwhere(kinds):
        kind, at = kinds[y, x], (int(y) + box[1], int(x) + box[0])
        left = rest.get(at, 1 << ALPHA_BITS)
        if kind == _STORED:
            rest[at] = left - alphas[number]
            number += 1
        elif kind == _REST:
            rest[at] = left - np.maximum(left, 0)
        else:
            rest[at] = left - (1 << ALPHA_BITS)


def _resolved(
    kinds: np.ndarray, stored: np.ndarray, box: tuple, rest: dict
) -> tuple[np.ndarray, np.ndarray]:
    """A layer's alpha without tiles of kind rest: what is left there is stored as well."""
    alpha = np.array([EMPTY, FULL, FULL, 0], np.int32)[kinds]
    alpha[kinds == _STORED] = np.arange(len(stored))
    more = []
    for y, x in np.argwhere(kinds == _REST):
        left = rest.get((int(y) + box[1], int(x) + box[0]), 1 << ALPHA_BITS)
        left = np.maximum(left, 0)
        if np.ndim(left):
            alpha[y, x] = len(stored) + len(more)
            more.append(left)
        else:
            alpha[y, x] = FULL if left else EMPTY
    if not more:
        return alpha, stored
    return alpha, np.concatenate([stored, np.stack(more).astype(np.int32)])


def full_maps(layer: LayerNodes) -> np.ndarray:
    """u, v, alpha and light at every pixel, float32 [H, W, 6], top row first."""
    (width, height), (left, top, right, bottom) = layer.size, layer.box
    out = np.empty((-(-height // SIDE) * SIDE, -(-width // SIDE) * SIDE, 6), np.float32)
    out[..., :3], out[..., 3:] = 0, 1
    places, lights = _Rows(layer.place), _Rows(layer.light)
    units = np.float64([[[2.0**-bits]] for bits in layer.bits])
    most = np.float64([[[1 << bits]] for bits in layer.bits])
    for line in range(bottom - top):
        alpha = _alpha_band(layer, line)
        shown = alpha > 0
        band = out[(top + line) * SIDE : (top + line + 1) * SIDE, left * SIDE : right * SIDE]
        place = np.clip(places.band(line), 0, most) * units
        band[..., :2] = np.where(shown, place, 0).transpose(1, 2, 0)
        band[..., 2] = alpha * 2.0**-ALPHA_BITS
        light = np.where(shown, _as_half(lights.band(line)) * 2.0**-LIGHT_BITS, 1)
        band[..., 3:] = light.transpose(1, 2, 0)
    return np.ascontiguousarray(out[:height, :width])


def _alpha_band(layer: LayerNodes, line: int) -> np.ndarray:
    """Alpha of a row of tiles, whole numbers [SIDE, w]."""
    row = layer.alpha[line]
    band = np.zeros((SIDE, len(row), SIDE), np.int32)
    band[:, row == FULL] = 1 << ALPHA_BITS
    stored = row >= 0
    band[:, stored] = layer.alphas[row[stored]].transpose(1, 0, 2)
    return band.reshape(SIDE, -1)


class _Rows:
    """A field's values by rows of tiles."""

    def __init__(self, lattice: Lattice):
        self._lattice, self._weights = lattice, _weights(lattice.step)
        self._nodes = SIDE // lattice.step  # of a tile
        windows = np.lib.stride_tricks.sliding_window_view(lattice.nodes, self._nodes + 3, axis=2)
        wide = windows[:, :, :: self._nodes].astype(np.float64) @ self._weights.T
        self._wide = np.floor(wide.reshape(*wide.shape[:2], -1) + 0.5)

    def band(self, line: int) -> np.ndarray:
        """Whole numbers [C, SIDE, w], corrected."""
        first = line * self._nodes
        near = self._wide[:, first : first + self._nodes + 3]
        # rounded twice, once to the nodes' unit and once to the values': the same as once
        half = 0.5 * 2.0**-FINER + 0.5
        values = np.floor((self._weights * 2.0**-FINER) @ near + half)
        numbers = self._lattice.corrected[line]
        marked = np.flatnonzero(numbers >= 0)
        if len(marked):
            tiles = values.reshape(*values.shape[:2], -1, SIDE)
            added = self._lattice.corrections[numbers[marked]]
            tiles[:, :, marked] += added.transpose(1, 2, 0, 3)
        return values


@cache
def _weights(step: int) -> np.ndarray:
    """Catmull-Rom's weights of the nodes in and around a tile for its SIDE pixels [SIDE, n]."""
    weights = np.zeros((SIDE, SIDE // step + 3))
    for pixel in range(SIDE):
        cell, t = pixel // step, pixel % step / step
        weights[pixel, cell : cell + 4] = (
            -t + 2 * t**2 - t**3,
            2 - 5 * t**2 + 3 * t**3,
            t + 4 * t**2 - 3 * t**3,
            -(t**2) + t**3,
        )
    return weights / 2  # multiples of 2 ** -WEIGHT_BITS


def _as_half(values: np.ndarray) -> np.ndarray:
    """Light in 2 ** -LIGHT_BITS as a half can hold it: 11 digits of what is above 2."""
    values = np.clip(values, 0, MOST_LIGHT)
    strong = values >= 1 << 11
    if strong.any():
        large = values[strong]
        unit = 2.0 ** np.maximum(np.frexp(large)[1] - 11, 0)
        values[strong] = np.floor(large / unit + np.where(unit > 1, 0.5, 0)) * unit
    return values
