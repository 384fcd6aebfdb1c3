"""Painting on a shot's layers: open, save, compare, restore, and patterns to judge the mapping by.

    entry = add_shot("/clips/shot.nvd")
    paint_layer(entry.layers["toy"], space)      # space: an Image Editor
    save_edits(entry)                            # also with every save of the .blend

The edit image is the only thing that is ever written, and paint is in it or in `taken_back`; what
the shot shows in its place (`show`) is another image, and the edit stays as it is. No function here
changes the edit's pixels: undo.py tells why.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..blender import compat, editors
from ..blender.handlers import register_handlers_factory
from ..blender.inside import inside_path
from ..blender.pixels import read_pixels, write_pixels
from ..blender.undo import keep_packed, put_in_place, saved_in_step, watch
from ..errors import AddonError
from . import file_stamps, finish, layer_values, stack
from .folder import ShotError
from .patterns import kind_of, pattern
from .resample import DEAD_ZONE
from .shots import CHOOSE, NVD_PG_layer, NVD_PG_shot, all_shots, compare, follow_sizes, tell_twins
from .states import has_other_size
from .states import is_behind as is_behind_of

VIEWS = ("edit", "learned", "checker", "grid")


def paint_layer(layer: NVD_PG_layer, space: bpy.types.SpaceImageEditor | None = None) -> None:
    """Make the layer's edit the canvas, and open it for painting in the Image Editor `space`.

    Where the texture was never seen it is transparent, and the editor shows it so.
    """
    open_canvas(edit_of(layer), space)


def open_canvas(image: bpy.types.Image, space: bpy.types.SpaceImageEditor | None = None) -> None:
    """Make the image the canvas, and open it for painting in the Image Editor `space`."""
    if space is not None:  # before: a new canvas appears in editors, and would not be framed
        editors.show(image, space)
    settings = bpy.context.scene.tool_settings.image_paint
    settings.mode, settings.canvas = "IMAGE", image
    if space is not None:
        space.ui_mode = "PAINT"
        space.display_channels = "COLOR_ALPHA"


def save_edits(entry: NVD_PG_shot, *, in_step: bool = False) -> list[Path]:
    """Write every edit that was painted on since; returns the files written.

    Each is written beside and renamed, so that a crash or a full disk leaves the old one whole,
    and the paint in Blender. ShotError where that happens, and where another program has changed a
    file since; the other layers are written all the same. What is painted on the stack's entries
    is written as well, and visibility and relight into the folder's edits/values.json, the stack
    into edits/stack.json, edges and motion blur into edits/finish.json. in_step: this becomes one
    of the steps that Blender's undo takes back.
    """
    files, refusals = _save_images(entry, in_step)
    for save in (layer_values.save, stack.save, finish.save):
        try:
            if save is stack.save and is_behind(entry):
                _check_stack(entry)
                continue
            save(entry)
        except AddonError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    return files


def save_images(entry: NVD_PG_shot) -> list[Path]:
    """`save_edits` of the images alone, each into the file that it is of."""
    files, refusals = _save_images(entry)
    if refusals:
        raise refusals[0]
    return files


def _save_images(entry: NVD_PG_shot, in_step: bool = False) -> tuple[list[Path], list[AddonError]]:
    """What was written, and what could not be."""
    unsaved = [layer.edit for layer in entry.layers if is_unsaved(layer)]
    unsaved += [image for image in stack.painted_images(entry) if has_unsaved(image)]
    if unsaved and entry.missing:
        entry.read()  # raises, and says what to do
    files: list[Path] = []
    refusals: list[AddonError] = []
    for image in unsaved:
        try:
            files.append(save_image(image, entry))
            if in_step:
                saved_in_step(image)
        except ShotError as error:
            refusals.append(error)
    return files, refusals


def is_behind(entry: NVD_PG_shot) -> bool:
    """Whether the folder shows another state by now than the images that are painted on."""
    edits = [layer.edit for layer in entry.layers]
    named = zip(entry.layers.keys(), edits, strict=True)
    paths = [(name, image.get("nvd_path")) for name, image in named if image is not None]
    named = [(name, path) for name, path in paths if path]
    return is_behind_of(entry.path, named) and not has_other_size(entry.path, named)


def _check_stack(entry: NVD_PG_shot) -> None:
    """ShotError where the stack was changed on a state that the folder has left."""
    if stack.has_unsaved(entry):
        raise ShotError(
            "the stack of edits was changed while a refinement came in",
            "press Take Refinement and change it again: the refinement has it as it was before",
        )


def is_unsaved(layer: NVD_PG_layer) -> bool:
    """Whether the layer has paint that its file does not have."""
    return has_unsaved(layer.edit)


def has_unsaved(image: bpy.types.Image | None) -> bool:
    """Whether the image has pixels that its file does not have."""
    return image is not None and (image.is_dirty or image.packed_file is not None)


def go_over(old: NVD_PG_shot, new: NVD_PG_shot) -> None:
    """Let editors and the brush that have a layer's edit of `old` have that of `new`."""
    show_in_place({layer.name: (layer.edit, None) for layer in old.layers}, new)


