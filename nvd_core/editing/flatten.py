"""The stack of edits as pictures that Blender's nodes can show: the folder's flat/.

Of every layer with entries a sheet is written as it shows, one picture where it is the same in all
frames, else those of the frames in which it changes and of one before and behind: a program that
shows the first before them and the last behind has every frame. Equal ones are one file, by links
where the disk has any. All of it can be removed and made again at any time.

    flat/flat.json                  what it was made from, and where pictures stand in the clip
    flat/LAYER/00000.exr, ...       display-encoded colours and their opacity, straight, half floats

Colours times opacity are what the stack and the paint below add to the texture, and the texture
times opacity, so nodes that compare them with the learned texture show what `nvd render` does.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvd_core.editing.stack_sheets import Sheet, Sheets, State
from nvd_core.media.images import encode_image
from nvd_core.runtime.files import cannot_write, temporary_name, write_json, written_beside
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import STACK

FLAT = "flat"
FILE = f"{FLAT}/flat.json"
_NEW, _OLD = f"{FLAT}.new", f"{FLAT}.old"
SCHEMA = "nvd.flat"
VERSION = 1
_MOST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Flattened:
    """The pictures of a layer: number 0 stands in frame `first`, and in all before it."""

    first: int
    count: int


def flatten(shot: Shot, progress: Progress | None = None) -> dict[str, Flattened]:
    """Write the pictures of every layer that has entries; what stood there before is replaced.

    The folder's lock is the caller's to hold. NvdError where an entry's file is missing or damaged,
    or the disk refuses; then those of before stay, and what says when they are from.
    """
    progress = progress or Progress()
    sheets = Sheets(shot)
    names = [name for name in shot.names if sheets.moves(name)]
    sheets.check(range(shot.frames), names)
    sources = sources_of(shot, sheets)
    if not names:
        remove_flat(shot)
        return {}
    progress.stage("flattening", len(names) * shot.frames)
    remove_folder(shot.folder, _NEW)  # of a process that was killed
    try:
        made = {
            name: _write_layer(shot, sheets, name, row * shot.frames, progress)
            for row, name in enumerate(names)
        }
        layers = {name: {"first": one.first, "count": one.count} for name, one in made.items()}
        record = {"schema": SCHEMA, "version": VERSION, "sources": sources, "layers": layers}
        write_json(inside(shot.folder, f"{_NEW}/{Path(FILE).name}"), record)
        _put_in_place(shot)
    finally:
        remove_folder(shot.folder, _NEW)
    return made


def _write_layer(shot: Shot, sheets: Sheets, name: str, done: int, progress: Progress) -> Flattened:
    """Write the pictures of a layer to where they wait to be put in place."""
    states = [sheets.state(name, t) for t in range(shot.frames)]
    first, last = changing(states)
    known: dict[State, Path] = {}
    for number, t in enumerate(range(first, last + 1)):
        path = inside(shot.folder, f"{_NEW}/{name}/{number:05d}.exr")
        if states[t] in known:
            _same_again(known[states[t]], path)
        else:
            _write(path, sheets.sized(name, t))
            known[states[t]] = path
        progress.update(done + t + 1)
    return Flattened(first, last - first + 1)


def _put_in_place(shot: Shot) -> None:
    """Let the new folder be flat/; a Blender that reads meanwhile finds one or the other."""
    old, new, place = (inside(shot.folder, name) for name in (_OLD, _NEW, FLAT))
    remove_folder(shot.folder, _OLD)
    try:
        if place.exists():
            place.rename(old)
        new.rename(place)
    except OSError as error:
        raise cannot_write(place, error) from error
    remove_folder(shot.folder, _OLD)


def changing(states: Sequence[State]) -> tuple[int, int]:
    """First and last frame of those that are written: one equal one stays at either end."""
    first, last = 0, len(states) - 1
    while last > 0 and states[last - 1] == states[-1]:
        last -= 1
    while first < last and states[first + 1] == states[0]:
        first += 1
    return first, last


def remove_flat(shot: Shot) -> int:
    """Remove the pictures; the bytes that they took. What says that they are there goes first."""
    size = flat_bytes(shot)
    with suppress(FileNotFoundError):
        inside(shot.folder, FILE).unlink()
    for place in (FLAT, _NEW, _OLD):
        remove_folder(shot.folder, place)
    return size


def flat_bytes(shot: Shot) -> int:
    """Bytes of the pictures on the disk; what is linked counts once."""
    seen = {}
    for parent, _folders, files in os.walk(inside(shot.folder, FLAT)):
        for name in files:
            state = os.lstat(Path(parent, name))
            seen[(state.st_dev, state.st_ino or Path(parent, name))] = state.st_size
    return sum(seen.values())


def sources_of(shot: Shot, sheets: Sheets) -> dict[str, list[int]]:
    """By path in the folder, the size and date of all files that the pictures are made from."""
    named = {shot.manifest.stack or STACK}
    for name in shot.names:
        if sheets.moves(name):
            record = shot.layer(name)
            named |= {record.texture, record.edit}
            for entry in sheets.stack.on(name):
                named |= set(entry.files.values())
    return {path: stamp(shot.folder, path) for path in sorted(named)}


def stamp(folder: Path, relative: str) -> list[int]:
    """Size and date of a file, of a pattern those of its folder with size 0; zeros where none is.

    blender_addon/shot/flat.py has the same.
    """
    is_pattern = "%" in relative
    path = inside(folder, os.path.dirname(relative) if is_pattern else relative)
    try:
        state = path.stat()
    except OSError:
        return [0, 0]
    return [0 if is_pattern else state.st_size, state.st_mtime_ns]


def _write(path: Path, sheet: Sheet) -> None:
    opacity = sheet.cover[..., :1]
    change = np.divide(sheet.delta, opacity, out=np.zeros_like(sheet.delta), where=opacity > 0)
    picture = np.dstack([sheet.learned + change, opacity]).clip(-_MOST, _MOST)
    with written_beside(path) as temporary:
        encode_image(temporary, picture.astype(np.float16), as_stored=True)


def _same_again(known: Path, path: Path) -> None:
    """Let `path` be the same picture: a link, or a copy where the disk has no links."""
    beside = path.with_name(temporary_name(path))
    try:
        try:
            os.link(known, beside)
        except OSError:
            shutil.copyfile(known, beside)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise cannot_write(path, error) from error
