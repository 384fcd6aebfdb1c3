"""A fast reader of the plainest PNG: RGB of 8 or 16 bits, not interlaced, as clips' frames are.

OpenImageIO takes half as long again, and FFmpeg, which is as fast, gives black for what it could
not read (tests/test_fast_png.py has such files). Whatever is not plain, or not sound, is left to
OpenImageIO, so that there is one place that judges files and tells of damage.
"""

import struct
from pathlib import Path

import numpy as np
from deflate import DeflateError, crc32, zlib_decompress
from numba import njit

from nvd_core.runtime.sizes import MOST_PIXELS, MOST_SIDE

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2
_PLAIN = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"cICP"}
_PLAIN |= {b"oFFs"}
"""chunks that change no value as values are read here; eXIf may turn the picture"""
_EMPTY_EXIF = 14
"""bytes, which hold no orientation"""
_MOST_BYTES = 1 << 30


def read_plain_png(path: Path) -> np.ndarray | None:
    """The pixels of `path`, uint8 or uint16 [H, W, 3]; None where this is not for this module."""
    try:
        data = path.read_bytes()
        found = _chunks(data)
    except (OSError, struct.error, ValueError):
        return None
    if found is None:
        return None
    (width, height, depth), packed = found
    line = 1 + width * 3 * depth // 8
    try:
        raw = zlib_decompress(packed, height * line)
    except DeflateError:
        return None
    if len(raw) != height * line:
        return None
    lines = np.frombuffer(raw, np.uint8).reshape(height, line)
    if lines[:, 0].max() > 4:
        return None
    values = np.empty((height, line - 1), np.uint8)
    _unfilter(lines, 3 * depth // 8, values)
    if depth == 16:
        return values.view(">u2").astype(np.uint16).reshape(height, width, 3)
    return values.reshape(height, width, 3)


def _chunks(data: bytes) -> tuple[tuple[int, int, int], bytes] | None:
    """Width, height and depth, and what is packed; None where a chunk is not plain or not sound."""
    if not data.startswith(_SIGNATURE):
        return None
    view, at, size, parts = memoryview(data), len(_SIGNATURE), None, []
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if crc32(view[at + 4 : at + 8 + length]) != checksum:
            return None
        if kind == b"IHDR":
            width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", body)
            fits = 0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE
            fits = fits and width * height <= MOST_PIXELS and width * height * 6 <= _MOST_BYTES
            if size or not fits or colour != _RGB or depth not in (8, 16) or any(rest):
                return None
            size = width, height, depth
        elif kind == b"IDAT":
            parts.append(body)
        elif kind == b"IEND":
            break
        elif kind not in _PLAIN and not (kind == b"eXIf" and length == _EMPTY_EXIF):
            return None
        at += 12 + length
    packed = b"".join(parts)
    # zlib packs a thousand times at the most: what claims more takes no memory here
    if size is None or size[0] * size[1] * 3 > 1100 * len(packed):
        return None
    return size, packed


@njit(cache=True, nogil=True)
def _unfilter(lines, across, out):
    """Undo the filter of each line, with the byte `across` bytes before it, or the line above."""
    nothing = np.zeros(out.shape[1], np.uint8)
    for y in range(out.shape[0]):
        kind, source, line = lines[y, 0], lines[y, 1:], out[y]
        above = out[y - 1] if y > 0 else nothing
        if kind == 0:
            line[:] = source
        elif kind == 2:
            for x in range(line.shape[0]):
                line[x] = source[x] + above[x]
        elif kind == 1:
            _beside(source, across, line)
        elif kind == 3:
            for x in range(line.shape[0]):
                left = np.int32(line[x - across]) if x >= across else np.int32(0)
                line[x] = source[x] + np.uint8((left + np.int32(above[x])) >> 1)
        else:
            _paeth(source, above, across, line)


@njit(cache=True)
def _beside(source, across, line):
    """Each byte from the one before it; those of a pixel go on in registers, as below."""
    if across != 3:
        line[:across] = source[:across]
        for x in range(across, line.shape[0]):
            line[x] = source[x] + line[x - across]
        return
    red = green = blue = np.uint8(0)
    for n in range(line.shape[0] // 3):
        x = 3 * n
        red, green, blue = (
            np.uint8(red + source[x]),
            np.uint8(green + source[x + 1]),
            np.uint8(blue + source[x + 2]),
        )
        line[x], line[x + 1], line[x + 2] = red, green, blue


@njit(cache=True)
def _paeth(source, above, across, line):
    """Each byte from the one before it, above it, or both, whichever its neighbours are nearest.

    The bytes of a pixel go on in registers, three chains side by side where a pixel has three.
    """
    for x in range(across):
        line[x] = source[x] + above[x]
    if across != 3:
        for x in range(across, line.shape[0]):
            line[x] = _nearest(source[x], line[x - across], above[x], above[x - across])
        return
    red, green, blue = line[0], line[1], line[2]
    values, over, out = source[3:], above[3:], line[3:]
    over_red, over_green, over_blue = above[0], above[1], above[2]
    for n in range(out.shape[0] // 3):
        x = 3 * n
        up_red, up_green, up_blue = over[x], over[x + 1], over[x + 2]
        red = _nearest(values[x], red, up_red, over_red)
        green = _nearest(values[x + 1], green, up_green, over_green)
        blue = _nearest(values[x + 2], blue, up_blue, over_blue)
        out[x], out[x + 1], out[x + 2] = red, green, blue
        over_red, over_green, over_blue = up_red, up_green, up_blue


@njit(cache=True)
def _nearest(value, left, above, both):
    a, b, c = np.int32(left), np.int32(above), np.int32(both)
    down, right = b - c, a - c
    of_left, of_above, of_both = abs(down), abs(right), abs(down + right)
    best = b if of_above <= of_both else c
    best = a if of_left <= min(of_above, of_both) else best
    return np.uint8(np.int32(value) + best)
