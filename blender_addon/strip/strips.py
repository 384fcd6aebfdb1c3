"""The edited shot back in the sequencer, above the strip that it was made from.

    pattern = render_to_strip(entry, scene, python)      # `nvd render`, waits
    add_strip(entry, scene, pattern)                     # what it does once the frames are there

A rendered strip lists a file for every frame of the timeline, the one whose picture the source
strip shows there, so it follows the source's rate and speeds (timing.py); its place, trims, look
and colour space are those of the source, so that without paint nothing changes. Of a plate with
alpha the source is muted, which would shine through.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import bpy

from ..blender import compat
from ..blender.inside import inside
from ..blender.strip_elements import give_sizes
from ..jobs.process import clean_environment, engine_command, hidden
from ..shot.folder import Shot, ShotError
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot, strip_of
from .sources import read_around, read_strip
from .strip_look import alpha_mode, colour_space, take_look
from .timing import known_pictures

AGAIN = "open the shot again"


def strip_named(scene: bpy.types.Scene, name: str):
    """The strip `name` of the scene, or None."""
    return next((strip for strip in compat.strips(scene) if strip.name == name), None)


def source_frame(strip, frame: int) -> int:
    """The picture of the strip's source that the timeline's `frame` shows, counted from 0; less
    than 0 where the strip is not there. AddonError where only rendering could tell.
    """
    return read_strip(strip, known_pictures).shows.get(frame, -1)


def render_command(
    python: str | Path,
    shot: Shot,
    pattern: str,
    mode: str = "delta",
    without: str = "",
    overlay: str = "",
) -> list[str]:
    """The engine's command line that renders the shot to numbered images, `without` an object, or
    with an `overlay`, "grid" or "doubt".
    """
    words = ["render", shot.folder, "--out", pattern, "--mode", mode, "--start", "0"]
    words += ["--remove", without] if without else []
    words += ["--overlay", overlay] if overlay else []
    return engine_command(python, *words)


def render_pattern(entry: NVD_PG_shot, without: str = "", overlay: str = "") -> str:
    """Where the rendered frames go: a folder `render` beside the decomposition's files."""
    shot = entry.read()
    folder = f"render/without_{without}" if without else "render"
    folder = f"render/overlay_{overlay}" if overlay else folder
    return str(inside(shot.folder, f"{folder}/%05d.{shot.suffix}", ShotError))


def render_to_strip(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    python: str | Path,
    *,
    mode: str = "delta",
    progress: Callable[[int, int], None] = lambda done, total: None,
):
    """Save the paint, render the shot with the engine, and add the strip, which is returned.

    `progress` is called with frames done and in all. ShotError where the engine fails.
    """
    source = strip_named(scene, entry.strip)
    if source is not None:
        alignment(entry, entry.read(), source)  # keys lie where the strip shows the shot
    save_edits(entry)
    shot, pattern = entry.read(), render_pattern(entry)
    process = subprocess.Popen(
        render_command(python, shot, pattern, mode),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.PIPE,  # the engine stops when it is closed: with us
        text=True,
        env=clean_environment(),
        **hidden(),
    )
    problem, remedy = "", ""
    with process:
        for line in process.stdout:
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "progress":
                progress(event["done"], event["total"])
            elif event.get("event") == "error":
                problem, remedy = event["problem"], event["remedy"]
    if process.returncode:
        problem = problem or f"the engine ended with code {process.returncode}"
        raise ShotError(problem, remedy or "test the engine in the preferences")
    return add_strip(entry, scene, pattern)


