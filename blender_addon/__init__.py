"""Neural Video Layers: open what `nvd decompose` wrote, paint on it, and see every frame follow.

From a script:

    from bl_ext.user_default.neural_video_layers.scripting import open_shot
    group = open_shot("/clips/shot.nvd", mode="delta")

The rooms: blender/ (what differs between Blenders), engine/ (finding and installing it), jobs/ (its
processes), strip/ (what a strip shows), shot/ (a folder's nodes and images), paint/ (live preview,
painting on a frame), decompose/ (jobs on a clip or strip), ui/ (panels and operators: thin wrappers
of what scripting.py offers). The folder is described in the engine's docs.
"""

from . import headless
from .blender import strip_elements, undo, words
from .decompose import found_objects, mask_drawing, opening, properties, refining
from .jobs import runner
from .paint import frame_canvas, inset, pin_marks, pins, preview
from .shot import edit_files, painting, shot_events, shots, value_events
from .strip import refresh, render_job, shot_frames
from .ui import (
    finish_operators,
    frame_operators,
    job_operators,
    object_operators,
    operators,
    panel_decompose,
    panel_layers,
    pin_operators,
    preferences,
    refine_operators,
    stack_operators,
    value_operators,
)

_parts = (  # each has register() and unregister()
    words,
    preferences,
    runner,
    properties,
    mask_drawing,
    opening,
    found_objects,
    job_operators,
    object_operators,
    panel_decompose,
    strip_elements,
    undo,  # before the others: its handlers give the images back first
    shots,
    shot_events,
    shot_frames,
    value_events,
    refresh,
    painting,
    edit_files,
    refining,
    inset,
    preview,
    render_job,
    frame_canvas,
    finish_operators,
    pins,
    pin_marks,
    frame_operators,
    pin_operators,
    refine_operators,
    value_operators,
    stack_operators,
    panel_layers,
    operators,
    headless,
)


def register():
    for part in _parts:
        part.register()


def unregister():
    for part in reversed(_parts):
        part.unregister()
