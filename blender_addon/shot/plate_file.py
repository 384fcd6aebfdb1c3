"""The plainest PNG read without Blender, for threads: what the engine writes of a clip's frames.

RGB of 8 bits whose lines have no filter, or the one to the left or to the line above. All others,
and whatever is not sound, are Blender's to read and to judge. No bpy.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from ..blender.inside import open_file

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.pack(">BBBBB", 8, 2, 0, 0, 0)  # 8 bits, RGB, deflate, filters, not interlaced
_NONE, _LEFT, _ABOVE = range(3)
_PLAIN = {
    b"oFFs",
    b"pHYs",
    b"tEXt",
    b"tIME",
    b"sRGB",
    b"gAMA",
    b"cHRM",
    b"iCCP",
    b"cICP",
    b"iTXt",
    b"zTXt",
}
_EMPTY_EXIF = 14
"""bytes, which hold no orientation"""
_MOST = 1 << 30


def read_plain(path: Path, size: tuple[int, int]) -> np.ndarray | None:
    """uint8 [H, W, 3], top row first, of a picture of `size`, (width, height); None: not plain."""
    try:
        with open_file(path) as file:
            data = file.read(_MOST)
        packed = _packed(data, size)
        if packed is None:
            return None
        width, height = size
        raw = zlib.decompressobj().decompress(packed, height * (1 + 3 * width) + 1)
    except (OSError, struct.error, ValueError, zlib.error, MemoryError):
        return None
    if len(raw) != height * (1 + 3 * width):
        return None
    lines = np.frombuffer(raw, np.uint8).reshape(height, 1 + 3 * width)
    return _unfiltered(lines[:, 0], lines[:, 1:].reshape(height, width, 3))


def packed_plate(path: Path, size: tuple[int, int]) -> np.ndarray:
    """`read_plain` with a pixel's three bytes in one float, float32 [H, W]; empty: not plain."""
    pixels = read_plain(path, size)
    if pixels is None:
        return np.zeros((0, 0), np.float32)
    whole = pixels[..., 0] + (pixels[..., 1].astype(np.int32) << 8)
    return (whole + (pixels[..., 2].astype(np.int32) << 16)).astype(np.float32)


def _packed(data: bytes, size: tuple[int, int]) -> bytes | None:
    """What the picture's chunks hold; None where a chunk is not plain."""
    if not data.startswith(_SIGNATURE):
        return None
    at, parts = len(_SIGNATURE), []
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            return None
        if kind == b"IHDR":
            if body != struct.pack(">II", *size) + _HEADER:
                return None
        elif kind == b"IDAT":
            parts.append(body)
        elif kind == b"IEND":
            return b"".join(parts)
        elif kind not in _PLAIN and not (kind == b"eXIf" and length == _EMPTY_EXIF):
            return None
        at += 12 + length


def _unfiltered(kinds: np.ndarray, lines: np.ndarray) -> np.ndarray | None:
    """Lines [H, W, 3] with their filters undone; None for filters that numpy is slow at."""
    if kinds.max() > _ABOVE:
        return None
    pixels = lines.copy()
    left = kinds == _LEFT
    pixels[left] = np.cumsum(lines[left], axis=1, dtype=np.uint8)
    for y in np.flatnonzero(kinds == _ABOVE):
        if y:
            pixels[y] += pixels[y - 1]
    return pixels
