"""What moves in a strip, found by the engine before anything is trained, as objects of its list.

    job = find_objects(strip)       # `nvd objects`; when it is done its objects stand in the list

Each has its masks' folder as Files, and the folder that all of them lie in, so that two can be made
one (`merge`). To drop one is to take it off the list.
"""

import re
from pathlib import Path

import bpy

from ..blender.inside import inside
from ..blender.storage import jobs_folder
from ..blender.strip_identity import identity, strip_by
from ..engine.find import find_engine, probe_command
from ..errors import AddonError
from ..jobs import checked_json
from ..jobs.checked_json import Odd
from ..jobs.job import DONE, Job, new_name
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..strip.sources import Source, holds_missing, movie_rate, read_strip
from ..strip.timing import known_pictures
from . import eye, part_list
from .properties import NVD_PG_object, output_folder

KIND = "objects"
OBJECTS = "objects.json"
LIMIT = 1 << 26  # bytes
MOST_FRAME = 2**31 - 1


def find_objects(strip, scene: bpy.types.Scene | None = None) -> Job:
    """Queue the search for what moves in `strip`; returns its job at once.

    When it is done, objects that were found in the strip before are replaced, others stay.
    """
    source = read_strip(strip)
    if source.kind == "SCENE":
        raise AddonError(
            "a scene strip has no pictures to look through", "render it, and use what was rendered"
        )
    python, out = find_engine().python, _free_folder(strip)
    said, counted_from = clip_words(strip, source)
    first, last = source.first + counted_from, source.last + counted_from
    words = ["objects", source.path, "--out", out, *said, f"--frames={first}-{last}"]
    return _queue(strip, scene, python, words, out)


def clip_words(strip, source: Source) -> tuple[list[str], int]:
    """How the engine is told to read a strip's clip, and what its pictures are counted from."""
    if source.kind == "MOVIE":
        words = ["--count-at", movie_rate(strip)]
        return words + ["--deinterlace"] * strip.nvd_decompose.deinterlace, 0
    if strip.nvd_decompose.start == "source" or holds_missing(strip):
        held = ["--missing", "hold"] if holds_missing(strip) else []
        return ["--start", "source", *held], source.base
    return [], 0


def merge(strip, number: int, scene: bpy.types.Scene | None = None) -> Job:
    """Queue the making of one object out of that of a `number` in the strip's list and the one
    before it, which keeps its name. AddonError where they were not found together.
    """
    objects = strip.nvd_decompose.objects
    pair = [objects[n] for n in (number - 1, number) if 0 <= n < len(objects)]
    if len(pair) < 2 or not pair[0].found or pair[0].found != pair[1].found:
        raise AddonError(
            "there are not two objects that were found together",
            "choose one that was found, below another one",
        )
    names = [Path(bpy.path.abspath(thing.path)).name for thing in pair]
    folder = Path(pair[0].found)
    words = ["objects", folder, "--merge", ",".join(names)]
    about = {"merged": names}
    return _queue(strip, scene, find_engine().python, words, folder, about)


def _queue(strip, scene, python: Path, words: list, out: Path, about: dict | None = None) -> Job:
    probe = {"title": "engine", "command": probe_command(python)}
    step = {"title": "looking for objects", "command": engine_command(python, *words)}
    job = Job.create(
        jobs_folder(),
        title=f"{strip.name} objects",
        kind=KIND,
        python=python,
        steps=[probe, step],
        resume_steps=[probe, step],
        out=out,
        name=new_name(),
        about={"strip": strip.name, "strip_id": identity(strip), **(about or {})},
    )
    return runner.queue_job(job, scene)


def _free_folder(strip) -> Path:
    """A folder beside that of the decomposition, which is not there yet."""
    out = Path(output_folder(strip))
    number = 1
    while True:
        folder = out.with_name(f"{out.stem}_objects{f'_{number}' if number > 1 else ''}")
        if not folder.exists():
            return folder
        number += 1


