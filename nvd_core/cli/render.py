"""The command `nvd render`: the edited clip as a movie or numbered images."""

import argparse
from pathlib import Path

from nvd_core.cli.arguments import (
    add_edits,
    add_frames,
    add_image_numbers,
    add_output_format,
    add_overlay,
    add_removal,
    add_values,
    whole,
)
from nvd_core.cli.finish import add_finish, add_passes, rendered_finish
from nvd_core.cli.values import changed_values
from nvd_core.runtime.progress import Progress


def add_render(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add its parser."""
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
    render.add_argument(
        "--after",
        type=Path,
        metavar="SHOT",
        help="the section before this one of a long clip: frames that both have fade from its "
        "picture to this one's",
    )
    add_finish(render)
    add_passes(render)
    add_removal(render)
    add_overlay(render)
    render.set_defaults(command=_render)
    return render


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
        after=Shot.open(parsed.after) if parsed.after else None,
    )
