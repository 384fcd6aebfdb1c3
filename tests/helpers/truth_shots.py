"""Decompositions made from a truth, as good as they can be or spoilt in a known way."""

import shutil
from collections.abc import Callable
from pathlib import Path

from bench.truth_shot import shot_of_truth

from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.shot import Shot

TURNING = Path(__file__).parents[2] / "samples" / "truth" / "turning"

__all__ = ["TURNING", "shot_of_truth", "spoilt"]


def spoilt(shot: Shot, folder: Path, change: Callable[[int, LayerMaps], None]) -> Shot:
    """A copy of `shot` with the maps of its first layer changed in place by `change`(t, maps)."""
    shutil.copytree(shot.folder, folder)
    shutil.rmtree(folder / "report", ignore_errors=True)
    copy = Shot.open(folder)
    for t in range(shot.frames):
        maps = read_maps(copy.map_path(t), copy.names)
        change(t, maps.layer(0))
        write_maps(copy.map_path(t), copy.names, [maps.layer(n) for n in range(len(copy.names))])
    return copy
