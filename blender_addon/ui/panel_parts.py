"""The folded panel "Parts" of Decompose: what moves by itself within the object that is chosen."""

import bpy
from bpy.props import IntProperty

from ..blender.compat import sequencer_scene
from ..blender.words import translated
from ..decompose import part_list
from ..decompose.properties import active_strip
from .job_operators import OnStrip
from .panel_decompose import Folded, draw_mask


class NVD_OT_add_part(OnStrip, bpy.types.Operator):
    """Add a part that moves by itself, such as a leg: it gets a mask of its own, drawn on one \
frame, and the object stays one layer with one picture to paint on"""

    bl_idname = "nvd.add_part"
    bl_label = "Add Part"

    def work(self, _context, strip):
        part_list.add_part(strip)


class NVD_OT_remove_part(OnStrip, bpy.types.Operator):
    """Remove the active part from the list"""

    bl_idname = "nvd.remove_part"
    bl_label = "Remove Part"

    def work(self, _context, strip):
        part_list.remove_part(strip)


class NVD_OT_move_part(OnStrip, bpy.types.Operator):
    """Move the active part towards the front or the back: where two masks overlap, the one in \
front counts"""

    bl_idname = "nvd.move_part"
    bl_label = "Move Part"

    by: IntProperty(default=1, min=-1, max=1)

    def work(self, _context, strip):
        part_list.move_part(strip, self.by)


class NVD_UL_parts(bpy.types.UIList):
    """The parts, front to back."""

    def draw_item(self, _context, layout, _data, item, _icon, _active, _name):
        icons = {"MASK": "MOD_MASK", "STRIP": "SEQUENCE", "FILE": "FILE_FOLDER"}
        layout.prop(item, "name", text="", emboss=False, icon=icons[item.kind])
        if item.needs_eye:
            layout.label(text="", icon="HIDE_OFF")


class NVD_PT_parts(Folded, bpy.types.Panel):
    bl_label = "Parts"
    bl_idname = "NVD_PT_parts"
    bl_order = 1  # next to the list of objects

    def draw(self, context):
        layout, scene = self.layout, sequencer_scene(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        strip = active_strip(scene)
        own, whole = strip.nvd_decompose, part_list.owner(strip)
        layout.prop(own, "parts_of", expand=True)
        if whole is None:
            layout.label(text="Add the object to the list first", icon="INFO")
            return
        if whole != own:
            said = translated("Parts of {layer}, front to back", layer=whole.name)
            layout.label(text=said)
        row = layout.row()
        row.template_list("NVD_UL_parts", "", whole, "parts", whole, "active_part", rows=3)
        column = row.column(align=True)
        column.operator("nvd.add_part", text="", icon="ADD")
        column.operator("nvd.remove_part", text="", icon="REMOVE")
        column.operator("nvd.move_part", text="", icon="TRIA_UP").by = -1
        column.operator("nvd.move_part", text="", icon="TRIA_DOWN").by = 1
        if whole == own:
            layout.prop(own, "windows")
        if not len(whole.parts):
            self._draw_finding(layout, whole, whole == own, part_list.trouble(strip))
            return
        self._draw_ticked(layout, whole)
        self._draw_limits(layout, whole == own, part_list.trouble(strip))
        if 0 <= whole.active_part < len(whole.parts):
            draw_mask(layout, scene, whole.parts[whole.active_part], part=True)

    def _draw_finding(self, layout, whole, background: bool, trouble: str) -> None:
        """What becomes of an object without parts, or of the background."""
        if not background:
            layout.prop(whole, "find_parts")
        if background or not whole.find_parts:
            if whole.windows > 1:
                layout.label(text="None: it moves as one sheet in each view", icon="INFO")
            else:
                layout.label(text="None: it moves as one sheet", icon="INFO")
            return
        layout.label(text="Limbs are looked for; the job says what it found", icon="INFO")
        if trouble == "windows":
            layout.label(text="Parts or views, not both: set Views in Time to 0", icon="ERROR")

    def _draw_ticked(self, layout, whole) -> None:
        """Find Parts, where it is ticked and does nothing, as there are parts that are drawn."""
        if not getattr(whole, "find_parts", False):
            return
        layout.prop(whole, "find_parts")
        layout.label(text="Not looked for: those in the list are taken", icon="INFO")

    def _draw_limits(self, layout, background: bool, trouble: str) -> None:
        """What a layer with parts cannot do, before an hour is spent."""
        column = layout.column(align=True)
        if trouble == "shots":
            column.label(text="Several Shots knows no parts: switch it off", icon="ERROR")
        if trouble == "windows":
            column.label(text="Parts or views, not both: set Views in Time to 0", icon="ERROR")
        column.label(text="What no part takes is the rest", icon="INFO")
        column.label(text="No pins and no views in time on this layer", icon="BLANK1")
        if background:
            column.label(text="Holding the camera still needs one sheet", icon="BLANK1")


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_add_part, NVD_OT_remove_part, NVD_OT_move_part, NVD_UL_parts, NVD_PT_parts)
)
