"""A layer of a shot, as a .blend keeps it: its images, values and edges."""

from contextlib import suppress

import bpy
from bpy.props import FloatProperty, PointerProperty, StringProperty

from ..blender.redraw import redraw
from ..errors import AddonError
from . import finish, finish_file, layer_values
from .listed_shots import entry_of, name_images
from .values_file import MOST


def _after_set(layer: "NVD_PG_layer", _context) -> None:
    """A value that was set shows at once."""
    path = layer.path_from_id().rpartition(".layers[")[0]
    with suppress(AddonError):  # the timer comes back to it
        layer_values.follow(layer.id_data.path_resolve(path))
    redraw()


def _finish_set(layer: "NVD_PG_layer", _context) -> None:
    """Edges that were set are said at the node."""
    shot = entry_of(layer)
    if shot is not None:
        finish.after_set(shot)


class Amount:
    """A layer's value as scripts of older versions know it, by the name of the node's input."""

    def __init__(self, layer: "NVD_PG_layer", what: str):
        self._layer, self._what = layer, what

    @property
    def default_value(self) -> float:
        return getattr(self._layer, self._what)

    @default_value.setter
    def default_value(self, value: float) -> None:
        setattr(self._layer, self._what, value)

    def keyframe_insert(self, _name: str = "default_value", frame: float | None = None) -> bool:
        """Key it, in the timeline of the scene that lists the shot."""
        at = self._layer.id_data.frame_current if frame is None else frame
        return self._layer.keyframe_insert(self._what, frame=at)


class NVD_PG_layer(bpy.types.PropertyGroup):
    """A layer of a shot: the image to paint on, what was learned, and what is shown of them."""

    edit: PointerProperty(type=bpy.types.Image)
    learned: PointerProperty(type=bpy.types.Image)
    base: PointerProperty(type=bpy.types.Image, description="What was learned, at the edit's size")
    shown: PointerProperty(type=bpy.types.Image, description="In place of the edit, if any")
    flat: PointerProperty(
        type=bpy.types.Image, description="The edit with the stack on it, which nodes show"
    )
    visibility: FloatProperty(
        name="Visibility",
        description="How much of the layer's paint shows; of the layer itself where the shot is "
        "composited in full",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_after_set,
    )
    light: FloatProperty(
        name="Relight",
        description="How much of the shot's changing light falls on the layer",
        default=1.0,
        min=0.0,
        max=MOST["light"],
        soft_max=2.0,
        update=_after_set,
    )
    choke: FloatProperty(
        name="Choke",
        description="Pixels of the plate by which the edges of its paint are drawn in; below 0 "
        "they spread",
        min=-finish_file.MOST["choke"],
        max=finish_file.MOST["choke"],
        soft_min=-8.0,
        soft_max=8.0,
        update=_finish_set,
    )
    feather: FloatProperty(
        name="Feather",
        description="Pixels of the plate over which the edges of its paint are softened",
        min=0.0,
        max=finish_file.MOST["feather"],
        soft_max=16.0,
        update=_finish_set,
    )
    spill: FloatProperty(
        name="Spill",
        description="How much of the replaced colour is taken out where the plate still shows it "
        "at soft edges",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_finish_set,
    )
    holdout: StringProperty(
        name="Holdout", description="Matte in the folder of what lies in front of the paint"
    )
    taken_back: PointerProperty(type=bpy.types.Image, description="Paint that was taken off")
    label: StringProperty(
        name="Name",
        description="What it is called here; in its folder it keeps its own name",
        update=lambda layer, _context: name_images(entry_of(layer)),
    )

    @property
    def shown_name(self) -> str:
        """What the artist calls it."""
        return self.label or self.name

    @property
    def image(self) -> bpy.types.Image | None:
        """The image that the shot shows on this layer."""
        return self.shown or self.edit

    @property
    def has_changed_size(self) -> bool:
        """Whether the edit is not as large any more as what it is compared with."""
        if not (self.edit and self.learned and self.base):
            return False
        readable = all(0 not in image.size for image in (self.edit, self.learned, self.base))
        return readable and tuple(self.edit.size) != tuple(self.base.size)
