"""Where each layer of a frame lies and how it is lit, as textures, with the edges of its paint.

    textures = LayerTextures(shot, mode, cache, stack, plate)
    textures.prepare(entry, index)                       # loads the mattes that hold paint out
    maps = textures.maps(entry, layer, index)            # maps.place, maps.light

Made once for a frame. All but `prepare` only where Blender draws.
"""

import math
from dataclasses import dataclass

import bpy

from ..blender.inside import inside
from ..blender.pixels import STORED
from ..shot.folder import Shot, ShotError
from ..shot.image_header import check_image
from ..shot.node_maps import LayerNodes, full_maps
from ..shot.shots import NVD_PG_layer, NVD_PG_shot
from . import edge_shader, node_shader, spill_shader
from . import preview_shader as shader
from .plate_texture import PlateTexture
from .preview_cache import MapCache
from .stack_sheet import StackSheets


@dataclass
class LayerMaps:
    """A layer's places and light in a frame, with the edges of its paint."""

    of: tuple
    """the frame and the edges"""
    place: object  # gpu.types.GPUTexture, as preview_shader.Layer has it
    light: object
    sources: tuple
    """what they were made of: the graphics card may be at work on it still"""


class LayerTextures:
    """The textures of a shot's layers, in one mode."""

    def __init__(
        self, shot: Shot, mode: str, cache: MapCache, stack: StackSheets, plate: PlateTexture
    ):
        self.shot, self.mode = shot, mode
        self.by_nodes: bool | None = None
        """whether the graphics card evaluates compact maps; by itself where it is no program"""
        self._cache, self._stack, self._plate = cache, stack, plate
        self._made: dict[str, LayerMaps] = {}  # by layer
        self._held_out: dict[str, tuple] = {}  # by layer: the file of its matte that is loaded
        self._as_stored: dict[tuple, tuple] = {}  # of frame and layer, without edges

    def prepare(self, entry: NVD_PG_shot, index: int) -> None:
        """Load the mattes of the frame that hold paint out."""
        for layer in self._held(entry):
            relative = layer.holdout.replace("%05d", f"{index:05d}")
            path = inside(self.shot.folder, relative, ShotError)
            check_image(path, ShotError, (self.shot.width, self.shot.height))
            image, stamp = bpy.data.images.get(_holdout_name(layer)), _stamp(path)
            if image is None:
                image = bpy.data.images.load(str(path))
                image.name = _holdout_name(layer)
                image.colorspace_settings.name = STORED
            elif self._held_out.get(layer.name) != stamp:
                image.filepath = str(path)
                image.reload()
            else:
                continue
            self._held_out[layer.name] = stamp
            self._made.pop(layer.name, None)

    def is_prepared(self, entry: NVD_PG_shot) -> bool:
        """Whether there is nothing to load."""
        return all(_holdout_name(layer) in bpy.data.images for layer in self._held(entry))

    def keep(self, near: range) -> None:
        """Let those of frames other than these go."""
        self._as_stored = {of: known for of, known in self._as_stored.items() if of[0] in near}

    def edges(self, layer: NVD_PG_layer) -> tuple:
        """What the preview shows of the edges of the layer's paint."""
        if self.mode == "full":
            return ()
        return layer.choke, layer.feather, layer.spill, layer.holdout

    def maps(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> LayerMaps:
        """Of a layer in a frame; the same object as long as it is the same."""
        of = index, *(self.edges(layer))
        if layer.spill and self.mode != "full":  # looks at what was learned of all layers
            of += tuple(self._spills_of(entry, index))
        known = self._made.get(layer.name)
        if known is not None and known.of == of:
            return known
        place, light, source = self._evaluated(index, layer.name)
        made = spilt = None
        if any(self.edges(layer)):
            image = bpy.data.images.get(_holdout_name(layer)) if layer.holdout else None
            holdout = None if image is None else shader.from_image(image)
            edges, reach, matte = (layer.choke, layer.feather, holdout), 0, None
            if layer.spill:
                spilt, reach = self._spilt(entry, layer, index, place, light)
                matte = spilt.texture
            made = edge_shader.with_edges(place, light, *edges, matte, reach)
            place, light = made.place, made.light
        known = self._made[layer.name] = LayerMaps(of, place, light, (source, made, spilt))
        return known

    def places(self, index: int, name: str):
        """The texture of a layer's places with its own matte."""
        return self._evaluated(index, name)[0]

    def close(self) -> None:
        """Give everything back; the mattes leave the file too."""
        self._made.clear()
        self._as_stored.clear()
        names = {_holdout_name(layer) for layer in self.shot.layers}
        for image in [image for image in bpy.data.images if image.name in names]:
            bpy.data.images.remove(image)

    def _held(self, entry: NVD_PG_shot) -> list[NVD_PG_layer]:
        return [layer for layer in entry.layers if layer.holdout and self.mode != "full"]

    def _evaluated(self, index: int, name: str) -> tuple:
        """The textures of a layer's places and light, and what they live by."""
        if self.by_nodes is None:
            self.by_nodes = not shader.is_software()
        of = index, name, self.by_nodes
        if of not in self._as_stored:
            self._as_stored[of] = self._read(index, name)
        return self._as_stored[of]

    def _read(self, index: int, name: str) -> tuple:
        self._cache.full = not self.by_nodes
        maps = self._cache.get(index, name)
        if isinstance(maps, LayerNodes) and node_shader.fits(maps):
            nodes = node_shader.Nodes(maps)
            made = nodes.evaluate()
            return made.place, made.light, (nodes, made)
        maps = full_maps(maps) if isinstance(maps, LayerNodes) else maps
        return shader.from_numpy(maps[..., :3]), shader.from_numpy(maps[..., 3:]), None

    def _spilt(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int, place, light) -> tuple:
        """The layer's matte with its spill, and how far beyond that the layer goes on."""
        others, kept = [], []  # what others' textures live by
        for other in entry.layers:
            if other != layer and other.learned is not None:
                texture, form = self._learned(entry, other, index)
                *maps, source = self._evaluated(index, other.name)
                kept.append(source)
                one = shader.Layer(texture, texture, *maps)
                one.edit_form = one.learned_form = form
                others.append(one)
        reach = spill_shader.reach_of(self.shot.height)
        beyond = reach + math.ceil(max(-layer.choke, 0)) + math.ceil(layer.feather)
        learned, frame = self._learned(entry, layer, index), self._plate.frame
        made = spill_shader.with_spill(place, light, layer.spill, beyond, frame, learned, others)
        return made, reach

    def _spills_of(self, entry: NVD_PG_shot, index: int) -> list[tuple]:
        """Equal where what was learned of all layers is."""
        learned = [self._learned_image(entry, one, index) for one in entry.layers if one.learned]
        return [(image.session_uid, image.name, *image.size) for image in learned]

    def _learned_image(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int):
        if self._stack.shows(entry, layer, index):
            return self._stack.learned_of(layer)
        return layer.base or layer.learned

    def _learned(self, entry: NVD_PG_shot, layer: NVD_PG_layer, index: int) -> tuple:
        """What was learned of the layer, as large as what shows, and its form."""
        image = self._learned_image(entry, layer, index)
        return shader.from_image(image), shader.form_of(image)


def _stamp(path) -> tuple:
    found = path.stat()
    return str(path), found.st_mtime_ns, found.st_size


def _holdout_name(layer) -> str:
    """Of the image of a layer's holdout: names have 63 bytes, and one shot is shown at a time."""
    return f".NVD holdout {layer.name}"[:63]
