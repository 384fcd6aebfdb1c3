"""The shots that a .blend works on: which decomposition folders, in which scenes, for which strips.

    entry = add_shot("/clips/shot.nvd", scene)     # composited in a scene of its own
    layer = entry.layers["toy"]
    layer.edit                                     # the image to paint on

A scene's list is `scene.nvd_shots`; several shots may stand in it, and several scenes may have
one. Paths are stored relative to the .blend where Blender's preference says so. A folder that was
moved is found again by `find_again`. shot_events.py keeps the entries true while Blender saves,
loads and undoes.
"""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..blender import compat
from ..blender.storage import stored_path
from ..blender.strip_identity import identity, strip_by
from ..blender.undo import watch
from . import file_stamps, finish, finish_file, layer_values, stack
from .delivery import NVD_PG_delivery
from .finish_file import read_finish
from .folder import Shot, ShotError, read_shot
from .layer_sizes import compare, follow_sizes  # noqa: F401
from .listed_shots import (  # noqa: F401 - this is the one door to them
    all_shots,
    current_shot,
    entry_of,
    follow_names,
    follow_strips,
    listed_shot,
    name_images,
    shots_at,
    strip_of,
)
from .moved_shots import find_again  # noqa: F401
from .resample import learned_at
from .scripting import image_of, open_shot, open_without_nodes
from .shot_layer import Amount, NVD_PG_layer
from .stack_entry import NVD_PG_stack_entry
from .stack_file import read_stack
from .values_file import read_values

CHOOSE = "press Find Again and choose where it is now"


def _finish_set(entry: "NVD_PG_shot", _context) -> None:
    """Motion blur that was set is said at the node."""
    finish.after_set(entry)


def _strip_chosen(entry: "NVD_PG_shot", _context) -> None:
    strip = strip_by(entry.id_data, "", entry.strip)
    entry.strip_id = identity(strip) if strip is not None else ""


class NVD_PG_pin_target(bpy.types.PropertyGroup):
    """A pixel of a frame where the pin that is being made belongs."""

    frame: IntProperty(name="Frame", description="Of the shot, from 0")
    x: FloatProperty()
    y: FloatProperty()


class NVD_PG_better_mask(bpy.types.PropertyGroup):
    """A mask that is drawn for a refinement."""

    layer: StringProperty()
    frame: IntProperty(name="Frame", description="Of the shot, from 0")
    mask: PointerProperty(name="Mask", type=bpy.types.Mask)


def _renamed(entry: "NVD_PG_shot", _context) -> None:
    """At once, within Blender's step: see `follow_names`."""
    if entry.folder and entry.named and entry.name != entry.named:
        name_images(entry)


