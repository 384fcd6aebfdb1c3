"""Single images: reading and writing them without changing a value, and the sRGB curve.

In memory an image is [H, W, C], top row first and upright, C = 1 to 4 as in the file. `read_image`
gives straight alpha, `read_stored` what the file holds. Integer images are display-encoded;
floating-point images are linear, Rec.709 where the file does not say otherwise.
"""

import os
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, premultiplied, with_alpha
from nvd_core.media.colour_tags import (
    FileTags,
    file_tags,
    jpeg_with,
    put_into_png,
    put_into_spec,
)
from nvd_core.media.exr_layers import Layer, choose_layer, layers_of
from nvd_core.media.orientation import UPRIGHT, on_its_side, upright
from nvd_core.media.overscan import Window, in_display_window, window_of
from nvd_core.runtime.cores import cores
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside

# fmt: off
IMAGE_SUFFIXES = frozenset((
    ".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".dpx", ".cin", ".bmp", ".tga", ".webp",
    ".hdr", ".sgi", ".rgb", ".jp2", ".jxl", ".ppm", ".pgm", ".pnm", ".psd", ".gif", ".iff",
))
# fmt: on

# By default OpenImageIO starts a thread for every core it sees, which on a shared machine may be
# far more than the process is allowed.
_THREADS = min(4, cores())
oiio.attribute("threads", _THREADS)
oiio.attribute("exr_threads", _THREADS)

_JPEG_QUALITY = 95
_PNG_SUB = 16  # libpng's name of the filter that takes the difference to the left
_PNG_HARMLESS = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"oFFs", b"sRGB", b"gAMA", b"cHRM"}
_PNG_HARMLESS |= {b"iCCP", b"cICP", b"mDCV", b"cLLI"}  # compared with the clip's by who copies it
_PNG_EMPTY_EXIF = 14  # bytes, which hold no orientation

# What is not listed is an odd integer depth (10, 12, 32 bits), which OpenImageIO scales to 16.
_DTYPES = {"uint8": "uint8", "uint16": "uint16", "half": "half", "float": "float"}
_DTYPES["double"] = "float"
_NUMPY_TO_OIIO = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}


@dataclass(frozen=True)
class Stored:
    """An image as its file holds it, but upright and at its display window."""

    pixels: np.ndarray
    alpha: str
    """`none`, `straight` or `premultiplied`; integers are never premultiplied"""
    tags: FileTags
    others: tuple[str, ...] = ()
    """titles of the layers that were not taken"""
    window: Window | None = None
    """where the file's pixels lie, if not just in its display window"""
    display: tuple[int, int] = (0, 0)
    """width and height of the display window, as stored"""


def read_image(path: Path | str, layer: str | None = None) -> np.ndarray:
    """Read `path` as [H, W, C] in its own depth: uint8, uint16, float16 or float32.

    C is 1 to 4 as in the file; palettes are expanded. Of an EXR the picture is taken, or the
    `layer` that is named (see exr_layers). Alpha is straight: what is premultiplied is divided by
    its alpha where that is not 0. An EXR is returned at the size of its display window.
    NvdError where the file is missing or cannot be decoded.
    """
    stored = read_stored(path, layer)
    return np.ascontiguousarray(with_alpha(stored.pixels, stored.alpha, _straight(stored.alpha)))


def _straight(alpha: str) -> str:
    return NONE if alpha == NONE else STRAIGHT


def read_stored(path: Path | str, layer: str | None = None, whole: bool = False) -> Stored:
    """Read `path` as `read_image` does, floating-point alpha as it is in the file.

    The `whole` of it are all pixels that it holds, at its `window`.
    """
    path = Path(path)
    image_input = _open(path)
    try:
        chosen, layers = _chosen_layer(path, image_input, layer)
        spec = image_input.spec()
        places = chosen.wanted() if chosen else _places(path, spec)
        kind = _alpha_of(path, spec, places, chosen)
        first, last = min(places), max(places) + 1
        dtype = _dtype_of(spec, places)
        pixels = image_input.read_image(spec_part(chosen), 0, first, last, dtype)
        if pixels is None:
            raise _undecodable(path, image_input.geterror())
    finally:
        image_input.close()
    pixels = pixels.reshape(spec.height, spec.width, last - first)
    if [place - first for place in places] != list(range(last - first)):
        pixels = pixels[..., [place - first for place in places]]
    pixels = pixels if whole else in_display_window(pixels, spec)
    if kind == PREMULTIPLIED and pixels.dtype.kind == "u":
        pixels, kind = with_alpha(pixels, kind, STRAIGHT), STRAIGHT
    tags = file_tags(path, spec)
    turned = _orientation(path, spec)
    if turned != UPRIGHT:
        pixels, tags = upright(pixels, turned), _turned_tags(tags, turned)
    others = tuple(other.title or "root" for other in layers if other != chosen)
    size = (spec.full_width, spec.full_height)
    return Stored(np.ascontiguousarray(pixels), kind, tags, others, window_of(spec), size)


