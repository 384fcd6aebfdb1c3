"""The commands of `nvd` beyond a clip's own way, gathered."""

import argparse
from pathlib import Path

from nvd_core.cli.arguments import add_frames, start_number
from nvd_core.cli.edits import add_edits_commands
from nvd_core.cli.farm_commands import add_farm
from nvd_core.cli.finish import add_finish_command
from nvd_core.cli.outputs import add_camera, add_export
from nvd_core.cli.paint import add_across, add_carry, add_paint, add_textures
from nvd_core.cli.pins import add_pins_commands
from nvd_core.cli.refine import add_former, add_refine
from nvd_core.cli.values import add_values_command
from nvd_core.runtime.progress import Progress


def add_commands(commands: argparse._SubParsersAction) -> list[argparse.ArgumentParser]:
    """Add the parsers of all of them, in the order in which `nvd --help` lists them."""
    of_shot = [
        add(commands)
        for add in (
            add_camera,
            add_textures,
            add_paint,
            add_across,
            add_export,
            add_refine,
            add_former,
            add_carry,
            add_reproduce,
            add_values_command,
        )
    ]
    bake = add_bake(commands)
    more = [*add_farm(commands), *add_edits_commands(commands), *add_pins_commands(commands)]
    return [*of_shot, add_finish_command(commands), bake, *more]


def add_reproduce(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd reproduce`."""
    reproduce = commands.add_parser("reproduce", help="run a list of clips and settings, report")
    reproduce.add_argument("list", type=Path, help="YAML file: clips and variants")
    reproduce.add_argument("--out", type=Path, required=True, help="folder of runs and report")
    reproduce.set_defaults(command=_reproduce)
    return reproduce


def _reproduce(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.evaluation.reproduce.run import reproduce

    return reproduce(parsed.list, parsed.out, progress)


def add_bake(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """`nvd bake`."""
    bake = commands.add_parser("bake", help="bake some frames of a trained shot, for many machines")
    bake.add_argument("shot", type=Path)
    add_frames(bake)
    bake.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="count --frames by the source's own numbers, or from N",
    )
    bake.add_argument(
        "--finish", action="store_true", help="once all frames are baked: textures and manifest"
    )
    bake.set_defaults(command=_bake)
    return bake


def _bake(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.farm.bake import bake_frames, finish_bake
    from nvd_core.runtime.errors import NvdError

    if not parsed.finish:
        return bake_frames(parsed.shot, parsed.frames, parsed.start, progress)
    if parsed.frames or parsed.start is not None:
        raise NvdError("--finish is of all frames", remedy="leave out --frames and --start")
    return finish_bake(parsed.shot, progress)
