"""The commands `nvd maps` and `nvd purge`: what a folder keeps, in which form."""

import argparse
from pathlib import Path

from nvd_core.runtime.progress import Progress
from nvd_core.runtime.shown import shown
from nvd_core.shot.purge_words import PARTS


def add_maps(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add its parser."""
    maps = commands.add_parser(
        "maps", help="write the EXR maps that compositors need, or do without them"
    )
    maps.add_argument("shot", type=Path)
    maps.add_argument(
        "--compact",
        action="store_true",
        help="keep compact maps alone, a quarter of the size; `nvd maps` makes the EXR again",
    )
    maps.set_defaults(command=_maps)
    return maps


def _maps(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.shot.map_forms import compact, make_exrs
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    return compact(shot, progress) if parsed.compact else make_exrs(shot, progress)


def add_purge(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add the parser of `nvd purge`."""
    command = commands.add_parser(
        "purge", help="remove what can be made again; without a part, say how large each is"
    )
    command.add_argument("shot", type=Path)
    command.add_argument("part", nargs="*", type=_part, help=" or ".join(PARTS))
    command.set_defaults(command=_purge)
    return command


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(PARTS)}, found {shown(text)}")
    return text


def _purge(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.purge import purge, sizes
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    if not parsed.part:
        return {"bytes": sizes(shot)}
    with writing(shot.folder, "nvd purge", progress):
        return {"removed_bytes": purge(shot, parsed.part, progress)}
