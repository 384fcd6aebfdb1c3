"""Edges, holdouts and motion blur in the tab "Layers": what is set, and who shows it."""

import os

import bpy
from bpy.props import StringProperty

from ..blender.words import translated
from ..engine.find import find_engine
from ..errors import AddonError
from ..shot import edge_nodes, finish
from ..strip.holdout import set_holdout
from .on_shot import OnLayer


class NVD_OT_holdout(OnLayer, bpy.types.Operator):
    """Choose a matte, white where something lies in front of the paint; the shot keeps a copy"""

    bl_idname = "nvd.holdout"
    bl_label = "Holdout"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    sequence: bpy.props.BoolProperty(
        name="Sequence",
        description="Take all numbered images of the folder",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work_on(self, _context, entry, layer):
        path = os.path.abspath(bpy.path.abspath(self.filepath))
        if self.sequence and os.path.isfile(path):
            path = os.path.dirname(path)
        if not os.path.exists(path):
            raise AddonError(f"there is no file {path}", "choose an image, a folder or a movie")
        set_holdout(entry, layer, path, find_engine().python)
        return "The matte is in the shot's folder"


class NVD_OT_no_holdout(OnLayer, bpy.types.Operator):
    """Take the holdout matte off the layer; its files stay in the shot's folder"""

    bl_idname = "nvd.no_holdout"
    bl_label = "No Holdout"

    def work_on(self, _context, entry, layer):
        layer.holdout = ""
        finish.save(entry)


def draw_edges(column, layer) -> None:
    """A layer's edges."""
    for what in finish.EDGES:
        column.prop(layer, what)
    row = column.row(align=True)
    row.operator("nvd.holdout", icon="MOD_MASK", depress=bool(layer.holdout)).layer = layer.name
    if layer.holdout:
        row.operator("nvd.no_holdout", text="", icon="X").layer = layer.name


def draw_blur(layout, entry) -> None:
    """A shot's motion blur, and what of it and of edges nodes are without."""
    column = layout.column(align=True)
    column.prop(entry, "motion_blur")
    if entry.motion_blur:
        row = column.row(align=True)
        row.prop(entry, "shutter")
        row.prop(entry, "blur_samples")
    if lacks := finish.lacks_of(entry):
        layout.label(text="Rendered, but not in nodes and strips:", icon="INFO")
        for what in dict.fromkeys(what for what, _layer in lacks):
            layout.label(text=_said()[what], icon="BLANK1")


def _said() -> dict[str, str]:
    """What nodes may lack, for the panel."""
    return {
        edge_nodes.SPREAD: translated("Paint that spreads: choke below 0"),
        edge_nodes.WIDE: translated("Feather that is wider than the choke"),
        edge_nodes.SPILL: translated("Spill"),
        edge_nodes.KEPT: translated("Strokes and words that keep their width"),
        edge_nodes.BLUR: translated("Motion Blur"),
        edge_nodes.FULL: translated("Edges, as the shot is composited in full"),
        edge_nodes.HOLDOUT: translated("A holdout that cannot be read, or nodes of an old version"),
    }


register, unregister = bpy.utils.register_classes_factory((NVD_OT_holdout, NVD_OT_no_holdout))
