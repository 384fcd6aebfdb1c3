"""Single images: read without changing a value; how they are written is `image_writing`.

In memory an image is [H, W, C], top row first and upright, C = 1 to 4 as in the file. `read_image`
gives straight alpha, `read_stored` what the file holds. Integer images are display-encoded;
floating-point images are linear, Rec.709 where the file does not say otherwise.
"""

import os
import struct
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.channels import (
    alpha_of,
    check_dtype,
    chosen_layer,
    dtype_of,
    other_pages,
    places,
)
from nvd_core.media.colour_tags import (
    FileTags,
    file_tags,
)
from nvd_core.media.exr_layers import Layer
from nvd_core.media.image_writing import NUMPY_TO_OIIO
from nvd_core.media.image_writing import encode_image as encode_image
from nvd_core.media.image_writing import write_image as write_image
from nvd_core.media.orientation import UPRIGHT, on_its_side, upright
from nvd_core.media.overscan import Window, in_display_window, window_of
from nvd_core.media.values import at_depth as at_depth
from nvd_core.media.values import decode_srgb as decode_srgb
from nvd_core.media.values import encode_srgb as encode_srgb
from nvd_core.media.values import to_float as to_float
from nvd_core.media.values import to_integers as to_integers
from nvd_core.runtime.cores import cores
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.sizes import check_image, rate_fits

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

_REMEDY = "the file is damaged or no image: copy or render it again"
_ON_THEIR_SIDE = range(5, 9)  # orientations of EXIF
_PNG_HARMLESS = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"oFFs", b"sRGB", b"gAMA", b"cHRM"}
_PNG_HARMLESS |= {b"iCCP", b"cICP", b"mDCV", b"cLLI"}  # compared with the clip's by who copies it
_PNG_EMPTY_EXIF = 14  # bytes, which hold no orientation


@dataclass(frozen=True)
class Stored:
    """An image as its file holds it, but upright and at its display window."""

    pixels: np.ndarray
    alpha: str
    """`none`, `straight` or `premultiplied`; integers are never premultiplied"""
    tags: FileTags
    others: tuple[str, ...] = ()
    """titles of the layers, or pages, that were not taken"""
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
    with _reading(path):
        image_input = _open(path)
        try:
            chosen, layers = chosen_layer(path, image_input, layer)
            spec = image_input.spec()
            _check_size(path, spec)
            channels = chosen.wanted() if chosen else places(path, spec)
            if chosen:
                check_dtype(path, spec, channels)
            kind = alpha_of(path, spec, channels, chosen)
            first, last = min(channels), max(channels) + 1
            dtype = dtype_of(spec, channels)
            pixels = image_input.read_image(spec_part(chosen), 0, first, last, dtype)
            if pixels is None:
                raise _undecodable(path, image_input.geterror())
            others = tuple(other.title or "root" for other in layers if other != chosen)
            others = others if chosen else other_pages(image_input)
        finally:
            image_input.close()
        pixels = pixels.reshape(spec.height, spec.width, last - first)
        if [place - first for place in channels] != list(range(last - first)):
            pixels = pixels[..., [place - first for place in channels]]
        pixels = pixels if whole else in_display_window(pixels, spec)
        if kind == PREMULTIPLIED and pixels.dtype.kind == "u":
            pixels, kind = with_alpha(pixels, kind, STRAIGHT), STRAIGHT
        tags = file_tags(path, spec)
        turned = _orientation(path, spec)
        if turned != UPRIGHT:
            pixels, tags = upright(pixels, turned), _turned_tags(tags, turned)
        size = (spec.full_width, spec.full_height)
        return Stored(np.ascontiguousarray(pixels), kind, tags, others, window_of(spec), size)


def spec_part(layer: Layer | None) -> int:
    """The part of the file that holds a layer."""
    return layer.part if layer else 0


