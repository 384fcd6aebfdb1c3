"""Compact maps turned back into full ones, in Numba; node_maps.full_maps is the plain twin."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from nvd_core.runtime.malloc import KeptArrays
from nvd_core.shot.node_maps import (
    ALPHA_BITS,
    FINER,
    FULL,
    LIGHT_BITS,
    MOST_LIGHT,
    REST,
    SIDE,
    WEIGHT_BITS,
    Lattice,
    NodeFrame,
    tiles_of,
    weights_of,
)

# columns of PackedNodes.table: of a layer, then of its place, then of its light
_LEFT, _TOP, _RIGHT, _BOTTOM, _BITS_U, _BITS_V, _TILES, _ALPHAS, _PLACE, _LIGHT = (*range(9), 13)
_STEP, _NODES, _COLUMNS, _CORRECTIONS = range(4)
COLUMNS = 17
_HALF_WEIGHT = 1 << (WEIGHT_BITS - 1)
_ONE = 1 << ALPHA_BITS
_MOST_LIGHT = MOST_LIGHT << LIGHT_BITS


@dataclass(frozen=True)
class PackedNodes:
    """A NodeFrame in arrays that compiled code takes."""

    height: int
    width: int
    table: np.ndarray  # int64 [L, COLUMNS]
    tiles: np.ndarray  # int32 [all boxes' tiles, 3]: alpha, correction of place and of light
    alphas: np.ndarray  # uint16 [n, SIDE, SIDE]
    nodes: np.ndarray  # int32 [n]
    corrections: np.ndarray  # int32 [n]
    added: np.ndarray | None

    @property
    def added_light(self) -> np.ndarray | None:
        """float32 [H, W, 3], as maps.FrameMaps has it."""
        return None if self.added is None else self.added.astype(np.float32)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What compiled functions are given."""
        return self.table, self.tiles, self.alphas, self.nodes, self.corrections


def pack(frame: NodeFrame) -> PackedNodes:
    """`frame` for `decode` and for kernels."""
    table = np.zeros((len(frame.layers), COLUMNS), np.int64)
    tiles, alphas, nodes, corrections = [], [], [], []
    counts = [0, 0, 0, 0]
    for n, layer in enumerate(frame.layers):
        table[n, :_PLACE] = (*layer.box, *layer.bits, counts[0], counts[1])
        fields: tuple[tuple[int, Lattice], ...] = (_PLACE, layer.place), (_LIGHT, layer.light)
        for column, field in fields:
            table[n, column : column + 4] = (
                field.step,
                counts[2],
                field.nodes.shape[2],
                counts[3],
            )
            nodes.append(field.nodes.reshape(-1))
            corrections.append(field.corrections.reshape(-1))
            counts[2] += nodes[-1].size
            counts[3] += corrections[-1].size
        three = layer.alpha, layer.place.corrected, layer.light.corrected
        tiles.append(np.stack(three, -1).reshape(-1, 3))
        alphas.append(layer.alphas)
        counts[0] += len(tiles[-1])
        counts[1] += len(alphas[-1])
    return PackedNodes(
        frame.height,
        frame.width,
        table,
        np.concatenate(tiles).astype(np.int32),
        np.concatenate(alphas),
        np.concatenate(nodes),
        np.concatenate(corrections),
        frame.added,
    )


WEIGHTS = np.zeros((SIDE + 1, SIDE, 4), np.int32)
"""by the step: the weights of the four nodes around each pixel of a cell"""
for _step in (2, 4, 8):
    WEIGHTS[_step, :_step] = weights_of(_step)


