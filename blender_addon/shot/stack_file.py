"""A shot's edits/stack.json: what lies on the painted sheets, bottom to top.

An entry is paint, a picture, a movie, words, strokes or an adjustment on one layer, in all frames
of the clip or in a range of them. Plain Python, no bpy; the folder may be anybody's, so all is
checked.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..blender.inside import inside
from .edit_document import read_document, require, write_beside
from .folder import MOST_FRAMES, Shot, ShotError

SCHEMA = "nvd.stack"
VERSION = 2
"""1: without strokes and without what keeps its width; such stacks are still written as 1"""
STACK = "edits/stack.json"
PLACE = "edits/stack/"
"""where the files of entries lie"""
KINDS = ("paint", "picture", "movie", "text", "strokes", "adjustment")
BLENDS = (
    "normal",
    "multiply",
    "screen",
    "overlay",
    "soft_light",
    "add",
    "subtract",
    "darken",
    "lighten",
)
AFTER = ("hold", "loop", "hide")
PICTURES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg")
# fmt: off
MOVIES = (
    ".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mxf", ".mpg", ".mpeg", ".ts", ".mts",
    ".m2ts", ".m2t", ".wmv", ".asf", ".3gp", ".3g2", ".y4m", ".mj2", ".flv", ".ogv", ".vob", ".dv",
    ".gxf", ".nut", ".ivf", ".gif", ".apng",
)
# fmt: on
FONTS = (".ttf", ".otf", ".ttc")
STROKES = (".strokes",)
MOST_ENTRIES = 200
LONGEST_NAME = 60
LONGEST_TEXT = 1000
LONGEST_PATH = 500
MOST_BYTES = 1 << 24
LEAST_PIXELS = 0.1
FARTHEST = 100.0
"""in shares of the texture, that a corner may lie from it"""
_NAME = r"[^\W_]|[ _.\-]"
_AGAIN = f"correct {STACK}, or remove it and open the shot again"

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Entry:
    """One entry. Frames are the clip's, from 0; corners are shares of the texture, from its top
    left: top left, top right, bottom right, bottom left.
    """

    name: str
    layer: str
    kind: str
    on: bool = True
    opacity: float = 1.0
    blend: str = "normal"
    frames: tuple[int, int] | None = None  # first and last; None: all
    fade_in: int = 0
    fade_out: int = 0
    file: str = ""  # of paint, pictures, movies and strokes, in the folder
    corners: Corners | None = None  # None: the whole sheet
    start: int = 0  # the frame in which a movie's first picture shows
    after: str = "hold"
    text: str = ""
    font: str = ""  # "": the engine's own
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)  # display-encoded
    keep_width: bool = False  # words and strokes are as large in every frame
    pixels: float = 0.0  # so large, of the plate; 0: as the strokes' file says
    hue: float = 0.0  # degrees
    saturation: float = 1.0
    gain: float = 1.0
    gamma: float = 1.0
    mask: str = ""  # where an adjustment works; "": everywhere

    @property
    def keeps_width(self) -> bool:
        """Whether the engine draws it in the frames, in place of on the sheet."""
        return self.keep_width and self.kind in ("text", "strokes")

    def strength(self, t: int, count: int) -> float:
        """How opaque it is in frame `t` of a clip of `count` frames; 0 where it does not show."""
        first, last = self.frames or (0, count - 1)
        if not (self.on and first <= t <= last):
            return 0.0
        begun = min((t - first + 1) / (self.fade_in + 1), 1.0)
        left = min((last - t + 1) / (self.fade_out + 1), 1.0)
        return self.opacity * begun * left


_DEFAULTS = {f.name: f.default for f in fields(Entry) if f.default is not MISSING}
_OF_ALL = ("name", "layer", "kind", "on", "opacity", "blend", "frames", "fade_in", "fade_out")
OF_KIND = {
    "paint": ("file",),
    "picture": ("file", "corners"),
    "movie": ("file", "corners", "start", "after"),
    "text": ("text", "font", "colour", "corners", "keep_width", "pixels"),
    "strokes": ("file", "keep_width", "pixels"),
    "adjustment": ("hue", "saturation", "gain", "gamma", "mask"),
}
"""the keys that say something of each kind, besides those of all"""


def stack_path(shot: Shot) -> Path:
    """Where the folder's stack is, or would be."""
    return inside(shot.folder, shot.stack, ShotError)


def is_there(folder: Path) -> bool:
    """Whether any state of a shot's folder has a stack; nothing is read."""
    return any(folder.glob("edits/stack*.json"))


def read_stack(shot: Shot) -> list[Entry] | None:
    """What the folder says, None where it has no such file; ShotError where it is damaged."""
    path = stack_path(shot)
    return read_document(path, lambda found: _checked(found, shot), MOST_BYTES, _AGAIN)


