"""Operators on objects that are found, and on the frames of theirs that need an eye."""

import bpy
from bpy.props import IntProperty

from ..blender.compat import sequencer_scene
from ..blender.editors import image_editor
from ..decompose import eye
from ..decompose.found_objects import find_objects, merge
from ..decompose.mask_drawing import draw_key
from ..errors import AddonError
from ..strip.sources import read_strip
from .job_operators import OnMasked, OnStrip


class NVD_OT_find_objects(OnStrip, bpy.types.Operator):
    """Find what moves by itself in this strip, in about a second a frame, beside Blender; the \
objects come into the list, to be kept, merged or removed before they are decomposed"""

    bl_idname = "nvd.find_objects"
    bl_label = "Find Objects"
    bl_options = {"REGISTER"}  # noqa: RUF012 (Blender wants a set)

    def work(self, context, strip):
        find_objects(strip, sequencer_scene(context))
        return f"The objects of {strip.name} are being looked for"


class NVD_OT_merge_object(OnStrip, bpy.types.Operator):
    """Make one object of this one and the one above it, both of which were found"""

    bl_idname = "nvd.merge_object"
    bl_label = "Merge with Above"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, context, strip):
        merge(strip, strip.nvd_decompose.active, sequencer_scene(context))


class NVD_OT_to_eye(OnMasked, bpy.types.Operator):
    """Go to the next frame, or the one before, in which this mask was lost"""

    bl_idname = "nvd.to_eye"
    bl_label = "Go to Frame"

    by: IntProperty(default=1, min=-1, max=1, options={"HIDDEN", "SKIP_SAVE"})
    frame: IntProperty(default=-(2**31), options={"HIDDEN", "SKIP_SAVE"})

    def work(self, context, strip):
        scene = sequencer_scene(context)
        if self.properties.is_property_set("frame"):
            scene.frame_set(self.frame)
            return
        thing = self.thing(strip)
        frames = eye.on_timeline(eye.from_text(thing.needs_eye), read_strip(strip))
        starts = [first for first, _last in eye.runs(frames)]
        now = scene.frame_current
        onwards = [frame for frame in starts if (frame - now) * self.by > 0]
        if not onwards:
            raise AddonError("no further frame needs your eye", "go the other way")
        scene.frame_set(min(onwards) if self.by > 0 else max(onwards))


class NVD_OT_draw_key(OnMasked, bpy.types.Operator):
    """Draw this mask on the frame at the playhead as well: the frames around it \
that were lost are carried from there"""

    bl_idname = "nvd.draw_key"
    bl_label = "Draw Here"

    def work(self, context, strip):
        space = image_editor(context)
        draw_key(self.thing(strip), strip, space)
        return "" if space else "Open an Image Editor in the mode Mask, and choose the mask"


class NVD_OT_remove_key(OnMasked, bpy.types.Operator):
    """Take this drawn frame off"""

    bl_idname = "nvd.remove_key"
    bl_label = "Remove Drawn Frame"

    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work(self, _context, strip):
        eye.remove_key(self.thing(strip), self.frame)


_classes = (
    NVD_OT_find_objects,
    NVD_OT_merge_object,
    NVD_OT_to_eye,
    NVD_OT_draw_key,
    NVD_OT_remove_key,
)
register, unregister = bpy.utils.register_classes_factory(_classes)
