"""A compact frame as bytes and back; docs/reference/decomposition-folder.md has the layout.

Whole numbers, as differences where they lie on a lattice, are split into planes of bytes and packed
with zlib. What is read is checked: its sizes follow from what was read before it.
"""

import struct
from dataclasses import dataclass

import numpy as np
from deflate import DeflateError, zlib_compress, zlib_decompress
from numba import njit

from nvd_core.runtime.documents import Unreadable
from nvd_core.shot.node_maps import (
    ALPHA_BITS,
    EMPTY,
    FULL,
    MOST_NODE,
    REST,
    SIDE,
    STEPS,
    Lattice,
    NodeFrame,
    NodeLayer,
    tiles_of,
)

MOST_BITS = 18
"""of a place: a texture of 8192 texels"""
MOST_CORRECTION = 1 << 27
_LAYER = struct.Struct("<4H4B")  # box, bits of u and v, steps of place and light
_STREAM = struct.Struct("<BI")  # bytes a value, bytes packed
_KINDS = (EMPTY, FULL, REST)
_STORED = 3
_LEVEL = 6  # of libdeflate, which takes a third of the time of zlib


def to_bytes(frame: NodeFrame) -> bytes:
    """`frame` as it stands in a file."""
    parts = []
    for layer in frame.layers:
        steps = layer.place.step, layer.light.step
        parts.append(_LAYER.pack(*layer.box, *layer.bits, *steps))
        kinds = np.full(layer.alpha.shape, _STORED)
        for number, kind in enumerate(_KINDS):
            kinds[layer.alpha == kind] = number
        parts += [_packed(kinds), _packed(layer.alphas)]
        for lattice in (layer.place, layer.light):
            parts.append(_packed(_zigzag(_differences(lattice.nodes))))
            parts.append(_packed(lattice.corrected >= 0))
            parts.append(_packed(_zigzag(lattice.corrections)))
    if frame.added is not None:
        parts.append(_packed(np.ascontiguousarray(frame.added).view(np.uint16)))
    return b"".join(parts)


def from_bytes(data: bytes, height: int, width: int, layers: int, added: bool) -> NodeFrame:
    """The frame in `data`; Unreadable, struct.error or ValueError where it is damaged."""
    source = _Source(memoryview(data))
    found = tuple(_layer(source, tiles_of(height, width)) for _ in range(layers))
    light = None
    if added:
        light = source.take((height, width, 3)).astype(np.uint16).view(np.float16)
        if not np.isfinite(light).all():
            raise Unreadable("NaN or infinity in it")
    if source.at != len(data):
        raise Unreadable(f"{len(data) - source.at} bytes behind its end")
    return NodeFrame(height, width, found, light)


