"""What lies on the layers' painted sheets, each in frames of its own: edits/stack.json.

A stack of entries, bottom to top: paint, a picture, a movie, words or an adjustment, each on one
layer, in all frames of the clip or in a range of them:

    {"schema": "nvd.stack", "version": 1,
     "entries": [{"name": "logo", "layer": "bear", "kind": "picture",
                  "file": "edits/stack/logo.png", "frames": [10, 40], "fade_in": 5,
                  "corners": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.3], [0.1, 0.3]]}]}

Where there is no such file nothing changes. `editing/stack_sheets.py` makes a frame's sheets of it.
docs/reference/decomposition-folder.md describes every key.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from nvd_core.media.sequences import MOVIE_SUFFIXES, is_pattern
from nvd_core.runtime.declared import Name, text_like, within
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import check_relative, inside
from nvd_core.runtime.reading import there
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES
from nvd_core.shot.edit_document import (
    EditDocument,
    EditName,
    Fade,
    Frame,
    Share,
    as_lists,
    said_of,
    write_edit,
)
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack_words import After, Blend, Kind
from nvd_core.shot.strokes import SUFFIX as STROKES_SUFFIX

SCHEMA = "nvd.stack"
VERSION = 2
"""1: without strokes and without what keeps its width; such stacks are still written as 1"""
STACK = "edits/stack.json"
PLACE = "edits/stack"
"""the folder of the entries' own files"""
MOST_ENTRIES = 200
LONGEST_TEXT = 1000
LONGEST_PATH = 500
FARTHEST = 100.0
"""shares of the texture that a corner may lie from it"""
PICTURE_SUFFIXES = (".png", ".exr", ".tif", ".tiff", ".jpg", ".jpeg")
FONT_SUFFIXES = (".ttf", ".otf", ".ttc")
_FILE = EditDocument(
    SCHEMA,
    VERSION,
    "a stack of edits",
    f"correct {STACK}, or remove it: then the painted sheets show alone",
)

Place = Annotated[float, within(-FARTHEST, FARTHEST)]
Corner = tuple[Place, Place]
Corners = tuple[Corner, Corner, Corner, Corner]
File = Annotated[str, text_like(rf"[^\0]{{0,{LONGEST_PATH}}}", f"a path below {PLACE}/")]


@dataclass(frozen=True)
class Entry:
    """One entry. Keys that say nothing of its kind are taken and have no effect."""

    name: EditName
    layer: Name
    kind: Kind
    on: bool = True
    opacity: Share = 1.0
    blend: Blend = "normal"
    frames: tuple[Frame, Frame] | None = None
    """first and last frame of the clip, from 0; None: all"""
    fade_in: Fade = 0
    """frames at the beginning in which it comes"""
    fade_out: Fade = 0
    """frames at the end in which it goes"""
    file: File | None = None
    """of paint, picture, movie or strokes; a movie may be a pattern of images"""
    corners: Corners | None = None
    """of picture, movie or text: top left, top right, bottom right, bottom left, in shares of the
    texture from its top left; None: the whole sheet"""
    start: Annotated[int, within(-MOST_FRAMES, MOST_FRAMES)] = 0
    """the clip's frame in which a movie's first picture shows"""
    after: After = "hold"
    """what a movie does behind its last picture"""
    text: Annotated[str, Meta(max_length=LONGEST_TEXT)] = ""
    font: File | None = None
    """a font's file; None: the one that comes with the program"""
    colour: tuple[Share, Share, Share] = (1.0, 1.0, 1.0)
    """of text, display-encoded"""
    keep_width: bool = False
    """strokes are as wide, and words as large, in every frame as `pixels` of the plate say, over
    all else on the layer; the points that they are anchored to follow the texture"""
    pixels: Annotated[float, within(0.1, 2000)] | None = None
    """width of strokes, None: each as its file has it; size of words' font, None: 32"""
    hue: Annotated[float, within(-180, 180)] = 0.0
    """degrees by which an adjustment turns it"""
    saturation: Annotated[float, within(0, 10)] = 1.0
    gain: Annotated[float, within(0, 100)] = 1.0
    gamma: Annotated[float, within(0.05, 20)] = 1.0
    mask: File | None = None
    """a grey image: where an adjustment works; None: everywhere"""

    def strength(self, t: int, frames: int) -> float:
        """How opaque it is in frame `t` of a clip of so many frames, 0 to 1."""
        first, last = self.frames or (0, frames - 1)
        if not self.on or not first <= t <= last:
            return 0.0
        comes = min((t - first + 1) / (self.fade_in + 1), 1.0)
        goes = min((last - t + 1) / (self.fade_out + 1), 1.0)
        return self.opacity * comes * goes

    @property
    def keeps_width(self) -> bool:
        """Whether it is drawn in the frames, and not on the sheet."""
        return self.keep_width and self.kind in ("text", "strokes")

    @property
    def files(self) -> dict[str, str]:
        """The keys that name a file, of those that say something of this kind."""
        keys = {"text": ("font",), "adjustment": ("mask",)}.get(self.kind, ("file",))
        return {key: path for key in keys if (path := getattr(self, key))}