def add_strip(
    entry: NVD_PG_shot,
    scene: bpy.types.Scene,
    pattern: str,
    without: str = "",
    overlay: str = "",
):
    """Add the rendered frames above the source strip, or as a strip of their own without one.

    Where the shot has such a strip already, that shows them, in its place and with its look.
    `without` names the object that was left out of them, `overlay` what was laid over them: these
    have strips of their own.
    """
    shot, source = entry.read(), strip_of(scene, entry)
    if source is None:
        start, shown = scene.frame_current, [0, shot.frames]
        pictures = list(range(shot.frames))
    else:
        start, shown, pictures = alignment(entry, shot, source)
    files = [Path(pattern % picture) for picture in pictures]
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise ShotError(f"the rendered frame {missing} is missing", "render the shot again")
    made, fresh = made_before(entry, scene, "IMAGE", without, overlay), False
    if made is None:
        fresh = True
        channel = free_channel(scene, source, start + shown[0], shown[1])
        mute_below(scene, source, shot)
        made = compat.make_strips(scene).new_image(
            name=_strip_name(entry, without, overlay),
            filepath=str(files[0]),
            channel=channel,
            frame_start=start,
            fit_method="ORIGINAL",
        )
    elif source is None:
        start = round(compat.strip_start(made))
    compat.trim(made, 0, 0)
    _list_files(made, files)
    give_sizes(made, shot.width, shot.height)
    compat.move(made, start - round(compat.strip_start(made)))
    compat.trim(made, shown[0], len(files) - shown[0] - shown[1])
    made.colorspace_settings.name = colour_space(shot, source)
    made.alpha_mode = alpha_mode(shot, source)
    sign(made, entry)
    if without:
        made["nvd_without"] = without
    if overlay:
        made["nvd_overlay"] = overlay
    if source is not None and fresh:
        take_look(made, source, shot)
    made.invalidate_cache("RAW")
    return made


def _strip_name(entry: NVD_PG_shot, without: str, overlay: str) -> str:
    if overlay:
        return f"{entry.name} {overlay}"
    return f"{entry.name} without {without}" if without else f"{entry.name} painted"


def _list_files(strip, files: list[Path]) -> None:
    """Let an image strip show `files`, which lie in one folder."""
    while len(strip.elements) > len(files):
        strip.elements.pop(index=len(strip.elements) - 1)
    for element, path in zip(strip.elements, files, strict=False):
        element.filename = path.name
    for path in files[len(strip.elements) :]:
        strip.elements.append(path.name)
    strip.directory = _directory(files[0].parent)


def made_before(
    entry: NVD_PG_shot, scene: bpy.types.Scene, kind: str, without: str = "", overlay: str = ""
):
    """The strip of a kind that was made for the shot before, `without` an object or with an
    `overlay`, or None.
    """
    found = [
        strip
        for strip in compat.strips(scene)
        if strip.type == kind
        and strip.get("nvd_without", "") == without
        and strip.get("nvd_overlay", "") == overlay
        and (
            strip.get("nvd_shot") == entry.id
            if "nvd_shot" in strip
            else strip.get("nvd_folder") == str(entry.path)  # of an older version
        )
    ]
    return min(found, key=lambda strip: (len(strip.name), strip.name), default=None)


def sign(strip, entry: NVD_PG_shot) -> None:
    """Let the strip be known for one that was made for the shot."""
    strip["nvd_folder"], strip["nvd_shot"] = str(entry.path), entry.id


def alignment(entry: NVD_PG_shot, shot: Shot, source_strip):
    """Where the shot stands on the timeline: its first frame, (frames cut off before, shown), and
    the shot's picture at every frame from there, also behind the trims. May render (timing.py).
    """
    left, length = compat.strip_span(source_strip)
    of_shot = range(entry.first_frame, entry.first_frame + shot.frames)
    shows = read_around(source_strip, of_shot).shows
    pictures = {frame: picture - entry.first_frame for frame, picture in shows.items()}
    inside = [frame for frame in sorted(shows) if 0 <= pictures[frame] < shot.frames]
    shown = [frame for frame in inside if left <= frame < left + length]
    if not shown:
        raise ShotError(
            f"the strip {source_strip.name} shows no frame of the shot",
            "choose the strip that the shot was made from",
        )
    return inside[0], [shown[0] - inside[0], len(shown)], [pictures[frame] for frame in inside]


def free_channel(scene, source, start: int, length: int) -> int:
    """The lowest channel above the source with room for `length` frames."""
    channel = source.channel + 1 if source is not None else 1
    taken = set()
    for strip in compat.strips(scene):
        left, frames = compat.strip_span(strip)
        if left < start + length and start < left + frames:
            taken.add(strip.channel)
    while channel in taken:
        channel += 1
    return channel


def mute_below(scene, source, shot: Shot) -> None:
    """Of a plate with alpha, mute what the new strip stands for: it would shine through."""
    if not shot.has_alpha:
        return
    for strip in compat.strips(scene):
        if strip == source or strip.get("nvd_folder") == str(shot.folder):
            strip.mute = True


def _directory(folder: Path) -> str:
    from ..shot.shots import stored_path

    return stored_path(folder)
