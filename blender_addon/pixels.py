"""Pixels of Blender's images as arrays."""

import bpy
import numpy as np


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """[h, w, 4] float32, bottom row first, as Blender keeps them."""
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)


def write_pixels(image: bpy.types.Image, pixels: np.ndarray) -> None:
    image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    image.update()
