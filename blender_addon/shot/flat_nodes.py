"""The flattened stack of a shot in the nodes that composite it, in scenes and in strips' modifiers.

The engine writes it as pictures (flat.py). Where there are some, they stand at a layer's Edit in
place of the painted sheet, which they contain; the sheet stays what is painted on. What an artist
has linked there herself stays, and lacks the stack, which is said.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.handlers import register_handlers_factory
from ..blender.pixels import STORED
from ..blender.undo import name_image
from . import nodes
from .flat import Flat, Pictures, first_picture, is_current, read_flat
from .folder import Shot, ShotError
from .image_header import check_image
from .stack_file import EMPTY, digest
from .states import shown_shot

NOT_IN_NODES = " (without the stack of edits)"
OLD_IN_NODES = " (with an older stack of edits)"
"""what is added to the label of the node that composites the shot"""
ABSENT, OLD, CURRENT = "absent", "old", "current"
FLAT = "nvd_flat"
"""of an image: the stamp of what it shows"""


def state(entry) -> str:
    """How nodes show the shot's stack: "" where it has none, else ABSENT, OLD or CURRENT."""
    layers = [layer for layer in entry.layers if in_use(entry, layer)]
    if not layers:
        return ""
    if not all(_is_fed(entry, layer) for layer in layers):
        return ABSENT
    return OLD if has_unsaved(entry) or not is_made(entry) else CURRENT


def in_use(entry, layer) -> bool:
    """Whether an entry of the stack may show on the layer's sheet."""
    return any(
        item.on and item.layer == layer.name and not item.stored.keeps_width for item in entry.stack
    )


def has_unsaved(entry) -> bool:
    """Whether the stack, or paint that belongs to it, is not in the folder yet."""
    entries = [item.stored for item in entry.stack]
    if digest(entries) != (entry.stack_saved or EMPTY):
        return True
    images = [item.image for item in entry.stack if item.on and item.kind == "paint"]
    images += [layer.edit for layer in entry.layers if in_use(entry, layer)]
    return any(i is not None and (i.is_dirty or i.packed_file is not None) for i in images)


def is_made(entry) -> bool:
    """Whether the folder has pictures of the stack as it is saved."""
    shot = None if entry.missing else shown_shot(entry.path)
    return shot is not None and is_current(shot, [item.stored for item in entry.stack])


def key(entry) -> tuple:
    """Another one where there is something else to show."""
    shot = None if entry.missing else shown_shot(entry.path)
    found = read_flat(shot) if shot is not None else None
    on = tuple(layer.name for layer in entry.layers if in_use(entry, layer))
    return (found.stamp if found else "", on)


def follow(entry) -> bool:
    """Let the nodes show the pictures that there are, or the painted sheet; whether that is another
    image than before: then it belongs into one of Blender's steps.
    """
    shot = None if entry.missing else shown_shot(entry.path)
    found = read_flat(shot) if shot is not None else None
    changed = False
    for layer in entry.layers:
        image = _image_for(entry, shot, layer, found) if in_use(entry, layer) else None
        if layer.flat != image:
            layer.flat, changed = image, True
        changed |= feed(entry, layer)
    say_at_node(entry)
    return changed


def images_of(shot: Shot, layers: set[str]) -> dict[str, bpy.types.Image]:
    """The pictures that there are of these layers, by layer."""
    found, images = read_flat(shot), {}
    for name, pictures in (found.layers if found else {}).items():
        if name in layers:
            with suppress(ShotError):
                images[name] = _load(shot, name, pictures, found.stamp, shot.name)
    return images


def put(node: bpy.types.Node, images: dict[str, bpy.types.Image]) -> None:
    """Let a shot's node that was just built show these pictures, by layer."""
    for layer, image in images.items():
        source = source_of(node, layer)
        if source is not None and (source.get("nvd_folder") or FLAT in (source.image or {})):
            source.image = image
            where = Pictures(image["nvd_first"], image["nvd_count"])
            set_frames(source, where, _start(node, layer))


