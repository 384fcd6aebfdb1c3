"""The compositing of docs/reference/decomposition-folder.md in numpy, and Blender's pictures."""

from pathlib import Path

import bpy
import numpy as np


class Truth:
    """What make_folder.py wrote, in float64, and the picture that should come of it."""

    def __init__(self, folder: Path):
        with np.load(folder / "truth.npz") as stored:
            self.arrays = {key: stored[key].astype(np.float64) for key in stored.files}
        self.layers = [key[8:] for key in self.arrays if key.startswith("texture_")]
        self.frames = self.arrays["frames"]

    def picture(self, t: int, mode: str, visibility=(1, 1, 1), relight=(1, 1, 1), linear=False):
        """Frame t [H, W, 3], display-encoded and not clamped."""
        plate = encode(self.frames[t]) if linear else self.frames[t]
        total = plate.copy() if mode == "delta" else np.zeros_like(plate)
        for index, layer in enumerate(self.layers):
            maps = self.arrays["maps"][t, index]
            learned = self.arrays[f"texture_{layer}"][..., :3]
            edit = self.arrays[f"edit_{layer}"]
            if f"base_{layer}" in self.arrays:  # the edit has another size than the texture
                learned = self.arrays[f"base_{layer}"][..., :3]
            texture = edit[..., 3:] * (edit[..., :3] - learned)
            if f"base_{layer}" in self.arrays:
                largest = np.abs(edit[..., :3] - learned).max(-1, keepdims=True)
                texture *= np.clip(largest / (4 / 255) - 1, 0, 1)
            if mode == "full":
                texture = learned + texture
            share = bilinear(texture, maps[..., 0], maps[..., 1])
            light = 1 + relight[index] * (maps[..., 3:] - 1)
            total += visibility[index] * maps[..., 2:3] * light * share
        return total


def bilinear(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`image` [h, w, c], top row first, at u (right) and v (up); texel centres at (i + 0.5) / w."""
    height, width = image.shape[:2]
    x, y = u * width - 0.5, (1 - v) * height - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]

    def texel(row, column):
        return image[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]

    upper = texel(y0, x0) * (1 - fx) + texel(y0, x0 + 1) * fx
    lower = texel(y0 + 1, x0) * (1 - fx) + texel(y0 + 1, x0 + 1) * fx
    return upper * (1 - fy) + lower * fy


def encode(linear: np.ndarray) -> np.ndarray:
    """The sRGB curve, continued above 1."""
    power = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, power)


def psnr(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(max(np.mean((got - wanted) ** 2), 1e-20)))


def render(folder: Path, frame: int, kind: str = "PNG") -> np.ndarray:
    """Scene frame `frame` [H, W, 3], top row first: 16-bit PNG as stored, or scene-linear EXR."""
    scene = bpy.context.scene
    settings = scene.render.image_settings
    settings.file_format = kind
    settings.color_mode = "RGB"
    settings.color_depth = "16" if kind == "PNG" else "32"
    path = folder / f"blender_{frame:04d}.{'png' if kind == 'PNG' else 'exr'}"
    scene.render.filepath = str(path)
    scene.frame_set(frame)
    bpy.ops.render.render(write_still=True)
    return load(path, "Non-Color" if kind == "PNG" else "Linear Rec.709")


def load(path: Path, space: str = "Non-Color") -> np.ndarray:
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = space
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1, :, :3].astype(np.float64)