@dataclass
class _Source:
    data: memoryview
    at: int = 0

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next stream, uint32 of this shape."""
        planes = self._planes(shape)
        out = np.empty(planes.shape[1], np.uint32)
        _joined(planes, out)
        return out.reshape(shape)

    def take_signed(self, shape: tuple[int, ...], most: int) -> np.ndarray:
        """The same of numbers up to `most` with their signs, int32."""
        planes = self._planes(shape)
        out = np.empty(planes.shape[1], np.int32)
        if _joined_signed(planes, out) > most:
            raise Unreadable("a number that is too large")
        return out.reshape(shape)

    def _planes(self, shape: tuple[int, ...]) -> np.ndarray:
        """The bytes of the next stream, the lowest of all numbers first, uint8 [bytes, n]."""
        count = int(np.prod(shape, dtype=object))
        wide, size = _STREAM.unpack_from(self.data, self.at)
        packed = self.data[self.at + _STREAM.size : self.at + _STREAM.size + size]
        if wide not in (1, 2, 4) or len(packed) != size:
            raise Unreadable("a part of it is cut off")
        if count * wide > 1100 * size + 64:  # more than zlib can pack into so little
            raise Unreadable("a part of it claims more than it can hold")
        self.at += _STREAM.size + size
        if not count:
            return np.zeros((wide, 0), np.uint8)
        try:
            raw = zlib_decompress(packed, count * wide)
        except DeflateError as error:
            raise Unreadable("a part of it cannot be unpacked") from error
        if len(raw) != count * wide:
            raise Unreadable("a part of it is too short")
        return np.frombuffer(raw, np.uint8).reshape(wide, count)


def _layer(source: _Source, tiles: tuple[int, int]) -> NodeLayer:
    *four, bits_u, bits_v, place, light = _LAYER.unpack_from(source.data, source.at)
    source.at += _LAYER.size
    left, top, right, bottom = four
    empty = (left, top, right, bottom) == (0, 0, 0, 0)
    if not empty and not (left < right <= tiles[1] and top < bottom <= tiles[0]):
        raise Unreadable(f"tiles {four} of {tiles[1]} x {tiles[0]}")
    if max(bits_u, bits_v) > MOST_BITS or place not in STEPS or light not in STEPS:
        raise Unreadable(f"{bits_u} and {bits_v} digits, steps of {place} and {light}")
    box = bottom - top, right - left
    kinds = source.take(box)
    if kinds.size and kinds.max() > _STORED:
        raise Unreadable("an unknown kind of tile")
    stored = kinds == _STORED
    alpha = np.array([*_KINDS, 0], np.int32)[kinds]
    alpha[stored] = np.arange(stored.sum(), dtype=np.int32)
    alphas = source.take((int(stored.sum()), SIDE, SIDE))
    if alphas.size and alphas.max() > 1 << ALPHA_BITS:
        raise Unreadable("an alpha above 1")
    places, lights = _lattice(source, box, place, 2), _lattice(source, box, light, 3)
    edges, alphas = (left, top, right, bottom), alphas.astype(np.uint16)
    return NodeLayer((bits_u, bits_v), edges, alpha, alphas, places, lights)


def _lattice(source: _Source, box: tuple[int, int], step: int, channels: int) -> Lattice:
    rows, columns = (side * SIDE // step + 3 for side in box)
    nodes = np.empty((channels, rows, columns), np.int32)
    _integrate(source.take(nodes.shape), nodes)
    _check_within(nodes, MOST_NODE)
    marked = source.take(box)
    if marked.size and marked.max() > 1:
        raise Unreadable("an unknown mark of a tile")
    marked = marked.astype(bool)
    corrected = np.full(box, -1, np.int32)
    corrected[marked] = np.arange(marked.sum(), dtype=np.int32)
    shape = int(marked.sum()), channels, SIDE, SIDE
    corrections = source.take_signed(shape, MOST_CORRECTION)
    return Lattice(step, nodes, corrected, corrections)


def _check_within(values: np.ndarray, most: int) -> None:
    if values.size and (values.max() > most or values.min() < -most):
        raise Unreadable("a number that is too large")


def _packed(values: np.ndarray) -> bytes:
    """Whole numbers from 0 on, by planes of bytes, the lowest first."""
    values = np.asarray(values).astype(np.uint32).reshape(-1)
    top = int(values.max()) if values.size else 0
    wide = 1 if top < 1 << 8 else 2 if top < 1 << 16 else 4
    planes = b"".join((values >> (8 * n)).astype(np.uint8).tobytes() for n in range(wide))
    packed = bytes(zlib_compress(planes, _LEVEL))
    return _STREAM.pack(wide, len(packed)) + packed


@njit(cache=True, nogil=True)
def _joined(planes, out):
    for n in range(len(out)):
        value = np.uint32(0)
        for k in range(planes.shape[0]):
            value |= np.uint32(planes[k, n]) << np.uint32(8 * k)
        out[n] = value


@njit(cache=True, nogil=True)
def _joined_signed(planes, out):
    """The inverse of `_zigzag` as well; returns the largest number without its sign."""
    most = np.uint32(0)
    for n in range(len(out)):
        code = np.uint32(planes[0, n])
        for k in range(1, planes.shape[0]):
            code |= np.uint32(planes[k, n]) << np.uint32(8 * k)
        most = max(most, code)
        out[n] = np.int32(code >> np.uint32(1)) ^ -np.int32(code & np.uint32(1))
    return (np.int64(most) + 1) >> 1


def _zigzag(values: np.ndarray) -> np.ndarray:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    values = values.astype(np.int32)
    return ((values << 1) ^ (values >> 31)).view(np.uint32)


def _differences(nodes: np.ndarray) -> np.ndarray:
    """Each node [C, h, w] less what the three above and left of it say, as planes go on."""
    padded = np.pad(nodes, ((0, 0), (1, 0), (1, 0)))
    return np.diff(np.diff(padded, axis=1), axis=2)


@njit(cache=True, nogil=True)
def _integrate(differences, nodes):
    for c in range(nodes.shape[0]):
        for y in range(nodes.shape[1]):
            line = np.int32(0)
            for x in range(nodes.shape[2]):
                code = differences[c, y, x]
                line += np.int32(code >> np.uint32(1)) ^ -np.int32(code & np.uint32(1))
                nodes[c, y, x] = line if y == 0 else line + nodes[c, y - 1, x]