def spec_part(layer: Layer | None) -> int:
    """The part of the file that holds a layer."""
    return layer.part if layer else 0


def image_layout(path: Path | str) -> tuple[int, int, int, str]:
    """Height, width, channels and type of the pixels in the file `path`; NvdError as above.

    The type is numpy's name of it, or OpenImageIO's where numpy has none.
    """
    image_input = _open(Path(path))
    spec = image_input.spec()
    image_input.close()
    names = {oiio_name: name for name, oiio_name in _NUMPY_TO_OIIO.items()}
    return spec.height, spec.width, spec.nchannels, names.get(str(spec.format), str(spec.format))


def image_window(path: Path | str, layer: str | None = None) -> Window | None:
    """Where the data window of an EXR lies in its display window; None where they are one."""
    image_input = _open(Path(path))
    try:
        _chosen_layer(Path(path), image_input, layer)
        return window_of(image_input.spec())
    finally:
        image_input.close()


def image_rate(path: Path | str) -> Fraction | None:
    """Frames a second as `path` itself says (EXR and DPX can), None where it does not."""
    image_input = _open(Path(path))
    spec = image_input.spec()
    image_input.close()
    for name in ("FramesPerSecond", "dpx:FrameRate"):
        value = spec.getattribute(name)
        if isinstance(value, tuple) and len(value) == 2 and value[0] > 0 and value[1] > 0:
            return Fraction(int(value[0]), int(value[1]))
        if isinstance(value, int | float) and 1 <= value <= 1000:
            return Fraction(value).limit_denominator(1001)
    return None


def write_image(
    path: Path | str,
    array: np.ndarray,
    compression: str | None = None,
    durable: bool = False,
    *,
    tags: FileTags | None = None,
    as_stored: bool = False,
    window: tuple[Window, tuple[int, int]] | None = None,
) -> None:
    """Write `array` [H, W, C] or [H, W] in the format of the suffix, beside and renamed into place.

    .png takes uint8 and uint16, .exr float16 and float32, .tif any of these, .jpg uint8 of 1 or 3
    channels; anything else is a ValueError. Alpha comes in straight: EXR stores it premultiplied,
    PNG and TIFF as it is; `as_stored` leaves the values alone. `compression` is OpenImageIO's
    ("zip", "pxr24", "jpeg:90"). What is `durable` survives a power cut. The file says what `tags`
    say, as far as its format can. An EXR's pixels may lie in a `window` of a display of a width
    and height.
    NvdError where the disk refuses.
    """
    with written_beside(Path(path), durable) as temporary:
        encode_image(temporary, array, compression, tags=tags, as_stored=as_stored, window=window)


def encode_image(
    path: Path,
    array: np.ndarray,
    compression: str | None = None,
    *,
    tags: FileTags | None = None,
    as_stored: bool = False,
    window: tuple[Window, tuple[int, int]] | None = None,
) -> None:
    """Write what `write_image` writes straight to `path`, the temporary one of `written_beside`.

    OSError where that fails; it does not always tell, but `written_beside` checks the file.
    """
    array = array[..., None] if array.ndim == 2 else array
    suffix = path.suffix.lower()
    _check_writable(suffix, array)
    if suffix in (".jpg", ".jpeg"):
        data = _jpeg(array, compression)
        path.write_bytes(jpeg_with(data, tags) if tags else data)
        return
    height, width, channels = array.shape
    spec = oiio.ImageSpec(width, height, channels, _NUMPY_TO_OIIO[array.dtype.name])
    spec.channelnames = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B")}.get(channels, tuple("RGBA"))
    if channels in (2, 4):
        spec.alpha_channel = channels - 1
        if suffix == ".exr":
            array = array if as_stored else premultiplied(array)
        else:
            # Without this OpenImageIO takes the pixels for premultiplied and divides them.
            spec.attribute("oiio:UnassociatedAlpha", 1)
    if compression:
        spec.attribute("compression", compression)
    elif suffix == ".png":
        spec.attribute("png:compressionLevel", 1)  # six times faster than 6, a tenth larger
        spec.attribute("png:filter", _PNG_SUB)  # twice as fast as choosing a filter for every row
    if window:
        (spec.x, spec.y), (spec.full_width, spec.full_height) = window[0].origin, window[1]
    if tags:
        put_into_spec(spec, suffix, tags)
    write_pixels(path, spec, np.ascontiguousarray(array))
    if tags and suffix == ".png":
        put_into_png(path, tags)


