"""Rendering a shot with its edits: from the decomposition folder to a movie or images.

Frames stream through: maps and frames are read ahead in threads, the kernel composes them, the
writer takes them in order. docs/reference/decomposition-folder.md has the formulas of both modes.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from nvd_core.editing.changed_frames import rendered_path
from nvd_core.editing.cross_fade import (
    CrossFade,
    about_sections,
    check_after,
    faded_from,
    shared_with,
)
from nvd_core.editing.kept_width import say_lacking
from nvd_core.editing.layer_alone import LayerAlone
from nvd_core.editing.output_depth import about_depth, check_bits, depth_for, written_depth
from nvd_core.editing.output_numbers import checked_range, numbers_of_output, output_numbers
from nvd_core.editing.output_time import timing_of
from nvd_core.editing.overlay import OPACITY, check_overlay, make_overlay
from nvd_core.editing.own_files import check_output, files_of_output, named_edits
from nvd_core.editing.passes import Passes
from nvd_core.editing.plate import frame_tags
from nvd_core.editing.removal_asked import check_removal
from nvd_core.editing.render_images import (
    ahead_first,
    check_ahead,
    write_images,
    writing_images,
)
from nvd_core.editing.rendering import Rendering
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.codecs import Quality
from nvd_core.media.frame_writer import FrameWriter
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import remove_temporaries_of
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.malloc import keep_freed_memory
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import Finish, check_finish, read_finish
from nvd_core.shot.finish_words import PASSES
from nvd_core.shot.pins import is_applied
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, check_values, read_values


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
    quality: Quality = None,
    audio: bool = True,
    values: Values | None = None,
    finish: Finish | None = None,
    passes: Sequence[str] = (),
    passes_to: Path | str | None = None,
    remove: Sequence[str] = (),
    grow: int | None = None,
    unseen: Path | str | None = None,
    overlay: str | None = None,
    overlay_opacity: float = OPACITY,
    ahead: int | None = None,
    after: Shot | None = None,
) -> dict:
    """Render `frames` (first and last, from 0; all if None) into the movie or pattern `out`.

    `edits` are images by layer; a layer without one takes what is painted in the folder. `values`
    say how much of a layer shows, and how it is lit, `finish` what edges and motion blur its paint
    has; None: as the folder has it.
    `bit_depth` 8, 10, 16, "half" or "float" of numbered images; by itself that of the clip, and 10
    of DPX. `codec` and `quality` as in `media.writer.open_writer`. `audio`: movies get the sound.
    `layer` is rendered alone, with its alpha (`editing.layer_alone`), whatever the mode.
    `start` numbers the images (`output_numbers`), and where it is given `frames` count by it.
    `passes` (`editing.passes`) of all layers, or of `layer`, go into the folder `passes_to`, by
    itself passes/ beside `out`. `remove` takes objects out (`editing.removal`), the hole wider by
    `grow` pixels; the pattern `unseen` gets the mattes of what the clip never saw of the
    background, white where it did not.
    `overlay` "grid" or "doubt" is laid over it (`editing.overlay`), so opaque; of doubt the result
    says in which frames it is largest.
    Numbered images that stand there and would come out the same are left, but for `again`.
    `ahead`: they are for a preview that plays; this frame, counted as `frames` are, and those after
    it come first, and `Progress.images` is told of each.
    `after` is the section before this one of a long clip: frames that it has too fade from its
    picture to this shot's (`editing.cross_fade`), and both are as their folders have them.
    Returns how many `frames`, in how many `seconds`, how many were `unchanged`, and `out`.
    Everything is checked before anything is written; NvdError where the user has to do something.
    """
    started = time.perf_counter()
    progress = progress or Progress()
    first, last = checked_range(shot, frames, start)
    named = output_numbers(shot, out, start)
    check_ahead(out, ahead, layer)
    if ahead is not None:
        ahead = checked_range(shot, (ahead, ahead), start)[0]
    order = ahead_first(range(first, last + 1), ahead)
    clip = shot.manifest.clip
    check_bits(out, bit_depth)
    depth = depth_for(out, bit_depth or clip.bit_depth, codec)
    values, finish = _values_of(shot, values), _finish_of(shot, finish)
    check_removal(shot, remove, grow, unseen, layer)
    check_overlay(overlay, overlay_opacity, layer, shot.names)
    shared, between = list[tuple[int, int]](), list[str]()
    if after is not None:
        for_once = values != read_values(shot) or finish != read_finish(shot)
        asked: dict[str, object] = {"--layer": layer, "--edit": edits, "--passes": passes}
        asked |= {"--overlay": overlay, "--remove": remove, "what holds for once": for_once}
        check_after(after, asked)
        shared, between = shared_with(shot, after), about_sections(after, shot)
    alone = LayerAlone(shot, layer, edits, depth, values, finish) if layer else None
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
    for caution in (*writer.cautions, *lost, *rounds, *between):
        progress.caution(caution)
    if not is_applied(shot):
        progress.caution(f"the maps lack the newest pins: run nvd pins apply {shot.folder}")
    shot.check((first, last))  # before so many names are listed
    files = files_of_output(out, [named[t] for t in numbers])
    check_output(shot, files, named_edits(edits))
    rendering: Rendering | None = None
    if alone is None:
        rough = writer.draft if after is None else None  # a fade needs whole pictures
        how = quality, values, finish, rough
        rendering = Rendering(shot, edits, mode, numbers, depth, device, *how)
        if remove:  # which asks the networks: nothing else here needs torch
            from nvd_core.editing.removal import Removal

            rendering.removal = Removal(shot, remove, edits, values, grow)
        if overlay:
            rendering.overlay, rendering.overlay_opacity = (
                make_overlay(shot, overlay),
                overlay_opacity,
            )
        if unseen:
            mattes = [frame_path(str(unseen), named[t]) for t in numbers]
            check_output(shot, mattes, named_edits(edits))
            rendering.mattes = dict(zip(numbers, mattes, strict=True))
    rendered: Rendering | CrossFade | None = rendering
    if after is not None and rendering is not None:
        check_output(after, files, {})
        rendered = faded_from(after, shared, rendering, mode, depth, device, quality)
    wanted = _passes(shot, out, passes, passes_to, layer, edits, values, finish)
    if wanted:
        check_output(shot, wanted.files(named[t] for t in numbers), named_edits(edits))
    if alone or wanted:
        where = "a layer that is rendered alone" if alone else "passes"
        say_lacking(progress, Sheets(shot, edits), numbers, where, [layer] if layer else shot.names)
    remove_temporaries_of([*files, rendered_path(out)])
    keep_freed_memory()
    with writing_images(out, shot, ahead, progress):
        if rendered is None:
            unchanged = 0
            _write_in_order(alone.frames(numbers), numbers, named, writer, progress)
        elif is_pattern(out):
            with writer:
                unchanged = write_images(rendered, order, named, Path(out), writer, again, progress)
        else:
            unchanged = 0
            _write_in_order(rendered.frames(numbers), numbers, named, writer, progress)
        if wanted:
            wanted.write(numbers, named, progress)
    found = {}
    if rendered is not None:
        rendered.tell(progress)
    if rendering is not None:
        found = rendering.overlay.facts() if rendering.overlay is not None else {}
    seconds = round(time.perf_counter() - started, 3)
    return (
        {
            "frames": len(numbers),
            "seconds": seconds,
            "unchanged": unchanged,
            "out": str(out),
        }
        | numbers_of_output(out, named, numbers)
        | found
    )


def _passes(
    shot: Shot,
    out: Path | str,
    kinds: Sequence[str],
    to: Path | str | None,
    layer: str | None,
    edits: dict[str, Path] | None,
    values: Values,
    finish: Finish,
) -> Passes | None:
    """The passes that are asked for; None for none."""
    if not kinds:
        if to is not None:
            raise NvdError(
                "--passes-to says where passes go, and none are asked for",
                expected=f"--passes with some of {', '.join(PASSES)}",
                remedy="name the passes, or leave out --passes-to",
            )
        return None
    names = [layer] if layer else shot.names
    place = Path(out).parent / "passes" if to is None else Path(to)
    return Passes(shot, kinds, names, place, edits, values, finish)


def _write_in_order(
    frames: Generator[np.ndarray, None, None],
    numbers: range,
    named: Sequence[int],
    writer: FrameWriter,
    progress: Progress,
) -> None:
    progress.stage("render", len(numbers))

    def write(item: tuple[int, np.ndarray]) -> None:
        writer.write(named[item[0]], item[1])

    # One thread beside this one, in which the next frame is composed meanwhile
    with (
        closing(frames) as rendered,
        writer,
        closing(in_order(write, zip(numbers, rendered, strict=True), 1)) as written,
    ):
        for done, _ in enumerate(written):
            progress.update(done + 1)


def render_frames(
    shot: Shot,
    edits: dict[str, Path] | None = None,
    *,
    mode: str = "delta",
    frames: tuple[int, int] | None = None,
    bit_depth: int | str | None = None,
    device: str = "auto",
    values: Values | None = None,
    finish: Finish | None = None,
) -> Generator[np.ndarray, None, None]:
    """The rendered frames, [H, W, 3] each.

    Of a linear clip they are linear float32. Of others they are uint8 or uint16 for a `bit_depth`
    of 8 or 16 (None: as the clip), else display-encoded float32. `values` and `finish` as in
    `render`.
    Arguments, files and edits are checked here, before the first frame.
    """
    first, last = checked_range(shot, frames)
    numbers = range(first, last + 1)
    shot.check((first, last))
    values, finish = _values_of(shot, values), _finish_of(shot, finish)
    rendering = Rendering(shot, edits, mode, numbers, bit_depth, device, None, values, finish)
    return rendering.colours(numbers)


def _values_of(shot: Shot, given: Values | None) -> Values:
    if given is None:
        return read_values(shot)
    check_values(shot, given, "the values given")
    return given


def _finish_of(shot: Shot, given: Finish | None) -> Finish:
    if given is None:
        return read_finish(shot)
    check_finish(shot, given, "the edges given")
    return given


def render_stored(
    shot: Shot, edits: dict[str, Path], numbers: range
) -> Generator[np.ndarray, None, None]:
    """The frames `numbers` in the mode "delta" as the clip stores them, but that integers of a
    colour space are not rounded. Everything is checked before the first frame.
    """
    shot.check((numbers[0], numbers[-1]))
    values, finish = read_values(shot), read_finish(shot)
    rendering = Rendering(shot, edits, "delta", numbers, None, "auto", None, values, finish)
    return rendering.frames(numbers)
