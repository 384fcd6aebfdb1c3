"""The tab "Layers" of the Image Editor's and the Sequencer's sidebar: shots, layers, paint, strips.

Operators check, call what shots.py, painting.py, preview.py and strips.py offer, and report.
"""

import bpy
from bpy.props import EnumProperty, StringProperty

from ..blender import compat
from ..blender.editors import image_editor
from ..blender.problems import draw_problem
from ..blender.words import tip_of, translated
from ..engine.find import find_engine
from ..errors import AddonError
from ..paint import ahead, playback, preview
from ..shot import edit_files, finish, flat_nodes, painting, shots, states
from ..shot.edge_nodes import in_words
from ..strip import composite_strips
from ..strip.render_job import queue_render
from ..strip.report_job import open_report, queue_evaluate, report_page
from .across_operators import draw_across
from .finish_operators import draw_blur, draw_edges
from .frame_operators import draw_canvas
from .on_shot import OnLayer, OnShot, shot_scene
from .pin_operators import draw_pins
from .refine_operators import draw_better_masks, draw_parts
from .stack_operators import draw_stack
from .texture_operators import draw_textures
from .value_operators import draw_values


class NVD_OT_paint_layer(OnLayer, bpy.types.Operator):
    """Open the layer's edit image in an Image Editor, ready to paint on"""

    bl_idname = "nvd.paint_layer"
    bl_label = "Paint"

    def work_on(self, context, _entry, layer):
        space = image_editor(context)
        painting.paint_layer(layer, space)
        return "" if space else "Open an Image Editor: the layer's edit is the canvas now"


class NVD_OT_show_layer(OnLayer, bpy.types.Operator):
    """Show something else in place of the edit, which stays as it is"""

    bl_idname = "nvd.show_layer"
    bl_label = "Show"

    what: EnumProperty(
        items=[
            ("edit", "Edit", "Show the texture as it is painted"),
            ("learned", "Learned", "Show the texture without paint, to compare; the paint stays"),
            ("checker", "Checkerboard", "Show squares in its place: where they slide or swim over "
             "the shot, paint would too. The paint stays"),
            ("grid", "UV Grid", "Show numbers of places in its place, to find on the texture what "
             "is seen in the shot. The paint stays"),
        ]
    )  # fmt: skip

    @classmethod
    def description(cls, _context, properties):
        return tip_of(properties, "what")

    def work_on(self, _context, entry, layer):
        painting.show(entry, layer, self.what)


class NVD_OT_restore_learned(OnLayer, bpy.types.Operator):
    """Take all paint off the layer; it is kept and can be brought back"""

    bl_idname = "nvd.restore_learned"
    bl_label = "Restore Learned"

    def work_on(self, _context, _entry, layer):
        painting.restore_learned(layer)


class NVD_OT_bring_back(OnLayer, bpy.types.Operator):
    """Put the paint on again that Restore Learned has taken off"""

    bl_idname = "nvd.bring_back"
    bl_label = "Bring Back Paint"

    def work_on(self, _context, _entry, layer):
        painting.bring_back(layer)


class NVD_OT_take_file(OnLayer, bpy.types.Operator):
    """Take what another program wrote; your paint is kept for Bring Back Paint"""

    bl_idname = "nvd.take_file"
    bl_label = "Take the File"

    def work_on(self, _context, _entry, layer):
        edit_files.take_file(layer)


class NVD_OT_keep_paint(OnLayer, bpy.types.Operator):
    """Keep your paint. The file is written over when you save; Bring Back Paint has what it held"""

    bl_idname = "nvd.keep_paint"
    bl_label = "Keep My Paint"

    def work_on(self, _context, _entry, layer):
        edit_files.keep_paint(layer)


class NVD_OT_save_edits(OnShot, bpy.types.Operator):
    """Save the paint of every layer of the shot; saving the .blend does it too"""

    bl_idname = "nvd.save_edits"
    bl_label = "Save Paint"

    def work(self, _context, _scene, entry):
        return f"Saved {len(painting.save_edits(entry, in_step=True))} layers"


class NVD_OT_preview(OnShot, bpy.types.Operator):
    """Show the shot with its paint in Image Editors and Sequencer previews"""

    bl_idname = "nvd.preview"
    bl_label = "Live Preview"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, _context, _scene, entry):
        if preview.running():
            preview.stop()
        else:
            preview.start(entry)


