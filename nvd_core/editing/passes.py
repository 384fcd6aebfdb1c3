"""The passes of layers: what a compositor needs to grade one or to work on its edges.

    matte  [H, W, 1]  where the layer's paint may show: its matte with edges and holdout on it
    uv     [H, W, 3]  its place on the texture, u right and v up, 0 to 1, and that matte
    light  [H, W, 3]  what paint is multiplied with, on display-encoded values
    paint  [H, W, 4]  the paint alone as it lies in the picture, premultiplied linear Rec.709

Of each layer and pass a sequence of EXRs, DIR/LAYER/PASS/00000.exr, numbered as the images are;
uv is 32 bits deep, all others 16. Paint laid over a plate that the layers explain gives what
`nvd render` does; they differ in what the plate has beyond its layers, which a delta keeps.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from nvd_core.editing.finishing import Finishing, to_display
from nvd_core.editing.frame_kernels import FrameKernels, Textures
from nvd_core.editing.motion_blur import Around, iter_around
from nvd_core.editing.plate import frame_at_depth
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import decode_srgb, write_image
from nvd_core.media.sequences import frame_path
from nvd_core.media.working import working_colours
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import Finish
from nvd_core.shot.finish_words import PASSES
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, lay_on_maps

NAME = "%05d.exr"


class Passes:
    """Makes the passes `kinds` of the layers `names`, below the folder `to`; checks beforehand."""

    def __init__(
        self,
        shot: Shot,
        kinds: Sequence[str],
        names: Sequence[str],
        to: Path,
        edits: dict[str, Path] | None,
        values: Values,
        finish: Finish,
    ) -> None:
        for kind in kinds:
            if kind not in PASSES:
                raise NvdError(
                    f"there is no pass {kind}",
                    expected=f"one of {', '.join(PASSES)}",
                    found=kind,
                    remedy="correct --passes",
                )
        self._shot, self._kinds, self._to = shot, list(dict.fromkeys(kinds)), Path(to)
        self._sheets, self._values, self._finish = Sheets(shot, edits), values, finish
        self._layers = [_Layer(shot, self._sheets, name, values, finish) for name in names]

    def files(self, named: Iterable[int]) -> list[Path]:
        """The images of frames that are numbered so."""
        named = list(named)
        return [
            self._file(layer.name, kind, number)
            for layer in self._layers
            for kind in self._kinds
            for number in named
        ]

    def write(self, numbers: Sequence[int], named: Sequence[int], progress: Progress) -> None:
        """Write those of the frames `numbers`; `named` has the image's number by frame."""
        self._sheets.check(numbers, [layer.name for layer in self._layers])

        def save(item: tuple[Path, np.ndarray]) -> None:
            write_image(*item)

        progress.stage("passes", len(numbers))
        with closing(self.images(numbers)) as frames:
            for done, (t, images) in enumerate(zip(numbers, frames, strict=True)):
                wanted = [(self._file(*key, named[t]), image) for key, image in images.items()]
                with closing(in_order(save, wanted)) as saved:
                    for _ in saved:
                        pass
                progress.update(done + 1)

    def images(
        self, numbers: Sequence[int]
    ) -> Generator[dict[tuple[str, str], np.ndarray], None, None]:
        """By layer and kind the passes of each of the frames `numbers`."""
        shot, finish = self._shot, self._finish
        spills = any(layer.finishing.spills for layer in self._layers)
        reads = shot.names if spills else [layer.name for layer in self._layers]
        blurs = finish.motion_blur.shutter > 0 and "paint" in self._kinds
        with closing(iter_around(shot, numbers, reads, blurs)) as all_maps:
            for t, around in zip(numbers, all_maps, strict=True):
                plate = self._plate(t) if spills else None
                images = {}
                for layer in self._layers:
                    own = around.of([reads.index(name) for name in layer.finishing.reads])
                    for kind, image in layer.passes(own, t, plate, self._kinds).items():
                        images[layer.name, kind] = image
                yield images

    def _plate(self, t: int) -> np.ndarray:
        clip = self._shot.manifest.clip
        frame = frame_at_depth(self._shot, t, "float" if clip.is_linear else clip.bit_depth)
        return to_display(working_colours(frame, clip.picture), clip.is_linear)

    def _file(self, name: str, kind: str, number: int) -> Path:
        return frame_path(self._to / name / kind / NAME, number)


class _Layer:
    """The passes of one layer."""

    def __init__(
        self, shot: Shot, sheets: Sheets, name: str, values: Values, finish: Finish
    ) -> None:
        self.name, self._values = shot.layer(name).name, values
        self.finishing = Finishing(shot, sheets, [self.name], finish, values, "cpu")
        self._kernels = {
            mode: FrameKernels(Textures(sheets, [self.name], mode), False, "cpu")
            for mode in ("paint", "light_paint", "cover")
        }

    def passes(
        self, around: Around, t: int, plate: np.ndarray | None, kinds: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Those of frame `t` by kind; `around` is of the layers that `finishing` reads."""
        maps, own, _ = self.finishing.with_edges(around, t, plate)
        uva = maps.uva[0].copy()
        lay_on_maps(maps, [self.name], self._values, t)
        made = {
            "matte": uva[..., 2:].astype(np.float16),
            "uv": np.where(uva[..., 2:] > 0, uva, 0),
            "light": maps.residual[0].astype(np.float16),
        }
        if "paint" in kinds:
            made["paint"] = self._paint(maps, own, around, t)
        return {kind: made[kind] for kind in kinds}

    def _paint(self, maps: FrameMaps, own: list[np.ndarray], around: Around, t: int) -> np.ndarray:
        """float16 [H, W, 4], premultiplied light."""
        kernels = {mode: made.at(t) for mode, made in self._kernels.items()}
        unlit = FrameMaps(maps.uva, np.ones_like(maps.residual))
        colours = self.finishing.composed(maps, kernels["paint"])
        opacity = self.finishing.composed(unlit, kernels["cover"])[..., :1].clip(0, 1)
        straight = np.divide(colours, opacity, out=np.zeros_like(colours), where=opacity > 0)
        light = opacity * decode_srgb(straight)
        if self.finishing.blurs:
            args = own, around, t
            moves, length = self.finishing.blurred(maps, *args, kernels["light_paint"])
            covers, _ = self.finishing.blurred(unlit, *args, kernels["cover"])
            light += length[..., None] * (moves - light)
            opacity += length[..., None] * (covers[..., :1].clip(0, 1) - opacity)
        return np.concatenate([light, opacity], 2).astype(np.float16)
