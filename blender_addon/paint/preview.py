"""The live preview: the current frame with the newest paint, while painting.

    preview.start(entry)        # in every Image Editor and Sequencer preview, until stop()

It follows the playhead. Maps are read ahead in a thread (preview_cache.py), frames by Blender; the
picture is made on the graphics card (preview_shader.py) each time that an editor draws itself,
which Blender does after every step of a stroke.
"""

import filecmp
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.inside import inside
from ..blender.pixels import STORED
from ..blender.redraw import redraw
from ..errors import AddonError
from ..shot import file_stamps, layer_values
from ..shot.exr import MapsError
from ..shot.folder import Shot, ShotError, is_file
from ..shot.image_header import check_image
from ..shot.node_maps import LayerNodes, full_maps
from ..shot.painting import has_unsaved, is_behind, is_unsaved
from ..shot.placing import has_others
from ..shot.resample import DEAD_ZONE
from ..shot.scripting import frames_space
from ..shot.shots import (
    NVD_PG_layer,
    NVD_PG_shot,
    all_shots,
    current_shot,
    new_id,
    strip_of,
    when_chosen,
)
from ..strip.strips import source_frame
from ..strip.timing import shown_pictures
from . import edge_shader, grid_shader, inset, node_shader, playback, spill_shader
from . import preview_shader as shader
from .blur_shader import Blur
from .preview_cache import PLATE, MapCache, ahead_of
from .stack_sheet import StackSheets
from .streaks import Painted, PaintStreaks
from .view_transform import ShownView

MEMORY = 1 << 30  # bytes of maps kept


class Rendered(NamedTuple):
    """Frames that were rendered as the shot is now."""

    number: int
    """of the state that they are of, never 0"""
    frames: set[int]
    pattern: str


rendered: list[Callable[[NVD_PG_shot, Shot, str], Rendered | None]] = []
"""by ahead.py: what is to be shown in place of what is made here; of a shot in a mode, now"""


