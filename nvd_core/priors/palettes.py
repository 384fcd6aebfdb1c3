"""Pictures of a palette: which of its entries every pixel has, as the id of an object."""

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np

from nvd_core.runtime.errors import NvdError

_PNG, _GIF = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
_INDEXED = 3
"""PNG's colour type, and TIFF's photometric interpretation, of palettes"""
_PHOTOMETRIC = 262


def is_indexed(path: Path) -> bool:
    """Whether a file is a PNG, TIFF or BMP of a palette, or a GIF."""
    with path.open("rb") as file:
        head = file.read(30)
        if head.startswith(_PNG):
            return head[25:26] == bytes([_INDEXED])
        if head[:2] == b"BM":
            return 0 < struct.unpack_from("<H", head, 28)[0] <= 8 if len(head) == 30 else False
        if head[:4] in (b"II*\0", b"MM\0*"):
            return _photometric(file, "<" if head[:1] == b"I" else ">", head) == _INDEXED
    return head[:6] in _GIF


def _photometric(file, order: str, head: bytes) -> int | None:
    """What the first directory of an open TIFF says of its samples."""
    file.seek(struct.unpack_from(order + "I", head, 4)[0])
    count = struct.unpack(order + "H", file.read(2).ljust(2, b"\0"))[0]
    entries = file.read(12 * count)
    for place in range(0, len(entries) - 11, 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", entries, place)
        if tag == _PHOTOMETRIC:
            return value
    return None


def palette_ids(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The palette's index of every pixel, uint8 [H, W], and its colours, uint8 [N, 3].

    NvdError where the file is damaged, or of a kind of palette that is not known here.
    """
    data = path.read_bytes()
    if data[:6] in _GIF:
        from nvd_core.media.images import read_image

        table = gif_colours(path)
        return ids_of_colours(read_image(path), table, path), table
    kind = "png" if data.startswith(_PNG) else "bmp" if data[:2] == b"BM" else "tiff"
    try:
        decoder: Any = av.CodecContext.create(kind, "r")
        frames = decoder.decode(av.Packet(data)) or decoder.decode(None)
        if frames and frames[0].format.name == "pal8":
            ids, palette = frames[0].to_ndarray()
            return ids, palette[:, 1:]  # A, R, G, B
    except av.FFmpegError:
        pass
    raise NvdError(
        f"the palette of {path} cannot be read",
        expected="an indexed PNG, TIFF or BMP of up to 8 bits",
        remedy="save it as an indexed PNG, or paint the object white on black",
    )


def gif_colours(path: Path) -> np.ndarray:
    """The table of colours of a GIF, uint8 [N, 3], that of its first picture where it has none."""
    data = path.read_bytes()
    flags, place = data[10], 13
    if not flags & 0x80:
        place = data.find(b",", place) + 10
        flags = data[place - 1]
    count = 2 << (flags & 7)
    return np.frombuffer(data[place : place + 3 * count], np.uint8).reshape(-1, 3)


def ids_of_colours(frame: np.ndarray, table: np.ndarray, path: Path) -> np.ndarray:
    """The places in `table` of the colours of a frame, uint8 [H, W]; 0 where it is transparent.

    FFmpeg and OpenImageIO give the colours of a GIF alone. NvdError where one is not in the table.
    """
    keys = _keys(table)
    known, first = np.unique(keys, return_index=True)
    wanted = _keys(frame[..., :3])
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    shown = frame[..., 3] > 0 if frame.shape[2] == 4 else np.ones(wanted.shape, bool)
    if (known[place] != wanted)[shown].any():
        raise NvdError(
            f"{path} has several tables of colours, and no ids",
            expected="one table for all of its pictures",
            remedy="give indexed PNGs, or a mask white on black",
        )
    return np.where(shown, first[place], 0).astype(np.uint8)


def _keys(colours: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    return (red << 16) | (green << 8) | blue
