"""One layer alone, as it is painted, with its alpha: for compositing in another program."""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.plate import read_stored_frame, rendered_depth
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.images import at_depth, to_float, to_integers
from nvd_core.media.picture import Picture
from nvd_core.media.working import stored_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN, Values, lay_on_maps


class LayerAlone:
    """Frames [H, W, 4] of the layer `name`: its texture, edited and lit, at the layer's alpha.

    The alpha is that of the maps, so that what stands in front is cut out and the layers' alphas
    sum to 1; it is multiplied by the picture's own, and by the layer's visibility. Linear frames
    are premultiplied, in the clip's primaries or space; integers straight, black where alpha is 0.
    """

    def __init__(
        self,
        shot: Shot,
        name: str,
        edits: dict[str, Path] | None,
        depth: int | str | None,
        values: Values = PLAIN,
    ) -> None:
        self._shot, self._number = shot, shot.names.index(shot.layer(name).name)
        self._clip = shot.manifest.clip
        self._depth = rendered_depth(self._clip, depth)
        self._sheets = Sheets(shot, edits)
        textures = Textures(self._sheets, [name], "full")
        self._kernels = FrameKernels(textures, self._clip.is_linear, "cpu")
        self._sheets.of_paint(name)  # what is wrong with a painted sheet is said at once
        self._name, self._values = name, values

    @property
    def alpha(self) -> str:
        """Of what kind the frames are."""
        return PREMULTIPLIED if self._clip.encoding == "linear" else STRAIGHT

    def frames(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The frames `numbers`; NvdError where light is added, which is no layer's own."""
        numbers = list(numbers)
        self._sheets.check(numbers, [self._name])
        with closing(iter_maps(self._shot, numbers, [self._name])) as all_maps:
            for t, maps in zip(numbers, all_maps, strict=True):
                if maps.added is not None:
                    raise NvdError(
                        f"{self._shot.folder} has light that is added to all layers at once",
                        expected="light that multiplies (the setting residual: multiplicative)",
                        remedy="render without --layer, or decompose with the default settings",
                    )
                lay_on_maps(maps, [self._name], self._values, t)
                opacity = maps.uva[0, ..., 2:].copy()
                maps.uva[0, ..., 2] = opacity[..., 0] > 0
                colours = self._kernels.at(t)(self._blank(), maps)
                yield self._frame(colours, opacity * self._cover(t))

    def _blank(self) -> np.ndarray:
        height, width = self._clip.height, self._clip.width
        return at_depth(np.zeros((height, width, 3), np.uint8), self._depth)

    def _cover(self, t: int) -> np.ndarray | np.float32:
        """The picture's own alpha, 0 to 1."""
        if self._clip.picture.alpha == NONE:
            return np.float32(1)
        return to_float(read_stored_frame(self._shot, t)[..., 3:]).clip(0, 1)

    def _frame(self, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
        if colours.dtype.kind == "u":
            return np.concatenate([colours, to_integers(opacity, colours.dtype)], axis=2)
        picture = self._clip.picture
        if self._clip.encoding != "linear" and not picture.space:
            return np.concatenate([colours, opacity], axis=2)
        plain = stored_colours(colours, opacity[..., :0], _without_alpha(picture))
        if self._clip.encoding != "linear":
            plain = np.where(opacity > 0, plain, 0)  # black is no 0 in a logarithmic space
            return np.concatenate([plain, opacity], axis=2)
        return with_alpha(np.concatenate([plain, opacity], axis=2), STRAIGHT, PREMULTIPLIED)


def _without_alpha(picture: Picture) -> Picture:
    return replace(picture, alpha=NONE)
