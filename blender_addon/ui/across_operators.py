"""Across Views in the tab Layers: paint on one view's part of a texture goes into the others."""

import bpy
from bpy.props import BoolProperty

from ..blender.words import translated
from ..decompose import across_job
from ..engine.find import find_engine
from .on_shot import OnLayer, shot_scene
from .shot_job import draw_shot_job


class NVD_OT_across_views(OnLayer, bpy.types.Operator):
    """Save the paint and take what is on one view's part of the texture into the other views that show the place, as an entry of the stack"""  # noqa: E501 (Blender's tip)

    bl_idname = "nvd.across_views"
    bl_label = "Across Views"
    bl_options = {"REGISTER"}  # noqa: RUF012

    back: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, _context, properties):
        return translated("Take away what came from other views") if properties.back else ""

    def work_on(self, context, entry, layer):
        python = find_engine().python
        across_job.queue_across(entry, layer, shot_scene(context), python, back=self.back)
        return "Taking paint across; see Jobs in the Sequencer's sidebar"


def draw_across(layout, entry, layer) -> None:
    """The button for a layer with several views, and the job that is at it."""
    if not across_job.has_views(entry, layer):
        return
    column = layout.column(align=True)
    row = column.row(align=True)
    row.operator("nvd.across_views", icon="UV_SYNC_SELECT")
    row.operator("nvd.across_views", text="", icon="LOOP_BACK").back = True
    job = across_job.job_of(entry)
    if job is not None and (job.error is not None or not job.ended):
        draw_shot_job(column.row(), column, job)


register, unregister = bpy.utils.register_classes_factory((NVD_OT_across_views,))
