"""What a file says beside its values: colour space, pixel aspect; read, and put into new files.

An output carries the source's tags where its format can hold them. They are the same in every
file of a sequence: those of its first.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from nvd_core.media import primaries
from nvd_core.media.picture import pixel_aspect

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
_KEPT = (*_COLOUR, b"pHYs")
_SRGB_GAMMA, _SRGB_CHRM = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_MOST_ICC = 16 * 2**20
_WIDE, _HDR = (9, 11, 12), (16, 18)  # BT.2020 and P3; PQ and HLG


@dataclass(frozen=True)
class FileTags:
    """What an image file says of its colours and pixels."""

    primaries: tuple[float, ...] | None = None  # of an EXR: x, y of red, green, blue, white
    colour_id: str = ""  # of an EXR: colorInteropID
    pixel_aspect: tuple[int, int] = (1, 1)
    icc: bytes = b""
    chunks: tuple[tuple[bytes, bytes], ...] | None = None  # of a PNG; None: what its writer says
    origin: tuple[int, int] = (0, 0)  # of an EXR's display window
    timecode: int | None = None  # of an EXR or DPX that is written: SMPTE's bits
    rate: tuple[int, int] | None = None  # likewise, frames a second
    reel: str = ""  # of an EXR that is written
    transfer: str = ""  # of a DPX, where it says that its values are no display's

    @property
    def meaning(self) -> tuple:
        """Equal for files whose tags mean the same."""
        chunks = dict(self.chunks or ())
        told = [chunks.get(name) for name in (b"cICP", b"iCCP")]
        gamma = "" if b"sRGB" in chunks or any(told) else _gamma(chunks)
        own = self.primaries, self.colour_id, self.pixel_aspect, self.icc, self.transfer
        return *own, *told, gamma


def file_tags(path: Path, spec: oiio.ImageSpec) -> FileTags:
    """The tags of the file `path`, opened with this `spec`."""
    chunks = png_chunks(path)
    icc = spec.getattribute("ICCProfile")
    icc = _profile(chunks) if chunks else bytes(bytearray(icc)) if icc is not None else b""
    found = spec.getattribute("chromaticities")
    values = tuple(round(float(v), 6) for v in found) if found is not None else ()
    named = spec.getattribute("colorInteropID")
    aspect = spec.getattribute("PixelAspectRatio")
    if path.suffix.lower() != ".exr":
        values, named = (), None
    return FileTags(
        primaries=values if values and primaries.sensible(values) else None,
        colour_id=named if isinstance(named, str) and len(named) <= 200 else "",
        pixel_aspect=pixel_aspect(_aspect(aspect, chunks)),
        icc=icc if len(icc) <= _MOST_ICC else b"",
        chunks=chunks,
        origin=(spec.full_x, spec.full_y) if path.suffix.lower() == ".exr" else (0, 0),
        transfer=_transfer(spec),
    )


def _transfer(spec: oiio.ImageSpec) -> str:
    """What a DPX or Cineon says of its curve in words, where that is not a display's."""
    if spec.getattribute("oiio:ColorSpace") == "KodakLog":  # all of Cineon, too
        return "logarithmic"
    return {
        "Linear": "linear",
        "Logarithmic": "logarithmic",
        "Printing density": "logarithmic",
    }.get(str(spec.getattribute("dpx:Transfer")), "")


def _profile(chunks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The ICC profile in a PNG's chunks; OpenImageIO gives only those that libpng approves of."""
    packed = dict(chunks).get(b"iCCP", b"").partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, _MOST_ICC)
    except zlib.error:
        return b""


def linear_primaries(tags: FileTags) -> tuple[float, ...] | None:
    """The primaries of an EXR, by what it says of them; None where it says nothing."""
    return tags.primaries or primaries.IDS.get(tags.colour_id)


def png_chunks(path: Path) -> tuple[tuple[bytes, bytes], ...] | None:
    """The chunks of a PNG that say what its values and pixels are, None for another file."""
    chunks = []
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return None
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            if name in _KEPT and length <= _MOST_ICC:
                chunks.append((name, file.read(length)))
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
    return tuple(chunks)


