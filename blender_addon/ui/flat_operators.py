"""What the tab Layers says of the stack in Blender's nodes, and the button that brings it there."""

import bpy

from ..blender.words import translated
from ..decompose.flattening import job_of, queue_flatten
from ..engine.find import find_engine
from ..shot import flat_nodes
from .on_shot import OnShot
from .shot_job import draw_shot_job


class NVD_OT_flatten_stack(OnShot, bpy.types.Operator):
    """Save the paint and flatten the stack to pictures, which the compositor and strips show"""

    bl_idname = "nvd.flatten_stack"
    bl_label = "Stack to Nodes"

    def work(self, _context, scene, entry):
        if flat_nodes.state(entry) != flat_nodes.CURRENT and not flat_nodes.has_unsaved(entry):
            flat_nodes.follow(entry)  # an undo may have taken it out
        if flat_nodes.state(entry) in ("", flat_nodes.CURRENT):
            return "Nodes show the stack"
        queue_flatten(entry, scene, find_engine().python)
        return "Flattening; see Jobs in the Sequencer's sidebar"


def draw_flat(layout, entry) -> None:
    """Whether nodes show the stack, and how that is brought about."""
    how = flat_nodes.state(entry)
    if not how:
        return
    column = layout.column(align=True)
    said = {
        flat_nodes.ABSENT: translated("Nodes and strips are without the stack"),
        flat_nodes.OLD: translated("Nodes and strips show an older stack"),
        flat_nodes.CURRENT: translated("Nodes and strips show the stack"),
    }
    column.label(text=said[how], icon="CHECKMARK" if how == flat_nodes.CURRENT else "INFO")
    row = column.row(align=True)
    row.operator("nvd.flatten_stack", icon="NODETREE")
    row.prop(entry, "flatten", text="", icon="FILE_REFRESH")
    job = job_of(entry)
    if job is not None and (job.error is not None or not job.ended) and how != flat_nodes.CURRENT:
        draw_shot_job(column.row(), column, job)


register, unregister = bpy.utils.register_classes_factory((NVD_OT_flatten_stack,))
