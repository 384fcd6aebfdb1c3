"""Strips that Blender composites show the newest paint, without Refresh All.

The Sequencer keeps pictures of its strips, and does not know that a strip's scene or modifier uses
an image that was painted on. So with every change of an image, or of nodes, the strips of shots are
asked to make theirs anew.
"""

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.undo import under_way
from ..shot.shots import all_shots

_KINDS = ("IMAGE", "NODETREE")


def refresh() -> None:
    """Let the strips that composite a shot make their pictures anew."""
    entries = list(all_shots())
    composites = {entry.scene.name for entry in entries if entry.scene is not None}
    folders = {str(entry.path) for entry in entries}
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.type == "SCENE" and strip.scene and strip.scene.name in composites:
                strip.scene = strip.scene  # set, it drops what is kept of the strip
            for modifier in strip.modifiers:
                if _composites(modifier, folders):
                    modifier.mute = modifier.mute


def _composites(modifier, folders: set[str]) -> bool:
    tree = getattr(modifier, "node_group", None)
    groups = [getattr(node, "node_tree", None) for node in tree.nodes] if tree else ()
    return any(group is not None and group.get("nvd_folder") in folders for group in groups)


@persistent
def _after_change(_scene, depsgraph) -> None:
    if under_way() or (not bpy.app.background and bpy.app.is_job_running("RENDER")):
        return
    if any(depsgraph.id_type_updated(kind) for kind in _KINDS):
        refresh()


@persistent
def _before_render(_scene) -> None:
    """Without a window a script may render before Blender has updated anything."""
    if bpy.app.background:
        refresh()


register, unregister = register_handlers_factory(
    (
        (bpy.app.handlers.depsgraph_update_post, _after_change),
        (bpy.app.handlers.render_init, _before_render),
    )
)
