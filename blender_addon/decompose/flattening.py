"""The stack of edits brought to Blender's nodes: flattened by a job whenever it is saved anew.

    job = queue_flatten(entry, scene)      # saves the paint first; in the list of jobs

A timer looks for shots whose stack is saved and not flattened as it is, and lets nodes go over to
what has been flattened. What failed is tried again when something was saved, or by the button.
After an undo nodes stay as Blender has them until something else is there to show: a step of
its own would take the redo away.
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
from ..shot import flat, flat_nodes, painting
from ..shot.shots import NVD_PG_shot, all_shots, shots_at
from ..shot.states import shown_shot
from ..strip.shot_job import queue_shot_job
from .refining import is_behind

INTERVAL = 1.0
KIND = "flatten"
_tried: dict[Path, dict] = {}
"""by folder: what the pictures were to be made from when a job was last queued by itself"""
_undone: dict[Path, tuple] = {}
"""by folder: what an undo may have taken out of the nodes"""


def queue_flatten(
    entry: NVD_PG_shot, scene: bpy.types.Scene, python: str | Path | None = None
) -> Job:
    """Save the paint and queue `nvd edits flatten`; AddonError where there is no engine, or the
    folder or the disk refuses. A job for it that has not begun is returned as it is.
    """
    painting.save_edits(entry)
    return _queue(entry, scene, python)


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job that flattens the shot's stack."""
    return runner.queue.newest(KIND, entry.path)


def follow() -> None:
    """Look once: let nodes go over to what was flattened, and flatten what is not."""
    if under_way() or in_stroke():
        return
    for folder in {entry.path for entry in all_shots() if not entry.missing}:
        entries = shots_at(folder)
        entry = entries[0]
        if entry.id_data.library is not None or is_behind(entry):
            continue
        now = flat_nodes.key(entry)
        if _undone.get(folder) != now:
            _undone.pop(folder, None)
            _go_over(entries)
        for one in entries:
            flat_nodes.say_at_node(one)
        if wants(entry):
            _start(entry)


def wants(entry: NVD_PG_shot) -> bool:
    """Whether the stack as it is saved should be flattened now, by itself."""
    if not (entry.flatten and any(flat_nodes.in_use(entry, layer) for layer in entry.layers)):
        return False
    if flat_nodes.has_unsaved(entry) or flat_nodes.is_made(entry):
        return False
    job = job_of(entry)
    if job is not None and not job.ended:
        return False
    return _tried.get(entry.path) != _sources(entry)


def _go_over(entries: list[NVD_PG_shot]) -> None:
    changed = flat_nodes.follow(entries[0])
    for twin in entries[1:]:
        for layer in twin.layers:
            own = entries[0].layers.get(layer.name)
            if own is not None and layer.flat != own.flat:
                layer.flat = own.flat
    if changed and not bpy.app.background:
        bpy.ops.ed.undo_push(message="Flattened Stack")


def _start(entry: NVD_PG_shot) -> None:
    try:
        job = _queue(entry, entry.id_data)
    except AddonError:  # no engine, which the panel says where one is needed
        _tried[entry.path] = _sources(entry)
        return
    if job.state == "pending":
        _tried[entry.path] = _sources(entry)


def _queue(entry: NVD_PG_shot, scene: bpy.types.Scene, python: str | Path | None = None) -> Job:
    known = job_of(entry)
    if known is not None and known.state == "pending":
        return known
    python = python or find_engine().python
    command = engine_command(python, "edits", "flatten", entry.path)
    title = f"{entry.name} stack to nodes"
    return queue_shot_job(entry, scene, python, ("flattening", command), kind=KIND, title=title)


def _sources(entry: NVD_PG_shot) -> dict:
    shot = shown_shot(entry.path)
    return flat.sources_now(shot, [item.stored for item in entry.stack]) if shot else {}


def _when_ended(job: Job) -> None:
    """Ended flattenings leave the list by themselves, but for the newest and what failed."""
    if job.kind != KIND:
        return
    for other in runner.queue.of_folder(KIND, job.about_folder):
        if other is not job and other.ended:
            runner.forget(other)
    follow()


_tick, _begin, _end = timer_factory(INTERVAL, follow)


@persistent
def _after_undo(_scene) -> None:
    for entry in all_shots():
        if not entry.missing:
            _undone[entry.path] = flat_nodes.key(entry)


@persistent
def _after_load(_path) -> None:
    _tried.clear()
    _undone.clear()


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