def is_plain_png(path: Path, channels: int = 3) -> bool:
    """Whether a file is a PNG of R, G, B (and A, of 4 channels) alone, shown as it is stored.

    So no palette, no colour that counts as transparent, and nothing that turns it.
    """
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return False
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"IDAT":
                return True
            if name == b"IHDR":
                colour_type = file.read(length)[9:10]
                if colour_type != (b"\x06" if channels == 4 else b"\x02"):
                    return False
            elif name in _PNG_HARMLESS or (name == b"eXIf" and length <= _PNG_EMPTY_EXIF):
                file.seek(length, os.SEEK_CUR)
            else:
                return False
            file.seek(4, os.SEEK_CUR)  # the chunk's checksum
    return False


def to_float(array: np.ndarray) -> np.ndarray:
    """`array` as float32; integers are scaled to 0..1, floating-point values stay as they are."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)


def to_integers(display: np.ndarray, dtype: type | np.dtype) -> np.ndarray:
    """Display-encoded values 0..1 (clamped) as rounded integers of `dtype` (uint8 or uint16)."""
    largest = np.float32(np.iinfo(dtype).max)
    clamped = np.clip(np.nan_to_num(display, nan=0.0), 0.0, 1.0)
    return (clamped * largest + np.float32(0.5)).astype(dtype)


def at_depth(frame: np.ndarray, bit_depth: int | str) -> np.ndarray:
    """`frame` of any depth as uint8 or uint16 for a `bit_depth` of 8 or 16, else as float32."""
    if bit_depth not in (8, 16):
        return to_float(frame)
    if bit_depth == 16:
        return frame if frame.dtype == np.uint16 else frame.astype(np.uint16) * 257
    if frame.dtype == np.uint16:
        return ((frame.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return frame


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear values, any shape, to the sRGB curve as float32, continued above 1; a line below 0."""
    linear = np.asarray(linear, np.float32)
    curve = np.float32(1.055) * np.maximum(linear, 0) ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(linear <= np.float32(0.0031308), linear * np.float32(12.92), curve)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """The inverse of `encode_srgb`, float32, continued above 1; a line below 0."""
    encoded = np.asarray(encoded, np.float32)
    base = (np.maximum(encoded, 0) + np.float32(0.055)) / np.float32(1.055)
    return np.where(
        encoded <= np.float32(0.04045), encoded / np.float32(12.92), base ** np.float32(2.4)
    )


def _open(path: Path) -> oiio.ImageInput:
    if not path.is_file():
        raise NvdError(
            f"there is no image {path}", remedy="check the path for a typing error, or restore it"
        )
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # keep colours as stored, also where alpha is 0
    image_input = oiio.ImageInput.open(str(path), config)
    if image_input is None:
        raise _undecodable(path, oiio.geterror())
    return image_input


def _undecodable(path: Path | str, reason: str) -> NvdError:
    lines = (reason or "").strip().splitlines()
    return NvdError(
        f"cannot read the image {path}",
        found=lines[0] if lines else "no image in it",
        remedy="the file is damaged or no image: copy or render it again",
    )


def _chosen_layer(
    path: Path, image_input: oiio.ImageInput, wanted: str | None
) -> tuple[Layer | None, list[Layer]]:
    """The layer of an EXR to read, its part sought, and all there are; None for the whole file."""
    spec = image_input.spec()
    if image_input.format_name() != "openexr":
        if wanted:
            raise NvdError(
                f"{path} has no layers",
                expected="the name of a layer behind an EXR only",
                found=wanted,
                remedy="leave out the colon and what stands behind it",
            )
        return None, []
    if spec.deep:
        raise NvdError(
            f"{path} is a deep EXR",
            expected="one value a pixel and channel",
            remedy="flatten it in the program that it comes from",
        )
    layers = layers_of(image_input)
    chosen = choose_layer(path, layers, wanted)
    image_input.seek_subimage(chosen.part, 0)
    return chosen, layers