class NVD_OT_find_again(OnShot, bpy.types.Operator):
    """Choose where the shot's folder is now"""

    bl_idname = "nvd.find_again"
    bl_label = "Find Again"

    directory: StringProperty(subtype="DIR_PATH")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work(self, _context, _scene, entry):
        shots.find_again(entry, bpy.path.abspath(self.directory))


class NVD_OT_to_strip(OnShot, bpy.types.Operator):
    """Bring the painted shot back into the sequencer, above the strip that it was made from"""

    bl_idname = "nvd.to_strip"
    bl_label = "To Strip"

    way: EnumProperty(
        items=[
            ("render", "Render to Strip", "Let the engine render the painted shot to images, and "
             "put a strip of them above the clip. Plays fast; press it again after more paint"),
            ("composite", "Composite Strip", "Put a strip above the clip that Blender composites "
             "each time it is shown: nothing is rendered beforehand, and it plays slower"),
            ("modifier", "Strip Modifier", "Let Blender composite the paint on the clip's own "
             "strip each time it is shown: no further strip, and it plays slower"),
        ]
    )  # fmt: skip

    @classmethod
    def description(cls, _context, properties):
        return tip_of(properties, "way")

    def work(self, context, scene, entry):
        if self.way in ("composite", "modifier"):
            if self.way == "composite":
                said = f"Added {composite_strips.add_scene_strip(entry, scene).name}"
            else:
                said = f"Added {composite_strips.add_modifier(entry, scene).name} to {entry.strip}"
            if flat_nodes.state(entry) in (flat_nodes.ABSENT, flat_nodes.OLD):
                self.report(
                    {"WARNING"},
                    "The stack of edits is not in this strip yet: Stack to Nodes brings it there",
                )
            if lacks := finish.lacks_of(entry):
                what = in_words(lacks)
                self.report(
                    {"WARNING"},
                    translated("Not in this strip: {what}. Render to Strip has it", what=what),
                )
            return said
        queue_render(entry, scene, find_engine().python)
        return "Rendering; see Jobs in the Sequencer's sidebar"


class NVD_OT_clean_plate(OnLayer, bpy.types.Operator):
    """Render the shot without this object: the background shows, as painted, where it was"""

    bl_idname = "nvd.clean_plate"
    bl_label = "Remove to Strip"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work_on(self, context, entry, layer):
        if layer.name == entry.layers[-1].name:
            raise AddonError("nothing lies behind the background", "choose an object in the list")
        queue_render(entry, shot_scene(context), find_engine().python, layer.name)
        return "Rendering; see Jobs in the Sequencer's sidebar"


class NVD_OT_overlay_to_strip(OnShot, bpy.types.Operator):
    """Render the shot with something laid over it, to judge it by, into a strip of its own"""

    bl_idname = "nvd.overlay_to_strip"
    bl_label = "Overlay to Strip"
    bl_options = {"REGISTER"}  # noqa: RUF012

    what: EnumProperty(
        items=[
            ("grid", "Grid", "Lines on every layer's texture: where they slide, paint does"),
            ("doubt", "Doubt", "Warm where the engine itself doubts, blue where the map folds"),
        ]
    )

    def work(self, _context, scene, entry):
        queue_render(entry, scene, find_engine().python, overlay=self.what)
        return "Rendering; see Jobs in the Sequencer's sidebar"


class NVD_OT_evaluate(OnShot, bpy.types.Operator):
    """Measure how well the shot was decomposed, and make a report to look at"""

    bl_idname = "nvd.evaluate"
    bl_label = "Evaluate"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, _context, scene, entry):
        queue_evaluate(entry, scene, find_engine().python)
        return "Evaluating; see Jobs in the Sequencer's sidebar"


class NVD_OT_open_report(OnShot, bpy.types.Operator):
    """Open the report in the browser: frames, textures, and what can be painted on"""

    bl_idname = "nvd.open_report"
    bl_label = "Open Report"
    bl_options = {"REGISTER"}  # noqa: RUF012

    def work(self, _context, _scene, entry):
        open_report(entry)


