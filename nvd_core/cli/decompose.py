"""The commands `nvd decompose` and `nvd resume`: from a clip to a decomposition folder."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.cli.arguments import (
    absolute_mask,
    add_frames,
    add_yes,
    assignment,
    frame_rate,
    mask_sources,
    named_path,
    pixels,
    start_number,
    whole,
)
from nvd_core.cli.objects import chosen_objects
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress

if TYPE_CHECKING:
    from nvd_core.job import Job
    from nvd_core.settings import Settings


def add_decompose(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `nvd decompose`."""
    decompose = commands.add_parser("decompose", help="turn a clip into a decomposition folder")
    decompose.add_argument(
        "source",
        help="movie, folder or pattern such as shot.%%04d.exr, or shot.%%04d.exr:LAYER",
    )
    decompose.add_argument("--out", type=Path, required=True, help="folder to make: SHOT.nvd")
    decompose.add_argument(
        "--mask",
        type=named_path,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="an object, front to back: mask sequence, some of its frames, movie, one "
        "image, PATH#ID of indexed images, !PATH for white around it, or maskrcnn:CLASS",
    )
    decompose.add_argument(
        "--objects",
        type=Path,
        metavar="FOLDER",
        help="the objects that `nvd objects` found and that are left in FOLDER, behind those of "
        "--mask; where none is left, the background alone",
    )
    decompose.add_argument(
        "--garbage",
        metavar="PATH|auto",
        help="what is stuck to the lens or burnt into the picture and is to be left out: as a "
        "mask; one image is for all frames; auto: what is found by itself",
    )
    add_frames(decompose)
    decompose.add_argument(
        "--shots",
        action="store_true",
        help="where the clip has cuts, decompose each shot into a folder of its own: "
        "OUT/shot-01.nvd, OUT/shot-02.nvd, ...",
    )
    _add_reading(decompose)
    _add_making(decompose)
    decompose.set_defaults(command=run_decompose)
    return decompose


def _add_reading(decompose: argparse.ArgumentParser) -> None:
    """How the source is read: its numbers, rate and colour space."""
    decompose.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="count --frames by the source's own numbers, or from N",
    )
    decompose.add_argument(
        "--missing",
        choices=("error", "hold", "skip"),
        default="error",
        help="where numbers are missing: refuse, hold the frame before, or take what is there",
    )
    decompose.add_argument(
        "--rate", type=frame_rate, metavar="FPS", help="frames a second; default: the source's, 24"
    )
    decompose.add_argument(
        "--count-at",
        type=frame_rate,
        metavar="FPS",
        help="count a movie's frames by time, as Blender does: frame N is the picture that shows "
        "N / FPS seconds in; nothing changes where pictures are equally long",
    )
    decompose.add_argument(
        "--deinterlace", action="store_true", help="make whole frames of a movie's fields"
    )
    decompose.add_argument(
        "--input-space",
        metavar="NAME",
        help='the source\'s colour space, such as ACEScg or "ARRI LogC3 (EI800)"; by itself what '
        "the files say",
    )
    decompose.add_argument(
        "--ocio",
        metavar="CONFIG",
        help="OpenColorIO configuration that has the space: a file or ocio://...; by itself that "
        "of the variable OCIO, else OpenColorIO's own for ACES",
    )
    decompose.add_argument(
        "--hdr-white",
        type=whole(1, 10000),
        metavar="NITS",
        help="what is 1 of an input space of HDR displays (PQ, HLG): by itself 100, as "
        "OpenColorIO has it; Blender takes 203",
    )


