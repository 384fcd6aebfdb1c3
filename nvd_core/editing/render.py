"""Rendering a shot with its edits: from the decomposition folder to a movie or images.

Frames stream through: maps and frames are read ahead in threads, the kernel composes them, the
writer takes them in order. docs/reference/decomposition-folder.md has the formulas of both modes.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nvd_core import __version__
from nvd_core.editing.changed_frames import ChangedFrames, RenderedBefore, rendered_path
from nvd_core.editing.edits import edit_paths, full_textures, load_edit
from nvd_core.editing.kernel import Kernel, make_kernel
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.editing.output_depth import about_depth, check_bits, depth_for, written_depth
from nvd_core.editing.output_numbers import checked_range, numbers_of_output, output_numbers
from nvd_core.editing.output_time import timing_of
from nvd_core.editing.own_files import check_output, files_of_output, named_edits
from nvd_core.editing.plate import (
    check_frame,
    edited,
    frame_at_depth,
    frame_tags,
    overscan_path,
    read_overscan,
    read_stored_frame,
    rendered_depth,
    with_overscan,
)
from nvd_core.editing.removal_asked import check_removal
from nvd_core.editing.uncovered import over_frame, uncovered
from nvd_core.media.images import image_layout, to_integers, write_image
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.media.timeline import Timeline
from nvd_core.media.working import working_colours
from nvd_core.media.writer import FrameWriter, open_writer
from nvd_core.runtime.devices import choose_kind
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, remove_temporaries_of
from nvd_core.runtime.folder_lock import writing_if_inside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.maps import FrameMaps, iter_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN, Values, check_values, lay_on_maps, read_values

if TYPE_CHECKING:
    from nvd_core.editing.removal import Removal

MODES = ("delta", "full")
UNSEEN = 0.01
"""share of what is behind removed objects that may have been made up without a word"""
RENDERING = 2
"""to be raised when the same edit is rendered differently, so that no old image is left"""


def render(
    shot: Shot,
    out: Path | str,
    edits: dict[str, Path] | None = None,
    *,
    mode: str = "delta",
    frames: tuple[int, int] | None = None,
    bit_depth: int | str | None = None,
    progress: Progress | None = None,
    device: str = "auto",
    again: bool = False,
    layer: str | None = None,
    start: int | str | None = None,
    codec: str | None = None,
    quality: int | None = None,
    audio: bool = True,
    values: Values | None = None,
    remove: Sequence[str] = (),
    grow: int | None = None,
    unseen: Path | str | None = None,
) -> dict:
    """Render `frames` (first and last, from 0; all if None) into the movie or pattern `out`.

    `edits` are images by layer; a layer without one takes what is painted in the folder. `values`
    say how much of a layer shows, and how it is lit; None: as the folder has it.
    `bit_depth` 8, 10, 16, "half" or "float" of numbered images; by itself that of the clip, and 10
    of DPX. `codec` and `quality` as in `media.writer.open_writer`. `audio`: movies get the sound.
    `layer` is rendered alone, with its alpha (`editing.layer_alone`), whatever the mode.
    `start` numbers the images (`output_numbers`), and where it is given `frames` count by it.
    `remove` takes objects out (`editing.removal`), the hole wider by `grow` pixels; the pattern
    `unseen` gets the mattes of what the clip never saw of the background, white where it did not.
    Numbered images that stand there and would come out the same are left, but for `again`.
    Returns how many `frames`, in how many `seconds`, how many were `unchanged`, and `out`.
    Everything is checked before anything is written; NvdError where the user has to do something.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    first, last = checked_range(shot, frames, start)
    named = output_numbers(shot, out, start)
    clip = shot.manifest.clip
    check_bits(out, bit_depth)
    depth = depth_for(out, bit_depth or clip.bit_depth, codec)
    values = _values_of(shot, values)
    check_removal(shot, remove, grow, unseen, layer)
    alone = LayerAlone(shot, layer, edits, depth, values) if layer else None
    picture = replace(clip.picture, alpha=alone.alpha) if alone else clip.picture
    numbers = range(first, last + 1)
    timing, lost = timing_of(shot, out, numbers, named, audio)
    writer = open_writer(
        out,
        clip.width,
        clip.height,
        Fraction(*clip.rate),
        bit_depth=written_depth(out, bit_depth, depth),
        encoding=clip.encoding,
        picture=picture,
        tags=frame_tags(shot),
        codec=codec,
        quality=quality,
        timing=timing,
    )
    rounds = about_depth(out, bit_depth, shot.frame_path(first))
    for caution in (*writer.cautions, *lost, *rounds):
        progress.caution(caution)
    shot.check((first, last))  # before so many names are listed
    files = files_of_output(out, [named[t] for t in numbers])
    check_output(shot, files, named_edits(edits))
    rendering = None
    if alone is None:
        rendering = _Rendering(shot, edits, mode, numbers, depth, device, quality, values)
        if remove:  # which asks the networks: nothing else here needs torch
            from nvd_core.editing.removal import Removal

            rendering.removal = Removal(shot, remove, edits, values, grow)
        if unseen:
            mattes = [frame_path(str(unseen), named[t]) for t in numbers]
            check_output(shot, mattes, named_edits(edits))
            rendering.mattes = dict(zip(numbers, mattes, strict=True))
    remove_temporaries_of([*files, rendered_path(out)])
    with writing_if_inside(out, shot.folder, "nvd render", progress):
        if rendering is None:
            unchanged = 0
            _write_in_order(alone.frames(numbers), numbers, named, writer, progress)
        elif is_pattern(out):
            with writer:
                unchanged = _render_images(
                    rendering, numbers, named, Path(out), writer, again, progress
                )
        else:
            unchanged = 0
            _write_in_order(rendering.frames(numbers), numbers, named, writer, progress)
    if rendering is not None:
        rendering.tell(progress)
    seconds = round(time.perf_counter() - started, 3)
    return {
        "frames": len(numbers),
        "seconds": seconds,
        "unchanged": unchanged,
        "out": str(out),
    } | numbers_of_output(out, named, numbers)