def _checked(found: object, shot: Shot) -> list[Entry]:
    require(isinstance(found, dict) and found.get("schema") == SCHEMA, f"it is no {SCHEMA}")
    require(type(found.get("version")) is int, "it has no version")
    require(found["version"] <= VERSION, "a newer program wrote it: update the extension")
    require(found["version"] >= 1, f"`version` should be {VERSION}, is {_shown(found['version'])}")
    listed = found.get("entries")
    require(isinstance(listed, list), "it has no `entries`")
    unknown = sorted(set(found) - {"schema", "version", "entries"})
    require(not unknown, f"it has the unknown key {_shown(unknown[0] if unknown else '')}")
    require(len(listed) <= MOST_ENTRIES, f"it has {len(listed)} entries, {MOST_ENTRIES} at most")
    entries = [_entry(one, f"entries[{number}]", shot) for number, one in enumerate(listed)]
    names: set[str] = set()
    for entry in entries:
        require(entry.name.casefold() not in names, f"two entries are named {entry.name!r}")
        names.add(entry.name.casefold())
    return entries


def _entry(found: object, where: str, shot: Shot) -> Entry:
    require(isinstance(found, dict), f"`{where}` should be an object, is {_shown(found)}")
    for key in ("name", "layer", "kind"):
        require(key in found, f"`{where}` has no `{key}`")
    values = {}
    for key, value in found.items():
        require(key in _CHECKS, f"`{where}` has the unknown key {_shown(key)}")
        values[key] = _CHECKS[key](value, f"{where}.{key}")
    layers = [layer.name for layer in shot.layers]
    known = " or ".join(layers)
    said = f"`{where}.layer` should be {known}, is {_shown(values['layer'])}"
    require(values["layer"] in layers, said)
    entry = Entry(**values)
    if entry.kind in ("paint", "picture", "movie", "strokes"):
        require(entry.file, f"`{where}.file` is missing: a {entry.kind} needs one")
    _check_files(entry, where, shot)
    return entry


_FILES = {"movie": (*MOVIES, *PICTURES), "strokes": STROKES}
"""suffixes of the files of kinds other than a picture's"""


def _check_files(entry: Entry, where: str, shot: Shot) -> None:
    """Every path lies below edits/stack/, and its suffix is one that goes with its kind."""
    suffixes = {
        "file": _FILES.get(entry.kind, PICTURES),
        "font": FONTS,
        "mask": PICTURES,
    }
    for key, known in suffixes.items():
        path = getattr(entry, key)
        if not path:
            continue
        require(path.startswith(PLACE), f"`{where}.{key}` should lie in {PLACE}, is {_shown(path)}")
        suffix = os.path.splitext(path)[1].lower()
        said = f"`{where}.{key}` should end in {' or '.join(known[:8])}, is {_shown(path)}"
        require(suffix in known, said)
        is_pattern = "%" in path or "#" in path
        if is_pattern:
            fits = entry.kind == "movie" and key == "file" and suffix in PICTURES
            fits = fits and re.fullmatch(r"[^%#]*/[^%#/]*%0\dd[^%#/]*", path)
            require(fits, f"`{where}.{key}` is no path or pattern of a movie: {_shown(path)}")
        elif entry.kind == "movie" and key == "file":
            said = f"`{where}.file` should be a movie or a pattern such as %05d.png"
            require(suffix in MOVIES, f"{said}, is {_shown(path)}")
        try:
            inside(shot.folder, path % 0 if "%" in path else path, ShotError)
        except ShotError as error:
            raise ValueError(f"`{where}.{key}`: {error.problem}") from error


def problem_of_name(name: object) -> str:
    """Why an entry cannot be called so; "" where it can."""
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        return f"should be 1 to {LONGEST_NAME} characters, is {_shown(name)}"
    if name != name.strip(" .") or not re.fullmatch(rf"(?:{_NAME})+", name):
        return f"should be letters, digits, spaces, _ - and ., is {_shown(name)}"
    return ""


def _name(value: Any, where: str) -> str:
    problem = problem_of_name(value)
    require(not problem, f"`{where}` {problem}")
    return value


def _words(longest: int) -> Callable[[Any, str], str]:
    def check(value: Any, where: str) -> str:
        if value is None:
            value = ""
        fits = isinstance(value, str) and len(value) <= longest and value.isprintable()
        if isinstance(value, str) and not fits:  # words may have several lines
            fits = len(value) <= longest and value.replace("\n", "").isprintable()
        require(fits, f"`{where}` should be {longest} characters at most, is {_shown(value)}")
        return value

    return check


def _choice(choices: Sequence[str]) -> Callable[[Any, str], str]:
    def check(value: Any, where: str) -> str:
        fits = isinstance(value, str) and value in choices
        require(fits, f"`{where}` should be {' or '.join(choices)}, is {_shown(value)}")
        return value

    return check


def _number(least: float, most: float) -> Callable[[Any, str], float]:
    def check(value: Any, where: str) -> float:
        fits = type(value) in (int, float) and least <= value <= most  # NaN is neither
        require(fits, f"`{where}` should be {least:g} to {most:g}, is {_shown(value)}")
        return float(value)

    return check


