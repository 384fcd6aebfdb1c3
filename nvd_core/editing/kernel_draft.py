"""The delta kernel of a draft's movie: the whole numbers of compact maps, painted on as they are.

Places, light and texels stay in few binary digits, the three values of a texel in one word, so that
a lookup is four words and three products. What it gives is at most DRAFT_ERROR off kernel_nodes.py,
which is the exact one, and it looks only at tiles in which a layer shows.
"""

import numpy as np
from numba import njit, prange

from nvd_core.editing.kernel_nodes import NodeMaps
from nvd_core.editing.kernel_numba import (
    _HEIGHT,
    _LAYER,
    _STRIDE,
    _TEXELS,
    _WIDTH,
    _X,
    _X0,
    _X1,
    _Y,
    _Y0,
    _Y1,
    PackedTextures,
)
from nvd_core.media.draft import Draft, Planes
from nvd_core.runtime.kernel_threads import parallel_njit
from nvd_core.shot.node_decode import (
    _BITS_U,
    _BITS_V,
    _BOTTOM,
    _LEFT,
    _LIGHT,
    _PLACE,
    _RIGHT,
    _TILES,
    _TOP,
    WEIGHTS,
    alpha_band,
    field_run,
)
from nvd_core.shot.node_maps import ALPHA_BITS, EMPTY, LIGHT_BITS, SIDE

DRAFT_ERROR = 3
"""levels of 255 by which a value may be off the exact kernel's, where the light is 1 and texels
next to each other are as far apart as they can be; of a picture it is hardly ever more than one"""
_BETWEEN = 8
"""binary digits of a place between two texels"""
_FINER = 4
"""binary digits of a texel behind the point, in levels of 255"""
_FIELD = 21
"""bits of a word for each value: 9 and `_FINER` of a texel, `_BETWEEN` while it is interpolated"""
_VALUE = (1 << (9 + _FINER)) - 1
_ZERO = 1 << (8 + _FINER)
"""what stands for a value of 0: words hold no sign"""
_EVERY = 1 | 1 << _FIELD | 1 << 2 * _FIELD
_VALUES, _HALVES, _ZEROS = _VALUE * _EVERY, (1 << (_BETWEEN - 1)) * _EVERY, _ZERO * _EVERY
_SMALL = np.iinfo(np.int32).max


def draft_texels(deltas: PackedTextures) -> np.ndarray | None:
    """The texels in words, int64 [all texels]; None where they do not fit into them.

    They do while no value changes by more than 1, which paint alone never does.
    """
    if len(deltas.texels) > _SMALL:
        return None
    words = np.empty(len(deltas.texels), np.int64)
    return words if _in_words(deltas.texels, words) else None