def put_into_spec(spec: oiio.ImageSpec, suffix: str, tags: FileTags) -> None:
    """Say in an EXR or TIFF that is to be written what `tags` say."""
    width, height = tags.pixel_aspect
    if width != height:
        spec.attribute("PixelAspectRatio", width / height)
    if suffix in (".exr", ".dpx"):
        _put_time(spec, suffix, tags)
    if suffix == ".exr":
        for name, shift in zip(("x", "y"), tags.origin, strict=True):
            setattr(spec, name, getattr(spec, name) + shift)
            setattr(spec, f"full_{name}", getattr(spec, f"full_{name}") + shift)
        if tags.primaries:
            spec.attribute("chromaticities", oiio.TypeDesc("float[8]"), tags.primaries)
        if tags.colour_id:
            spec.attribute("colorInteropID", tags.colour_id)
    elif suffix in (".tif", ".tiff"):
        if tags.icc:
            kind = oiio.TypeDesc(f"uint8[{len(tags.icc)}]")
            spec.attribute("ICCProfile", kind, np.frombuffer(tags.icc, np.uint8))
        if width != height:
            spec.attribute("ResolutionUnit", "none")
            spec.attribute("XResolution", 72.0)
            spec.attribute("YResolution", 72.0 * width / height)


def _put_time(spec: oiio.ImageSpec, suffix: str, tags: FileTags) -> None:
    if tags.timecode is not None:
        spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, (tags.timecode, 0))
    if tags.rate and suffix == ".exr":
        spec.attribute("FramesPerSecond", oiio.TypeRational, tags.rate)
    elif tags.rate:
        for name in ("dpx:FrameRate", "dpx:TemporalFrameRate"):
            spec.attribute(name, tags.rate[0] / tags.rate[1])
    if tags.reel and suffix == ".exr":
        spec.attribute("reelName", tags.reel)


def put_into_png(path: Path, tags: FileTags) -> None:
    """Give the PNG at `path`, just written, the colour and shape that `tags` say, and no other."""
    chunks = list(tags.chunks or ())
    names = {name for name, _ in chunks}
    if tags.icc and b"iCCP" not in names:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(tags.icc)))
    width, height = tags.pixel_aspect
    if width != height and b"pHYs" not in names:
        chunks.append((b"pHYs", struct.pack(">IIB", height, width, 0)))
    if tags.chunks is None and not chunks:
        return
    colour = tags.chunks is not None or bool(tags.icc)
    removed = {*(_COLOUR if colour else ()), b"pHYs"}
    data = path.read_bytes()
    parts, place = [_SIGNATURE], 8
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + length + 12
        if name not in removed:
            parts.append(data[place:end])
        if name == b"IHDR":
            order = sorted(chunks, key=lambda chunk: _KEPT.index(chunk[0]))
            parts += [_chunk(*chunk) for chunk in order]
        place = end
    path.write_bytes(b"".join(parts))


def jpeg_with(data: bytes, tags: FileTags) -> bytes:
    """An encoded JPEG with the profile and the pixel aspect of `tags`."""
    width, height = tags.pixel_aspect  # as FFmpeg and OpenImageIO read it; JFIF leaves it open
    if width != height and data[6:11] == b"JFIF\0" and max(width, height) < 65536:
        data = data[:13] + struct.pack(">BHH", 0, width, height) + data[18:]
    head = 4 + struct.unpack(">H", data[4:6])[0] if data[2:4] == b"\xff\xe0" else 2
    size = 65519
    parts = [tags.icc[n : n + size] for n in range(0, len(tags.icc), size)]
    if not 0 < len(parts) < 256:
        return data
    marked = b"".join(
        b"\xff\xe2" + struct.pack(">H", len(p) + 16) + b"ICC_PROFILE\0" + bytes((n, len(parts))) + p
        for n, p in enumerate(parts, 1)
    )
    return data[:head] + marked + data[head:]


def picture_chunks(movie: tuple[int, ...] | None) -> tuple[tuple[bytes, bytes], ...] | None:
    """The chunks of a PNG with a movie's values in RGB, full range; None where they are SDR's."""
    if movie is None or (movie[0] not in _WIDE and movie[1] not in _HDR):
        return None
    return ((b"cICP", bytes((movie[0], movie[1], 0, 1))),)


