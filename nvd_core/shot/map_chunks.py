"""Files of compact maps: some frames each, any of which can be read alone.

The eight bytes MAGIC, the length of the header as uint32, the header as JSON, and the frames'
blocks one behind the other (node_bytes.py). Little endian.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

from deflate import crc32

from nvd_core.runtime.declared import JSON, Fault, Name, read, within
from nvd_core.runtime.documents import Unreadable, parse_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.reading import reading
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_SIDE, check_bytes, check_image

MAGIC = b"nvd.maps"
SCHEMA = "nvd.maps"
VERSION = 1
FRAMES = 16
"""of a file in a finished folder, but for the last"""
SUFFIX = ".nodes"
MOST_HEADER = 1 << 20
MOST_BLOCK = 1 << 30
REMEDY = "copy the file again, or make it again with `nvd maps --compact`"
_BYTES_A_PIXEL = 24
"""of a layer's maps, unpacked"""


@dataclass(frozen=True)
class ChunkLayer:
    """A layer, and the size of the texture for which its places are rounded."""

    name: Name
    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]


@dataclass(frozen=True)
class Block:
    """Where a frame's bytes lie behind the header, and their CRC-32."""

    offset: Annotated[int, within(0, 2**48)]
    size: Annotated[int, within(1, MOST_BLOCK)]
    checksum: Annotated[int, within(0, 2**32 - 1)]


@dataclass(frozen=True)
class Header:
    """What a file says of its frames."""

    schema: str
    version: int
    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]
    first: Annotated[int, within(0, MOST_FRAMES)]
    layers: tuple[ChunkLayer, ...]
    added: bool
    blocks: tuple[Block, ...]


def chunk_name(t: int, frames: int = FRAMES) -> str:
    """The file's name in which frame `t` lies, where each has so many `frames`."""
    return f"{t // frames * frames:05d}{SUFFIX}"


def write_chunk(path: Path, header: Header, blocks: list[bytes]) -> None:
    """Write the frames from `header.first` on, beside and renamed; its `blocks` are made here."""
    offset, places = 0, []
    for block in blocks:
        places.append({"offset": offset, "size": len(block), "checksum": crc32(block)})
        offset += len(block)
    value = _as_json(header) | {"blocks": places}
    text = json.dumps(value, separators=(",", ":")).encode()
    with written_beside(path) as temporary, temporary.open("wb") as file:
        file.write(MAGIC + struct.pack("<I", len(text)) + text)
        for block in blocks:
            file.write(block)


def new_header(
    first: int, width: int, height: int, layers: list[tuple[str, tuple[int, int]]], added: bool
) -> Header:
    """The header of a file that is to be written."""
    named = tuple(ChunkLayer(name, *texture) for name, texture in layers)
    return Header(SCHEMA, VERSION, width, height, first, named, added, ())


def read_block(path: Path, t: int) -> tuple[Header, bytes]:
    """The bytes of frame `t` in the file `path`; NvdError where it is missing or damaged.

    The checksum is compared here, and what the frame claims to be with what its bytes can hold.
    """
    with reading(path, "the maps", REMEDY), Path(path).open("rb") as file:
        header, begin = _read_header(path, file)
        block = _block(header, t)
        check_image(path, header.width, header.height, 1, 1)
        claimed = header.width * header.height * len(header.layers) * _BYTES_A_PIXEL
        check_bytes(path, 0, block.size, MOST_BLOCK)
        if claimed > 1 << 33:
            raise Unreadable(f"{claimed} bytes of maps")
        file.seek(begin + block.offset)
        data = file.read(block.size)
        if len(data) < block.size:
            raise Unreadable(f"frame {t} is cut off")
        if crc32(data) != block.checksum:
            raise Unreadable(f"frame {t} is not as it was written: its checksum differs")
    return header, data


def block_checksum(path: Path, t: int) -> int:
    """What the file `path` says that the bytes of frame `t` are; NvdError as `read_block`.

    They are not read: whoever uses them finds out whether they are damaged.
    """
    with reading(path, "the maps", REMEDY), Path(path).open("rb") as file:
        return _block(_read_header(path, file)[0], t).checksum


def _block(header: Header, t: int) -> Block:
    number = t - header.first
    if not 0 <= number < len(header.blocks):
        raise Unreadable(f"frame {t} is not in it")
    return header.blocks[number]


def _read_header(path: Path, file: BinaryIO) -> tuple[Header, int]:
    """The header, and where in the file its blocks begin."""
    start = file.read(len(MAGIC) + 4)
    if len(start) < len(MAGIC) + 4 or not start.startswith(MAGIC):
        raise Unreadable("it is no file of compact maps")
    (length,) = struct.unpack("<I", start[len(MAGIC) :])
    if length > MOST_HEADER:
        raise Unreadable(f"a header of {length} bytes")
    return _header(path, file.read(length)), len(start) + length


def _header(path: Path, text: bytes) -> Header:
    value = parse_json(text.decode("utf-8"))
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise Unreadable("it is no file of compact maps")
    version = value.get("version")
    if type(version) is int and version > VERSION:
        raise NvdError(
            f"{path} was written by a newer program",
            expected=f"{SCHEMA} of version {VERSION} or older",
            found=f"version {shown(version, 20)}",
            remedy="update this program, or remove the file where maps/ has EXR files too",
        )
    try:
        header: Header = read(Header, value, JSON, complete=True)
    except Fault as fault:
        raise Unreadable(f"{fault.key or 'the header'}: {fault.what}") from fault
    return header


def _as_json(header: Header) -> dict:
    layers = [{"name": r.name, "width": r.width, "height": r.height} for r in header.layers]
    return {
        "schema": header.schema,
        "version": header.version,
        "width": header.width,
        "height": header.height,
        "first": header.first,
        "layers": layers,
        "added": header.added,
    }
