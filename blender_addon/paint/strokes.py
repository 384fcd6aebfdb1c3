"""Strokes for a shot's stack: from an SVG file, or from what is drawn with Grease Pencil.

    job = strokes.add_svg(entry, layer, python, "/logos/arrow.svg")       # over the frame shown
    job = strokes.add_drawing(entry, layer, python, bpy.context.object)   # seen by the camera

Both are laid on the frame at the playhead by `nvd edits add`, which takes each point along to the
layer's texture; when the job has ended the entry lies on the stack.
"""

from pathlib import Path
from xml.sax.saxutils import quoteattr

import bpy
from bpy_extras.object_utils import world_to_camera_view

from ..blender import compat
from ..blender.pixels import encode
from ..blender.storage import jobs_folder
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import stack
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_layer, NVD_PG_shot, shots_at
from .frame_canvas import frame_at_playhead
from .shot_tool import check_idle, queue_tool

KIND = "strokes"
WIDTH = 4.0
"""pixels of a Grease Pencil stroke that one says nothing else of"""
ASPECT_OFF = 0.01
"""share by which the camera's picture may differ in shape from the shot's"""


def add_svg(
    entry: NVD_PG_shot, layer: NVD_PG_layer, python, source: str | Path, keep_width: bool = True
) -> Job:
    """Queue the job that lays an SVG's strokes on the layer; its box is the picture of the frame at
    the playhead.
    """
    source = Path(source)
    if source.suffix.lower() != ".svg" or not source.is_file():
        raise AddonError(f"{source} is no SVG file", "choose a file that ends in .svg")
    return _queue(entry, layer, python, source, source.stem, keep_width)


def add_drawing(
    entry: NVD_PG_shot,
    layer: NVD_PG_layer,
    python,
    thing: bpy.types.Object | None,
    keep_width: bool = True,
    width: float = WIDTH,
) -> Job:
    """The same of what a Grease Pencil object shows in this frame, as the scene's camera sees it.

    Strokes are `width` pixels of the plate wide, in their material's colour.
    """
    if thing is None or thing.type not in compat.GREASE_PENCIL:
        raise AddonError(
            "no Grease Pencil object is active", "choose the drawing, then press again"
        )
    text = svg_of(thing, bpy.context.scene, entry.read(), width)
    folder = jobs_folder() / "drawings"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{number:05d}.svg").exists():
        number += 1
    path.write_text(text, "utf-8")
    return _queue(entry, layer, python, path, thing.name, keep_width)


def svg_of(thing: bpy.types.Object, scene: bpy.types.Scene, shot, width: float = WIDTH) -> str:
    """The object's strokes as an SVG of the shot's size; AddonError where no camera sees any."""
    if scene.camera is None:
        raise AddonError(
            f"the scene {scene.name} has no camera",
            "add one that sees the drawing as the shot's picture",
        )
    render = scene.render
    across = render.resolution_x * render.pixel_aspect_x
    off = across / (render.resolution_y * render.pixel_aspect_y) / (shot.width / shot.height) - 1
    if abs(off) > ASPECT_OFF:
        raise AddonError(
            f"the scene's picture is {render.resolution_x} x {render.resolution_y}, of another "
            f"shape than the shot's {shot.width} x {shot.height}",
            "set the scene's resolution to the shot's",
        )
    lines = []
    for points, closed, material in compat.drawn_lines(thing):
        seen = [world_to_camera_view(scene, scene.camera, point) for point in points]
        if not seen or min(place.z for place in seen) <= 0:  # behind the camera
            continue
        at = [f"{p.x * shot.width:.3f},{(1 - p.y) * shot.height:.3f}" for p in seen]
        at += at[:1] if closed or len(at) == 1 else []
        ink, opacity = _ink(thing, material)
        lines.append(
            f'<polyline fill="none" stroke="{ink}" stroke-opacity="{opacity:.4f}"'
            f' stroke-width="{width:.3f}" points="{" ".join(at)}"/>'
        )
    if not lines:
        raise AddonError(
            f"{thing.name} has no strokes before the camera in this frame",
            "draw some, or go to a frame that shows them",
        )
    box = f"0 0 {shot.width} {shot.height}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">'
    return "\n".join([head, f"<title>{quoteattr(thing.name)[1:-1]}</title>", *lines, "</svg>\n"])


def _ink(thing: bpy.types.Object, number: int) -> tuple[str, float]:
    """A material's stroke as #rrggbb and opacity."""
    slots = thing.material_slots
    material = slots[number].material if 0 <= number < len(slots) else None
    style = getattr(material, "grease_pencil", None)
    if style is None:
        return "#000000", 1.0
    red, green, blue, alpha = style.color
    values = [round(255 * min(max(one, 0.0), 1.0)) for one in encode((red, green, blue))]
    return "#{:02x}{:02x}{:02x}".format(*values), alpha


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest of these jobs on the shot, running or not; None where there is none."""
    return runner.tools.newest(KIND, entry.path)


def _queue(entry, layer, python, source: Path, wanted: str, keep_width: bool) -> Job:
    shot, frame = entry.read(), frame_at_playhead(entry)
    if not 0 <= frame < shot.frames:
        raise AddonError(
            f"the playhead shows no frame of {entry.name}",
            f"move it to one of the shot's {shot.frames} frames",
        )
    check_idle(entry, KIND)
    save_edits(entry)
    words = ["add", shot.folder, source, "--kind", "strokes", "--layer", layer.name]
    words += ["--name", stack.free_entry_name(entry, wanted), "--on-frame", str(frame)]
    words += ["--keep-width"] if keep_width else []
    command = engine_command(python, "edits", *words)
    title = f"strokes for {entry.name}"
    return queue_tool(entry, python, command, kind=KIND, title=title, step="strokes")


def _when_ended(job: Job) -> None:
    """Lay what the engine has added on the stack of every scene that lists the shot."""
    if job.kind != KIND or job.state != DONE:
        return
    for entry in shots_at(Path(job.plan["about"]["folder"])):
        try:
            stack.take_in(entry, entry.read(), [job.log.result["name"]])
        except AddonError as error:
            job.fail(error.problem, error.remedy)
            return
    bpy.ops.ed.undo_push(message="Strokes")


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
