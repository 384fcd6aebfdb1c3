"""The stack of edits as pictures: what a shot's flat/ holds, and whether that is what is saved now.

The engine writes it (`nvd edits flatten`), and it can be removed and made again at any time. Plain
Python, no bpy; the folder may be anybody's, so all is checked.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..blender.inside import inside
from .edit_document import read_document, require
from .folder import MOST_FRAMES, Shot, ShotError
from .stack_file import Entry

FLAT = "flat"
FILE = f"{FLAT}/flat.json"
SCHEMA = "nvd.flat"
VERSION = 1
MOST_BYTES = 1 << 22
_AGAIN = f"remove the folder {FLAT}; it is made again"


@dataclass(frozen=True)
class Pictures:
    """Those of a layer: number 0 shows in frame `first` and in all before it."""

    first: int
    count: int


@dataclass(frozen=True)
class Flat:
    """What flat.json says."""

    layers: dict[str, Pictures]
    sources: dict[str, list[int]]
    stamp: str
    """another one for pictures that were made anew"""


_read: dict[Path, tuple[tuple[int, int], Flat | None]] = {}
"""by a folder: the file's date and size, and what it said"""


def read_flat(shot: Shot) -> Flat | None:
    """What the folder has; None where there is none, or it is damaged: it is made again then."""
    try:
        path = inside(shot.folder, FILE, ShotError)
        found = os.stat(path)
    except (OSError, ValueError, ShotError):
        return None
    now = found.st_mtime_ns, found.st_size
    if shot.folder not in _read or _read[shot.folder][0] != now:
        try:
            said = read_document(path, lambda value: _checked(value, shot, now), MOST_BYTES, _AGAIN)
        except ShotError:
            said = None
        _read[shot.folder] = now, said
    return _read[shot.folder][1]


def first_picture(shot: Shot, layer: str) -> Path:
    """The file of a layer's picture number 0; ShotError where that leads out of the folder."""
    return inside(shot.folder, f"{FLAT}/{layer}/00000.exr", ShotError)


def sources_now(shot: Shot, entries: Iterable[Entry]) -> dict[str, list[int]]:
    """What pictures of these entries, those of the folder's file, would be made from."""
    on = [entry for entry in entries if entry.on]
    named = {shot.stack}
    for layer in shot.layers:
        own = [entry for entry in on if entry.layer == layer.name]
        if own:
            named |= {
                path.relative_to(shot.folder).as_posix() for path in (layer.texture, layer.edit)
            }
        for entry in own:
            keys = {"text": ("font",), "adjustment": ("mask",)}.get(entry.kind, ("file",))
            named |= {getattr(entry, key) for key in keys} - {""}
    return {path: _stamp(shot.folder, path) for path in sorted(named)}


def is_current(shot: Shot, entries: Iterable[Entry]) -> bool:
    """Whether the pictures show these entries, and the paint below, as they are saved."""
    found = read_flat(shot)
    return found is not None and found.sources == sources_now(shot, entries)


def size_of(folder: Path) -> int:
    """Bytes of the pictures on the disk; what is linked counts once."""
    seen: dict[object, int] = {}
    for parent, _folders, files in os.walk(Path(folder) / FLAT):
        for name in files:
            try:
                state = os.lstat(os.path.join(parent, name))
            except OSError:
                continue
            seen[(state.st_dev, state.st_ino or (parent, name))] = state.st_size
    return sum(seen.values())


def _stamp(folder: Path, relative: str) -> list[int]:
    """Size and date of a file, of a pattern those of its folder with size 0; zeros where none is.

    nvd_core/editing/flatten.py has the same.
    """
    is_pattern = "%" in relative
    path = Path(folder, os.path.dirname(relative) if is_pattern else relative)
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        return [0, 0]
    return [0 if is_pattern or stat.S_ISDIR(state.st_mode) else state.st_size, state.st_mtime_ns]


def _checked(found: object, shot: Shot, stamp: tuple[int, int]) -> Flat:
    require(isinstance(found, dict) and found.get("schema") == SCHEMA, f"it is no {SCHEMA}")
    require(found.get("version") == VERSION, "it has another version")
    layers, sources = found.get("layers"), found.get("sources")
    require(isinstance(layers, dict) and isinstance(sources, dict), "it has no `layers`, `sources`")
    known = {layer.name for layer in shot.layers}
    pictures = {}
    for name, said in layers.items():
        require(name in known and isinstance(said, dict), f"it has no layer {name[:80]!r}")
        first, count = said.get("first"), said.get("count")
        whole = type(first) is int and type(count) is int
        require(whole and 0 <= first < MOST_FRAMES, "`first` is no frame")
        require(whole and 0 < count <= MOST_FRAMES, "`count` is no number of pictures")
        pictures[name] = Pictures(first, count)
    return Flat(pictures, sources, f"{stamp[0]} {stamp[1]}")
