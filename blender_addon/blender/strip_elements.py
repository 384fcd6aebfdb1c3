"""The sizes of an image strip's pictures, which Blender leaves as they were in memory.

`elements.append` sets no size, and where a picture's file is missing Blender makes one of that
size: it takes any memory, or crashes. Python may read the sizes and not set them, so they are
written where they lie, once what lies there is known to be them. A .blend that was saved with such
strips is mended when it is loaded, before anything of it is drawn.
"""

import ctypes

import bpy
from bpy.app.handlers import persistent

from . import compat
from .handlers import register_handlers_factory

_NAME = 256
"""bytes of the file's name, in front of width and height"""
_MOST = 1 << 16


def give_sizes(strip, width: int, height: int) -> None:
    """Let every picture of an image strip have this size."""
    for element in strip.elements:
        _set_size(element, width, height)


def _is_sound(element) -> bool:
    return 0 <= element.orig_width <= _MOST and 0 <= element.orig_height <= _MOST


def _set_size(element, width: int, height: int) -> None:
    place = element.as_pointer()
    name = ctypes.string_at(place, _NAME).partition(b"\0")[0]
    size = (ctypes.c_int32 * 2).from_address(place + _NAME)
    known = element.filename.encode("utf-8", "surrogateescape")
    if name == known and tuple(size) == (element.orig_width, element.orig_height):
        size[:] = width, height


@persistent
def _after_load(_path) -> None:
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.type == "IMAGE" and len(strip.elements) and _is_ours(strip):
                first = strip.elements[0]
                size = (first.orig_width, first.orig_height) if _is_sound(first) else (0, 0)
                for element in strip.elements:
                    if not _is_sound(element):
                        _set_size(element, *size)


def _is_ours(strip) -> bool:
    return "nvd_folder" in strip.keys()  # noqa: SIM118 (a strip has no `in`)


register, unregister = register_handlers_factory(((bpy.app.handlers.load_post, _after_load),))
