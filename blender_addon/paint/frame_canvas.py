"""Painting on a frame of a shot, and bringing that paint onto the layers.

    job = start_canvas(entry, python)     # renders the frame at the playhead, then opens it
    open_canvas(entry, space)             # the same picture again, in an Image Editor
    job = to_layers(entry, python)        # `nvd paint`, then the edits with the paint on them
    discard_canvas(entry)

A shot has one canvas at a time. Its files lie in the folder `paint` of the shot: the frame as it
was rendered (base_<frame>), the canvas, and the edits that the engine made (layers/). What it made
is taken in where nobody has painted in the meantime, and otherwise not at all: no stroke is lost.
"""

import os
import shutil
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..blender import compat
from ..blender.inside import inside
from ..blender.pixels import set_space
from ..blender.undo import keep_packed, put_in_place
from ..errors import AddonError
from ..jobs.job import DONE, INTERRUPTED, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import file_stamps, painting, stack
from ..shot.folder import Shot, ShotError
from ..shot.shots import (
    NVD_PG_layer,
    NVD_PG_shot,
    all_shots,
    listed_shot,
    shots_at,
    stored_path,
    strip_of,
)
from ..shot.stack_entry import in_clip
from ..strip.sources import read_strip
from ..strip.strips import render_command
from ..strip.timing import shown_pictures
from . import preview
from .shot_tool import check_idle, queue_tool

KIND = "frame canvas"
RENDER, PAINT, STACK = "render", "paint", "stack"


def start_canvas(
    entry: NVD_PG_shot,
    python: str | Path,
    frame: int | None = None,
    editor: tuple[int, int] | None = None,
) -> Job:
    """Save the paint, and queue the render of a frame with it; returns its job at once.

    `frame` counts from 0; by itself the one at the playhead. When the job has ended the frame is
    `entry.canvas`, open in the Image Editor `editor` (numbers of its window and area) or in any.
    AddonError where the shot has a canvas already, does not show at the playhead, or is of a plate
    with alpha or of other primaries than Rec.709.
    """
    check_idle(entry, KIND)
    twins = shots_at(entry.path)  # the canvas's files are the folder's
    painted = next((twin for twin in twins if twin.canvas is not None), None)
    if painted is not None:
        raise AddonError(
            f"frame {canvas_at(painted)} is being painted on",
            "take it to the layers, or discard it",
        )
    shot = entry.read()
    _check_plate(shot)
    at = preview.scene_of(entry).frame_current if frame is None else None
    frame = frame_at_playhead(entry) if frame is None else frame
    if not 0 <= frame < shot.frames:
        raise AddonError(
            f"the playhead shows no frame of {entry.name}",
            f"move it to one of the shot's {shot.frames} frames",
        )
    painting.save_edits(entry, in_step=True)
    command = render_command(python, shot, _path(shot, "base_%05d"))
    command += ["--frames", f"{frame}-{frame}"]
    at = _timeline_frame(entry, frame) if at is None else at
    return _queue(entry, python, command, what=RENDER, frame=frame, at=at, editor=editor)


def frame_at_playhead(entry: NVD_PG_shot) -> int:
    """The shot's frame at the playhead, from 0; may lie outside it. May render (timing.py)."""
    strip = strip_of(entry.id_data, entry)
    if strip is not None:
        shown_pictures(strip)
    return preview.frame_of(entry, preview.scene_of(entry))


def _timeline_frame(entry: NVD_PG_shot, frame: int) -> int:
    """The timeline's frame that shows the shot's `frame`. May render (timing.py)."""
    strip = strip_of(entry.id_data, entry)
    if strip is None:
        return frame + 1
    return read_strip(strip).timeline_frame(frame + entry.first_frame)


def canvas_at(entry: NVD_PG_shot) -> int:
    """The timeline's frame that is painted on, where the strip is now."""
    strip = strip_of(entry.id_data, entry)
    start = entry.canvas_start if strip is None else compat.strip_start(strip)
    return entry.canvas_at + round(start - entry.canvas_start)


def open_canvas(
    entry: NVD_PG_shot, space: bpy.types.SpaceImageEditor | None = None
) -> bpy.types.Image:
    """Open the shot's canvas for painting in the Image Editor `space`."""
    painting.open_canvas(_canvas(entry), space)
    return entry.canvas


