"""How a scene's view transform, look, exposure and gamma show display-encoded colours.

Blender has no function for it that draws, so a cube of colours is taken through it once, by saving
a picture of them as renders are saved, and looked up by whoever draws. AgX comes out as renders do
to 72 dB.

    cube = colour_cube(scene)      # None for what shows colours as they are
    texture = ShownView().cube(scene)    # the same for a draw handler
"""

import tempfile
from pathlib import Path

import bpy
import gpu
import numpy as np

from ..blender.pixels import STORED, decode, read_raw, write_raw
from ..blender.redraw import redraw
from . import preview_shader

SIDE = 65  # colours along a side of the cube
_PLAIN = ("sRGB", "Standard", "None", 0.0, 1.0)
_NAMES = ("view_transform", "look", "exposure", "gamma")
_BALANCE = ("white_balance_temperature", "white_balance_tint")

Key = tuple


def key_of(scene: bpy.types.Scene) -> Key:
    """What the colours' way to the screen depends on, to tell when it has changed."""
    view = scene.view_settings
    key: Key = (scene.display_settings.display_device, *(getattr(view, name) for name in _NAMES))
    if getattr(view, "use_white_balance", False):
        point = tuple(view.white_balance_whitepoint)
        key += (*(getattr(view, name) for name in _BALANCE), point)
    if view.use_curve_mapping:
        key += (_curves(view.curve_mapping),)
    return key


def is_plain(key: Key) -> bool:
    """Whether colours are shown as they are, so that no cube is needed."""
    return key == _PLAIN


class ShownView:
    """The cube of a scene that is drawn, on the graphics card."""

    def __init__(self):
        self._key: Key | None = None  # that the texture is of
        self._texture: gpu.types.GPUTexture | None = None
        self._wanted = ""  # the scene that the timer is to make it for

    def cube(self, scene: bpy.types.Scene) -> gpu.types.GPUTexture | None:
        """The texture; None where the view needs none. After a change the next drawing has the new
        one: what draws may not make images, so a timer does.
        """
        if self._key != key_of(scene):
            self._wanted = scene.name
            if not bpy.app.timers.is_registered(self._make):
                bpy.app.timers.register(self._make, first_interval=0.0)
        return self._texture

    def forget(self) -> None:
        """Free the texture; nothing is made any more before it is asked for."""
        self._key, self._texture, self._wanted = None, None, ""

    def _make(self) -> float | None:
        scene = bpy.data.scenes.get(self._wanted) if self._wanted else None
        if scene is None:
            return None
        if bpy.app.is_job_running("RENDER"):  # in a thread of its own, while none may be made
            return 0.5
        self._key, cube = key_of(scene), colour_cube(scene)
        self._texture = None if cube is None else preview_shader.cube_texture(cube)
        redraw()
        return None


def colour_cube(scene: bpy.types.Scene) -> np.ndarray | None:
    """[SIDE, SIDE, SIDE, 3] of 0..1, by blue, green and red: what the screen shows of the display-
    encoded colours 0..1; None where it shows them as they are.

    Not from a draw handler: images and a scene are made for it, and removed.
    """
    if is_plain(key_of(scene)):
        return None
    steps = np.linspace(0, 1, SIDE, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    colours = np.stack([red, green, blue], -1).reshape(SIDE * SIDE, SIDE, 3)
    return seen(colours, scene).reshape(SIDE, SIDE, SIDE, 3)


def seen(colours: np.ndarray, scene: bpy.types.Scene) -> np.ndarray:
    """[h, w, 3] float32 of 0..1: what the screen shows of display-encoded colours, [h, w, 3]."""
    height, width, _ = colours.shape
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = decode(colours)
    own = bpy.data.scenes.new("NVD view")
    image = bpy.data.images.new("NVD view", width, height, float_buffer=True)
    shown = None
    try:
        _take_view(own, scene)
        image.colorspace_settings.name = "Linear Rec.709"
        write_raw(image, pixels)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "view.png"
            image.save_render(str(path), scene=own)
            shown = bpy.data.images.load(str(path))
            shown.colorspace_settings.name = STORED
            return read_raw(shown)[..., :3]
    finally:
        bpy.data.scenes.remove(own)
        bpy.data.images.remove(image)
        if shown is not None:
            bpy.data.images.remove(shown)


def _take_view(own: bpy.types.Scene, scene: bpy.types.Scene) -> None:
    """Let `own` show and save what `scene` shows, in 16 bits."""
    own.display_settings.display_device = scene.display_settings.display_device
    mine, theirs = own.view_settings, scene.view_settings
    for name in _NAMES:
        setattr(mine, name, getattr(theirs, name))
    if getattr(theirs, "use_white_balance", False):
        mine.use_white_balance = True
        for name in _BALANCE:
            setattr(mine, name, getattr(theirs, name))
    if theirs.use_curve_mapping:
        mine.use_curve_mapping = True
        _take_curves(mine.curve_mapping, theirs.curve_mapping)
    own.render.dither_intensity = 0
    images = own.render.image_settings
    images.file_format, images.color_mode, images.color_depth = "PNG", "RGB", "16"
    images.compression = 0


def _curves(mapping) -> Key:
    points = (tuple(tuple(point.location) for point in curve.points) for curve in mapping.curves)
    return (*points, tuple(mapping.black_level), tuple(mapping.white_level))


def _take_curves(mine, theirs) -> None:
    mine.black_level, mine.white_level = theirs.black_level, theirs.white_level
    for own, other in zip(mine.curves, theirs.curves, strict=True):
        while len(own.points) < len(other.points):
            own.points.new(0.5, 0.5)
        for point, given in zip(own.points, other.points, strict=True):
            point.location, point.handle_type = given.location, given.handle_type
    mine.update()
