"""The button that makes a shot better without starting over."""

from pathlib import Path

import bpy
from bpy.props import IntProperty, StringProperty

from ..blender.words import translated
from ..decompose import refining
from ..decompose.refine_job import refine
from ..errors import AddonError
from ..shot import shots
from .on_shot import OnShot, shot_scene


class NVD_OT_refine(OnShot, bpy.types.Operator):
    """Train on from this shot into a new version of it that keeps the paint; this one stays"""

    bl_idname = "nvd.refine"
    bl_label = "Refine"
    bl_options = {"REGISTER"}  # noqa: RUF012

    mask: StringProperty(
        name="Better Mask",
        description="Folder, movie or image of a corrected mask for the chosen layer; empty: the "
        "masks stay",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    steps: IntProperty(
        name="Steps",
        description="How long to train; 0: half as long as the clip was trained",
        min=0,
        max=10_000_000,
        soft_max=20_000,
    )

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context):
        entry = shots.current_shot(shot_scene(context))
        layer = entry.layer if entry is not None else None
        if layer is not None and layer.name != entry.layers[-1].name:
            self.layout.label(text=translated("Better mask of {layer}", layer=layer.shown_name))
            self.layout.prop(self, "mask", text="")
        else:
            self.layout.label(text="Choose an object first to give it a better mask", icon="INFO")
        self.layout.prop(self, "steps")

    def work(self, _context, scene, entry):
        masks = []
        if self.mask.strip():
            layer = entry.layer
            if layer is None or layer.name == entry.layers[-1].name:
                raise AddonError("the background has no mask", "choose an object in the list")
            masks = [(layer.name, Path(bpy.path.abspath(self.mask.strip())))]
        job = refine(entry, scene, masks=masks, steps=self.steps)
        return f"Refining to {job.title}; see Jobs in the Sequencer's sidebar"


class NVD_OT_take_refinement(OnShot, bpy.types.Operator):
    """Show the refinement that has arrived. Paint is saved first and carried over"""

    bl_idname = "nvd.take_refinement"
    bl_label = "Take Refinement"

    def work(self, _context, _scene, entry):
        if refining.take(entry):
            return "Changes of the stack that were not saved are gone: make them again"
        return ""


class NVD_OT_former(OnShot, bpy.types.Operator):
    """Go back to the state before the last refinement, with the paint; once more goes forward"""

    bl_idname = "nvd.former"
    bl_label = "Take Refinement Back"

    def work(self, _context, scene, entry):
        refining.go_back(entry, scene)


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_refine, NVD_OT_take_refinement, NVD_OT_former)
)
