"""What is being placed on a frame, drawn over the Sequencer's preview: the picture, and its frame.

The picture is laid into its corners as the engine will lay it, by a homography, on a net that is
fine enough to look the same.
"""

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..blender import compat
from ..shot import shots
from . import placement
from .over_preview import register_marks_factory

LINE, CORNER, HELD = (1.0, 0.85, 0.1, 1.0), (1.0, 1.0, 1.0, 1.0), (1.0, 0.4, 0.1, 1.0)
HANDLE = 5
"""pixels of the screen from a handle's middle to its sides"""
NET = 12
"""cells of the picture's net on a side"""
_TURN = ((0, 1), (1, 1), (1, 0), (0, 0))
"""where the corners lie in the picture, from its bottom left"""


def laid(places, shares: np.ndarray) -> np.ndarray:
    """Where shares [N, 2] of a picture, from its bottom left, come to lie between its corners."""
    rows = []
    for (u, v), (x, y) in zip(_TURN, places, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -u * x, -v * x])
        rows.append([0, 0, 0, u, v, 1, -u * y, -v * y])
    flat = np.array([value for place in places for value in place], float)
    try:
        matrix = np.append(np.linalg.solve(np.array(rows, float), flat), 1).reshape(3, 3)
    except np.linalg.LinAlgError:  # corners in one line
        return np.zeros_like(shares)
    points = np.column_stack([shares, np.ones(len(shares))]) @ matrix.T
    return points[:, :2] / points[:, 2:]


def _draw() -> None:
    held, scene = placement.current, compat.sequencer_scene(bpy.context)
    entry = shots.current_shot(scene) if held is not None and scene is not None else None
    if entry is None or entry.id != held.shot:
        return
    render, size = scene.render, held.size
    scale = np.array([render.resolution_x / size[0], -render.resolution_y / size[1]])
    middle = np.array([-render.resolution_x / 2, render.resolution_y / 2])

    def on_view(places) -> np.ndarray:
        return np.asarray(places, float) * scale + middle

    item = entry.stack.get(held.entry)
    if item is not None and item.image is not None:
        _draw_picture(item.image, held.places, on_view)
    corners = on_view(held.places)
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    gpu.state.line_width_set(2)
    shader.uniform_float("color", LINE)
    batch_for_shader(shader, "LINE_LOOP", {"pos": corners.tolist()}).draw(shader)
    to_view = bpy.context.region.view2d.region_to_view
    arm = HANDLE * (to_view(1000, 0)[0] - to_view(0, 0)[0]) / 1000
    square = arm * np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)])
    for number, corner in enumerate(corners):
        shader.uniform_float("color", HELD if number == held.held else CORNER)
        batch_for_shader(shader, "TRIS", {"pos": (corner + square).tolist()}).draw(shader)
    gpu.state.line_width_set(1)


def _draw_picture(image, places, on_view) -> None:
    u, v = np.meshgrid(np.linspace(0, 1, NET + 1), np.linspace(0, 1, NET + 1))
    shares = np.column_stack([u.ravel(), v.ravel()])
    points = on_view(laid(places, shares))
    first = np.arange(NET * (NET + 1)).reshape(NET, NET + 1)[:, :NET].ravel()
    a, b, c, d = first, first + 1, first + NET + 2, first + NET + 1
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    shader = gpu.shader.from_builtin(compat.IMAGE_SHADER)
    gpu.state.blend_set("ALPHA")
    shader.uniform_sampler("image", gpu.texture.from_image(image))
    batch_for_shader(
        shader,
        "TRIS",
        {"pos": points.tolist(), "texCoord": shares.tolist()},
        indices=triangles.tolist(),
    ).draw(shader)
    gpu.state.blend_set("NONE")


register, unregister = register_marks_factory(_draw)
