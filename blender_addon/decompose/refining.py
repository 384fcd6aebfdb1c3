"""Shots whose folder is refined while they are painted on: followed, and taken back.

As long as there is unsaved paint, the engine is told to wait. When a refinement has arrived, shots
go over to it, with the paint that the engine has carried along; one with unsaved paint, which came
in the same moment, is left as it is until the artist says so (`take`). Paint that was saved into
the former state's files too late is brought over by a job.
"""

from pathlib import Path

import bpy

from ..blender.editors import in_stroke
from ..blender.handlers import timer_factory
from ..blender.undo import under_way
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import Job
from ..jobs.process import engine_command
from ..shot import painting, stack, states
from ..shot.shots import NVD_PG_shot, add_shot, all_shots, shots_at
from ..strip.shot_job import queue_shot_job

INTERVAL = 1.0
KIND = "paint"
_held: set[Path] = set()


def follow() -> None:
    """Look once: hold the engine off, and go over to what has arrived."""
    if under_way():
        return
    stroke = in_stroke()
    for folder in {entry.path for entry in all_shots() if not entry.missing}:
        entries = shots_at(folder)
        unsaved = stroke or any(has_unsaved(entry) for entry in entries)
        state = states.state_of(folder)
        if unsaved and state is not None and state.refinement is not None:
            states.hold_brush(folder)
            _held.add(folder)
        elif folder in _held:
            states.lay_down_brush(folder)
            _held.discard(folder)
        if not unsaved and any(is_behind(entry) for entry in entries):
            take(entries[0])


_tick, _begin, _end = timer_factory(INTERVAL, follow)


def is_behind(entry: NVD_PG_shot) -> bool:
    """Whether the shot shows a state that its folder has left for a refinement."""
    return painting.is_behind(entry)


def has_unsaved(entry: NVD_PG_shot) -> bool:
    """Whether there is paint, or a change of the stack, that the folder does not have."""
    images = [layer.edit for layer in entry.layers] + list(stack.painted_images(entry))
    return any(painting.has_unsaved(image) for image in images) or stack.has_unsaved(entry)


def take(entry: NVD_PG_shot, message: str = "Refinement") -> bool:
    """Let every shot of the folder show what it holds now; unsaved paint is saved first.

    What was painted on the state before, too late to be carried along, is brought over by a job.
    Whether changes of the stack were dropped, which no file had: where entries lie is another place
    in another state.
    """
    folder, dropped = entry.path, False
    entries = shots_at(folder)
    for other in entries:
        painting.save_images(other)
        if stack.has_unsaved(other):
            other.stack.clear()
            other.stack_seen, dropped = "", True
    for other in entries:
        before = {layer.name: (layer.edit, layer.learned) for layer in other.layers}
        scene, mode = other.id_data, other.mode
        chosen = scene.nvd_shot
        fresh = add_shot(folder, scene, mode=mode, own_scene=other.scene != scene)
        scene.nvd_shot = chosen
        painting.show_in_place(before, fresh)
    if states.late_paint(folder):
        queue_former(entries[0], entries[0].id_data, "--take-paint")
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message=message)
    return dropped


def go_back(entry: NVD_PG_shot, scene: bpy.types.Scene, python: Path | None = None) -> Job:
    """Save the paint, and queue the way back to the state before the last refinement.

    Once more brings the refinement back. AddonError where there is none, or the disk refuses.
    """
    if not states.has_former(entry.path):
        raise AddonError(f"{entry.name} was not refined in place", "refine it first")
    painting.save_edits(entry)
    return queue_former(entry, scene, "--back", python)


def queue_former(
    entry: NVD_PG_shot, scene: bpy.types.Scene, what: str, python: Path | None = None
) -> Job:
    """Queue `nvd former` of the shot's folder."""
    python = python or find_engine().python
    command = engine_command(python, "former", entry.path, what)
    title = f"{entry.name} refinement"
    return queue_shot_job(entry, scene, python, ("former", command), kind=KIND, title=title)


def register():
    _begin()


def unregister():
    for folder in _held:
        states.lay_down_brush(folder)
    _held.clear()
    _end()
