"""`nvd farm`: a shot's template for farms, many shots by Dask; `nvd encode`, what they end with."""

import argparse
from pathlib import Path

from nvd_core.cli.arguments import add_frames, add_image_numbers, add_movie_format, whole
from nvd_core.runtime.progress import Progress


def add_farm(commands: argparse._SubParsersAction) -> list[argparse.ArgumentParser]:
    """Add `nvd farm` and what it has; the parsers that take the options of all commands."""
    farm = commands.add_parser("farm", help="share shots among many machines")
    what = farm.add_subparsers(required=True, metavar="WHAT")
    template = what.add_parser("template", help="write an Open Job Description of a shot")
    template.add_argument("--out", type=Path, required=True, metavar="FILE", help="FILE.yaml")
    template.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="NAME",
        help="an object with a mask, front to back; may be given again",
    )
    template.add_argument(
        "--settings", action="store_true", help="take a file of settings, in place of a preset"
    )
    template.add_argument("--movie", action="store_true", help="also render a movie, in one task")
    template.set_defaults(command=_template)

    run = what.add_parser("run", help="decompose and render a list of shots by Dask's workers")
    run.add_argument("list", type=Path, metavar="LIST", help="YAML file of shots")
    run.add_argument(
        "--scheduler",
        default="local",
        metavar="ADDRESS",
        help="such as tcp://host:8786; local (default): workers of this machine",
    )
    run.add_argument(
        "-j",
        dest="workers",
        type=whole(1, 1024),
        default=1,
        metavar="N",
        help="workers of this machine, if it is local: 1",
    )
    run.set_defaults(command=_run)
    return [template, run, _add_encode(commands)]


def _add_encode(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    encode = commands.add_parser("encode", help="make a movie of images that were rendered")
    encode.add_argument(
        "shot", type=Path, nargs="+", help="or all sections of a long clip, in their order"
    )
    encode.add_argument(
        "--images", required=True, metavar="PATTERN", help="what nvd render was told, --out PATTERN"
    )
    encode.add_argument("--out", required=True, help="movie (.mp4 .mov .mkv .webm .mxf)")
    add_frames(encode)
    add_image_numbers(encode)
    encode.add_argument(
        "--source",
        metavar="CLIP",
        help="of several sections: the clip, whose sound and uneven times the movie gets",
    )
    add_movie_format(encode)
    encode.set_defaults(command=_encode)
    return encode


def _encode(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.encode import encode
    from nvd_core.editing.joined import joined
    from nvd_core.shot.shot import Shot

    shots = [Shot.open(folder) for folder in parsed.shot]
    with joined(shots, parsed.source, parsed.out, progress) as shot:
        return encode(
            shot,
            parsed.images,
            parsed.out,
            frames=parsed.frames,
            start=parsed.start,
            codec=parsed.codec,
            quality=parsed.quality,
            audio=parsed.audio,
            progress=progress,
        )


def _template(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.farm.template import write_template

    return write_template(parsed.out, parsed.mask, parsed.settings, parsed.movie)


def _run(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.farm.run import LOCAL, run_show
    from nvd_core.farm.shot_list import load_shots
    from nvd_core.runtime.cores import usable_cores

    show = load_shots(parsed.list)
    threads = parsed.threads
    if threads is None and parsed.scheduler == LOCAL and parsed.workers > 1:
        threads = max(1, usable_cores() // parsed.workers)
    return run_show(show, parsed.scheduler, parsed.workers, progress, threads)