def _add_making(decompose: argparse.ArgumentParser) -> None:
    """How finely it is decomposed, and by which settings."""
    decompose.add_argument(
        "--height",
        type=whole(16, 16384),
        help="how finely the clip is looked at, in lines: fewer are faster; what is delivered "
        "keeps the source's size",
    )
    decompose.add_argument(
        "--plate-height",
        type=whole(16, 16384),
        metavar="HEIGHT",
        help="lines of the frames that are delivered; by itself the source's",
    )
    decompose.add_argument(
        "--texture-size",
        type=int,
        choices=(1, 2, 4),
        help="times as wide and high as --height asks for are the textures",
    )
    decompose.add_argument(
        "--preset", choices=("draft", "fast", "fine", "paper"), help="default: fast"
    )
    decompose.add_argument(
        "--draft", action="store_true", help="a quick one, to paint at once: --preset draft"
    )
    decompose.add_argument(
        "--at-once",
        action="store_true",
        help="make a draft first, which can be painted on while it is refined to what the preset "
        "asks for; the paint is carried over, and `nvd former --back` takes a refinement back",
    )
    decompose.add_argument(
        "--mask-margin",
        type=pixels,
        metavar="PIXELS",
        help="how far the masks' outlines may be off; there the picture decides",
    )
    decompose.add_argument(
        "--part",
        type=named_path,
        action="append",
        default=[],
        metavar="LAYER.PART=MASK",
        help="mask of what moves by itself within an object or the background, such as "
        "walker.leg=leg.png: the layer stays one, with one texture; may be given again, what is "
        "in front first",
    )
    decompose.add_argument(
        "--find-parts",
        action="store_true",
        help="look for limbs in the outline of each object that has no --part, and make them parts "
        "where that pays",
    )
    decompose.add_argument(
        "--find-parts-of",
        action="append",
        default=[],
        metavar="NAME",
        help="the same of one object; may be given again",
    )
    decompose.add_argument(
        "--windows",
        action="append",
        default=[],
        metavar="NAME=N",
        help="windows in time of an object that turns, each with its own part of the texture; "
        "N alone: of every object; auto: found by themselves, the default; may be given again",
    )
    decompose.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="YAML file with settings to change; docs/reference/settings.md lists all",
    )
    decompose.add_argument(
        "--set",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one setting, such as losses.flow=0.02, after --preset and --settings; may be "
        "given again",
    )
    decompose.add_argument(
        "--until",
        choices=("training",),
        help="stop before baking, so that several machines can do it with `nvd bake`",
    )
    decompose.add_argument(
        "--maps",
        choices=("both", "compact"),
        help="compact: leave out the EXR maps until `nvd maps` asks for them; default: both forms",
    )
    decompose.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    decompose.add_argument(
        "--seed",
        type=whole(0, 2**63 - 1),
        default=0,
        help="decides every random number",
    )


