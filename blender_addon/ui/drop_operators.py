"""Pictures and movies that are dropped from a file browser are placed on the shot.

Over pictures Blender has handlers of its own, which open an image or make a strip or a reference of
it, and asks the artist which to take; over the sidebars of Image Editor and Sequencer there are
none.
"""

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, IntProperty, StringProperty

from ..engine.find import find_engine
from ..errors import AddonError
from ..paint import placement, shot_tool
from ..paint.frame_canvas import frame_at_playhead
from ..shot import shots, stack
from ..shot.stack_file import MOVIES, PICTURES
from .on_shot import OnLayer, shot_scene
from .pin_operators import clicked

_AREAS = {
    "IMAGE_EDITOR": ("WINDOW", "UI"),
    "SEQUENCE_EDITOR": ("PREVIEW", "UI"),  # what is dropped on the timeline becomes a strip
    "VIEW_3D": ("WINDOW", "UI"),
}
"""by area the regions in which files are taken"""


class NVD_OT_drop(OnLayer, bpy.types.Operator):
    """Place a picture, a movie or numbered pictures on the frame at the playhead, on the layer \
that is chosen; it follows the layer from there"""

    bl_idname = "nvd.drop"
    bl_label = "Place on the Shot"

    filepath: StringProperty(subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    files: CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )
    frame: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, default=-1)

    def invoke(self, context, event):
        entry = shots.current_shot(shot_scene(context))
        beside = context.window is None or context.region is None or context.region.type == "UI"
        self.at = None if beside else clicked(context, event, entry)  # a sidebar may lie over it
        return self.execute(context)

    def work_on(self, _context, entry, layer):
        kind, path = dropped(self._paths())
        at = getattr(self, "at", None)
        frame = at[2] if at and at[2] >= 0 else self.frame
        frame = frame_at_playhead(entry) if frame < 0 else frame
        placement.check_frame(entry, frame)
        shot_tool.check_idle(entry, placement.KIND)
        python = find_engine().python
        item = stack.add_file(entry, layer, kind, path)
        try:
            middle = at[:2] if at else placement.visible_place(entry, item, frame)
            placement.place(entry, item, python, frame, placement.first_places(entry, item, middle))
        except AddonError:
            stack.remove(entry, item)
            raise
        return "It is being pinned to the layer"

    def _paths(self) -> list[Path]:
        if self.files:
            folder = Path(bpy.path.abspath(self.directory))
            return [folder / file.name for file in self.files]
        return [Path(bpy.path.abspath(self.filepath))] if self.filepath else []


def dropped(paths: list[Path]) -> tuple[str, Path]:
    """The kind of entry that these files make, and the one that stands for them all.

    AddonError where they are nothing that a layer takes.
    """
    if not paths:
        raise AddonError("no file was dropped", "drop a picture or a movie")
    kinds = {_kind(path) for path in paths}
    if len(paths) == 1:
        return kinds.pop(), paths[0]
    heads = {(p.parent, p.stem.rstrip("0123456789"), p.suffix.lower()) for p in paths}
    if kinds == {"picture"} and len(heads) == 1:
        return "movie", min(paths)
    raise AddonError(
        f"{len(paths)} files were dropped at once, which are no numbered pictures",
        "drop them one by one",
    )


def _kind(path: Path) -> str:
    if not path.is_file():
        raise AddonError(f"there is no file {path}", "drop a picture or a movie")
    for kind, suffixes in (("picture", PICTURES), ("movie", MOVIES)):
        if path.suffix.lower() in suffixes:
            return kind
    raise AddonError(f"{path.name} is neither a picture nor a movie", "drop a picture or a movie")


class NVD_FH_drop(bpy.types.FileHandler):
    bl_idname = "NVD_FH_drop"
    bl_label = "Place on the Shot"
    bl_import_operator = "nvd.drop"
    bl_file_extensions = ";".join((*PICTURES, *MOVIES))

    @classmethod
    def poll_drop(cls, context):
        return takes_drops(context)


def takes_drops(context) -> bool:
    """Whether a file that is dropped where the mouse is may be placed on a shot."""
    area, region = context.area, context.region
    if area is None or region is None or region.type not in _AREAS.get(area.type, ()):
        return False
    entry = shots.current_shot(shot_scene(context))
    return entry is not None and not entry.missing


register, unregister = bpy.utils.register_classes_factory((NVD_OT_drop, NVD_FH_drop))
