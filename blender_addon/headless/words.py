"""The command line."""

import argparse
import re
from collections.abc import Callable

from ..decompose.job import DEVICES, MISSING, PRESETS, TEXTURE_SIZES
from ..errors import AddonError
from ..shot.scripting import MODES
from .tasks import (
    decompose,
    do_all,
    edits,
    flatten,
    import_shot,
    pins,
    prepare_inputs,
    refine,
    render,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise AddonError(message, f"see `{self.prog} --help`")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; AddonError for what it does not know."""
    made = _Parser(prog="nvd", description="Decompose, import and render without a window.")
    commands = made.add_subparsers(
        required=True, dest="command", metavar="COMMAND", parser_class=_Parser
    )

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=run.__doc__)
        added.set_defaults(run=run)
        added.add_argument("--json", action="store_true", help="print one JSON object a line")
        return added

    one = command("decompose", decompose, "turn a clip into a decomposition folder")
    again = command("refine", refine, "make a finished decomposition better")
    again.add_argument("shot")
    again.add_argument("--out", help="folder to make; by itself the next version")
    again.add_argument("--mask", type=_pair, action="append", default=[], metavar="NAME=PATH")
    again.add_argument("--part", type=_pair, action="append", default=[], metavar="NAME=PATH")
    again.add_argument("--steps", type=int, default=0)
    again.add_argument("--device", choices=DEVICES, default="auto")
    hold = command("pins", pins, "hold points of a texture where they belong")
    hold.add_argument("what", choices=("list", "add", "set", "remove", "apply"))
    hold.add_argument("shot")
    hold.add_argument("words", nargs=argparse.REMAINDER, help="what `nvd pins` takes behind it")
    flat = command("flatten", flatten, "write the stack of edits as pictures for nodes")
    flat.add_argument("shot")
    flat.add_argument("--remove", action="store_true", help="remove them instead")
    lay = command("edits", edits, "lay pictures, movies, words and strokes on the layers")
    lay.add_argument("what", choices=("list", "add", "set", "move", "remove", "purge"))
    lay.add_argument("shot")
    lay.add_argument("words", nargs=argparse.REMAINDER, help="what `nvd edits` takes behind it")
    two = command("import", import_shot, "open a folder in the compositor")
    three = command("render", render, "render the edited shot")
    four = command("all", do_all, "decompose, import, replace textures, composite, write")
    command("prepare", prepare_inputs, argparse.SUPPRESS).add_argument("plan")
    for added in (one, four):
        added.add_argument("source", help="movie, folder or pattern such as shot.%%04d.exr")
        added.add_argument("--out", required=True, help="folder to make: SHOT.nvd")
        added.add_argument("--mask", type=_pair, action="append", default=[], metavar="NAME=PATH")
        added.add_argument(
            "--part",
            type=_pair,
            action="append",
            default=[],
            metavar="LAYER.PART=PATH",
            help="mask of what moves by itself within an object or the background",
        )
        added.add_argument(
            "--find-parts", action="store_true", help="look for limbs in every object's outline"
        )
        added.add_argument(
            "--find-parts-of",
            action="append",
            default=[],
            metavar="NAME",
            help="the same of one object; may be given again",
        )
        added.add_argument(
            "--windows",
            type=_views,
            action="append",
            default=[],
            metavar="NAME=N",
            help="views in time of an object that turns, 1 for one picture; N alone: of every "
            "object; auto in place of N: found by themselves, the default; may be given again",
        )
        added.add_argument(
            "--frames", type=_range, metavar="A-B", help="counted from 0, or as --start says"
        )
        added.add_argument(
            "--start", type=_start, metavar="source|N", help="count --frames by the files' numbers"
        )
        added.add_argument("--missing", choices=MISSING, default="error")
        added.add_argument("--deinterlace", action="store_true")
        added.add_argument("--garbage", metavar="PATH|auto", help="mask of what is to be ignored")
        added.add_argument("--height", type=int, help="lines at which the clip is looked at")
        added.add_argument("--plate-height", type=int, help="lines of what is rendered")
        added.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, default=1)
        added.add_argument("--mask-margin", type=int, default=0, metavar="PIXELS")
        added.add_argument("--preset", choices=PRESETS, default="fast")
        added.add_argument("--device", choices=DEVICES, default="auto")
        added.add_argument("--settings", help="YAML file for the training")
        added.add_argument(
            "--rate",
            metavar="FPS",
            help="frames a second of pictures; default: those of the .blend that is open",
        )
        added.add_argument(
            "--yes", action="store_true", help="go on in a folder that you did not begin here"
        )
    one.add_argument(
        "--shots", action="store_true", help="decompose each shot of the clip into a folder in OUT"
    )
    four.set_defaults(shots=False)
    for added in (two, three):
        added.add_argument("shot")
    for added in (two, three, four):
        added.add_argument("--mode", choices=MODES, default="delta")
    for added in (two, four):
        added.add_argument("--save", metavar="FILE.blend")
    for added in (three, four):
        added.add_argument("--edit", type=_pair, action="append", default=[], metavar="LAYER=IMAGE")
        added.add_argument("--through", choices=("engine", "compositor"))
    three.set_defaults(through="engine")
    three.add_argument("--remove", action="append", default=[], metavar="NAME")
    three.add_argument("--overlay", choices=("grid", "doubt"), help="to judge the shot by")
    three.add_argument("--codec", help="of a movie, as of `nvd render`: prores-4444, h264, ...")
    three.add_argument("--bits", help="of images: 8, 10, 16, half or float")
    three.add_argument("--quality", help="of a movie or .jpg: draft, fine or 1 to 100")
    three.add_argument("--frames", dest="part", metavar="A-B", help="of the shot, from 0")
    four.set_defaults(remove=[], overlay=None)
    three.add_argument("--out", required=True, help="movie, or pattern such as %%05d.png")
    four.add_argument("--movie", required=True, help="movie, or pattern such as %%05d.png")
    return made


def _pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, found {text!r}")
    return name, path


def _views(text: str) -> tuple[str, int | str]:
    """As the engine has it: the name of an object, or none for all, and a number or auto."""
    name, _, number = text.rpartition("=")
    if number == "auto":
        return name, number
    if not re.fullmatch("[0-9]{1,4}", number) or not 0 < int(number) < 65:
        raise argparse.ArgumentTypeError(
            f"expected NAME=N or NAME=auto, or N or auto alone, N from 1 to 64, found {text!r}"
        )
    return name, int(number)


def _range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(-?[0-9]{1,9})-(-?[0-9]{1,9})", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"expected A-B with A <= B, found {text!r}")
    return int(match[1]), int(match[2])


def _start(text: str) -> str:
    if text != "source" and not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"expected source or a number, found {text!r}")
    return text
