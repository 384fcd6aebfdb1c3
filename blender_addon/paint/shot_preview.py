"""The picture of a shot's frame with the newest paint, as the live preview shows it.

    shown = Preview(entry)
    shown.prepare(entry, 12)          # reads the frame and what it needs, and the next ones ahead
    shown.render(entry).texture       # while Blender draws

Maps are read ahead in threads (preview_cache.py), frames too or by Blender (plate_texture.py); the
picture is made on the graphics card (preview_shader.py).
"""

import filecmp
import time

from ..shot import file_stamps, layer_values
from ..shot.painting import has_unsaved, is_behind, is_unsaved
from ..shot.resample import DEAD_ZONE
from ..shot.shots import NVD_PG_layer, NVD_PG_shot
from . import grid_shader
from . import preview_shader as shader
from .blur_shader import Blur
from .layer_textures import LayerTextures
from .plate_texture import PlateTexture, Rendered, number_of, ready_of
from .preview_cache import PLATE, MapCache
from .stack_sheet import StackSheets
from .streaks import Painted, PaintStreaks

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
        self._picture: shader.Picture | None = None
        self._lines: grid_shader.Lines | None = None
        self._frame: int | None = None  # the one that is prepared
        self._number = 0  # of the state that it was rendered of; 0: it is put together here
        size = self.shot.width, self.shot.height
        self._streaks = PaintStreaks(size, self.shot.frames, self.textures.places)

    def prepare(self, entry: NVD_PG_shot, index: int, stride: int = 1) -> None:
        """Read frame `index` and the maps that it needs, and the next ones in the background, every
        `stride`th frame.
        """
        index = min(max(index, 0), self.shot.frames - 1)
        ready = self._ready(entry)
        number = self.plate.number(ready, index)
        if (self._frame, self._number) != (index, number):
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
            self._picture.begin(self.plate.frame, "delta")
            self._picture.end()
            self.times = {"upload": 0.0, "draw": time.perf_counter() - began}
            return self._picture
        index, layers = self._frame, self._layers(entry)
        self.textures.keep(range(index - _reach(entry), index + _reach(entry) + 1))
        parts = [self._layer(entry, layer, index) for layer in layers]
        frame = None
        if self.mode == "delta" or self.shot.has_alpha or self.shot.has_garbage:
            frame = self.plate.frame
        uploaded = time.perf_counter()
        self._picture.begin(frame, self.mode, self.shot.has_garbage)
        for part in parts:
            self._picture.add(part, self.mode)
        if entry.motion_blur:
            self._blur(entry, layers, parts, frame)
        self._picture.end()
        self._lay_grid(entry, index)
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

    def is_prepared(self, entry: NVD_PG_shot) -> bool:
        """Whether all that the frame shows was loaded: an entry may have been added since."""
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
        self.stack.forget_pictures()

    def close(self) -> None:
        """Give everything back; the images of the frame leave the file too."""
        self.cache.close()
        self.stack.close()
        self.textures.close()
        self.plate.close()
        self._streaks.close()
        self._picture = self._lines = self._frame = None

    def _ready(self, entry: NVD_PG_shot) -> Rendered | None:
        """What was rendered of the shot as it is now; with a grid over it all is made here."""
        return None if self.grid else ready_of(entry, self.shot, self.mode)

    def _layers(self, entry: NVD_PG_shot) -> list[NVD_PG_layer]:
        """The layers that change the picture, but for one whose size is about to be followed."""
        layers = [layer for layer in entry.layers if layer.image and layer.base]
        layers = [layer for layer in layers if not layer.has_changed_size]
        if self.mode == "full":
            return layers
        t = self._frame or 0
        return [
            layer for layer in layers if _is_painted(layer) or self.stack.shows(entry, layer, t)
        ]

    def _lay_grid(self, entry: NVD_PG_shot, index: int) -> None:
        if not self.grid:
            return
        if self._lines is None:
            self._lines = grid_shader.Lines(self.shot.width, self.shot.height)
        self._lines.begin()
        layers = [layer for layer in entry.layers if layer.learned]
        for number, layer in enumerate(layers):
            colour = grid_shader.BACKGROUND
            if number < len(layers) - 1:
                colour = grid_shader.COLOURS[number % len(grid_shader.COLOURS)]
            place = self.textures.maps(entry, layer, index).place
            self._lines.add(place, layer.learned.size, colour, self.grid)
        self._lines.lay(self._picture)

    def _layer(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> shader.Layer:
        maps = self.textures.maps(entry, layer, index)
        kinds = ("visibility", "light")
        amounts = [layer_values.value_at(entry, layer, what, index) for what in kinds]
        flat = self.stack.flat(entry, layer, index)
        if flat is not None:
            form = shader.form_of(flat.learned)
            pair = flat.texture, shader.from_image(flat.learned)
            return shader.Layer(*pair, maps.place, maps.light, *amounts, 0.0, shader.ENCODED, form)
        images = layer.image, layer.base
        pair, forms = map(shader.from_image, images), map(shader.form_of, images)
        dead_zone = DEAD_ZONE if layer.base != layer.learned else 0.0
        return shader.Layer(*pair, maps.place, maps.light, *amounts, dead_zone, *forms)

    def _blur(self, entry: NVD_PG_shot, layers: list, parts: list, frame) -> None:
        """Blur what is painted on the layers, whose parts are in the picture already."""
        index, painted = self._frame, []
        named = {layer.name: layer for layer in self.shot.layers}
        for layer, part in zip(layers, parts, strict=True):
            flat = self.stack.shows(entry, layer, index)
            if flat or _is_painted(layer):
                state = self.stack.state(layer) if flat else _state_of_paint(layer)
                edges = any(self.textures.edges(layer))
                own = named[layer.name]
                painted.append(Painted(layer.name, part, state, edges, own.windows, own.parts))
        if not painted:
            return
        base = frame
        if self.mode == "full":
            base = self._streaks.learned(parts, frame, self.shot.has_garbage)
        blur = Blur(entry.shutter, entry.blur_samples)
        self._streaks.lay(self._picture.painted, base, painted, index, blur)


def _reach(entry: NVD_PG_shot) -> int:
    """How many frames before and after the one that is shown are looked at."""
    return int(entry.motion_blur)


def _is_painted(layer: NVD_PG_layer) -> bool:
    if layer.shown is not None:
        return layer.shown != layer.base
    edit, learned = layer.edit["nvd_path"], layer.learned["nvd_path"]
    try:
        return is_unsaved(layer) or not filecmp.cmp(edit, learned, shallow=False)
    except OSError:  # the folder has gone: the images are still in memory
        return True


def _state_of_paint(layer: NVD_PG_layer) -> object:
    """Equal where what is painted on a layer is; None where that may change at any time."""
    if layer.shown is not None or has_unsaved(layer.image):
        return None
    images = layer.image, layer.base
    return tuple((i.session_uid, i.name, *i.size, file_stamps.known(i)) for i in images)
