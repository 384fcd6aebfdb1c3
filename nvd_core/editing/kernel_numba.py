"""The compiled renderer of one frame on the CPU; kernel_torch.py is its plain twin.

Most pixels of most edits show nothing of the edit. They cost one look at alpha and, where the
layer shows, a comparison of their place with the box of the edit and with a map of its tiles.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from nvd_core.decomposition.maps import FrameMaps

TILE = 3
"""log2 of the side of a tile of the map that says where an edit is"""

# columns of PackedTextures.table
_LAYER, _WIDTH, _HEIGHT, _X, _Y, _STRIDE, _TEXELS = range(7)
_X0, _X1, _Y0, _Y1, _TILES, _TILE_STRIDE = range(7, 13)


@dataclass(frozen=True)
class PackedTextures:
    """The textures of several layers in one piece of memory, each cropped to what is not 0."""

    table: np.ndarray  # int64 [n, 13], see the columns above
    boxes: np.ndarray  # float32 [n, 4], lowest and highest u, lowest and highest v of a hit
    texels: np.ndarray  # float32 [all texels, 3]
    tiles: np.ndarray  # uint8 [all tiles]


def pack_textures(textures: dict[int, np.ndarray], crop: bool) -> PackedTextures:
    """Pack textures [h, w, 3] by their layer's number; `crop` leaves out borders that are 0.

    A texture that is 0 everywhere is left out altogether if `crop`.
    """
    rows, boxes = [], []
    texels, tiles = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.uint8)]
    first_texel = first_tile = 0
    for layer, texture in sorted(textures.items()):
        height, width = texture.shape[:2]
        used = (texture != 0).any(2) if crop else np.ones((height, width), bool)
        if not used.any():
            continue
        columns, lines = np.flatnonzero(used.any(0)), np.flatnonzero(used.any(1))
        # A lookup takes texel x0 and its right and lower neighbours: it can meet the edit
        # from one texel before its box on.
        x0, x1 = max(columns[0] - 1, 0), columns[-1]
        y0, y1 = max(lines[0] - 1, 0), lines[-1]
        cropped = texture[y0 : y1 + 2, x0 : x1 + 2]
        flags = _tile_map(used[y0 : y1 + 2, x0 : x1 + 2])
        place = layer, width, height, x0, y0, cropped.shape[1], first_texel
        rows.append((*place, x0, x1, y0, y1, first_tile, flags.shape[1]))
        boxes.append(_box_in_uv(width, height, x0, x1, y0, y1))
        texels.append(cropped.reshape(-1, 3).astype(np.float32))
        tiles.append(flags.reshape(-1))
        first_texel += len(texels[-1])
        first_tile += len(tiles[-1])
    table = np.array(rows, np.int64).reshape(-1, 13)
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


def _largest(out: np.ndarray) -> float:
    """What stands for 1.0 in an integer image; 0 for floating point."""
    return float(np.iinfo(out.dtype).max) if out.dtype.kind == "u" else 0.0


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
    return tiles.any((1, 3)).astype(np.uint8)


@njit(cache=True)
def _encode(value):
    if value <= 0.0031308:
        return value * 12.92
    return 1.055 * value ** (1 / 2.4) - 0.055


@njit(cache=True)
def _decode(value):
    if value <= 0.04045:
        return value / 12.92
    return ((value + 0.055) / 1.055) ** 2.4


@njit(cache=True)
def _place(u, v, width, height):
    """Texel coordinates of a lookup, clamped to the texture."""
    x, y = u * width - 0.5, (1.0 - v) * height - 0.5
    # NaN fails every comparison, and must not become a place in memory
    x = min(x, width - 1.0) if x > 0.0 else 0.0
    y = min(y, height - 1.0) if y > 0.0 else 0.0
    return x, y


@njit(cache=True)
def _lookup(texels, row, x, y, x0, y0):
    """The texture of a table row at texel coordinates x, y; x0, y0 are their whole parts."""
    right = 1 if x0 + 1 < row[_WIDTH] else 0
    below = row[_STRIDE] if y0 + 1 < row[_HEIGHT] else 0
    at = row[_TEXELS] + (y0 - row[_Y]) * row[_STRIDE] + x0 - row[_X]
    fx, fy = np.float32(x - x0), np.float32(y - y0)
    d = fx * fy
    b, c = fx - d, fy - d
    a = np.float32(1.0) - fx - c
    right, below, corner = at + right, at + below, at + right + below
    return (
        a * texels[at, 0] + b * texels[right, 0] + c * texels[below, 0] + d * texels[corner, 0],
        a * texels[at, 1] + b * texels[right, 1] + c * texels[below, 1] + d * texels[corner, 1],
        a * texels[at, 2] + b * texels[right, 2] + c * texels[below, 2] + d * texels[corner, 2],
    )


@njit(cache=True)
def _integer(value, largest):
    """`value`, already scaled, clamped and rounded."""
    return math.floor(min(max(value, 0.0), largest) + 0.5)


# The parallel loops hold nothing but a call: what they hold themselves takes long to compile.
@njit(cache=True, parallel=True, nogil=True)
def _delta(uva, residual, table, boxes, texels, tiles, largest, linear, out):
    for y in prange(out.shape[0]):
        place, light = uva[:, y], residual[:, y]
        _delta_row(place, light, table, boxes, texels, tiles, largest, linear, out[y])


@njit(cache=True, parallel=True, nogil=True)
def _full(uva, residual, table, texels, largest, linear, out):
    for y in prange(out.shape[0]):
        _full_row(uva[:, y], residual[:, y], table, texels, largest, linear, out[y])


@njit(cache=True)
def _delta_row(uva, residual, table, boxes, texels, tiles, largest, linear, out):
    width = out.shape[0]
    total = np.empty((0, 3), np.float32)
    first, last = width, -1
    for k in range(table.shape[0]):
        row = table[k]
        low_u, high_u, low_v, high_v = boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3]
        place, light = uva[row[_LAYER]], residual[row[_LAYER]]
        for x in range(width):
            u, v, alpha = place[x, 0], place[x, 1], place[x, 2]
            if alpha == 0.0 or u < low_u or u > high_u or v < low_v or v > high_v:
                continue
            tx, ty = _place(np.float64(u), np.float64(v), row[_WIDTH], row[_HEIGHT])
            x0, y0 = int(tx), int(ty)
            if x0 < row[_X0] or x0 > row[_X1] or y0 < row[_Y0] or y0 > row[_Y1]:
                continue
            tile = ((y0 - row[_Y]) >> TILE) * row[_TILE_STRIDE] + ((x0 - row[_X]) >> TILE)
            if tiles[row[_TILES] + tile] == 0:
                continue
            if last < 0:
                total = np.zeros((width, 3), np.float32)
            red, green, blue = _lookup(texels, row, tx, ty, x0, y0)
            total[x, 0] += alpha * light[x, 0] * red
            total[x, 1] += alpha * light[x, 1] * green
            total[x, 2] += alpha * light[x, 2] * blue
            first, last = min(first, x), max(last, x)
    for x in range(first, last + 1):
        for c in range(3):
            change = total[x, c]
            if change == 0.0:
                continue
            if largest > 0.0:
                out[x, c] = _integer(out[x, c] + change * largest, largest)
            elif linear:
                out[x, c] = _decode(_encode(np.float64(out[x, c])) + change)
            else:
                out[x, c] = out[x, c] + change


@njit(cache=True)
def _full_row(uva, residual, table, texels, largest, linear, out):
    width = out.shape[0]
    total = np.zeros((width, 3), np.float32)
    for k in range(table.shape[0]):
        row = table[k]
        place, light = uva[row[_LAYER]], residual[row[_LAYER]]
        for x in range(width):
            alpha = place[x, 2]
            if alpha == 0.0:
                continue
            u, v = np.float64(place[x, 0]), np.float64(place[x, 1])
            tx, ty = _place(u, v, row[_WIDTH], row[_HEIGHT])
            red, green, blue = _lookup(texels, row, tx, ty, int(tx), int(ty))
            total[x, 0] += alpha * light[x, 0] * red
            total[x, 1] += alpha * light[x, 1] * green
            total[x, 2] += alpha * light[x, 2] * blue
    for x in range(width):
        for c in range(3):
            if largest > 0.0:
                out[x, c] = _integer(total[x, c] * largest, largest)
            elif linear:
                out[x, c] = _decode(total[x, c])
            else:
                out[x, c] = total[x, c]
