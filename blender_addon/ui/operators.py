"""Opening a shot: in the menu File, Import, in the list of shots, and at a problem."""

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..blender.words import translated
from ..decompose.maps_job import write_missing
from ..errors import AddonError
from ..paint import preview
from ..shot import shots
from ..shot.shot_list import duplicate_shot, remove_shot
from ..shot.shots import add_shot
from .on_shot import OnShot, shot_scene

MODES = [
    ("delta", "Delta", "Add the paint to the frames as shot"),
    ("full", "Full", "Put the picture together from the layers alone"),
]


class NVD_OT_open_shot(bpy.types.Operator):
    """Open a folder that `nvd decompose` has made, and list it in the tab Layers"""

    bl_idname = "nvd.open_shot"
    bl_label = "Open Decomposition"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender wants a set)

    directory: StringProperty(name="Folder", subtype="DIR_PATH")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    mode: EnumProperty(name="Composite", items=MODES, options={"SKIP_SAVE"})

    def invoke(self, context, _event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        folder = bpy.path.abspath(self.directory)
        try:
            asked = self.properties.is_property_set("mode")
            entry = add_shot(folder, shot_scene(context), mode=self.mode, rebuild=asked)
            told = write_missing([entry], shot_scene(context))
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Opened {entry.name}; {told or 'paint on it in the tab Layers'}")
        return {"FINISHED"}


class NVD_OT_rebuild_nodes(OnShot, bpy.types.Operator):
    """Build the shot's node group anew. Its node keeps values, keyframes and links"""

    bl_idname = "nvd.rebuild_nodes"
    bl_label = "Rebuild Nodes"

    mode: EnumProperty(name="Composite", items=MODES, options={"SKIP_SAVE"})

    def work(self, _context, scene, entry):
        mode = self.mode if self.properties.is_property_set("mode") else entry.mode
        if entry.read().is_compact:
            return write_missing([entry], scene)
        return f"Built the nodes of {add_shot(entry.path, scene, mode=mode).name}"


class NVD_OT_remove_shot(OnShot, bpy.types.Operator):
    """Take the shot off the list; its folder stays on disk as it is"""

    bl_idname = "nvd.remove_shot"
    bl_label = "Remove Shot"

    with_data: BoolProperty(
        name="Nodes and images too",
        description="Also take its nodes, its scene and its images out of the .blend, as far as no "
        "other shot and no strip shows them",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context, _event):
        return context.window_manager.invoke_props_dialog(self, confirm_text="Remove")

    def draw(self, context):
        entry = shots.current_shot(shot_scene(context))
        asked = translated("Take {shot} off the list? Its folder stays on disk", shot=entry.name)
        self.layout.label(text=asked)
        self.layout.prop(self, "with_data")

    def work(self, _context, _scene, entry):
        name = entry.name
        preview.stop()
        remove_shot(entry, with_data=self.with_data)
        return f"Removed {name} from the list; its folder is still there"


class NVD_OT_duplicate_shot(OnShot, bpy.types.Operator):
    """List the shot once more, for another strip: with the same folder, paint and nodes"""

    bl_idname = "nvd.duplicate_shot"
    bl_label = "Duplicate Shot"

    def work(self, _context, _scene, entry):
        return f"Added {duplicate_shot(entry).name}; choose its strip"


def _draw_menu(menu, _context):
    menu.layout.operator(NVD_OT_open_shot.bl_idname, text="Video Decomposition (.nvd)")


_CLASSES = (NVD_OT_open_shot, NVD_OT_rebuild_nodes, NVD_OT_remove_shot, NVD_OT_duplicate_shot)


def register():
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister():
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
