"""The colour space that a strip is set to, as the engine is told it."""

import os
from pathlib import Path

import bpy

from ..blender.pixels import DISPLAY, LINEAR

_LINEAR = (LINEAR, "Linear Rec.709 (sRGB)")
_DISPLAY = (DISPLAY, "sRGB Encoded Rec.709 (sRGB)")
_LIGHT = (".exr", ".hdr")
_EITHER = (".tif", ".tiff", ".dpx", ".cin")  # Blender's own default is the one or the other


def named_space(strip) -> tuple[str, str] | None:
    """The colour space of a movie or image strip, and the file of the configuration that has it.

    None where the engine takes the files for that by itself: EXR for linear Rec.709 (or what they
    say), others for sRGB; and for data, whose values are used as they stand.
    """
    if strip.type not in ("IMAGE", "MOVIE"):
        return None
    settings = strip.colorspace_settings
    if not settings.name or settings.is_data:
        return None
    name = strip.filepath if strip.type == "MOVIE" else strip.elements[0].filename
    suffix = Path(name).suffix.lower()
    plain = _LINEAR if suffix in _LIGHT else _DISPLAY
    plain = _LINEAR + _DISPLAY if suffix in _EITHER else plain
    if settings.name in plain:
        return None
    return settings.name, str(configuration())


def configuration() -> Path:
    """The OpenColorIO configuration that Blender works with: the variable's, or its own."""
    given = os.environ.get("OCIO", "")
    if given and Path(given).is_file():
        return Path(given)
    return Path(bpy.utils.system_resource("DATAFILES", path="colormanagement")) / "config.ocio"
