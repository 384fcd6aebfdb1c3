"""Handing a decomposition over to other programs: the command `nvd export`.

Plain images first, then one file for every program that composites them as `nvd render` does.
"""

import re
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.editing.export_blender import blender_script
from nvd_core.editing.export_files import (
    check_moving,
    check_painted,
    files_of_frame,
    layer_of,
    textures_of,
    write_frame,
    write_moving,
)
from nvd_core.editing.export_fusion import fusion_comp
from nvd_core.editing.export_graph import HandOver
from nvd_core.editing.export_natron import natron_script
from nvd_core.editing.export_nuke import nuke_script
from nvd_core.editing.export_otio import otio_timeline
from nvd_core.editing.export_space import (
    COMPRESSION,
    handed_clip,
    results_as_light,
    write_conversions,
    write_plate,
)
from nvd_core.editing.export_space import FILES as COLOUR
from nvd_core.editing.export_words import words
from nvd_core.editing.kept_width import say_lacking
from nvd_core.editing.output_numbers import checked_range, output_numbers
from nvd_core.editing.own_files import check_output, check_outside, named_edits
from nvd_core.editing.plate import overscan_path
from nvd_core.editing.render import render
from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import write_image
from nvd_core.media.numbering import as_text
from nvd_core.media.sequences import frame_path
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import remove_temporaries_of, write_json, written_beside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import read_finish
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import FrameMaps, frames_ahead
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import Values, read_values, relight

if TYPE_CHECKING:
    from nvd_core.editing.clean_plate import CleanPlate

FILES = {
    "nuke": "{}.nk",
    "fusion": "{}.comp",
    "natron": "{}_natron.py",
    "blender": "{}_blender.py",
    "otio": "{}.otio",
}
"""by program: the file that is written for it"""
PROGRAMS = tuple(FILES)
WORDS = "hand-over.txt"
CLEAN = "clean_plate/clean_plate.%04d"


def hand_over(
    shot: Shot,
    out: Path | str,
    programs: Iterable[str],
    edits: dict[str, Path] | None = None,
    *,
    frames: tuple[int, int] | None = None,
    start: int | str | None = None,
    inverse: bool = True,
    clean_plate: bool = True,
    progress: Progress | None = None,
) -> dict:
    """Write what the `programs` (of PROGRAMS, or "all") need into the folder `out`.

    `edits`, `frames` and `start` are as in `render`, but that frames have the source's own numbers
    also where it was a movie. Without `inverse`, no maps from textures to frames are written, and
    without `clean_plate` no background alone, which wants the folder's networks.
    Everything is checked before anything is written; the programs' files are written last.
    Returns how many `frames`, in how many `seconds`, their `numbers`, the `files` and `out`.
    NvdError where the user has to do something.
    """
    started = time.perf_counter()
    progress, out, edits = progress or Progress(), Path(out), edits or {}
    wanted = _programs(programs)
    check_outside(shot, out)
    first, last = checked_range(shot, frames, start)
    shot.check((first, last))
    clip, space = handed_clip(shot.manifest.clip), shot.manifest.clip.picture.space
    suffix = ".exr" if space else Path(shot.manifest.frames).suffix
    pattern = out / f"plate/plate.%04d{suffix}"
    named = output_numbers(shot, pattern, "source" if start is None else start)
    named = named[first : last + 1]
    values = read_values(shot)
    clean = _clean_plate(shot, edits, values, progress) if clean_plate else None
    sheets, numbers = Sheets(shot, edits), range(first, last + 1)
    sheets.check(numbers)
    images = {name: textures_of(shot, name, sheets, numbers) for name in shot.names}
    over = HandOver(
        title=re.sub(r"[^\w-]+", "_", shot.folder.resolve().stem) or "shot",
        clip=clip,
        plate=f"plate/plate.%04d{suffix}",
        result=f"result/result.%04d{suffix}",
        layers=tuple(layer_of(shot.layer(name), images[name]) for name in shot.names),
        numbers=named,
        space=space and space.name,
        clean_plate=f"{CLEAN}{suffix}" if clean else None,
    )
    still = {path: image for made in images.values() for path, image in made.items()}
    last_files = [FILES[program].format(over.title) for program in wanted] + [WORDS]
    files = [out / name for name in [*still, *(COLOUR if space else ()), *last_files]]
    for t in range(len(named)):
        files += [*files_of_frame(over, out, t), frame_path(out / over.result, named[t])]
        files += [frame_path(out / over.clean_plate, named[t])] if over.clean_plate else []
    check_output(shot, files, named_edits(edits))
    check_painted(out, still)
    check_moving(over, out, sheets, first)
    for caution in _cautions(shot, over, range(first, last + 1)):
        progress.caution(caution)
    say_lacking(progress, sheets, numbers, "the programs' nodes and the clean plate", shot.names)
    remove_temporaries_of(files)
    for path, image in still.items():
        write_image(out / path, image)
    write_moving(over, out, sheets, first)
    _write_frames(shot, over, out, first, inverse, values, progress)
    if clean and over.clean_plate:
        _write_clean_plate(clean, over, out, first, progress)
    if space:
        write_conversions(shot, out)
        _write_light(shot, over, out, edits, first, progress)
    else:
        counted = "source" if start is None else start
        render(
            shot,
            out / over.result,
            edits,
            frames=(named[0], named[-1]),
            start=counted,
            values=values,
            progress=progress,
        )
    for program, name in zip(wanted, last_files, strict=False):
        _write_program(over, program, out / name)
    _write_text(out / WORDS, words(over, last_files[:-1], inverse))
    return {
        "frames": len(named),
        "seconds": round(time.perf_counter() - started, 3),
        "numbers": as_text(named),
        "files": last_files,
        "out": str(out),
    }


