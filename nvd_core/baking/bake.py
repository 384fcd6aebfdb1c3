"""Baking the trained networks into what artists and renderers use: textures and per-frame maps.

The networks' texture square is cropped to what the clip covers, and sampled as densely as the
clip's own pixels ask for, so that no texel is wasted and no detail lost.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nvd_core.baking.coverage import Coverage, fill_unseen
from nvd_core.baking.fit_kernels import NodeLookups, lookups
from nvd_core.baking.frame_maps import (
    TextureFrame,
    hide_garbage,
    layer_maps,
    matte_of,
    without_garbage,
)
from nvd_core.baking.map_errors import Found, MapErrors
from nvd_core.baking.plate import Plate
from nvd_core.baking.plate_edges import follow_plate
from nvd_core.baking.survey import survey
from nvd_core.baking.texture_fit import MOST_LANES, STEPS, SeenFrames, fit_textures
from nvd_core.fields.inference import Edges, frame_layers, never, texture_colours
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.node_layers import COARSE, FINE, frame_layers_by_nodes
from nvd_core.fields.plate_view import at_plate
from nvd_core.fields.saved_model import save_texture_boxes
from nvd_core.media.images import write_image
from nvd_core.runtime.files import copy_file
from nvd_core.runtime.frame_threads import in_order, single_opencv, worker_count
from nvd_core.runtime.inside import inside
from nvd_core.runtime.kernel_threads import shared_by
from nvd_core.runtime.malloc import KeptArrays, keep_freed_memory
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.parts import Part
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.shot.manifest import LayerRecord, PartRecord
from nvd_core.shot.map_files import MapFiles
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import FrameMaps, LayerMaps, frames_ahead
from nvd_core.shot.node_decode import decode, pack
from nvd_core.shot.node_fit import fitted
from nvd_core.shot.node_maps import NodeFrame

MOST_AT_ONCE = 16
"""frames that are baked at once"""
MAKING_BYTES = 88
"""of a pixel and layer while its frame is baked, at most; what is written is a quarter of it"""
MAKING_MEMORY = 3 << 30
"""bytes of all frames that are baked at once"""
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
    with (
        MapWriter(inside(folder, "maps"), model.names, exr=baking.is_exact) as writer,
        closing(baking.frames(layout, range(frames), False, progress.check)) as all_baked,
    ):
        for t, baked in enumerate(all_baked):
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


def frames_at_once(layers: int, height: int, width: int) -> int:
    """How many frames are baked at once: one a core, less where memory would not do."""
    fit = MAKING_MEMORY // (MAKING_BYTES * layers * height * width)
    return max(min(worker_count(MOST_AT_ONCE), fit), 1)


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
        self._matte_of: Callable[[int], np.ndarray | None] = partial(matte_of, garbage)
        self._colours_of: Callable[[int], np.ndarray] | None = None
        if clip is not None:
            self._colours_of = partial(_frame_of, clip) if plate is None else plate.frame
        if plate is not None:
            self.shown = at_plate(model, plate.height, plate.width)
            self._matte_of = plate.matte

    def layout(self, progress: Progress) -> list[TextureFrame]:
        """Crop and size of every texture, from a look at all frames."""
        progress.stage("survey", self.model.shape.frames)
        texels = self.settings.texels_per_pixel * self.settings.texture_size
        workers = worker_count(MOST_AT_ONCE) if self._is_on_cpu else 1
        return survey(self.model, texels, progress, self.garbage, workers)

    def errors(self, layout: list[TextureFrame]) -> MapErrors:
        """What takes the errors of the frames' maps."""
        return MapErrors(self.shown, [(frame.width, frame.height) for frame in layout])

    def frame(
        self,
        layout: list[TextureFrame],
        t: int,
        lit: bool = True,
        check: Callable[[], None] = never,
    ) -> BakedFrame:
        """The maps of frame `t`, which depend on no other frame's.

        Those that are made from nodes have their light, if not `lit`, in compact form alone.
        `check` is called now and then, and may raise.
        """
        edges = self._edges(t)
        if self.is_exact:
            layers = frame_layers(self.shown, t, edges=edges, check=check)
        else:
            texels = [frame.texels_per_unit for frame in layout]
            within = COARSE if self.is_coarse else FINE
            kept = self._kept, check
            layers = frame_layers_by_nodes(self.shown, t, texels, edges, within, *kept)
        check()
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

    def frames(
        self,
        layout: list[TextureFrame],
        numbers: Iterable[int],
        lit: bool = True,
        check: Callable[[], None] = never,
    ) -> Generator[BakedFrame, None, None]:
        """`frame` of all `numbers` in order, some at once: on a CPU each in a thread of its own.

        Close it to stop early; `check` raises in those that are in the making.
        """
        shape, layers = self.shown.shape, self.model.layers
        workers = frames_at_once(layers, shape.height, shape.width) if self._is_on_cpu else 1
        task = partial(self.frame, layout, lit=lit, check=check)
        if workers == 1:
            yield from map(task, numbers)
            return
        made = in_order(task, numbers, workers)
        with shared_by(workers), single_opencv(), closing(made) as baked:
            yield from baked

    @property
    def _is_on_cpu(self) -> bool:
        return next(self.model.parameters()).device.type == "cpu"

    def counted(self, t: int, uva: np.ndarray) -> np.ndarray:
        """What of the maps float32 [L, H, W, 3] of frame `t` counts as looked up."""
        return without_garbage(uva, self._matte_of(t))

    def _seen(self) -> SeenFrames:
        """What the textures are fitted to: frames with their maps as they were written."""
        shape, every = self.shown.shape, self.settings.fit_every
        files = MapFiles(self.folder, self.model.names, (shape.height, shape.width))

        def maps(t: int) -> FrameMaps | NodeLookups:
            return lookups(files, t, self._matte_of(t))

        steps = STEPS if every == 1 else 1
        # compact maps are read a few lines at a time
        size = self.model.layers, shape.height, shape.width
        most = frames_ahead(*size, MOST_LANES) if self.is_exact else MOST_LANES
        return SeenFrames(range(0, shape.frames, every), self._colours_of, maps, steps, most)

    def _edges(self, t: int) -> Edges | None:
        """What brings the alphas of a frame to the edges of a larger plate; None without one."""
        if self._plate is None:
            return None
        return partial(follow_plate, plate=self._plate.frame(t), scale=self.shown.plate_scale)

    def textures(
        self, layout: list[TextureFrame], coverage: Coverage, progress: Progress
    ) -> list[LayerRecord]:
        """Write textures/ and edits/, where maps/ is written; the manifest's layers."""
        self._kept = KeptArrays()  # those of the maps are wanted no more
        seen = self._seen() if self._colours_of else None
        images = made_textures(self.model, layout, coverage, seen, self._bit_depth, progress)
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
    seen_by: SeenFrames | None,
    bit_depth: int,
    progress: Progress,
) -> list[np.ndarray]:
    """The textures [h, w, 4] of all layers, of 8 or 16 bits, as `layout` places them.

    They are the networks', fitted to the frames `seen_by`, where these are given.
    """
    progress.stage("textures", model.layers)
    colours = []
    for n, frame in enumerate(layout):
        colours.append(texture_colours(model, n, frame.low, frame.high, frame.width, frame.height))
        progress.update(n + 1)
    if seen_by is not None:
        colours = fit_textures(colours, coverage.mixed(), seen_by, progress)
    images = []
    for n, seen in enumerate(coverage.seen()):
        images.append(_to_integers(fill_unseen(colours[n], seen), seen, bit_depth))
    return images


def _frame_of(clip: np.ndarray, t: int) -> np.ndarray:
    """Frame `t` of a mapped array, which is given back."""
    frame = np.array(clip[t])
    release(clip)
    return frame


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
