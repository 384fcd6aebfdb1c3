"""Masks of several objects, in every kind of file that has ids or colours: never read as greys."""

import struct
import zlib

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip
from nvd_core.media.images import write_image
from nvd_core.priors.masks import load_masks
from nvd_core.runtime.errors import NvdError

T, H, W = 4, 33, 47
GIF_IDS = (0b00011100, 0b11100000)  # green and red, of three bits, three, and two of blue
COLOURS = np.uint8([[0, 0, 0], [200, 30, 30], [30, 200, 30]])


def ids(t):
    image = np.zeros((H, W), np.uint8)
    image[5:15, 5 + t : 20 + t] = 1
    image[20:30, 20:30] = 2
    return image


@pytest.fixture
def info(tmp_path):
    for t in range(T):
        write_image(tmp_path / "clip" / f"s.{1001 + t}.png", np.full((H, W, 3), t, np.uint8))
    return open_clip(tmp_path / "clip").info


def bmp(image):
    """A BMP of 8 bits and a palette."""
    rows = np.pad(image[::-1], ((0, 0), (0, -W % 4))).tobytes()
    palette = b"".join(bytes([*colour[::-1], 0]) for colour in COLOURS.tolist()).ljust(1024, b"\0")
    head = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 8, 0, len(rows), 0, 0, 256, 0)
    place = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", place + len(rows), 0, 0, place) + head + palette + rows


def tiff(image):
    """A TIFF of 8 bits and a palette."""
    table = np.zeros((3, 256), np.uint16)
    table[:, :3] = COLOURS.T.astype(np.uint16) * 257
    data = image.tobytes().ljust(H * W + H * W % 2, b"\0")
    place = 8 + len(data)
    entries = [(256, 4, 1, W), (257, 4, 1, H), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 3)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, H), (279, 4, 1, H * W)]
    entries += [(320, 3, 768, place + 2 + 12 * 10 + 4)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", place) + data + struct.pack("<H", len(entries))
    return head + directory + bytes(4) + table.tobytes()


def png(image):
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 3, 0, 0, 0)), (b"PLTE", COLOURS.tobytes())]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def gif(path, images):
    """A GIF of these pictures in FFmpeg's fixed table of colours."""
    with av.open(str(path), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=25)
        stream.height, stream.width, stream.pix_fmt = H, W, "rgb8"
        for image in images:
            colours = np.uint8([0, *GIF_IDS])[image]
            frame = av.VideoFrame(W, H, "rgb8")
            plane = np.zeros((H, frame.planes[0].line_size), np.uint8)
            plane[:, :W] = colours
            frame.planes[0].update(plane.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def check(source, info, objects=(1, 2)):
    """Without an id all are listed; with one its object alone is the mask."""
    with pytest.raises(NvdError, match="several objects, by their ids") as caught:
        load_masks([("dog", source)], info)
    assert f"the ids {objects[0]}, {objects[1]} in" in caught.value.found
    for n, number in enumerate(objects, 1):
        (mask,) = load_masks([("dog", f"{source}#{number}")], info)
        for t in range(T):
            np.testing.assert_array_equal(mask.read(t) > 0, ids(t) == n)
    with pytest.raises(NvdError, match="has no object 77"):
        load_masks([("dog", f"{source}#77")], info)


@pytest.mark.parametrize("kind", [bmp, tiff, png], ids=lambda kind: kind.__name__)
def test_palettes(tmp_path, info, kind):
    suffix = f".{kind.__name__}"
    (tmp_path / "m").mkdir()
    for t in range(T):
        (tmp_path / "m" / f"m.{1001 + t}{suffix}").write_bytes(kind(ids(t)))
    check(tmp_path / "m", info)
    check(tmp_path / "m" / f"m.%04d{suffix}", info)


def test_a_moving_gif(tmp_path, info):
    check(gif(tmp_path / "m.gif", map(ids, range(T))), info, GIF_IDS)


def test_grey_ids_and_those_of_an_exr(tmp_path, info, media_files):
    for t in range(T):
        write_image(tmp_path / "grey" / f"m.{1001 + t}.png", ids(t))
        channels = media_files.named(media_files.ramp(t, H, W))
        channels |= {"ViewLayer.IndexOB.X": ids(t).astype(np.float32)}
        media_files.write_exr(tmp_path / "exr" / f"m.{1001 + t}.exr", channels)
    check(tmp_path / "grey", info)
    check(f"{tmp_path / 'exr' / 'm.%04d.exr'}:IndexOB.X", info)


def test_flat_colours_are_refused_and_pictures_are_said(tmp_path, info, media_files):
    for t in range(T):
        media_files.write_png(tmp_path / "flat" / f"m.{1001 + t}.png", COLOURS[ids(t)])
        one = np.where(ids(t) == 1, 1, 0)
        media_files.write_png(tmp_path / "one" / f"m.{1001 + t}.png", COLOURS[one])
        picture = media_files.integers(media_files.ramp(t, H, W), "uint8")
        media_files.write_png(tmp_path / "picture" / f"m.{1001 + t}.png", picture)
    with pytest.raises(NvdError, match="has 2 colours, as of several objects"):
        load_masks([("dog", tmp_path / "flat")], info)
    (mask,) = load_masks([("dog", tmp_path / "one")], info)
    assert not mask.cautions
    np.testing.assert_array_equal(mask.read(0) > 0, ids(0) == 1)
    (mask,) = load_masks([("dog", tmp_path / "picture")], info)
    assert any("its brightness is taken" in text for text in mask.cautions)


def test_numbered_gifs_are_a_sequence(tmp_path, info):
    for t in range(T):
        gif(tmp_path / f"m.{1001 + t}.gif", [ids(t)])
    check(tmp_path / "m.%04d.gif", info, GIF_IDS)
    check(tmp_path / "m.####.gif", info, GIF_IDS)
    take = gif(tmp_path / "take#2.gif", map(ids, range(T)))
    assert open_clip(take).info.frames == T  # a letter in the name of one that is there


def test_a_soft_mask_that_is_faint_at_first_is_no_picture_of_ids(tmp_path, info):
    for t in range(T):
        soft = np.uint8([0, 20, 40])[ids(t)] if t != 1 else np.uint8([0, 90, 255])[ids(t)]
        write_image(tmp_path / "m" / f"m.{1001 + t}.png", soft)
    (mask,) = load_masks([("dog", tmp_path / "m")], info)
    assert mask.read(0).max() == 40 and mask.read(1).max() == 255
