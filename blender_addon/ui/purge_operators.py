"""Purge in the tab Layers: what can be made again, with its size, and away."""

import bpy
from bpy.props import BoolProperty

from ..blender.words import translated
from ..decompose import purging
from ..engine.find import find_engine
from ..paint import ahead
from ..shot import shots
from .on_shot import OnShot, shot_scene

_MIB = 1 << 20


class NVD_OT_purge(OnShot, bpy.types.Operator):
    """Remove what can be made again from the shot's folder; first it says how large it is"""

    bl_idname = "nvd.purge"
    bl_label = "Purge"
    bl_options = {"REGISTER"}  # noqa: RUF012

    flat: BoolProperty(
        name="Flattened Stack",
        description="Pictures of the stack that nodes show; Stack to Nodes makes them again",
        options={"SKIP_SAVE"},
    )
    render: BoolProperty(
        name="Rendered Frames",
        description="Frames that strips show; these are empty until Render to Strip is pressed "
        "again. Files of your own in that folder stay",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, context):
        entry = shots.current_shot(shot_scene(context))
        found = purging.sizes(entry)
        for part in (purging.FLAT, purging.RENDER):
            row = self.layout.row()
            row.prop(self, part)
            row.label(text=translated("{size} MiB", size=f"{found[part] / _MIB:.1f}"))
        self.layout.label(text="Paint, textures and the stack's own files stay", icon="INFO")

    def work(self, _context, scene, entry):
        parts = [part for part in (purging.FLAT, purging.RENDER) if getattr(self, part)]
        if self.render:
            ahead.switch_off()  # else these were made again at once
        purging.queue_purge(entry, scene, parts, find_engine().python)
        return "Removing; see Jobs in the Sequencer's sidebar"


register, unregister = bpy.utils.register_classes_factory((NVD_OT_purge,))
