"""The plain PNG reader: what it reads is right, and what is not sound is left to OpenImageIO."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from nvd_core.media.fast_png import read_plain_png


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(packed: bytes, width: int = 8, height: int = 6) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


LINES = np.random.default_rng(3).integers(0, 256, (6, 25), np.uint8)
LINES[:, 0] = 0  # no filter


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_are_those_that_were_written(tmp_path, dtype):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, (37, 53, 3)).astype(dtype)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    found = read_plain_png(tmp_path / "a.png")
    assert found.dtype == dtype and (found == pixels).all()


def test_lines_without_filter(tmp_path):
    (tmp_path / "a.png").write_bytes(png(zlib.compress(LINES.tobytes())))
    assert (read_plain_png(tmp_path / "a.png").reshape(6, 24) == LINES[:, 1:]).all()


@pytest.mark.parametrize(
    "packed",
    [
        zlib.compress(LINES[:4].tobytes()),
        zlib.compress(LINES.tobytes())[:-30],
        zlib.compress(LINES.tobytes())[:-4] + b"none",
        zlib.compress(np.where(np.arange(25) == 0, 9, LINES).astype(np.uint8).tobytes()),
        b"no zlib at all" * 9,
    ],
    ids=["too few lines", "cut off", "another sum", "an unknown filter", "not packed"],
)
def test_what_is_not_sound_is_left_to_others(tmp_path, packed):
    (tmp_path / "a.png").write_bytes(png(packed))
    assert read_plain_png(tmp_path / "a.png") is None


@pytest.mark.parametrize("spoil", ["cut", "checksum", "grey", "none"])
def test_other_files_are_left_to_others(tmp_path, spoil):
    data = png(zlib.compress(LINES.tobytes()))
    if spoil == "cut":
        data = data[:-20]
    if spoil == "checksum":
        data = data.replace(b"IDAT", b"IDAX")
    if spoil == "grey":
        cv2.imwrite(str(tmp_path / "a.png"), LINES)
        data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data if spoil != "none" else b"")
    assert read_plain_png(tmp_path / "a.png") is None