def _whole(least: int, most: int) -> Callable[[Any, str], int]:
    def check(value: Any, where: str) -> int:
        fits = type(value) is int and least <= value <= most
        said = f"`{where}` should be a whole number from {least} to {most}, is {_shown(value)}"
        require(fits, said)
        return value

    return check


def _switch(value: Any, where: str) -> bool:
    require(isinstance(value, bool), f"`{where}` should be true or false, is {_shown(value)}")
    return value


def _frames(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    fits = isinstance(value, list) and len(value) == 2 and all(type(t) is int for t in value)
    fits = fits and 0 <= value[0] <= value[1] < MOST_FRAMES
    require(fits, f"`{where}` should be null or [first, last] from 0, is {_shown(value)}")
    return value[0], value[1]


def _corners(value: Any, where: str) -> Corners | None:
    if value is None:
        return None
    number = _number(-FARTHEST, FARTHEST)
    fits = isinstance(value, list) and len(value) == 4
    fits = fits and all(isinstance(one, list) and len(one) == 2 for one in value)
    require(fits, f"`{where}` should be null or four pairs [u, v], is {_shown(value)}")
    corners = tuple((number(u, where), number(v, where)) for u, v in value)
    require(is_convex(corners), f"`{where}` should go round a quad without dents or crossings")
    return corners


def is_convex(corners: Corners) -> bool:
    """Whether four corners go round a quad that a picture can be pinned to."""
    turns = []
    for k in range(4):
        (ax, ay), (bx, by), (cx, cy) = (corners[(k + n) % 4] for n in range(3))
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return min(turns) > 1e-9 or max(turns) < -1e-9


def _colour(value: Any, where: str) -> tuple[float, float, float]:
    fits = isinstance(value, list) and len(value) == 3
    require(fits, f"`{where}` should be [r, g, b], is {_shown(value)}")
    number = _number(0.0, 1.0)
    red, green, blue = (number(one, where) for one in value)
    return red, green, blue


def _pixels(value: Any, where: str) -> float:
    return 0.0 if value is None else _number(LEAST_PIXELS, 2000)(value, where)


_CHECKS: dict[str, Callable] = {
    "name": _name,
    "layer": _words(200),
    "kind": _choice(KINDS),
    "on": _switch,
    "opacity": _number(0, 1),
    "blend": _choice(BLENDS),
    "frames": _frames,
    "fade_in": _whole(0, MOST_FRAMES),
    "fade_out": _whole(0, MOST_FRAMES),
    "file": _words(LONGEST_PATH),
    "corners": _corners,
    "start": _whole(-MOST_FRAMES, MOST_FRAMES),
    "after": _choice(AFTER),
    "text": _words(LONGEST_TEXT),
    "font": _words(LONGEST_PATH),
    "colour": _colour,
    "keep_width": _switch,
    "pixels": _pixels,
    "hue": _number(-180, 180),
    "saturation": _number(0, 10),
    "gain": _number(0, 100),
    "gamma": _number(0.05, 20),
    "mask": _words(LONGEST_PATH),
}


def as_json(entries: Sequence[Entry]) -> list[dict]:
    """The entries as the file has them: only what is not by default, and what is of their kind."""
    listed = []
    for entry in entries:
        said = {}
        for key, value in asdict(entry).items():
            if key not in (*_OF_ALL, *OF_KIND[entry.kind]):
                continue
            value = _rounded(value)
            if key not in _DEFAULTS or value != _rounded(_DEFAULTS[key]):
                said[key] = value
        listed.append(said)
    return listed


def _rounded(value: object) -> object:
    """Blender's numbers are of single precision: 0.2 comes as 0.2."""
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return value


def digest(entries: Sequence[Entry] | None) -> str:
    """Equal for stacks that say the same; "" for none at all."""
    if entries is None:
        return ""
    return hashlib.sha1(json.dumps(as_json(entries), sort_keys=True).encode()).hexdigest()


EMPTY = digest([])


def write_stack(shot: Shot, entries: Sequence[Entry]) -> Path:
    """Write the entries beside and rename; ShotError where the disk refuses, and for what no
    reader would take.
    """
    listed = as_json(entries)
    is_new = any(e["kind"] == "strokes" or {"keep_width", "pixels"} & e.keys() for e in listed)
    file = {"schema": SCHEMA, "version": VERSION if is_new else 1, "entries": listed}
    text = json.dumps(file, indent=1, ensure_ascii=False)
    try:
        _checked(json.loads(text), shot)
    except ValueError as error:
        names = ", ".join(f"{number}: {entry.name}" for number, entry in enumerate(entries))
        raise ShotError(
            f"the stack of edits cannot be saved as it is ({error})",
            f"correct that entry in the tab Layers ({names[:300]})",
        ) from error
    path = stack_path(shot)
    write_beside(path, lambda beside: beside.write_text(text + "\n", "utf-8"))
    return path


def _shown(value: object) -> str:
    """A value for a message, short whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return "a huge number"
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:80]
