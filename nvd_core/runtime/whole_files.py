"""Whether a file that was just written is whole.

Libraries that write through C's buffered files do not always say that the disk was full: the last
buffer is lost when they close the file, and all looks well. So `runtime/files.written_beside` asks
here before it renames. What tells is in the file itself: lengths, checksums, places of its parts.
Text is written by Python, which does say it.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

_EXR_PARTS = 0x200 | 0x800 | 0x1000  # tiles, deep pixels, several parts: we write none of them
_EXR_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)  # lines a chunk, by compression
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_TIFF_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_TIFF_OFFSETS, _TIFF_COUNTS = (273, 324), (279, 325)  # of strips, of tiles


class NotWholeError(OSError):
    """A file of which the disk took only a part."""

    def __init__(self, reason: str) -> None:
        super().__init__(None, f"only a part of it was written: {reason}")


def check_whole(path: Path) -> None:
    """NotWholeError where the file at `path` lacks something that its format says must be there.

    Of formats that are not known here nothing is said.
    """
    check = _CHECKS.get(path.suffix.lower())
    if check is None:
        return
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            check(file, size)
    except (struct.error, ValueError, KeyError, EOFError, IndexError, TypeError) as error:
        raise NotWholeError(f"{size} bytes without an end") from error


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise NotWholeError(reason)


def _unpack(file: BinaryIO, layout: str) -> tuple:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _png(file: BinaryIO, size: int) -> None:
    """Chunk after chunk with its checksum, to the one that ends the image."""
    _require(file.read(8) == b"\x89PNG\r\n\x1a\n", "no PNG signature")
    name = b""
    while name != b"IEND":
        length, name = _unpack(file, ">I4s")
        _require(file.tell() + length + 4 <= size, "the PNG ends in the middle")
        if name[0] & 0x20:  # readers need no such chunk, and pass one by that is damaged
            file.seek(length + 4, os.SEEK_CUR)
            continue
        checksum = zlib.crc32(file.read(length), zlib.crc32(name))
        _require(checksum == _unpack(file, ">I")[0], "a part of the PNG has a wrong checksum")


def _jpeg(file: BinaryIO, size: int) -> None:
    _require(file.read(2) == b"\xff\xd8", "no JPEG signature")
    file.seek(size - 2)
    _require(size > 4 and file.read(2) == b"\xff\xd9", "the JPEG has no end")


def _exr(file: BinaryIO, size: int) -> None:
    """Every chunk lies where the table of offsets says, within the file."""
    magic, version = _unpack(file, "<II")
    _require(magic == 20000630, "no EXR signature")
    if version & _EXR_PARTS:
        return
    attributes = {}
    while name := _text(file):
        _text(file)  # its type
        attributes[name] = file.read(_unpack(file, "<I")[0])
    compression = attributes[b"compression"][0]
    if compression >= len(_EXR_LINES):
        return
    _, first, _, last = struct.unpack("<4i", attributes[b"dataWindow"])
    starts = range(first, last + 1, _EXR_LINES[compression])
    for line, offset in zip(starts, _unpack(file, f"<{len(starts)}Q"), strict=True):
        file.seek(offset)
        y, length = _unpack(file, "<iI")
        _require(y == line and length > 0, f"line {line} of the EXR is missing")
        _require(offset + 8 + length <= size, f"the EXR ends at line {line}")


def _text(file: BinaryIO) -> bytes:
    """A text that a 0 ends; EOFError where none does."""
    text = bytearray()
    while (letter := file.read(1)) != b"\0":
        if not letter:
            raise EOFError
        text += letter
    return bytes(text)


def _tiff(file: BinaryIO, size: int) -> None:
    """The first image's directory, and every strip or tile that it names, within the file."""
    order = {b"II": "<", b"MM": ">"}[file.read(2)]
    big = _unpack(file, order + "H")[0] == 43
    word, number, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    if big:
        file.seek(4, os.SEEK_CUR)
    file.seek(_unpack(file, order + word)[0])
    places: dict[int, tuple] = {}
    entries = _unpack(file, order + number)[0]
    directory = file.read(entries * entry)
    _require(len(directory) == entries * entry, "the TIFF's directory is cut off")
    for start in range(0, len(directory), entry):
        tag, kind, count = struct.unpack_from(f"{order}HH{word}", directory, start)
        value = directory[start + 4 + struct.calcsize(word) : start + entry]
        length = count * _TIFF_SIZES.get(kind, 1)
        if length > len(value):
            file.seek(struct.unpack(order + word, value)[0])
            value = file.read(length)
            _require(len(value) == length, "a value of the TIFF is cut off")
        if tag in _TIFF_OFFSETS + _TIFF_COUNTS:
            places[tag] = struct.unpack(f"{order}{count}{_TIFF_NUMBERS[kind]}", value[:length])
    of_tiles = _TIFF_OFFSETS[1] in places
    for offset, length in zip(
        places[_TIFF_OFFSETS[of_tiles]], places[_TIFF_COUNTS[of_tiles]], strict=True
    ):
        _require(offset > 0 and 0 < length <= size - offset, "pixels of the TIFF are missing")


