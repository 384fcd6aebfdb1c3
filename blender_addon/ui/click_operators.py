"""The tool that makes a mask of clicks: on the object, and with Ctrl or Alt on what is not."""

import bpy
from bpy.props import BoolProperty, FloatProperty

from ..blender.compat import sequencer_scene
from ..blender.editors import image_editor
from ..blender.words import translated
from ..decompose import clicking
from ..decompose.mask_drawing import STRIP
from ..errors import AddonError
from .job_operators import OnMasked


class NVD_OT_click_mask(OnMasked, bpy.types.Operator):
    """Click on the object in an Image Editor, and its mask is found: each click adds, with Ctrl \
or Alt it takes away. What is found is a drawing like any other, to be corrected"""

    bl_idname = "nvd.click_mask"
    bl_label = "Click Mask"

    x: FloatProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    y: FloatProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    inside: BoolProperty(options={"HIDDEN", "SKIP_SAVE"}, default=True)

    def invoke(self, context, _event):
        try:
            _context, strip = self.subject(context)
            space = image_editor(context)
            clicking.begin(self.thing(strip), strip, space)
            if space is None:
                raise AddonError("there is no Image Editor to click in", "open one")
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        said = translated(
            "Click on the object to add, with Ctrl or Alt beside it to take away; Enter or Esc ends"
        )
        context.workspace.status_text_set(said)
        context.window.cursor_modal_set("CROSSHAIR")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in ("ESC", "RET", "NUMPAD_ENTER", "RIGHTMOUSE"):
            return self._ended(context) if event.value == "PRESS" else {"RUNNING_MODAL"}
        if event.type != "LEFTMOUSE":
            return {"PASS_THROUGH"}
        place = pixel_under(context, event)
        if place is None:
            return {"PASS_THROUGH"}  # other buttons go on working, the playhead among them
        if event.value == "PRESS":
            self.x, self.y = place
            self.inside = not (event.ctrl or event.alt)
            self.execute(context)
        return {"RUNNING_MODAL"}

    def cancel(self, context):
        self._ended(context)

    def _ended(self, context):
        context.workspace.status_text_set(None)
        context.window.cursor_modal_restore()
        return {"FINISHED"}

    def work(self, context, strip):
        thing = self.thing(strip)
        if self.x < 0 or self.y < 0:
            raise AddonError("nothing was clicked", "give a place in the picture")
        scene, space = sequencer_scene(context), image_editor(context)
        clicking.click(thing, strip, self.x, self.y, self.inside, scene, space)


class NVD_OT_forget_clicks(OnMasked, bpy.types.Operator):
    """Take the clicks on this frame back and begin anew; the mask stays as it is"""

    bl_idname = "nvd.forget_clicks"
    bl_label = "Forget Clicks"

    def work(self, _context, strip):
        clicking.forget(self.thing(strip), clicking.frame_at(strip))


def pixel_under(context, event) -> tuple[float, float] | None:
    """The pixel of an Image Editor's picture under the mouse, from its upper left; None beside."""
    for area in context.window.screen.areas:
        space = area.spaces.active
        if area.type != "IMAGE_EDITOR" or space.image is None or space.ui_mode != "MASK":
            continue
        if STRIP not in space.image:  # a shot's frame, under a better mask
            continue
        region = next(region for region in area.regions if region.type == "WINDOW")
        over = [r for r in area.regions if r.type != "WINDOW" and _within(r, event)]
        if over or not _within(region, event):
            continue
        across, up = region.view2d.region_to_view(
            event.mouse_x - region.x, event.mouse_y - region.y
        )
        wide, high = space.image.size
        if 0 <= across < 1 and 0 < up <= 1 and wide and high:
            return max(across * wide - 0.5, 0.0), max((1 - up) * high - 0.5, 0.0)
    return None


def _within(region, event) -> bool:
    x, y = event.mouse_x - region.x, event.mouse_y - region.y
    return 0 <= x < region.width and 0 <= y < region.height


register, unregister = bpy.utils.register_classes_factory((NVD_OT_click_mask, NVD_OT_forget_clicks))
