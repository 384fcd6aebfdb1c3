"""A reader of the engine's maps in plain numpy, for threads, where Blender's own must not be used.

Blender shows a multi-layer EXR to nodes only, not to scripts. This reads what the engine writes:
scan lines, one part, PXR24, ZIP, ZIPS or no compression, half and float channels. Plain Python, no
bpy. The format: https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..blender.inside import open_file

_LINES = {0: 1, 2: 1, 3: 16, 5: 16}  # compression: lines a block
_PXR24 = 5
_HALF, _FLOAT = 1, 2
_LARGEST = 1 << 15  # pixels a side; more is a damaged file
_MOST_PIXELS = 1 << 26
_MOST_CHANNELS = 1 << 10
_MOST_HEADER = 1 << 20  # bytes
_MOST_BYTES = 1 << 31  # of a file, and of what is read of it
MAGIC = struct.pack("<I", 20000630)


class MapsError(Exception):
    """A file of maps that cannot be read."""


class ExrError(MapsError):
    """A file that this reader cannot read."""


def read_channels(
    path: str | Path,
    names: list[str],
    optional: tuple[str, ...] = (),
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The channels `names` of a file, float32 [C, H, W], top row first; ExrError otherwise.

    Those in `optional` are 0 where the file lacks them. `size` (width, height) is what it should
    have, looked at before memory is taken. Values that are not finite are refused.
    """
    with _as_exr_errors(path):
        if Path(path).stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        data = _whole(path)
        header, place = _header(data)
        found = header["width"], header["height"]
        if size is not None and found != tuple(size):
            raise ValueError(f"{found[0]} x {found[1]}, which is not the size of the clip")
        if 4 * len(names) * found[0] * found[1] > _MOST_BYTES:
            raise ValueError(f"{found[0]} x {found[1]} pixels are too many")
        pixels = _pixels(data, place, header, names, optional)
        if not np.isfinite(pixels).all():
            raise ValueError("NaN or infinity in it")
        return pixels


def read_size(path: str | Path) -> tuple[int, int]:
    """Width and height that a file claims, of any compression; ExrError for nonsense."""
    with _as_exr_errors(path):
        with open_file(Path(path)) as file:
            head = file.read(1 << 12)
            try:
                attributes, _ = _attributes(head)
            except (IndexError, struct.error, ValueError):  # a long header, or a damaged one
                attributes, _ = _attributes(head + file.read(_MOST_HEADER))
        return _window(attributes)[2:]


def _whole(path: str | Path) -> bytes:
    with open_file(Path(path)) as file:
        return file.read()


