"""What recording does to a picture: the sensor's noise, and compression."""

import tempfile
from pathlib import Path

import bpy
import numpy as np

from scenes.truth.writing import write_picture

NOISE = 0.02, 0.03  # standard deviation in display-encoded values, of black and of white
QUALITY = 28  # of the JPEG


def recorded(picture: np.ndarray, t: int) -> np.ndarray:
    """Frame t [H, W, 3], 0 to 1, as a small camera records it; its noise is that of its t."""
    random = np.random.default_rng(1000 + t)
    grain = random.standard_normal(picture.shape)
    grain = 0.5 * grain + 0.25 * (np.roll(grain, 1, 0) + np.roll(grain, 1, 1))
    strength = NOISE[0] + (NOISE[1] - NOISE[0]) * picture
    return _compressed((picture + strength * grain / 0.61).clip(0, 1))


def _compressed(picture: np.ndarray) -> np.ndarray:
    """Through a JPEG and back."""
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        path = Path(folder) / "worn.jpg"
        write_picture(path, picture, QUALITY)
        image = bpy.data.images.load(str(path))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(picture.shape[0] * picture.shape[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    return pixels.reshape(*picture.shape[:2], 4)[::-1, :, :3].copy()