class NVD_PG_shot(bpy.types.PropertyGroup):
    """One decomposition folder; `layers` are front to back.

    `name` is what the artist calls it, `id` what a job knows it by.
    """

    name: StringProperty(name="Name", update=_renamed)
    id: StringProperty()
    named: StringProperty(description="The name that its images carry")
    folder: StringProperty(name="Folder", description="Relative to the .blend where it can be")
    scene: PointerProperty(type=bpy.types.Scene, description="The scene that composites it")
    layers: CollectionProperty(type=NVD_PG_layer)
    active_layer: IntProperty(name="Layer")
    strip: StringProperty(
        name="Strip", description="The strip that it was made from", update=_strip_chosen
    )
    strip_id: StringProperty(description="The strip's identity, which a new name leaves as it is")
    first_frame: IntProperty(name="First Frame", description="Frame of the strip's source, from 0")
    frames: IntProperty(name="Frames", description="How many the clip has; 0: not known")
    values_seen: StringProperty(description="What visibility and relight were in the folder")
    values_saved: StringProperty(description="What they were here when that was read or written")
    stack: CollectionProperty(type=NVD_PG_stack_entry, description="Bottom to top, of all layers")
    active_entry: IntProperty(name="Entry")
    stack_seen: StringProperty(description="What the stack was in the folder")
    stack_saved: StringProperty(description="What it was here when that was read or written")
    flatten: BoolProperty(
        name="Renew by Itself",
        description="Flatten the stack for nodes and strips whenever it, or the paint below, is "
        "saved. The pictures take room in the folder, a movie one for every frame",
        default=True,
    )
    motion_blur: BoolProperty(
        name="Motion Blur",
        description="Blur paint along its motion, as the shot's camera does",
        update=_finish_set,
    )
    shutter: FloatProperty(
        name="Shutter",
        description="Frames that the camera's shutter stays open",
        default=finish_file.SHUTTER,
        min=0.01,
        max=finish_file.MOST_SHUTTER,
        update=_finish_set,
    )
    blur_samples: IntProperty(
        name="Samples",
        description="Times at which blurred paint is looked at",
        default=finish_file.SAMPLES,
        min=finish_file.LEAST_SAMPLES,
        max=finish_file.MOST_SAMPLES,
        update=_finish_set,
    )
    finish_seen: StringProperty(description="What edges and motion blur were in the folder")
    finish_saved: StringProperty(description="What they were here when that was read or written")
    delivery: PointerProperty(type=NVD_PG_delivery)
    pin_targets: CollectionProperty(type=NVD_PG_pin_target, description="The first is right")
    pin_layer: StringProperty(description="The layer of the pin that is being made")
    better_masks: CollectionProperty(type=NVD_PG_better_mask)
    canvas: PointerProperty(type=bpy.types.Image, description="A frame that is painted on")
    canvas_frame: IntProperty(name="Canvas Frame", description="Which of the shot's, from 0")
    canvas_at: IntProperty(description="The timeline's frame that it was")
    canvas_start: FloatProperty(description="Where the strip's first picture was then")
    canvas_lit: BoolProperty(
        name="Lit", description="Paint is the surface's colour, and the shot's light plays on it"
    )

    @property
    def path(self) -> Path:
        library = self.id_data.library  # of a scene that is linked, relative to the other .blend
        return Path(os.path.abspath(bpy.path.abspath(self.folder, library=library)))

    @property
    def missing(self) -> bool:
        return not (self.path / "manifest.json").is_file()

    @property
    def layer(self) -> NVD_PG_layer | None:
        """The layer chosen in the list."""
        return self.layers[self.active_layer] if self.active_layer < len(self.layers) else None

    def read(self) -> Shot:
        """The folder's contents; ShotError where it cannot be opened."""
        if self.missing:
            raise ShotError(f"{self.path} has been moved or deleted", CHOOSE)
        return read_shot(self.path)

    def group_node(self) -> bpy.types.Node | None:
        """The node with the shot's inputs in its scene's compositor."""
        if self.scene is None:
            return None
        for node in compat.compositor_nodes(self.scene):
            if node.get("nvd_folder") == str(self.path) and getattr(node, "node_tree", None):
                return node
        return None

    @property
    def mode(self) -> str:
        """How the shot is composited, "delta" or "full"."""
        node = self.group_node()
        if node is None:
            return "delta"
        by_inputs = "delta" if "Frame" in node.inputs else "full"  # groups of older versions
        return node.node_tree.get("nvd_mode", by_inputs)

    def amount(self, layer: str, what: str) -> Amount | None:
        """The "Visibility" or "Relight" of a layer, to be set or keyed: its `visibility` or
        `light`, under the names of the node's inputs.
        """
        own = self.layers.get(layer)
        kinds = {called: kind for kind, called in layer_values.INPUTS.items()}
        return Amount(own, kinds[what]) if own else None


def add_shot(
    folder: str | Path,
    scene: bpy.types.Scene | None = None,
    *,
    mode: str = "delta",
    own_scene: bool = True,
    strip: str = "",
    first_frame: int | None = None,
    rebuild: bool = True,
) -> NVD_PG_shot:
    """Open a decomposition folder and list it in `scene` (the current one).

    It is composited in a scene of its own, so that the size, rate and range of the artist's own
    stay; `own_scene` False composites it in `scene`. `strip` names the strip that it was made
    from and `first_frame` the frame of that strip's source that is frame 0 of the shot. A folder
    that is listed already is opened again, with what was said of it and any paint not yet saved,
    and its group is built anew. One that has compact maps alone is painted on and previewed, and
    has no group yet: Blender's nodes need EXR maps. Without `rebuild` it is only gone to, where its
    nodes and images are there.
    """
    scene = scene or bpy.context.scene
    shot = read_shot(folder)
    values, stacked, finished = read_values(shot), read_stack(shot), read_finish(shot)
    entry = next((entry for entry in scene.nvd_shots if entry.path == shot.folder), None)
    if entry is not None and not rebuild and _is_open(entry, shot):
        scene.nvd_shot = list(scene.nvd_shots).index(entry)
        layer_values.take_up(entry, shot, values)
        stack.take_up(entry, shot, stacked)
        finish.take_up(entry, shot, finished)
        return entry
    target = scene if not own_scene else entry.scene if entry else _made_for(shot.folder)
    fresh = target is None
    if fresh:
        target = bpy.data.scenes.new(f"NVD {shot.name}")
        target.render.compositor_device = scene.render.compositor_device
    try:
        if shot.is_compact and (entry is None or entry.group_node() is None):
            open_without_nodes(shot, target)
        else:
            open_shot(shot.folder, mode, scene=target)
    except ShotError:
        if fresh:
            bpy.data.scenes.remove(target)
        raise
    if entry is None:
        entry = scene.nvd_shots.add()
        entry.name = shot.name
    entry.id, entry.scene = entry.id or new_id(), target
    entry.folder = stored_path(shot.folder)
    if strip:
        entry.strip = strip
    if first_frame is not None:
        entry.first_frame = first_frame
    _take_images(entry, shot)
    layer_values.take_up(entry, shot, values)
    stack.take_up(entry, shot, stacked)
    finish.take_up(entry, shot, finished)
    name_images(entry)
    scene.nvd_shot = list(scene.nvd_shots).index(entry)
    return entry


