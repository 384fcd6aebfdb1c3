"""The compiled renderer of one frame on the CPU; kernel_torch.py is its plain twin.

Most pixels of most edits show nothing of the edit. They cost one look at alpha and, where the
layer shows, a comparison of their place with the box of the edit and with a map of its tiles.
Layers that are painted nearly everywhere are looked up everywhere, which vectorises better.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numba import njit, prange

from nvd_core.runtime.kernel_threads import parallel_njit
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.texel_lookup import texel_place

TILE = 3
"""log2 of the side of a tile of the map that says where an edit is"""
WHOLE = 0.5
"""share of painted texels from which on a layer is looked up everywhere"""

# columns of PackedTextures.table
_LAYER, _WIDTH, _HEIGHT, _X, _Y, _STRIDE, _TEXELS = range(7)
_X0, _X1, _Y0, _Y1, _TILES, _TILE_STRIDE, _WHOLE = range(7, 14)
COLUMNS = 14


@dataclass(frozen=True)
class PackedTextures:
    """The textures of several layers in one piece of memory, each cropped to what is not 0."""

    table: np.ndarray  # int64 [n, 14], see the columns above
    boxes: np.ndarray  # float32 [n, 4], lowest and highest u, lowest and highest v of a hit
    texels: np.ndarray  # float32 [all texels, 3]
    tiles: np.ndarray  # uint8 [all tiles]


@dataclass
class Kept:
    """What kernels of a rendering's frames keep for the next frame's."""

    packed: dict[int, tuple[np.ndarray, PackedTextures]] = field(default_factory=dict)
    """by layer: the texture, and what was made of it"""
    transfer: object = None
    """memory through which frames travel to a device"""


def pack_textures(
    textures: dict[int, np.ndarray], crop: bool, kept: Kept | None = None
) -> PackedTextures:
    """Pack textures [h, w, 3] by their layer's number; `crop` leaves out borders that are 0.

    A texture that is 0 everywhere is left out altogether if `crop`. One that is the very array
    that `kept` has is not packed again.
    """
    kept = kept or Kept()
    for layer, texture in textures.items():
        if layer not in kept.packed or kept.packed[layer][0] is not texture:
            kept.packed[layer] = texture, _pack({layer: texture}, crop)
    return _joined([kept.packed[layer][1] for layer in sorted(textures)])


def _joined(packed: list[PackedTextures]) -> PackedTextures:
    """Several packs as one."""
    if len(packed) == 1:
        return packed[0]
    if not packed:
        return _pack({}, True)
    tables, first_texel, first_tile = [], 0, 0
    for one in packed:
        table = one.table.copy()
        table[:, _TEXELS] += first_texel
        table[:, _TILES] += first_tile
        tables.append(table)
        first_texel += len(one.texels)
        first_tile += len(one.tiles)
    boxes, texels, tiles = (
        np.concatenate([getattr(one, name) for one in packed])
        for name in ("boxes", "texels", "tiles")
    )
    return PackedTextures(np.concatenate(tables), boxes, texels, tiles)


def _pack(textures: dict[int, np.ndarray], crop: bool) -> PackedTextures:
    rows, boxes = [], []
    texels, tiles = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.uint8)]
    first_texel = first_tile = 0
    for layer, texture in sorted(textures.items()):
        height, width = texture.shape[:2]
        used = (texture != 0).any(2) if crop else np.ones((height, width), bool)
        if not used.any():
            continue
        whole = used.mean() > WHOLE
        if whole:
            used = np.ones_like(used)
        columns, lines = np.flatnonzero(used.any(0)), np.flatnonzero(used.any(1))
        # A lookup takes texel x0 and its right and lower neighbours: it can meet the edit
        # from one texel before its box on.
        x0, x1 = max(columns[0] - 1, 0), columns[-1]
        y0, y1 = max(lines[0] - 1, 0), lines[-1]
        # Texels beyond the edge repeat it, so that every lookup has a right and a lower neighbour
        edge = (0, y1 + 2 > height), (0, x1 + 2 > width), (0, 0)
        cropped = np.pad(texture[y0 : y1 + 2, x0 : x1 + 2], edge, mode="edge")
        flags = _tile_map(used[y0 : y1 + 2, x0 : x1 + 2])
        place = layer, width, height, x0, y0, cropped.shape[1], first_texel
        rows.append((*place, x0, x1, y0, y1, first_tile, flags.shape[1], whole))
        boxes.append(_box_in_uv(width, height, x0, x1, y0, y1))
        texels.append(cropped.reshape(-1, 3).astype(np.float32))
        tiles.append(flags.reshape(-1))
        first_texel += len(texels[-1])
        first_tile += len(tiles[-1])
    table = np.array(rows, np.int64).reshape(-1, COLUMNS)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return PackedTextures(table, boxes, np.concatenate(texels), np.concatenate(tiles))


def render_delta(
    frame: np.ndarray, maps: FrameMaps, deltas: PackedTextures, linear: bool, out: np.ndarray
) -> None:
    """`frame` plus the deltas as the maps carry them, into `out`.

    `frame` and `out` are [H, W, 3], both uint8, uint16 or float32. Floating-point values are
    display-encoded, or linear where `linear` says so. Pixels without a delta are copied.
    """
    np.copyto(out, frame)
    edit = deltas.table, deltas.boxes, deltas.texels, deltas.tiles
    _delta(maps.uva, maps.residual, *edit, _largest(out), linear, out)


def render_full(maps: FrameMaps, textures: PackedTextures, linear: bool, out: np.ndarray) -> None:
    """The layers composed from their textures alone, into `out` as in `render_delta`."""
    _full(maps.uva, maps.residual, textures.table, textures.texels, _largest(out), linear, out)


def _largest(out: np.ndarray) -> np.float32:
    """What stands for 1.0 in an integer image; 0 for floating point."""
    return np.float32(np.iinfo(out.dtype).max if out.dtype.kind == "u" else 0)


def _box_in_uv(width: int, height: int, x0: int, x1: int, y0: int, y1: int) -> list[float]:
    """u and v that can reach the texels x0 to x1, y0 to y1 or beyond; a texel wider than exact."""
    low_u = -math.inf if x0 == 0 else (x0 - 0.5) / width
    high_u = math.inf if x1 >= width - 1 else (x1 + 2.5) / width
    low_v = -math.inf if y1 >= height - 1 else 1 - (y1 + 2.5) / height
    high_v = math.inf if y0 == 0 else 1 - (y0 - 0.5) / height
    return [low_u, high_u, low_v, high_v]


def _tile_map(used: np.ndarray) -> np.ndarray:
    """Which tiles hold a texel x0, y0 whose lookup meets a used texel, uint8 [rows, columns]."""
    near = used.copy()
    near[:, :-1] |= used[:, 1:]
    near[:-1] |= near[1:].copy()
    side = 1 << TILE
    height, width = used.shape
    padded = np.zeros((-(-height // side) * side, -(-width // side) * side), bool)
    padded[:height, :width] = near
    tiles = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side)
    return np.asarray(tiles.any((1, 3)), np.uint8)


@njit(cache=True)
def _encode(value):
    """float32, as `_decode`: in float64 the powers take three times as long."""
    if value <= np.float32(0.0031308):
        return value * np.float32(12.92)
    return np.float32(1.055) * value ** np.float32(1 / 2.4) - np.float32(0.055)


@njit(cache=True)
def _decode(value):
    if value <= np.float32(0.04045):
        return value / np.float32(12.92)
    return ((value + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)


@njit(cache=True)
def _integer(value, largest):
    """`value`, already scaled, clamped and rounded."""
    return np.int32(min(max(value, np.float32(0.0)), largest) + np.float32(0.5))


# The parallel loops hold nothing but a call: what they hold themselves takes long to compile.
@parallel_njit
def _delta(uva, residual, table, boxes, texels, tiles, largest, linear, out):
    for y in prange(out.shape[0]):
        place, light = uva[:, y], residual[:, y]
        _delta_row(place, light, table, boxes, texels, tiles, largest, linear, out[y])


@parallel_njit
def _full(uva, residual, table, texels, largest, linear, out):
    for y in prange(out.shape[0]):
        _full_row(uva[:, y], residual[:, y], table, texels, largest, linear, out[y])


@njit(cache=True)
def _delta_row(uva, residual, table, boxes, texels, tiles, largest, linear, out):
    total = np.empty(out.shape, np.float32)  # set to 0 when something is to be added
    first, last = len(out), 0
    for k in range(table.shape[0]):
        row = table[k]
        place, light = uva[row[_LAYER]], residual[row[_LAYER]]
        if row[_WHOLE]:
            begin, end = _shown(place)
            if begin < end:
                if last == 0:
                    total[:] = 0
                part = slice(begin, end)
                _add_layer(place[part], light[part], row, texels, total[part])
        else:
            begin, end = _add_painted(place, light, row, boxes[k], texels, tiles, last == 0, total)
        if begin < end:
            first, last = min(first, begin), max(last, end)
    for x in range(first, last):
        for c in range(3):
            change = total[x, c]
            if largest > 0.0:  # a change of 0 gives the integer itself
                out[x, c] = _integer(np.float32(out[x, c]) + change * largest, largest)
            elif change != 0.0 and linear:
                out[x, c] = _decode(_encode(out[x, c]) + change)
            elif change != 0.0:
                out[x, c] = out[x, c] + change


@njit(cache=True)
def _full_row(uva, residual, table, texels, largest, linear, out):
    total = np.zeros(out.shape, np.float32)
    for k in range(table.shape[0]):
        row = table[k]
        place, light = uva[row[_LAYER]], residual[row[_LAYER]]
        begin, end = _shown(place)
        part = slice(begin, end)
        _add_layer(place[part], light[part], row, texels, total[part])
    for x in range(out.shape[0]):
        for c in range(3):
            if largest > 0.0:
                out[x, c] = _integer(total[x, c] * largest, largest)
            elif linear:
                out[x, c] = _decode(total[x, c])
            else:
                out[x, c] = total[x, c]


@njit(cache=True)
def _shown(place):
    """The first pixel of a line that the layer shows in, and the one after the last."""
    begin, end = 0, place.shape[0]
    while begin < end and place[begin, 2] == 0.0:
        begin += 1
    while end > begin and place[end - 1, 2] == 0.0:
        end -= 1
    return begin, end


@njit(cache=True)
def _add_layer(place, light, row, texels, total):
    """Add a layer that is looked up everywhere; places first, for they vectorise by themselves."""
    at = np.empty(place.shape[0], np.int64)
    part = np.empty((place.shape[0], 2), np.float32)
    width, height = np.float64(row[_WIDTH]), np.float64(row[_HEIGHT])
    first = row[_TEXELS] - row[_Y] * row[_STRIDE] - row[_X]
    for x in range(place.shape[0]):
        tx, ty = texel_place(np.float64(place[x, 0]), np.float64(place[x, 1]), width, height)
        x0, y0 = np.int32(tx), np.int32(ty)
        part[x, 0], part[x, 1] = np.float32(tx - x0), np.float32(ty - y0)
        at[x] = first + y0 * row[_STRIDE] + x0
    for x in range(place.shape[0]):
        alpha = place[x, 2]
        if alpha != 0.0:
            _add_pixel(
                texels, at[x], row[_STRIDE], part[x, 0], part[x, 1], alpha, light[x], total[x]
            )


@njit(cache=True)
def _add_painted(place, light, row, box, texels, tiles, empty, total):
    """Add what little is painted of a layer; from which pixel on, and up to which, it did.

    `total` holds nothing yet where `empty`.
    """
    low_u, high_u, low_v, high_v = box[0], box[1], box[2], box[3]
    begin, end = place.shape[0], 0
    for x in range(place.shape[0]):
        u, v, alpha = place[x, 0], place[x, 1], place[x, 2]
        if alpha == 0.0 or u < low_u or u > high_u or v < low_v or v > high_v:
            continue
        tx, ty = texel_place(np.float64(u), np.float64(v), row[_WIDTH], row[_HEIGHT])
        x0, y0 = int(tx), int(ty)
        if x0 < row[_X0] or x0 > row[_X1] or y0 < row[_Y0] or y0 > row[_Y1]:
            continue
        tile = ((y0 - row[_Y]) >> TILE) * row[_TILE_STRIDE] + ((x0 - row[_X]) >> TILE)
        if tiles[row[_TILES] + tile] == 0:
            continue
        if empty and end == 0:
            total[:] = 0
        at = row[_TEXELS] + (y0 - row[_Y]) * row[_STRIDE] + x0 - row[_X]
        fx, fy = np.float32(tx - x0), np.float32(ty - y0)
        _add_pixel(texels, at, row[_STRIDE], fx, fy, alpha, light[x], total[x])
        begin, end = min(begin, x), x + 1
    return begin, end


@njit(cache=True)
def _add_pixel(texels, at, stride, fx, fy, alpha, light, total):
    """Add alpha * light * the texels around a place, bilinear, to the three values `total`."""
    right, below, corner = at + 1, at + stride, at + stride + 1
    d = fx * fy
    b, c = fx - d, fy - d
    a = np.float32(1.0) - fx - c
    a, b, c, d = alpha * a, alpha * b, alpha * c, alpha * d
    for n in range(3):
        value = a * texels[at, n] + b * texels[right, n]
        value += c * texels[below, n] + d * texels[corner, n]
        total[n] += light[n] * value
