"""Pins: hold a point of a layer's texture where it belongs, in frames where the shot slips.

    pins.place(entry, 320.5, 200.5, frame=10)     # the point: it is right there
    pins.place(entry, 331.0, 204.0, frame=25)     # where it belongs in another frame
    job = pins.apply(entry, python)               # `nvd pins add`: the maps are written again

Until it is applied a pin is a draft of the shot's, which Blender's undo knows. When the job has
ended, everything that shows the shot shows its new maps.
"""

from pathlib import Path

import bpy

from ..blender.redraw import redraw
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import pins_file
from ..shot.painting import save_edits
from ..shot.scripting import image_of
from ..shot.shots import NVD_PG_shot, shots_at
from ..strip.refresh import refresh
from . import preview
from .frame_canvas import frame_at_playhead
from .shot_tool import check_idle, queue_tool

KIND = "pins"


def place(entry: NVD_PG_shot, x: float, y: float, frame: int | None = None) -> int:
    """Let the pin that is being made belong at a pixel; how many places it has.

    x to the right and y down, 0, 0 the picture's top left corner. `frame` counts from 0, by itself
    the one at the playhead. The first place says which point it is, of the layer that is chosen.
    AddonError where there is no such frame or pixel.
    """
    shot = entry.read()
    frame = frame_at_playhead(entry) if frame is None else frame
    if not 0 <= frame < shot.frames:
        raise AddonError(
            f"the playhead shows no frame of {entry.name}",
            f"move it to one of the shot's {shot.frames} frames",
        )
    if not (0 <= x <= shot.width and 0 <= y <= shot.height):
        raise AddonError("that is not in the picture", "click on the layer in the preview")
    if not entry.pin_targets:
        if entry.layer is None:
            raise AddonError("no layer is chosen", "choose one in the list")
        if any(own.parts for own in shot.layers if own.name == entry.layer.name):
            raise AddonError(
                f"{entry.layer.name} has parts: a pin's bend would reach from one into the next",
                "choose a layer without parts, or draw a better mask of the part and refine",
            )
        entry.pin_layer = entry.layer.name
    known = next((target for target in entry.pin_targets if target.frame == frame), None)
    target = known or entry.pin_targets.add()
    target.frame, target.x, target.y = frame, x, y
    redraw()
    return len(entry.pin_targets)


def forget(entry: NVD_PG_shot) -> None:
    """Give up the pin that is being made."""
    entry.pin_targets.clear()
    redraw()


def apply(entry: NVD_PG_shot, python, name: str = "", radius: float = 0.0) -> Job:
    """Queue the job that adds the pin that is being made; without one, that writes the maps as the
    pins say. `radius` is a share of the texture's longer side, 0: by itself.
    """
    shot = entry.read()
    if not entry.pin_targets:
        return _queue(entry, python, ["apply", shot.folder])
    first, *others = [(target.frame, target.x, target.y) for target in entry.pin_targets]
    if not others:
        raise AddonError(
            "the pin has but one place", "go to a frame where it slips, and place it there too"
        )
    words = ["add", shot.folder, "--layer", entry.pin_layer]
    words += ["--name", name.strip() or free_name(entry), "--at", _said(first)]
    for target in sorted(others):
        words += ["--to", _said(target)]
    words += ["--radius", f"{radius:.4f}"] if radius else []
    return _queue(entry, python, words)


def remove(entry: NVD_PG_shot, python, name: str) -> Job:
    """Queue the job that removes the pin `name`; the maps become as they were without it."""
    return _queue(entry, python, ["remove", entry.read().folder, name])


def free_name(entry: NVD_PG_shot) -> str:
    """The first of Pin 1, Pin 2 that no pin has."""
    taken = {pin.name.casefold() for pin in pins_file.read_pins(entry.read()).pins}
    number = 1
    while f"pin {number}" in taken:
        number += 1
    return f"Pin {number}"


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job on the shot's pins, running or not; None where there is none."""
    return runner.tools.newest(KIND, entry.path)


def follow_maps(entry: NVD_PG_shot) -> None:
    """Let all that shows the shot read its maps again: nodes, strips and the live preview."""
    image = image_of(entry.read().map(0))
    if image is not None:
        image.reload()
    refresh()
    running = preview.running()
    if running is not None and running.shot.folder == entry.path:
        preview.start(entry, running.mode)
    redraw()


def _said(target: tuple[int, float, float]) -> str:
    t, x, y = target
    return f"{t},{x:.4f},{y:.4f}"


def _queue(entry: NVD_PG_shot, python, words: list) -> Job:
    check_idle(entry, KIND)
    save_edits(entry)
    command = engine_command(python, "pins", *words)
    title, adds = f"the pins of {entry.name}", words[0] == "add"
    return queue_tool(entry, python, command, kind=KIND, title=title, step="pins", adds=adds)


def _when_ended(job: Job) -> None:
    """Show the new maps in every scene that lists the shot."""
    if job.kind != KIND or job.state != DONE:
        return
    entries = shots_at(Path(job.plan["about"]["folder"]))
    for entry in entries:
        if job.plan["about"].get("adds"):
            entry.pin_targets.clear()
    for entry in entries[:1]:
        try:
            follow_maps(entry)
        except AddonError as error:
            job.fail(error.problem, error.remedy)
    if entries:
        bpy.ops.ed.undo_push(message="Pin")


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