def take_up_file(entry: NVD_PG_shot) -> None:
    """Set visibility and relight, the stack, and edges as the shot's folder has them, where others
    changed them there; and take over what an older version kept at the node. ShotError where the
    folder refuses.
    """
    shot = entry.read()
    layer_values.take_up(entry, shot, read_values(shot))
    stack.take_up(entry, shot, read_stack(shot))
    finish.take_up(entry, shot, read_finish(shot))


def _made_for(folder: Path) -> bpy.types.Scene | None:
    """The scene of its own that a shot has left behind which was taken off the list."""
    for scene in bpy.data.scenes:
        nodes = compat.compositor_nodes(scene) if scene.name.startswith("NVD ") else ()
        if any(node.get("nvd_folder") == str(folder) for node in nodes):
            return scene
    return None


def new_id() -> str:
    return uuid.uuid4().hex


def tell_twins(layer: NVD_PG_layer) -> None:
    """Let the same layer of other shots of the folder show what this one shows."""
    entry = entry_of(layer)
    for twin in shots_at(entry.path) if entry is not None else ():
        other = twin.layers.get(layer.name)
        if other is None or other == layer:
            continue
        for name in ("edit", "base", "shown", "flat", "taken_back"):
            setattr(other, name, getattr(layer, name))


def _is_open(entry: NVD_PG_shot, shot: Shot) -> bool:
    """Whether the entry shows the folder as it is: its nodes and images are there."""
    names = [layer.name for layer in entry.layers]
    if entry.group_node() is None or names != [layer.name for layer in shot.layers]:
        return False
    images = [image for layer in entry.layers for image in (layer.edit, layer.learned)]
    return all(image is not None and image.size[0] for image in images)


def _take_images(entry: NVD_PG_shot, shot: Shot) -> None:
    """Fill the entry's layers with the images that open_shot has loaded."""
    if [layer.name for layer in entry.layers] != [layer.name for layer in shot.layers]:
        entry.layers.clear()
        for layer in shot.layers:
            made = entry.layers.add()
            made.name = made.label = layer.name
    for made, layer in zip(entry.layers, shot.layers, strict=True):
        made.edit, made.learned = image_of(layer.edit), image_of(layer.texture)
        made.base, made.shown = learned_at(made.learned, made.edit.size), None
        made.flat = None  # until the stack is followed
        if made.edit.is_dirty or made.edit.packed_file is not None:
            file_stamps.note_if_new(made.edit, True)
        else:
            file_stamps.note(made.edit)
    for image in bpy.data.images:
        if "nvd_path" in image:
            if image.is_dirty or image.packed_file:
                watch(image)
            image.filepath_raw = stored_path(bpy.path.abspath(image.filepath))


_CLASSES = (
    NVD_PG_stack_entry,
    NVD_PG_layer,
    NVD_PG_pin_target,
    NVD_PG_better_mask,
    NVD_PG_delivery,
    NVD_PG_shot,
)


when_chosen: list[Callable[[bpy.types.Scene], None]] = []
"""called with the scene in whose list another shot was chosen"""


def _chosen(scene, _context) -> None:
    for call in when_chosen:
        call(scene)


def register():
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.nvd_shots = CollectionProperty(type=NVD_PG_shot, name="Shots")
    bpy.types.Scene.nvd_shot = IntProperty(name="Shot", update=_chosen)


def unregister():
    del bpy.types.Scene.nvd_shot
    del bpy.types.Scene.nvd_shots
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
