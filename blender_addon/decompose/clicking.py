"""Clicks on an object become its mask: the engine cuts it out, and its outline is the drawing.

    click(thing, strip, 120.5, 80.0)              # a point of the object, on the playhead's frame
    click(thing, strip, 40.0, 30.0, inside=False) # one that is not

`nvd segment` is run as a job of a lane of its own, so it waits for nothing and nothing waits for
it. When it is done its lines take the place of what stood in the object's mask of that frame, to be
corrected with Blender's own tools. Of several clicks the last job counts.
"""

from pathlib import Path

import bpy

from ..blender.inside import inside as inside_folder
from ..blender.storage import jobs_folder
from ..blender.strip_identity import identity, strip_by
from ..engine.find import find_engine, probe_command
from ..errors import AddonError
from ..jobs import checked_json
from ..jobs.checked_json import Odd
from ..jobs.job import DONE, Job, new_name
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..strip.sources import Source, read_strip
from ..strip.timing import known_pictures
from . import eye, part_list
from .found_objects import clip_words
from .mask_drawing import draw_key, draw_mask
from .properties import NVD_PG_object

KIND = "segment"
OUTLINE = "outline.json"
LIMIT = 1 << 24  # bytes of an outline
MOST_POINTS = 20_000


def begin(
    thing: NVD_PG_object, strip, space: bpy.types.SpaceImageEditor | None = None
) -> bpy.types.Mask:
    """The mask of `thing` for the frame at the playhead, opened over the strip's picture.

    As `draw_mask` and, on a further frame, `draw_key` have it; AddonError where they refuse.
    """
    if thing.kind == "MASK" and thing.mask is None:
        thing.when = "ONE"  # what is clicked fits on one frame
    frame = frame_at(strip)
    first = thing.kind == "MASK" and (thing.mask is None or thing.when == "ONE")
    if first and (thing.mask is None or thing.frame == frame):
        return draw_mask(thing, strip, space)
    return draw_key(thing, strip, space)


def frame_at(strip) -> int:
    """The timeline's frame at the playhead, or the nearest one that the strip shows. May render."""
    shows = read_strip(strip).shows
    return min(max(strip.id_data.frame_current, min(shows)), max(shows))


def click(
    thing: NVD_PG_object,
    strip,
    x: float,
    y: float,
    inside: bool = True,
    scene: bpy.types.Scene | None = None,
    space: bpy.types.SpaceImageEditor | None = None,
) -> Job:
    """Queue the mask of all that was clicked on the frame at the playhead, and of this pixel.

    `x`, `y`: pixels of the strip's own picture from its upper left. Returns the job at once.
    """
    begin(thing, strip, space)
    frame = frame_at(strip)
    python = find_engine().python
    source = read_strip(strip, known_pictures)
    place = thing.clicks.add()
    place.frame, place.x, place.y, place.inside = frame, max(x, 0.0), max(y, 0.0), inside
    if not any(place.inside for place in _clicks(thing, frame)):
        raise AddonError(
            "nothing says yet where the object is", "click on it first, without Ctrl or Alt"
        )
    return _queue(thing, strip, source, frame, python, scene)


def forget(thing: NVD_PG_object, frame: int) -> None:
    """Take the clicks of a frame off the object; its mask stays."""
    for n in reversed(range(len(thing.clicks))):
        if thing.clicks[n].frame == frame:
            thing.clicks.remove(n)


def _clicks(thing: NVD_PG_object, frame: int) -> list:
    return [place for place in thing.clicks if place.frame == frame]


def _queue(thing, strip, source: Source, frame: int, python: Path, scene) -> Job:
    name = new_name()
    folder = jobs_folder() / name
    words, counted_from = clip_words(strip, source)
    number = source.picture_at(frame) + counted_from
    words = ["segment", source.path, f"--frame={number}", *words]
    for place in _clicks(thing, frame):
        sign = "" if place.inside else "-"
        words.append(f"--click={sign}{place.x:.2f},{place.y:.2f}")
    words += ["--out", folder / "mask.png", "--outline", folder / OUTLINE]
    probe = {"title": "engine", "command": probe_command(python)}
    step = {"title": "cutting out", "command": engine_command(python, *words)}
    called = part_list.full_name(strip, thing)
    about = {"strip": strip.name, "strip_id": identity(strip), "object": called}
    job = Job.create(
        jobs_folder(),
        title=f"{called} mask",
        kind=KIND,
        python=python,
        steps=[probe, step],
        resume_steps=[probe, step],
        name=name,
        about=about | {"frame": frame},
    )
    for older in [other for other in runner.queue.jobs if _same(other, job) and not other.ended]:
        older.cancel()
    return runner.queue_job(job, scene)


def _same(one: Job, other: Job) -> bool:
    keys = ("strip_id", "object", "frame")
    mine, its = one.plan["about"], other.plan["about"]
    return one.kind == other.kind == KIND and all(mine.get(k) == its.get(k) for k in keys)


