"""What shows on each layer of a shot in a frame: its paint, a pattern, or its stack, as the picture
takes it.

Textures are asked for only where Blender draws.
"""

import filecmp
from dataclasses import dataclass

import numpy as np

from ..shot import file_stamps, layer_values
from ..shot.folder import Shot
from ..shot.painting import has_unsaved, is_unsaved
from ..shot.resample import DEAD_ZONE
from ..shot.shots import NVD_PG_layer, NVD_PG_shot
from . import preview_shader as shader
from .edit_texture import EditTextures
from .layer_textures import LayerTextures
from .stack_sheet import StackSheets
from .streaks import Painted


@dataclass
class Part:
    """What the picture is given of a layer."""

    name: str
    layer: shader.Layer
    sheet: object
    """what its stack, flattened in `layer.edit`, is but for what is painted; None without one"""
    state: object
    """equal where what shows on it is; None where that may change at any time"""
    blurred: Painted | None
    """the same for motion blur, where there is something to blur"""
    tiles: np.ndarray | None
    """what of `layer.edit` is not as it was the last time, as damage.py has it; None where that is
    not known"""


class PaintedLayers:
    """Of a shot, in one mode."""

    def __init__(self, shot: Shot, mode: str, stack: StackSheets, textures: LayerTextures):
        self._mode, self._stack, self._textures = mode, stack, textures
        self._edits = EditTextures()
        self._stored = {layer.name: layer for layer in shot.layers}

    def of(self, entry: NVD_PG_shot, t: int) -> list[NVD_PG_layer]:
        """The layers that change the picture, but for one whose size is about to be followed."""
        layers = [layer for layer in entry.layers if layer.image and layer.base]
        layers = [layer for layer in layers if not layer.has_changed_size]
        if self._mode == "full":
            return layers
        shows = self._stack.shows
        return [layer for layer in layers if _is_painted(layer) or shows(entry, layer, t)]

    def parts(self, entry: NVD_PG_shot, t: int, by_strokes: bool) -> list[Part]:
        """What there is of these in frame `t`; MapsError where their maps cannot be read.

        by_strokes: whether of what is painted only what has changed is uploaded, and said.
        """
        return [self._part(entry, layer, t, by_strokes) for layer in self.of(entry, t)]

    def close(self) -> None:
        """Give everything back."""
        self._edits.forget()

    def _part(self, entry: NVD_PG_shot, layer: NVD_PG_layer, t: int, by_strokes: bool) -> Part:
        maps = self._textures.maps(entry, layer, t)
        flat = self._stack.flat(entry, layer, t, by_strokes)
        if flat is not None:
            learned, tiles, state = flat.learned, flat.tiles, self._stack.state(layer)
            edit, form, dead_zone = flat.texture, shader.ENCODED, 0.0
        else:
            learned, state = layer.base, _state_of_paint(layer)
            dead_zone = DEAD_ZONE if layer.base != layer.learned else 0.0
            edit, form, tiles = self._edit(layer, by_strokes)
        kinds = ("visibility", "light")
        made = shader.Layer(
            edit,
            shader.from_image(learned),
            maps.place,
            maps.light,
            *(layer_values.value_at(entry, layer, what, t) for what in kinds),
            dead_zone=dead_zone,
            edit_form=form,
            learned_form=shader.form_of(learned),
        )
        blurred = None
        if entry.motion_blur and (flat is not None or _is_painted(layer)):
            edges, own = any(self._textures.edges(layer)), self._stored[layer.name]
            blurred = Painted(layer.name, made, state, edges, own.windows, own.parts)
        sheet = None if flat is None else flat.key
        return Part(layer.name, made, sheet, state, blurred, tiles)

    def _edit(self, layer: NVD_PG_layer, by_strokes: bool) -> tuple:
        """The texture of what is painted or shown in its place, its form, and what is new of it."""
        image = layer.image
        if by_strokes and not layer.base.is_dirty:  # of which nobody says what is new
            found = self._edits.follow(layer.name, image)
            if found is not None:
                return found.texture, found.form, found.tiles
        return shader.from_image(image), shader.form_of(image), None


def _is_painted(layer: NVD_PG_layer) -> bool:
    if layer.shown is not None:
        return layer.shown != layer.base
    edit, learned = layer.edit["nvd_path"], layer.learned["nvd_path"]
    try:
        return is_unsaved(layer) or not filecmp.cmp(edit, learned, shallow=False)
    except OSError:  # the folder has gone: the images are still in memory
        return True


def _state_of_paint(layer: NVD_PG_layer) -> object:
    """Equal where what is painted on a layer is; None where that may change at any time."""
    if layer.shown is not None or has_unsaved(layer.image):
        return None
    images = layer.image, layer.base
    return tuple(
        (i.session_uid, i.name, *i.size, *shader.kept(i), file_stamps.known(i)) for i in images
    )
