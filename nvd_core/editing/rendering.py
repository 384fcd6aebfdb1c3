"""The frames of one rendering: which of them an edit changes, and what they become."""

import dataclasses
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nvd_core import __version__
from nvd_core.editing.changed_frames import ChangedFrames
from nvd_core.editing.finishing import Finishing, add_change, to_display
from nvd_core.editing.frame_kernels import FrameKernels, Textures, painted_names
from nvd_core.editing.kept_width import Drawing
from nvd_core.editing.kernel import Kernel, from_display
from nvd_core.editing.kernel_nodes import NodeMaps
from nvd_core.editing.motion_blur import Around, iter_around
from nvd_core.editing.overlay import OPACITY, Overlay, overlaid
from nvd_core.editing.plate import (
    check_frame,
    edited,
    frame_at_depth,
    overscan_path,
    read_overscan,
    read_stored_frame,
    rendered_depth,
    with_overscan,
)
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.editing.uncovered import over_frame, uncovered
from nvd_core.media.alpha import NONE
from nvd_core.media.codecs import Quality
from nvd_core.media.draft import Draft
from nvd_core.media.images import image_layout, to_integers, write_image
from nvd_core.media.timeline import Timeline
from nvd_core.media.working import working_colours
from nvd_core.runtime.devices import choose_kind
from nvd_core.runtime.files import copy_file
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import PLAIN_FINISH, Finish
from nvd_core.shot.map_files import iter_maps, map_files
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN, Values, lay_on_maps

if TYPE_CHECKING:
    from nvd_core.editing.removal import Removal

MODES = ("delta", "full")
UNSEEN = 0.01
"""share of what is behind removed objects that may have been made up without a word"""
RENDERING = 2
"""to be raised when the same edit is rendered differently, so that no old image is left"""


