"""The command `nvd`: parse, call, print.

Exit code 0 done, 2 bad input, 70 a fault of the program, 130 cancelled.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from nvd_core import __version__
from nvd_core.begun import is_begun
from nvd_core.cli.arguments import (
    Parser,
    absolute_mask,
    add_edits,
    add_frames,
    add_image_numbers,
    add_output_format,
    add_overlay,
    add_removal,
    add_values,
    add_yes,
    assignment,
    frame_rate,
    mask_sources,
    named_path,
    pixels,
    start_number,
    whole,
)
from nvd_core.cli.commands import add_commands, changed_values
from nvd_core.cli.finish import add_finish, add_passes, rendered_finish
from nvd_core.cli.map_commands import add_maps, add_purge
from nvd_core.cli.objects import add_objects, chosen_objects
from nvd_core.cli.segment import add_segment
from nvd_core.cli.stopping import CANCELLED, end_at_once, stop_with_stdin, stopping
from nvd_core.cli.unexpected import DEBUG, foreseen, unexpected
from nvd_core.runtime.cores import limit_threads
from nvd_core.runtime.errors import Cancelled, NvdError, Unconfirmed
from nvd_core.runtime.log_file import LogFile
from nvd_core.runtime.memory import check_start
from nvd_core.runtime.progress import JsonProgress, Progress, RichProgress
from nvd_core.runtime.shown import visible

BAD_INPUT = 2
LONGEST_RESULT = 4000  # characters of a line of the log
UNEXPECTED = 70
"""EX_SOFTWARE of sysexits.h"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, by itself that of the process; returns the exit code.

    A process that was stopped ends here: to take down an interpreter with torch takes a second.
    """
    code = _main(arguments)
    if arguments is None and code == CANCELLED:
        end_at_once(code)
    return code


def _main(arguments: list[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    parsed, log = argparse.Namespace(), None
    if hasattr(sys.stdout, "reconfigure"):  # a name that the console's encoding lacks is no fault
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        parsed = _parser().parse_args(arguments)
        check_start()
        if parsed.threads:
            limit_threads(parsed.threads)
        if parsed.log:
            log = LogFile(parsed.log)
            log.begin(given)
        return _ended(log, _run(parsed, log))
    except NvdError as error:
        _print_error(error, "--json" in given, log)
        return _ended(log, BAD_INPUT)
    except BrokenPipeError:  # whoever read our output is gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter closes it
        return CANCELLED
    except KeyboardInterrupt:  # asked for twice
        return CANCELLED
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        if told := foreseen(error):
            _print_error(told, "--json" in given, log)
            return _ended(log, BAD_INPUT)
        _print_error(unexpected(error, _folder_of(parsed)), "--json" in given, log)
        return _ended(log, UNEXPECTED)
    finally:
        if log:
            log.close()


def _ended(log: LogFile | None, code: int) -> int:
    if log:
        log.write(f"ends with exit code {code}")
    return code


def _run(parsed: argparse.Namespace, log: LogFile | None) -> int:
    """Run the parsed command; where it needs the user's word and there is a terminal, ask."""
    try:
        return _run_once(parsed, log)
    except Unconfirmed as error:
        if not _agrees(error, parsed):
            raise
        parsed.yes = True
        return _run_once(parsed, log)


