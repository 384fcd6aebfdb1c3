"""Baking the trained networks into what artists and renderers use: textures and per-frame maps.

The networks' texture square is cropped to what the clip covers, and sampled as densely as the
clip's own pixels ask for, so that no texel is wasted and no detail lost.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from nvd_core.baking.coverage import VISIBLE, Coverage, fill_unseen
from nvd_core.baking.frame_maps import TextureFrame, layer_maps, without_garbage
from nvd_core.baking.map_errors import Found, MapErrors
from nvd_core.baking.plate import Plate
from nvd_core.baking.plate_edges import follow_plate
from nvd_core.baking.texture_fit import Seen, fit_textures
from nvd_core.fields.inference import Edges, FrameLayers, frame_layers, texture_colours
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.node_layers import COARSE, FINE, frame_layers_by_nodes
from nvd_core.fields.plate_view import at_plate
from nvd_core.fields.saved_model import save_texture_boxes
from nvd_core.media.images import write_image
from nvd_core.runtime.files import copy_file
from nvd_core.runtime.inside import inside
from nvd_core.runtime.malloc import KeptArrays, keep_freed_memory
from nvd_core.runtime.mapped_arrays import streamed
from nvd_core.runtime.parts import Part
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.shot.manifest import LayerRecord, PartRecord
from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import MOST_TEXELS, FrameMaps, LayerMaps
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_fit import fitted
from nvd_core.shot.node_maps import NodeFrame

SURVEY_STRIDE = 4
"""pixels between the samples that decide crop and density, at least"""
SURVEY_COLUMNS = 240
"""samples along a frame's longer side at which larger frames are surveyed"""
SURVEY_AREAS = 1 << 22
"""samples of a layer's density that are kept"""
MARGIN = 0.02
"""least widening of the crop on each side, as a share of its size"""
FEWEST_TEXELS = 16
ERRORS_EVERY = 8
"""of how many coarse frames the errors of one are measured"""


def bake(baking: "Baking", progress: Progress) -> list[LayerRecord]:
    """Write textures/, edits/ and maps/; returns the manifest's layers."""
    model, folder = baking.model, baking.folder
    layout = baking.layout(progress)
    errors, coverage = baking.errors(layout), coverage_of(layout)
    frames = model.shape.frames
    keep_freed_memory()
    progress.stage("maps", frames)
    with MapWriter(inside(folder, "maps"), model.names, exr=baking.is_exact) as writer:
        for t in range(frames):
            baked = baking.frame(layout, t, lit=False)
            if baked.errors is not None:
                errors.take(baked.errors)
            coverage.add(baked.uva)
            writer.write(t, baked.maps, baked.added, nodes=baked.nodes)
            progress.update(t + 1)
    errors.save(folder)
    return baking.textures(layout, coverage, progress)


@dataclass(frozen=True)
class BakedFrame:
    """What is written of a frame, and what the textures need of it."""

    maps: list[LayerMaps]
    added: np.ndarray | None
    uva: np.ndarray  # float32 [L, H, W, 3], what counts as looked up
    errors: Found | None  # of maps that were made from nodes
    nodes: NodeFrame | None  # the same maps in compact form, if they have one


def coverage_of(layout: list[TextureFrame]) -> Coverage:
    """What takes the frames' lookups."""
    return Coverage([(frame.width, frame.height) for frame in layout])


