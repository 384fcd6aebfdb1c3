"""What a finished decomposition is opened as: a shot in the list, or several of one clip.

    entries = open_result(job, scene)

Each is bound to the strip that its job was started from, whatever that is called now. Those of
several shots are listed by themselves when their job has ended.
"""

import re
from pathlib import Path

import bpy

from ..blender.inside import inside
from ..blender.strip_identity import strip_by
from ..errors import AddonError
from ..jobs import checked_json
from ..jobs.checked_json import Odd
from ..jobs.job import DONE, FAILED, Job
from ..jobs.runner import runner
from ..shot import painting
from ..shot.shots import NVD_PG_shot, add_shot, all_shots

SHOTS = "shots.json"
OPENED = ("decompose", "maps")
"""kinds of job whose folder is opened when they are done"""
LIMIT = 1 << 24  # bytes
FARTHEST = 2**31


def open_result(job: Job, scene: bpy.types.Scene) -> list[NVD_PG_shot]:
    """List what the job has made in `scene`; AddonError where it cannot be opened."""
    about, out = job.plan["about"], Path(job.out)
    strip = _strip_of(about, scene)
    if not about.get("shots"):
        first = about.get("first_frame")
        made = add_shot(out, scene, strip=strip, first_frame=first if _fits(first) else None)
        for entry in all_shots():
            if str(entry.path) == about.get("refines") and entry != made:
                painting.go_over(entry, made)
        return [made]
    base = about.get("counted_from")
    base = base if _fits(base) else 0
    made = [shot for shot in _shots(out) if (shot[0] / "manifest.json").is_file()]
    if not made:
        raise AddonError(f"{out} holds no finished shot", "start the job again")
    names = []
    for folder, first in made:
        fresh = not any(entry.path == folder for entry in scene.nvd_shots)
        entry = add_shot(folder, scene, strip=strip, first_frame=first - base, rebuild=False)
        if fresh:
            entry.name = f"{job.title} {folder.stem}"
        names.append(folder)
    return [entry for entry in scene.nvd_shots if entry.path in names]


def finished_jobs(scene: bpy.types.Scene) -> list[Job]:
    """The scene's jobs that nothing is left to do with: decompositions, once they are opened."""
    folders = {entry.path for entry in all_shots()}
    parents = {folder.parent for folder in folders}

    def is_opened(job: Job) -> bool:
        return Path(job.out) in (parents if job.plan["about"].get("shots") else folders)

    done = [job for job in runner.jobs_of(scene) if job.state == DONE]
    return [job for job in done if job.kind not in OPENED or is_opened(job)]


def _shots(out: Path) -> list[tuple[Path, int]]:
    """The folder of each shot, and its first frame as the engine was told to count."""
    path = out / SHOTS
    try:
        noted = checked_json.read(path, LIMIT) or {}
        if (noted.get("schema"), noted.get("version")) != ("nvd.shots", 1):
            raise Odd("no list of shots")
        found = []
        for shot in checked_json.listed(noted, "shots"):
            if not isinstance(shot, dict) or not _fits(shot.get("first")):
                raise Odd(f"shots: expected a name and frames, found {checked_json.shown(shot)}")
            name = checked_json.text(shot, "name")
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise Odd(f"name: expected that of a folder, found {checked_json.shown(name)}")
            found.append((Path(inside(out, f"{name}.nvd", AddonError)), shot["first"]))
    except Odd as odd:
        raise AddonError(f"{path} is damaged: {odd}", "start the job again") from odd
    return found


def _strip_of(about: dict, scene: bpy.types.Scene) -> str:
    """What the strip is called now that a job was started from; "" where it is not there."""
    words = (about.get(name) for name in ("strip_id", "strip"))
    id, name = (word if isinstance(word, str) else "" for word in words)
    strip = strip_by(scene, id, name)
    return strip.name if strip is not None else ""


def _fits(number: object) -> bool:
    return type(number) is int and abs(number) < FARTHEST


def _when_ended(job: Job) -> None:
    """List the shots of a clip; of a job that failed those that are done."""
    if job.kind != "decompose" or not job.plan["about"].get("shots"):
        return
    scene = runner.scene_of(job)
    if scene is None or job.state not in (DONE, FAILED):
        return
    try:
        open_result(job, scene)
    except AddonError as error:
        if job.state == DONE:
            job.fail(error.problem, error.remedy, error.button)
        return
    bpy.ops.ed.undo_push(message="Open Shots")


def _when_ready(job: Job) -> None:
    """List the shot as soon as it can be painted on; its job goes on."""
    scene = runner.scene_of(job)
    if scene is None or job.id in runner.foreign:
        return
    open_result(job, scene)
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Open Shot")


def register():
    runner.when_ended.append(_when_ended)
    runner.when_ready.append(_when_ready)


def unregister():
    runner.when_ended.remove(_when_ended)
    runner.when_ready.remove(_when_ready)
