"""From a strip and a list of objects to the job that decomposes it.

    job = decompose_strip(strip, "/clips/shot.nvd", [Object("dog", mask=bpy.data.masks["Mask"])])

What only Blender can do, drawing its masks and rendering a scene, a second Blender does in the
background as the job's first step (prepare.py); it is given a copy of the masks, or of the whole
file where a scene is to be rendered.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.storage import jobs_folder
from ..blender.strip_identity import identity
from ..errors import AddonError
from ..jobs.job import Job, new_name
from ..jobs.runner import runner
from ..strip.sources import (
    Source,
    first_file,
    holds_missing,
    image_files,
    movie_rate,
    read_strip,
)
from ..strip.space import named_space
from .job import BACKGROUND, check_parts, decompose_job, scene_rate


@dataclass(frozen=True)
class Object:
    """An object to be a layer of its own, and where its mask comes from: one of the three.

    path: mask files, as `nvd decompose --mask` takes them.
    mask: one of Blender's masks, at every frame of the timeline, or only at `frame`.
    strip: a mask strip, image strip or movie strip beside the one to decompose.
    """

    name: str
    path: str = ""
    mask: bpy.types.Mask | None = None
    frame: int | None = None
    strip: object = None
    windows: int = 0
    """views in time, each with a part of the texture, for one that turns; 0: found by themselves"""
    keys: Mapping[int, bpy.types.Mask] = field(default_factory=dict)
    """masks drawn on further frames of the timeline, for a `path` of a folder of images and for a
    mask at one `frame`; what lies between is carried from them all"""
    again: Sequence[int] = ()
    """numbers of the images in `path` that are left out where there are `keys`, to be carried"""
    parts: Sequence["Object"] = ()
    """what moves by itself within it, in front first; the layer stays one"""
    find_parts: bool = False
    """whether limbs are looked for in its outline, to be such parts, where it has none"""


def decompose_strip(
    strip,
    out: str | Path,
    objects: Sequence[Object] = (),
    *,
    background_parts: Sequence[Object] = (),
    background_windows: int = 0,
    scene: bpy.types.Scene | None = None,
    layer: str = "",
    **options,
) -> Job:
    """Queue the decomposition of what `strip` shows; returns its job at once.

    objects: front to back; none: what moves is found by itself. background_parts: what moves by
    itself before a far background, such as near posts. background_windows: its views in time; 0:
    one, and it is said where several would serve better. `options` are those of
    `decompose`: height, plate_height, texture_size, preset, at_once, device, settings, rate,
    python, deinterlace, shots, garbage, and of images start ("source": by the numbers of their
    files; those that are missing are held where the strip is set to that). Pictures have the rate
    of the timeline unless `rate` says another. `scene` remembers the job. `layer` is that of EXR
    files to take; empty: the picture. The clip is in the strip's colour space.
    """
    windows = {thing.name: thing.windows for thing in objects if thing.windows}
    windows |= {BACKGROUND: background_windows} if background_windows else {}
    owned = [(thing.name, thing.parts) for thing in objects] + [(BACKGROUND, background_parts)]
    named = [(f"{owner}.{part.name}", part) for owner, parts in owned for part in parts]
    layers = [owner for owner, _ in owned]
    check_parts([part_name for part_name, _ in named], layers, windows, bool(options.get("shots")))
    source = read_strip(strip)
    name = new_name()
    folder = jobs_folder() / name
    plan = {"scene": None, "masks": [], "like": source.path}
    blocks: set[bpy.types.ID] = set()
    masks, copies = [], []
    path, frames = source.path, (source.first, source.last)
    if source.kind == "SCENE":
        path, frames = str(folder / "frames"), None
        blocks.add(source.scene)
        plan["scene"] = _scene_plan(strip, source, folder / "frames")
    elif source.kind == "IMAGE":
        plan["like"] = str(first_file(strip))
    if layer and shows_exr(strip):
        path = f"{path}:{layer}"
    for thing in objects:
        target = folder / "masks" / thing.name
        masks.append((thing.name, _mask(thing, source, target, plan, blocks, copies)))
    parts = [
        (part_name, _mask(part, source, folder / "parts" / part_name, plan, blocks, copies))
        for part_name, part in named
    ]
    if source.kind != "MOVIE" and not options.get("rate"):
        options["rate"] = scene_rate(strip.id_data)
    if source.kind == "MOVIE":
        options["count_at"] = movie_rate(strip)
    by_number = source.kind == "IMAGE" and (
        options.get("start") == "source" or holds_missing(strip)
    )
    counted_from = source.base if by_number else 0
    if by_number:  # the strip's own range in the sequence, whatever files are there
        options["start"] = "source"
        options["missing"] = "hold" if holds_missing(strip) else "error"
        frames = (source.first + source.base, source.last + source.base)
    before = []
    if blocks:
        folder.mkdir(parents=True)
        before = [preparation(folder, plan, blocks)]
    job = decompose_job(
        path,
        out,
        masks=masks,
        parts=parts,
        frames=frames,
        before=before,
        copies=copies,
        name=name,
        about={
            "strip": strip.name,
            "strip_id": identity(strip),
            "first_frame": source.first,
            "shots": bool(options.get("shots")),
            "counted_from": counted_from,
        },
        space=named_space(strip),
        windows=windows,
        find_parts=[thing.name for thing in objects if thing.find_parts and not thing.parts],
        **options,
    )
    return runner.queue_job(job, scene)


def shows_exr(strip) -> bool:
    """Whether a strip's files are EXR, which may have several layers."""
    elements = strip.elements if strip.type == "IMAGE" else ()
    return bool(elements) and elements[0].filename.lower().endswith(".exr")


