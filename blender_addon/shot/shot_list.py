"""What is done with the list of shots itself: remove, duplicate, and the names of what is in it.

remove_shot(entry)                      # out of the list; nodes, images and files stay
remove_shot(entry, with_data=True)      # nodes and images go too; files stay
twin = duplicate_shot(entry)            # the same folder once more, for another strip
"""

import os

import bpy

from ..blender import compat
from . import stack
from .folder import ShotError
from .shots import NVD_PG_shot, all_shots, follow_names, new_id, shots_at

_IMAGES = ("edit", "learned", "base", "shown", "taken_back")


def remove_shot(entry: NVD_PG_shot, *, with_data: bool = False) -> None:
    """Take the shot out of its scene's list. No file on disk is touched.

    with_data: its nodes, its scene and its images leave the .blend too, as far as no other shot of
    the same folder and no strip shows them. ShotError where paint that is not saved would be lost.
    """
    others = [other for other in shots_at(entry.path) if other != entry]
    if with_data and not others:
        _check_saved(entry)
    scene, folder = entry.id_data, str(entry.path)
    images = {getattr(layer, name) for layer in entry.layers for name in _IMAGES}
    images = {image for image in (*images, entry.canvas) if image is not None}
    index = list(scene.nvd_shots).index(entry)
    scene.nvd_shots.remove(index)
    scene.nvd_shot = max(0, min(scene.nvd_shot, len(scene.nvd_shots) - 1))
    follow_names()  # of another shot of the folder, which gives them from now on
    if with_data and not others:
        _remove_data(folder, images)


def duplicate_shot(entry: NVD_PG_shot) -> NVD_PG_shot:
    """List the shot once more, at the end: the same folder, paint and nodes, for another strip or
    under another name. A frame that is being painted on stays with the first.
    """
    scene, index = entry.id_data, list(entry.id_data.nvd_shots).index(entry)
    names = [other.name for other in scene.nvd_shots]
    twin = scene.nvd_shots.add()
    entry = scene.nvd_shots[index]  # the list may have been moved in memory
    number = 2
    while f"{entry.name} {number}" in names:
        number += 1
    twin.name, twin.id = f"{entry.name} {number}", new_id()
    for name in ("folder", "scene", "strip", "strip_id", "first_frame", "active_layer"):
        setattr(twin, name, getattr(entry, name))
    for layer in entry.layers:
        made = twin.layers.add()
        made.name = layer.name
        for name in (*_IMAGES, "label"):
            setattr(made, name, getattr(layer, name))
    stack.copy_to(twin, entry)
    scene.nvd_shot = len(scene.nvd_shots) - 1
    return twin


def _check_saved(entry: NVD_PG_shot) -> None:
    images = {layer.shown_name: layer.edit for layer in entry.layers}
    images["the frame"] = entry.canvas
    images |= {item.name: item.image for item in entry.stack}
    unsaved = [
        name
        for name, image in images.items()
        if image is not None and (image.is_dirty or image.packed_file is not None)
    ]
    if unsaved:
        raise ShotError(
            f"there is paint that has not been saved, on {', '.join(unsaved)}",
            "press Save Paint first, or take the shot off the list alone",
        )


def _remove_data(folder: str, images: set[bpy.types.Image]) -> None:
    """Remove what was made in the .blend for a folder, and is shown by nothing else."""
    for scene in list(bpy.data.scenes):
        made = [n for n in compat.compositor_nodes(scene) if n.get("nvd_folder") == folder]
        for node in made:
            node.id_data.nodes.remove(node)
        if made and _holds_nothing(scene):
            _remove_scene(scene)
    for group in list(bpy.data.node_groups):
        if group.get("nvd_folder") == folder and not group.users:
            bpy.data.node_groups.remove(group)
    inside = folder + os.sep
    images |= {image for image in bpy.data.images if image.get("nvd_path", "").startswith(inside)}
    nodes = [node for group in bpy.data.node_groups for node in group.nodes]
    nodes += [node for scene in bpy.data.scenes for node in compat.compositor_nodes(scene)]
    shown = {getattr(node, "image", None) for node in nodes}
    for entry in all_shots():
        shown |= {getattr(layer, name) for layer in entry.layers for name in _IMAGES}
    for image in images - shown:
        bpy.data.images.remove(image)


def _remove_scene(scene: bpy.types.Scene) -> None:
    trees = {node.id_data.name for node in compat.compositor_nodes(scene)}
    bpy.data.scenes.remove(scene)
    for name in trees & set(bpy.data.node_groups.keys()):
        if not bpy.data.node_groups[name].users:
            bpy.data.node_groups.remove(bpy.data.node_groups[name])


def _holds_nothing(scene: bpy.types.Scene) -> bool:
    """Whether there is nothing in a scene that was made for a shot, and nothing shows it."""
    used = any(
        strip.type == "SCENE" and strip.scene == scene
        for other in bpy.data.scenes
        for strip in compat.all_strips(other)
    )
    listed = any(entry.scene == scene for entry in all_shots()) or len(scene.nvd_shots)
    outputs = ("NodeGroupOutput", "CompositorNodeComposite")
    nodes = [n for n in compat.compositor_nodes(scene) if n.bl_idname not in outputs]
    things = len(scene.collection.all_objects) or len(compat.strips(scene))
    return scene.name.startswith("NVD ") and not (used or listed or nodes or things)