def to_layers(
    entry: NVD_PG_shot,
    python: str | Path,
    lit: bool | None = None,
    *,
    into_stack: bool = False,
    frames: tuple[int, int] | None = None,
) -> Job:
    """Save the canvas and the paint, and queue `nvd paint`; returns its job at once.

    When the job has ended the edits have the paint, as images in their place that Blender's undo
    takes back, and the canvas is closed. `lit`, by itself `entry.canvas_lit`: the paint is the
    surface's colour, on which the shot's light plays; else it looks as painted in this frame.

    into_stack: the edits stay, and what was painted becomes new paint on the stack, shown in
    `frames` of the timeline (first and last; None: all).
    """
    check_idle(entry, KIND)
    canvas, shot, frame = _canvas(entry), entry.read(), entry.canvas_frame
    for layer in entry.layers:
        painting.edit_of(layer)
    painting.save_edits(entry, in_step=True)
    if painting.has_unsaved(canvas):
        painting.save_image(canvas, entry)
    words = ["paint", shot.folder, "--frame", frame, "--image", canvas["nvd_path"]]
    layers = inside(shot.folder, "paint/layers", ShotError)
    words += ["--base", _path(shot, "base_%05d") % frame]
    words += _onto_stack(entry, frames) if into_stack else ["--out", layers]
    if entry.canvas_lit if lit is None else lit:
        words.append("--lit")
    command = engine_command(python, *words)
    edits = {layer.name: _stamp(layer.edit) for layer in shot.layers}
    what = STACK if into_stack else PAINT
    return _queue(entry, python, command, what=what, canvas=canvas["nvd_path"], edits=edits)


def _onto_stack(entry: NVD_PG_shot, frames: tuple[int, int] | None) -> list[str]:
    """What `nvd paint` is told, so that the paint becomes an entry of the stack."""
    words = ["--as", stack.free_stem(entry, f"Frame {canvas_at(entry)}")]
    if frames is None:
        return words
    last = max(entry.frames - 1, 0)
    first, last = (min(max(in_clip(entry, frame), 0), last) for frame in frames)
    return [*words, "--frames", f"{min(first, last)}-{max(first, last)}"]


def discard_canvas(entry: NVD_PG_shot) -> None:
    """Close the canvas without taking its paint anywhere; Blender's undo brings it back."""
    canvas = _canvas(entry)
    check_idle(entry, KIND)
    keep_packed(canvas)
    _close(entry, entry.layer)
    for job in _jobs(entry):
        runner.tools.remove(job)


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job on the shot's canvas, running or not; None where there is none."""
    return next(reversed(_jobs(entry)), None)


def _jobs(entry: NVD_PG_shot) -> list[Job]:
    return runner.tools.of_folder(KIND, entry.path)


def _check_plate(shot: Shot) -> None:
    """Blender's brushes mix alpha and colours in one stroke, and what it saves of other primaries
    does not say which: neither could be told from paint.
    """
    if shot.has_alpha or shot.primaries is not None or shot.space:
        what = "with alpha" if shot.has_alpha else "of other primaries than Rec.709"
        what = "in another colour space" if shot.space else what
        raise AddonError(
            f"Paint on Frame does not know plates {what}",
            "paint on the layers, or paint elsewhere and take that in by `nvd paint --image`",
        )


def _canvas(entry: NVD_PG_shot) -> bpy.types.Image:
    if entry.canvas is None:
        raise AddonError(f"no frame of {entry.name} is painted on", "press Paint on Frame first")
    return entry.canvas


def _path(shot: Shot, name: str) -> str:
    return str(inside(shot.folder, f"paint/{name}.{shot.suffix}", ShotError))


def _path_of(canvas: bpy.types.Image | None) -> str:
    return canvas.get("nvd_path", "") if canvas else ""


def _stamp(path: Path) -> list[int]:
    """What tells a file from a later one of its name."""
    try:
        found = path.stat()
    except OSError:  # none: nothing is painted yet
        return []
    return [found.st_mtime_ns, found.st_size]


def _queue(entry: NVD_PG_shot, python: str | Path, command: list[str], **about) -> Job:
    """Queue a job beside decompositions and renders, which may take long."""
    words = {RENDER: "the frame", PAINT: "the paint", STACK: "the paint"}
    return queue_tool(
        entry,
        python,
        command,
        kind=KIND,
        title=f"{words[about['what']]} of {entry.name}",
        step=about["what"],
        scene=entry.id_data.name,
        shot=entry.id,
        **about,
    )


def _when_ended(job: Job) -> None:
    """Open the frame, or take in the paint, where the scene and shot are still in this file."""
    if job.kind != KIND:
        return
    if job.state == INTERRUPTED:
        job.fail(f"{job.title} was interrupted", "try again")
    about = job.plan["about"]
    entry = listed_shot(about["scene"], about["folder"], about.get("shot"))
    if job.state != DONE or entry is None:
        return
    try:
        if about["what"] == RENDER and entry.canvas is None:
            _show_canvas(entry, about)
        elif about["what"] == PAINT and _path_of(entry.canvas) == about["canvas"]:
            _take_in(entry, about, job.log.result)
        elif about["what"] == STACK and _path_of(entry.canvas) == about["canvas"]:
            _take_in_stack(entry, job.log.result)
        else:  # an undo has come between
            return
    except AddonError as error:
        job.fail(error.problem, error.remedy)
        return
    bpy.ops.ed.undo_push(message="Paint on Frame" if about["what"] == RENDER else "To Layers")


