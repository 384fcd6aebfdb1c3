"""Opening a shot: in the menu File, Import, in the list of shots, and at a problem."""

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from ..errors import AddonError
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
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Opened {entry.name}; paint on it in the tab Layers")
        return {"FINISHED"}


class NVD_OT_rebuild_nodes(OnShot, bpy.types.Operator):
    """Build the shot's node group anew. Its node keeps values, keyframes and links"""

    bl_idname = "nvd.rebuild_nodes"
    bl_label = "Rebuild Nodes"

    mode: EnumProperty(name="Composite", items=MODES, options={"SKIP_SAVE"})

    def work(self, _context, scene, entry):
        mode = self.mode if self.properties.is_property_set("mode") else entry.mode
        return f"Built the nodes of {add_shot(entry.path, scene, mode=mode).name}"


def _draw_menu(menu, _context):
    menu.layout.operator(NVD_OT_open_shot.bl_idname, text="Video Decomposition (.nvd)")


def register():
    bpy.utils.register_class(NVD_OT_open_shot)
    bpy.utils.register_class(NVD_OT_rebuild_nodes)
    bpy.types.TOPBAR_MT_file_import.append(_draw_menu)


def unregister():
    bpy.types.TOPBAR_MT_file_import.remove(_draw_menu)
    bpy.utils.unregister_class(NVD_OT_rebuild_nodes)
    bpy.utils.unregister_class(NVD_OT_open_shot)
