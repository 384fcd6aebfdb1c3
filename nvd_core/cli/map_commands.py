"""The command `nvd maps`: the forms in which a folder keeps its maps."""

import argparse
from pathlib import Path

from nvd_core.runtime.progress import Progress


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
