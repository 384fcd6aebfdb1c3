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
from contextlib import suppress
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
from ..blender.redraw import redraw
from ..blender.storage import stored_path
from ..blender.strip_identity import identity, strip_by
from ..blender.undo import name_image, watch
from ..errors import AddonError
from . import file_stamps, finish, finish_file, flat_nodes, layer_values, stack
from .delivery import NVD_PG_delivery
from .finish_file import read_finish
from .folder import Shot, ShotError, read_shot
from .patterns import kind_of, pattern
from .resample import learned_at
from .scripting import image_of, open_shot, open_without_nodes
from .stack_entry import NVD_PG_stack_entry
from .stack_file import read_stack
from .values_file import MOST, read_values

CHOOSE = "press Find Again and choose where it is now"


def _after_set(layer: "NVD_PG_layer", _context) -> None:
    """A value that was set shows at once."""
    path = layer.path_from_id().rpartition(".layers[")[0]
    with suppress(AddonError):  # the timer comes back to it
        layer_values.follow(layer.id_data.path_resolve(path))
    redraw()


def _finish_set(holder, _context) -> None:
    """Edges or motion blur that were set are said at the node."""
    shot = holder if isinstance(holder, NVD_PG_shot) else _entry_of(holder)
    if shot is not None:
        finish.after_set(shot)


class Amount:
    """A layer's value as scripts of older versions know it, by the name of the node's input."""

    def __init__(self, layer: "NVD_PG_layer", what: str):
        self._layer, self._what = layer, what

    @property
    def default_value(self) -> float:
        return getattr(self._layer, self._what)

    @default_value.setter
    def default_value(self, value: float) -> None:
        setattr(self._layer, self._what, value)

    def keyframe_insert(self, _name: str = "default_value", frame: float | None = None) -> bool:
        """Key it, in the timeline of the scene that lists the shot."""
        at = self._layer.id_data.frame_current if frame is None else frame
        return self._layer.keyframe_insert(self._what, frame=at)


class NVD_PG_layer(bpy.types.PropertyGroup):
    """A layer of a shot: the image to paint on, what was learned, and what is shown of them."""

    edit: PointerProperty(type=bpy.types.Image)
    learned: PointerProperty(type=bpy.types.Image)
    base: PointerProperty(type=bpy.types.Image, description="What was learned, at the edit's size")
    shown: PointerProperty(type=bpy.types.Image, description="In place of the edit, if any")
    flat: PointerProperty(
        type=bpy.types.Image, description="The edit with the stack on it, which nodes show"
    )
    visibility: FloatProperty(
        name="Visibility",
        description="How much of the layer's paint shows; of the layer itself where the shot is "
        "composited in full",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_after_set,
    )
    light: FloatProperty(
        name="Relight",
        description="How much of the shot's changing light falls on the layer",
        default=1.0,
        min=0.0,
        max=MOST["light"],
        soft_max=2.0,
        update=_after_set,
    )
    choke: FloatProperty(
        name="Choke",
        description="Pixels of the plate by which the edges of its paint are drawn in; below 0 "
        "they spread",
        min=-finish_file.MOST["choke"],
        max=finish_file.MOST["choke"],
        soft_min=-8.0,
        soft_max=8.0,
        update=_finish_set,
    )
    feather: FloatProperty(
        name="Feather",
        description="Pixels of the plate over which the edges of its paint are softened",
        min=0.0,
        max=finish_file.MOST["feather"],
        soft_max=16.0,
        update=_finish_set,
    )
    spill: FloatProperty(
        name="Spill",
        description="How much of the replaced colour is taken out where the plate still shows it "
        "at soft edges",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_finish_set,
    )
    holdout: StringProperty(
        name="Holdout", description="Matte in the folder of what lies in front of the paint"
    )
    taken_back: PointerProperty(type=bpy.types.Image, description="Paint that was taken off")
    label: StringProperty(
        name="Name",
        description="What it is called here; in its folder it keeps its own name",
        update=lambda layer, _context: name_images(_entry_of(layer)),
    )

    @property
    def shown_name(self) -> str:
        """What the artist calls it."""
        return self.label or self.name

    @property
    def image(self) -> bpy.types.Image | None:
        """The image that the shot shows on this layer."""
        return self.shown or self.edit

    @property
    def has_changed_size(self) -> bool:
        """Whether the edit is not as large any more as what it is compared with."""
        if not (self.edit and self.learned and self.base):
            return False
        readable = all(0 not in image.size for image in (self.edit, self.learned, self.base))
        return readable and tuple(self.edit.size) != tuple(self.base.size)


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


def shots_at(folder: Path) -> list[NVD_PG_shot]:
    """Every shot of the .blend that is of this folder."""
    return [entry for entry in all_shots() if entry.path == folder]


def name_images(entry: NVD_PG_shot | None) -> None:
    """Let the images of the shot's layers carry its name, and the layers' labels.

    Of several shots of one folder the first one gives the names.
    """
    if entry is None or shots_at(entry.path)[0] != entry:
        return
    for layer in entry.layers:
        for what in ("edit", "learned"):
            image, name = getattr(layer, what), f"{entry.name} {layer.shown_name} {what}"
            if image is not None:
                name_image(image, name)
    stack.name_images(entry)
    entry.named = entry.name


