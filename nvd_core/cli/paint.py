"""Commands that bring paint onto a folder's edits, and give it textures of another size."""

import argparse
from pathlib import Path

from nvd_core.cli.edits import add_entry_range, said_range
from nvd_core.runtime.progress import Progress


def add_textures(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd textures`."""
    textures = commands.add_parser("textures", help="give a folder textures of another size")
    textures.add_argument("shot", type=Path)
    how = textures.add_mutually_exclusive_group(required=True)
    how.add_argument(
        "--size",
        type=int,
        choices=(1, 2, 4),
        help="times as wide and high as the size that was looked at asks for",
    )
    how.add_argument(
        "--back", action="store_true", help="the textures and edits of before; again, those of now"
    )
    textures.set_defaults(command=_textures)
    return textures


def _textures(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.texture_size import resize_textures, take_back
    from nvd_core.shot.shot import Shot

    if parsed.back:
        return take_back(Shot.open(parsed.shot), progress)
    return resize_textures(Shot.open(parsed.shot), parsed.size, progress)


def add_paint(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd paint`."""
    paint = commands.add_parser("paint", help="take paint on a frame onto the layers' edits")
    paint.add_argument("shot", type=Path)
    paint.add_argument("--frame", type=int, required=True, metavar="N", help="counted from 0")
    paint.add_argument(
        "--image",
        type=Path,
        required=True,
        metavar="PAINT",
        help="of the clip's size: paint alone, with alpha, or a painted copy of the frame",
    )
    paint.add_argument(
        "--base",
        type=Path,
        metavar="IMAGE",
        help="what PAINT is a painted copy of; by itself the frame with the present edits",
    )
    paint.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="take the paint to this layer only; may be given again",
    )
    paint.add_argument(
        "--lit", action="store_true", help="the paint is the surface's colour, to be lit"
    )
    paint.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the painted edits there, and leave those of the folder as they are",
    )
    paint.add_argument(
        "--as",
        dest="entry",
        metavar="NAME",
        help="make the paint an edit of its own, which shows in --frames: see `nvd edits`",
    )
    add_entry_range(paint)
    paint.set_defaults(command=_paint)
    return paint


def _paint(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.paint_frame import paint_frame
    from nvd_core.runtime.errors import NvdError
    from nvd_core.shot.shot import Shot

    said = said_range(parsed)
    if said and not parsed.entry:
        raise NvdError(
            "--frames and --fade are of an edit of its own",
            expected="--as NAME with them",
            remedy="name it, or leave them out",
        )
    return paint_frame(
        Shot.open(parsed.shot),
        parsed.frame,
        parsed.image,
        base=parsed.base,
        layers=parsed.layer,
        lit=parsed.lit,
        out=parsed.out,
        entry={"name": parsed.entry} | said if parsed.entry else None,
        progress=progress,
    )


def add_across(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd across`."""
    across = commands.add_parser(
        "across", help="take paint on one view's part of a texture into the other views"
    )
    across.add_argument("shot", type=Path)
    _add_layers(across)
    across.add_argument("--back", action="store_true", help="take away what came so")
    across.set_defaults(command=_across)
    return across


def _across(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.paint_views import paint_across
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    return paint_across(shot, parsed.layer, back=parsed.back, progress=progress)


def _add_layers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="the paint of this layer only; may be given again",
    )


def add_carry(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd carry`."""
    carry = commands.add_parser("carry", help="bring paint from one decomposition to another")
    carry.add_argument("shot", type=Path, help="the folder that was painted on")
    carry.add_argument(
        "to",
        type=Path,
        nargs="+",
        help="another decomposition of the same clip; of several the paint goes on from each to "
        "the next",
    )
    _add_layers(carry)
    carry.add_argument("--over", action="store_true", help="replace paint that is there already")
    carry.set_defaults(command=_carry)
    return carry


def _carry(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.carry import carry, carry_along
    from nvd_core.shot.shot import Shot

    shots = [Shot.open(folder) for folder in (parsed.shot, *parsed.to)]
    how = {"over": parsed.over, "progress": progress}
    if len(shots) == 2:
        return carry(*shots, parsed.layer, **how)
    return carry_along(shots, parsed.layer, **how)