def _agrees(error: Unconfirmed, parsed: argparse.Namespace) -> bool:
    """Ask at the terminal, where there is one; never where a program reads what we say."""
    if parsed.json or not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return False
    print(visible(error.problem) + ":", file=sys.stderr)
    for line in error.reads:
        print(f"  {visible(line)}", file=sys.stderr)
    print("Read them and go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _run_once(parsed: argparse.Namespace, log: LogFile | None) -> int:
    """Run the parsed command with progress shown and cancellation wired up."""
    with JsonProgress() if parsed.json else RichProgress() as progress:
        progress.log = log
        try:
            with stopping(progress, lambda: _last_words(parsed)) as watcher:
                if parsed.stop_with_stdin and watcher:
                    stop_with_stdin(watcher)
                result = parsed.command(parsed, progress)
        except Cancelled:
            if parsed.json:
                progress.emit("cancelled", text=_cancelled(parsed))
                if log:
                    log.write(_cancelled(parsed))
            else:
                progress.message(_cancelled(parsed))
            return CANCELLED
    if log:
        log.write("; ".join(f"{name} {value}" for name, value in result.items())[:LONGEST_RESULT])
    _print_result(result, parsed.json)
    return 0


def _cancelled(parsed: argparse.Namespace) -> str:
    """What is said of a command that was stopped."""
    folder = _folder_of(parsed)
    if parsed.command in (_decompose, _resume) and folder and is_begun(folder):
        return f"cancelled; go on with: nvd resume {folder}"
    if getattr(parsed, "shots", False):
        return "cancelled; the same command goes on where it stopped"
    return "cancelled"


def _last_words(parsed: argparse.Namespace) -> tuple[int, str]:
    """The same of one that did not come to say it, and the descriptor for it."""
    text = _cancelled(parsed)
    line = json.dumps({"event": "cancelled", "text": text}) if parsed.json else text
    return 1 if parsed.json else 2, line + "\n"


def _folder_of(parsed: argparse.Namespace) -> Path | None:
    """The decomposition folder that a command is about, where it is about one."""
    if getattr(parsed, "command", None) is _decompose:
        return parsed.out
    return getattr(parsed, "shot", None)


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


def _decompose(parsed: argparse.Namespace, progress: Progress) -> dict:
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
    if parsed.windows:
        settings.windows = _windows(parsed.windows)
    if parsed.texture_size is not None:
        settings.texture_size = parsed.texture_size
    if parsed.maps is not None:
        settings.maps = parsed.maps
    set_settings(settings, parsed.set)

    from nvd_core.job import Job  # what follows takes seconds to import, and settings may be wrong
    from nvd_core.pipeline import decompose

    chosen = chosen_objects(parsed)
    job = Job(
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


def _configuration(parsed: argparse.Namespace) -> str:
    """The OpenColorIO configuration that has the space which is named."""
    from nvd_core.media.input_space import BUILT_IN

    given = parsed.ocio or os.environ.get("OCIO") or BUILT_IN
    return given if "://" in given else os.path.abspath(given)


def _garbage(given: str | None) -> str | None:
    from nvd_core.job import AUTO

    return given if given in (None, AUTO) else absolute_mask(given)


def _resume(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.pipeline import resume

    return resume(parsed.shot, progress, yes=parsed.yes)


def _render(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.render import render
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    return render(
        shot,
        parsed.out,
        dict(parsed.edit),
        mode=parsed.mode,
        frames=parsed.frames,
        bit_depth=parsed.bits,
        codec=parsed.codec,
        quality=parsed.quality,
        audio=parsed.audio,
        progress=progress,
        again=parsed.again,
        start=parsed.start,
        layer=parsed.layer,
        values=changed_values(shot, parsed),
        finish=rendered_finish(shot, parsed),
        passes=parsed.passes,
        passes_to=parsed.passes_to,
        remove=parsed.remove,
        grow=parsed.grow,
        unseen=parsed.unseen,
        overlay=parsed.overlay,
        overlay_opacity=parsed.overlay_opacity,
        ahead=parsed.ahead,
    )


def _evaluate(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.evaluation.report import evaluate
    from nvd_core.shot.shot import Shot

    return evaluate(
        Shot.open(parsed.shot),
        progress,
        truth=parsed.truth,
        tracks=parsed.tracks,
        lpips=parsed.lpips,
        page=parsed.page,
    )


def _info(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.shot.shot import Shot

    manifest = Shot.open(parsed.shot).manifest
    clip = manifest.clip
    return {
        "source": clip.source,
        "frames": clip.frames,
        "numbers": clip.numbers or "from 0",
        "size": f"{clip.width}x{clip.height}",
        **({"looked at": f"{a.width}x{a.height}"} if (a := clip.analysis) else {}),
        "rate": round(clip.rate[0] / clip.rate[1], 3),
        **({"space": f"{space.name} of {space.config}"} if (space := clip.picture.space) else {}),
        **({"refinement": f"{r.done} of {r.planned}"} if (r := manifest.refinement) else {}),
        "layers": {r.name: f"{r.texture_width}x{r.texture_height}" for r in manifest.layers},
        "program": manifest.program,
        "cautions": manifest.cautions,
    }


def _print_result(result: dict, as_json: bool) -> None:
    """Print a command's figures: one JSON line, or a name and its value a line."""
    if as_json:
        JsonProgress().emit("result", **result)
        return
    for name, value in result.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value)) or "none"
        print(visible(f"{name.replace('_', ' ')}: {value}"))


def _print_error(error: NvdError, as_json: bool, log: LogFile | None = None) -> None:
    if log:
        log.write(f"error: {error}; what to do: {error.remedy}")
    if as_json:
        JsonProgress().emit(
            "error",
            problem=error.problem,
            expected=error.expected or None,
            found=error.found or None,
            remedy=error.remedy,
            reads=list(error.reads) if isinstance(error, Unconfirmed) else None,
        )
        return
    print(visible(f"nvd: {error}"), file=sys.stderr)
    print(visible(f"what to do: {error.remedy}"), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="nvd", description="Decompose a clip into layers that can be painted on.")
    parser.add_argument("--version", action="version", version=f"nvd {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

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
    decompose.set_defaults(command=_decompose)

    resume = commands.add_parser("resume", help="go on with an interrupted decomposition")
    resume.add_argument("shot", type=Path)
    add_yes(resume)
    resume.set_defaults(command=_resume)

    render = commands.add_parser("render", help="render the edited clip")
    render.add_argument("shot", type=Path)
    render.add_argument(
        "--out",
        required=True,
        help="movie (.mp4 .mov .mkv .webm .mxf) or pattern such as %%05d.png",
    )
    add_edits(render)
    add_values(render)
    render.add_argument("--mode", choices=("delta", "full"), default="delta")
    add_frames(render)
    add_image_numbers(render)
    add_output_format(render)
    render.add_argument(
        "--again", action="store_true", help="also numbered images that would come out the same"
    )
    render.add_argument(
        "--ahead",
        type=whole(-(10**9) + 1, 10**9 - 1),
        metavar="FRAME",
        help="numbered images for a preview that plays: this frame and those after it first, and "
        "with --json each is told of when it stands",
    )
    render.add_argument("--layer", metavar="NAME", help="this layer alone, with its alpha")
    add_finish(render)
    add_passes(render)
    add_removal(render)
    add_overlay(render)
    render.set_defaults(command=_render)

    evaluate = commands.add_parser("evaluate", help="measure a decomposition, write report/")
    evaluate.add_argument("shot", type=Path)
    evaluate.add_argument("--truth", type=Path, metavar="DIR", help="folder of a clip's truth")
    evaluate.add_argument("--tracks", type=Path, metavar="FILE", help=".npz of points to follow")
    evaluate.add_argument("--lpips", type=Path, metavar="FILE", help="AlexNet weights for LPIPS")
    evaluate.add_argument(
        "--no-page", dest="page", action="store_false", help="figures and pictures, no index.html"
    )
    evaluate.set_defaults(command=_evaluate)

    info = commands.add_parser("info", help="say what a decomposition folder holds")
    info.add_argument("shot", type=Path)
    info.set_defaults(command=_info)

    more = [*add_commands(commands), add_maps(commands), add_purge(commands)]
    more += [add_objects(commands), add_segment(commands)]
    for command in (decompose, resume, render, evaluate, info, *more):
        command.add_argument("--json", action="store_true", help="print one JSON object a line")
        command.add_argument(
            "--stop-with-stdin",
            action="store_true",
            help="stop when standard input, a pipe, is closed: for a program that starts this one",
        )
        command.add_argument(
            "--log",
            type=Path,
            metavar="FILE",
            help="also write what is said to FILE, with the time, after what stands there",
        )
        command.add_argument(
            "--threads",
            type=whole(1, 1024),
            metavar="N",
            help="work with at most N threads; by default with as many as the machine has cores",
        )
    return parser
