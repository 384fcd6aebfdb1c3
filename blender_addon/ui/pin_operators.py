"""The buttons that hold a slipping layer: place a pin, on two frames or more, and apply it."""

import bpy
from bpy.props import FloatProperty, IntProperty, StringProperty

from ..blender import compat
from ..engine.find import find_engine
from ..errors import AddonError
from ..paint import pins
from ..shot import pins_file, shots, states
from ..shot.stack_entry import on_timeline
from .on_shot import OnShot, shot_scene
from .shot_job import draw_shot_job


class NVD_OT_pin_place(OnShot, bpy.types.Operator):
    """Click in the Sequencer's preview where the point lies in this frame; first where it is
    right, then, on other frames, where it belongs"""

    bl_idname = "nvd.pin_place"
    bl_label = "Place Pin"

    x: FloatProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    y: FloatProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)

    def invoke(self, context, _event):
        context.window.cursor_modal_set("CROSSHAIR")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in ("ESC", "RIGHTMOUSE"):
            context.window.cursor_modal_restore()
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        context.window.cursor_modal_restore()
        entry = shots.current_shot(shot_scene(context))
        found = clicked(context, event, entry)
        if found is None:
            self.report({"INFO"}, "Click in the Sequencer's preview, or on the painted frame")
            return {"CANCELLED"}
        self.x, self.y, self.frame = found
        return self.execute(context)

    def work(self, _context, _scene, entry):
        count = pins.place(entry, self.x, self.y, None if self.frame < 0 else self.frame)
        return "Now go to a frame where it slips" if count == 1 else ""


def clicked(context, event, entry) -> tuple[float, float, int] | None:
    """The pixel of the shot under the mouse, and its frame, -1 for the playhead's; None beside."""
    for area in context.window.screen.areas:
        for region in area.regions:
            x, y = event.mouse_x - region.x, event.mouse_y - region.y
            if not (0 <= x < region.width and 0 <= y < region.height):
                continue
            if area.type == "SEQUENCE_EDITOR" and region.type == "PREVIEW":
                render = compat.sequencer_scene(context).render
                size = render.resolution_x, render.resolution_y
                return *pixel_of(region.view2d.region_to_view(x, y), size, entry.read()), -1
            space = area.spaces.active
            canvas = area.type == "IMAGE_EDITOR" and region.type == "WINDOW" and entry.canvas
            if canvas and space.image == entry.canvas:
                across, up = region.view2d.region_to_view(x, y)
                shot = entry.read()
                return across * shot.width, (1 - up) * shot.height, entry.canvas_frame
    return None


def pixel_of(place, size, shot) -> tuple[float, float]:
    """The shot's pixel at a place of the Sequencer's preview, which has 0, 0 in its middle and the
    `size` of the scene's pictures.
    """
    return (place[0] / size[0] + 0.5) * shot.width, (0.5 - place[1] / size[1]) * shot.height


class NVD_OT_pin_apply(OnShot, bpy.types.Operator):
    """Bend the layer's coordinates so that the pinned point is where it belongs"""

    bl_idname = "nvd.pin_apply"
    bl_label = "Apply Pins"

    name: StringProperty(name="Name", description="Of the new pin", options={"SKIP_SAVE"})
    radius: FloatProperty(
        name="Radius",
        description="How far the texture bends with it, of its longer side; 0: by itself",
        min=0,
        max=10,
        soft_max=1,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, _event):
        entry = shots.current_shot(shot_scene(context))
        if not entry.pin_targets:
            return self.execute(context)
        self.name = pins.free_name(entry)
        return context.window_manager.invoke_props_dialog(self)

    def work(self, _context, _scene, entry):
        pins.apply(entry, find_engine().python, self.name, self.radius)
        return "The maps are being written"


class NVD_OT_pin_forget(OnShot, bpy.types.Operator):
    """Give up the pin that is being made"""

    bl_idname = "nvd.pin_forget"
    bl_label = "Forget"

    def work(self, _context, _scene, entry):
        pins.forget(entry)


class NVD_OT_pin_remove(OnShot, bpy.types.Operator):
    """Take this pin out; the maps become as they were without it"""

    bl_idname = "nvd.pin_remove"
    bl_label = "Remove Pin"

    name: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work(self, _context, _scene, entry):
        pins.remove(entry, find_engine().python, self.name)
        return "The maps are being written"


def draw_pins(layout, entry) -> None:
    """The shot's pins, the one that is being made, and how far their job is."""
    column = layout.column(align=True)
    shot = states.shown_shot(entry.path)
    if shot is None:
        return
    try:
        found = pins_file.read_pins(shot)
    except AddonError as error:
        column.label(text=str(error), icon="ERROR")
        return
    for pin in found.pins:
        row = column.row(align=True)
        row.active = pin.on
        row.label(text=f"{pin.name}, {pin.layer}", icon="PINNED", translate=False)
        row.operator("nvd.pin_remove", text="", icon="X").name = pin.name
    row = column.row(align=True)
    row.operator("nvd.pin_place", icon="PINNED")
    if entry.pin_targets:
        row.operator("nvd.pin_forget", text="", icon="X")
        frames = ", ".join(str(on_timeline(entry, t.frame)) for t in entry.pin_targets)
        column.label(text=f"{entry.pin_layer}: {frames}", translate=False)
    if entry.pin_targets or not found.applied:
        column.operator("nvd.pin_apply", icon="CHECKMARK")
    draw_shot_job(layout, column, pins.job_of(entry))


_CLASSES = (NVD_OT_pin_place, NVD_OT_pin_apply, NVD_OT_pin_forget, NVD_OT_pin_remove)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