class Baking:
    """Bakes a trained folder, whole or its frames apart (chunks.py).

    `bit_depth` of the textures: 8 or 16. `clip` uint8 [T, H, W, 3], display-encoded, is what the
    textures are fitted to; None: they are the networks'. An edit that stands there is not touched.
    In `garbage`, uint8 [1 or T, H, W], no layer shows, and no texel is seen or fitted. Crop and
    size of the textures are those for the size that was looked at; where the `plate` is larger,
    the maps are of its size, and its frames and its matte stand in for `clip` and `garbage`.
    """

    def __init__(
        self,
        model: LayeredVideo,
        folder: Path,
        settings: Settings,
        bit_depth: int,
        clip: np.ndarray | None,
        garbage: np.ndarray | None = None,
        plate: Plate | None = None,
    ) -> None:
        self.model, self.folder, self.settings = model, folder, settings
        self.is_exact, self.is_coarse = settings.bake == "exact", settings.bake == "coarse"
        self.wants_exr = self.is_exact or settings.maps == "both"
        self._bit_depth, self._plate = bit_depth, plate
        self.garbage = garbage
        self._kept = KeptArrays()
        self.shown = model
        """the networks in the pixels of the maps"""
        self._matte_of: Callable[[int], np.ndarray | None] = partial(_matte, garbage)
        self._colours_of: Callable[[], Iterable[np.ndarray]] | None = None
        if clip is not None:
            self._colours_of = partial(streamed, clip) if plate is None else plate.colours
        if plate is not None:
            self.shown = at_plate(model, plate.height, plate.width)
            self._matte_of = plate.matte

    def layout(self, progress: Progress) -> list[TextureFrame]:
        """Crop and size of every texture, from a look at all frames."""
        progress.stage("survey", self.model.shape.frames)
        texels = self.settings.texels_per_pixel * self.settings.texture_size
        return survey(self.model, texels, progress, self.garbage)

    def errors(self, layout: list[TextureFrame]) -> MapErrors:
        """What takes the errors of the frames' maps."""
        return MapErrors(self.shown, [(frame.width, frame.height) for frame in layout])

    def frame(self, layout: list[TextureFrame], t: int, lit: bool = True) -> BakedFrame:
        """The maps of frame `t`, which depend on no other frame's.

        Those that are made from nodes have their light, if not `lit`, in compact form alone.
        """
        edges = self._edges(t)
        if self.is_exact:
            layers = frame_layers(self.shown, t, edges=edges)
        else:
            texels = [frame.texels_per_unit for frame in layout]
            within = COARSE if self.is_coarse else FINE
            layers = frame_layers_by_nodes(self.shown, t, texels, edges, within, self._kept)
        matte = self._matte_of(t)
        hide_garbage(layers, matte)
        maps = layer_maps(layers, layout)
        found, nodes = None, None
        if not self.is_exact:
            nodes = fitted(maps, layers.added)
            errors = self.errors(layout)
            lines = None if lit else errors.lines(t)
            stored = FrameMaps(*decode(pack(nodes), list(range(len(maps))), lines, self._kept))
            if not self.is_coarse or t % ERRORS_EVERY == 0:
                found = errors.of_frame(t, layers, stored, [f.to_uv for f in layout])
            maps = [replace(stored.layer(n), texture=old.texture) for n, old in enumerate(maps)]
            uva = stored.uva
        else:
            uva = np.stack([np.stack([own.u, own.v, own.alpha], -1) for own in maps])
        return BakedFrame(maps, layers.added, without_garbage(uva, matte), found, nodes)

    def counted(self, t: int, uva: np.ndarray) -> np.ndarray:
        """What of the maps float32 [L, H, W, 3] of frame `t` counts as looked up."""
        return without_garbage(uva, self._matte_of(t))

    def _edges(self, t: int) -> Edges | None:
        """What brings the alphas of a frame to the edges of a larger plate; None without one."""
        if self._plate is None:
            return None
        return partial(follow_plate, plate=self._plate.frame(t), scale=self.shown.plate_scale)

    def textures(
        self, layout: list[TextureFrame], coverage: Coverage, progress: Progress
    ) -> list[LayerRecord]:
        """Write textures/ and edits/, where maps/ is written; the manifest's layers."""
        seen_by = None
        self._kept = KeptArrays()  # those of the maps are wanted no more
        if self._colours_of is not None:
            every = self.settings.fit_every
            read = self.folder, self.shown, self._colours_of, self._matte_of, every
            seen_by = SeenFrames(partial(_seen, *read), every)
        images = made_textures(self.model, layout, coverage, seen_by, self._bit_depth, progress)
        last = self.model.layers - 1
        records = [
            replace(
                _write_texture(self.folder, name, image, n == last),
                windows=self.model.mappings[n].windows,
                parts=_part_records(self.model.mappings[n].parts, layout[n]),
            )
            for n, (name, image) in enumerate(zip(self.model.names, images, strict=True))
        ]
        save_texture_boxes(self.folder, [(frame.low, frame.high) for frame in layout])
        return records