def _write_in_order(
    frames: Generator[np.ndarray, None, None],
    numbers: range,
    named: Sequence[int],
    writer: FrameWriter,
    progress: Progress,
) -> None:
    progress.stage("render", len(numbers))
    with closing(frames) as rendered, writer:
        for done, (t, frame) in enumerate(zip(numbers, rendered, strict=True)):
            writer.write(named[t], frame)
            progress.update(done + 1)


def _render_images(
    rendering: "_Rendering",
    numbers: range,
    named: Sequence[int],
    pattern: Path,
    writer: FrameWriter,
    again: bool,
    progress: Progress,
) -> int:
    """Write the numbered images that are not there yet; returns how many were."""
    known = RenderedBefore(pattern)
    keys = {t: rendering.key(t, pattern) for t in numbers}
    wanted = [t for t in numbers if again or not known.has(named[t], keys[t])]
    copies = [t for t in wanted if rendering.is_copy(t, pattern)]
    rendered = [t for t in wanted if t not in set(copies)]

    def copy(t: int) -> int:
        rendering.copy(t, frame_path(pattern, named[t]))
        return t

    def write(item: tuple[int, np.ndarray]) -> int:
        t, frame = item
        writer.write(named[t], *rendering.whole(t, frame, pattern))
        return t

    done = len(numbers) - len(wanted)
    progress.stage("render", len(numbers))
    items = zip(rendered, rendering.frames(rendered), strict=True)
    try:
        with closing(in_order(copy, copies)) as one, closing(in_order(write, items)) as other:
            for t in itertools.chain(one, other):
                known.add(named[t], keys[t])
                done += 1
                progress.update(done)
    except BaseException:
        with suppress(NvdError):  # what went wrong first is what has to be told
            known.save()
        raise
    known.save()
    return len(numbers) - len(wanted)


def render_frames(
    shot: Shot,
    edits: dict[str, Path] | None = None,
    *,
    mode: str = "delta",
    frames: tuple[int, int] | None = None,
    bit_depth: int | str | None = None,
    device: str = "auto",
    values: Values | None = None,
) -> Generator[np.ndarray, None, None]:
    """The rendered frames, [H, W, 3] each.

    Of a linear clip they are linear float32. Of others they are uint8 or uint16 for a `bit_depth`
    of 8 or 16 (None: as the clip), else display-encoded float32. `values` as in `render`.
    Arguments, files and edits are checked here, before the first frame.
    """
    first, last = checked_range(shot, frames)
    numbers = range(first, last + 1)
    shot.check((first, last))
    values = _values_of(shot, values)
    rendering = _Rendering(shot, edits, mode, numbers, bit_depth, device, None, values)
    return rendering.colours(numbers)


def _values_of(shot: Shot, given: Values | None) -> Values:
    if given is None:
        return read_values(shot)
    check_values(shot, given, "the values given")
    return given


def render_stored(
    shot: Shot, edits: dict[str, Path], numbers: range
) -> Generator[np.ndarray, None, None]:
    """The frames `numbers` in the mode "delta" as the clip stores them, but that integers of a
    colour space are not rounded. Everything is checked before the first frame.
    """
    shot.check((numbers[0], numbers[-1]))
    return _Rendering(shot, edits, "delta", numbers, None, "auto").frames(numbers)


