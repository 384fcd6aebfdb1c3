"""A shot made better without starting over: a job that goes on from its networks.

job = refine(entry, scene, steps=2000)      # Open in the list of jobs lists what comes of it

The new shot lies beside the old one, with all that was painted; the old one stays as it is.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..blender.storage import jobs_folder
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import Job, new_name
from ..jobs.runner import runner
from ..shot.folder import Shot
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot
from . import better_masks
from .job import making_job
from .strip_job import preparation

MOST_VERSIONS = 100_000
AROUND = 10
"""frames to either side of a drawn mask in which it is carried anew"""


def refine(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    *,
    masks: Sequence[tuple[str, str | Path]] = (),
    parts: Sequence[tuple[str, str | Path]] = (),
    drawn: Sequence[str] = (),
    around: int = AROUND,
    steps: int = 0,
    device: str = "auto",
    python: Path | None = None,
) -> Job:
    """Save the paint, and queue `nvd refine` of a shot; AddonError where the disk refuses.

    masks: (name, path) of the objects whose masks were corrected. parts: (layer.part, path) of
    parts with another mask, and of new ones; training begins anew then. drawn: names of those whose
    masks were drawn in Blender (better_masks.py), parts among them; up to `around` frames from a
    drawn one an object's mask is carried from there, farther off it stays. steps: to be trained; 0:
    half as many as the clip had.
    """
    shot = entry.read()
    name, before, copies = new_name(), [], []
    if drawn:
        masks, before, copies = _drawn(entry, shot, drawn, around, jobs_folder() / name, masks)
    save_edits(entry)
    python = python or find_engine().python
    out = next_version(shot.folder)
    words = ["refine", shot.folder, "--out", out]
    for thing, path in (*masks, *parts):  # what has a dot in its name is a part
        words += ["--part" if "." in thing else "--mask", f"{thing}={os.path.abspath(path)}"]
    if steps:
        words += ["--steps", steps]
    words += ["--device", device]
    kept = ("strip", "strip_id", "first_frame")
    about = {key: getattr(entry, key) for key in kept} | {"refines": str(shot.folder)}
    job = making_job(python, out, words, before=before, copies=copies, name=name, about=about)
    return runner.queue_job(job, scene)


def _drawn(
    entry: NVD_PG_shot, shot: Shot, names: Sequence[str], around: int, folder: Path, masks
) -> tuple[list, list, list]:
    """All masks that are given, what draws some of them beforehand, and files to be copied."""
    plan = {"scene": None, "masks": [], "like": str(shot.frame(0))}
    blocks: set[bpy.types.ID] = set()
    copies, given = [], list(masks)
    for name in names:
        target = folder / "masks" / name
        made = better_masks.masks_of(entry, name, target, around)
        plan["masks"] += made.parts
        blocks |= made.blocks
        copies += made.copies
        given.append((name, target))
    folder.mkdir(parents=True)
    return given, [preparation(folder, plan, blocks)], copies


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