@contextmanager
def _as_exr_errors(path: str | Path) -> Iterator[None]:
    """Whatever is wrong with the file is an ExrError that names it."""
    try:
        yield
    except OSError as error:
        raise ExrError(f"{path} cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise ExrError(f"{path} cannot be read (there is no memory for it)") from error
    except (struct.error, IndexError, ValueError, KeyError, zlib.error, OverflowError) as error:
        raise ExrError(f"{path} cannot be read ({str(error)[:200]})") from error


def _header(data: bytes) -> tuple[dict, int]:
    """The attributes that matter, and where the table of blocks begins."""
    _, version = struct.unpack_from("<II", data)
    if version & 0x1A00:
        raise ValueError("no EXR of one part in scan lines")
    attributes, place = _attributes(data)
    _, top, width, height = _window(attributes)
    compression = attributes["compression"][0]
    if compression not in _LINES:
        raise ValueError(f"compression {compression} is not one that the engine writes")
    header = {"width": width, "height": height, "top": top, "compression": compression}
    return header | {"channels": _channels(attributes["channels"])}, place


def _attributes(data: bytes) -> tuple[dict[str, bytes], int]:
    """What the first header says, and where it ends."""
    if not data.startswith(MAGIC):
        raise ValueError("no EXR" if data else "it is empty")
    attributes, place = {}, 8
    while data[place]:
        name, place = _text(data, place)
        _kind, place = _text(data, place)
        size = struct.unpack_from("<i", data, place)[0]
        if not 0 <= size <= _MOST_HEADER:
            raise ValueError(f"an attribute of {size} bytes")
        attributes[name] = data[place + 4 : place + 4 + size]
        place += 4 + size
    return attributes, place + 1


def _window(attributes: dict[str, bytes]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the picture."""
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    sane = 0 < width <= _LARGEST and 0 < height <= _LARGEST and width * height <= _MOST_PIXELS
    if not sane:
        raise ValueError(f"a size of {width} x {height}")
    return left, top, width, height


def _channels(data: bytes) -> list[tuple[str, int]]:
    """Name and type of each channel, in the order of the file."""
    channels, place = [], 0
    while data[place]:
        name, place = _text(data, place)
        kind, _linear, across, down = struct.unpack_from("<iB3xii", data, place)
        if kind not in (_HALF, _FLOAT) or (across, down) != (1, 1):
            raise ValueError(f"channel {name} is neither half nor float at full size")
        channels.append((name, kind))
        place += 16
        if len(channels) > _MOST_CHANNELS:
            raise ValueError(f"more than {_MOST_CHANNELS} channels")
    return channels


def _text(data: bytes, place: int) -> tuple[str, int]:
    end = data.index(b"\0", place)
    return data[place:end].decode("utf-8"), end + 1


def _pixels(
    data: bytes, table: int, header: dict, names: list[str], optional: tuple[str, ...]
) -> np.ndarray:
    width, height, compression = header["width"], header["height"], header["compression"]
    stored = dict(header["channels"])
    missing = [name for name in names if name not in stored]
    lacking = [name for name in missing if name not in optional]
    if lacking:
        raise KeyError(f"no channel {lacking[0]}")
    step = _LINES[compression]
    blocks = -(-height // step)
    if len(data) < table + 8 * blocks + 8:
        raise ValueError("the file ends too early")
    out = np.empty((len(names), height, width), np.float32)
    out[[names.index(name) for name in missing]] = 0
    seen = set()
    for start in struct.unpack_from(f"<{blocks}Q", data, table):
        first, size = struct.unpack_from("<ii", data, start)
        first -= header["top"]
        lines = min(step, height - first)
        if not 0 <= first < height or first % step or first in seen:
            raise ValueError("a block lies outside the picture, or twice in it")
        if size < 0:
            raise ValueError(f"a block of {size} bytes")
        seen.add(first)
        packed = data[start + 8 : start + 8 + size]
        for name, values in _block(packed, lines, width, header):
            if name in names:
                out[names.index(name), first : first + lines] = values
    return out


def _block(packed: bytes, lines: int, width: int, header: dict):
    """Yield the name and the values [lines, width] of each channel of a block."""
    compression, channels = header["compression"], header["channels"]
    plain = sum(2 * kind for _, kind in channels) * width * lines
    smaller = sum(3 if kind == _FLOAT else 2 for _, kind in channels) * width * lines
    if compression == _PXR24 and len(packed) < plain:
        raw = np.frombuffer(_inflated(packed, smaller), np.uint8)
        rows = raw.reshape(lines, smaller // lines)
        place = 0
        for name, kind in channels:
            count = 3 if kind == _FLOAT else 2
            planes = rows[:, place : place + count * width].reshape(lines, count, width)
            place += count * width
            yield name, _from_differences(planes, kind)
        return
    if compression and len(packed) < plain:
        packed = _unzipped(packed, plain)
    rows = np.frombuffer(packed, np.uint8).reshape(lines, plain // lines)
    place = 0
    for name, kind in channels:
        part = np.ascontiguousarray(rows[:, place : place + 2 * kind * width])
        place += 2 * kind * width
        yield name, part.view("<f2" if kind == _HALF else "<f4")


def _inflated(packed: bytes, size: int) -> bytes:
    """`size` bytes; a few packed ones could give any number, and all the memory."""
    data = zlib.decompressobj().decompress(packed, size + 1)
    if len(data) != size:
        raise ValueError("a block that holds more or less than it should")
    return data


def _from_differences(planes: np.ndarray, kind: int) -> np.ndarray:
    """PXR24: each plane holds a byte of the differences along the line, the high one first."""
    if kind == _HALF:
        steps = planes[:, 0].astype(np.uint16) << 8 | planes[:, 1]
        return np.cumsum(steps, axis=1, dtype=np.uint16).view(np.float16)
    steps = planes[:, 0].astype(np.uint32) << 24
    steps |= planes[:, 1].astype(np.uint32) << 16
    steps |= planes[:, 2].astype(np.uint32) << 8
    return np.cumsum(steps, axis=1, dtype=np.uint32).view(np.float32)


def _unzipped(packed: bytes, size: int) -> bytes:
    """ZIP: differences from byte to byte, the even bytes first, then the odd ones."""
    steps = np.frombuffer(_inflated(packed, size), np.uint8)
    # each byte is the sum of the steps so far, less 128 for each but the first
    sums = np.cumsum(steps, dtype=np.uint64) - 128 * np.arange(len(steps), dtype=np.uint64)
    halves = sums.astype(np.uint8)
    middle = (len(halves) + 1) // 2
    out = np.empty_like(halves)
    out[0::2], out[1::2] = halves[:middle], halves[middle:]
    return out.tobytes()