class _Rendering:
    """Renders frames of a shot with its edits, which are checked when it is made."""

    def __init__(
        self,
        shot: Shot,
        edits: dict[str, Path] | None,
        mode: str,
        numbers: range,
        bit_depth: int | str | None,
        device: str,
        quality: int | None = None,
        values: Values = PLAIN,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is one of {MODES}, got {mode!r}")
        clip = shot.manifest.clip
        self._shot, self._mode, self._bit_depth, self._values = shot, mode, bit_depth, values
        self._depth = rendered_depth(clip, bit_depth)
        paths = edit_paths(shot, edits or {})
        if mode == "full":
            self._names, textures = shot.names, full_textures(shot, paths)
        else:
            deltas = {name: load_edit(shot, name, path).delta for name, path in paths.items()}
            self._names = [name for name in deltas if deltas[name].any()]
            textures = {n: deltas[name] for n, name in enumerate(self._names)}
        on = choose_kind(device)
        self._kernel = make_kernel(textures, mode, clip.is_linear, on)
        self._shows_frame = mode == "full" and shot.manifest.garbage is not None
        if self._shows_frame:
            self._kernel = over_frame(self._kernel, clip.is_linear)
        named = {name: textures[n] for n, name in enumerate(self._names)}
        self._reach = ChangedFrames(shot, named, numbers, values)
        self.removal: Removal | None = None
        self.mattes: dict[int, Path] = {}
        """of each frame where the matte of what was never seen goes"""
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
        if self.removal is not None:
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
            or (bool(self._names) and self._reach.shows(t))
        )

    def frames(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The frames `numbers` as the clip stores them, in any order, as often as they are named.

        Maps are read only of frames and layers where an edit shows.
        """
        clip = self._shot.manifest.clip
        numbers = list(numbers)
        changed = {t for t in numbers if self._changes(t)}

        def source(t: int) -> np.ndarray:
            return frame_at_depth(self._shot, t, self._depth)

        names = self._shot.names if self.removal is not None else self._names
        maps = iter_maps(self._shot, [t for t in numbers if t in changed], names)
        with closing(maps), closing(in_order(source, numbers)) as frames:
            for t, frame in zip(numbers, frames, strict=True):
                if t in changed:
                    frame = edited(clip, frame, self._kernel_of(next(maps), t))
                yield frame

    def _kernel_of(self, maps: FrameMaps, t: int) -> Callable[[np.ndarray], np.ndarray]:
        """What turns the frame `t` into the edited one, by its maps, which are used up."""
        if self.removal is not None:
            return self._without_objects(maps, t)
        return self._painted(maps, t)

    def _without_objects(self, maps: FrameMaps, t: int) -> Callable[[np.ndarray], np.ndarray]:
        """The same with objects removed; `maps` are of all layers."""
        own = [self._shot.names.index(name) for name in self._names]
        painted: Callable[[np.ndarray], np.ndarray] = _unchanged
        if own:  # copies, of which the values are laid
            used = FrameMaps(maps.uva[own], maps.residual[own], maps.added)
            painted = self._painted(used, t)
        change, unseen = self.removal.over(painted, maps, t)
        if t in self.mattes:
            write_image(self.mattes[t], to_integers(unseen[..., None], np.dtype(np.uint8)))
        return change

    def tell(self, progress: Progress) -> None:
        """Say what the clip never saw of the background behind what was removed."""
        shares = self.removal.unseen_share if self.removal is not None else []
        if shares and np.mean(shares) > UNSEEN:
            progress.caution(
                f"the clip never shows {np.mean(shares):.0%} of what is behind: it is filled "
                f"smoothly; paint it on the layer {self._shot.names[-1]}"
            )

    def _painted(self, maps: FrameMaps, t: int) -> Callable[[np.ndarray], np.ndarray]:
        kernel: Callable[..., np.ndarray] = self._kernel
        if self._shows_frame:
            kernel = partial(kernel, rest=uncovered(maps))  # before anything is made invisible
        return partial(_with_maps, kernel, lay_on_maps(maps, self._names, self._values, t))

    def colours(self, numbers: Iterable[int]) -> Generator[np.ndarray, None, None]:
        """The same frames as straight Rec.709 colours, [H, W, 3]."""
        picture = self._shot.manifest.clip.picture
        with closing(self.frames(numbers)) as frames:
            for frame in frames:
                yield working_colours(frame, picture)


def _unchanged(frame: np.ndarray) -> np.ndarray:
    return frame


def _with_maps(kernel: Kernel, maps: FrameMaps, frame: np.ndarray) -> np.ndarray:
    return kernel(frame, maps)