def image_layout(path: Path | str) -> tuple[int, int, int, str]:
    """Height, width, channels and type of the pixels in the file `path`; NvdError as above.

    The type is numpy's name of it, or OpenImageIO's where numpy has none.
    """
    with _reading(path):
        image_input = _open(Path(path))
        spec = image_input.spec()
        image_input.close()
    names = {oiio_name: name for name, oiio_name in NUMPY_TO_OIIO.items()}
    return spec.height, spec.width, spec.nchannels, names.get(str(spec.format), str(spec.format))


def image_size(path: Path | str, layer: str | None = None) -> tuple[int, int]:
    """Height and width at which `read_image` returns the file, from its header; NvdError."""
    with _reading(path):
        image_input = _open(Path(path))
        try:
            chosen_layer(Path(path), image_input, layer)
            spec = image_input.spec()
            _check_size(Path(path), spec)
        finally:
            image_input.close()
        turned = _orientation(Path(path), spec)
    window = spec.full_height, spec.full_width
    height, width = window if all(window) else (spec.height, spec.width)
    return (width, height) if turned in _ON_THEIR_SIDE else (height, width)


def image_window(path: Path | str, layer: str | None = None) -> Window | None:
    """Where the data window of an EXR lies in its display window; None where they are one."""
    with _reading(path):
        image_input = _open(Path(path))
        try:
            chosen_layer(Path(path), image_input, layer)
            return window_of(image_input.spec())
        finally:
            image_input.close()


def image_words(path: Path | str, *names: str) -> dict[str, object]:
    """What `path` says under these names of OpenImageIO's, as far as it does."""
    with _reading(path):
        image_input = _open(Path(path))
        spec = image_input.spec()
        image_input.close()
    return {name: value for name in names if (value := spec.getattribute(name)) is not None}


def image_rate(path: Path | str) -> Fraction | None:
    """Frames a second as `path` itself says (EXR and DPX can), None where it does not."""
    with _reading(path):
        image_input = _open(Path(path))
        spec = image_input.spec()
        image_input.close()
        values = [spec.getattribute(name) for name in ("FramesPerSecond", "dpx:FrameRate")]
    for value in values:
        if isinstance(value, tuple) and len(value) == 2 and rate_fits(*map(int, value)):
            return Fraction(int(value[0]), int(value[1]))
        if isinstance(value, int | float) and 1 <= value <= 1000:
            near = Fraction(round(value) * 1000, 1001)  # a float of 23.976 is meant so
            close = abs(value - near) < 1e-3
            return near if close else Fraction(value).limit_denominator(1001)
    return None


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


def _open(path: Path) -> oiio.ImageInput:
    if not there(path.is_file):
        raise NvdError(
            f"there is no image {path}", remedy="check the path for a typing error, or restore it"
        )
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # keep colours as stored, also where alpha is 0
    image_input = oiio.ImageInput.open(str(path), config)
    if image_input is None:
        raise _undecodable(path, oiio.geterror())
    try:
        _check_size(path, image_input.spec())
    except NvdError:
        image_input.close()
        raise
    return image_input


def _check_size(path: Path, spec: oiio.ImageSpec) -> None:
    """NvdError where the image or its display window, to which it is brought, is too large."""
    channels, size = min(spec.nchannels, 4), spec.channel_bytes() or 1  # more are never read
    check_image(path, spec.width, spec.height, channels, size)
    if spec.full_width > 0 and spec.full_height > 0:
        check_image(path, spec.full_width, spec.full_height, channels, size)


def _reading(path: Path | str) -> AbstractContextManager[None]:
    return reading(path, "the image", _REMEDY)


def _undecodable(path: Path | str, reason: str) -> NvdError:
    lines = (reason or "").strip().splitlines()
    if "ubsampled" in reason:
        return NvdError(
            f"{path} has channels of fewer pixels than others (luminance and chroma)",
            expected="R, G, B, each of every pixel",
            found=lines[0],
            remedy="write it as RGB in the program that it comes from",
        )
    return NvdError(
        f"cannot read the image {path}",
        found=lines[0] if lines else "no image in it",
        remedy=_REMEDY,
    )


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
