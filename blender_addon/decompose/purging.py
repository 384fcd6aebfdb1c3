"""What of a shot's folder can be made again, how large it is, and the job that removes it."""

from pathlib import Path

import bpy

from ..blender.inside import inside
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import engine_command
from ..shot import flat
from ..shot.folder import ShotError
from ..shot.shots import NVD_PG_shot
from ..strip.shot_job import queue_shot_job

KIND = "purge"
FLAT, RENDER = "flat", "render"


def sizes(entry: NVD_PG_shot) -> dict[str, int]:
    """Bytes by part, of `render` with what else lies there."""
    folder = inside(entry.path, RENDER, ShotError)
    rendered = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return {FLAT: flat.size_of(entry.path), RENDER: rendered}


def queue_purge(
    entry: NVD_PG_shot, scene: bpy.types.Scene, parts: list[str], python: str | Path | None = None
) -> Job:
    """Queue `nvd purge`; AddonError where nothing is chosen, or without an engine.

    A flattened stack that is removed is not made again by itself.
    """
    if not parts:
        raise AddonError("nothing is chosen to be removed", "choose a part")
    if FLAT in parts:
        entry.flatten = False
    python = python or find_engine().python
    command = engine_command(python, "purge", entry.path, *parts)
    title = f"{entry.name} purge"
    return queue_shot_job(entry, scene, python, ("removing", command), kind=KIND, title=title)