def _places(path: Path, spec: oiio.ImageSpec) -> list[int]:
    """The channels to take of a file without layers."""
    if spec.nchannels <= 4:
        return list(range(spec.nchannels))
    letters = [name.upper() for name in spec.channelnames]
    wanted = [letter for letter in "RGBA" if letter in letters]
    if wanted[:3] != ["R", "G", "B"]:
        raise NvdError(
            f"cannot tell the picture among the channels of {path}",
            expected="1 to 4 channels, or channels named R, G, B",
            found=", ".join(spec.channelnames[:8]),
            remedy="render or convert the picture to a file with R, G, B only",
        )
    return [letters.index(letter) for letter in wanted]


def _alpha_of(path: Path, spec: oiio.ImageSpec, places: list[int], layer: Layer | None) -> str:
    """What the last of the channels taken is."""
    if layer:
        return PREMULTIPLIED if layer.alpha() else NONE
    if len(places) not in (2, 4) or spec.alpha_channel != places[-1]:
        return NONE
    straight = spec.get_int_attribute("oiio:UnassociatedAlpha")
    stored_so = str(spec.format) in ("half", "float", "double") or "tif" in path.suffix.lower()
    return PREMULTIPLIED if stored_so and not straight else STRAIGHT


def _dtype_of(spec: oiio.ImageSpec, places: list[int]) -> str:
    """OpenImageIO's name of the type to read channels as, which may differ from the others'."""
    formats = [str(spec.channelformats[n]) for n in places] if spec.channelformats else []
    widest = "float" if "float" in formats else formats[0] if formats else str(spec.format)
    return _DTYPES.get(widest, "uint16")


def _orientation(path: Path, spec: oiio.ImageSpec) -> int:
    """What EXIF or the format itself says; EXR has none that a viewer would follow."""
    if path.suffix.lower() == ".exr":
        return UPRIGHT
    return spec.get_int_attribute("Orientation", UPRIGHT)


def _turned_tags(tags: FileTags, orientation: int) -> FileTags:
    if not on_its_side(orientation):
        return tags
    chunks = tags.chunks and tuple(chunk for chunk in tags.chunks if chunk[0] != b"pHYs")
    return replace(tags, pixel_aspect=tags.pixel_aspect[::-1], chunks=chunks)


def _check_writable(suffix: str, array: np.ndarray) -> None:
    integers, floats = {"uint8", "uint16"}, {"float16", "float32"}
    kinds = {".png": integers, ".exr": floats, ".jpg": {"uint8"}, ".jpeg": {"uint8"}}
    kinds |= dict.fromkeys((".tif", ".tiff"), integers | floats)
    if suffix not in kinds:
        raise ValueError(f"expected a suffix of {sorted(kinds)}, got {suffix!r}")
    if array.dtype.name not in kinds[suffix]:
        raise ValueError(f"{suffix} takes {sorted(kinds[suffix])}, got {array.dtype}")
    channels = (1, 3) if suffix in (".jpg", ".jpeg") else (1, 2, 3, 4)
    if array.ndim != 3 or array.shape[2] not in channels:
        raise ValueError(f"{suffix} takes [H, W, C] with C of {channels}, got {array.shape}")


def write_pixels(path: Path, spec: oiio.ImageSpec, pixels: np.ndarray) -> None:
    """Write `pixels` [H, W, C] with OpenImageIO as `spec` says; OSError where that fails.

    OpenImageIO does not always notice: `path` is the temporary one of `written_beside`, which
    checks that the file is whole.
    """
    output = oiio.ImageOutput.create(str(path))
    if output is None:
        raise OSError(None, oiio.geterror())
    written = output.open(str(path), spec) and output.write_image(pixels)
    reason = "" if written else output.geterror()
    if not output.close() or not written:
        reason = reason or output.geterror() or "the image could not be written"
        raise OSError(
            None, reason.strip().replace(str(path), "it")
        )  # which is but a temporary name


def _jpeg(array: np.ndarray, compression: str | None) -> bytes:
    """Encoded in memory: on a full disk OpenImageIO's writer ends the whole process."""
    quality = int((compression or "").partition(":")[2] or _JPEG_QUALITY)
    pixels = array[..., ::-1] if array.shape[2] == 3 else array  # OpenCV's order is B, G, R
    try:
        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    except cv2.error as error:  # too large for the format
        raise OSError(None, f"no JPEG can be made of {array.shape}") from error
