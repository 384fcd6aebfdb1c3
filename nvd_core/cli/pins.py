"""The commands `nvd pins`: points of the textures held where they belong in the picture."""

import argparse
from pathlib import Path
from typing import Any

from nvd_core.cli.edits import fade, numbers
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress


def add_pins_commands(commands: argparse._SubParsersAction) -> list[argparse.ArgumentParser]:
    """Add `nvd pins` with its subcommands."""
    pins = commands.add_parser("pins", help="hold points of a texture where they belong")
    what = pins.add_subparsers(required=True, metavar="WHAT")
    listed = what.add_parser("list", help="show the pins, and whether the maps have them")
    add = what.add_parser("add", help="hold a point of a layer's texture at pixels of frames")
    change = what.add_parser("set", help="change a pin")
    remove = what.add_parser("remove", help="take pins out; without any the maps are as they were")
    apply = what.add_parser("apply", help="write the maps as the pins say")
    parsers = [listed, add, change, remove, apply]
    for parser in parsers:
        parser.add_argument("shot", type=Path)
    for parser in (add, change, remove):
        parser.add_argument(
            "--later", action="store_true", help="leave the maps until `nvd pins apply`"
        )

    add.add_argument("--layer", required=True, help="layer whose texture has slipped")
    add.add_argument("--name", required=True, help="name of the pin")
    point = add.add_mutually_exclusive_group(required=True)
    point.add_argument(
        "--at",
        type=numbers(3),
        metavar="T,X,Y",
        help="the point that pixel X,Y of frame T shows; it stays there",
    )
    point.add_argument(
        "--texture", type=numbers(2), metavar="u,v", help="the point in shares of the texture"
    )
    change.add_argument("name", help="name of the pin")
    change.add_argument("--rename", metavar="NAME", help="another name for it")
    shows = change.add_mutually_exclusive_group()
    shows.add_argument("--on", dest="on", action="store_const", const=True, help="let it hold")
    shows.add_argument("--off", dest="on", action="store_const", const=False, help="let it go")
    for parser in (add, change):
        parser.add_argument(
            "--to",
            type=numbers(3),
            action="append",
            default=[],
            metavar="T,X,Y",
            help="where it belongs: pixel X,Y of frame T; may be given again",
        )
        parser.add_argument(
            "--radius",
            type=numbers(1),
            metavar="SHARE",
            help="how far the texture bends with it, of its longer side; by itself 0.25 or more",
        )
        parser.add_argument(
            "--fade",
            type=fade,
            metavar="IN,OUT",
            help="frames before and behind in which it comes and goes; by itself it holds",
        )
    remove.add_argument("name", nargs="*", help="names of pins")
    remove.add_argument("--all", action="store_true", help="all of them")

    listed.set_defaults(command=_list)
    add.set_defaults(command=_add)
    change.set_defaults(command=_set)
    remove.set_defaults(command=_remove)
    apply.set_defaults(command=_apply)
    return parsers


def _list(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.runtime.shown import shown
    from nvd_core.shot.edit_document import said_of
    from nvd_core.shot.pins import is_applied, read_pins
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    pins = [said_of(pin) for pin in read_pins(shot).pins]
    if parsed.json:
        return {"pins": pins, "applied": is_applied(shot)}
    said = {pin.pop("name"): shown(pin, 400) for pin in pins}
    return {"pins": len(pins), "applied": "yes" if is_applied(shot) else "no"} | said


def _target(given: list[float], option: str) -> list[int | float]:
    t, x, y = given
    if t != int(t) or t < 0:
        raise NvdError(
            f"{option} begins with the number of a frame",
            expected="a whole number from 0",
            found=f"{t:g}",
            remedy=f"give {option} FRAME,X,Y",
        )
    return [int(t), x, y]


def _said(parsed: argparse.Namespace) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if parsed.to:
        said["to"] = sorted(_target(to, "--to") for to in parsed.to)
    if parsed.radius is not None:
        said["radius"] = parsed.radius
    if parsed.fade is not None:
        said["fade"] = list(parsed.fade)
    return said


def _add(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.pin_edit import add_pin
    from nvd_core.editing.pin_maps import COMMAND
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    if not parsed.to:
        raise NvdError(
            "nothing says where the point belongs",
            expected="--to T,X,Y",
            remedy="give it once for each frame in which you know its place",
        )
    with writing(shot.folder, COMMAND, progress):
        said = {"name": parsed.name, "layer": shot.layer(parsed.layer).name} | _said(parsed)
        seen = None
        if parsed.at:
            t, x, y = _target(parsed.at, "--at")
            seen = int(t), float(x), float(y)
        else:
            said["at"] = parsed.texture
        return add_pin(shot, said, seen, later=parsed.later, progress=progress)


def _set(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.pin_edit import set_pin
    from nvd_core.editing.pin_maps import COMMAND
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, COMMAND, progress):
        said = _said(parsed)
        if parsed.rename:
            said["name"] = parsed.rename
        if parsed.on is not None:
            said["on"] = parsed.on
        return set_pin(shot, parsed.name, said, later=parsed.later, progress=progress)


def _remove(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.pin_edit import remove_pins
    from nvd_core.editing.pin_maps import COMMAND
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    if bool(parsed.name) == parsed.all:
        raise NvdError(
            "which pins are to go?",
            expected="names, or --all",
            remedy="see `nvd pins list`",
        )
    names = None if parsed.all else parsed.name
    with writing(shot.folder, COMMAND, progress):
        return remove_pins(shot, names, later=parsed.later, progress=progress)


def _apply(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.pin_maps import COMMAND, apply_pins
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.pins import read_pins
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, COMMAND, progress):
        pins = read_pins(shot)
        names = [pin.name for pin in pins.pins]
        return {"pins": names} | apply_pins(shot, pins, progress)
