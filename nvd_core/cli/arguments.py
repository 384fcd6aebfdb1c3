"""How the command line reads an argument: named paths, ranges, sizes; errors as NvdError.

And the arguments that several commands take.
"""

import argparse
import os
import re
from collections.abc import Callable
from fractions import Fraction
from typing import NoReturn

from nvd_core.media.codecs import CODECS, DRAFT, FINE
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_GROWN, rate_fits


class Parser(argparse.ArgumentParser):
    """argparse that speaks through NvdError."""

    def error(self, message: str) -> NoReturn:
        raise NvdError(message, remedy=f"see `{self.prog} --help`")


def named_path(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, found {shown(text)}")
    return name, path


def absolute_mask(path: str) -> str:
    """The mask's path made absolute, behind the ! that may stand before it."""
    from nvd_core.job import INVERTED

    if path.startswith(INVERTED) and not os.path.exists(path):
        return INVERTED + os.path.abspath(path.removeprefix(INVERTED))
    return os.path.abspath(path)


def mask_sources(given: list[tuple[str, str]]) -> list[list[str]]:
    """Names with the masks given for them: absolute paths, but for classes that are found."""
    from nvd_core.job import wanted_class

    return [[name, path if wanted_class(path) else absolute_mask(path)] for name, path in given]


def whole(least: int, most: int) -> Callable[[str], int]:
    """The reader of a whole number from `least` to `most`."""

    def read(text: str) -> int:
        value = int(text) if re.fullmatch(r"[-+]?[0-9]{1,20}", text) else None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to {most}, found {shown(text)}"
            )
        return value

    return read


def assignment(text: str) -> str:
    if not re.match(r"[^=]+=", text):
        raise argparse.ArgumentTypeError(
            f"expected NAME=VALUE, such as losses.flow=0.02, found {shown(text)}"
        )
    return text


def pixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected pixels, 0 or more, found {shown(text)}")
    return value


def frame_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(-?[0-9]{1,9})-(-?[0-9]{1,9})", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"expected A-B with A <= B, found {shown(text)}")
    return int(match[1]), int(match[2])


def start_number(text: str) -> int | str:
    """The number of the first frame, or the source's own."""
    if text == "source":
        return text
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"expected source or a number, found {shown(text)}")
    return int(text)


def frame_rate(text: str) -> Fraction:
    """Frames a second: 25, 23.976 (which is 24000/1001), 30000/1001."""
    match = re.fullmatch(r"([0-9]{1,6})(?:/([0-9]{1,6})|\.[0-9]{1,6})?", text)
    if match and not (match[2] and int(match[2]) == 0):
        rate = Fraction(text)
        near = Fraction(round(rate) * 1000, 1001)
        if not match[2] and rate.denominator > 1 and abs(rate - near) < Fraction(1, 100):
            rate = near
        if rate_fits(rate.numerator, rate.denominator):
            return rate
    raise argparse.ArgumentTypeError(
        f"expected frames a second, such as 25 or 30000/1001, found {shown(text)}"
    )


def size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", text)
    if not match or not all(16 <= int(side) <= 16384 for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT with sides from 16 to 16384, found {shown(text)}"
        )
    return int(match[1]), int(match[2])


def add_edits(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--edit",
        type=named_path,
        action="append",
        default=[],
        metavar="LAYER=IMAGE",
        help="edited texture in place of the folder's own edits/LAYER.png",
    )


def named_number(text: str) -> tuple[str, float]:
    name, separator, value = text.partition("=")
    match = re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{0,15})?|\.[0-9]{1,15}", value)
    if not (name and separator and match):
        raise argparse.ArgumentTypeError(
            f"expected NAME=NUMBER, such as bear=0.5, found {shown(text)}"
        )
    return name, float(value)


