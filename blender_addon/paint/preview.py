"""The live preview: the current frame with the newest paint, while painting.

    preview.start(entry)        # in every Image Editor and Sequencer preview, until stop()

It follows the playhead. What it shows is made by shot_preview.py each time that an editor draws
itself, which Blender does after every step of a stroke.
"""

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.redraw import redraw
from ..errors import AddonError
from ..shot.exr import MapsError
from ..shot.placing import has_others
from ..shot.shots import NVD_PG_shot, all_shots, current_shot, new_id, strip_of, when_chosen
from ..strip.strips import source_frame
from ..strip.timing import shown_pictures
from . import inset, playback
from . import preview_shader as shader
from .shot_preview import Preview
from .view_transform import ShownView

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
    is_gone = not _live.preview.is_whole
    is_made = not _live.preview.was_rendered
    wants = is_old or has_aged or is_gone or (is_made and not _live.preview.is_prepared(entry))
    if wants and not bpy.app.timers.is_registered(_prepare):
        bpy.app.timers.register(_prepare, first_interval=0.0)  # nothing is loaded while drawing
    if is_old or has_aged or is_gone:
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
