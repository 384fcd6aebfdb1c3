"""Asking Blender's editors to draw themselves anew."""

import bpy


def redraw(*kinds: str) -> None:
    """Every Image Editor and Sequencer, or the editors of these `kinds` alone."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in (kinds or ("IMAGE_EDITOR", "SEQUENCE_EDITOR")):
                area.tag_redraw()