def _scene_plan(strip, source: Source, folder: Path) -> dict:
    return {
        "name": source.scene.name,
        "sequencer": strip.scene_input == "SEQUENCER",
        "folder": str(folder),
        "frames": [
            [source.scene_first + n, f"{source.number_of(n)}.png"]
            for n in range(source.first, source.last + 1)
        ],
    }


def _mask(thing: Object, source: Source, target: Path, plan: dict, blocks, copies) -> str:
    """The path of the object's mask for the engine; what it takes to make it goes into the rest."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", thing.name):
        raise AddonError(
            f"{thing.name!r} cannot be the name of an object",
            "use letters, digits, _ and - only, such as dog or left_hand",
        )
    mask, shift = thing.mask, 0
    if thing.strip is not None and thing.strip.type == "MASK":
        mask = thing.strip.mask
        shift = mask.frame_start - round(compat.strip_start(thing.strip))
    if mask is not None:
        blocks.add(mask)
        at = {n: source.timeline_frame(n) for n in range(source.first, source.last + 1)}
        if thing.frame is not None:  # where it was drawn, of all frames that show its picture
            at = {source.picture_at(thing.frame): thing.frame}
        frames = [[at[n] + shift, f"mask_{source.number_of(n)}.png"] for n in at]
        plan["masks"].append({"name": mask.name, "folder": str(target), "frames": frames})
        if thing.frame is not None:
            _draw_keys(thing, source, target, plan, blocks)
        return str(target)  # a folder: beside a movie the number of a single picture says nothing
    if thing.strip is not None and thing.strip.type == "IMAGE":
        start, shown = compat.strip_span(thing.strip)
        files = image_files(thing.strip)
        first = round(compat.strip_content(thing.strip)[0])
        if len(files) == 1:  # a still: the mask of the frame where it begins
            number = source.number_of(source.picture_at(start))
            copies.append((str(files[0]), str(target / f"mask_{number}{files[0].suffix}")))
            return str(target)
        fits = shown == source.count  # then each picture of the one goes with one of the other
        for index, file in enumerate(files[first : first + shown]):
            number = source.number_of(source.first + index) if fits else f"{index:05d}"
            copies.append((str(file), str(target / f"mask_{number}{file.suffix}")))
        return str(target)
    if thing.strip is not None and thing.strip.type == "MOVIE":
        return bpy.path.abspath(thing.strip.filepath)
    if thing.path and thing.keys:
        return _with_keys(thing, source, target, plan, blocks, copies)
    if thing.path:
        return bpy.path.abspath(thing.path).rstrip("/\\")
    raise AddonError(f"the object {thing.name} has no mask", "choose one, or remove the object")


def _draw_keys(
    thing: Object, source: Source, target: Path, plan: dict, blocks, like: str = ""
) -> set[int]:
    """Have the object's further masks drawn into `target`, as large as the picture `like` or as the
    clip; returns the numbers of their files."""
    numbers = set()
    for frame, mask in sorted(thing.keys.items()):
        blocks.add(mask)
        number = source.number_of(source.picture_at(frame))
        numbers.add(int(number))
        frames = [[frame, f"mask_{number}.png"]]
        part = {"name": mask.name, "folder": str(target), "frames": frames}
        plan["masks"].append(part | ({"like": like} if like else {}))
    return numbers


def _with_keys(thing: Object, source: Source, target: Path, plan, blocks, copies) -> str:
    """A folder of the object's mask files and of those that are drawn in their place; the files of
    frames that need an eye are left out, so that they are carried from the drawn ones."""
    folder = Path(bpy.path.abspath(thing.path))
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    if not files:
        raise AddonError(
            f"the masks of {thing.name} are not a folder of PNG files",
            "give such a folder, or take its drawn key frames off",
        )
    drawn = _draw_keys(thing, source, target, plan, blocks, str(files[0]))
    for file in files:
        digits = re.search(r"(\d+)$", file.stem)
        if digits and int(digits[1]) not in drawn | set(thing.again):
            copies.append((str(file), str(target / f"mask_{digits[1]}.png")))
    return str(target)


def preparation(folder: Path, plan: dict, blocks: set) -> dict:
    """The step that renders the scene and draws the masks in a second Blender."""
    plan["file"] = str(folder / "copy.blend")
    if plan["scene"]:  # 5.2 crashes where only a scene with a Sequencer is to be written
        bpy.ops.wm.save_as_mainfile(filepath=plan["file"], copy=True)
    else:
        bpy.data.libraries.write(plan["file"], blocks, path_remap="ABSOLUTE", fake_user=True)
    (folder / "prepare.json").write_text(json.dumps(plan), "utf-8")
    return {
        "title": "preparing",
        "command": blender_command("prepare", str(folder / "prepare.json")),
    }


def blender_command(*words: str) -> list[str]:
    """A second Blender in the background that runs batch.py with `words`."""
    script = str(Path(__file__).resolve().parents[1] / "batch.py")
    if bpy.app.binary_path:
        options = ["--background", "--factory-startup", "--python-exit-code", "2"]
        return [bpy.app.binary_path, *options, "--python", script, "--", *words]
    return [sys.executable, script, "--", *words]  # Blender as a Python module
