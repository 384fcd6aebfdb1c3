"""How large an image is that a file claims to hold, told before Blender takes memory for it.

A damaged header may claim 2^31 pixels, and Blender believes it. Plain Python, no bpy.
"""

import struct
from pathlib import Path

from ..blender.inside import open_file
from ..errors import AddonError
from .exr import MAGIC as EXR
from .exr import ExrError, read_size

MOST_PIXELS = 1 << 26
"""of an image: 8192 x 8192, which Blender holds in 1 GB at most"""
MOST_SIDE = 1 << 15
_READ = 1 << 16
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_KINDS = {".png": _PNG, ".exr": EXR, ".jpg": _JPEG, ".jpeg": _JPEG}
_AGAIN = "copy it again; it may be damaged"


def check_image(path: Path, error: type[AddonError], size: tuple[int, int] | None = None) -> None:
    """`error` where `path` is no image Blender can be given, or not of `size` (width, height)."""
    try:
        with open_file(path) as file:
            head = file.read(_READ)
        begins = _KINDS.get(path.suffix.lower())
        if begins and head and not head.startswith(begins):
            raise ValueError(f"it does not begin as {path.suffix[1:].upper()} does")
        width, height = _size(head, path)
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror})", _AGAIN) from reason
    except (ExrError, struct.error, ValueError, IndexError) as reason:
        raise error(f"{path} is no image that can be read ({reason})", _AGAIN) from reason
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        raise error(
            f"{path} says that it is {width} x {height} pixels; {MOST_PIXELS} is the most",
            "make it smaller, or copy it again if it is damaged",
        )
    if size is not None and (width, height) != tuple(size):
        raise error(
            f"{path} is {width} x {height} pixels, not {size[0]} x {size[1]} as the manifest says",
            "copy the whole folder again",
        )


def _size(head: bytes, path: Path) -> tuple[int, int]:
    if head.startswith(_PNG):
        if head[12:16] != b"IHDR":
            raise ValueError("a PNG without a header")
        return struct.unpack_from(">II", head, 16)
    if head.startswith(EXR):
        return read_size(path)
    if head.startswith(_JPEG):
        return _size_of_jpeg(head)
    if head[:4] in _TIFF:
        return _size_of_tiff(path, _TIFF[head[:4]])
    raise ValueError("neither PNG, EXR, TIFF nor JPEG" if head else "it is empty")


def _size_of_jpeg(head: bytes) -> tuple[int, int]:
    place = 2
    while head[place] == 0xFF:
        mark = head[place + 1]
        (length,) = struct.unpack_from(">H", head, place + 2)
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, place + 5)
            return width, height
        place += 2 + length
    raise ValueError("a JPEG without a size")


def _size_of_tiff(path: Path, order: str) -> tuple[int, int]:
    with open_file(path) as file:
        (start,) = struct.unpack(order + "I", file.read(8)[4:])
        file.seek(start)
        (count,) = struct.unpack(order + "H", file.read(2))
        entries = file.read(12 * count)
    sizes = {}
    for place in range(0, len(entries) - 11, 12):
        tag, kind = struct.unpack_from(order + "HH", entries, place)
        if tag in (256, 257):
            sizes[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), entries, place + 8)
    if len(sizes) < 2:
        raise ValueError("a TIFF without a size")
    return sizes[256][0], sizes[257][0]