def say_at_node(entry) -> None:
    """Let the node that composites the shot say where its picture lacks the stack."""
    node = entry.group_node()
    if node is not None:
        label(node, state(entry))


def label(node: bpy.types.Node, how: str) -> None:
    """Say on the node `how` its picture has the stack."""
    bare = node.label.replace(NOT_IN_NODES, "").replace(OLD_IN_NODES, "")
    wanted = bare + {ABSENT: NOT_IN_NODES, OLD: OLD_IN_NODES}.get(how, "")
    if node.label != wanted:
        node.label = wanted


def feed(entry, layer, *, anew: bool = False) -> bool:
    """Let all nodes of the shot show what they should of the layer; whether that changed anything.

    `anew` also puts it where an artist has given the shot's own Image node another picture, and
    compares what was there already with its base once more.
    """
    folder, changed = str(entry.path), False
    composited = {
        node.node_tree.as_pointer()
        for scene in bpy.data.scenes
        for node in compat.compositor_nodes(scene)
        if getattr(node, "node_tree", None)
    }
    for node in _group_nodes(folder):
        in_strip = node.node_tree.as_pointer() not in composited
        sheet = layer.flat if _fits(layer, layer.flat) else layer.edit
        image = sheet if in_strip else layer.shown or sheet
        source = source_of(node, layer.name)
        is_other = source is not None and source.image != image
        if is_other and (anew or in_strip or _is_ours(layer, source.image, entry.path)):
            source.image, changed = image, True
        if source is None or source.image != image:
            image = layer.edit  # an artist's own picture is compared as a painted sheet is
        elif image is not None and FLAT in image:
            where = Pictures(image["nvd_first"], image["nvd_count"])
            set_frames(source, where, _start(node, layer.name))  # numbers: they need no step
        if (changed or anew) and image is not None:
            nodes.set_texture(node.node_tree, layer.name, _base(layer, image), image)
    return changed


def set_frames(source: bpy.types.Node, pictures: Pictures, start: int) -> None:
    """Let an Image node show the pictures in their frames, where frame 0 of the shot is `start`.

    The first and the last stand for what is beyond them.
    """
    wanted = {
        "frame_start": start + pictures.first,
        "frame_duration": pictures.count,
        "frame_offset": -1,
        "use_auto_refresh": True,
    }
    for name, value in wanted.items():
        if getattr(source, name) != value:  # else Blender would composite anew
            setattr(source, name, value)


def source_of(node: bpy.types.Node, layer: str) -> bpy.types.Node | None:
    """The Image node that feeds a layer's Edit, or None."""
    socket = next((s for s in node.inputs if s.name == f"{layer} Edit"), None)
    while socket is not None and socket.links:
        source = socket.links[0].from_node
        if source.bl_idname == "CompositorNodeImage":
            return source
        if source.bl_idname != "NodeReroute":
            return None
        socket = source.inputs[0]
    return None


def _group_nodes(folder: str) -> Iterator[bpy.types.Node]:
    """Every node that composites the shot: in scenes' compositors and in strips' modifiers."""
    seen = set()
    for scene in bpy.data.scenes:
        for node in compat.compositor_nodes(scene):
            if _composites(node, folder):
                seen.add(node.as_pointer())
                yield node
    for tree in bpy.data.node_groups:
        for node in tree.nodes:
            if _composites(node, folder) and node.as_pointer() not in seen:
                yield node


def _composites(node: bpy.types.Node, folder: str) -> bool:
    group = getattr(node, "node_tree", None)
    return group is not None and group.get("nvd_folder") == folder


def _start(node: bpy.types.Node, layer: str) -> int:
    """The frame of the node's tree that shows frame 0 of the shot."""
    maps = node.node_tree.nodes.get(f"{layer} maps")
    return maps.frame_start if maps is not None else 1


