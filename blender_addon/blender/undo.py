"""Blender's own undo, made to hold for the layers' images.

Blender takes back strokes, and changes of its data. Where a step changes what an image is (its
file, whether it is packed) Blender drops the pixels and reads the image's file again, so that paint
which is not in that file would be lost. So nothing of the extension changes the pixels of an edit:
`put_in_place` puts another image there, which Blender can undo, and around each undo and redo the
images whose kind of storage has ever changed keep the pixels that they have, also those that one
step takes away and another brings back. Only strokes, and the undoing of strokes, change what is
painted.

A stroke does not change which image is an edit, nor save one. So where a step has changed that of
any image, it was none, and no image may come out of it with other pixels: not even with strokes on
it, for Blender then brings older ones back now and then. (Whether an image is packed tells nothing:
what is packed here after an undo, or saved with the .blend, is in none of Blender's steps.)

Blender's steps of strokes find their image by its name. A stroke notes only what it touches, and
takes the rest of what was before from the stroke before it, if that was on an image of this name.
So no image is ever given a name under which another one was painted on: undoing a stroke would
bring pixels of that other image back.
"""

import itertools
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import bpy
import numpy as np
from bpy.app.handlers import persistent

from .handlers import register_handlers_factory
from .pixels import read_raw, write_raw

MOST_GONE = 1 << 29
"""bytes that are kept of images that are gone; after that the oldest are read from their files"""


_Kinds = dict[int, tuple[str, int]]
"""by session_uid of what file an image is the edit, and how often a step has saved it"""

_SAVED = "nvd_saved"  # of an image: in how many of Blender's steps it was saved


class _Steps:
    """What is kept from before an undo or redo until after it."""

    def __init__(self):
        self.watched: set[int] = set()  # session_uid of images whose storage has changed
        self.contents: dict[int, bytes | np.ndarray] = {}  # theirs, while a step is under way
        self.gone: dict[int, bytes | np.ndarray] = {}  # of those that a step has taken away
        self.under_way = False
        self.kinds: _Kinds = {}  # before the step under way
        self.names: dict[str, int] = {}  # that an image has had in this file: its session_uid


_steps = _Steps()


def keep_packed(image: bpy.types.Image) -> None:
    """Pack the image with the pixels it has, before its storage is changed."""
    watch(image)
    if not image.is_dirty and image.packed_file is None and _file(image) is None:
        write_raw(image, read_raw(image))  # its file has gone: what is in memory is all
    if image.is_dirty or image.packed_file is None:
        image.pack()


def watch(image: bpy.types.Image) -> None:
    """From now on an undo leaves the image's pixels as they are."""
    _steps.watched.add(image.session_uid)


def saved_in_step(image: bpy.types.Image) -> None:
    """The image was written to its file in what becomes one of Blender's steps."""
    watch(image)
    image[_SAVED] = image.get(_SAVED, 0) + 1


def put_in_place(old: bpy.types.Image, new: bpy.types.Image) -> None:
    """Let `new` be the edit wherever `old` was: file, nodes, canvas and editors.

    `old` stays, packed, with its pixels. So is `new`, which counts as not saved yet. Both keep
    their names.
    """
    keep_packed(old)
    keep_packed(new)
    new["nvd_path"], new.filepath_raw = old["nvd_path"], old.filepath_raw
    del old["nvd_path"]
    old.user_remap(new)


def name_image(image: bpy.types.Image, name: str) -> None:
    """Call the image so, with a number behind it where another one has had that name.

    Also one that is gone, as when a shot was removed and is opened again: its strokes may still be
    undone.
    """
    own = image.session_uid
    if _bare(image.name) == name and _steps.names.setdefault(image.name, own) == own:
        return
    for free in itertools.chain([name], _numbered(name)):
        other = bpy.data.images.get(free)
        if other is not None and other != image:
            _steps.names.setdefault(free, other.session_uid)
        if _steps.names.setdefault(free, own) == own:
            image.name = free
            return


