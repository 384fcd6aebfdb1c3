"""The stack of a layer in the tab "Layers": its list, its buttons, and what an entry is set to."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..blender.editors import image_editor
from ..engine.find import find_engine
from ..errors import AddonError
from ..paint import placement, strokes
from ..paint.stack_sheet import is_previewed
from ..shot import edit_files, painting, stack
from ..shot.stack_entry import CORNERS, ICONS
from .flat_operators import draw_flat
from .on_shot import OnLayer
from .shot_job import draw_shot_job


class _OnEntry(OnLayer):
    """The same on the entry that is chosen in the stack."""

    def work_on(self, context, entry, layer):
        item = chosen(entry, layer)
        if item is None:
            raise AddonError("no entry of the stack is chosen", "choose one in its list")
        return self.work_with(context, entry, item)


def chosen(entry, layer):
    """The entry chosen in the list, where it lies on the layer."""
    if layer is None or not 0 <= entry.active_entry < len(entry.stack):
        return None
    item = entry.stack[entry.active_entry]
    return item if item.layer == layer.name else None


def _open(context, item) -> str:
    space = image_editor(context)
    painting.open_canvas(item.image, space)
    return "" if space else "Open an Image Editor: the entry's image is the canvas now"


class NVD_OT_stack_paint(OnLayer, bpy.types.Operator):
    """Lay a transparent image over the layer, and open it to paint on; the layer stays as it is"""

    bl_idname = "nvd.stack_paint"
    bl_label = "New Paint"

    def work_on(self, context, entry, layer):
        return _open(context, stack.add_paint(entry, layer))


class NVD_OT_stack_file(OnLayer, bpy.types.Operator):
    """Lay a picture or movie over the layer; a copy of its file goes into the shot's folder"""

    bl_idname = "nvd.stack_file"
    bl_label = "Add File"

    kind: EnumProperty(
        items=[
            ("picture", "Picture", "A picture that is pinned to the layer"),
            ("movie", "Movie", "A movie or numbered pictures"),
        ],
        options={"HIDDEN", "SKIP_SAVE"},
    )
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context, _event):
        self.filter_movie = self.kind == "movie"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work_on(self, _context, entry, layer):
        stack.add_file(entry, layer, self.kind, Path(bpy.path.abspath(self.filepath)))


class NVD_OT_stack_text(OnLayer, bpy.types.Operator):
    """Lay words over the layer. The engine draws them; the live preview does not"""

    bl_idname = "nvd.stack_text"
    bl_label = "Text"

    text: StringProperty(name="Words", options={"SKIP_SAVE"})

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self)

    def work_on(self, _context, entry, layer):
        if not self.text.strip():
            raise AddonError("there are no words", "type some")
        stack.add_plain(entry, layer, "text", name=self.text[:30], text=self.text)


class NVD_OT_stack_svg(OnLayer, bpy.types.Operator):
    """Lay an SVG's strokes on the layer, as they lie on the frame at the playhead. The engine draws
    them; the live preview does not"""

    bl_idname = "nvd.stack_svg"
    bl_label = "Strokes (SVG)"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.svg", options={"HIDDEN"})
    keep_width: BoolProperty(name="Keep Width", description="As wide in every frame", default=True)

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work_on(self, _context, entry, layer):
        path = bpy.path.abspath(self.filepath)
        strokes.add_svg(entry, layer, find_engine().python, path, self.keep_width)
        return "The strokes are being laid on the layer"


class NVD_OT_stack_drawing(OnLayer, bpy.types.Operator):
    """Lay what the active Grease Pencil object shows on the layer, as the scene's camera sees it
    over the frame at the playhead"""

    bl_idname = "nvd.stack_drawing"
    bl_label = "Strokes (Grease Pencil)"

    width: FloatProperty(
        name="Width", description="In pixels of the plate", default=strokes.WIDTH, min=0.1,
        soft_max=50,
    )  # fmt: skip
    keep_width: BoolProperty(name="Keep Width", description="As wide in every frame", default=True)

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self)

    def work_on(self, context, entry, layer):
        python, thing = find_engine().python, context.view_layer.objects.active
        strokes.add_drawing(entry, layer, python, thing, self.keep_width, self.width)
        return "The strokes are being laid on the layer"


class NVD_OT_stack_adjustment(OnLayer, bpy.types.Operator):
    """Change hue, saturation, brightness and gamma of what lies below on the layer"""

    bl_idname = "nvd.stack_adjustment"
    bl_label = "Adjustment"

    def work_on(self, _context, entry, layer):
        stack.add_plain(entry, layer, "adjustment")


