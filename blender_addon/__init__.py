"""Neural Video Layers: open what `nvd decompose` wrote, paint on it, and see every frame follow.

From a script:

    from bl_ext.user_default.neural_video_layers.scripting import open_shot
    group = open_shot("/clips/shot.nvd", mode="delta")

shot.py reads the folder, nodes.py builds the compositor nodes, scripting.py joins the two,
compat.py holds every difference between Blender versions, operators.py and the modules listed
below only wrap what a script can do as well. The folder is described in the engine's
docs/decomposition-folder.md.
"""

from . import (
    frame_canvas,
    frame_operators,
    headless,
    job_operators,
    operators,
    painting,
    panel_decompose,
    panel_layers,
    preferences,
    preview,
    properties,
    render_job,
    runner,
    shot_events,
    shots,
    undo,
)

_parts = (  # each has register() and unregister()
    preferences,
    runner,
    properties,
    job_operators,
    panel_decompose,
    undo,  # before the others: its handlers give the images back first
    shots,
    shot_events,
    painting,
    preview,
    render_job,
    frame_canvas,
    frame_operators,
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