class Rendering:
    """Renders frames of a shot with its edits, which are checked when it is made."""

    def __init__(
        self,
        shot: Shot,
        edits: dict[str, Path] | None,
        mode: str,
        numbers: range,
        bit_depth: int | str | None,
        device: str,
        quality: Quality = None,
        values: Values = PLAIN,
        finish: Finish = PLAIN_FINISH,
        draft: Draft | None = None,
    ) -> None:
        """`draft`: of the writer; then frames may be Planes."""
        if mode not in MODES:
            raise ValueError(f"mode is one of {MODES}, got {mode!r}")
        clip = shot.manifest.clip
        self._shot, self._mode, self._bit_depth, self._values = shot, mode, bit_depth, values
        self._depth = rendered_depth(clip, bit_depth)
        sheets = Sheets(shot, edits)
        sheets.check(numbers)
        full, on = mode == "full", choose_kind(device)
        painted = painted_names(sheets, shot.names, numbers)
        self._names = shot.names if full else painted
        self._finishing: Finishing | None = None
        if finish.works_on(painted):
            self._finishing = Finishing(shot, sheets, painted, finish, values, on)
        textures = Textures(sheets, self._names, mode)
        below = Textures(sheets, self._names, "learned") if self._finishing and full else textures
        linear = clip.is_linear and self._finishing is None
        rough = draft if self._finishing is None else None
        if rough is not None and (clip.picture.alpha != NONE or clip.picture.space):
            rough = Draft()  # what is painted is not yet what is written
        self._kernels = FrameKernels(below, linear, on, rough)
        self._kernels.at(numbers[0])  # what is wrong with a painted sheet is said at once
        self._takes_nodes = not full and on == "cpu"
        drawing = Drawing(shot, sheets, values, numbers)
        self._drawing = drawing if drawing.names else None
        self._shows_frame = full and shot.manifest.garbage is not None
        self._reach = ChangedFrames(shot, textures, values, finish)
        self.removal: Removal | None = None
        self.mattes: dict[int, Path] = {}
        """of each frame where the matte of what was never seen goes"""
        self.overlay: Overlay | None = None
        self.overlay_opacity = OPACITY
        self._settings = {
            "program": __version__,
            "rendering": RENDERING,
            "mode": mode,
            "bit_depth": bit_depth,
            "quality": quality,
            "device": on,
            "clip": dataclasses.asdict(replace(clip, timeline=None)),
            **({"garbage": True} if shot.manifest.garbage else {}),
            "time": dataclasses.asdict(replace(clip.timeline or Timeline(), at=None)),
        }

    def key(self, t: int, out: Path) -> str | None:
        """Equal keys mean equal images; None where nothing is known."""
        if self.removal is not None or self.overlay is not None or self._draws(t):
            return None
        return self._reach.key(t, self._settings | {"out": out.name})

    def is_copy(self, t: int, out: Path) -> bool:
        """Whether the image of frame `t` is the clip's own file: nothing painted shows in it."""
        same_format = out.suffix.lower() == self._shot.frame_path(t).suffix.lower()
        same_format = same_format and self._bit_depth in (None, self._shot.manifest.clip.bit_depth)
        return same_format and not self._changes(t)

    def copy(self, t: int, path: Path) -> None:
        """Write frame `t` as it is; NvdError if it has changed size or the disk refuses."""
        source = self._shot.frame_path(t)
        check_frame(self._shot, source, image_layout(source))
        whole = overscan_path(self._shot, t)
        copy_file(whole if path.suffix == ".exr" and whole.is_file() else source, path)

    def whole(self, t: int, frame: np.ndarray, out: Path) -> tuple:
        """What to write of a rendered frame: with its overscan and where it lies, in EXR."""
        linear = self._shot.manifest.clip.encoding == "linear"
        whole = read_overscan(self._shot, t) if linear and out.suffix.lower() == ".exr" else None
        if whole is None:
            return (frame,)
        return with_overscan(whole, read_stored_frame(self._shot, t), frame)

    def _changes(self, t: int) -> bool:
        return (
            self._mode == "full"
            or self.removal is not None
            or self.overlay is not None
            or self._draws(t)
            or (bool(self._names) and self._reach.shows(t))
        )

    def _draws(self, t: int) -> bool:
        """Whether something that keeps its width is drawn in frame `t`."""
        return self._drawing is not None and self._drawing.shows(t)

    def frames(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The frames `numbers` as the clip stores them, in any order, as often as they are named.

        Maps are read only of frames and layers where an edit shows.
        """
        clip = self._shot.manifest.clip
        numbers = list(numbers)
        changes = lru_cache(None)(self._changes)  # found frame by frame, so that none waits for all

        def source(t: int) -> np.ndarray:
            return frame_at_depth(self._shot, t, self._depth)

        shown = (t for t in numbers if changes(t))
        with (
            closing(self._all_maps(shown)) as all_maps,
            closing(in_order(source, numbers)) as frames,
        ):
            for t, frame in zip(numbers, frames, strict=True):
                if changes(t):
                    frame = edited(clip, frame, self._kernel_of(next(all_maps), t))
                yield frame

    def _all_maps(self, numbers: Iterable[int]) -> Generator[Around | NodeMaps, None, None]:
        """The maps of the frames `numbers`, compact where the kernel takes them as they lie."""
        if self._whole or self._finishing is not None or not self._takes_nodes:
            blurs = self._finishing is not None and self._finishing.blurs
            yield from iter_around(self._shot, numbers, self._reads, blurs)
            return
        with closing(iter_maps(self._shot, numbers, self._names, self._compact_maps)) as found:
            yield from found

    def _compact_maps(self, t: int) -> Around | NodeMaps:
        """The maps of the painted layers of frame `t`, as they lie in the folder."""
        files = map_files(self._shot)
        found = files.packed(t, self._names)
        if found is None:
            return Around(files.read(t, self._names))
        packed, wanted = found
        amounts = np.array([self._values.at(name, t) for name in self._names], np.float32)
        return NodeMaps(packed, np.array(wanted, np.int64), *amounts.reshape(-1, 2).T.copy())

    @property
    def _whole(self) -> bool:
        """Whether the maps of all layers are needed."""
        return any(one is not None for one in (self.removal, self.overlay, self._drawing))

    @property
    def _reads(self) -> list[str]:
        """The layers whose maps are read."""
        return self._shot.names if self._whole else self._painted_by

    @property
    def _painted_by(self) -> list[str]:
        """The layers whose maps painting takes."""
        return self._finishing.reads if self._finishing and self._mode == "delta" else self._names

    def _kernel_of(self, around: Around | NodeMaps, t: int) -> Callable[..., np.ndarray]:
        """What turns the frame `t` into the edited one, by its maps, which are used up."""
        if isinstance(around, NodeMaps):
            return partial(_with_maps, self._kernels.at(t), around)
        if self.overlay is None:
            return self._without_overlay(around, t)
        change = self._without_overlay(around.of(list(range(len(self._shot.names)))), t)
        linear = self._shot.manifest.clip.is_linear
        return overlaid(change, self.overlay, around.maps, t, self.overlay_opacity, linear)

    def _without_overlay(self, around: Around, t: int) -> Callable[[np.ndarray], np.ndarray]:
        if self._drawing is None or not self._drawing.shows(t):
            return self._without_drawing(around, t)
        removed = self.removal.names if self.removal is not None else ()
        drawn = self._drawing.change(around.maps, t, removed)
        change = self._without_drawing(around, t)
        linear = self._shot.manifest.clip.is_linear
        return lambda frame: add_change(change(frame), drawn, linear)

    def _without_drawing(self, around: Around, t: int) -> Callable[[np.ndarray], np.ndarray]:
        if self.removal is not None:
            return self._without_objects(around, t)
        if self._whole:
            return self._painted_of_all(around, t)
        return self._painted(around, t)

    def _painted_of_all(self, around: Around, t: int) -> Callable[[np.ndarray], np.ndarray]:
        """What paints the frame, by maps of all layers, of which copies are used up."""
        own = [self._shot.names.index(name) for name in self._painted_by]
        return self._painted(around.of(own), t) if own else _unchanged

    def _without_objects(self, around: Around, t: int) -> Callable[[np.ndarray], np.ndarray]:
        """The same with objects removed; the maps are of all layers."""
        painted, maps = self._painted_of_all(around, t), around.maps
        change, unseen = self.removal.over(painted, maps, t)
        if t in self.mattes:
            write_image(self.mattes[t], to_integers(unseen[..., None], np.dtype(np.uint8)))
        return change

    def tell(self, progress: Progress) -> None:
        """Say what the clip never saw of the background behind what was removed, and what of the
        rendering does not reach strokes and words that keep their width."""
        if self._drawing is not None and self._finishing is not None:
            said = "edges, holdouts and motion blur do not reach what keeps its width"
            progress.caution(f"{said}: {', '.join(self._drawing.entries)}")
        behind = self.removal is not None and self._drawing is not None
        if behind and self._shot.names[-1] in self._drawing.names:
            progress.caution(
                "what keeps its width on the background is not drawn behind what was removed"
            )
        shares = self.removal.unseen_share if self.removal is not None else []
        if shares and np.mean(shares) > UNSEEN:
            progress.caution(
                f"the clip never shows {np.mean(shares):.0%} of what is behind: it is filled "
                f"smoothly; paint it on the layer {self._shot.names[-1]}"
            )

    def _painted(self, around: Around, t: int) -> Callable[[np.ndarray], np.ndarray]:
        """What paints the frame, as often as it is asked to."""
        if self._finishing is not None:
            return self._finished(self._finishing, around, t)
        return self._composed(around.maps, t, self._shot.manifest.clip.is_linear)

    def _composed(self, maps: FrameMaps, t: int, linear: bool) -> Callable[..., np.ndarray]:
        """The kernel of frame `t` with its maps, which are used up."""
        kernel: Callable[..., np.ndarray] = self._kernels.at(t)
        if self._shows_frame:
            framed: Callable[..., np.ndarray] = over_frame(kernel, linear)
            kernel = partial(framed, rest=uncovered(maps))  # before anything is made invisible
        return partial(_with_maps, kernel, lay_on_maps(maps, self._names, self._values, t))

    def _finished(
        self, finishing: Finishing, around: Around, t: int
    ) -> Callable[[np.ndarray], np.ndarray]:
        """What paints the frame `t` with edges and motion blur of its own."""
        linear = self._shot.manifest.clip.is_linear
        if self._mode == "delta":
            return lambda frame: add_change(frame, finishing.change(around, t, frame), linear)
        numbers = [self._shot.names.index(name) for name in finishing.reads]
        maps, painted = around.maps, around.of(numbers)
        alone = (uncovered(maps) == 1)[..., None] if self._shows_frame else None
        composed = self._composed(maps, t, False)

        def change(frame: np.ndarray) -> np.ndarray:
            below = composed(to_display(frame, linear))
            added = finishing.change(painted, t, frame, below)
            made = from_display(below + added, frame.dtype, linear)
            return made if alone is None else np.where(alone & (added == 0), frame, made)

        return change

    def colours(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The same frames as straight Rec.709 colours, [H, W, 3]."""
        picture = self._shot.manifest.clip.picture
        with closing(self.frames(numbers)) as frames:
            for frame in frames:
                yield working_colours(frame, picture)


def _unchanged(frame: np.ndarray) -> np.ndarray:
    return frame


def _with_maps(kernel: Kernel, maps: FrameMaps | NodeMaps, frame: np.ndarray) -> np.ndarray:
    return kernel(frame, maps)
