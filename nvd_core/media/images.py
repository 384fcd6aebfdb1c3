"""Single images: reading and writing them without changing a value, and the sRGB curve.

In memory an image is [H, W, C], top row first, C = 1 to 4 as in the file, with straight alpha.
Integer images are display-encoded; floating-point images are linear Rec.709.
"""

import os
import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio

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
_PNG_HARMLESS = {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"oFFs", b"sRGB"}

# What is not listed is an odd integer depth (10, 12, 32 bits), which OpenImageIO scales to 16.
_DTYPES = {"uint8": "uint8", "uint16": "uint16", "half": "half", "float": "float"}
_DTYPES["double"] = "float"
_NUMPY_TO_OIIO = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}


def read_image(path: Path | str) -> np.ndarray:
    """Read `path` as [H, W, C] in its own depth: uint8, uint16, float16 or float32.

    C is 1 to 4 as in the file (palettes are expanded; of an EXR with more channels the first
    R, G, B, A are taken). Alpha is straight: EXR, premultiplied by nature, is divided by its alpha
    where that is not 0. An EXR is returned at the size of its display window.
    NvdError where the file is missing or cannot be decoded.
    """
    image_input = _open(Path(path))
    try:
        spec = image_input.spec()
        pixels = image_input.read_image(_DTYPES.get(str(spec.format), "uint16"))
        if pixels is None:
            raise _undecodable(path, image_input.geterror())
    finally:
        image_input.close()
    pixels = pixels.reshape(spec.height, spec.width, spec.nchannels)
    pixels, alpha = _chosen_channels(path, pixels, spec)
    pixels = _in_display_window(pixels, spec)
    if alpha and pixels.dtype.kind == "f" and not spec.get_int_attribute("oiio:UnassociatedAlpha"):
        pixels = _unpremultiplied(pixels)
    return np.ascontiguousarray(pixels)


def image_layout(path: Path | str) -> tuple[int, int, int, str]:
    """Height, width, channels and type of the pixels in the file `path`; NvdError as above.

    The type is numpy's name of it, or OpenImageIO's where numpy has none.
    """
    image_input = _open(Path(path))
    spec = image_input.spec()
    image_input.close()
    names = {oiio_name: name for name, oiio_name in _NUMPY_TO_OIIO.items()}
    return spec.height, spec.width, spec.nchannels, names.get(str(spec.format), str(spec.format))


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
    path: Path | str, array: np.ndarray, compression: str | None = None, durable: bool = False
) -> None:
    """Write `array` [H, W, C] or [H, W] in the format of the suffix, beside and renamed into place.

    .png takes uint8 and uint16, .exr float16 and float32, .tif any of these, .jpg uint8 of 1 or 3
    channels; anything else is a ValueError. Alpha comes in straight: EXR stores it premultiplied,
    PNG and TIFF as it is. `compression` is OpenImageIO's ("zip", "pxr24", "jpeg:90"). What is
    `durable` survives a power cut.
    NvdError where the disk refuses.
    """
    with written_beside(Path(path), durable) as temporary:
        encode_image(temporary, array, compression)


def encode_image(path: Path, array: np.ndarray, compression: str | None = None) -> None:
    """Write what `write_image` writes straight to `path`, the temporary one of `written_beside`.

    OSError where that fails; it does not always tell, but `written_beside` checks the file.
    """
    array = array[..., None] if array.ndim == 2 else array
    suffix = path.suffix.lower()
    _check_writable(suffix, array)
    if suffix in (".jpg", ".jpeg"):
        path.write_bytes(_jpeg(array, compression))
        return
    height, width, channels = array.shape
    spec = oiio.ImageSpec(width, height, channels, _NUMPY_TO_OIIO[array.dtype.name])
    spec.channelnames = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B")}.get(channels, tuple("RGBA"))
    if channels in (2, 4):
        spec.alpha_channel = channels - 1
        if suffix == ".exr":
            array = _premultiplied(array)
        else:
            # Without this OpenImageIO takes the pixels for premultiplied and divides them.
            spec.attribute("oiio:UnassociatedAlpha", 1)
    if compression:
        spec.attribute("compression", compression)
    elif suffix == ".png":
        spec.attribute("png:compressionLevel", 1)  # six times faster than 6, a tenth larger
        spec.attribute("png:filter", _PNG_SUB)  # twice as fast as choosing a filter for every row
    write_pixels(path, spec, np.ascontiguousarray(array))


def is_plain_png(path: Path) -> bool:
    """Whether a file is a PNG of R, G, B alone, whose values mean the same to every reader.

    So no palette, no colour that counts as transparent, and no colour profile.
    """
    with path.open("rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return False
        harmless = _PNG_HARMLESS
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name == b"IDAT":
                return True
            if name == b"IHDR":
                if file.read(length)[9:10] != b"\x02":  # the colour type: RGB
                    return False
            elif name in harmless:
                file.seek(length, os.SEEK_CUR)
                if name == b"sRGB":  # then these do not count
                    harmless = harmless | {b"gAMA", b"cHRM"}
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


def _chosen_channels(path: Path | str, pixels: np.ndarray, spec: oiio.ImageSpec):
    """The pixels with 1 to 4 channels, and whether the last of them is alpha."""
    if spec.nchannels <= 4:
        return pixels, spec.nchannels in (2, 4) and spec.alpha_channel == spec.nchannels - 1
    # `layer.R` counts as R; the first of each name is the file's main layer.
    letters = [name.rpartition(".")[2].upper() for name in spec.channelnames]
    wanted = [letter for letter in "RGBA" if letter in letters]
    if wanted[:3] != ["R", "G", "B"]:
        raise NvdError(
            f"cannot tell the picture among the channels of {path}",
            expected="1 to 4 channels, or channels named R, G, B",
            found=", ".join(spec.channelnames[:8]),
            remedy="render or convert the picture to a file with R, G, B only",
        )
    return pixels[..., [letters.index(letter) for letter in wanted]], len(wanted) == 4


def _in_display_window(pixels: np.ndarray, spec: oiio.ImageSpec) -> np.ndarray:
    """Cut or fill (with 0) the data window to the display window."""
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    height, width = spec.full_height, spec.full_width
    if (left, top, width, height) == (0, 0, spec.width, spec.height) or not (width and height):
        return pixels
    whole = np.zeros((height, width, pixels.shape[2]), pixels.dtype)
    x0, x1 = max(left, 0), min(left + spec.width, width)
    y0, y1 = max(top, 0), min(top + spec.height, height)
    if x0 < x1 and y0 < y1:
        whole[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return whole


def _unpremultiplied(pixels: np.ndarray) -> np.ndarray:
    colour, alpha = pixels[..., :-1].astype(np.float32), pixels[..., -1:].astype(np.float32)
    colour = np.divide(colour, alpha, out=colour, where=alpha != 0)
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., -1:]], axis=-1)


def _premultiplied(pixels: np.ndarray) -> np.ndarray:
    colour = pixels[..., :-1].astype(np.float32) * pixels[..., -1:].astype(np.float32)
    return np.concatenate([colour.astype(pixels.dtype), pixels[..., -1:]], axis=-1)


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