def movie_of_chunks(chunks: tuple[tuple[bytes, bytes], ...] | None) -> tuple[int, ...] | None:
    """The numbers for movies made of PNGs that have a cICP; None of others."""
    code = dict(chunks or ()).get(b"cICP", b"")
    if len(code) != 4:
        return None
    return code[0], code[1], 9 if code[0] == 9 else 1, 0


def cautions_about(source: str, tags: FileTags, linear: bool) -> list[str]:
    """What is not honoured of the tags of `source`, in words."""
    chunks = dict(tags.chunks or ())
    kept = "its values are used as they stand, and rendered files carry it"
    if linear:
        return _about_linear(source, tags)
    if tags.transfer:
        return [
            f"{source} says that its values are {tags.transfer}: they are used as they stand, as "
            "if a display had them, and rendered files do not say so (--input-space names the "
            'space that they are in, such as ADX10 or "ARRI LogC3 (EI800)")'
        ]
    if b"cICP" in chunks and tuple(chunks[b"cICP"][:2]) not in ((1, 1), (1, 13)):
        numbers = ", ".join(str(n) for n in chunks[b"cICP"])
        return [f"{source} has the colour space of cICP {numbers}: {kept} where PNG is rendered"]
    if tags.icc or b"iCCP" in chunks:
        name = icc_name(tags.icc)
        if name.lower().startswith("srgb"):
            return []
        return [f"{source} has the ICC profile {name or 'of no name'}: {kept} (PNG, TIFF, JPEG)"]
    gamma = _gamma(chunks)
    if b"sRGB" not in chunks and gamma:
        return [f"{source} has {gamma} (PNG's gAMA and cHRM), not sRGB: {kept} (PNG)"]
    return []


def icc_name(icc: bytes) -> str:
    """The description in an ICC profile, as far as it is found."""
    if len(icc) < 132:
        return ""
    for n in range(min(struct.unpack_from(">I", icc, 128)[0], 100)):
        if len(icc) < 144 + 12 * n:
            return ""
        name, start, size = struct.unpack_from(">4sII", icc, 132 + 12 * n)
        if name != b"desc":
            continue
        text = icc[start : start + size]
        if text[:4] == b"desc":
            text = text[12:].split(b"\0")[0]
        else:  # UTF-16 behind a table of languages
            text = text[28:].decode("utf-16-be", "ignore").encode("ascii", "ignore")
        return text.decode("ascii", "ignore").strip("\0 ")[:60]
    return ""


def _about_linear(source: str, tags: FileTags) -> list[str]:
    named = primaries.IDS.get(tags.colour_id)
    if tags.primaries and named and not primaries.same(tags.primaries, named):
        return [
            f"{source} says {tags.colour_id}, but its chromaticities are others: "
            "the chromaticities are taken, both go into rendered EXR"
        ]
    if tags.colour_id and not named:
        return [
            f"{source} has the colour space {tags.colour_id}: its values are taken as linear "
            f"{'of its chromaticities' if tags.primaries else 'Rec.709'}, and rendered EXR carry it"
        ]
    if tags.icc:
        return [f"{source} has an ICC profile: its values are taken as linear Rec.709"]
    return []


def _gamma(chunks: dict[bytes, bytes]) -> str:
    """What gAMA and cHRM say beside sRGB, in words; empty where they say just that."""
    words = []
    if len(chunks.get(b"gAMA", b"")) == 4:
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0]
        if abs(gamma - _SRGB_GAMMA) > 300:
            words.append(f"gamma {gamma / 100000:g}")
    if len(chunks.get(b"cHRM", b"")) == 32:
        values = struct.unpack(">8I", chunks[b"cHRM"])
        if max(abs(a - b) for a, b in zip(values, _SRGB_CHRM, strict=True)) > 300:
            words.append("other primaries")
    return " and ".join(words)


def _aspect(attribute: object, chunks: tuple[tuple[bytes, bytes], ...] | None) -> float | None:
    shape = dict(chunks or ()).get(b"pHYs", b"")
    if len(shape) == 9:
        x, y = struct.unpack(">II", shape[:8])
        return y / x if x and y else None
    return float(attribute) if isinstance(attribute, int | float) else None


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
