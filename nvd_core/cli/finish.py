"""The command `nvd finish`: edges, holdouts and motion blur; and the same for once in `render`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.cli.arguments import named_path, whole
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.shown import shown
from nvd_core.shot.finish_words import (
    DEFAULT_SAMPLES,
    DEFAULT_SHUTTER,
    EDGES,
    MOST_CHOKE,
    MOST_FEATHER,
    MOST_SAMPLES,
    MOST_SHUTTER,
    PASSES,
)

if TYPE_CHECKING:
    from nvd_core.shot.finish import Finish
    from nvd_core.shot.shot import Shot

_RANGES = {
    "choke": (-MOST_CHOKE, MOST_CHOKE),
    "feather": (0.0, MOST_FEATHER),
    "spill": (0.0, 1.0),
}


def number_within(low: float, high: float) -> Callable[[str], float]:
    """The reader of a number in a range."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"expected a number from {low:g} to {high:g}, found {shown(text)}"
            )
        return value

    return read


def named_within(low: float, high: float) -> Callable[[str], tuple[str, float]]:
    """The reader of LAYER=NUMBER in a range."""
    number = number_within(low, high)

    def read(text: str) -> tuple[str, float]:
        name, separator, value = text.partition("=")
        if not (name and separator):
            raise argparse.ArgumentTypeError(f"expected LAYER=NUMBER, found {shown(text)}")
        return name, number(value)

    return read


def add_finish(command: argparse.ArgumentParser) -> None:
    """`--choke`, `--feather`, `--spill`, `--shutter` and `--samples`."""
    for what, text in (
        ("choke", "pixels by which edges of its paint are drawn in; below 0 they spread"),
        ("feather", "pixels over which they are softened to both sides"),
        ("spill", "how much of the replaced colour is taken out at soft edges, 0 to 1"),
    ):
        command.add_argument(
            f"--{what}",
            type=named_within(*_RANGES[what]),
            action="append",
            default=[],
            metavar="LAYER=NUMBER",
            help=text,
        )
    command.add_argument(
        "--shutter",
        type=number_within(0, MOST_SHUTTER),
        nargs="?",
        const=DEFAULT_SHUTTER,
        metavar="FRAMES",
        help=f"blur paint by its motion while the shutter is open, 0 to {MOST_SHUTTER:g} frames; "
        f"{DEFAULT_SHUTTER} without a number, 0: no blur",
    )
    command.add_argument(
        "--samples",
        type=whole(2, MOST_SAMPLES),
        metavar="N",
        help=f"times at which blurred paint is looked at; default {DEFAULT_SAMPLES}",
    )


def add_passes(command: argparse.ArgumentParser) -> None:
    """`--passes` and `--passes-to` of `nvd render`."""
    command.add_argument(
        "--passes",
        nargs="+",
        choices=PASSES,
        default=[],
        help="of each layer, or of --layer, also write these as EXR sequences",
    )
    command.add_argument(
        "--passes-to",
        type=Path,
        metavar="DIR",
        help="where they go, as DIR/LAYER/PASS/00000.exr; by itself passes/ beside the output",
    )


def add_finish_command(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `nvd finish`."""
    finish = commands.add_parser(
        "finish", help="show or set how paint meets the plate: edges, holdouts, motion blur"
    )
    finish.add_argument("shot", type=Path)
    add_finish(finish)
    finish.add_argument(
        "--holdout",
        type=named_path,
        action="append",
        default=[],
        metavar="LAYER=PATH",
        help="matte of what lies in front of the layer's paint, white: image, folder, pattern or "
        "movie, !PATH inverted; it is copied",
    )
    finish.add_argument(
        "--no-holdout", action="append", default=[], metavar="LAYER", help="take it off again"
    )
    finish.add_argument(
        "--reset",
        action="append",
        default=[],
        metavar="LAYER",
        help="its edges as the matte has them, and no holdout",
    )
    finish.set_defaults(command=_finish)
    return finish


def changed_finish(shot: "Shot", parsed: argparse.Namespace, finish: "Finish") -> "Finish":
    """`finish` with what `add_finish` has read."""
    from dataclasses import replace

    for what in EDGES:
        for name, value in getattr(parsed, what):
            finish = finish.with_edge(shot.layer(name).name, **{what: value})
    blur = finish.motion_blur
    if parsed.shutter is not None:
        blur = replace(blur, shutter=parsed.shutter)
    if parsed.samples is not None:
        if blur.shutter == 0:
            raise NvdError(
                "--samples is about motion blur, and there is none",
                expected="--shutter with it",
                remedy="say how long the shutter is open, or leave out --samples",
            )
        blur = replace(blur, samples=parsed.samples)
    return replace(finish, motion_blur=blur)


def rendered_finish(shot: "Shot", parsed: argparse.Namespace) -> "Finish":
    """The folder's, with what is given for this once."""
    from nvd_core.shot.finish import read_finish

    return changed_finish(shot, parsed, read_finish(shot))


def _finish(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.holdout import forget_holdout, import_holdout
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.finish import as_json, read_finish, write_finish
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    given = [parsed.holdout, parsed.no_holdout, parsed.reset, *(getattr(parsed, w) for w in EDGES)]
    if any(given) or parsed.shutter is not None or parsed.samples is not None:
        with writing(shot.folder, "nvd finish", progress):
            before = read_finish(shot)
            finish = before
            for name in parsed.reset:
                finish = finish.without(shot.layer(name).name)
            finish = changed_finish(shot, parsed, finish)
            for name in parsed.no_holdout:
                finish = finish.with_edge(shot.layer(name).name, holdout=None)
            for name, path in parsed.holdout:
                layer = shot.layer(name).name
                holdout, said = import_holdout(shot, layer, path)
                finish = finish.with_edge(layer, holdout=holdout)
                for caution in said:
                    progress.caution(caution)
            write_finish(shot, finish)
            used = {own.holdout for own in finish.layers.values()}
            for holdout in {own.holdout for own in before.layers.values()} - used:
                forget_holdout(shot, holdout)
    said_now = as_json(read_finish(shot))
    return {"layers": said_now["layers"], "motion_blur": said_now.get("motion_blur", "none")}
