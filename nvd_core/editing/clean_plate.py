"""The clean plate: the background without what stands before it, as painted and lit.

Maps know of a pixel only what shows there. Where something hides the background, or a garbage
matte the picture, the networks say which place of its texture lies behind, and in which light.
What no frame saw of it is filled in smoothly, as the texture is.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from nvd_core.editing.camera import texture_frames, trained_model
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.pin_places import applied_bends
from nvd_core.editing.plate import frame_tags, rendered_depth
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.fields.inference import layers_at
from nvd_core.media.alpha import NONE
from nvd_core.media.frame_writer import FrameWriter
from nvd_core.media.images import at_depth
from nvd_core.media.working import stored_colours
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import ClipRecord
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, relight


class LearnedBackground:
    """The background of `shot` as it is painted, also where something stands before it.

    NvdError where the folder came without its networks, or light is added to all layers at once:
    then the remedy is to do without, in the words of `otherwise`.
    """

    def __init__(self, shot: Shot, edits: dict[str, Path], otherwise: str) -> None:
        self._model = trained_model(shot)
        if self._model.kind == "additive":
            raise NvdError(
                f"{shot.folder} has light that is added to all layers at once",
                expected="light that multiplies (the setting residual: multiplicative)",
                remedy=f"{otherwise}, or decompose with the default settings",
            )
        self._layout = texture_frames(shot)[-1]
        self._bend = applied_bends(shot).get(shot.names[-1])
        self.sheets = Sheets(shot, edits)

    def uncover(self, maps: FrameMaps, t: int, where: np.ndarray | None = None) -> None:
        """Fill in the places and light of the background where `maps`, of it alone, have none.

        Its alpha becomes 1 everywhere; in place. `where`, bool [H, W]: the pixels that are needed.
        """
        hidden = maps.uva[0, ..., 2] == 0
        if where is not None:
            hidden &= where
        maps.uva[0, ..., 2] = 1
        if not hidden.any():
            return
        y, x = np.nonzero(hidden)
        xy = np.stack([x, y], -1).astype(np.float32)[None]
        alpha = np.zeros((self._model.layers, 1, len(x)), np.float32)
        alpha[-1] = 1
        layers = layers_at(self._model, xy, t, alpha)
        places = self._layout.to_uv(layers.uv[-1, 0])
        if self._bend is not None:  # what the networks say is bent as the maps are
            places = self._bend.at(t).bent(places, self._bend.size).clip(0, 1)
        maps.uva[0, hidden, :2] = places
        maps.residual[0, hidden] = layers.residual[-1, 0]


class CleanPlate:
    """Frames of the background of `shot`, opaque, in the depth, encoding and primaries of `clip`.

    NvdError where the folder came without its networks, or light is added to all layers at once.
    """

    def __init__(
        self, shot: Shot, edits: dict[str, Path], values: Values, clip: ClipRecord
    ) -> None:
        """`values` say how it is lit; `clip` is the shot's own, or that of its plate as light."""
        self._shot, self._values, self._clip = shot, values, clip
        self._behind = LearnedBackground(shot, edits, "go without a clean plate")
        textures = Textures(self._behind.sheets, shot.names[-1:], "full")
        self._kernels = FrameKernels(textures, self._clip.is_linear, "cpu")
        self._picture = replace(self._clip.picture, alpha=NONE)

    def writer(self, out: Path) -> FrameWriter:
        """What writes the frames into the pattern `out`."""
        clip = self._clip
        return open_writer(
            out,
            clip.width,
            clip.height,
            Fraction(*clip.rate),
            bit_depth=clip.bit_depth,
            encoding=clip.encoding,
            picture=self._picture,
            tags=frame_tags(self._shot),
        )

    def frames(self, numbers: range) -> Generator[np.ndarray, None, None]:
        """The frames `numbers`, [H, W, 3] as the writer takes them."""
        shape = self._clip.height, self._clip.width, 3
        blank = at_depth(
            np.zeros(shape, np.uint8), rendered_depth(self._clip, self._clip.bit_depth)
        )
        with closing(iter_maps(self._shot, numbers, self._shot.names[-1:])) as all_maps:
            for t, maps in zip(numbers, all_maps, strict=True):
                self._behind.uncover(maps, t)
                relight(maps.residual[0], self._values.at(self._shot.names[-1], t)[1])
                frame = self._kernels.at(t)(blank, maps)
                yield stored_colours(frame, blank[..., :0], self._picture)