class Preview:
    """The picture of a shot's frames. `times` holds the seconds that the last one took by part."""

    def __init__(self, entry: NVD_PG_shot, mode: str = "delta", memory: int = MEMORY):
        self.shot, self.mode = entry.read(), mode
        self.cache = MapCache(self.shot, memory, full=False)
        self.stack = StackSheets(self.shot)
        self.grid = 0.0
        """how opaque a grid is laid over it"""
        self.times: dict[str, float] = {}
        self._picture: shader.Picture | None = None
        self._lines: grid_shader.Lines | None = None
        self._frame: int | None = None  # the one that is prepared
        self._number = 0  # of the state that it was rendered of; 0: it is put together here
        plain = self.shot.suffix == "png" and not (self.shot.has_alpha or self.shot.space)
        self._reads_plates = plain  # whether the cache's threads do, as long as they can
        self._is_plain = plain
        self._plate: tuple | None = None  # its bytes, and once it was drawn their target
        self._uploaded: dict[str, tuple] = {}  # by layer: of what they are, and textures
        self._as_stored: dict[tuple, tuple] = {}  # the same of frame and layer, without edges
        size = self.shot.width, self.shot.height
        self._streaks = PaintStreaks(size, self.shot.frames, self._places)
        self.by_nodes: bool | None = None
        """whether the graphics card evaluates compact maps; by itself where it is no program"""

    def prepare(self, entry: NVD_PG_shot, index: int, stride: int = 1) -> None:
        """Read frame `index` and the maps that it needs, and the next ones in the background, every
        `stride`th frame.
        """
        index = min(max(index, 0), self.shot.frames - 1)
        ready = self._ready(entry)
        number = self._number_of(ready, index)
        if number and not is_file(Path(ready.pattern % index)):  # somebody has removed it
            ready.frames.discard(index)
            number = 0
        if (self._frame, self._number) != (index, number):
            self._read_frame(index, ready if number else None)
            self._frame, self._number = index, number
        if number:
            self.cache.prefetch(index, lambda t: self._read_ahead(ready, t), stride=stride)
            return
        self._load_holdouts(entry, index)
        self.stack.prepare(entry, index)
        spills = self.mode != "full" and any(layer.spill for layer in entry.layers)
        layers = entry.layers if self.grid or spills else self._layers(entry)
        names = [PLATE] * self._reads_plates + [layer.name for layer in layers]
        self.cache.prefetch(index, names, stride=stride, beside=_reach(entry))

    def render(self, entry: NVD_PG_shot) -> shader.Picture:
        """Make the picture of the frame that is prepared; only where the gpu module works.

        MapsError where its maps cannot be read.
        """
        began = time.perf_counter()
        if self._picture is None:
            self._picture = shader.Picture(self.shot.width, self.shot.height)
        if self._number:
            self._picture.begin(self._shown_plate(), "delta")
            self._picture.end()
            self.times = {"upload": 0.0, "draw": time.perf_counter() - began}
            return self._picture
        index, layers = self._frame, self._layers(entry)
        near = range(index - _reach(entry), index + _reach(entry) + 1)
        self._as_stored = {of: known for of, known in self._as_stored.items() if of[0] in near}
        parts = [self._layer(entry, layer, index) for layer in layers]
        frame = None
        if self.mode == "delta" or self.shot.has_alpha or self.shot.has_garbage:
            frame = self._shown_plate()
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
    def ready(self) -> bool:
        """Whether a frame is prepared."""
        return self._frame is not None

    def is_prepared(self, entry: NVD_PG_shot) -> bool:
        """Whether all that the frame shows was loaded: an entry may have been added since."""
        if self._number:
            return not self.is_old(entry)
        known = self._frame is not None and self.stack.is_prepared(entry, self._frame)
        held = [layer for layer in entry.layers if layer.holdout and self.mode != "full"]
        return known and all(_holdout_name(layer) in bpy.data.images for layer in held)

    @property
    def was_rendered(self) -> bool:
        """Whether the frame that is prepared was rendered ahead."""
        return bool(self._number)

    def is_old(self, entry: NVD_PG_shot) -> bool:
        """Whether the frame was rendered ahead, and is not to be shown any more."""
        if not self._number:
            return False
        return self._number != self._number_of(self._ready(entry), self._frame)

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
        """Give everything back; the image of the frame leaves the file too."""
        self.cache.close()
        self.stack.close()
        self._uploaded.clear()
        self._as_stored.clear()
        self._streaks.close()
        self._picture = self._lines = self._plate = None
        names = [
            self._frame_name,
            *(f".NVD holdout {self.shot.name} {x.name}" for x in self.shot.layers),
        ]
        for image in [image for image in bpy.data.images if image.name in names]:
            bpy.data.images.remove(image)
        self._frame = None

    @property
    def _frame_name(self) -> str:
        return f".NVD preview {self.shot.name}"

    def _ready(self, entry: NVD_PG_shot) -> Rendered | None:
        """What was rendered of the shot as it is now; with a grid over it all is made here."""
        found = (of(entry, self.shot, self.mode) for of in rendered if not self.grid)
        return next((one for one in found if one is not None), None)

    @staticmethod
    def _number_of(ready: Rendered | None, index: int | None) -> int:
        return ready.number if ready is not None and index in ready.frames else 0

    def _read_ahead(self, ready: Rendered, t: int) -> list[str]:
        """What the cache's threads are to read of frame `t`, where it was rendered."""
        self.cache.ahead = ready.pattern
        return [ahead_of(ready.number)] if self._is_plain and t in ready.frames else []

    def _read_frame(self, index: int, ready: Rendered | None) -> None:
        """The frame's plate, or what was rendered in its place, by the cache's threads or by
        Blender.
        """
        self._plate = None
        if ready is not None:
            for name in self._read_ahead(ready, index):
                plate = self.cache.get(index, name)
                self._plate = (plate, []) if plate.size else None
            if self._plate is None:
                self._load_frame(ready.pattern % index)
            return
        if self._reads_plates:
            plate = self.cache.get(index, PLATE)
            self._reads_plates = bool(plate.size)  # else those of this clip are Blender's to read
            self._plate = (plate, []) if plate.size else None
        if self._plate is None:
            self._load_frame(str(self.shot.frame(index)))

    def _frame_texture(self):
        if self._plate is None:
            return shader.from_image(bpy.data.images[self._frame_name])
        plate, made = self._plate
        if not made:
            made.append(shader.from_packed(plate))
        return made[0].texture_color

    def _load_frame(self, path: str) -> None:
        of_others = self.shot.primaries is not None or bool(self.shot.space)
        image = bpy.data.images.get(self._frame_name)
        if image is None:
            image = bpy.data.images.load(path)
            image.name = self._frame_name
            # of other primaries, or a space, Blender makes its own, Rec.709
            image.colorspace_settings.name = frames_space(self.shot) if of_others else STORED
            image.alpha_mode = "CHANNEL_PACKED"
        else:
            image.filepath = path
            image.reload()
        if not image.size[0]:
            raise ShotError(f"Blender cannot read {path}", "copy it again; it may be damaged")

    def _layers(self, entry: NVD_PG_shot) -> list[NVD_PG_layer]:
        """The layers that change the picture, but for one whose size is about to be followed."""
        layers = [layer for layer in entry.layers if layer.image and layer.base]
        layers = [layer for layer in layers if not layer.has_changed_size]
        if self.mode == "full":
            return layers
        t = self._frame or 0
        return [
            layer
            for layer in layers
            if self._is_painted(layer) or self.stack.shows(entry, layer, t)
        ]

    def _is_painted(self, layer: NVD_PG_layer) -> bool:
        if layer.shown is not None:
            return layer.shown != layer.base
        edit, learned = layer.edit["nvd_path"], layer.learned["nvd_path"]
        try:
            return is_unsaved(layer) or not filecmp.cmp(edit, learned, shallow=False)
        except OSError:  # the folder has gone: the images are still in memory
            return True

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
            place = self._maps(entry, layer, index)[1]
            self._lines.add(place, layer.learned.size, colour, self.grid)
        self._lines.lay(self._picture)

    def _layer(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> shader.Layer:
        known = self._maps(entry, layer, index)
        kinds = ("visibility", "light")
        amounts = [layer_values.value_at(entry, layer, what, index) for what in kinds]
        flat = self.stack.flat(entry, layer, index)
        if flat is not None:
            form = shader.form_of(flat.learned)
            pair = flat.texture, shader.from_image(flat.learned)
            return shader.Layer(*pair, *known[1:3], *amounts, 0.0, shader.ENCODED, form)
        images = layer.image, layer.base
        edit, base = map(shader.from_image, images)
        dead_zone = DEAD_ZONE if layer.base != layer.learned else 0.0
        return shader.Layer(
            edit, base, known[1], known[2], *amounts, dead_zone, *map(shader.form_of, images)
        )

    def _maps(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> tuple:
        """The textures of a layer's places and light in the frame, behind what they are of."""
        of = index, *(self._edges(layer))
        known = self._uploaded.get(layer.name)
        if known is not None and known[0] == of:
            return known
        place, light, source = self._evaluated(index, layer.name)
        made = spilt = None
        if any(of[1:]):
            image = bpy.data.images.get(_holdout_name(layer)) if layer.holdout else None
            holdout = None if image is None else shader.from_image(image)
            edges, reach, matte = (layer.choke, layer.feather, holdout), 0, None
            if layer.spill:
                spilt, reach = self._spilt(entry, layer, index, place, light)
                matte = spilt.texture
            made = edge_shader.with_edges(place, light, *edges, matte, reach)
            place, light = made.place, made.light
        known = self._uploaded[layer.name] = of, place, light, (source, made), spilt
        return known

    def _blur(self, entry: NVD_PG_shot, layers: list, parts: list, frame) -> None:
        """Blur what is painted on the layers, whose parts are in the picture already."""
        index, painted = self._frame, []
        named = {layer.name: layer for layer in self.shot.layers}
        for layer, part in zip(layers, parts, strict=True):
            flat = self.stack.shows(entry, layer, index)
            if flat or self._is_painted(layer):
                state = self.stack.state(layer) if flat else _state_of_paint(layer)
                edges = any(self._edges(layer))
                own = named[layer.name]
                painted.append(Painted(layer.name, part, state, edges, own.windows, own.parts))
        if not painted:
            return
        base = frame
        if self.mode == "full":
            base = self._streaks.learned(parts, frame, self.shot.has_garbage)
        blur = Blur(entry.shutter, entry.blur_samples)
        self._streaks.lay(self._picture.painted, base, painted, index, blur)

    def _places(self, index: int, name: str):
        """The texture of a layer's places with its own matte."""
        return self._evaluated(index, name)[0]

    def _evaluated(self, index: int, name: str) -> tuple:
        """The textures of a layer's places and light, and what they live by."""
        if self.by_nodes is None:
            self.by_nodes = not shader.is_software()
        of = index, name, self.by_nodes
        if of not in self._as_stored:
            self._as_stored[of] = self._read_maps(index, name)
        return self._as_stored[of]

    def _read_maps(self, index: int, name: str) -> tuple:
        self.cache.full = not self.by_nodes
        maps = self.cache.get(index, name)
        if isinstance(maps, LayerNodes) and node_shader.fits(maps):
            nodes = node_shader.Nodes(maps)
            made = nodes.evaluate()
            return made.place, made.light, (nodes, made)
        maps = full_maps(maps) if isinstance(maps, LayerNodes) else maps
        return shader.from_numpy(maps[..., :3]), shader.from_numpy(maps[..., 3:]), None

    def _spilt(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int, place, light) -> tuple:
        """The layer's matte with its spill, and how far beyond that the layer goes on."""
        others, kept = [], []  # what others' textures live by
        for other in entry.layers:
            if other != layer and other.learned is not None:
                texture, form = self._learned(entry, other, index)
                *maps, source = self._evaluated(index, other.name)
                kept.append(source)
                one = shader.Layer(texture, texture, *maps)
                one.edit_form = one.learned_form = form
                others.append(one)
        frame = self._shown_plate()
        reach = spill_shader.reach_of(self.shot.height)
        beyond = reach + math.ceil(max(-layer.choke, 0)) + math.ceil(layer.feather)
        learned = self._learned(entry, layer, index)
        made = spill_shader.with_spill(place, light, layer.spill, beyond, frame, learned, others)
        return made, reach

    def _learned(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> tuple:
        """What was learned of the layer, as large as what shows, and its form."""
        flat = self.stack.flat(entry, layer, index)
        image = flat.learned if flat is not None else layer.base or layer.learned
        return shader.from_image(image), shader.form_of(image)

    def _shown_plate(self) -> shader.Frame:
        return shader.Frame(self._frame_texture(), self.shot.is_linear, self.shot.alpha)

    def _edges(self, layer: NVD_PG_layer) -> tuple:
        """What the preview shows of the edges of the layer's paint."""
        if self.mode == "full":
            return ()
        return layer.choke, layer.feather, layer.spill, layer.holdout

    def _load_holdouts(self, entry: NVD_PG_shot, index: int) -> None:
        """Load the mattes of the frame that hold paint out."""
        for layer in entry.layers if self.mode != "full" else ():
            if not layer.holdout:
                continue
            relative = layer.holdout.replace("%05d", f"{index:05d}")
            path = inside(self.shot.folder, relative, ShotError)
            check_image(path, ShotError, (self.shot.width, self.shot.height))
            image = bpy.data.images.get(_holdout_name(layer))
            if image is None:
                image = bpy.data.images.load(str(path))
                image.name = _holdout_name(layer)
                image.colorspace_settings.name = STORED
            elif bpy.path.abspath(image.filepath) != str(path):
                image.filepath = str(path)
                image.reload()


def _reach(entry: NVD_PG_shot) -> int:
    """How many frames before and after the one that is shown are looked at."""
    return int(entry.motion_blur)


def _state_of_paint(layer: NVD_PG_layer) -> object:
    """Equal where what is painted on a layer is; None where that may change at any time."""
    if layer.shown is not None or has_unsaved(layer.image):
        return None
    images = layer.image, layer.base
    return tuple((i.session_uid, i.name, *i.size, file_stamps.known(i)) for i in images)


def _holdout_name(layer) -> str:
    """Of the image of a layer's holdout: names have 63 bytes, and one shot is shown at a time."""
    return f".NVD holdout {layer.name}"[:63]


over_picture: list[Callable[[], None]] = []
"""called in the Sequencer's preview when the picture has been drawn there"""


class _Live:
    """What is switched on: the preview of one shot, with its draw handlers."""

    def __init__(self):
        self.preview: Preview | None = None
        self.id = ""  # the shot's
        self.frame = -1  # of the shot, at the playhead
        self.message = ""
        self.handles: list = []
        self.view = ShownView()  # the Sequencer's

    def entry(self) -> NVD_PG_shot | None:
        return next((entry for entry in all_shots() if self.id and entry.id == self.id), None)


_live = _Live()


def start(entry: NVD_PG_shot, mode: str = "delta") -> None:
    """Show the shot live in every Image Editor and Sequencer preview, in place of another one.

    AddonError where its folder or its strip cannot be read. Where there is no graphics card
    `message` says so.
    """
    stop()
    scene = entry.id_data
    strip = strip_of(scene, entry)
    if strip is not None:
        shown_pictures(strip)  # may render, which what follows the playhead must not
    _live.preview = Preview(entry, mode)
    entry.id = entry.id or new_id()  # a file of an older version, loaded before the extension was
    _live.id = entry.id
    for space, region, where, when in (
        (bpy.types.SpaceImageEditor, "WINDOW", "image", "POST_PIXEL"),
        # In the view's own units, above its picture and below its tools
        (bpy.types.SpaceSequenceEditor, "PREVIEW", "sequencer", "POST_VIEW"),
    ):
        handle = space.draw_handler_add(_draw, (where,), region, when)
        _live.handles.append((space, handle, region))
    _watch()
    _follow(scene_of(entry))


def stop() -> None:
    """Switch the preview off, and leave nothing behind."""
    for space, handle, region in _live.handles:
        space.draw_handler_remove(handle, region)
    _live.handles.clear()
    _leave()
    playback.forget()
    if _live.preview is not None:
        _live.preview.close()
    _live.preview, _live.message = None, ""
    _live.view.forget()
    shader.forget_shaders()
    redraw()


def running() -> Preview | None:
    """The preview that is switched on."""
    return _live.preview


def follow_chosen(scene: bpy.types.Scene) -> None:
    """While it is on, show the shot that is chosen in the scene's list."""
    chosen = current_shot(scene)
    if _live.preview is None or chosen is None or chosen == _live.entry() or chosen.missing:
        return
    try:
        start(chosen, _live.preview.mode)
    except AddonError as error:  # what is shown goes on
        _live.message = str(error)


def shown_entry() -> NVD_PG_shot | None:
    """The shot that it shows."""
    return _live.entry()


def message() -> str:
    """Why the preview shows nothing, for the panel."""
    return _live.message


def lacks_nodes(entry: NVD_PG_shot) -> bool:
    """Whether the artist's own nodes change the composited picture: the preview is without them."""
    return has_others(entry.scene, str(entry.path))


def frame_of(entry: NVD_PG_shot, scene: bpy.types.Scene) -> int:
    """The shot's frame at the scene's playhead; may lie outside the shot."""
    strip = None if scene == entry.scene else strip_of(scene, entry)
    if strip is None:
        return scene.frame_current - 1
    return source_frame(strip, scene.frame_current) - entry.first_frame


def scene_of(entry: NVD_PG_shot) -> bpy.types.Scene:
    """The scene whose playhead is followed: the one that lists the shot, or the shot's own."""
    shown = bpy.context.scene
    return shown if shown == entry.scene else entry.id_data


@persistent
def _follow(scene, _depsgraph=None) -> None:
    entry = _live.entry()
    if entry is None or scene not in (entry.scene, entry.id_data):
        return
    if bpy.app.is_job_running("RENDER"):  # in a thread of its own, which may not load images
        return
    try:
        _live.frame = frame_of(entry, scene)
        stride = playback.move(scene.frame_current, 0 <= _live.frame < _live.preview.shot.frames)
        _live.preview.prepare(entry, _live.frame, stride)
        _live.message = ""
    except AddonError as error:
        _live.message = str(error)
    redraw()


def _prepare() -> None:
    """Load what the frame has come to show without the playhead having moved."""
    if _live.preview is None:  # it was stopped since
        return
    entry = _live.entry()
    if entry is not None and _live.preview.is_left(entry):
        start(entry, _live.preview.mode)
    elif entry is not None:
        _follow(scene_of(entry))


@persistent
def _after_undo(_scene, _depsgraph=None) -> None:
    entry = _live.entry()
    if entry is None:  # the undo has taken the shot away
        stop()
        return
    _live.preview.forget_frame()
    _follow(scene_of(entry))


@persistent
def _after_playing(scene, _depsgraph=None) -> None:
    playback.end()
    _follow(scene)  # what was rendered ahead is shown no longer


_watch, _leave = register_handlers_factory(
    (
        (bpy.app.handlers.frame_change_post, _follow),
        (bpy.app.handlers.undo_post, _after_undo),
        (bpy.app.handlers.redo_post, _after_undo),
        (bpy.app.handlers.animation_playback_pre, playback.begin),
        (bpy.app.handlers.animation_playback_post, _after_playing),
        (bpy.app.handlers.save_pre, playback.before_save),
        (bpy.app.handlers.save_post, playback.after_save),
    )
)


@persistent
def _before_load(_path) -> None:
    stop()


def _draw(where: str) -> None:
    entry, region = _live.entry(), bpy.context.region
    if entry is None or _live.message or not _live.preview.ready:
        return
    _live.message = shader.problem()
    if _live.message:
        return
    laid = bpy.context.scene.nvd_inset
    _live.preview.grid = laid.overlay_opacity if laid.overlay == "GRID" else 0.0
    is_old = _live.preview.is_left(entry)
    has_aged = not is_old and _live.preview.is_old(entry)  # once a draw: values may be many
    is_made = not _live.preview.was_rendered
    wants = is_old or has_aged or (is_made and not _live.preview.is_prepared(entry))
    if wants and not bpy.app.timers.is_registered(_prepare):
        bpy.app.timers.register(_prepare, first_interval=0.0)  # nothing is loaded while drawing
    if is_old or has_aged:
        return
    try:
        picture = _live.preview.render(entry)
    except MapsError as error:
        _live.message = str(error)
        return
    width, height = picture.width, picture.height
    if where == "image":
        free = inset.free_part(bpy.context.area, region)
        place = inset.rectangle(bpy.context.scene.nvd_inset, free, region.width, width, height)
        if place is not None:
            shader.draw(picture, place[:2], *place[2:], power=True)
            playback.draw(_live.preview.was_rendered)
            if playback.is_on():
                inset.say(playback.told(), place)
        redraw("SEQUENCE_EDITOR")  # it does not know of the stroke that has just been painted
        return
    scene = compat.sequencer_scene(bpy.context)
    if not 0 <= _live.frame < _live.preview.shot.frames:
        return
    width, height = scene.render.resolution_x, scene.render.resolution_y
    corner, cube = (-width / 2, -height / 2), _live.view.cube(scene)
    shader.draw(picture, corner, width, height, compat.SEQUENCER_POWER, cube)
    playback.draw(_live.preview.was_rendered)
    for draw in over_picture:
        draw()


def register():
    bpy.app.handlers.load_pre.append(_before_load)
    when_chosen.append(follow_chosen)


def unregister():
    stop()
    bpy.app.handlers.load_pre.remove(_before_load)
    when_chosen.remove(follow_chosen)
