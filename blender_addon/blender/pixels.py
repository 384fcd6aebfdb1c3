"""Pixels of Blender's images as arrays, and the colour spaces of images to paint on.

Images of 8 bits that are painted on are in the colour space sRGB, so that Blender's editors and
brushes show and take colours as the shot will have them. Deeper ones are Non-Color, which Blender's
editors show too bright: it packs what it holds of a deep image, light, and reads that back as
display-encoded colours, so that in sRGB paint would be lost.
"""

import bpy
import numpy as np

DISPLAY, LINEAR, STORED = "sRGB", "Linear Rec.709", "Non-Color"


def set_space(image: bpy.types.Image) -> None:
    """Give a texture, or a picture to paint on, the colour space that goes with its file."""
    if image.file_format == "OPEN_EXR":
        image.colorspace_settings.name = LINEAR
    else:
        image.colorspace_settings.name = STORED if image.is_float else DISPLAY


def is_light(image: bpy.types.Image) -> bool:
    """Whether nodes and graphics card get the image's colours as scene-linear light."""
    return image.colorspace_settings.name != STORED


def read_pixels(image: bpy.types.Image) -> np.ndarray:
    """[h, w, 4] float32, bottom row first, display-encoded for any image of a shot's textures."""
    pixels = read_raw(image)
    if image.is_float and is_light(image):  # Blender keeps bytes as they are stored
        pixels[..., :3] = encode(pixels[..., :3])
    return pixels


def write_pixels(image: bpy.types.Image, pixels: np.ndarray) -> None:
    """What `read_pixels` gives, or would."""
    pixels = np.array(pixels, np.float32)
    if image.is_float and is_light(image):
        pixels[..., :3] = decode(pixels[..., :3])
    write_raw(image, pixels)


def read_raw(image: bpy.types.Image) -> np.ndarray:
    """[h, w, 4] float32, bottom row first, as Blender keeps them."""
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)


def write_raw(image: bpy.types.Image, pixels: np.ndarray) -> None:
    """What `read_raw` gives."""
    image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
    image.update()


def encode(light: np.ndarray) -> np.ndarray:
    """Scene-linear values by the curve of sRGB, continued above 1 and below 0; float32."""
    light = np.asarray(light, np.float32)
    curve = 1.055 * np.maximum(light, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve).astype(np.float32)


def decode(colours: np.ndarray) -> np.ndarray:
    """The inverse of `encode`."""
    colours = np.asarray(colours, np.float32)
    curve = ((np.maximum(colours, 0.04045) + 0.055) / 1.055) ** np.float32(2.4)
    return np.where(colours <= 0.04045, colours / 12.92, curve).astype(np.float32)
