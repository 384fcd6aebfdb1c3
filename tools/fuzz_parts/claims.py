"""Files of a few bytes that claim to be huge, by the format of their names."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIDES = (
    (30_000, 30_000),
    (2**31 - 1, 2**31 - 1),
    (65_535, 65_535),
    (1, 2**30),
    (0, 0),
    (200_000, 8),
)


def png(chosen: random.Random, path: Path) -> None:
    """A header of another size, the pixels as they were; or rows without end that are all alike."""
    width, height = chosen.choice(SIDES)
    depth, colour = chosen.choice(((8, 2), (8, 6), (16, 6), (1, 0), (8, 3)))
    head = struct.pack(">IIBBBBB", width & 0x7FFFFFFF, height & 0x7FFFFFFF, depth, colour, 0, 0, 0)
    rows = zlib.compress(bytes(10_000))
    if chosen.random() < 0.2:  # 400 million pixels that are really there
        head = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
        rows = zlib.compress(bytes(20_000 * 2501), 1)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exr(chosen: random.Random, path: Path) -> None:
    """The data window, or the display window, of an EXR becomes another."""
    data = bytearray(path.read_bytes())
    for name in chosen.choice(
        ((b"dataWindow",), (b"displayWindow",), (b"dataWindow", b"displayWindow"))
    ):
        place = data.find(name + b"\0box2i\0")
        if place >= 0:
            low = chosen.choice((0, 0, -(2**31), 5))
            side = chosen.choice((2**31 - 1, 30_000, 32_767, 0, -1, 10**6))
            struct.pack_into("<4i", data, place + len(name) + 11, low, low, side, side)
    path.write_bytes(data)


def tif(chosen: random.Random, path: Path) -> None:
    """Width, height, channels or rows a strip of a TIFF become others."""
    data = bytearray(path.read_bytes())
    if data[:2] != b"II":
        return
    (start,) = struct.unpack_from("<I", data, 4)
    if start + 2 > len(data):
        return
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(data) - 12), 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in chosen.choice(((256, 257), (277,), (278,), (258,), (256,))):
            value = chosen.choice((30_000, 2**31, 0, 65_535))
            struct.pack_into("<HHII", data, entry, tag, 4, 1, value)
    path.write_bytes(data)


def jpg(chosen: random.Random, path: Path) -> None:
    """The frame's size becomes the largest that the format knows."""
    data = bytearray(path.read_bytes())
    for mark in (b"\xff\xc0", b"\xff\xc2"):
        place = data.find(mark)
        if place > 0:
            struct.pack_into(
                ">HH", data, place + 5, *chosen.choice(((65_500, 65_500), (0, 0), (30_000, 30_000)))
            )
    path.write_bytes(data)


def flo(chosen: random.Random, path: Path) -> None:
    """A size that is not that of the flow behind it."""
    data = bytearray(path.read_bytes())
    sides = chosen.choice((*SIDES, (-1, -1), (65_535, 65_535), (1, 4)))
    if len(data) >= 12:
        struct.pack_into("<ii", data, 4, *(max(-(2**31), min(side, 2**31 - 1)) for side in sides))
    path.write_bytes(data)


def npz(chosen: random.Random, path: Path) -> None:
    """Every array claims more than there is; or a gigabyte of zeros is packed into a megabyte."""
    shape = chosen.choice(((10**9, 725), (2**40,), (10**9,)))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            file = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f8", "fortran_order": False, "shape": shape}
            )
            archive.writestr(name, file.getvalue() + bytes(1000))


OF_SUFFIX: dict[str, list[Callable[[random.Random, Path], None]]] = {
    ".png": [png] * 4,
    ".exr": [exr] * 4,
    ".tif": [tif] * 4,
    ".jpg": [jpg] * 4,
    ".flo": [flo] * 4,
    ".npz": [npz],
}
