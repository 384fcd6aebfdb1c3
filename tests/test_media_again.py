"""Kinds of image files that were read as something else without a word: refused, kept, or said."""

import base64
import struct

import numpy as np
import OpenImageIO as oiio
import pytest

from nvd_core.editing.render import render
from nvd_core.media.clip import Reading, open_clip
from nvd_core.media.images import read_stored
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress

SIZE = 33, 47  # odd, as crops are


def write(path, pixels, kind, alpha=None, page=0, **said):
    """An image by OpenImageIO itself, which changes no value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = oiio.ImageSpec(*pixels.shape[1::-1], pixels.shape[2], kind)
    for name, value in said.items():
        spec.attribute(name.replace("__", ":"), value)
    if alpha is not None:
        spec.alpha_channel = alpha
    output = oiio.ImageOutput.create(str(path))
    for n in range(page + 1):
        assert output.open(str(path), spec, "AppendSubimage" if n else "Create")
        assert output.write_image(np.ascontiguousarray(pixels))
    assert output.close()
    return path


# 24 x 17 of one mixture of inks, of a program that writes CMYK
CMYK_JPEG = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3"
    "OFBtUVdfYmdoZz5NcXlwZHhcZWdj/8AAFAgAEQAYBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAF"
    "Bv/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8A2KmnNYAAAAAAAAAAD//Z"
)


def tiff(path, photometric, samples):
    """A plain TIFF of 8 bits with this number for what its samples are."""
    height, width = SIZE
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, samples),
        (278, 4, height),
        (279, 4, height * width * samples),
    ]
    if samples > 2:  # of 8 bits each; they do not fit into the entry
        entries[2] = (258, 3, None)
    data = bytes(range(256)) * (height * width * samples // 256 + 1)
    data = data[: height * width * samples + height * width * samples % 2]
    place = 8 + len(data)
    after = place + 2 + 12 * len(entries) + 4
    ifd = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        if value is None:
            ifd += struct.pack("<HHII", tag, kind, samples, after)
        elif kind == 3:
            ifd += struct.pack("<HHIHH", tag, kind, 1, value, 0)
        else:
            ifd += struct.pack("<HHII", tag, kind, 1, value)
    bits = struct.pack(f"<{samples}H", *[8] * samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0" + struct.pack("<I", place) + data + ifd + bytes(4) + bits)


def test_a_jpeg_of_inks_is_refused(tmp_path):
    for t in range(2):
        (tmp_path / f"{t}.jpg").write_bytes(CMYK_JPEG)
    with pytest.raises(NvdError, match="is in CMYK") as caught:
        open_clip(tmp_path)
    assert "RGB" in caught.value.remedy


@pytest.mark.parametrize(("photometric", "samples"), [(2, 3), (1, 1), (5, 4), (8, 3)])
def test_a_tiff_of_inks_or_lab_is_refused(tmp_path, photometric, samples):
    for t in range(2):
        tiff(tmp_path / f"{t}.tif", photometric, samples)
    if photometric in (1, 2):  # grey, RGB
        assert next(iter(open_clip(tmp_path))).shape == (*SIZE, 3)
        return
    with pytest.raises(NvdError, match=r"is in (CMYK|CIELAB)"):
        open_clip(tmp_path)


def test_an_exr_of_ids_is_no_picture(tmp_path, media_files):
    ids = np.arange(33 * 47 * 3, dtype=np.uint32).reshape(*SIZE, 3)
    for t in range(2):
        write(tmp_path / f"{t}.exr", ids, "uint")
    with pytest.raises(NvdError, match="whole numbers"):
        open_clip(tmp_path)
    light = media_files.named(media_files.ramp(0, *SIZE))
    media_files.write_exr(tmp_path / "b" / "0.exr", light | {"id.V": ids[..., 0]})
    np.testing.assert_array_equal(
        read_stored(tmp_path / "b" / "0.exr").pixels, np.stack(list(light.values()), -1)
    )
    with pytest.raises(NvdError, match="whole numbers"):
        read_stored(tmp_path / "b" / "0.exr", "id")


def test_a_logarithmic_dpx_is_said_to_be_one(tmp_path, media_files):
    pixels = media_files.integers(media_files.ramp(0, *SIZE), "uint16")
    log = {"oiio__BitsPerSample": 10, "oiio__ColorSpace": "KodakLog"}
    for t in range(2):
        write(tmp_path / "log" / f"{t}.dpx", pixels, "uint16", **log)
        write(tmp_path / "plain" / f"{t}.dpx", pixels, "uint16", oiio__BitsPerSample=10)
    (caution,) = open_clip(tmp_path / "log").info.cautions
    assert "logarithmic" in caution and "--input-space" in caution
    assert not open_clip(tmp_path / "plain").info.cautions
    named = Reading(named=True)  # the user has said what it is
    assert not open_clip(tmp_path / "log", reading=named).info.cautions
    write(tmp_path / "log" / "1.dpx", pixels, "uint16", oiio__BitsPerSample=10)
    with pytest.raises(NvdError, match="differs from the first"):
        list(open_clip(tmp_path / "log"))


def test_premultiplied_float_tiff_comes_back_with_the_light_where_alpha_is_0(tmp_path, media_files):
    sources = []
    for t in range(2):
        image = media_files.ramp(t, *SIZE, alpha=True).astype(np.float32)
        image[..., :3] *= 4  # opaque or not: a glow has light and no alpha
        sources.append(write(tmp_path / "in" / f"{t}.tif", image, "float", alpha=3))
    assert (image[..., 3] == 0).any()
    shot = media_files.shot_of(tmp_path / "in", tmp_path / "shot.nvd")
    assert shot.manifest.clip.picture.alpha == "premultiplied"
    render(shot, tmp_path / "out" / "%d.tif")
    for source in sources:
        own, out = read_stored(source), read_stored(tmp_path / "out" / source.name)
        assert own.alpha == out.alpha == "premultiplied"
        np.testing.assert_array_equal(out.pixels, own.pixels)
        theirs = oiio.ImageBuf(str(tmp_path / "out" / source.name))  # as oiiotool reads it
        np.testing.assert_array_equal(theirs.get_pixels("float"), own.pixels)


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_further_pages_of_a_tiff_are_said(tmp_path, media_files, pages):
    pixels = media_files.integers(media_files.ramp(0, *SIZE), "uint8")
    for t in range(2):
        write(tmp_path / f"{t}.tif", pixels, "uint8", page=pages - 1)
    cautions = open_clip(tmp_path).info.cautions
    assert ["page 2" in text for text in cautions] == [True] * (pages > 1)
    np.testing.assert_array_equal(next(iter(open_clip(tmp_path))), pixels)


def exr_of_chroma(path, channels):
    """An EXR without compression; `channels` are (values, step) by name, pixels apart by step."""

    def attribute(name, kind, content):
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(content)) + content

    height, width = next(iter(channels.values()))[0].shape
    names = sorted(channels)
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<4i", 1, 0, channels[name][1], channels[name][1])
        for name in names
    )
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<ii", 20000630, 2) + attribute("channels", "chlist", listed + b"\0")
    head += attribute("compression", "compression", b"\0") + attribute("dataWindow", "box2i", box)
    head += attribute("displayWindow", "box2i", box) + attribute("lineOrder", "lineOrder", b"\0")
    head += attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += attribute("screenWindowCenter", "v2f", bytes(8))
    head += attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0"
    lines = []
    for y in range(height):
        own = [(values, step) for values, step in map(channels.get, names) if y % step == 0]
        body = b"".join(values[y, ::step].astype("<f2").tobytes() for values, step in own)
        lines.append(struct.pack("<ii", y, len(body)) + body)
    places = np.cumsum([len(head) + 8 * height, *map(len, lines[:-1])]).astype("<u8")
    path.write_bytes(head + places.tobytes() + b"".join(lines))


def test_luminance_and_chroma_of_fewer_pixels_are_named_when_refused(tmp_path, media_files):
    image = media_files.ramp(0, 32, 48)
    exr_of_chroma(tmp_path / "full.exr", {c: (image[..., n], 1) for n, c in enumerate("RGB")})
    np.testing.assert_array_equal(
        read_stored(tmp_path / "full.exr").pixels, image.astype(np.float16)
    )
    for name, letters in (("rgb", "RGB"), ("chroma", ("Y", "RY", "BY"))):
        channels = {c: (image[..., n], 2 if n else 1) for n, c in enumerate(letters)}
        exr_of_chroma(tmp_path / f"{name}.exr", channels)
        with pytest.raises(NvdError, match="luminance and chroma") as caught:
            read_stored(tmp_path / f"{name}.exr")
        assert "as RGB" in caught.value.remedy


class Heard(Progress):
    """A progress that keeps the cautions."""

    def __init__(self):
        super().__init__()
        self.said = []

    def caution(self, text):
        """Keep what is said."""
        self.said.append(text)


def said_by(shot, out, **how):
    """The cautions of a render."""
    heard = Heard()
    render(shot, out, progress=heard, **how)
    return heard.said


@pytest.mark.parametrize(("bits", "loses"), [(8, False), (10, False), (12, True), (16, True)])
def test_a_dpx_of_fewer_bits_than_the_clip_is_said(tmp_path, media_files, bits, loses):
    kind = "uint8" if bits == 8 else "uint16"
    pixels = media_files.integers(media_files.ramp(0, *SIZE), kind)
    for t in range(2):
        write(tmp_path / f"{t}.dpx", pixels, kind, oiio__BitsPerSample=bits)
    shot = media_files.shot_of(tmp_path / "%d.dpx", tmp_path / "shot.nvd")
    said = said_by(shot, tmp_path / "out" / "%d.dpx")
    assert [".dpx has 10 bits" in text for text in said] == [True] * loses
    own, out = read_stored(tmp_path / "0.dpx"), read_stored(tmp_path / "out" / "0.dpx")
    if bits == 10:
        np.testing.assert_array_equal(out.pixels, own.pixels)
    assert not said_by(shot, tmp_path / "all" / "%d.dpx", bit_depth=16)
    out = read_stored(tmp_path / "all" / "0.dpx").pixels
    np.testing.assert_array_equal(out, own.pixels.astype(np.uint16) * (257 if bits == 8 else 1))


def test_an_output_that_names_a_range_has_no_other_frames(tmp_path, media_files):
    for n in range(1001, 1005):
        pixels = media_files.integers(media_files.ramp(n, *SIZE), "uint8")
        media_files.write_png(tmp_path / "in" / f"s.{n}.png", pixels)
    shot = media_files.shot_of(tmp_path / "in" / "s.1001-1004#.png", tmp_path / "shot.nvd")
    with pytest.raises(NvdError, match="names other frames") as caught:
        render(shot, tmp_path / "out" / "r.1003-1010#.png")
    assert (caught.value.expected, caught.value.found) == ("numbers of 1003-1010", "1001-1002")
    assert not (tmp_path / "out").exists()
    render(shot, tmp_path / "out" / "r.1001-1002#.png", frames=(1001, 1002), start="source")
    render(shot, tmp_path / "out" / "r.2003-2006#.png", start=2003)
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name[0] != ".")
    assert names == [f"r.{n}.png" for n in (1001, 1002, 2003, 2004, 2005, 2006)]
