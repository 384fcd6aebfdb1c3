"""Textures of images that are painted on, of which no more is uploaded than was painted.

    edits = EditTextures()
    found = edits.follow("toy", image)          # found.texture, found.form, found.tiles

Blender hands on its own texture of an image (`preview_shader.from_image`), and makes all its
smaller copies anew after every stroke, which where a program draws takes longer than a picture.
Here the image's pixels are compared with those of the last time. The values are the same, bit for
bit. Only to be used where Blender draws.
"""

from dataclasses import dataclass

import bpy
import gpu
import numpy as np

from ..blender.pixels import DISPLAY, STORED
from . import damage, preview_shader

MOST_TEXELS = 4096 * 4096
"""of a texture, whose pixels are kept to be compared: 16 bytes each"""

_PART = """
void main()
{
  result = texelFetch(part, ivec2(gl_FragCoord.xy) - corner, 0);
}
"""


@dataclass
class Followed:
    """An image as it is now."""

    texture: gpu.types.GPUTexture
    form: int
    """what its colours are, as `preview_shader.form_of` has it"""
    tiles: np.ndarray
    """which of damage.TILE texels are not as they were the last time, bool [rows, columns]"""


class EditTextures:
    """By any name, such as the layer's."""

    def __init__(self):
        self._kept: dict[str, _Kept] = {}
        self._scratch = np.empty(0, np.float32)

    def follow(self, name: str, image: bpy.types.Image) -> Followed | None:
        """The texture of an image; None of one that is kept in another way than a shot's are, or is
        too large.
        """
        kind = _kind(image)
        if kind is None:
            self._kept.pop(name, None)
            return None
        kept = self._kept.get(name)
        if kept is None or kept.kind != kind:
            kept = self._kept[name] = _Kept(kind)
        if len(self._scratch) != len(kept.pixels):
            self._scratch = np.empty_like(kept.pixels)
        image.pixels.foreach_get(self._scratch)
        tiles = kept.changes(self._scratch)
        if tiles.any():
            del self._kept[name]  # until it has all of it
            kept.pixels, self._scratch = self._scratch, kept.pixels
            kept.upload(tiles)
            self._kept[name] = kept
        return Followed(kept.target.texture_color, kind.form, tiles)

    def forget(self) -> None:
        """Give everything back."""
        self._kept.clear()
        self._scratch = np.empty(0, np.float32)


@dataclass(frozen=True)
class _Kind:
    size: tuple[int, int]
    format: str
    form: int


def _kind(image: bpy.types.Image) -> _Kind | None:
    """How Blender's own texture of the image would hold it."""
    width, height = image.size
    space = image.colorspace_settings.name
    if not 0 < width * height <= MOST_TEXELS or image.alpha_mode != "CHANNEL_PACKED":
        return None
    if image.channels != 4 or image.source not in ("FILE", "GENERATED"):
        return None
    form = preview_shader.form_of(image)
    if image.is_float:
        kept = "RGBA16F" if image.use_half_precision else "RGBA32F"
        return _Kind((width, height), kept, form)
    if space not in (DISPLAY, STORED):
        return None
    return _Kind((width, height), "RGBA8", form if space == STORED else preview_shader.RAW_BYTES)


class _Kept:
    """The texture of an image of one kind, and the pixels that it was made of."""

    def __init__(self, kind: _Kind):
        self.kind = kind
        width, height = kind.size
        self.target = gpu.types.GPUOffScreen(width, height, format=kind.format)
        self.pixels = np.empty(width * height * 4, np.float32)
        self._is_new = True

    def changes(self, pixels: np.ndarray) -> np.ndarray:
        """Tiles in which these are other ones."""
        width, height = self.kind.size
        before, now = (flat.reshape(height, -1) for flat in (self.pixels, pixels))
        if self._is_new:
            return damage.all_tiles(self.kind.size)
        return damage.changed_tiles(before, now, width)

    def upload(self, tiles: np.ndarray) -> None:
        """Take over these tiles of the pixels."""
        width, height = self.kind.size
        rows = self.pixels.reshape(height, width, 4)
        made = preview_shader.shaders()
        if "edit part" not in made:
            made["edit part"] = preview_shader.compiled(_PART, ("part",), {"corner": "IVEC2"})
        for left, bottom, right, top in damage.rectangles(tiles, damage.TILE, self.kind.size):
            part = np.ascontiguousarray(rows[bottom:top, left:right])
            buffer = gpu.types.Buffer("FLOAT", part.size, part.ravel())
            size = right - left, top - bottom
            texture = gpu.types.GPUTexture(size, format=self.kind.format, data=buffer)
            shader = made["edit part"]
            shader.bind()
            shader.uniform_sampler("part", texture)
            shader.uniform_int("corner", (left, bottom))
            region = [(left, bottom, right, top)]
            preview_shader.fill(shader, "NONE", self.target, region)
        self._is_new = False