def show_in_place(before: dict[str, tuple], entry: NVD_PG_shot) -> None:
    """Let editors and the brush go on with the images that stand in place of those before, which
    are the edit and what was learned by layer.
    """
    replaced = {}
    for name, images in before.items():
        layer = entry.layers.get(name)
        if layer is not None:
            now = layer.edit, layer.learned
            replaced |= {old: new for old, new in zip(images, now, strict=True) if old and new}
    for space in image_editors().values():
        if space.image in replaced:
            space.image = replaced[space.image]
    for scene in bpy.data.scenes:
        paint = scene.tool_settings.image_paint
        if paint.canvas in replaced:
            paint.canvas = replaced[paint.canvas]


def restore_learned(layer: NVD_PG_layer) -> None:
    """Take all paint off the layer. It is kept, and `bring_back` puts it on again.

    Paint that was taken off before stays in the .blend as an image.
    """
    painted = edit_of(layer)
    _follow(layer)
    if 0 in layer.base.size:
        raise ShotError(f"what was learned of {layer.shown_name} cannot be read", CHOOSE)
    if not is_painted(layer):
        return
    keep_packed(painted)  # a copy is made from the file, packed or not
    clean = painted.copy()
    write_pixels(clean, read_pixels(layer.base))
    put_in_place(painted, clean)
    if layer.taken_back is not None:
        layer.taken_back.use_fake_user = True
    layer.edit, layer.taken_back = clean, painted
    tell_twins(layer)


def bring_back(layer: NVD_PG_layer) -> None:
    """Put the paint on again that `restore_learned` has taken off.

    What was painted since is taken off in its place, and can be brought back in turn.
    """
    if layer.taken_back is None:
        raise ShotError(
            f"no paint was taken off {layer.shown_name}", "restore the learned texture first"
        )
    _follow(layer)
    old, has_paint = edit_of(layer), is_painted(layer)
    put_in_place(old, layer.taken_back)
    layer.edit, layer.taken_back = layer.taken_back, old if has_paint else None
    _follow(layer)
    tell_twins(layer)


def is_painted(layer: NVD_PG_layer) -> bool:
    """Whether the edit differs from what was learned; reads all pixels."""
    edit, base = read_pixels(edit_of(layer)), read_pixels(layer.base)
    left_by_scaling = DEAD_ZONE if layer.base != layer.learned else 0
    return edit.shape != base.shape or np.abs(edit - base).max() > left_by_scaling


def show(entry: NVD_PG_shot, layer: NVD_PG_layer, what: str) -> bpy.types.Image:
    """Show the "edit", the "learned" texture, a "checker" or a "grid" on a layer of the shot.

    The compositor, the live preview and every Image Editor that has the layer open follow. What
    is painted stays in the edit, whatever is shown.
    """
    if what not in VIEWS:
        raise ValueError(f"what should be one of {VIEWS}, not {what!r}")
    follow_sizes(entry)
    before, edit = layer.image, edit_of(layer)
    if what == "learned":
        layer.shown = layer.base
    else:
        layer.shown = None if what == "edit" else pattern(what, edit.size)
    compare(entry, layer)
    tell_twins(layer)
    for place, space in image_editors().items():
        if space.image == before:
            space.image = layer.image
            _look_only(place, space, layer.shown is not None)
    return layer.image


_painted_in: set[tuple[int, int]] = set()  # editors that are to paint again when an edit is shown


def _look_only(place: tuple[int, int], space: bpy.types.SpaceImageEditor, reference: bool) -> None:
    """Take an editor out of painting while it shows what is only to be looked at, and back."""
    if reference and space.ui_mode == "PAINT":
        space.ui_mode = "VIEW"
        _painted_in.add(place)
    elif not reference and place in _painted_in:
        space.ui_mode = "PAINT"
        _painted_in.discard(place)


def shown(layer: NVD_PG_layer) -> str:
    """Which of VIEWS the layer shows."""
    if layer.shown is None:
        return "edit"
    return "learned" if layer.shown == layer.base else kind_of(layer.shown)


