"""A shot made better without starting over: a job that goes on from its networks.

job = refine(entry, scene, steps=2000)      # Open in the list of jobs lists what comes of it

The new shot lies beside the old one, with all that was painted; the old one stays as it is.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.runner import runner
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot
from .job import making_job

MOST_VERSIONS = 100_000


def refine(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    *,
    masks: Sequence[tuple[str, str | Path]] = (),
    steps: int = 0,
    device: str = "auto",
    python: Path | None = None,
) -> Job:
    """Save the paint, and queue `nvd refine` of a shot; AddonError where the disk refuses.

    masks: (name, path) of the objects whose masks were corrected. steps: to be trained; 0: half as
    many as the clip had.
    """
    shot = entry.read()
    save_edits(entry)
    python = python or find_engine().python
    out = next_version(shot.folder)
    words = ["refine", shot.folder, "--out", out]
    for name, path in masks:
        words += ["--mask", f"{name}={os.path.abspath(path)}"]
    if steps:
        words += ["--steps", steps]
    words += ["--device", device]
    names = ("strip", "strip_id", "first_frame")
    about = {name: getattr(entry, name) for name in names} | {"refines": str(shot.folder)}
    job = making_job(python, out, words, about=about)
    return runner.queue_job(job, scene)


def next_version(folder: Path) -> Path:
    """The first name beside `folder` that neither a file nor a job has: shot.nvd, shot_v2.nvd."""
    stem, number = folder.stem, 1
    if match := re.fullmatch(r"(.+)_v(\d{1,6})", stem):
        stem, number = match[1], int(match[2])
    taken = {Path(job.out) for job in runner.queue.jobs if job.out}
    for version in range(number + 1, number + MOST_VERSIONS):
        path = Path(os.path.abspath(folder)).with_name(f"{stem}_v{version}{folder.suffix}")
        if path not in taken and not path.exists():
            return path
    raise AddonError(f"{folder} has too many versions", "remove some of them")
