"""The learned texture at the size of an edit, as the engine makes it before it compares the two.

docs/reference/decomposition-folder.md: area means along the axes that shrink, then bilinear, texel
centres at (i + 0.5) / size. What differs less than DEAD_ZONE is what resampling leaves, and no
paint.
"""

import bpy
import numpy as np

from ..blender.pixels import LINEAR, STORED, is_light, read_pixels, write_pixels

DEAD_ZONE = 4 / 255


def learned_at(learned: bpy.types.Image, size) -> bpy.types.Image:
    """`learned` itself where it has the `size` (width, height), else an image of it in that size.

    There is one such image a texture. It is packed into the .blend, in full precision, so that a
    render of that file needs no extension.
    """
    size = tuple(size)
    if tuple(learned.size) == size:
        return learned
    name = f"{learned.name} at {size[0]} x {size[1]}"
    image = next((i for i in bpy.data.images if i.get("nvd_base") == learned["nvd_path"]), None)
    if image is None or tuple(image.size) != size:
        old, image = image, bpy.data.images.new(name, *size, alpha=True, float_buffer=True)
        image.colorspace_settings.name = LINEAR if is_light(learned) else STORED
        image.alpha_mode = "CHANNEL_PACKED"
        image.use_half_precision = False  # on the graphics card
        image["nvd_base"] = learned["nvd_path"]
        if old is not None:
            old.user_remap(image)
            bpy.data.images.remove(old)
    write_pixels(image, resized(read_pixels(learned), *size))
    image.pack()
    return image


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """[h, w, c] as [height, width, c] float32, either row first."""
    smaller = min(height, pixels.shape[0]), min(width, pixels.shape[1])
    for axis in (0, 1):
        pixels = _area_means(pixels, smaller[axis], axis)
    for axis, count in enumerate((height, width)):
        pixels = _bilinear(pixels, count, axis)
    return pixels.astype(np.float32)


def _area_means(pixels: np.ndarray, count: int, axis: int) -> np.ndarray:
    """`count` means of equal length along `axis`: differences of the running sum at their ends."""
    size = pixels.shape[axis]
    if count == size:
        return pixels
    pixels = np.moveaxis(pixels, axis, 0)
    sums = np.concatenate([np.zeros_like(pixels[:1]), np.cumsum(pixels, 0, np.float64)])
    ends = np.arange(count + 1) * size / count
    below = np.minimum(ends.astype(int), size - 1)
    part = (ends - below).reshape(-1, *[1] * (pixels.ndim - 1))
    at_ends = sums[below] * (1 - part) + sums[below + 1] * part
    return np.moveaxis(np.diff(at_ends, axis=0) * (count / size), 0, axis)


def _bilinear(pixels: np.ndarray, count: int, axis: int) -> np.ndarray:
    size = pixels.shape[axis]
    if count == size:
        return pixels
    at = ((np.arange(count) + 0.5) * size / count - 0.5).clip(0, size - 1)
    first = np.minimum(at.astype(int), size - 2) if size > 1 else np.zeros(count, int)
    part = np.float32(at - first).reshape([-1 if n == axis else 1 for n in range(pixels.ndim)])
    low = pixels.take(first, axis)
    return low + part * (pixels.take(np.minimum(first + 1, size - 1), axis) - low)
