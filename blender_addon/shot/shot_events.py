"""Keeps the listed shots true while Blender saves, loads, undoes, and images change their size.

Folders relative to the .blend are written for where it is going to lie, a folder that moved along
with the .blend is found again, and an edit of another size is compared with what was learned at
that size.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.strip_identity import settle
from ..blender.undo import under_way
from .folder import ShotError
from .shots import (
    all_shots,
    find_again,
    follow_names,
    follow_sizes,
    follow_strips,
    new_id,
    stored_path,
)

_folders: list[tuple[str, Path]] = []  # of the shots, in their order, while a save is under way


@persistent
def _before_save(path) -> None:
    """Folders relative to where the .blend is going to lie."""
    _settle()
    _folders[:] = [(entry.name, entry.path) for entry in all_shots()]
    if not (path and bpy.context.preferences.filepaths.use_relative_paths):
        return
    for entry, (_name, folder) in zip(all_shots(), _folders, strict=True):
        try:
            entry.folder = bpy.path.relpath(str(folder), start=os.path.dirname(str(path)))
        except ValueError:  # another drive of Windows
            entry.folder = str(folder)


@persistent
def _after_save(_path) -> None:
    """Folders relative to the .blend that is open: what was written may have been a copy of it."""
    for entry, (name, folder) in zip(all_shots(), _folders, strict=False):
        if entry.name == name:
            entry.folder = stored_path(folder)
    _folders.clear()


@persistent
def _after_load(_path) -> None:
    """A folder that moved along with the .blend is followed."""
    for entry in all_shots():  # older files have no labels and no identities
        entry.id = entry.id or new_id()
        for layer in entry.layers:
            layer.label = layer.label or layer.name
    _settle()
    follow_names()
    _find_all()


@persistent
def _after_import(_context) -> None:
    """Shots of another .blend, appended: their folders were relative to that one."""
    _settle()
    follow_names()
    _find_all()


def _find_all() -> None:
    """Follow the folders that moved along with the .blend, and those that did not move when it did.

    Images know the files that they are of by their whole paths.
    """
    for entry in all_shots():
        if entry.id_data.library is not None:
            continue
        learned = entry.layers[0].learned if len(entry.layers) else None
        known = learned.get("nvd_path", "") if learned else ""
        if not known or Path(known).is_relative_to(entry.path):
            continue
        before = Path(known).parent.parent
        with suppress(ShotError):  # what lies there is another shot: Find Again asks
            if not entry.missing:
                here, entry.folder = entry.path, str(before)
                find_again(entry, here)
            elif (before / "manifest.json").is_file():
                find_again(entry, before)


@persistent
def _after_change(_scene, _depsgraph) -> None:
    """An edit that was scaled, or read again from a file of another size, is followed."""
    if under_way() or not set(_sizes_changed()) - _left_by_undo:
        return
    if bpy.app.background:
        _follow_all()
    elif not bpy.app.timers.is_registered(_follow_all):
        bpy.app.timers.register(_follow_all, first_interval=0.0)


@persistent
def _after_scene_change(_scene, depsgraph) -> None:
    """A strip that was renamed is followed, and one that was copied."""
    if depsgraph.id_type_updated("SCENE") and not under_way():
        _settle()


def _settle() -> None:
    settle()
    follow_strips()


def _follow_all() -> None:
    """As a step of its own: what stands in none, an undo would leave pointing to freed images."""
    for entry in all_shots():
        follow_sizes(entry)
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Follow the Edit's Size")


_left_by_undo: set[tuple] = set()  # followed by Blender's next undo or redo, not by a new step


@persistent
def _after_undo(_scene) -> None:
    _left_by_undo.clear()
    _left_by_undo.update(_sizes_changed())


def _sizes_changed() -> Iterator[tuple]:
    """The image and size of every edit that is not as large any more as it was."""
    for entry in all_shots():
        for layer in entry.layers:
            if layer.has_changed_size:
                yield layer.edit.session_uid, tuple(layer.edit.size)


_HANDLERS = (
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_save),
    (bpy.app.handlers.load_post, _after_load),
    *compat.after_import(_after_import),
    (bpy.app.handlers.depsgraph_update_post, _after_change),
    (bpy.app.handlers.depsgraph_update_post, _after_scene_change),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
)

register, unregister = register_handlers_factory(_HANDLERS)