def follow_names() -> None:
    """Let images follow where a shot was renamed.

    Only within one of Blender's steps: its steps of strokes find their image by its name, and
    Blender crashes where the image got another one since its last step.
    """
    for entry in all_shots():
        if entry.name != entry.named:
            name_images(entry)


def _entry_of(layer: NVD_PG_layer) -> NVD_PG_shot | None:
    shots = layer.id_data.nvd_shots
    return next((entry for entry in shots if layer in list(entry.layers)), None)


def tell_twins(layer: NVD_PG_layer) -> None:
    """Let the same layer of other shots of the folder show what this one shows."""
    entry = _entry_of(layer)
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


def current_shot(scene: bpy.types.Scene) -> NVD_PG_shot | None:
    """The shot chosen in the scene's list."""
    shots = scene.nvd_shots
    return shots[scene.nvd_shot] if 0 <= scene.nvd_shot < len(shots) else None


def all_shots() -> list[NVD_PG_shot]:
    """Every shot of the .blend."""
    return [entry for scene in bpy.data.scenes for entry in scene.nvd_shots]


def listed_shot(scene: str, folder: str, id: object = "") -> NVD_PG_shot | None:
    """The shot at `folder` of that identity; else the one in the list of the scene of that name, or
    of a scene that may have been called so. None where it is in no list.
    """
    found = [entry for entry in all_shots() if str(entry.path) == folder]
    found = [entry for entry in found if id and entry.id == id] or found
    return min(found, key=lambda entry: entry.id_data.name != scene, default=None)


def strip_of(scene: bpy.types.Scene, entry: NVD_PG_shot):
    """The strip of the scene that the shot was made from, whatever its name is now; or None."""
    return strip_by(scene, entry.strip_id, entry.strip)


def follow_strips() -> None:
    """Let every shot call its strip by the name that it has now."""
    for entry in all_shots():
        strip = strip_of(entry.id_data, entry)
        if strip is not None and (strip.name != entry.strip or not entry.strip_id):
            entry.strip = strip.name


def find_again(entry: NVD_PG_shot, folder: str | Path) -> None:
    """The shot's folder is at `folder` now. Paint that was not saved stays.

    ShotError where another decomposition is there.
    """
    shot = read_shot(folder)
    names, found = [layer.name for layer in entry.layers], [layer.name for layer in shot.layers]
    if names != found:
        raise ShotError(
            f"{folder} has the layers {', '.join(found)}, not {', '.join(names)}",
            "choose the folder of this shot, or open that one as a new shot",
        )
    roots = _roots(entry)
    for image in bpy.data.images:
        base = _moved(image.get("nvd_base", ""), roots, shot.folder)
        if base:
            image["nvd_base"] = base
        known = image.get("nvd_path", "")
        path = _moved(known, roots, shot.folder)
        if not path:
            continue
        file_stamps.moved(known, path)
        if image.is_dirty or image.packed_file:
            watch(image)
        image["nvd_path"], image.filepath_raw = path, stored_path(path)
        if not image.is_dirty and image.packed_file is None:
            image.reload()
    for block in (*bpy.data.node_groups, *compat.compositor_nodes(entry.scene)):
        if block.get("nvd_folder") in roots:
            block["nvd_folder"] = str(shot.folder)
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.get("nvd_folder") in roots:
                strip["nvd_folder"] = str(shot.folder)
            if strip.type == "IMAGE":  # what was rendered into the folder, and its plate
                _follow_directory(strip, roots, shot.folder)
    entry.folder = stored_path(shot.folder)
    follow_sizes(entry)
    finish.after_set(entry)  # holdouts lie elsewhere now


def _follow_directory(strip, roots: set[str], folder: Path) -> None:
    place = os.path.normpath(bpy.path.abspath(strip.directory))
    moved = _moved(place + os.sep, roots, folder)
    if moved:
        strip.directory = stored_path(Path(moved))
        strip.invalidate_cache("RAW")


def _roots(entry: NVD_PG_shot) -> set[str]:
    """Where the shot's folder has been: by the entry's path, and by those that its images know.

    They differ in a .blend that was copied elsewhere, where a relative path leads to nothing.
    """
    found = {str(entry.path)}
    for layer in entry.layers:
        for image in (layer.edit, layer.learned):
            known = image.get("nvd_path", "") if image else ""
            if known:
                found.add(str(Path(known).parent.parent))
    return found


def _moved(path: str, roots: set[str], folder: Path) -> str:
    """`path` in `folder`, where it lay in one of the roots; "" for a path elsewhere."""
    for root in roots:
        if path.startswith(root + os.sep):
            return str(folder / os.path.relpath(path, root))
    return ""


def follow_sizes(entry: NVD_PG_shot) -> None:
    """Where a layer's edit has changed its size, compare it with what was learned at that size."""
    for layer in entry.layers:
        if not layer.has_changed_size:
            continue
        watch(layer.edit)
        shown, was_base = layer.shown, layer.shown == layer.base
        layer.base = learned_at(layer.learned, layer.edit.size)
        if shown is not None:
            size = layer.edit.size
            layer.shown = layer.base if was_base else pattern(kind_of(shown), size)
        compare(entry, layer)


def compare(entry: NVD_PG_shot, layer: NVD_PG_layer) -> None:
    """Let the compositor's nodes compare what the layer shows with its base."""
    # A strip modifier composites by a copy of the shot's group
    flat_nodes.feed(entry, layer, anew=True)


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
