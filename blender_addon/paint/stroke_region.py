"""What of a picture a stroke makes another one: all that is drawn again while somebody paints.

    region = strokes.look(fixed, surfaces)                 # None: all of it
    strokes.texels("toy")                                  # what of the layer's texture has changed

Which texels are others is known (edit_texture.py); which blocks of the picture look at them is
found once for a frame. Only to be used where Blender draws.
"""

from dataclasses import dataclass

import gpu
import numpy as np

from . import damage
from .block_bounds import bounds_of
from .preview_shader import Rectangles


@dataclass
class Surface:
    """A layer's texture that is painted on, and where the picture looks at it."""

    name: str
    size: tuple[int, int]
    """width and height of the texture"""
    tiles: np.ndarray
    """what of it is not as it was when the picture was drawn last"""
    place: gpu.types.GPUTexture
    motion: gpu.types.GPUTexture | None = None
    """of a layer whose paint is blurred, over `shutter`"""
    shutter: float = 0.0


class StrokeRegion:
    """Of one picture, which whoever draws it keeps."""

    def __init__(self, size: tuple[int, int]):
        self._size = size
        self._fixed: object = None
        self._texels: dict[str, Rectangles] = {}
        self._unseen: dict[str, np.ndarray] = {}  # tiles that no look has handed on yet
        self._bounds: dict[str, tuple] = {}  # of what they are, and they

    def look(self, fixed: object, surfaces: list[Surface]) -> Rectangles | None:
        """What is not as it was at the last look; None for all of it, as in what the picture shows
        for the first time.

        fixed: equal where all else is that the picture is made of.
        """
        if self._fixed is None or self._fixed != fixed:
            self.forget()
            self._fixed = fixed
            return None
        blocks: np.ndarray | bool = False
        self._texels = {}
        for one in surfaces:
            tiles = self._unseen[one.name] = one.tiles | self._unseen.get(one.name, False)
            self._texels[one.name] = damage.rectangles(tiles, damage.TILE, one.size)
            if one.tiles.any():
                blocks |= damage.reached_blocks(one.tiles, self._bounds_of(one), one.size)
        if not np.any(blocks):  # nothing is drawn: what is made of the texels stays as it was
            return []
        self._unseen = {}
        return damage.rectangles(blocks, damage.BLOCK, self._size)

    def texels(self, name: str) -> Rectangles:
        """What was changed of a layer's texture, where the last look did not find all to be."""
        return self._texels[name]

    def forget(self) -> None:
        """All is to be drawn at the next look, and nothing is held any more."""
        self._fixed = None
        self._texels, self._unseen, self._bounds = {}, {}, {}

    def _bounds_of(self, surface: Surface) -> np.ndarray:
        of = surface.place, surface.motion, surface.shutter
        known = self._bounds.get(surface.name)
        if known is None or known[0] != of:
            known = self._bounds[surface.name] = of, bounds_of(*of)
        return known[1]