class NVD_OT_stack_open(_OnEntry, bpy.types.Operator):
    """Open the entry's image in an Image Editor, ready to paint on"""

    bl_idname = "nvd.stack_open"
    bl_label = "Paint"

    def work_with(self, context, _entry, item):
        if item.kind != "paint" or item.image is None:
            raise AddonError(f"{item.name} cannot be painted on", "add a New Paint above it")
        return _open(context, item)


class NVD_OT_stack_remove(_OnEntry, bpy.types.Operator):
    """Take the entry off the stack; its file stays in the shot's folder"""

    bl_idname = "nvd.stack_remove"
    bl_label = "Remove"

    def work_with(self, _context, entry, item):
        if item.kind == "paint" and painting.has_unsaved(item.image):
            painting.save_image(item.image, entry)  # undo finds the paint
        stack.remove(entry, item)


class NVD_OT_stack_duplicate(_OnEntry, bpy.types.Operator):
    """The same entry once more, above it; of paint a copy in a file of its own"""

    bl_idname = "nvd.stack_duplicate"
    bl_label = "Duplicate"

    def work_with(self, _context, entry, item):
        if item.kind == "paint" and painting.has_unsaved(item.image):
            painting.save_image(item.image, entry)
        stack.duplicate(entry, item)


class NVD_OT_stack_move(_OnEntry, bpy.types.Operator):
    """Move the entry up or down in the layer's stack"""

    bl_idname = "nvd.stack_move"
    bl_label = "Move"

    by: IntProperty(min=-1, max=1, options={"HIDDEN", "SKIP_SAVE"})

    def work_with(self, _context, entry, item):
        stack.move(entry, item, self.by)


class NVD_OT_stack_own_file(_OnEntry, bpy.types.Operator):
    """Choose the adjustment's mask or the words' font; a copy goes into the shot's folder"""

    bl_idname = "nvd.stack_own_file"
    bl_label = "Choose File"

    what: EnumProperty(
        items=[
            ("mask", "Mask", "A grey image: where the adjustment works"),
            ("font", "Font", "A font's file, .ttf or .otf"),
        ],
        options={"HIDDEN", "SKIP_SAVE"},
    )
    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work_with(self, _context, entry, item):
        path = bpy.path.abspath(self.filepath) if self.filepath else ""
        stack.set_file(entry, item, self.what, path)


class NVD_OT_stack_no_file(_OnEntry, bpy.types.Operator):
    """Go without the mask or the font"""

    bl_idname = "nvd.stack_no_file"
    bl_label = "Without"

    what: EnumProperty(
        items=[("mask", "Mask", ""), ("font", "Font", "")], options={"HIDDEN", "SKIP_SAVE"}
    )

    def work_with(self, _context, entry, item):
        stack.set_file(entry, item, self.what, "")


class NVD_OT_stack_take_file(_OnEntry, bpy.types.Operator):
    """Take what another program wrote; your paint stays in the .blend as an image"""

    bl_idname = "nvd.stack_take_file"
    bl_label = "Take the File"

    def work_with(self, _context, _entry, item):
        edit_files.take_file_of(item)


class NVD_OT_stack_keep_paint(_OnEntry, bpy.types.Operator):
    """Keep your paint. The file is written over when you save; what it held stays as an image"""

    bl_idname = "nvd.stack_keep_paint"
    bl_label = "Keep My Paint"

    def work_with(self, _context, _entry, item):
        edit_files.keep_paint_of(item)


class NVD_MT_stack_add(bpy.types.Menu):
    bl_label = "Add to the Stack"

    def draw(self, _context):
        layout = self.layout
        layout.operator("nvd.stack_paint", icon=ICONS["paint"])
        for kind, title in (("picture", "Picture"), ("movie", "Movie")):
            layout.operator("nvd.stack_file", text=title, icon=ICONS[kind]).kind = kind
        layout.operator("nvd.stack_text", icon=ICONS["text"])
        layout.operator("nvd.stack_svg", icon=ICONS["strokes"])
        layout.operator("nvd.stack_drawing", icon="GREASEPENCIL")
        layout.operator("nvd.stack_adjustment", icon=ICONS["adjustment"])


class NVD_UL_stack(bpy.types.UIList):
    """The entries on the chosen layer, the topmost first."""

    def draw_item(self, _context, layout, _data, item, _icon, _active, _name):
        layout.prop(item, "name", text="", emboss=False, icon=ICONS[item.kind])
        if item.problem or edit_files.image_in_conflict(item.image):
            layout.label(text="", icon="ERROR")
        elif painting.has_unsaved(item.image):
            layout.label(text="", icon="GREASEPENCIL")
        row = layout.row()
        row.scale_x = 0.6
        row.prop(item, "opacity", text="", slider=True)
        layout.prop(item, "on", text="", emboss=False, icon="HIDE_OFF" if item.on else "HIDE_ON")

    def filter_items(self, _context, data, _property):
        layer = data.layer.name if data.layer is not None else ""
        shown = [item.layer == layer for item in data.stack]
        count = len(shown)
        flags = [self.bitflag_filter_item if one else 0 for one in shown]
        return flags, [count - 1 - index for index in range(count)]