def job_of(thing: NVD_PG_object, strip) -> Job | None:
    """The last job of an object's clicks that has not become its mask yet; None: there is none."""
    wanted = identity(strip), part_list.full_name(strip, thing)
    for job in reversed(runner.queue.jobs):
        about = job.plan["about"]
        if job.kind == KIND and (about.get("strip_id"), about.get("object")) == wanted:
            return job
    return None


def read_lines(path: Path) -> tuple[int, int, list[list[list[float]]]]:
    """Width, height and closed lines of (x, y) pixels of an outline's file; Odd where damaged."""
    noted = checked_json.read(path, LIMIT)
    if noted is None or (noted.get("schema"), noted.get("version")) != ("nvd.outline", 1):
        raise Odd("no outline")
    width, height = (checked_json.number(noted, name) for name in ("width", "height"))
    lines = checked_json.listed(noted, "lines")
    if not width or not height or min(width, height) < 1:
        raise Odd("width, height: expected pixels")
    points = 0
    for line in lines:
        if not isinstance(line, list) or len(line) < 3:
            raise Odd(f"lines: expected three points or more, found {checked_json.shown(line)}")
        points += len(line)
        for point in line:
            whole = isinstance(point, list) and len(point) == 2
            if not whole or not all(type(v) in (int, float) and abs(v) < 1e6 for v in point):
                raise Odd(f"lines: expected x, y, found {checked_json.shown(point)}")
    if points > MOST_POINTS:
        raise Odd(f"lines: expected {MOST_POINTS} points at the most, found {points}")
    return int(width), int(height), lines


def put_lines(mask: bpy.types.Mask, width: int, height: int, lines: list) -> None:
    """Make closed lines of pixels all that a mask's first layer holds.

    Holes run the other way round than what they are in, as the engine writes them.
    """
    layer = mask.layers[0] if mask.layers else mask.layers.new(name="outline")
    while layer.splines:
        layer.splines.remove(layer.splines[0])
    layer.use_fill_holes = True
    for line in lines:
        places = [as_mask(x, y, width, height) for x, y in line]
        spline = layer.splines.new()
        spline.points.add(len(places) - len(spline.points))  # a new one has a point already
        spline.use_cyclic = True
        for n, (point, place) in enumerate(zip(spline.points, places, strict=True)):
            point.handle_type = "VECTOR"
            point.co = place
            before, after = places[n - 1], places[(n + 1) % len(places)]
            point.handle_left = [(2 * a + b) / 3 for a, b in zip(place, before, strict=True)]
            point.handle_right = [(2 * a + b) / 3 for a, b in zip(place, after, strict=True)]


def as_mask(x: float, y: float, width: int, height: int) -> tuple[float, float]:
    """Where a pixel's centre lies in a mask: 0 to 1 along the longer side, about its middle."""
    across, down = (x + 0.5) / width, 1 - (y + 0.5) / height
    longest = max(width, height)
    return (across - 0.5) * width / longest + 0.5, (down - 0.5) * height / longest + 0.5


def _mask_of(thing: NVD_PG_object, frame: int) -> bpy.types.Mask:
    fits = thing.when == "ONE" and thing.frame == frame
    if thing.kind == "MASK" and thing.mask is not None and fits:
        return thing.mask
    return eye.add_key(thing, frame)


def _take(job: Job, strip) -> None:
    """Make what a job has cut out the object's mask on its frame."""
    about = job.plan["about"]
    name, frame = about.get("object"), about.get("frame")
    thing = next((one for called, one in part_list.named(strip) if called == name), None)
    if thing is None or type(frame) is not int:
        raise AddonError(f"there is no object {name} in the list any more", "click once more")
    try:
        width, height, lines = read_lines(Path(inside_folder(job.folder, OUTLINE, AddonError)))
    except Odd as odd:
        raise AddonError(f"{OUTLINE} is damaged: {odd}", "click once more") from odd
    put_lines(_mask_of(thing, frame), width, height, lines)
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Click Mask")


def _when_ended(job: Job) -> None:
    if job.kind != KIND or job.state != DONE or job.id in runner.foreign:
        return
    mine = [other for other in runner.queue.jobs if _same(job, other)]
    if mine and mine[-1] is not job:
        return  # more was clicked meanwhile
    scene = runner.scene_of(job)
    about = job.plan["about"]
    words = (about.get(name) for name in ("strip_id", "strip"))
    id, name = (word if isinstance(word, str) else "" for word in words)
    strip = strip_by(scene, id, name) if scene is not None else None
    if strip is None:
        return
    try:
        _take(job, strip)
    except AddonError as error:
        job.fail(error.problem, error.remedy, error.button)
        return
    for other in mine:
        if other.ended:
            runner.forget(other)


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
