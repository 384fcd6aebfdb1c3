"""The picture of a shot's frame with the newest paint, as the live preview shows it.

    shown = Preview(entry)
    shown.prepare(entry, 12)          # reads the frame and what it needs, and the next ones ahead
    shown.render(entry).texture       # while Blender draws

Maps are read ahead in threads (preview_cache.py), frames too or by Blender (plate_texture.py); the
picture is made on the graphics card (preview_shader.py): all of it, or while somebody paints, and a
program draws, what the brush has changed (stroke_region.py).
"""

import time
from dataclasses import replace

from ..shot.painting import is_behind
from ..shot.shots import NVD_PG_layer, NVD_PG_shot
from . import grid_shader, playback
from . import preview_shader as shader
from .blur_shader import Blur
from .layer_textures import LayerTextures
from .painted_layers import PaintedLayers, Part
from .plate_texture import PlateTexture, Rendered, number_of, ready_of
from .preview_cache import PLATE, MapCache
from .stack_sheet import StackSheets
from .streaks import PaintStreaks
from .stroke_region import StrokeRegion, Surface

MEMORY = 1 << 30  # bytes of maps kept


class Preview:
    """The picture of a shot's frames. `times` holds the seconds that the last one took by part."""

    def __init__(self, entry: NVD_PG_shot, mode: str = "delta", memory: int = MEMORY):
        self.shot, self.mode = entry.read(), mode
        self.cache = MapCache(self.shot, memory, full=False)
        self.stack = StackSheets(self.shot)
        self.plate = PlateTexture(self.shot, self.cache)
        self.textures = LayerTextures(self.shot, mode, self.cache, self.stack, self.plate)
        self.grid = 0.0
        """how opaque a grid is laid over it"""
        self.times: dict[str, float] = {}
        self.drawn: shader.Rectangles | None = None
        """what of the picture was drawn the last time; None: all of it"""
        self._picture: shader.Picture | None = None
        self._lines: grid_shader.Lines | None = None
        self._frame: int | None = None  # the one that is prepared
        self._number = 0  # of the state that it was rendered of; 0: it is put together here
        size = self.shot.width, self.shot.height
        self._painted = PaintedLayers(self.shot, mode, self.stack, self.textures)
        self._streaks = PaintStreaks(size, self.shot.frames, self.textures.places)
        self._strokes = StrokeRegion(size)
        self.by_strokes: bool | None = None
        """whether only what a stroke has changed is drawn; by itself where a program draws"""

    def prepare(self, entry: NVD_PG_shot, index: int, stride: int = 1) -> None:
        """Read frame `index` and the maps that it needs, and the next ones in the background, every
        `stride`th frame.
        """
        index = min(max(index, 0), self.shot.frames - 1)
        ready = self._ready(entry)
        number = self.plate.number(ready, index)
        if (self._frame, self._number) != (index, number) or not self.plate.is_there:
            self.plate.read(index, ready if number else None)
            self._frame, self._number = index, number
        if number:
            self.cache.prefetch(index, lambda t: self.plate.ahead(ready, t), stride=stride)
            return
        self.textures.prepare(entry, index)
        self.stack.prepare(entry, index)
        spills = self.mode != "full" and any(layer.spill for layer in entry.layers)
        layers = entry.layers if self.grid or spills else self._layers(entry)
        names = [PLATE] * self.plate.by_cache + [layer.name for layer in layers]
        self.cache.prefetch(index, names, stride=stride, beside=_reach(entry))

    def render(self, entry: NVD_PG_shot) -> shader.Picture:
        """Make the picture of the frame that is prepared; only where the gpu module works.

        MapsError where its maps cannot be read.
        """
        began = time.perf_counter()
        if self._picture is None:
            self._picture = shader.Picture(self.shot.width, self.shot.height)
        if self._number:
            self._strokes.forget()
            self.drawn = None
            self._picture.begin(self.plate.frame, "delta")
            self._picture.end()
            self.times = {"upload": 0.0, "draw": time.perf_counter() - began}
            return self._picture
        reach, index = _reach(entry), self._frame
        self.textures.keep(range(index - reach, index + reach + 1))
        try:
            by_strokes = self._goes_by_strokes()
            parts, frame = self._painted.parts(entry, index, by_strokes), None
            if self.mode == "delta" or self.shot.has_alpha or self.shot.has_garbage:
                frame = self.plate.frame
            uploaded = time.perf_counter()
            self.drawn = self._region(entry, frame, parts) if by_strokes else None
            if self.drawn != []:
                self._put_together(entry, frame, parts, self.drawn)
        except BaseException:  # what has changed since is not in the picture yet
            self._strokes.forget()
            raise
        self.times = {"upload": uploaded - began, "draw": time.perf_counter() - uploaded}
        return self._picture

    @property
    def by_nodes(self) -> bool | None:
        """Whether the graphics card evaluates compact maps; None until it was found out."""
        return self.textures.by_nodes

    @by_nodes.setter
    def by_nodes(self, value: bool | None) -> None:
        self.textures.by_nodes = value

    @property
    def ready(self) -> bool:
        """Whether a frame is prepared."""
        return self._frame is not None

    @property
    def is_whole(self) -> bool:
        """Whether what was prepared is still there."""
        return self.plate.is_there

    def is_prepared(self, entry: NVD_PG_shot) -> bool:
        """Whether all that the frame shows was loaded: an entry may have been added since."""
        if not self.plate.is_there:
            return False
        if self._number:
            return not self.is_old(entry)
        known = self._frame is not None and self.stack.is_prepared(entry, self._frame)
        return known and self.textures.is_prepared(entry)

    @property
    def was_rendered(self) -> bool:
        """Whether the frame that is prepared was rendered ahead."""
        return bool(self._number)

    def is_old(self, entry: NVD_PG_shot) -> bool:
        """Whether the frame was rendered ahead, and is not to be shown any more."""
        if not self._number:
            return False
        return self._number != number_of(self._ready(entry), self._frame)

    def is_left(self, entry: NVD_PG_shot) -> bool:
        """Whether the shot has gone over to another state of its folder than the one shown here."""
        own = {layer.name: str(layer.edit) for layer in self.shot.layers}
        painted = [layer for layer in entry.layers if layer.edit and "nvd_path" in layer.edit]
        moved = any(layer.edit["nvd_path"] != own.get(layer.name) for layer in painted)
        return moved and not is_behind(entry)

    def forget_frame(self) -> None:
        """Blender's undo may have taken the image of the frame away, or changed its file."""
        self._frame = None
        self._strokes.forget()
        self.stack.forget_pictures()

    def close(self) -> None:
        """Give everything back; the images of the frame leave the file too."""
        self.cache.close()
        self.stack.close()
        self.textures.close()
        self.plate.close()
        self._painted.close()
        self._streaks.close()
        self._strokes.forget()
        self._picture = self._lines = self._frame = None

    def _ready(self, entry: NVD_PG_shot) -> Rendered | None:
        """What was rendered of the shot as it is now; with a grid over it all is made here."""
        return None if self.grid else ready_of(entry, self.shot, self.mode)

    def _layers(self, entry: NVD_PG_shot) -> list[NVD_PG_layer]:
        return self._painted.of(entry, self._frame or 0)

    def _put_together(
        self, entry: NVD_PG_shot, frame, parts: list[Part], region: shader.Rectangles | None
    ) -> None:
        """Draw the picture, or a region of the one that there is of the same frame."""
        over_frame = self.shot.has_garbage
        self._picture.begin(frame, self.mode, over_frame, region)
        for part in parts:
            self._picture.add(part.layer, self.mode)
        blurred = [part.blurred for part in parts if part.blurred is not None]
        if blurred:
            again, base = region is not None, frame
            if self.mode == "full":
                layers = [part.layer for part in parts]
                base = self._streaks.learned(layers, frame, over_frame, is_known=again)
            texels = self._strokes.texels if again else None
            target, blur = self._picture.painted, _blur(entry)
            self._streaks.lay(target, base, blurred, self._frame, blur, region, texels)
        self._picture.end()
        if self.grid:
            self._lay_grid(entry, region)

    def _goes_by_strokes(self) -> bool:
        if self.by_strokes is None:
            self.by_strokes = shader.is_software()
        if self.by_strokes and not playback.is_on():
            return True
        self._strokes.forget()
        return False

    def _region(self, entry: NVD_PG_shot, frame, parts: list[Part]) -> shader.Rectangles | None:
        """What of the picture is another one than that which was drawn last; None for all of it."""
        if any(part.tiles is None and (not part.sheet or part.state is None) for part in parts):
            self._strokes.forget()
            return None
        blur = _blur(entry) if entry.motion_blur else None
        fixed: list = [self._frame, frame, blur, self.grid]
        surfaces = []
        for part in parts:
            layer, is_blurred = part.layer, part.blurred is not None
            fixed += part.name, part.sheet, is_blurred
            if part.tiles is None:
                fixed.append(layer)
                continue
            size = layer.edit.width, layer.edit.height
            fixed += replace(layer, edit=None), size, layer.edit.format
            surface = Surface(part.name, size, part.tiles, layer.place)
            if is_blurred:
                surface.motion = self._streaks.motion(part.blurred, self._frame).texture
                surface.shutter = blur.shutter
            surfaces.append(surface)
        if self.grid:
            fixed += self._grids(entry)
        return self._strokes.look(fixed, surfaces)

    def _grids(self, entry: NVD_PG_shot) -> list[tuple]:
        """Places, size and colour of the grids of all layers."""
        layers = [layer for layer in entry.layers if layer.learned]
        objects = range(len(layers) - 1)
        colours = [grid_shader.COLOURS[n % len(grid_shader.COLOURS)] for n in objects]
        colours += [grid_shader.BACKGROUND] * bool(layers)
        places = [self.textures.maps(entry, layer, self._frame).place for layer in layers]
        sizes = [tuple(layer.learned.size) for layer in layers]
        return list(zip(places, sizes, colours, strict=True))

    def _lay_grid(self, entry: NVD_PG_shot, region: shader.Rectangles | None) -> None:
        if self._lines is None:
            self._lines = grid_shader.Lines(self.shot.width, self.shot.height)
        if region is None:
            self._lines.begin()
            for one in self._grids(entry):
                self._lines.add(*one, self.grid)
        self._lines.lay(self._picture, region)


def _blur(entry: NVD_PG_shot) -> Blur:
    return Blur(entry.shutter, entry.blur_samples)


def _reach(entry: NVD_PG_shot) -> int:
    """How many frames before and after the one that is shown are looked at."""
    return int(entry.motion_blur)