def retire_name(image: bpy.types.Image) -> None:
    """Give the image a name that none has had: its pixels are others now, by no stroke."""
    _steps.names.setdefault(image.name, image.session_uid)
    for free in _numbered(_bare(image.name)):
        if free not in _steps.names and free not in bpy.data.images:
            image.name = free
            _steps.names[free] = image.session_uid
            return


def _bare(name: str) -> str:
    """Without the number that Blender, or this, has put behind it."""
    return re.sub(r"\.\d{3,}$", "", name)


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}.{number:03d}" for number in itertools.count(1))


def under_way() -> bool:
    """Whether Blender is amidst an undo or redo, and data may be half of one state."""
    return _steps.under_way


@persistent
def _before(_scene) -> None:
    """Note the contents of the watched images."""
    _steps.under_way = True
    _steps.kinds = _kinds()
    for image in bpy.data.images:
        if image.session_uid in _steps.watched:
            content = _content(image)
            if content is not None:
                _steps.contents[image.session_uid] = content


@persistent
def _after(_scene) -> None:
    """Give them back to the images that have come out of the step with others.

    An image that another step brings back has what it had when it was taken away: Blender would
    read its file, which may have been saved since.
    """
    _steps.under_way = False
    was_stroke = _kinds() == _steps.kinds
    there = {image.session_uid for image in bpy.data.images}
    back = {uid: _steps.gone.pop(uid) for uid in there & _steps.gone.keys()}
    _steps.gone |= {uid: kept for uid, kept in _steps.contents.items() if uid not in there}
    while sum(map(_size, _steps.gone.values())) > MOST_GONE:
        _steps.gone.pop(next(iter(_steps.gone)))
    for image in bpy.data.images:
        uid = image.session_uid
        content = _steps.contents.get(uid, back.get(uid))
        # dirty: Blender has kept the pixels, or drawn strokes
        if content is not None and not (image.is_dirty and was_stroke):
            _give_back(image, content)
    _steps.contents.clear()


def _give_back(image: bpy.types.Image, content: bytes | np.ndarray) -> None:
    """Let the image have the content, where it has another one."""
    if isinstance(content, bytes):
        if image.is_dirty or content != _content(image):
            image.pack(data=content, data_len=len(content))
            image.buffers_free()
        return
    if tuple(image.size) != content.shape[1::-1]:
        image.scale(*content.shape[1::-1])
    if not (image.is_dirty and np.array_equal(read_raw(image), content)):
        write_raw(image, content)


def _kinds() -> _Kinds:
    return {
        image.session_uid: (str(image.get("nvd_path", "")), int(image.get(_SAVED, 0)))
        for image in bpy.data.images
        if image.session_uid in _steps.watched
    }


def _content(image: bpy.types.Image) -> bytes | np.ndarray | None:
    """The image's file, packed or not, or its pixels where they are in no file."""
    if image.is_dirty:
        return read_raw(image)
    return image.packed_file.data if image.packed_file else _file(image)


def _size(content: bytes | np.ndarray) -> int:
    return content.nbytes if isinstance(content, np.ndarray) else len(content)


def _file(image: bpy.types.Image) -> bytes | None:
    with suppress(OSError):
        return Path(bpy.path.abspath(image.filepath)).read_bytes()
    return None


@persistent
def _forget_names(*_) -> None:
    """Another file: nothing of before can be undone."""
    _steps.names.clear()
    _steps.gone.clear()


_HANDLERS = (
    (bpy.app.handlers.load_post, _forget_names),
    (bpy.app.handlers.undo_pre, _before),
    (bpy.app.handlers.redo_pre, _before),
    (bpy.app.handlers.undo_post, _after),
    (bpy.app.handlers.redo_post, _after),
)

_register, unregister = register_handlers_factory(_HANDLERS)


def register():
    _forget_names()
    _register()