def list_found(strip, folder: Path) -> list[NVD_PG_object]:
    """Put what stands in a folder of `nvd objects` into the strip's list, behind what is there.

    What was listed of the same strip's searches before goes; those that are still found keep their
    place's drawn key frames no longer than they are. AddonError where the folder is damaged.
    """
    known = read_found(folder)
    things = strip.nvd_decompose.objects
    for n in reversed(range(len(things))):
        if things[n].found:
            things.remove(n)
    taken = {thing.name for thing in things}
    for one in known:
        thing = things.add()
        thing.name = next(name for name in _names(one["name"]) if name not in taken)
        taken.add(thing.name)
        thing.kind, thing.path = "FILE", str(folder / "masks" / one["name"])
        thing.found, thing.confidence = str(folder), one["confidence"]
        thing.seen, thing.moves = one["seen"], one["moves"]
        thing.needs_eye = eye.as_text(one["needs_eye"])
    strip.nvd_decompose.active = max(0, len(things) - len(known))
    return list(things)[len(things) - len(known) :]


def _names(name: str):
    yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))


def read_found(folder: Path) -> list[dict]:
    """Name, confidence, needs_eye and numbers of frames of each object in a folder."""
    path = Path(inside(folder, OBJECTS, AddonError))
    try:
        noted = checked_json.read(path, LIMIT)
        if noted is None or (noted.get("schema"), noted.get("version")) != ("nvd.objects", 1):
            raise Odd("no list of objects")
        found = []
        for one in checked_json.listed(noted, "objects"):
            if not isinstance(one, dict):
                raise Odd(f"objects: expected objects, found {checked_json.shown(one)}")
            name = checked_json.text(one, "name")
            if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
                raise Odd(f"name: expected that of a folder, found {checked_json.shown(name)}")
            found.append(
                {
                    "name": name,
                    "confidence": checked_json.number(one, "confidence") or 0.0,
                    "seen": len(checked_json.listed(one, "seen")),
                    "moves": len(checked_json.listed(one, "moves")),
                    "needs_eye": frames_of(one, "needs_eye"),
                }
            )
        return found
    except Odd as odd:
        raise AddonError(f"{path} is damaged: {odd}", "look for the objects again") from odd


def frames_of(values: dict, name: str) -> list[int]:
    """A list of frames' numbers; Odd where it is something else."""
    frames = checked_json.listed(values, name, [])
    for frame in frames:
        if type(frame) is not int or abs(frame) > MOST_FRAME:
            raise Odd(f"{name}: expected frames, found {checked_json.shown(frame)}")
    return sorted(frames)


def lost_frames(out: Path) -> dict[str, list[int]]:
    """By an object's name the frames, from 0, in which `nvd decompose` lost its carried mask."""
    try:
        noted = checked_json.read(Path(inside(out, "job.json", AddonError)), LIMIT) or {}
        lost = noted.get("needs_eye")
        return {name: frames_of(lost, name) for name in lost} if isinstance(lost, dict) else {}
    except Odd:  # what is painted on does not depend on it
        return {}


def note_lost(strip, out: Path) -> None:
    """Note in the strip's lists in which frames a decomposition lost masks that were carried."""
    lost = lost_frames(out)
    source = read_strip(strip, known_pictures) if lost else None
    for name, thing in part_list.named(strip) if source else ():
        numbers = [source.first + frame for frame in lost.get(name, [])]
        if numbers:
            seen = [n for n in numbers if n <= source.last]
            thing.needs_eye = eye.as_text([int(source.number_of(n)) for n in seen])


def _when_ended(job: Job) -> None:
    if job.kind not in (KIND, "decompose") or job.state != DONE or job.id in runner.foreign:
        return
    scene = runner.scene_of(job)
    about = job.plan["about"]
    words = (about.get(name) for name in ("strip_id", "strip"))
    id, name = (word if isinstance(word, str) else "" for word in words)
    strip = strip_by(scene, id, name) if scene is not None else None
    if strip is None:
        return
    try:
        if job.kind == "decompose":
            note_lost(strip, Path(job.out))
            return
        list_found(strip, Path(job.out))
    except AddonError as error:
        if job.kind == "decompose":  # it is done all the same
            return
        job.fail(error.problem, error.remedy, error.button)
        return
    if not bpy.app.background:
        bpy.ops.ed.undo_push(message="Find Objects")


def register():
    runner.when_ended.append(_when_ended)


def unregister():
    runner.when_ended.remove(_when_ended)
