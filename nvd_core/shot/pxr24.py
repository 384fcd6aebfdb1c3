"""A fast reader of maps as this program writes them: EXR of one part, scan lines, PXR24.

OpenImageIO takes four times as long, for it unpacks the whole file again for every few channels.
Any other EXR is left to it. The format: https://openexr.com/en/latest/OpenEXRFileLayout.html
PXR24 packs blocks of 16 lines with zlib. A channel's values in a line, halves or the upper three
bytes of floats, are differences from pixel to pixel, their high bytes first, then the lower ones.
"""

import struct
from dataclasses import dataclass

import numpy as np
from deflate import DeflateError, zlib_decompress
from numba import njit

LINES = 16
"""lines of a block"""
_MAGIC, _OTHER_KINDS = 20000630, 0x1A00  # flags of tiles, deep data, several parts
_PXR24 = 5
_LARGEST = 1 << 15  # pixels a side; a damaged file may ask for any number
_BYTES = {1: 2, 2: 3}  # of a half and of a float, packed
_HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


@dataclass
class Header:
    """What the file holds."""

    width: int
    height: int
    channels: list[tuple[str, int]]  # name and bytes a value, in the order of the file
    blocks: tuple[int, ...]  # where each begins


def read_header(data: bytes) -> Header | None:
    """The header of a file's contents; None where it is not one that this module reads.

    A damaged header is a ValueError, IndexError, KeyError or struct.error.
    """
    magic, version = struct.unpack_from("<II", data)
    if magic != _MAGIC or version & _OTHER_KINDS:
        return None
    attributes, place = {}, 8
    while data[place]:
        name, place = _text(data, place)
        _kind, place = _text(data, place)
        (size,) = struct.unpack_from("<I", data, place)
        attributes[name] = data[place + 4 : place + 4 + size]
        place += 4 + size
    channels = _channels(attributes["channels"])
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right + 1, bottom + 1
    fits = (left, top) == (0, 0) and 0 < width <= _LARGEST and 0 < height <= _LARGEST
    if attributes["compression"][0] != _PXR24 or channels is None or not fits:
        return None
    blocks = struct.unpack_from(f"<{-(-height // LINES)}Q", data, place + 1)
    return Header(width, height, channels, blocks)


def read_channels(
    data: bytes, header: Header, places: dict[str, tuple[int, bool]], out: np.ndarray
) -> bool:
    """Write channels into `out`, float32, contiguous, of any shape; False if OpenImageIO must.

    `places` has, by the channel's name, the index in `out` laid flat of its first pixel, the
    others 3 apart each as in [H, W, 3]; and whether it adds to what another one wrote there.
    ValueError, IndexError or struct.error where the data are damaged.
    """
    sizes = np.array([size for _, size in header.channels])
    targets = np.array([places.get(name, (-1, False)) for name, _ in header.channels], np.int64)
    packed_line = int(sizes.sum()) * header.width
    plain_line = int(sizes.sum() + (sizes == 3).sum()) * header.width
    flat, view = out.reshape(-1), memoryview(data)
    for number, start in enumerate(header.blocks):
        first, size = struct.unpack_from("<iI", data, start)
        packed = view[start + 8 : start + 8 + size]
        if first != number * LINES or len(packed) != size:
            raise ValueError("a block is not where it should be")
        lines = min(LINES, header.height - first)
        if size >= lines * plain_line:  # what does not shrink is stored as it is
            return False
        try:
            raw = zlib_decompress(packed, lines * packed_line)
        except DeflateError as error:
            raise ValueError("a block cannot be unpacked") from error
        if len(raw) != lines * packed_line:
            raise ValueError("a block is too short")
        raw = np.frombuffer(raw, np.uint8).reshape(lines, packed_line)
        _unpack(raw, first, header.width, sizes, targets, _HALVES, flat.view(np.uint32), flat)
    return True


def all_finite(values: np.ndarray) -> bool:
    """Whether no number of a contiguous float32 array is infinite or NaN; no copy is made."""
    return bool(_all_finite(values.reshape(-1).view(np.uint32)))


def _text(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(b"\0", place)
    return data[place:end].decode("utf-8"), end + 1


def _channels(data: bytes) -> list[tuple[str, int]] | None:
    """Name and packed bytes of each channel; None where one is of another kind or size."""
    channels, place = [], 0
    while data[place]:
        name, place = _text(data, place)
        kind, across, down = struct.unpack_from("<i4xii", data, place)
        if kind not in _BYTES or (across, down) != (1, 1):
            return None
        channels.append((name, _BYTES[kind]))
        place += 16
    return channels


@njit(cache=True, nogil=True)
def _all_finite(bits):
    bad = False
    for value in bits:
        bad |= (value & np.uint32(0x7F800000)) == np.uint32(0x7F800000)
    return not bad


@njit(cache=True, nogil=True)
def _unpack(raw, first, width, sizes, targets, halves, bits, out):
    """The wanted channels of a block; `bits` and `out` are the same memory."""
    for line in range(raw.shape[0]):
        begin = 0
        for c in range(len(sizes)):
            planes = raw[line, begin : begin + sizes[c] * width]
            begin += sizes[c] * width
            if targets[c, 0] < 0:
                continue
            place = targets[c, 0] + (first + line) * width * 3
            if sizes[c] == 2:
                _unpack_halves(planes, width, place, halves, out)
            elif targets[c, 1]:
                _add_floats(planes, width, place, bits, out)
            else:
                _unpack_floats(planes, width, place, bits)


@njit(cache=True, nogil=True)
def _unpack_halves(planes, width, place, halves, out):
    value = np.uint16(0)
    for x in range(width):
        value = np.uint16(value + (np.uint16(planes[x]) << 8 | planes[width + x]))
        out[place + 3 * x] = halves[value]


@njit(cache=True, nogil=True)
def _unpack_floats(planes, width, place, bits):
    value = np.uint32(0)
    for x in range(width):
        value += _step(planes, width, x)
        bits[place + 3 * x] = value


@njit(cache=True, nogil=True)
def _add_floats(planes, width, place, bits, out):
    value = np.uint32(0)
    for x in range(width):
        value += _step(planes, width, x)
        before = out[place + 3 * x]
        bits[place + 3 * x] = value
        out[place + 3 * x] += before


@njit(cache=True)
def _step(planes, width, x):
    high, middle, low = planes[x], planes[width + x], planes[2 * width + x]
    return (np.uint32(high) << 24) | (np.uint32(middle) << 16) | (np.uint32(low) << 8)