class NVD_UL_shots(bpy.types.UIList):
    """The shots of the scene."""

    def draw_item(self, _context, layout, _data, item, _icon, _active, _name):
        icon = "ERROR" if item.missing else "SEQUENCE"
        layout.prop(item, "name", text="", emboss=False, icon=icon)


class NVD_UL_layers(bpy.types.UIList):
    """The layers of a shot, front to back."""

    def draw_item(self, _context, layout, _data, item, _icon, _active, _name):
        image = item.learned
        icon = layout.icon(image) if image else 0
        layout.prop(item, "label", text="", emboss=False, icon_value=icon)
        if edit_files.in_conflict(item):
            layout.label(text="", icon="ERROR")
        if painting.is_unsaved(item):
            layout.label(text="", icon="GREASEPENCIL")
        if item.shown is not None:
            layout.label(text="", icon="UV_DATA")
        layout.operator("nvd.paint_layer", text="", icon="BRUSH_DATA").layer = item.name


class _Layers:
    bl_label = "Painted Shots"
    bl_region_type = "UI"
    bl_category = "Layers"
    bl_order = 5

    def draw(self, context):
        layout, scene = self.layout, shot_scene(context)
        if scene.library is not None:
            layout.label(text="Linked from another file: make it local to paint", icon="LINKED")
            layout.enabled = False
        row = layout.row()
        row.template_list("NVD_UL_shots", "", scene, "nvd_shots", scene, "nvd_shot", rows=2)
        row = row.column(align=True)
        row.operator("nvd.open_shot", text="", icon="ADD")
        if len(scene.nvd_shots):
            row.operator("nvd.remove_shot", text="", icon="REMOVE")
            row.operator("nvd.duplicate_shot", text="", icon="DUPLICATE")
            row.operator("nvd.rebuild_nodes", text="", icon="FILE_REFRESH")
        entry = shots.current_shot(scene)
        if entry is None:
            column = layout.column(align=True)
            column.label(text="Nothing to paint on yet:", icon="INFO")
            column.label(text="begin in the Sequencer,", icon="BLANK1")
            column.label(text="or open a folder with +", icon="BLANK1")
            return
        if entry.missing:
            layout.label(text="The folder has been moved or deleted", icon="ERROR")
            layout.operator("nvd.find_again", icon="VIEWZOOM")
            return
        layout.template_list("NVD_UL_layers", "", entry, "layers", entry, "active_layer", rows=3)
        if entry.layer is not None:
            _draw_layer(layout, entry, entry.layer)
        draw_blur(layout, entry)
        row = layout.row(align=True)
        row.operator("nvd.preview", icon="HIDE_OFF", depress=preview.running() is not None)
        row.operator("nvd.save_edits", icon="FILE_TICK")
        if preview.running() is not None:
            _draw_inset(layout, context.scene.nvd_inset)
            _draw_overlay(layout, context.scene.nvd_inset)
            layout.prop(context.scene.nvd_inset, "keep_rate")
            if playback.told():
                layout.label(text=playback.told(), icon="PLAY")
            draw_ahead(layout, context.scene.nvd_inset)
        if preview.message():
            layout.label(text=preview.message(), icon="INFO")
        if entry.group_node() is None:
            layout.label(text="Not in the compositor: Rebuild Nodes", icon="INFO")
        if preview.running() is not None and preview.lacks_nodes(entry):
            layout.label(text="Preview is without your nodes", icon="INFO")
        row = layout.row(align=True)
        if report_page(entry) is not None:
            row.operator("nvd.open_report", icon="URL")
        row.operator("nvd.evaluate", icon="VIEWZOOM")
        row.operator("nvd.refine", icon="MOD_SMOOTH")
        row.operator("nvd.purge", text="", icon="TRASH")
        draw_better_masks(layout, entry)
        _draw_refinement(layout, entry)
        draw_textures(layout, entry)
        draw_canvas(layout, entry)
        draw_pins(layout, entry)
        _draw_strips(layout, scene, entry)