def _mp4(file: BinaryIO, size: int) -> None:
    """Boxes to the very end of the file, one of them the index of the frames (also .mov)."""
    names, end = set(), 0
    while end < size:
        file.seek(end)
        length, name = _unpack(file, ">I4s")
        if length == 1:
            length = _unpack(file, ">Q")[0]
        _require(length >= 8, "the movie was not finished")
        names.add(name)
        end += length
    _require(end == size and {b"moov", b"mdat"} <= names, "the movie was not finished")


def _mkv(file: BinaryIO, size: int) -> None:
    """The segment's length, which is filled in last, is there and reaches the end of the file."""
    _require(file.read(4) == b"\x1aE\xdf\xa3", "no Matroska signature")
    file.seek(_ebml_length(file)[0], os.SEEK_CUR)
    _require(file.read(4) == b"\x18S\x80g", "no segment in the movie")
    length, known = _ebml_length(file)
    _require(known and file.tell() + length == size, "the movie was not finished")


def _mxf(file: BinaryIO, size: int) -> None:
    """Key and length of one part after another, to the very end, with a footer among them."""
    end, footer = 0, False
    while end < size:
        file.seek(end)
        key = file.read(16)
        _require(key[:4] == b"\x06\x0e\x2b\x34", "the movie was not finished")
        footer = footer or key[13:14] == b"\x04"
        first = file.read(1)[0]
        more = first & 0x7F if first & 0x80 else 0
        length = int.from_bytes(file.read(more)) if more else first
        end = file.tell() + length
    _require(end == size and footer, "the movie was not finished")


def _dpx(file: BinaryIO, size: int) -> None:
    """The file has the size that its header says."""
    order = {b"SDPX": ">", b"XPDS": "<"}[file.read(4)]
    file.seek(16)
    _require(_unpack(file, order + "I")[0] <= size, "pixels of the DPX are missing")


def _ebml_length(file: BinaryIO) -> tuple[int, bool]:
    """A length of 1 to 8 bytes, and whether it is known: all ones say that it is not."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    value = int.from_bytes(bytes([first & (0x7F >> more)]) + file.read(more), "big")
    return value, value != 2 ** (7 * (more + 1)) - 1


def _npy(file: BinaryIO, size: int) -> None:
    version = np.lib.format.read_magic(file)
    read_header = {1: np.lib.format.read_array_header_1_0}.get(
        version[0], np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    expected = file.tell() + dtype.itemsize * int(np.prod(shape, dtype=object))
    _require(size >= expected, f"{size} of {expected} bytes of the array")


def _zip(file: BinaryIO, size: int) -> None:
    try:
        damaged = zipfile.ZipFile(file).testzip()
    except (zipfile.BadZipFile, zlib.error) as error:
        raise NotWholeError("the archive has no end") from error
    _require(damaged is None, f"{damaged} in the archive is damaged")


def _safetensors(file: BinaryIO, size: int) -> None:
    header = _unpack(file, "<Q")[0]
    _require(8 + header <= size, "the header of the tensors is cut off")
    tensors = json.loads(file.read(header))
    tensors.pop("__metadata__", None)
    ends = [tensor["data_offsets"][1] for tensor in tensors.values()]
    expected = 8 + header + max(ends, default=0)
    _require(size == expected, f"{size} of {expected} bytes of the tensors")


_CHECKS: dict[str, Callable[[BinaryIO, int], None]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".exr": _exr,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".mp4": _mp4,
    ".mov": _mp4,
    ".mkv": _mkv,
    ".mka": _mkv,
    ".webm": _mkv,
    ".mxf": _mxf,
    ".dpx": _dpx,
    ".npy": _npy,
    ".npz": _zip,
    ".safetensors": _safetensors,
}
