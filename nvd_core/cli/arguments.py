"""How the command line reads an argument: named paths, ranges, sizes; errors as NvdError."""

import argparse
import re
from typing import NoReturn

from nvd_core.runtime.errors import NvdError


class Parser(argparse.ArgumentParser):
    """argparse that speaks through NvdError."""

    def error(self, message: str) -> NoReturn:
        raise NvdError(message, remedy=f"see `{self.prog} --help`")


def named_path(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, found {text!r}")
    return name, path


def pixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected pixels, 0 or more, found {text!r}")
    return value


def frame_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if not match or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"expected A-B with A <= B, found {text!r}")
    return int(match[1]), int(match[2])


def size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or not all(16 <= int(side) <= 16384 for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f"expected WIDTHxHEIGHT with sides from 16 to 16384, found {text!r}"
        )
    return int(match[1]), int(match[2])