def coverage(layer: NVD_PG_layer) -> float:
    """The share of the texture that some frame has seen, 0 to 1."""
    return float(np.mean(read_pixels(layer.learned)[..., 3] > 0))


def _follow(layer: NVD_PG_layer) -> None:
    """See that the layer is compared with what was learned at its edit's size."""
    for entry in layer.id_data.nvd_shots:
        follow_sizes(entry)


def edit_of(layer: NVD_PG_layer) -> bpy.types.Image:
    """The image that is painted on; ShotError where it was deleted."""
    if layer.edit is None:
        raise ShotError(f"the edit image of {layer.shown_name} was deleted", "open the shot again")
    return layer.edit


def save_image(image: bpy.types.Image, entry: NVD_PG_shot) -> Path:
    """Write the image to its file in the shot's folder, beside and renamed.

    ShotError where the disk refuses, where another program has changed the file since Blender read
    it, and where the file, which a .blend from elsewhere may name as it likes, does not lie in that
    folder.
    """
    path = inside_path(entry.path, Path(image["nvd_path"]), ShotError)
    if file_stamps.changed_elsewhere(image):
        raise ShotError(
            f"{path} was changed by another program since Blender read it",
            "choose Take the File or Keep My Paint in the tab Layers; both are kept until then",
        )
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    packed = image.packed_file is not None
    try:
        compat.save_copy(image, str(beside))
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: what Blender itself could not write
        with suppress(OSError):  # what stands in the way is what `error` tells
            beside.unlink()
        raise ShotError(
            f"{path} could not be written ({error})".replace("\n", " "),
            "make room, or see to the folder's permissions, and save again; the paint is kept",
        ) from error
    watch(image)  # from now on its file is not what earlier steps have
    if packed:
        image.unpack(method="REMOVE")
    image.reload()
    file_stamps.note(image)
    return path


@persistent
def _before_save(_path) -> None:
    """Paint is saved with the .blend; where its folder is gone it is packed into the .blend."""
    for entry in all_shots():
        try:
            save_edits(entry)
        except AddonError as error:
            print(f"Neural Video Layers: {error}; the paint is kept in the .blend")
            for image in (*(layer.edit for layer in entry.layers), *stack.painted_images(entry)):
                if image is not None and image.is_dirty:
                    keep_packed(image)


def image_editors() -> dict[tuple[int, int], bpy.types.SpaceImageEditor]:
    """Every Image Editor by the number of its window and of its area."""
    return {
        (number, place): area.spaces.active
        for number, window in enumerate(bpy.context.window_manager.windows)
        for place, area in enumerate(window.screen.areas)
        if area.type == "IMAGE_EDITOR"
    }


_opened: dict[tuple, tuple[str, str]] = {}  # what has a layer open: its folder and name


def _open_layers() -> Iterator[tuple[tuple, bpy.types.bpy_struct, str, str]]:
    """What Blender's undo leaves as it is: editors, which show a layer, and canvases, its edit.

    A key, the thing, and the names of its property and of the layer's.
    """
    for place, space in image_editors().items():
        yield place, space, "image", "image"
    for scene in bpy.data.scenes:
        yield (scene.name,), scene.tool_settings.image_paint, "canvas", "edit"


@persistent
def _before_undo(_scene) -> None:
    _opened.clear()
    layers = [(entry.folder, layer) for entry in all_shots() for layer in entry.layers]
    for key, thing, name, of_layer in _open_layers():
        image = getattr(thing, name)
        for folder, layer in layers:
            if image is not None and image == getattr(layer, of_layer):
                _opened[key] = folder, layer.name


@persistent
def _after_undo(_scene) -> None:
    """What had a layer open goes on with it, though its image may be another one now."""
    layers = {(entry.folder, layer.name): layer for entry in all_shots() for layer in entry.layers}
    for key, thing, name, of_layer in _open_layers():
        layer = layers.get(_opened.get(key))
        if layer is not None:
            setattr(thing, name, getattr(layer, of_layer))


_watch_undo, _leave_undo = register_handlers_factory(
    (
        (bpy.app.handlers.undo_pre, _before_undo),
        (bpy.app.handlers.redo_pre, _before_undo),
        (bpy.app.handlers.undo_post, _after_undo),
        (bpy.app.handlers.redo_post, _after_undo),
    )
)


def register():
    _watch_undo()
    # Before shot_events.py makes the folders relative to where the .blend is going to lie
    bpy.app.handlers.save_pre.insert(0, _before_save)


def unregister():
    _leave_undo()
    bpy.app.handlers.save_pre.remove(_before_save)
