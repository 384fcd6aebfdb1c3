"""The button that makes a shot better without starting over."""

from pathlib import Path

import bpy
from bpy.props import IntProperty, StringProperty

from ..blender.editors import image_editor
from ..blender.problems import draw_lines
from ..blender.words import translated
from ..decompose import better_masks, refining
from ..decompose.refine_job import AROUND, refine
from ..errors import AddonError
from ..paint.frame_canvas import frame_at_playhead
from ..shot import shots, states
from ..shot.stack_entry import on_timeline
from .on_shot import OnLayer, OnShot, shot_scene


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
    around: IntProperty(
        name="Frames Around",
        description="How far from a drawn frame the mask is carried from it, in frames to either "
        "side; farther off the masks stay that the shot was made with",
        default=AROUND,
        min=0,
        soft_max=100,
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
            if better_masks.drawn_of(entry, layer.name) and not self.mask.strip():
                self.layout.label(text="What is drawn is taken", icon="MOD_MASK")
                self.layout.prop(self, "around")
        else:
            self.layout.label(text="Choose an object first to give it a better mask", icon="INFO")
        if entry is not None and better_masks.drawn_parts(entry):
            column = self.layout.column(align=True)
            column.label(text="New masks of parts: training begins anew,", icon="INFO")
            column.label(text="and the paint is carried over, but no pins", icon="BLANK1")
        self.layout.prop(self, "steps")

    def work(self, _context, scene, entry):
        masks = []
        if self.mask.strip():
            layer = entry.layer
            if layer is None or layer.name == entry.layers[-1].name:
                raise AddonError("the background has no mask", "choose an object in the list")
            masks = [(layer.name, Path(bpy.path.abspath(self.mask.strip())))]
        names = dict.fromkeys(one.layer for one in entry.better_masks)
        drawn = [name for name in names if better_masks.drawn_of(entry, name)]
        drawn = [name for name in drawn if name not in dict(masks)]
        job = refine(entry, scene, masks=masks, drawn=drawn, around=self.around, steps=self.steps)
        return f"Refining to {job.title}; see Jobs in the Sequencer's sidebar"


class NVD_OT_draw_better_mask(OnLayer, bpy.types.Operator):
    """Draw this object's mask over the frame at the playhead, for Refine; it begins with the \
outline of what the layer shows now, and Ctrl-click adds points"""

    bl_idname = "nvd.draw_better_mask"
    bl_label = "Draw Better Mask"

    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)
    part: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work_on(self, context, entry, layer):
        if not self.part:
            better_masks.check(entry, layer)
        frame = frame_at_playhead(entry) if self.frame < 0 else self.frame
        space = image_editor(context)
        better_masks.draw(entry, layer, frame, space, self.part)
        return "" if space else "Open an Image Editor in the mode Mask, and choose the mask"


def _parts_of(operator, context, _text) -> list[str]:
    """The parts that the layer has, as names to choose from."""
    entry = shots.current_shot(shot_scene(context))
    layer = entry.layers.get(operator.layer) or entry.layer if entry is not None else None
    return list(_part_names(entry, layer)[1:]) if layer is not None else []


class NVD_OT_draw_part(OnLayer, bpy.types.Operator):
    """Draw the mask of a part of this layer over the frame at the playhead, for Refine: one that \
it has, or a new one that moves by itself, such as a leg"""

    bl_idname = "nvd.draw_part"
    bl_label = "Draw Part"

    part: StringProperty(
        name="Part",
        description="One that the layer has, or the name of a new one",
        options={"SKIP_SAVE"},
        search=_parts_of,
        search_options={"SUGGESTION"},
    )

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self)

    def work_on(self, context, entry, layer):
        space = image_editor(context)
        if not self.part.strip():
            raise AddonError("the part has no name", "give it one, such as leg")
        frame = frame_at_playhead(entry)
        better_masks.draw(entry, layer, frame, space, self.part.strip())
        return "" if space else "Open an Image Editor in the mode Mask, and choose the mask"


class NVD_OT_remove_better_mask(OnLayer, bpy.types.Operator):
    """Take this drawn mask off the shot"""

    bl_idname = "nvd.remove_better_mask"
    bl_label = "Remove Drawn Mask"

    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"})
    part: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work_on(self, _context, entry, layer):
        name = f"{layer.name}.{self.part}" if self.part else layer.name
        better_masks.remove(entry, name, self.frame)


def draw_better_masks(layout, entry) -> None:
    """The masks that are drawn of the chosen layer and its parts, and the buttons for more."""
    layer = entry.layer
    if layer is None:
        return
    column = layout.column(align=True)
    if layer.name != entry.layers[-1].name:
        column.operator("nvd.draw_better_mask", icon="MOD_MASK").layer = layer.name
    column.operator("nvd.draw_part", icon="MOD_MASK").layer = layer.name
    for name in (layer.name, *better_masks.drawn_parts(entry, layer.name)):
        part = name.partition(".")[2]
        for one in better_masks.drawn_of(entry, name):
            row = layout.row(align=True)
            said = translated("Drawn on frame {frame}", frame=on_timeline(entry, one.frame))
            said = f"{part}: {said}" if part else said
            button = row.operator("nvd.draw_better_mask", text=said, icon="MOD_MASK", emboss=False)
            gone = row.operator("nvd.remove_better_mask", text="", icon="X")
            for word in (button, gone):
                word.layer, word.frame, word.part = layer.name, one.frame, part


def draw_parts(layout, entry, layer) -> None:
    """Which parts a layer has, and what it cannot do with them."""
    if names := _part_names(entry, layer):
        said = translated("Parts: {names}", names=", ".join(names))
        draw_lines(layout, said, "OUTLINER_OB_ARMATURE")


def _part_names(entry, layer) -> tuple[str, ...]:
    """The names of a layer's parts, the rest first; none without."""
    shot = states.shown_shot(entry.path)
    records = () if shot is None else shot.layers
    return next((one.part_names for one in records if one.name == layer.name), ())


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
    (
        NVD_OT_refine,
        NVD_OT_draw_better_mask,
        NVD_OT_draw_part,
        NVD_OT_remove_better_mask,
        NVD_OT_take_refinement,
        NVD_OT_former,
    )
)