def _show_canvas(entry: NVD_PG_shot, about: dict) -> None:
    """The rendered frame as the shot's canvas, in a file of its own."""
    shot, frame = entry.read(), about["frame"]
    path = Path(_path(shot, "canvas_%05d") % frame)
    try:
        shutil.copyfile(_path(shot, "base_%05d") % frame, path)
    except OSError as error:
        raise AddonError(f"{path} could not be written ({error.strerror})", "make room") from error
    image = bpy.data.images.load(str(path))
    image.name = f"{entry.name} frame {about['at']}"
    set_space(image)
    image.alpha_mode = "PREMUL" if shot.encoding == "linear" else "CHANNEL_PACKED"
    image["nvd_path"], image.filepath_raw = str(path), stored_path(path)
    file_stamps.note(image)  # what the frame was when it was painted on before counts no more
    entry.canvas, entry.canvas_frame, entry.canvas_at = image, frame, about["at"]
    strip = strip_of(entry.id_data, entry)
    entry.canvas_start = 0 if strip is None else compat.strip_start(strip)
    open_canvas(entry, _editor(about["editor"]))


def _editor(place: list[int] | None) -> bpy.types.SpaceImageEditor | None:
    """The Image Editor at that place, else any."""
    editors = painting.image_editors()
    return editors.get(tuple(place or ())) or next(iter(editors.values()), None)


def _take_in(entry: NVD_PG_shot, about: dict, result: dict) -> None:
    """Put the edits that the engine made in the place of the layers'; the old ones stay as images.

    All of them or, where someone has painted since the job was queued, none.
    """
    made, painted = result["images"], result["painted"]
    layers = [layer for layer in entry.layers if layer.name in made]
    files = {layer.name: layer.edit for layer in entry.read().layers}
    changed = [
        layer.shown_name
        for layer in layers
        if painting.is_unsaved(layer) or _stamp(files[layer.name]) != about["edits"][layer.name]
    ]
    changed += ["the frame"] if painting.has_unsaved(entry.canvas) else []
    if changed:
        raise AddonError(
            f"{', '.join(changed)} was painted on in the meantime, so nothing was changed",
            "press To Layers again",
        )
    for layer in layers:
        _put_on(layer, Path(made[layer.name]), files[layer.name])
    _close(entry, max(layers, key=lambda layer: painted[layer.name]))


def _take_in_stack(entry: NVD_PG_shot, result: dict) -> None:
    """Lay the entries that the engine made on the stack. The canvas stays where it was painted on
    in the meantime.
    """
    stack.take_in(entry, entry.read(), result["entries"])
    painted = result["painted"]
    layer = entry.layers.get(max(painted, key=painted.get))
    _choose(entry, layer, result["entries"])
    if not painting.has_unsaved(entry.canvas):
        _close(entry, layer)


def _choose(entry: NVD_PG_shot, layer: NVD_PG_layer | None, names: list[str]) -> None:
    """Let the lists show where most of the paint went, so that its frames can be set."""
    made = [n for n, item in enumerate(entry.stack) if item.name in names]
    made = [n for n in made if layer is not None and entry.stack[n].layer == layer.name]
    if made:
        entry.active_layer = list(entry.layers).index(layer)
        entry.active_entry = made[0]


def _put_on(layer: NVD_PG_layer, made: Path, file: Path) -> None:
    """Let the file `made` be the layer's edit, on disk and in Blender."""
    old = painting.edit_of(layer)
    keep_packed(old)  # before its file becomes another one
    try:
        content = made.read_bytes()
        os.replace(made, file)
    except OSError as error:
        raise AddonError(
            f"{file} could not be written ({error.strerror})",
            "see to the folder's permissions, and press To Layers again",
        ) from error
    new = old.copy()
    new.pack(data=content, data_len=len(content))
    new.buffers_free()
    put_in_place(old, new)
    layer.edit = new
    file_stamps.note(new)


def _close(entry: NVD_PG_shot, layer: NVD_PG_layer | None) -> None:
    """Take the canvas out of the shot; where it was open, the edit of `layer` is."""
    canvas, edit = entry.canvas, layer.edit if layer else None
    entry.canvas = None
    for space in painting.image_editors().values():
        if space.image == canvas:
            space.image = edit
    for scene in bpy.data.scenes:
        settings = scene.tool_settings.image_paint
        if settings.canvas == canvas:
            settings.canvas = edit


@persistent
def _before_save(_path) -> None:
    """The canvas is saved with the .blend; where it cannot be it is packed into the .blend."""
    for entry in all_shots():
        if not painting.has_unsaved(entry.canvas):
            continue
        try:
            entry.read()
            painting.save_image(entry.canvas, entry)
        except AddonError as error:
            print(f"Neural Video Layers: {error}; the painted frame is kept in the .blend")
            keep_packed(entry.canvas)


def register():
    runner.when_ended.append(_when_ended)
    bpy.app.handlers.save_pre.insert(0, _before_save)


def unregister():
    runner.when_ended.remove(_when_ended)
    bpy.app.handlers.save_pre.remove(_before_save)
