"""Texture Size in the tab Layers: x1, x2, x4, the way back, and what has arrived meanwhile."""

import bpy
from bpy.props import IntProperty

from ..decompose import texture_sizes
from ..engine.find import find_engine
from ..shot import shots, states
from .on_shot import OnShot, shot_scene
from .shot_job import draw_shot_job


class NVD_OT_texture_size(OnShot, bpy.types.Operator):
    """Make the layers' textures so many times as large; the paint is saved and comes along"""

    bl_idname = "nvd.texture_size"
    bl_label = "Texture Size"
    bl_options = {"REGISTER"}  # noqa: RUF012

    size: IntProperty(name="Size", default=2, min=1, max=4, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, context):
        entry = shots.current_shot(shot_scene(context))
        now = texture_sizes.size_of(entry) or 1
        for layer in entry.layers:
            if layer.learned is None:
                continue
            wide, high = layer.learned.size
            larger = f"{round(wide * self.size / now)} x {round(high * self.size / now)}"
            self.layout.label(text=f"{layer.shown_name}: {wide} x {high} -> {larger}")
        column = self.layout.column(align=True)
        column.label(text="Paint is saved first, and comes along.", icon="FILE_TICK")
        column.label(text="The files of now stay: the arrow back shows them again.", icon="BLANK1")

    def work(self, _context, scene, entry):
        if texture_sizes.size_of(entry) == self.size:
            return "The textures have this size"
        texture_sizes.queue_size(entry, scene, self.size, find_engine().python)
        return "Making textures; see Jobs in the Sequencer's sidebar"


class NVD_OT_textures_back(OnShot, bpy.types.Operator):
    """Show the textures of before their size was changed, with the paint; once more goes forward"""

    bl_idname = "nvd.textures_back"
    bl_label = "Textures of Before"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, _context, scene, entry):
        texture_sizes.queue_back(entry, scene, find_engine().python)


class NVD_OT_take_textures(OnShot, bpy.types.Operator):
    """Save the paint and show the textures of another size; late paint comes along"""

    bl_idname = "nvd.take_textures"
    bl_label = "Show Them"

    def work(self, _context, _scene, entry):
        if texture_sizes.take(entry):
            return "The size is made once more, with what you painted meanwhile"
        return ""


def draw_textures(layout, entry) -> None:
    """The sizes to choose from, the way back, and a job that is at it."""
    if texture_sizes.is_behind(entry):
        box = layout.box()
        box.label(text="Textures of another size are there", icon="INFO")
        box.operator("nvd.take_textures", icon="IMPORT")
    now = texture_sizes.size_of(entry)
    column = layout.column(align=True)
    column.label(text="Texture Size")
    row = column.row(align=True)
    for size in texture_sizes.SIZES:
        button = row.operator("nvd.texture_size", text=f"x{size}", depress=size == now)
        button.size = size
    if states.former_textures(entry.path) is not None:
        row.operator("nvd.textures_back", text="", icon="LOOP_BACK")
    job = _shown(entry)
    if job is not None:
        draw_shot_job(column.row(), column, job)


def _shown(entry):
    """The job, while there is something to say of it."""
    job = texture_sizes.job_of(entry)
    return job if job is not None and (job.error is not None or not job.ended) else None


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_texture_size, NVD_OT_textures_back, NVD_OT_take_textures)
)
