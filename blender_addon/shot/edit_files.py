"""Edits in another program's hands: read again or asked about, and never overwritten.

Where only the file changed (Krita, Photoshop, `nvd paint`) Blender reads it again, a second or two
after it was written. Where the image was painted on in Blender as well, neither is touched until
the artist chooses; the other one is kept as the layer's paint that was taken off, and Bring Back
Paint puts it on.

What is only to be looked at (the learned texture, a pattern) cannot be painted on: a stroke that
lands there is taken back, or saving all images would write it over the texture.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..blender.handlers import timer_factory
from ..blender.inside import open_file
from ..blender.undo import keep_packed, put_in_place, retire_name, under_way, watch
from . import file_stamps, stack
from .folder import ShotError, read_shot
from .image_header import check_image
from .painting import edit_of, has_unsaved, is_behind
from .shots import NVD_PG_layer, NVD_PG_shot, all_shots
from .stack_file import read_stack, stack_path
from .states import state_of

INTERVAL = 1.0  # seconds
_waiting: dict[str, tuple[int, int]] = {}  # files that change: their date and size a tick ago
_conflicts: set[str] = set()
_stacks: dict[str, tuple[int, int]] = {}  # by a shot's id: its stack.json's date and size


def follow() -> None:
    """Look once whether files have changed and references were painted on."""
    if under_way():
        return
    for image in _edits():
        if not file_stamps.changed_elsewhere(image):
            _conflicts.discard(image["nvd_path"])
        elif _is_settled(image["nvd_path"]):
            _take_notice(image)
    _follow_stacks()
    for image in _references():
        if image.is_dirty:
            image.reload()
            _say(f"{image.name} is only to be looked at: choose Edit, and paint on that")


_tick, _begin, _end = timer_factory(INTERVAL, follow)


def in_conflict(layer: NVD_PG_layer) -> bool:
    """Whether both the layer's file and its image in Blender have changed."""
    edit = layer.edit
    return edit is not None and edit.get("nvd_path") in _conflicts and has_unsaved(edit)


def take_file(layer: NVD_PG_layer) -> None:
    """Let what another program wrote be the layer's edit; Bring Back Paint has what was painted."""
    old = edit_of(layer)
    keep_packed(old)
    new = _of_the_file(old)
    put_in_place(old, new)
    layer.edit = new
    _keep(layer, old)
    file_stamps.note(new)
    _conflicts.discard(new["nvd_path"])


def keep_paint(layer: NVD_PG_layer) -> None:
    """Let the paint in Blender be the edit; Bring Back Paint has what another program wrote."""
    mine = edit_of(layer)
    keep_packed(mine)
    theirs = _of_the_file(mine)
    theirs.name = f"{mine.name} of the file"
    del theirs["nvd_path"]
    _keep(layer, theirs)
    file_stamps.note(mine)
    _conflicts.discard(mine["nvd_path"])


def image_in_conflict(image: bpy.types.Image | None) -> bool:
    """Whether both the image of an entry of the stack and its file have changed."""
    return image is not None and image.get("nvd_path") in _conflicts and has_unsaved(image)


def take_file_of(item: stack.NVD_PG_stack_entry) -> None:
    """Let what another program wrote be the entry's paint; yours stays as an image."""
    old = item.image
    keep_packed(old)
    new = _of_the_file(old)
    put_in_place(old, new)
    item.image, old.use_fake_user = new, True
    file_stamps.note(new)
    _conflicts.discard(new["nvd_path"])


def keep_paint_of(item: stack.NVD_PG_stack_entry) -> None:
    """Let the paint in Blender be the entry's; what another program wrote stays as an image."""
    mine = item.image
    keep_packed(mine)
    theirs = _of_the_file(mine)
    theirs.name = f"{mine.name} of the file"
    del theirs["nvd_path"]
    theirs.use_fake_user = True
    file_stamps.note(mine)
    _conflicts.discard(mine["nvd_path"])


def _edits() -> Iterator[bpy.types.Image]:
    for entry in all_shots():
        if not entry.missing:
            for layer in entry.layers:
                if layer.edit is not None and "nvd_path" in layer.edit:
                    yield layer.edit
            yield from (image for image in stack.images(entry) if "nvd_path" in image)


