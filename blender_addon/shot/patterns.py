"""Patterns to show on a layer, to see how its texture sits on the shot."""

import bpy

from ..blender.pixels import DISPLAY

KINDS = {"checker": "UV_GRID", "grid": "COLOR_GRID"}  # Blender's own


def pattern(kind: str, size) -> bpy.types.Image:
    """The "checker" or the "grid" at a texture's size (width, height); one a size is kept."""
    name = f"NVD {kind} {size[0]} x {size[1]}"
    image = bpy.data.images.get(name)
    if image is None:
        image = bpy.data.images.new(name, *size, alpha=True)
        image.generated_type = KINDS[kind]
        image.colorspace_settings.name = DISPLAY
        image.alpha_mode = "CHANNEL_PACKED"
    return image


def kind_of(image: bpy.types.Image) -> str:
    """Which pattern an image of `pattern` shows."""
    return next(kind for kind, generated in KINDS.items() if image.generated_type == generated)
