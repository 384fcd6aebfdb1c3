"""What the live preview lays paint over, as a texture: a frame's plate, or in place of all that it
would make itself, the frame as it was rendered ahead.

The cache's threads read files that they can, Blender the others.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bpy

from ..blender.pixels import STORED
from ..shot.folder import Shot, ShotError, is_file
from ..shot.scripting import frames_space
from ..shot.shots import NVD_PG_shot
from . import preview_shader as shader
from .preview_cache import PLATE, MapCache, ahead_of


class Rendered(NamedTuple):
    """Frames that were rendered as the shot is now."""

    number: int
    """of the state that they are of, never 0"""
    frames: set[int]
    pattern: str


rendered: list[Callable[[NVD_PG_shot, Shot, str], Rendered | None]] = []
"""by ahead.py: what is to be shown in place of what is made here; of a shot in a mode, now"""


def ready_of(entry: NVD_PG_shot, shot: Shot, mode: str) -> Rendered | None:
    """What was rendered of the shot as it is now."""
    found = (of(entry, shot, mode) for of in rendered)
    return next((one for one in found if one is not None), None)


def number_of(ready: Rendered | None, index: int | None) -> int:
    """Of the state that frame `index` was rendered of; 0 where it was not."""
    return ready.number if ready is not None and index in ready.frames else 0


class PlateTexture:
    """The plate of the frame that is shown."""

    def __init__(self, shot: Shot, cache: MapCache):
        self.shot, self.cache = shot, cache
        plain = shot.suffix == "png" and not (shot.has_alpha or shot.space)
        self._is_plain = plain
        self.by_cache = plain
        """whether the cache's threads read plates, as long as they can"""
        self._read: tuple | None = None  # its bytes, and once it was drawn their target

    @property
    def image_name(self) -> str:
        """Of Blender's image that holds the frame, where the threads do not read it."""
        return f".NVD preview {self.shot.name}"

    @property
    def frame(self) -> shader.Frame:
        """The plate that was read last; only where Blender draws."""
        return shader.Frame(self._texture(), self.shot.is_linear, self.shot.alpha)

    @property
    def is_there(self) -> bool:
        """Whether what was read last still is: Blender's purge may have taken its image away."""
        return self._read is not None or self.image_name in bpy.data.images

    def number(self, ready: Rendered | None, index: int) -> int:
        """`number_of`, where the file is still there."""
        number = number_of(ready, index)
        if number and not is_file(Path(ready.pattern % index)):  # somebody has removed it
            ready.frames.discard(index)
            return 0
        return number

    def read(self, index: int, ready: Rendered | None) -> None:
        """The frame's plate, or what was rendered in its place."""
        self._read = None
        if ready is not None:
            for name in self.ahead(ready, index):
                plate = self.cache.get(index, name)
                self._read = (plate, []) if plate.size else None
            if self._read is None:
                self._load(ready.pattern % index)
            return
        if self.by_cache:
            plate = self.cache.get(index, PLATE)
            self.by_cache = bool(plate.size)  # else those of this clip are Blender's to read
            self._read = (plate, []) if plate.size else None
        if self._read is None:
            self._load(str(self.shot.frame(index)))

    def ahead(self, ready: Rendered, t: int) -> list[str]:
        """What the cache's threads are to read of frame `t`, where it was rendered."""
        self.cache.ahead = ready.pattern
        return [ahead_of(ready.number)] if self._is_plain and t in ready.frames else []

    def close(self) -> None:
        """Give everything back; the image of the frame leaves the file too."""
        self._read = None
        image = bpy.data.images.get(self.image_name)
        if image is not None:
            bpy.data.images.remove(image)

    def _texture(self):
        if self._read is None:
            return shader.from_image(bpy.data.images[self.image_name])
        plate, made = self._read
        if not made:
            made.append(shader.from_packed(plate))
        return made[0].texture_color

    def _load(self, path: str) -> None:
        of_others = self.shot.primaries is not None or bool(self.shot.space)
        image = bpy.data.images.get(self.image_name)
        if image is None:
            image = bpy.data.images.load(path)
            image.name = self.image_name
            # of other primaries, or a space, Blender makes its own, Rec.709
            image.colorspace_settings.name = frames_space(self.shot) if of_others else STORED
            image.alpha_mode = "CHANNEL_PACKED"
        else:
            image.filepath = path
            image.reload()
        if not image.size[0]:
            raise ShotError(f"Blender cannot read {path}", "copy it again; it may be damaged")
