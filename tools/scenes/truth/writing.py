"""Numbers into picture files, by Blender's own writers."""

from pathlib import Path

import bpy
import numpy as np


def write_picture(path: Path, values: np.ndarray, quality: int = 95) -> None:
    """Write values [H, W], [H, W, 3] or RGBA with an alpha of 0 or 1 [H, W, 4] as they stand.

    .png has 8 bits, .jpg `quality`, .exr floats of 32 bits (PXR24). Integers hold 0..1.
    """
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    suffix = path.suffix
    settings = bpy.context.scene.render.image_settings
    settings.file_format = {".png": "PNG", ".jpg": "JPEG", ".exr": "OPEN_EXR"}[suffix]
    settings.color_mode = {1: "BW", 3: "RGB", 4: "RGBA"}[channels]
    if suffix == ".png":
        settings.color_depth, settings.compression = "8", 100
    elif suffix == ".exr":
        settings.color_depth, settings.exr_codec = "32", "PXR24"
    else:
        settings.quality = quality
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = values[..., :3]
    if channels == 4:
        rgba[..., 3] = values[..., 3]
    image = bpy.data.images.new("written", width, height, float_buffer=True, is_data=True)
    image.pixels.foreach_set(rgba[::-1].ravel())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_render(str(path), scene=bpy.context.scene)
    bpy.data.images.remove(image)
