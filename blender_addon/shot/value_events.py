"""Keeps visibility and relight one, wherever they are shown, while Blender works.

Keys that are set, moved or deleted are followed with Blender's next update, and in a window by a
timer too: the scene whose timeline they are in is not always the one that Blender looks at.
"""

import traceback

import bpy
from bpy.app.handlers import persistent

from ..blender.handlers import register_handlers_factory
from ..blender.undo import under_way
from ..errors import AddonError
from . import layer_values
from .shots import all_shots, take_up_file

INTERVAL = 0.5  # seconds
_KINDS = (bpy.types.Action, bpy.types.Scene, bpy.types.NodeTree)


def follow_all() -> None:
    """Let the nodes of every shot follow its layers."""
    if under_way():
        return
    for entry in all_shots():
        try:
            layer_values.follow(entry)
        except AddonError:  # what a strip of a new speed shows has not been looked at yet
            continue


@persistent
def _after_change(_scene, depsgraph) -> None:
    if _in_thread():
        return
    if any(isinstance(update.id, _KINDS) for update in depsgraph.updates):
        follow_all()


@persistent
def _before_render(_scene) -> None:
    """Without a window a script may render before Blender has updated anything."""
    if bpy.app.background:
        follow_all()


@persistent
def _after_load(_path) -> None:
    """What an older version kept at the nodes, and what others wrote meanwhile, is taken up."""
    for entry in all_shots():
        if entry.missing:
            continue
        try:
            take_up_file(entry)
        except AddonError as error:
            print(f"Neural Video Layers: {error}")


def _in_thread() -> bool:
    """Whether Blender renders in a thread of its own, where nothing may be changed."""
    return not bpy.app.background and bpy.app.is_job_running("RENDER")


def _tick() -> float:
    """`follow_all` as Blender's timer calls it: one that raises would never be called again."""
    try:
        if not _in_thread():
            follow_all()
    except Exception:
        traceback.print_exc()
    return INTERVAL


_watch, _leave = register_handlers_factory(
    (
        (bpy.app.handlers.depsgraph_update_post, _after_change),
        (bpy.app.handlers.render_init, _before_render),
        (bpy.app.handlers.load_post, _after_load),
    )
)


def register():
    _watch()
    bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def unregister():
    _leave()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
