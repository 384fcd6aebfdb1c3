"""A reader of the engine's files of compact maps: the bytes of one frame, found and checked.

The form: docs/reference/decomposition-folder.md, Compact maps. node_maps.py takes the bytes apart.
Plain Python, no bpy, for threads.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..blender.inside import open_file
from .exr import MapsError
from .folder import Shot

MAGIC = b"nvd.maps"
SCHEMA = "nvd.maps"
VERSION = 1
FRAMES = 16
"""of a file, but for the last"""
ORIGINALS = "unpinned"
"""the folder beside the maps with the EXR of pinned frames as they were"""
_MOST_HEADER = 1 << 20
_MOST_BLOCK = 1 << 30
_MOST_PLACE = 1 << 48


@dataclass(frozen=True)
class Block:
    """A frame's bytes, and the layers that are in it, front to back."""

    data: bytes
    layers: tuple[str, ...]


def chunk(shot: Shot, t: int) -> Path | None:
    """The file that holds frame `t` in compact form; None where there is none.

    Pinned frames were written anew as EXR alone.
    """
    exr = shot.map(t)
    path = exr.parent / f"{t // FRAMES * FRAMES:05d}.nodes"
    if not _is_file(path) or _is_file(exr.parent / ORIGINALS / exr.name):
        return None
    return path


def read_block(path: Path, t: int, size: tuple[int, int]) -> Block:
    """The bytes of frame `t` in `path`, whose clip is of `size`, (width, height).

    MapsError where they are missing, damaged or of another clip.
    """
    with as_maps_errors(path), open_file(path) as file:
        start = file.read(len(MAGIC) + 4)
        if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
            raise ValueError("it is no file of compact maps")
        (length,) = struct.unpack("<I", start[len(MAGIC) :])
        if length > _MOST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = json.loads(file.read(length).decode("utf-8"))
        layers = _checked(header, t, size)
        offset, count, checksum = _place(header["blocks"], t % FRAMES)
        file.seek(len(MAGIC) + 4 + length + offset)
        data = file.read(count)
        if len(data) < count:
            raise ValueError(f"frame {t} is cut off")
        if zlib.crc32(data) != checksum:
            raise ValueError(f"frame {t} is not as it was written: its checksum differs")
        return Block(data, layers)


@contextmanager
def as_maps_errors(path: Path) -> Iterator[None]:
    """Whatever is wrong with the file is a MapsError that names it."""
    try:
        yield
    except OSError as error:
        raise MapsError(f"{path} cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise MapsError(f"{path} cannot be read (there is no memory for it)") from error
    except (
        struct.error,
        IndexError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        zlib.error,
    ) as error:
        raise MapsError(f"{path} cannot be read ({str(error)[:200]})") from error


def _checked(header: dict, t: int, size: tuple[int, int]) -> tuple[str, ...]:
    """The layers' names, where the header fits the clip; ValueError elsewhere."""
    if header.get("schema") != SCHEMA:
        raise ValueError("it is no file of compact maps")
    version = header["version"]
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(f"version {str(version)[:20]}, while this extension knows {VERSION}")
    found = header["width"], header["height"]
    if found != tuple(size):
        raise ValueError(f"{str(found)[:40]}, which is not the size of the clip")
    if header["first"] != t // FRAMES * FRAMES:
        raise ValueError("it has frames of another file")
    return tuple(layer["name"] for layer in header["layers"])


def _place(blocks: list, number: int) -> tuple[int, int, int]:
    """Where behind the header a frame begins, how many bytes it has, and their CRC-32."""
    if number >= len(blocks):
        raise ValueError("the frame is not in it")
    values = tuple(blocks[number][key] for key in ("offset", "size", "checksum"))
    most = _MOST_PLACE, _MOST_BLOCK, (1 << 32) - 1
    if not all(type(v) is int and 0 <= v <= m for v, m in zip(values, most, strict=True)):
        raise ValueError("a frame lies at no place")
    return values


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
