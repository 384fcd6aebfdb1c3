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
from .decompose import (
    across_job,
    clicking,
    flattening,
    found_objects,
    maps_job,
    mask_drawing,
    opening,
    properties,
    refining,
    texture_sizes,
)
from .jobs import runner
from .paint import (
    ahead,
    frame_canvas,
    inset,
    pin_marks,
    pins,
    placement,
    placement_marks,
    preview,
    strokes,
)
from .shot import edit_files, flat_nodes, painting, shot_events, shots, value_events
from .strip import refresh, render_job, shot_frames
from .ui import (
    across_operators,
    click_operators,
    deliver_operators,
    drop_operators,
    finish_operators,
    flat_operators,
    frame_operators,
    job_operators,
    object_operators,
    operators,
    panel_decompose,
    panel_layers,
    panel_parts,
    pin_operators,
    place_operators,
    preferences,
    purge_operators,
    refine_operators,
    stack_operators,
    texture_operators,
    value_operators,
)

_parts = (  # each has register() and unregister()
    words,
    preferences,
    runner,
    properties,
    mask_drawing,
    opening,
    maps_job,
    found_objects,
    clicking,
    job_operators,
    object_operators,
    click_operators,
    panel_decompose,
    panel_parts,
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
    flat_nodes,
    flattening,
    texture_sizes,
    across_job,
    inset,
    preview,
    ahead,
    render_job,
    frame_canvas,
    finish_operators,
    flat_operators,
    across_operators,
    pins,
    strokes,
    pin_marks,
    placement,
    placement_marks,
    frame_operators,
    pin_operators,
    refine_operators,
    value_operators,
    stack_operators,
    place_operators,
    drop_operators,
    texture_operators,
    purge_operators,
    panel_layers,
    deliver_operators,
    operators,
    headless,
)


def register():
    for part in _parts:
        part.register()


def unregister():
    for part in reversed(_parts):
        part.unregister()
