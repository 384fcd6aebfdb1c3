"""Textures of another size, x1, x2 or x4: made by a job, and shown in place of those of before.

    job = queue_size(entry, scene, 2)      # saves the paint, which comes along
    job = queue_back(entry, scene)         # what was before; once more brings this again

The engine writes new files, so what is painted meanwhile still goes into the old ones. The shot
goes over to the new ones once all its paint is saved. Paint that was saved too late to come along
is brought over by going back and making the size once more. After an undo the shot stays as Blender
has it until the button is pressed.
"""

from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..blender.editors import in_stroke
from ..blender.handlers import register_handlers_factory, timer_factory
from ..blender.undo import under_way
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import painting, states
from ..shot.shots import NVD_PG_shot, all_shots, shots_at
from ..strip.shot_job import queue_shot_job
from . import refining

SIZES = (1, 2, 4)
KIND = "textures"
INTERVAL = 1.0
_left: dict[Path, dict[str, str]] = {}
"""by folder: the edits that it showed when an undo went back to others"""


def queue_size(
    entry: NVD_PG_shot, scene: bpy.types.Scene, size: int, python: str | Path | None = None
) -> Job:
    """Save the paint and queue `nvd textures --size`; AddonError where the folder, the disk or a
    job that is at it refuses, or there is no engine.
    """
    return _queue(entry, scene, [["--size", str(size)]], python)


def queue_back(entry: NVD_PG_shot, scene: bpy.types.Scene, python: str | Path | None = None) -> Job:
    """Save the paint and queue the way back to the textures of before."""
    if states.former_textures(entry.path) is None:
        raise AddonError(f"the textures of {entry.name} had no other size", "choose a size")
    return _queue(entry, scene, [["--back"]], python)


def size_of(entry: NVD_PG_shot) -> int:
    """How many times as large as asked for the folder's textures are; 0 where it can't be read."""
    shot = states.shown_shot(entry.path)
    return shot.texture_size if shot is not None else 0


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job that changes the size of the shot's textures."""
    return runner.queue.newest(KIND, entry.path)


def is_behind(entry: NVD_PG_shot) -> bool:
    """Whether the shot shows textures that its folder has replaced by some of another size."""
    edits = [(layer.name, layer.edit.get("nvd_path")) for layer in entry.layers if layer.edit]
    return states.has_other_size(entry.path, [(name, path) for name, path in edits if path])


def take(entry: NVD_PG_shot) -> bool:
    """Save the paint and go over to what the folder has; whether that waits for a job, which brings
    paint along that came too late.
    """
    folder = entry.path
    for other in shots_at(folder):
        painting.save_edits(other)
    _left.pop(folder, None)
    if not states.late_on_textures(folder):
        refining.take(entry, "Texture Size")
        return False
    job = job_of(entry)
    if job is None or job.ended:
        again = [["--back"], ["--size", str(size_of(entry))]]
        _queue(entry, entry.id_data, again)
    return True


def follow() -> None:
    """Look once: go over to textures of another size where no paint is unsaved."""
    if under_way() or in_stroke():
        return
    for folder in {entry.path for entry in all_shots() if not entry.missing}:
        entries = shots_at(folder)
        behind = [entry for entry in entries if is_behind(entry)]
        state = states.state_of(folder)
        if not behind or state is None or _left.get(folder) == state.edits:
            continue
        job = job_of(behind[0])
        if job is not None and (not job.ended or job.error is not None):
            continue  # another one is on its way, or the artist is to look at it
        if not any(refining.has_unsaved(entry) for entry in entries):
            take(behind[0])


def _queue(entry: NVD_PG_shot, scene, ways: list[list[str]], python=None) -> Job:
    known = job_of(entry)
    if known is not None and not known.ended:
        raise AddonError(f"{known.title} is {known.state}", "wait until it is done, or cancel it")
    painting.save_edits(entry)
    python = python or find_engine().python
    steps = [("textures", engine_command(python, "textures", entry.path, *words)) for words in ways]
    title = f"{entry.name} texture size"
    return queue_shot_job(entry, scene, python, *steps, kind=KIND, title=title)


def _when_ended(job: Job) -> None:
    if job.kind == KIND:
        _left.pop(job.about_folder, None)
        follow()


_tick, _begin, _end = timer_factory(INTERVAL, follow)


@persistent
def _after_undo(_scene) -> None:
    for entry in all_shots():
        state = None if entry.missing else states.state_of(entry.path)
        if state is not None and is_behind(entry):
            _left[entry.path] = state.edits


@persistent
def _after_load(_path) -> None:
    _left.clear()


_watch, _leave = register_handlers_factory(
    (
        (bpy.app.handlers.undo_post, _after_undo),
        (bpy.app.handlers.redo_post, _after_undo),
        (bpy.app.handlers.load_post, _after_load),
    )
)


def register():
    _watch()
    runner.when_ended.append(_when_ended)
    _begin()


def unregister():
    _leave()
    runner.when_ended.remove(_when_ended)
    _end()