def draw_stack(layout, entry, layer) -> None:
    """The stack on the chosen layer, and the entry chosen in it."""
    draw_shot_job(layout, layout, strokes.job_of(entry))
    row = layout.row()
    own = stack.items_on(entry, layer)
    if not own:
        row.menu("NVD_MT_stack_add", icon="ADD")
        return
    row.template_list("NVD_UL_stack", "", entry, "stack", entry, "active_entry", rows=3)
    column = row.column(align=True)
    column.menu("NVD_MT_stack_add", text="", icon="ADD")
    item = chosen(entry, layer)
    if item is not None:
        column.operator("nvd.stack_remove", text="", icon="REMOVE")
        column.operator("nvd.stack_duplicate", text="", icon="DUPLICATE")
        column.operator("nvd.stack_move", text="", icon="TRIA_UP").by = 1
        column.operator("nvd.stack_move", text="", icon="TRIA_DOWN").by = -1
        _draw_entry(layout.column(), entry, item)
    unseen = [other.name for other in own if other.on and not is_previewed(other)]
    if unseen:
        layout.label(text="Rendered, but not in the live preview:", icon="INFO")
        layout.label(text=", ".join(unseen))
    draw_flat(layout, entry)


def _draw_entry(column, entry, item) -> None:
    if item.problem:
        column.label(text=item.problem, icon="ERROR")
    if edit_files.image_in_conflict(item.image):
        column.label(text="Another program has changed its file too", icon="ERROR")
        row = column.row(align=True)
        row.operator("nvd.stack_take_file")
        row.operator("nvd.stack_keep_paint")
    row = column.row(align=True)
    row.prop(item, "blend", text="")
    if item.kind == "paint":
        row.operator("nvd.stack_open", icon="BRUSH_DATA")
    column.prop(item, "has_range")
    if item.has_range:
        row = column.row(align=True)
        row.prop(item, "from_frame")
        row.prop(item, "to_frame")
    row = column.row(align=True)
    row.prop(item, "come")
    row.prop(item, "go")
    {
        "text": _draw_text,
        "strokes": _draw_width,
        "adjustment": _draw_adjustment,
        "movie": _draw_movie,
    }.get(item.kind, lambda *_: None)(column, item)
    if item.kind in placement.PINNED:
        column.operator("nvd.stack_place", icon="PIVOT_BOUNDBOX")
        draw_shot_job(column, column, placement.job_of(entry))
        column.prop(item, "has_corners")
        if item.has_corners:
            grid = column.grid_flow(columns=2, align=True, row_major=True)
            for name in (CORNERS[0], CORNERS[1], CORNERS[3], CORNERS[2]):
                grid.column().prop(item, name)


def _draw_movie(column, item) -> None:
    row = column.row(align=True)
    row.prop(item, "starts_at")
    row.prop(item, "after", text="")


def _draw_text(column, item) -> None:
    column.prop(item, "text")
    column.prop(item, "colour")
    _draw_file(column, "font", item.font)
    _draw_width(column, item)


def _draw_width(column, item) -> None:
    column.prop(item, "keep_width")
    if item.keep_width or item.kind == "strokes":
        column.prop(item, "pixels")


def _draw_adjustment(column, item) -> None:
    for name in ("hue", "saturation", "gain", "gamma"):
        column.prop(item, name)
    _draw_file(column, "mask", item.mask)


def _draw_file(column, what: str, path: str) -> None:
    row = column.row(align=True)
    title = Path(path).name if path else what.capitalize()
    row.operator("nvd.stack_own_file", text=title, icon="FILEBROWSER").what = what
    if path:
        row.operator("nvd.stack_no_file", text="", icon="X").what = what


_CLASSES = (
    NVD_OT_stack_paint,
    NVD_OT_stack_file,
    NVD_OT_stack_text,
    NVD_OT_stack_svg,
    NVD_OT_stack_drawing,
    NVD_OT_stack_adjustment,
    NVD_OT_stack_open,
    NVD_OT_stack_remove,
    NVD_OT_stack_duplicate,
    NVD_OT_stack_move,
    NVD_OT_stack_own_file,
    NVD_OT_stack_no_file,
    NVD_OT_stack_take_file,
    NVD_OT_stack_keep_paint,
    NVD_MT_stack_add,
    NVD_UL_stack,
)


register, unregister = bpy.utils.register_classes_factory(_CLASSES)
