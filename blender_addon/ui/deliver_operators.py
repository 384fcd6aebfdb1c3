"""The panel "Deliver" in the tab Layers: where the finished shot goes, and as what."""

import bpy
from bpy.props import StringProperty

from ..blender.problems import draw_problem
from ..blender.reporting import Reporting
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.runner import runner
from ..shot import delivery, shots
from ..strip.deliver_job import delivered, delivery_of, queue_delivery
from .on_shot import OnShot, shot_scene
from .shot_job import draw_shot_job


class NVD_OT_deliver(OnShot, bpy.types.Operator):
    """Render the shot with all its edits at the plate's size to this file, beside Blender"""

    bl_idname = "nvd.deliver"
    bl_label = "Deliver"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, _context, scene, entry):
        job = queue_delivery(entry, scene, find_engine().python)
        return f"Delivering {job.title}; see Jobs in the Sequencer's sidebar"


class NVD_OT_show_delivered(Reporting, bpy.types.Operator):
    """Open the folder with what was delivered"""

    bl_idname = "nvd.show_delivered"
    bl_label = "Show in Folder"
    bl_options = {"REGISTER"}  # noqa: RUF012

    job: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work(self, _context):
        path = delivered(runner.queue.find(self.job))
        if path is None:
            raise AddonError("it is not there any more", "deliver it again")
        folder = path if path.is_dir() else path.parent
        bpy.ops.wm.path_open(filepath=str(folder))


class _Deliver:
    bl_label = "Deliver"
    bl_region_type = "UI"
    bl_category = "Layers"
    bl_order = 6
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        entry = shots.current_shot(shot_scene(context))
        return entry is not None and not entry.missing

    def draw(self, context):
        layout = self.layout
        entry = shots.current_shot(shot_scene(context))
        layout.enabled = entry.id_data.library is None
        settings, form = entry.delivery, delivery.FORMS[entry.delivery.form]
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "form")
        layout.prop(settings, "path")
        layout.prop_search(settings, "without", entry, "layers")
        layout.prop(settings, "has_range")
        if settings.has_range:
            column = layout.column(align=True)
            column.prop(settings, "from_frame")
            column.prop(settings, "to_frame")
        if form.movie:
            layout.prop(settings, "sound")
        if form.drafts:
            layout.prop(settings, "draft")
        try:
            out = delivery.target(entry)
        except AddonError as error:
            draw_problem(layout, error)
            return
        icon = "FILE_MOVIE" if form.movie else "RENDERLAYERS"
        layout.label(text=delivery.called(out), icon=icon, translate=False)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("nvd.deliver", icon="EXPORT")
        _draw_job(layout, entry)


def _draw_job(layout, entry) -> None:
    """How far the newest delivery is, and where it went."""
    job = delivery_of(entry)
    draw_shot_job(layout, layout.column(align=True), job)
    path = delivered(job)
    if path is not None:
        row = layout.row(align=True)
        row.label(text=job.title, icon="CHECKMARK", translate=False)
        row.operator("nvd.show_delivered", text="", icon="FILE_FOLDER").job = job.id


class NVD_PT_deliver_sequencer(_Deliver, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


class NVD_PT_deliver_image(_Deliver, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"


register, unregister = bpy.utils.register_classes_factory(
    (
        NVD_OT_deliver,
        NVD_OT_show_delivered,
        NVD_PT_deliver_sequencer,
        NVD_PT_deliver_image,
    )
)