def _programs(asked: Iterable[str]) -> list[str]:
    asked = list(asked)
    for program in asked:
        if program != "all" and program not in PROGRAMS:
            raise NvdError(
                f"there is no hand-over to {program}",
                expected=", ".join((*PROGRAMS, "all")),
                found=program,
                remedy="choose one of those; the plain images serve any program",
            )
    return [program for program in PROGRAMS if "all" in asked or program in asked]


def _write_frames(
    shot: Shot,
    over: HandOver,
    out: Path,
    first: int,
    inverse: bool,
    values: Values,
    progress: Progress,
) -> None:
    """The plate and the maps, frame by frame."""
    clip = over.clip
    numbers = range(first, first + len(over.numbers))

    def write(item: tuple) -> None:
        t, number, maps = item
        write_plate(shot, t, frame_path(out / over.plate, number))
        write_frame(over, out, number, _with_values(over, maps, values, t), inverse)

    progress.stage("export", len(numbers))
    workers = frames_ahead(len(over.layers), clip.height, clip.width)
    with closing(iter_maps(shot, numbers)) as maps:
        items = zip(numbers, over.numbers, maps, strict=True)
        with closing(in_order(write, items, workers)) as written:
            for done, _ in enumerate(written):
                progress.update(done + 1)


def _write_light(
    shot: Shot, over: HandOver, out: Path, edits: dict[str, Path], first: int, progress: Progress
) -> None:
    """The result of a plate that is handed over as light."""
    numbers = range(first, first + len(over.numbers))
    progress.stage("render", len(numbers))
    with closing(results_as_light(shot, edits, numbers)) as frames:
        for done, (number, frame) in enumerate(zip(over.numbers, frames, strict=True)):
            write_image(frame_path(out / over.result, number), frame, COMPRESSION)
            progress.update(done + 1)


def _clean_plate(
    shot: Shot, edits: dict[str, Path], values: Values, progress: Progress
) -> "CleanPlate | None":
    """The background alone; None, with a caution, where the folder does not have it."""
    from nvd_core.editing.clean_plate import CleanPlate  # torch takes seconds to import

    try:
        return CleanPlate(shot, edits, values, handed_clip(shot.manifest.clip))
    except NvdError as error:
        progress.caution(f"no clean plate is handed over: {error}")
        return None


def _write_clean_plate(
    clean: "CleanPlate", over: HandOver, out: Path, first: int, progress: Progress
) -> None:
    numbers = range(first, first + len(over.numbers))
    progress.stage("clean plate", len(numbers))
    with closing(clean.frames(numbers)) as frames, clean.writer(out / over.clean_plate) as writer:
        for done, (number, frame) in enumerate(zip(over.numbers, frames, strict=True)):
            writer.write(number, frame)
            progress.update(done + 1)


def _with_values(over: HandOver, maps: FrameMaps, values: Values, t: int) -> FrameMaps:
    """The maps with the layers' values in their light, which multiplies the paint as visibility
    does: so that mattes stay whole, for whatever else they are used for.
    """
    for n, layer in enumerate(over.layers):
        visibility, light = values.at(layer.name, t)
        relight(maps.residual[n], light)
        if visibility != 1:
            maps.residual[n] *= visibility
    return maps


def _write_program(over: HandOver, program: str, path: Path) -> None:
    match program:
        case "nuke":
            _write_text(path, nuke_script(over))
        case "fusion":
            _write_text(path, fusion_comp(over))
        case "natron":
            _write_text(path, natron_script(over, path.name))
        case "blender":
            _write_text(path, blender_script(over))
        case "otio":
            write_json(path, otio_timeline(over))


def _write_text(path: Path, text: str) -> None:
    with written_beside(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")


def _cautions(shot: Shot, over: HandOver, frames: Sequence[int]) -> list[str]:
    """What is not handed over as it is, in plain words."""
    cautions = []
    if read_finish(shot).works_on(shot.names):
        cautions.append(
            "edges, holdouts and motion blur (nvd finish) are in the result alone: the scripts lay "
            "paint by the mattes as they are; `nvd render --passes matte` writes them with edges"
        )
    if over.space:
        cautions.append(
            f"the plate is in {over.space}, which the scripts do not convert: it is handed over as "
            "light (linear Rec.709), and colour/from_rec709.ctf brings it back"
        )
    if any(b - a != 1 for a, b in pairwise(over.numbers)):
        cautions.append(
            f"the source's numbers have gaps ({as_text(over.numbers)}): in the programs the frames "
            "between show the frame before, or nothing in Blender"
        )
    if over.first < 0:
        cautions.append("some frames have negative numbers, which not every program reads")
    if any(overscan_path(shot, t).is_file() for t in frames):
        cautions.append(
            "the source holds pixels beyond its display window: they are in the result alone"
        )
    return cautions