def add_resume(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `nvd resume`."""
    resume = commands.add_parser("resume", help="go on with an interrupted decomposition")
    resume.add_argument("shot", type=Path)
    add_yes(resume)
    resume.set_defaults(command=run_resume)
    return resume


def run_decompose(parsed: argparse.Namespace, progress: Progress) -> dict:
    """From the parsed words to the folder; what is wrong with them is said before all else."""
    settings = _settings(parsed)

    from nvd_core.pipeline import decompose  # seconds to import, and settings may be wrong

    job = _job(parsed)
    if parsed.at_once and (parsed.shots or parsed.until):
        raise NvdError(
            "--at-once is of one shot, and whole", remedy="leave it out, or --shots and --until"
        )
    if parsed.shots and parsed.part:
        raise NvdError("--part is of one shot", remedy="leave out --shots or --part")
    if parsed.shots and parsed.until:
        raise NvdError("--until is of one shot", remedy="leave out --shots or --until")
    if parsed.shots:
        from nvd_core.shots import decompose_shots

        return decompose_shots(parsed.out, job, settings, progress)
    return decompose(parsed.out, job, settings, progress, until=parsed.until)


def _settings(parsed: argparse.Namespace) -> "Settings":
    """The preset, with what the file and the options change."""
    from nvd_core.settings import PRESETS, load_settings, set_settings

    if parsed.ocio and not parsed.input_space:
        raise NvdError(
            "--ocio says where a colour space is found, and none is named",
            expected="--input-space NAME with it",
            remedy="name the source's space, or leave out --ocio",
        )
    if parsed.draft and parsed.preset not in (None, "draft"):
        raise NvdError(
            f"--draft and --preset {parsed.preset} name two presets", remedy="leave out one of them"
        )
    if parsed.draft:
        parsed.preset = "draft"
    if parsed.at_once and parsed.preset == "draft":
        raise NvdError(
            "a draft is all that is asked for, and --at-once makes more of one",
            remedy="leave out --at-once, or name the preset that is wanted in the end",
        )
    if parsed.settings:
        settings = load_settings(parsed.settings, parsed.preset)
    else:
        settings = PRESETS[parsed.preset or "fast"]()
    if parsed.mask_margin is not None:
        settings.mask_margin = parsed.mask_margin
    if parsed.find_parts_of:
        known = settings.find_parts  # of other objects, by the settings file
        named = dict.fromkeys(parsed.find_parts_of, True)
        settings.find_parts = known is True or (known or {}) | named
    if parsed.find_parts:
        settings.find_parts = True
    if parsed.windows:
        settings.windows = _windows(parsed.windows)
    if parsed.texture_size is not None:
        settings.texture_size = parsed.texture_size
    if parsed.maps is not None:
        settings.maps = parsed.maps
    set_settings(settings, parsed.set)
    return settings


def _job(parsed: argparse.Namespace) -> "Job":
    """What is asked for, in absolute paths."""
    from nvd_core.job import Job

    chosen = chosen_objects(parsed)
    return Job(
        background_alone=bool(parsed.objects) and not (chosen or parsed.mask),
        source=os.path.abspath(parsed.source),
        masks=mask_sources(parsed.mask) + chosen,
        parts=[[name, absolute_mask(path)] for name, path in parsed.part],
        frames=list(parsed.frames) if parsed.frames else None,
        height=parsed.height,
        plate_height=parsed.plate_height,
        device=parsed.device,
        seed=parsed.seed,
        missing=parsed.missing,
        rate=parsed.rate.as_integer_ratio() if parsed.rate else None,
        count_at=parsed.count_at.as_integer_ratio() if parsed.count_at else None,
        start=parsed.start,
        deinterlace=parsed.deinterlace,
        input_space=parsed.input_space,
        ocio=_configuration(parsed) if parsed.input_space else None,
        hdr_white=parsed.hdr_white if parsed.input_space else None,
        garbage=_garbage(parsed.garbage),
        at_once=parsed.at_once,
    )


def _windows(words: list[str]) -> "int | str | dict[str, int | str]":
    """What --windows says: N or auto, or NAME=N or NAME=auto each."""
    by_name: dict[str, int | str] = {}
    for word in words:
        name, _, count = word.rpartition("=")
        is_count = count == "auto" or (count.isdecimal() and len(count) <= 4)
        if not is_count or (not name and len(words) > 1):
            raise NvdError(
                f"--windows {word[:60]} is no number of windows",
                expected="NAME=N or NAME=auto for each object, or N or auto alone",
                remedy="such as --windows toy=4",
            )
        by_name[name] = count if count == "auto" else int(count)
    return by_name.get("", by_name)


def _configuration(parsed: argparse.Namespace) -> str:
    """The OpenColorIO configuration that has the space which is named."""
    from nvd_core.media.input_space import BUILT_IN

    given = parsed.ocio or os.environ.get("OCIO") or BUILT_IN
    return given if "://" in given else os.path.abspath(given)


def _garbage(given: str | None) -> str | None:
    from nvd_core.job import AUTO

    return given if given in (None, AUTO) else absolute_mask(given)


def run_resume(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.pipeline import resume

    return resume(parsed.shot, progress, yes=parsed.yes)