def add_values(command: argparse.ArgumentParser) -> None:
    """`--hide`, `--visibility` and `--light`: the layers' values in place of the folder's own."""
    command.add_argument(
        "--hide",
        action="append",
        default=[],
        metavar="LAYER",
        help="leave this layer's paint out (--mode full: the layer); may be given again",
    )
    for what, text in (
        ("visibility", "how much of the layer's paint shows, 0 to 1"),
        ("light", "how much of the shot's changing light falls on the layer, 0 to 100"),
    ):
        command.add_argument(
            f"--{what}",
            type=named_number,
            action="append",
            default=[],
            metavar="LAYER=VALUE",
            help=text,
        )


def given_values(parsed: argparse.Namespace) -> list[tuple[str, str, float]]:
    """What `add_values` has read: layer, visibility or light, value."""
    hidden = [(name, "visibility", 0.0) for name in parsed.hide]
    visible = [(name, "visibility", value) for name, value in parsed.visibility]
    return hidden + visible + [(name, "light", value) for name, value in parsed.light]


def add_frames(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--frames", type=frame_range, metavar="A-B", help="counted from 0, or as --start says"
    )


def add_image_numbers(command: argparse.ArgumentParser) -> None:
    """`--start` of a command that writes numbered images."""
    command.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="numbers of the images: the source's own (default, where it has some) or from N",
    )


def bits(text: str) -> int | str:
    if text not in ("8", "10", "16", "half", "float"):
        raise argparse.ArgumentTypeError(f"expected 8, 10, 16, half or float, found {shown(text)}")
    return int(text) if text.isdigit() else text


def quality(text: str) -> int | str:
    """The reader of `--quality`."""
    return text if text in (DRAFT, FINE) else whole(1, 100)(text)


def add_output_format(command: argparse.ArgumentParser) -> None:
    """`--bits`, `--codec` and `--quality` of a command that writes images or a movie."""
    command.add_argument(
        "--bits",
        type=bits,
        metavar="8|10|16|half|float",
        help="of image files: 10 for .dpx, half for .exr, float for .exr and .tif",
    )
    add_movie_format(command)


def add_movie_format(command: argparse.ArgumentParser) -> None:
    """`--codec`, `--quality` and `--no-audio`."""
    command.add_argument(
        "--codec",
        choices=tuple(CODECS),
        help="of a movie; default: prores-4444 in .mov, h264 in .mp4 and .mkv, vp9 in .webm, "
        "dnxhr-hqx in .mxf",
    )
    command.add_argument(
        "--quality",
        type=quality,
        metavar="draft|fine|1-100",
        help="draft: as fast as can be, a movie of h264, hevc and vp9, and .png; 1-100: of these "
        "movies, ProRes and .jpg; fine (default): visually lossless",
    )
    command.add_argument(
        "--no-audio", dest="audio", action="store_false", help="a movie without the source's sound"
    )


def add_removal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--remove",
        action="append",
        default=[],
        metavar="NAME",
        help="show the background where this object is; may be given again",
    )
    parser.add_argument(
        "--grow",
        type=whole(0, MOST_GROWN),
        metavar="PIXELS",
        help="how much wider than the object the hole is; by itself the height / 200",
    )
    parser.add_argument(
        "--unseen",
        metavar="PATTERN",
        help="images of where the clip never shows what is behind, such as unseen/%%05d.png",
    )


def add_overlay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overlay",
        choices=("grid", "doubt"),
        help="lay over the frames a grid on every layer, or where the decomposition is in doubt",
    )
    parser.add_argument(
        "--overlay-opacity",
        type=share,
        default=0.5,
        metavar="0-1",
        help="how opaque that is; by itself 0.5",
    )


def share(text: str) -> float:
    match = re.fullmatch(r"[01]?(?:\.[0-9]{0,15})?", text)
    if not (match and any(map(str.isdigit, text)) and 0 <= float(text) <= 1):
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {shown(text)}")
    return float(text)


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes",
        action="store_true",
        help="read what the folder names outside itself, though you did not begin it here",
    )