def decode(
    packed: PackedNodes,
    wanted: list[int],
    lit: np.ndarray | None = None,
    kept: KeptArrays | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(u, v, alpha) and light of the layers numbered `wanted`, both float32 [L, H, W, 3].

    lit: bool [lines of tiles], in which the light is wanted, None: all; in others it is anything.
    kept: where the arrays are taken from.
    """
    shape, kept = (len(wanted), packed.height, packed.width, 3), kept or KeptArrays()
    uva = kept.empty(shape)
    light = kept.empty(shape)
    if lit is None:
        lit = np.ones(tiles_of(packed.height, packed.width)[0], bool)
    table, tiles, alphas, nodes, corrections = packed.arrays
    own = np.array(wanted, np.int64)
    _decode(table, tiles, alphas, nodes, corrections, WEIGHTS, own, lit, uva, light)
    return uva, light


def upsampled(lattice: Lattice) -> np.ndarray:
    """A field without its corrections at every pixel of its box, int32 [C, h, w], as nodes have it.

    The same as node_maps.interpolated.
    """
    channels, rows, columns = lattice.nodes.shape
    height, width = (rows - 3) * lattice.step, (columns - 3) * lattice.step
    out = np.empty((channels, height, width), np.int32)
    row = np.array([lattice.step, 0, columns, 0], np.int64)
    _upsample(lattice.nodes.reshape(-1), row, rows, WEIGHTS, out)
    return out


@njit(cache=True, nogil=True)
def _upsample(nodes, field, rows, weights, out):
    for top in range(0, out.shape[1], SIDE):
        for c in range(out.shape[0]):
            own = nodes[c * rows * field[_COLUMNS] :]
            field_band(own, field, top, weights, 0, out.shape[2], out[c, top : top + SIDE])


@njit(cache=True, nogil=True)
def _decode(table, tiles, alphas, nodes, corrections, weights, wanted, lit, uva, light):
    height, width = uva.shape[1], uva.shape[2]
    alpha = np.empty((table.shape[0], SIDE, -(-width // SIDE) * SIDE), np.int32)
    room = np.empty((3, alpha.shape[1], alpha.shape[2]), np.int32)
    for top in range(0, height, SIDE):
        lines = min(SIDE, height - top)
        alpha_band(table, tiles, alphas, top, alpha)
        for k in range(len(wanted)):
            row, own = table[wanted[k]], alpha[wanted[k]]
            place = uva[k, top : top + lines]
            place_band(row, own, top, tiles, nodes, corrections, weights, room, place)
            if lit[top // SIDE]:
                out = light[k, top : top + lines]
                light_band(row, own, top, tiles, nodes, corrections, weights, room, out)


@njit(cache=True)
def columns_of(row, top, width):
    """The first pixel of a layer's box in the lines from `top` on, and the one after its last."""
    if top // SIDE < row[_TOP] or top // SIDE >= row[_BOTTOM]:
        return 0, 0
    return row[_LEFT] * SIDE, min(row[_RIGHT] * SIDE, width)


@njit(cache=True)
def place_band(row, own, top, tiles, nodes, corrections, weights, room, out):
    """u, v and alpha of a layer in lines from `top` on, float32 [lines, W, 3]; `own`: its alpha."""
    first, last = columns_of(row, top, out.shape[1])
    out[:, :first] = 0
    out[:, max(last, first) :] = 0
    if first >= last:
        return
    for c in range(2):
        _field_band(row, _PLACE, c, 2, top, tiles, nodes, corrections, weights, room[c])
    most_u, most_v = np.int32(1 << row[_BITS_U]), np.int32(1 << row[_BITS_V])
    unit_u, unit_v = np.float32(1.0 / most_u), np.float32(1.0 / most_v)
    for y in range(out.shape[0]):
        us, vs, shown, line = room[0, y], room[1, y], own[y, first:last], out[y, first:last]
        for x in range(last - first):
            alpha = shown[x]
            u = min(max(us[x], np.int32(0)), most_u) if alpha > 0 else np.int32(0)
            v = min(max(vs[x], np.int32(0)), most_v) if alpha > 0 else np.int32(0)
            line[x, 0], line[x, 1] = np.float32(u) * unit_u, np.float32(v) * unit_v
            line[x, 2] = np.float32(alpha) * np.float32(1.0 / _ONE)


@njit(cache=True)
def light_band(row, own, top, tiles, nodes, corrections, weights, room, out):
    """Light of a layer in lines from `top` on, float32 [lines, W, 3]."""
    first, last = columns_of(row, top, out.shape[1])
    out[:, :first] = 1
    out[:, max(last, first) :] = 1
    if first >= last:
        return
    for c in range(3):
        _field_band(row, _LIGHT, c, 3, top, tiles, nodes, corrections, weights, room[c])
        for y in range(out.shape[0]):
            _round_light(room[c, y, : last - first])
    unit, one = np.float32(1.0 / (1 << LIGHT_BITS)), np.int32(1 << LIGHT_BITS)
    for y in range(out.shape[0]):
        shown, line = own[y, first:last], out[y, first:last]
        red, green, blue = room[0, y], room[1, y], room[2, y]
        for x in range(last - first):
            lit = shown[x] > 0
            line[x, 0] = np.float32(red[x] if lit else one) * unit
            line[x, 1] = np.float32(green[x] if lit else one) * unit
            line[x, 2] = np.float32(blue[x] if lit else one) * unit


@njit(cache=True)
def _round_light(line):
    """Whole numbers as a half can hold them."""
    highest = np.int32(0)
    for x in range(line.shape[0]):
        line[x] = max(line[x], np.int32(0))
        highest = max(highest, line[x])
    if highest >= 1 << 11:
        for x in range(line.shape[0]):
            line[x] = _as_half(line[x])


@njit(cache=True)
def _as_half(value):
    """Whole numbers of light as a half can hold them: 11 digits."""
    value = min(max(value, 0), _MOST_LIGHT)
    drop = 0
    while value >> drop >= 1 << 11:
        drop += 1
    return (value + (1 << drop >> 1)) >> drop << drop


@njit(cache=True)
def alpha_band(table, tiles, alphas, top, alpha):
    """Alpha of all layers in the lines of tiles from `top` on, int32 [L, SIDE, W]."""
    line = top // SIDE
    alpha[:] = 0
    for n in range(table.shape[0]):
        row = table[n]
        if line < row[_TOP] or line >= row[_BOTTOM]:
            continue
        own = alpha[n]
        first = row[_TILES] + (line - row[_TOP]) * (row[_RIGHT] - row[_LEFT])
        for tile in range(row[_RIGHT] - row[_LEFT]):
            kind = tiles[first + tile, 0]
            left = (row[_LEFT] + tile) * SIDE
            if kind >= 0:
                stored = alphas[row[_ALPHAS] + kind]
                for y in range(SIDE):
                    for x in range(SIDE):
                        own[y, left + x] = np.int32(stored[y, x])
            elif kind == FULL:
                own[:, left : left + SIDE] = _ONE
            elif kind == REST:
                for y in range(SIDE):
                    for x in range(left, left + SIDE):
                        rest = _ONE
                        for m in range(n):
                            rest -= alpha[m, y, x]
                        own[y, x] = max(rest, 0)


@njit(cache=True)
def _field_band(row, column, c, channels, top, tiles, nodes, corrections, weights, out):
    """Channel `c` of a layer's place or light in SIDE lines from `top` on: whole numbers.

    They lie in `out` [SIDE, W] from the first column on, where the layer's box begins.
    """
    last = row[_RIGHT] - row[_LEFT]
    field_run(row, column, c, channels, top, 0, last, tiles, nodes, corrections, weights, out)


@njit(cache=True)
def field_run(row, column, c, channels, top, begin, end, tiles, nodes, corrections, weights, out):
    """The same of the tiles from `begin` on up to `end`, counted from the box's first column.

    They lie in `out` from its first column on.
    """
    across = row[_RIGHT] - row[_LEFT]
    field = row[column : column + 4]
    rows = (row[_BOTTOM] - row[_TOP]) * SIDE // field[_STEP] + 3
    own = nodes[field[_NODES] + c * rows * field[_COLUMNS] + begin * (SIDE // field[_STEP]) :]
    field_band(own, field, top - row[_TOP] * SIDE, weights, FINER, (end - begin) * SIDE, out)
    which = 1 if column == _PLACE else 2
    first = row[_TILES] + (top // SIDE - row[_TOP]) * across
    for tile in range(begin, end):
        number = tiles[first + tile, which]
        if number >= 0:
            at = field[_CORRECTIONS] + (number * channels + c) * SIDE * SIDE
            left = (tile - begin) * SIDE
            for y in range(SIDE):
                line = out[y]
                for x in range(SIDE):
                    line[left + x] += corrections[at + y * SIDE + x]


@njit(cache=True)
def field_band(nodes, field, top, weights, drop, width, out):
    """Interpolate one channel of a box, the lines from `top` on, into `out`, int32 [SIDE, W].

    As many binary digits as `drop` says are rounded off. Only contiguous lines are touched, which
    is what makes this fast.
    """
    step, columns = field[_STEP], field[_COLUMNS]
    wide = np.empty((SIDE // step + 3, width), np.int32)
    for k in range(wide.shape[0]):
        begin = (top // step + k) * columns
        _wider(nodes[begin : begin + columns], step, weights[step], wide[k])
    half, shift = np.int32(1 << drop >> 1), np.int32(drop)
    for y in range(SIDE):
        cell, phase = y // step, y % step
        a, b = weights[step, phase, 0], weights[step, phase, 1]
        c, d = weights[step, phase, 2], weights[step, phase, 3]
        first, second, third, fourth = wide[cell], wide[cell + 1], wide[cell + 2], wide[cell + 3]
        line = out[y]
        for x in range(width):
            value = np.int32(a * first[x] + b * second[x] + c * third[x] + d * fourth[x])
            fine = np.int32((value + np.int32(_HALF_WEIGHT)) >> np.int32(WEIGHT_BITS))
            line[x] = (fine + half) >> shift


@njit(cache=True)
def _wider(nodes, step, weights, out):
    """A line of nodes at every pixel: first phase by phase, which is far faster than in order."""
    cells = out.shape[0] // step
    phases = np.empty((SIDE, cells), np.int32)
    for phase in range(step):
        a, b = weights[phase, 0], weights[phase, 1]
        c, d = weights[phase, 2], weights[phase, 3]
        line = phases[phase]
        for k in range(cells):
            value = np.int32(a * nodes[k] + b * nodes[k + 1] + c * nodes[k + 2] + d * nodes[k + 3])
            line[k] = (value + np.int32(_HALF_WEIGHT)) >> np.int32(WEIGHT_BITS)
    if step == SIDE:  # a loop whose length is known
        for k in range(cells):
            for phase in range(SIDE):
                out[k * SIDE + phase] = phases[phase, k]
    else:
        for k in range(cells):
            for phase in range(step):
                out[k * step + phase] = phases[phase, k]
