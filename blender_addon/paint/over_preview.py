"""What is drawn over the Sequencer's preview, with the live preview and without it."""

from collections.abc import Callable

import bpy

from . import preview


def register_marks_factory(draw: Callable[[], None]) -> tuple[Callable, Callable]:
    """`register` and `unregister` of a module that draws marks over the picture."""
    handles: list = []

    def draw_alone() -> None:
        """Where the live preview does not draw over what Blender shows."""
        if preview.running() is None:
            draw()

    def register() -> None:
        space = bpy.types.SpaceSequenceEditor
        handles.append(space.draw_handler_add(draw_alone, (), "PREVIEW", "POST_VIEW"))
        preview.over_picture.append(draw)

    def unregister() -> None:
        preview.over_picture.remove(draw)
        while handles:
            bpy.types.SpaceSequenceEditor.draw_handler_remove(handles.pop(), "PREVIEW")

    return register, unregister
