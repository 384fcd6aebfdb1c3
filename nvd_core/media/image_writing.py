"""Single images written without changing a value, beside and renamed into place.

Of a picture [H, W, C] as `images` reads it: display-encoded integers, or linear floats.
"""

from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio

from nvd_core.media.alpha import premultiplied
from nvd_core.media.colour_tags import FileTags, jpeg_with, put_into_png, put_into_spec
from nvd_core.media.overscan import Window
from nvd_core.media.quick_png import QUICK, quick_png
from nvd_core.runtime.files import written_beside

_JPEG_QUALITY = 95
_PNG_SUB = 16  # libpng's name of the filter that takes the difference to the left
NUMPY_TO_OIIO = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}


def write_image(
    path: Path | str,
    array: np.ndarray,
    compression: str | None = None,
    durable: bool = False,
    *,
    tags: FileTags | None = None,
    as_stored: bool = False,
    window: tuple[Window, tuple[int, int]] | None = None,
    bits: int | None = None,
    associated: bool = False,
) -> None:
    """Write `array` [H, W, C] or [H, W] in the format of the suffix, beside and renamed into place.

    .png and .dpx take uint8 and uint16, .exr float16 and float32, .tif any of these, .jpg uint8 of
    1 or 3 channels; anything else is a ValueError. Of uint16 a .dpx keeps so many `bits`. Alpha
    comes in straight: EXR stores it premultiplied, PNG and TIFF as it is; `as_stored` leaves the
    values alone, and a TIFF says that its alpha is `associated`. `compression` is OpenImageIO's
    ("zip", "pxr24", "jpeg:90"), or QUICK for a PNG of 8 bits as fast as can be. What is `durable`
    survives a power cut. The file says what `tags` say, as far as its format can. An EXR's pixels
    may lie in a `window` of a display of a width and height.
    NvdError where the disk refuses.
    """
    with written_beside(Path(path), durable) as temporary:
        encode_image(
            temporary,
            array,
            compression,
            tags=tags,
            as_stored=as_stored,
            window=window,
            bits=bits,
            associated=associated,
        )


def encode_image(
    path: Path,
    array: np.ndarray,
    compression: str | None = None,
    *,
    tags: FileTags | None = None,
    as_stored: bool = False,
    window: tuple[Window, tuple[int, int]] | None = None,
    bits: int | None = None,
    associated: bool = False,
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
    if compression == QUICK:
        if suffix == ".png" and array.dtype == np.uint8 and array.shape[2] == 3:
            path.write_bytes(quick_png(array))
            if tags:
                put_into_png(path, tags)
            return
        compression = None
    height, width, channels = array.shape
    spec = oiio.ImageSpec(width, height, channels, NUMPY_TO_OIIO[array.dtype.name])
    if bits:
        spec.attribute("oiio:BitsPerSample", bits)
        array = rounded(array, bits)
    spec.channelnames = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B")}.get(channels, tuple("RGBA"))
    if channels in (2, 4):
        spec.alpha_channel = channels - 1
        if suffix == ".exr":
            array = array if as_stored else premultiplied(array)
        elif not associated:
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


def rounded(array: np.ndarray, bits: int) -> np.ndarray:
    """uint16 whose upper `bits` are the nearest ones, as OpenImageIO cuts off the others."""
    most = 2**bits - 1
    nearest = (array.astype(np.uint32) * most + 32767) // 65535
    return (nearest * 65535 // most).astype(np.uint16)


def _check_writable(suffix: str, array: np.ndarray) -> None:
    integers, floats = {"uint8", "uint16"}, {"float16", "float32"}
    kinds = {
        ".png": integers,
        ".dpx": integers,
        ".exr": floats,
        ".jpg": {"uint8"},
        ".jpeg": {"uint8"},
    }
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
