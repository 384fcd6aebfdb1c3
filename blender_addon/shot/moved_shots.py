"""A shot whose folder was moved: its images, nodes and strips go to where it is now."""

import os
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.storage import stored_path
from ..blender.undo import watch
from . import file_stamps, finish
from .folder import ShotError, read_shot
from .layer_sizes import follow_sizes


def find_again(entry, folder: str | Path) -> None:
    """The shot's folder is at `folder` now. Paint that was not saved stays.

    ShotError where another decomposition is there.
    """
    shot = read_shot(folder)
    names, found = [layer.name for layer in entry.layers], [layer.name for layer in shot.layers]
    if names != found:
        raise ShotError(
            f"{folder} has the layers {', '.join(found)}, not {', '.join(names)}",
            "choose the folder of this shot, or open that one as a new shot",
        )
    roots = _roots(entry)
    for image in bpy.data.images:
        base = _moved(image.get("nvd_base", ""), roots, shot.folder)
        if base:
            image["nvd_base"] = base
        known = image.get("nvd_path", "")
        path = _moved(known, roots, shot.folder)
        if not path:
            continue
        file_stamps.moved(known, path)
        if image.is_dirty or image.packed_file:
            watch(image)
        image["nvd_path"], image.filepath_raw = path, stored_path(path)
        if not image.is_dirty and image.packed_file is None:
            image.reload()
    for block in (*bpy.data.node_groups, *compat.compositor_nodes(entry.scene)):
        if block.get("nvd_folder") in roots:
            block["nvd_folder"] = str(shot.folder)
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.get("nvd_folder") in roots:
                strip["nvd_folder"] = str(shot.folder)
            if strip.type == "IMAGE":  # what was rendered into the folder, and its plate
                _follow_directory(strip, roots, shot.folder)
    entry.folder = stored_path(shot.folder)
    follow_sizes(entry)
    finish.after_set(entry)  # holdouts lie elsewhere now


def _follow_directory(strip, roots: set[str], folder: Path) -> None:
    place = os.path.normpath(bpy.path.abspath(strip.directory))
    moved = _moved(place + os.sep, roots, folder)
    if moved:
        strip.directory = stored_path(Path(moved))
        strip.invalidate_cache("RAW")


def _roots(entry) -> set[str]:
    """Where the shot's folder has been: by the entry's path, and by those that its images know.

    They differ in a .blend that was copied elsewhere, where a relative path leads to nothing.
    """
    found = {str(entry.path)}
    for layer in entry.layers:
        for image in (layer.edit, layer.learned):
            known = image.get("nvd_path", "") if image else ""
            if known:
                found.add(str(Path(known).parent.parent))
    return found


def _moved(path: str, roots: set[str], folder: Path) -> str:
    """`path` in `folder`, where it lay in one of the roots; "" for a path elsewhere."""
    for root in roots:
        if path.startswith(root + os.sep):
            return str(folder / os.path.relpath(path, root))
    return ""
