"""Crosses over the Sequencer's preview where pins belong in the frame at the playhead.

Those that hold are green; the places of the one that is being made are yellow.
"""

import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from ..blender import compat
from ..errors import AddonError
from ..shot import pins_file, shots, states
from . import preview
from .over_preview import register_marks_factory

HELD, MADE = (0.2, 1.0, 0.4, 1.0), (1.0, 0.85, 0.1, 1.0)
ARM = 9
"""pixels of the screen from a cross's middle to its ends"""


def marks(entry: shots.NVD_PG_shot, frame: int) -> list[tuple[float, float, tuple]]:
    """Places in `frame`, in the shot's pixels, with their colours."""
    shot, found = states.shown_shot(entry.path), []
    for pin in pins_file.read_pins(shot).pins if shot is not None else ():
        found += [(x, y, HELD) for t, x, y in pin.to if pin.on and t == frame]
    return found + [(at.x, at.y, MADE) for at in entry.pin_targets if at.frame == frame]


def _draw() -> None:
    scene = compat.sequencer_scene(bpy.context)
    entry = shots.current_shot(scene) if scene is not None else None
    shot = states.shown_shot(entry.path) if entry is not None else None
    if shot is None:
        return
    try:
        found = marks(entry, preview.frame_of(entry, preview.scene_of(entry)))
    except AddonError:  # the panel says so
        return
    if not found:
        return
    to_view = bpy.context.region.view2d.region_to_view
    arm = ARM * (to_view(1000, 0)[0] - to_view(0, 0)[0]) / 1000
    render = scene.render
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    gpu.state.line_width_set(2)
    for x, y, colour in found:
        across = (x / shot.width - 0.5) * render.resolution_x
        up = (0.5 - y / shot.height) * render.resolution_y
        ends = [(across - arm, up), (across + arm, up), (across, up - arm), (across, up + arm)]
        shader.uniform_float("color", colour)
        batch_for_shader(shader, "LINES", {"pos": ends}).draw(shader)
    gpu.state.line_width_set(1)


register, unregister = register_marks_factory(_draw)