def _references() -> Iterator[bpy.types.Image]:
    for entry in all_shots():
        for layer in entry.layers:
            yield from {layer.learned, layer.base, layer.shown} - {None, layer.edit}
        yield from set(stack.images(entry)) - set(stack.painted_images(entry))


def _is_settled(path: str) -> bool:
    """Whether the file has stayed as it is since the last look: it may be half written."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    now = found.st_mtime_ns, found.st_size
    settled = _waiting.get(path) == now
    _waiting[path] = now
    return settled


def _follow_stacks() -> None:
    """Take up the stacks that another program, or another shot of the folder, has written."""
    for entry in all_shots():
        if entry.missing or is_behind(entry):  # what it shows is not what lies there now
            continue
        try:
            found = os.stat(_stack_of(entry))
            now = found.st_mtime_ns, found.st_size
        except (OSError, ValueError):
            now = 0, 0
        if _stacks.get(entry.id) == now:
            continue
        _stacks[entry.id] = now
        try:
            shot = read_shot(entry.path)
            changed = stack.follow_file(entry, shot, read_stack(shot))
        except ShotError as error:
            _say(str(error))
            continue
        if changed is None:
            _say(f"{stack_path(shot)} was changed by another program, and the stack here")
        elif changed and not bpy.app.background:
            bpy.ops.ed.undo_push(message="Stack of Edits")


def _stack_of(entry: NVD_PG_shot) -> Path:
    """The file of the shot's stack; OSError where the folder cannot be opened."""
    state = state_of(entry.path)
    if state is None:
        raise FileNotFoundError(entry.path)
    return entry.path / state.stack


def _take_notice(image: bpy.types.Image) -> None:
    """Of a file that was changed: read it where no paint is lost by that."""
    path = image["nvd_path"]
    if has_unsaved(image):
        if path not in _conflicts:
            _conflicts.add(path)
            keep_packed(image)  # or Blender's own Save All Images would write over the file
            _say(f"{path} was changed by another program too: choose in the tab Layers")
        return
    try:
        check_image(Path(path), ShotError)
    except ShotError as error:
        _say(str(error))
    else:
        image.reload()
        image.update_tag()
        retire_name(image)
        if not bpy.app.background:  # a new name outside of Blender's steps, and its undo crashes
            bpy.ops.ed.undo_push(message="Read Again")
    file_stamps.note(image)


def _of_the_file(image: bpy.types.Image) -> bpy.types.Image:
    """A copy of the image with what its file holds, packed."""
    path = Path(image["nvd_path"])
    check_image(path, ShotError)
    try:
        with open_file(path) as file:
            content = file.read()
    except OSError as error:
        raise ShotError(f"{path} cannot be read ({error.strerror})", "keep your paint") from error
    made = image.copy()
    watch(made)
    made.pack(data=content, data_len=len(content))
    made.buffers_free()
    return made


def _keep(layer: NVD_PG_layer, image: bpy.types.Image) -> None:
    if layer.taken_back is not None:
        layer.taken_back.use_fake_user = True
    layer.taken_back = image


def _say(text: str) -> None:
    print(f"Neural Video Layers: {text}")
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return
    with bpy.context.temp_override(window=windows[0]):  # a timer has none
        bpy.context.window_manager.popup_menu(
            lambda menu, _context: menu.layout.label(text=text), title="Painted Shots", icon="INFO"
        )


@persistent
def _after_load(_path) -> None:
    file_stamps.forget_all()
    _conflicts.clear()
    _stacks.clear()
    for image in _edits():
        file_stamps.note_if_new(image, has_unsaved(image))


@persistent
def _before_save(_path) -> None:
    for image in _edits():
        file_stamps.remember(image)


def register():
    bpy.app.handlers.load_post.append(_after_load)
    # Before shot_events.py makes the folders relative to where the .blend is going to lie
    bpy.app.handlers.save_pre.insert(0, _before_save)
    _begin()


def unregister():
    bpy.app.handlers.load_post.remove(_after_load)
    bpy.app.handlers.save_pre.remove(_before_save)
    _end()