def render_draft(
    frame: np.ndarray, maps: NodeMaps, deltas: PackedTextures, texels: np.ndarray, draft: Draft
) -> np.ndarray | Planes:
    """What kernel_nodes makes of a frame uint8 [H, W, 3], by `draft_texels` of the deltas."""
    height, width = frame.shape[:2]
    layers = *maps.packed.arrays, WEIGHTS, maps.wanted, maps.visibility, maps.light
    given = *layers, deltas.table, texels, np.ascontiguousarray(frame).reshape(height, -1)
    if draft.weights is None:
        out = np.empty_like(frame)
        _rgb(*given, out.reshape(height, -1))
        return out
    values = np.empty((height // 2 * 3, width), np.uint8)
    chroma = values[height:].reshape(2, height // 2, width // 2)
    _planes(*given, draft.weights, values[:height], chroma)
    return Planes(values)


@njit(cache=True, nogil=True)
def _in_words(texels, words):
    """Texels float32 [n, 3] in words; False where one is too large."""
    scale = np.float32(255 << _FINER)
    fits = True
    for n in range(len(words)):
        word = np.int64(0)
        for c in range(3):
            value = texels[n, c]
            fits &= abs(value) <= np.float32(1.0)  # of NaN it is not
            whole = np.int64(np.rint(min(max(value, np.float32(-1)), np.float32(1)) * scale))
            word |= (whole + _ZERO) << (_FIELD * c)
        words[n] = word
    return fits


# fmt: off
@parallel_njit
def _rgb(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
         textures, texels, frame, out):
    for band in prange(-(-frame.shape[0] // SIDE)):
        top = band * SIDE
        total = _added(table, tiles, alphas, nodes, corrections, weights, wanted, visibility,
                       light, textures, texels, frame.shape, top)
        for y in range(total.shape[0]):
            _paint(frame[top + y], total[y], out[top + y])


@parallel_njit
def _planes(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
            textures, texels, frame, matrix, luma, chroma):
    for band in prange(-(-frame.shape[0] // SIDE)):
        top = band * SIDE
        total = _added(table, tiles, alphas, nodes, corrections, weights, wanted, visibility,
                       light, textures, texels, frame.shape, top)
        _to_planes(frame, total, top, matrix, luma, chroma)


@njit(cache=True)
def _added(table, tiles, alphas, nodes, corrections, weights, wanted, visibility, light,
           textures, texels, shape, top):
    """What is added to the lines of tiles from `top` on, in levels of 255, [lines, 3 W]."""
    lines, width = min(SIDE, shape[0] - top), shape[1] // 3
    across = -(-width // SIDE) * SIDE
    total = np.zeros((lines, 3 * across), np.float32)
    alpha = np.empty((table.shape[0], SIDE, across), np.int32)
    alpha_band(table, tiles, alphas, top, alpha)
    fields = np.empty((3, SIDE, across), np.int32)
    places = np.empty((3, SIDE, across), np.int32)  # which texel, and how far right and down of it
    words = np.empty(across, np.int64)
    for k in range(textures.shape[0]):
        n = textures[k, _LAYER]
        row, own = table[wanted[n]], alpha[wanted[n]]
        if top // SIDE < row[_TOP] or top // SIDE >= row[_BOTTOM]:
            continue
        first = row[_TILES] + (top // SIDE - row[_TOP]) * (row[_RIGHT] - row[_LEFT])
        begin, last = 0, row[_RIGHT] - row[_LEFT]
        while begin < last:
            while begin < last and tiles[first + begin, 0] == EMPTY:
                begin += 1
            end = begin
            while end < last and tiles[first + end, 0] != EMPTY:
                end += 1
            if begin < end:
                _add_run(row, textures[k], top, begin, end, tiles, nodes, corrections, weights,
                         own, visibility[n], light[n], texels, fields, places, words, total)
            begin = end
    return total


@njit(cache=True)
def _add_run(row, texture, top, begin, end, tiles, nodes, corrections, weights,
             own, visibility, light, texels, fields, places, words, total):
    """Add what a layer shows in the tiles from `begin` on, up to `end`, of a line of tiles.

    Lines are taken whole before they are cut: of what is cut from [lines, W] Numba does not know
    that its values lie side by side.
    """
    count, lines = SIDE * (end - begin), total.shape[0]
    left = SIDE * (row[_LEFT] + begin)
    for c in range(2):
        field_run(row, _PLACE, c, 2, top, begin, end, tiles, nodes, corrections, weights, fields[c])
    painted = np.zeros(SIDE, np.int64)
    for y in range(lines):
        painted[y] = _find(fields[0, y, :count], fields[1, y, :count], row, texture,
                           places[0, y], places[1, y], places[2, y])
    if not painted.any():
        return
    for c in range(3):
        field_run(row, _LIGHT, c, 3, top, begin, end, tiles, nodes, corrections, weights, fields[c])
    gain = light * np.float32(1.0 / (1 << LIGHT_BITS))
    rest = np.float32(1.0) - light
    share = visibility * np.float32(1.0 / (1 << (ALPHA_BITS + _FINER)))
    for y in range(lines):
        if painted[y] == count:
            _look_up_all(texels, texels[texture[_STRIDE] :], places[0, y, :count], places[1, y],
                         places[2, y], words)
        elif painted[y]:
            _look_up(texels, texels[texture[_STRIDE] :], places[0, y, :count], places[1, y],
                     places[2, y], words)
        else:
            continue
        _add(words[:count], own[y, left : left + count], fields[0, y], fields[1, y], fields[2, y],
             gain, rest, share, total[y, 3 * left :])
# fmt: on


@njit(cache=True)
def _find(us, vs, row, texture, at, across, down):
    """Which texels a line's places lie at, -1 for none that is painted; how many are."""
    most_u, most_v = np.int32(1 << row[_BITS_U]), np.int32(1 << row[_BITS_V])
    scale_u = np.float32(texture[_WIDTH] / (1 << row[_BITS_U]))
    scale_v = np.float32(texture[_HEIGHT] / (1 << row[_BITS_V]))
    right, bottom = np.float32(texture[_WIDTH] - 1), np.float32(texture[_HEIGHT] - 1)
    x0, x1 = np.int32(texture[_X0]), np.int32(texture[_X1])
    y0, y1 = np.int32(texture[_Y0]), np.int32(texture[_Y1])
    stride = np.int32(texture[_STRIDE])
    first = np.int32(texture[_TEXELS] - texture[_Y] * texture[_STRIDE] - texture[_X])
    fine, half, zero = np.float32(1 << _BETWEEN), np.float32(0.5), np.float32(0)
    hits = np.int32(0)
    for k in range(us.shape[0]):
        u = min(max(us[k], np.int32(0)), most_u)
        v = most_v - min(max(vs[k], np.int32(0)), most_v)
        x = min(max(np.float32(u) * scale_u - half, zero), right)
        y = min(max(np.float32(v) * scale_v - half, zero), bottom)
        column, line = np.int32(x), np.int32(y)
        across[k] = np.int32((x - np.float32(column)) * fine + half)
        down[k] = np.int32((y - np.float32(line)) * fine + half)
        inside = (column >= x0) & (column <= x1) & (line >= y0) & (line <= y1)
        at[k] = first + line * stride + column if inside else np.int32(-1)
        hits += np.int32(inside)
    return hits


@njit(cache=True)
def _look_up(texels, below, at, across, down, words):
    """Texels of a line, bilinear; `below`: those a line further down."""
    for k in range(at.shape[0]):
        if at[k] < 0:
            words[k] = _ZEROS
        else:
            words[k] = _texel(texels, below, at[k], across[k], down[k])


@njit(cache=True)
def _look_up_all(texels, below, at, across, down, words):
    """The same where every place lies at a texel: without the question it takes two thirds."""
    for k in range(at.shape[0]):
        words[k] = _texel(texels, below, at[k], across[k], down[k])


@njit(cache=True)
def _texel(texels, below, at, across, down):
    """All three values at once. A difference of words may borrow from the next value; what it is
    added to pays that back.
    """
    n = np.uint64(np.uint32(at))  # which cannot count from the end
    m = n + np.uint64(1)
    x, y = np.int64(across), np.int64(down)
    upper = (((texels[n] << _BETWEEN) + x * (texels[m] - texels[n])) >> _BETWEEN) & _VALUES
    lower = (((below[n] << _BETWEEN) + x * (below[m] - below[n])) >> _BETWEEN) & _VALUES
    return (((upper << _BETWEEN) + y * (lower - upper) + _HALVES) >> _BETWEEN) & _VALUES


@njit(cache=True)
def _add(words, alpha, red, green, blue, gain, rest, share, total):
    """Add a line's texels, lit and as far as the layer shows, to `total` [3 W]."""
    one, zero = np.float32(1), np.int32(0)
    for k in range(words.shape[0]):
        word, part = words[k], np.float32(alpha[k]) * share
        r = np.float32(np.int32(word & _VALUE) - np.int32(_ZERO))
        g = np.float32(np.int32((word >> _FIELD) & _VALUE) - np.int32(_ZERO))
        b = np.float32(np.int32((word >> 2 * _FIELD) & _VALUE) - np.int32(_ZERO))
        total[3 * k] += part * r * (np.float32(max(red[k], zero)) * gain + rest * one)
        total[3 * k + 1] += part * g * (np.float32(max(green[k], zero)) * gain + rest * one)
        total[3 * k + 2] += part * b * (np.float32(max(blue[k], zero)) * gain + rest * one)


@njit(cache=True)
def _paint(frame, total, out):
    """A line of the frame with what is added to it, in levels of 255."""
    for k in range(out.shape[0]):
        value = np.float32(frame[k]) + total[k]
        out[k] = np.uint8(
            np.int32(min(max(value, np.float32(0)), np.float32(255)) + np.float32(0.5))
        )


@njit(cache=True)
def _to_planes(frame, total, top, matrix, luma, chroma):
    """Lines with what is added to them, as Y, and by twos as U and V."""
    width = luma.shape[1]
    colours = np.empty((3, 2, width), np.float32)
    for y in range(0, total.shape[0], 2):
        for k in range(2):
            _apart(frame[top + y + k], total[y + k], colours[0, k], colours[1, k], colours[2, k])
            _luma(colours[0, k], colours[1, k], colours[2, k], matrix[0], luma[top + y + k])
        for c in range(2):
            _chroma(colours[0], colours[1], colours[2], matrix[1 + c], chroma[c, (top + y) // 2])


@njit(cache=True)
def _apart(frame, total, red, green, blue):
    zero, most = np.float32(0), np.float32(255)
    for k in range(red.shape[0]):
        red[k] = min(max(np.float32(frame[3 * k]) + total[3 * k], zero), most)
        green[k] = min(max(np.float32(frame[3 * k + 1]) + total[3 * k + 1], zero), most)
        blue[k] = min(max(np.float32(frame[3 * k + 2]) + total[3 * k + 2], zero), most)


@njit(cache=True)
def _luma(red, green, blue, weights, out):
    r, g, b, offset = weights[0], weights[1], weights[2], weights[3] + np.float32(0.5)
    for k in range(out.shape[0]):
        value = r * red[k] + g * green[k] + b * blue[k] + offset
        out[k] = np.uint8(np.int32(min(value, np.float32(255))))


@njit(cache=True)
def _chroma(red, green, blue, weights, out):
    """Of the mean of two by two pixels."""
    quarter = np.float32(0.25)
    r, g, b = weights[0] * quarter, weights[1] * quarter, weights[2] * quarter
    offset = weights[3] + np.float32(0.5)
    for k in range(out.shape[0]):
        x = 2 * k
        of_red = red[0, x] + red[0, x + 1] + red[1, x] + red[1, x + 1]
        of_green = green[0, x] + green[0, x + 1] + green[1, x] + green[1, x + 1]
        of_blue = blue[0, x] + blue[0, x + 1] + blue[1, x] + blue[1, x + 1]
        value = r * of_red + g * of_green + b * of_blue + offset
        out[k] = np.uint8(np.int32(min(value, np.float32(255))))
