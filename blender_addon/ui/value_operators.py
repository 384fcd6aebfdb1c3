"""Visibility and relight in the tab "Layers": their sliders, and the key beside each.

Blender's own key I takes the frame of the window's scene. The button takes the strip's timeline,
also where the window shows the scene that composites the shot, whose frames are the clip's.
"""

import bpy
from bpy.props import BoolProperty, EnumProperty

from ..shot import layer_values
from .on_shot import OnLayer


class NVD_OT_key_value(OnLayer, bpy.types.Operator):
    """Key the value at the playhead, in the timeline of the strip; Alt deletes the key there"""

    bl_idname = "nvd.key_value"
    bl_label = "Key"

    what: EnumProperty(
        items=[("visibility", "Visibility", ""), ("light", "Relight", "")],
        options={"SKIP_SAVE"},
    )
    delete: BoolProperty(name="Delete", options={"SKIP_SAVE"})

    def invoke(self, context, event):
        self.delete = event.alt
        return self.execute(context)

    def work_on(self, context, entry, layer):
        frame = layer_values.playhead(entry, context.scene)
        if self.delete:
            layer_values.delete_key(entry, layer, self.what, frame)
        else:
            layer_values.insert_key(entry, layer, self.what, frame)


def draw_values(layout, layer) -> None:
    """A layer's sliders."""
    for what in layer_values.INPUTS:
        row = layout.row(align=True)
        row.prop(layer, what)
        keyed = layer_values.is_keyed(layer, what)
        button = row.operator("nvd.key_value", text="", icon="KEY_HLT" if keyed else "KEY_DEHLT")
        button.layer, button.what = layer.name, what


register, unregister = bpy.utils.register_classes_factory((NVD_OT_key_value,))
