"""One layer alone, as it is painted, with its alpha: for compositing in another program."""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.editing.finishing import Finishing, to_display
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.kernel import from_display
from nvd_core.editing.motion_blur import Around, iter_around
from nvd_core.editing.plate import frame_at_depth, read_stored_frame, rendered_depth
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.alpha import NONE, PREMULTIPLIED, STRAIGHT, with_alpha
from nvd_core.media.images import at_depth, encode_srgb, to_float, to_integers
from nvd_core.media.picture import Picture
from nvd_core.media.working import stored_colours, working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.finish import PLAIN_FINISH, Finish
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN, Values, lay_on_maps


class LayerAlone:
    """Frames [H, W, 4] of the layer `name`: its texture, edited and lit, at the layer's alpha.

    The alpha is that of the maps, so that what stands in front is cut out and the layers' alphas
    sum to 1, with the layer's edges on it; it is multiplied by the picture's own, and by the
    layer's visibility. With motion blur all of it is blurred, for there is no plate below. Linear
    frames
    are premultiplied, in the clip's primaries or space; integers straight, black where alpha is 0.
    """

    def __init__(
        self,
        shot: Shot,
        name: str,
        edits: dict[str, Path] | None,
        depth: int | str | None,
        values: Values = PLAIN,
        finish: Finish = PLAIN_FINISH,
    ) -> None:
        self._shot, self._number = shot, shot.names.index(shot.layer(name).name)
        self._clip = shot.manifest.clip
        self._depth = rendered_depth(self._clip, depth)
        self._sheets = Sheets(shot, edits)
        self._finishing: Finishing | None = None
        if finish.works_on([name]):
            self._finishing = Finishing(shot, self._sheets, [name], finish, values, "cpu")
        textures = Textures(self._sheets, [name], "full")
        self._light = FrameKernels(Textures(self._sheets, [name], "light_full"), False, "cpu")
        linear = self._clip.is_linear and self._finishing is None
        self._kernels = FrameKernels(textures, linear, "cpu")
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
        finishing = self._finishing
        reads = finishing.reads if finishing else [self._name]
        blurs = finishing is not None and finishing.blurs
        with closing(iter_around(self._shot, numbers, reads, blurs)) as all_maps:
            for t, around in zip(numbers, all_maps, strict=True):
                maps = around.maps
                if maps.added is not None:
                    raise NvdError(
                        f"{self._shot.folder} has light that is added to all layers at once",
                        expected="light that multiplies (the setting residual: multiplicative)",
                        remedy="render without --layer, or decompose with the default settings",
                    )
                if finishing:
                    colours, opacity = self._finished(finishing, around, t)
                else:
                    lay_on_maps(maps, [self._name], self._values, t)
                    opacity = maps.uva[0, ..., 2:].copy()
                    maps.uva[0, ..., 2] = opacity[..., 0] > 0
                    colours = self._kernels.at(t)(self._blank(), maps)
                yield self._frame(colours, opacity * self._cover(t))

    def _finished(
        self, finishing: Finishing, around: Around, t: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours at full opacity, and the opacity, of a layer with edges or motion blur."""
        plate = self._plate(t) if finishing.spills else None
        maps, own, _ = finishing.prepared(around, t, plate)
        opacity = maps.uva[0, ..., 2:].copy()
        maps.uva[0, ..., 2] = opacity[..., 0] > 0
        blank = np.zeros((*opacity.shape[:2], 3), np.float32)
        colours = self._kernels.at(t)(blank, FrameMaps(maps.uva, maps.residual))
        if finishing.blurs:
            light, length = finishing.blurred(maps, own, around, t, self._light.at(t))
            colours += length[..., None] * (encode_srgb(light) - colours)
        return from_display(colours, self._blank().dtype, self._clip.is_linear), opacity

    def _plate(self, t: int) -> np.ndarray:
        """The frame's display-encoded colours, float32 [H, W, 3]."""
        frame = working_colours(frame_at_depth(self._shot, t, self._depth), self._clip.picture)
        return to_display(frame, self._clip.is_linear)

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