def _draw_refinement(layout, entry) -> None:
    """What its folder is refined to, where that is done in place."""
    if painting.is_behind(entry):
        box = layout.box()
        box.label(text="A refinement has arrived; this paint is not saved yet", icon="INFO")
        box.operator("nvd.take_refinement", icon="IMPORT")
        return
    state = states.state_of(entry.path)
    if state is not None and state.refinement is not None:
        done, planned = state.refinement
        said = translated("Refinement {done} of {planned} is shown", done=done, planned=planned)
        layout.label(text=said if done else "A draft, which is being refined", icon="MOD_SMOOTH")
    if states.has_former(entry.path):
        layout.operator("nvd.former", icon="LOOP_BACK")


def _draw_inset(layout, settings) -> None:
    row = layout.row(align=True)
    row.prop(settings, "shown", text="", icon="WINDOW")
    row = row.row(align=True)
    row.active = settings.shown
    row.prop(settings, "corner", text="")
    row.prop(settings, "size", slider=True)


def draw_ahead(layout, settings) -> None:
    """The switch for what is rendered ahead, and how far that is."""
    layout.prop(settings, "draft_ahead")
    if ahead.told():
        layout.label(text=ahead.told(), icon="RENDER_ANIMATION")
    if settings.draft_ahead and ahead.problem() is not None:
        draw_problem(layout, ahead.problem())


def _draw_overlay(layout, settings) -> None:
    row = layout.row(align=True)
    row.prop(settings, "overlay", text="", icon="MESH_GRID")
    row = row.row(align=True)
    row.active = settings.overlay != "NONE"
    row.prop(settings, "overlay_opacity", slider=True)


def _draw_layer(layout, entry, layer) -> None:
    layout.operator("nvd.paint_layer", text="Paint on This Layer", icon="BRUSH_DATA")
    row = layout.row()
    if layer.learned is not None:
        row.template_icon(icon_value=layout.icon(layer.learned), scale=2.6)
    column = row.column(align=True)
    draw_values(column, layer)
    draw_edges(column, layer)
    draw_parts(layout, entry, layer)
    row, now = layout.row(align=True), painting.shown(layer)
    for what in painting.VIEWS:
        text = what.capitalize()
        row.operator("nvd.show_layer", text=text, depress=now == what).what = what
    if edit_files.in_conflict(layer):
        box = layout.box()
        box.label(text="Another program has changed its file too", icon="ERROR")
        row = box.row(align=True)
        row.operator("nvd.take_file")
        row.operator("nvd.keep_paint")
    row = layout.row(align=True)
    row.operator("nvd.restore_learned")
    if layer.taken_back is not None:
        row.operator("nvd.bring_back")
    draw_across(layout, entry, layer)
    draw_stack(layout, entry, layer)


def _draw_strips(layout, scene, entry) -> None:
    column = layout.column(align=True)
    if scene.sequence_editor is not None:
        column.prop_search(entry, "strip", scene.sequence_editor, compat.STRIPS)
    column.operator("nvd.to_strip", text="Render to Strip").way = "render"
    column.operator("nvd.to_strip", text="Composite Strip").way = "composite"
    if entry.layer is not None and entry.layer != entry.layers[-1]:
        column.operator("nvd.clean_plate")
    row = column.row(align=True)
    row.operator("nvd.overlay_to_strip", text="Grid to Strip").what = "grid"
    row.operator("nvd.overlay_to_strip", text="Doubt to Strip").what = "doubt"
    if compat.STRIP_COMPOSITOR:
        column.operator("nvd.to_strip", text="Strip Modifier").way = "modifier"


class NVD_PT_layers_sequencer(_Layers, bpy.types.Panel):
    bl_space_type = "SEQUENCE_EDITOR"


class NVD_PT_layers_image(_Layers, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"


_CLASSES = (
    NVD_OT_paint_layer,
    NVD_OT_show_layer,
    NVD_OT_restore_learned,
    NVD_OT_bring_back,
    NVD_OT_take_file,
    NVD_OT_keep_paint,
    NVD_OT_save_edits,
    NVD_OT_preview,
    NVD_OT_find_again,
    NVD_OT_to_strip,
    NVD_OT_clean_plate,
    NVD_OT_overlay_to_strip,
    NVD_OT_evaluate,
    NVD_OT_open_report,
    NVD_UL_shots,
    NVD_UL_layers,
    NVD_PT_layers_sequencer,
    NVD_PT_layers_image,
)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
