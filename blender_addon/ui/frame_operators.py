"""The buttons that paint on a frame: each calls what frame_canvas.py offers, and reports."""

import bpy
from bpy.props import BoolProperty, IntProperty

from ..blender.editors import image_editor
from ..engine.find import find_engine
from ..paint import frame_canvas
from ..shot import painting, shots
from .on_shot import OnShot, shot_scene
from .shot_job import draw_shot_job


class NVD_OT_paint_frame(OnShot, bpy.types.Operator):
    """Paint on the frame at the playhead, as it looks with all that is painted so far"""

    bl_idname = "nvd.paint_frame"
    bl_label = "Paint on Frame"

    def work(self, context, _scene, entry):
        space = image_editor(context)
        if entry.canvas is not None:
            frame_canvas.open_canvas(entry, space)
            return "" if space else "Open an Image Editor: the frame is the canvas now"
        places = painting.image_editors().items()
        editor = next((place for place, other in places if other == space), None)
        frame_canvas.start_canvas(entry, find_engine().python, editor=editor)
        return "The frame is being rendered, and opens in an Image Editor"


class NVD_OT_canvas_to_layers(OnShot, bpy.types.Operator):
    """Take what was painted on the frame onto the layers that show there; every frame follows"""

    bl_idname = "nvd.canvas_to_layers"
    bl_label = "To Layers"

    def work(self, _context, _scene, entry):
        frame_canvas.to_layers(entry, find_engine().python)
        return "The paint is on its way to the layers"


class NVD_OT_canvas_to_stack(OnShot, bpy.types.Operator):
    """Take what was painted on the frame into new paint on the stack, in some frames or in all"""

    bl_idname = "nvd.canvas_to_stack"
    bl_label = "To the Stack"

    has_range: BoolProperty(name="Some Frames", description="Show it in a range of frames")
    first: IntProperty(name="From", description="The first frame of the timeline that shows it")
    last: IntProperty(name="To", description="The last frame of the timeline that shows it")

    def invoke(self, context, _event):
        entry = shots.current_shot(shot_scene(context))
        if entry is not None and entry.canvas is not None:
            self.first = self.last = frame_canvas.canvas_at(entry)
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context):
        self.layout.prop(self, "has_range")
        row = self.layout.row(align=True)
        row.active = self.has_range
        row.prop(self, "first")
        row.prop(self, "last")

    def work(self, _context, _scene, entry):
        frames = (self.first, max(self.first, self.last)) if self.has_range else None
        frame_canvas.to_layers(entry, find_engine().python, into_stack=True, frames=frames)
        return "The paint is on its way to the stack"


class NVD_OT_discard_canvas(OnShot, bpy.types.Operator):
    """Close the painted frame without taking its paint to the layers"""

    bl_idname = "nvd.discard_canvas"
    bl_label = "Discard"

    def work(self, _context, _scene, entry):
        frame_canvas.discard_canvas(entry)


def draw_canvas(layout, entry) -> None:
    """The buttons of the shot's canvas, and how far its job is."""
    column = layout.column(align=True)
    if entry.canvas is None:
        column.operator("nvd.paint_frame", icon="BRUSH_DATA")
    else:
        row = column.row(align=True)
        text = f"Frame {frame_canvas.canvas_at(entry)}"
        row.operator("nvd.paint_frame", text=text, icon="BRUSH_DATA")
        row.operator("nvd.discard_canvas", text="", icon="X")
        row = column.row(align=True)
        row.operator("nvd.canvas_to_layers", icon="RENDERLAYERS")
        row.operator("nvd.canvas_to_stack", icon="ADD")
        column.prop(entry, "canvas_lit", toggle=True)
    draw_shot_job(layout, column, frame_canvas.job_of(entry))


_CLASSES = (
    NVD_OT_paint_frame,
    NVD_OT_canvas_to_layers,
    NVD_OT_canvas_to_stack,
    NVD_OT_discard_canvas,
)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