def made_textures(
    model: LayeredVideo,
    layout: list[TextureFrame],
    coverage: Coverage,
    seen_by: "SeenFrames | None",
    bit_depth: int,
    progress: Progress,
) -> list[np.ndarray]:
    """The textures [h, w, 4] of all layers, of 8 or 16 bits, as `layout` places them.

    They are the networks', fitted to what `seen_by` yields of every frame, where it is given.
    """
    progress.stage("textures", model.layers)
    colours = []
    for n, frame in enumerate(layout):
        colours.append(texture_colours(model, n, frame.low, frame.high, frame.width, frame.height))
        progress.update(n + 1)
    if seen_by is not None:
        frames = -(-model.shape.frames // seen_by.every)
        steps = None if seen_by.every == 1 else 1
        mixed = coverage.mixed()
        colours = fit_textures(colours, mixed, seen_by.frames, frames, progress, steps)
    images = []
    for n, seen in enumerate(coverage.seen()):
        images.append(_to_integers(fill_unseen(colours[n], seen), seen, bit_depth))
    return images


@dataclass(frozen=True)
class SeenFrames:
    """What textures are fitted to: one of so many frames, as `frames` yields them."""

    frames: Seen
    every: int = 1


def _seen(
    folder: Path,
    model: LayeredVideo,
    colours_of: Callable[[], Iterable[np.ndarray]],
    matte_of: Callable[[int], np.ndarray | None],
    every: int = 1,
) -> Generator[tuple[np.ndarray, FrameMaps], None, None]:
    """One of so many frames with its maps as they were written, without what is garbage."""
    shape = model.shape
    numbers = range(0, shape.frames, every)

    files = MapFiles(folder, model.names, (shape.height, shape.width))
    with closing(files.iterate(numbers)) as maps:
        colours = islice(colours_of(), 0, None, every)
        for t, frame, seen in zip(numbers, colours, maps, strict=True):
            if (matte := matte_of(t)) is not None:
                seen.uva[:, matte > 0, 2] = 0
            yield frame, seen


def hide_garbage(layers: FrameLayers, matte: np.ndarray | None) -> None:
    """Take the layers of a frame back where its matte, uint8 [H, W], has garbage; in place."""
    if matte is None or not matte.any():
        return
    kept = 1 - matte.astype(np.float32) / 255
    layers.alpha *= kept
    layers.residual[layers.alpha == 0] = 1
    if layers.added is not None:
        layers.added *= kept[..., None]


def _matte(garbage: np.ndarray | None, t: int) -> np.ndarray | None:
    """The matte of frame `t`, uint8 [H, W]."""
    return None if garbage is None else np.array(garbage[t if len(garbage) > 1 else 0])


def survey(
    model: LayeredVideo,
    texels_per_pixel: float,
    progress: Progress,
    garbage: np.ndarray | None = None,
) -> list[TextureFrame]:
    """Crop and texel density of every layer, from a coarse look at all frames."""
    low = np.full((model.layers, 2), np.inf)
    high = np.full((model.layers, 2), -np.inf)
    areas: list[list[np.ndarray]] = [[] for _ in range(model.layers)]
    shape = model.shape
    stride = max(SURVEY_STRIDE, round(max(shape.height, shape.width) / SURVEY_COLUMNS))
    for t in range(shape.frames):
        layers = frame_layers(model, t, stride, light=False)
        if garbage is not None:
            hide_garbage(layers, _matte(garbage, t)[::stride, ::stride])
        for n in range(model.layers):
            shown = layers.alpha[n] > VISIBLE
            if not shown.any():
                continue
            places = layers.uv[n][shown]
            low[n] = np.minimum(low[n], places.min(0))
            high[n] = np.maximum(high[n], places.max(0))
            area = _pixel_areas(layers.uv[n], shown, stride)
            areas[n].append(area[:: -(-len(area) * shape.frames // SURVEY_AREAS) or 1])
        progress.update(t + 1)
    everywhere = [np.concatenate(parts or [np.zeros(0)]) for parts in areas]
    return [
        _texture_frame(low[n], high[n], everywhere[n], texels_per_pixel, stride)
        for n in range(model.layers)
    ]


def _pixel_areas(uv: np.ndarray, shown: np.ndarray, stride: int) -> np.ndarray:
    """Area of a clip pixel in network coordinates, where it and its neighbours are shown."""
    right = (uv[:-1, 1:] - uv[:-1, :-1]) / stride
    below = (uv[1:, :-1] - uv[:-1, :-1]) / stride
    whole = shown[:-1, :-1] & shown[:-1, 1:] & shown[1:, :-1]
    area = np.abs(right[..., 0] * below[..., 1] - right[..., 1] * below[..., 0])
    return area[whole]


def _texture_frame(
    low: np.ndarray, high: np.ndarray, areas: np.ndarray, texels_per_pixel: float, stride: int
) -> TextureFrame:
    if not np.isfinite(low).all():  # never seen: a small square, so that the layer still exists
        low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    pixel = np.sqrt(np.median(areas)) if len(areas) else (high - low).max() / FEWEST_TEXELS
    # the survey may have stepped over the last pixels
    margin = np.maximum(np.maximum(high - low, 1e-3) * MARGIN, stride * pixel)
    low, high = low - margin, high + margin
    density = texels_per_pixel / max(pixel, 1e-6)
    density = min(density, MOST_TEXELS / (high - low).max())
    width, height = np.maximum(np.ceil((high - low) * density), FEWEST_TEXELS).astype(int)
    return TextureFrame(low, high, int(width), int(height))


def _to_integers(colour: np.ndarray, seen: np.ndarray, bit_depth: int) -> np.ndarray:
    """A texture [h, w, 4] of 8 or 16 bits: `colour`, which is used up, and where it was seen."""
    dtype, top = (np.uint8, 255) if bit_depth == 8 else (np.uint16, 65535)
    np.clip(colour, 0, 1, out=colour)
    colour *= top
    colour += 0.5
    image = np.empty((*seen.shape, 4), dtype)
    image[..., :3] = colour
    image[..., 3] = seen * dtype(top)
    return image


def _part_records(parts: Sequence[Part], frame: TextureFrame) -> tuple[PartRecord, ...]:
    """Where the baked texture has each part; one that is not in it, as it is never seen, at its
    edge."""
    records = []
    for part in parts:
        corners = np.reshape(part.cell, (2, 2))
        shares = ((corners - frame.low) / (frame.high - frame.low)).clip(0, 1)
        records.append(PartRecord(part.name, tuple(np.round(shares.ravel(), 6).tolist())))
    return tuple(records)


def _write_texture(folder: Path, name: str, image: np.ndarray, background: bool) -> LayerRecord:
    """Write the texture and, where none stands, the edit that starts as its copy."""
    record = LayerRecord(
        name=name,
        kind="background" if background else "object",
        texture=f"textures/{name}.png",
        edit=f"edits/{name}.png",
        texture_width=image.shape[1],
        texture_height=image.shape[0],
    )
    texture, edit = inside(folder, record.texture), inside(folder, record.edit)
    write_image(texture, image)
    if not edit.exists():
        copy_file(texture, edit, durable=True)
    return record