@dataclass(frozen=True)
class Stack:
    """All entries, bottom to top."""

    entries: Annotated[tuple[Entry, ...], Meta(max_length=MOST_ENTRIES)] = ()
    schema: str = SCHEMA
    version: Annotated[int, within(1, VERSION)] = VERSION

    def on(self, layer: str) -> list[Entry]:
        """The entries on `layer` that are not switched off."""
        return [entry for entry in self.entries if entry.layer == layer and entry.on]

    def number(self, name: str) -> int:
        """Where the entry `name` stands, from 0; NvdError that lists them where there is none."""
        for number, entry in enumerate(self.entries):
            if entry.name.casefold() == name.casefold():
                return number
        names = ", ".join(entry.name for entry in self.entries)
        raise NvdError(
            f"there is no entry {name}",
            expected=f"one of {names}" if names else "a stack with entries",
            found=shown(name),
            remedy="see `nvd edits list`",
        )


EMPTY = Stack()
"""nothing but the painted sheets"""


def stack_path(shot: Shot) -> Path:
    """Where the stack of `shot` is, or would be."""
    return inside(shot.folder, shot.manifest.stack or STACK)


def read_stack(shot: Shot) -> Stack:
    """The stack of `shot`; EMPTY where it has none. NvdError where it is damaged."""
    path = stack_path(shot)
    if not there(path.exists):
        return EMPTY
    stack: Stack = _FILE.read_file(path, Stack, "entries")
    check_stack(shot, stack, str(path))
    return stack


def write_stack(shot: Shot, stack: Stack) -> Path:
    """Check `stack` as a reader would, then write it into the folder; the file."""
    source = "the new stack"
    written = as_json(stack)
    check_stack(shot, _FILE.read(Stack, written, source), source)
    return write_edit(stack_path(shot), written)


def as_json(stack: Stack) -> dict:
    """What the file holds."""
    entries = [said_of(entry) for entry in stack.entries]
    new = any(e.kind == "strokes" or e.keep_width or e.pixels for e in stack.entries)
    return {"schema": stack.schema, "version": VERSION if new else 1, "entries": entries}


def entry_of(said: dict, source: str) -> Entry:
    """An entry of such keys and values; NvdError, which names `source`."""
    made: Entry = _FILE.read(Entry, said, source)
    return made


def check_stack(shot: Shot, stack: Stack, source: str) -> None:
    """What types alone do not say: NvdError for layers, names and paths that cannot be."""
    names: set[str] = set()
    for number, entry in enumerate(stack.entries):
        key = f"entries[{number}]"
        if entry.layer not in shot.names:
            known = f"one of {', '.join(shot.names)}"
            raise _FILE.not_valid(source, f"{key}.layer", known, entry.layer)
        if entry.name.casefold() in names:
            raise _FILE.not_valid(source, f"{key}.name", "names that differ", entry.name)
        names.add(entry.name.casefold())
        if entry.frames and entry.frames[0] > entry.frames[1]:
            raise _FILE.not_valid(source, f"{key}.frames", "first <= last", list(entry.frames))
        if entry.corners and not is_convex(entry.corners):
            quad = "a quad without dents, crossings or corners in one place"
            raise _FILE.not_valid(source, f"{key}.corners", quad, as_lists(entry.corners))
        _check_files(shot, entry, source, key)


def is_convex(corners: Corners) -> bool:
    """Whether four corners go round a quad that a picture can be pinned to."""
    turns = []
    for k in range(4):
        (ax, ay), (bx, by), (cx, cy) = (corners[(k + n) % 4] for n in range(3))
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return min(turns) > 1e-9 or max(turns) < -1e-9


def _check_files(shot: Shot, entry: Entry, source: str, key: str) -> None:
    if entry.kind in ("paint", "picture", "movie", "strokes") and not entry.file:
        raise _FILE.not_valid(source, f"{key}.file", f"the file of the {entry.kind}", "none")
    for name in ("file", "font", "mask"):
        path = getattr(entry, name)
        if not path:
            continue
        where = f"{key}.{name}"
        if not path.startswith(f"{PLACE}/"):
            raise _FILE.not_valid(source, where, f"a path below {PLACE}/", path)
        check_relative(shot.folder, path)
        if "%" in path or "#" in Path(path).name:
            if entry.kind != "movie" or name != "file" or not _is_numbered(path):
                expected = f"a file, or of a movie a pattern such as {PLACE}/NAME/%05d.png"
                raise _FILE.not_valid(source, where, expected, path)
            known: tuple[str, ...] = PICTURE_SUFFIXES
        elif name == "font":
            known = FONT_SUFFIXES
        elif entry.kind == "movie" and name == "file":
            known = tuple(MOVIE_SUFFIXES)
        elif entry.kind == "strokes" and name == "file":
            known = (STROKES_SUFFIX,)
        else:
            known = PICTURE_SUFFIXES
        if Path(path).suffix.lower() not in known:
            raise _FILE.not_valid(source, where, f"a file in {' or '.join(sorted(known))}", path)


def _is_numbered(path: str) -> bool:
    return "%" not in Path(path).parent.as_posix() and is_pattern(path)


def entry_path(shot: Shot, relative: str) -> Path:
    """The file of an entry, there or not; NvdError where it would lead out of the folder."""
    return inside(shot.folder, relative)


def replaced(entry: Entry, **changes: Any) -> Entry:
    """The entry, but for these keys; unchecked."""
    return dataclasses.replace(entry, **changes)