def _is_fed(entry, layer) -> bool:
    """Whether the node in the shot's scene shows the layer's pictures."""
    node = entry.group_node()
    source = source_of(node, layer.name) if node is not None else None
    return source is not None and layer.flat is not None and source.image == layer.flat


def _is_ours(layer, image: bpy.types.Image | None, folder: Path) -> bool:
    """Whether the image is one that nodes show of the layer by themselves, or did in a state of the
    folder that it has left.
    """
    if image is None or FLAT in image:
        return True
    if Path(image.get("nvd_path", "")).is_relative_to(folder):
        return True
    known = layer.edit, layer.base, layer.learned, layer.shown, layer.taken_back
    return image in known or image.name.startswith("NVD ")


def _fits(layer, image: bpy.types.Image | None) -> bool:
    """Whether pictures can be compared with what was learned: they are as large as it, or as the
    painted sheet.
    """
    if image is None or layer.learned is None or layer.base is None:
        return False
    return tuple(image["nvd_size"]) in (tuple(layer.learned.size), tuple(layer.base.size))


def _base(layer, image: bpy.types.Image) -> bpy.types.Image:
    """What was learned, in the size of the image."""
    if FLAT in image and tuple(image["nvd_size"]) == tuple(layer.learned.size):
        return layer.learned
    return layer.base


def _image_for(entry, shot: Shot | None, layer, found: Flat | None) -> bpy.types.Image | None:
    """The pictures of the layer; None where there are none, or of another state of the folder."""
    pictures = found.layers.get(layer.name) if found is not None else None
    own = next((one for one in shot.layers if one.name == layer.name), None) if shot else None
    if pictures is None or own is None or layer.edit is None:
        return None
    if layer.edit.get("nvd_path") != str(own.edit):  # the folder has gone over to a refinement
        return None
    try:
        image = _load(shot, layer.name, pictures, found.stamp, entry.name)
    except ShotError:
        return None
    return image if _fits(layer, image) else None


def _load(shot: Shot, layer: str, pictures: Pictures, stamp: str, name: str) -> bpy.types.Image:
    path = first_picture(shot, layer)
    image = next((i for i in bpy.data.images if FLAT in i and i.get("nvd_path") == str(path)), None)
    if image is not None and image[FLAT] == stamp:
        return image
    check_image(path, ShotError)
    if image is None:
        try:
            image = bpy.data.images.load(str(path))
        except RuntimeError as error:
            raise ShotError(f"Blender cannot read {path}", "flatten the stack again") from error
        image["nvd_path"], image.colorspace_settings.name = str(path), STORED
        image.alpha_mode = "CHANNEL_PACKED"
        name_image(image, f"{name} {layer} flattened")
    else:
        image.source = "FILE"
        image.reload()
        image.update_tag()  # strips are to make their pictures anew
    size = tuple(image.size)
    if 0 in size:
        raise ShotError(f"Blender cannot read {path}", "flatten the stack again")
    image["nvd_size"], image["nvd_first"], image["nvd_count"] = size, pictures.first, pictures.count
    image[FLAT], image.source = stamp, "SEQUENCE"
    return image


@persistent
def _after_undo(_scene) -> None:
    """Files are what they are now, whatever an earlier step had: no pointer is changed here."""
    for folder in _folders():
        shot = shown_shot(Path(folder))
        found = read_flat(shot) if shot is not None else None
        for node in _group_nodes(folder) if found is not None else ():
            for layer, pictures in found.layers.items():
                source = source_of(node, layer)
                if source is not None and source.image is not None and FLAT in source.image:
                    set_frames(source, pictures, _start(node, layer))


def _folders() -> set[str]:
    return {str(tree["nvd_folder"]) for tree in bpy.data.node_groups if "nvd_folder" in tree}


register, unregister = register_handlers_factory(
    ((bpy.app.handlers.undo_post, _after_undo), (bpy.app.handlers.redo_post, _after_undo))
)
