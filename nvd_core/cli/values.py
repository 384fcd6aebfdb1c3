"""`nvd values`, and values given to other commands."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.cli.arguments import (
    add_values,
    given_values,
    whole,
)
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.sizes import MOST_FRAMES

if TYPE_CHECKING:
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.values import Values


def add_values_command(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd values`."""
    values = commands.add_parser(
        "values", help="show or set how much of each layer shows, and how it is lit"
    )
    values.add_argument("shot", type=Path)
    add_values(values)
    values.add_argument(
        "--key",
        type=whole(0, MOST_FRAMES - 1),
        metavar="FRAME",
        help="set the values in this frame of the clip, counted from 0, as keys",
    )
    values.add_argument(
        "--interpolation",
        choices=("linear", "constant"),
        help="between the keys; default: as it is, and linear for the first key",
    )
    values.add_argument(
        "--reset", action="append", default=[], metavar="LAYER", help="back to 1, without keys"
    )
    values.set_defaults(command=_values)
    return values


def changed_values(shot: "Shot", parsed: argparse.Namespace) -> "Values":
    """The folder's values with the constants given on the command line."""
    from nvd_core.shot.values import read_values

    values = read_values(shot)
    for name, what, value in given_values(parsed):
        values = values.with_value(shot.layer(name).name, what, value)
    return values


def _values(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.values import read_values, said_by_layer, write_values

    shot = Shot.open(parsed.shot)
    given = given_values(parsed)
    if given or parsed.reset:
        with writing(shot.folder, "nvd values", progress):
            values = read_values(shot)
            for name in parsed.reset:
                values = values.without(shot.layer(name).name)
            for name, what, value in given:
                layer = shot.layer(name).name
                values = values.with_value(layer, what, value, parsed.key, parsed.interpolation)
            write_values(shot, values)
    return {"layers": said_by_layer(read_values(shot))}
