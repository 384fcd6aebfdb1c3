"""Changing a shot's stack of edits: what `nvd edits` does.

A file that is added is copied into the folder. A removed entry's file stays until `purge`, so that
whoever takes the removal back finds it.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nvd_core.editing.stack_sheets import Sheets
from nvd_core.media.images import encode_image, image_size
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import frame_path, is_movie, is_pattern, list_frames, numbered_files
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, is_temporary, written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.shot.edit_document import said_of
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import (
    PICTURE_SUFFIXES,
    PLACE,
    Corners,
    Entry,
    Stack,
    check_stack,
    entry_of,
    entry_path,
    read_stack,
    write_stack,
)
from nvd_core.shot.strokes import SUFFIX as STROKES_SUFFIX
from nvd_core.shot.strokes import Stroke, write_strokes

SHOWN = 0.5
"""alpha above which a layer shows in a pixel, and the share of a quad in which it has to"""
SEQUENCE = "%05d"


def add_entry(
    shot: Shot,
    said: dict[str, Any],
    files: dict[str, Path] | None = None,
    at: int | None = None,
    strokes: tuple[Stroke, ...] | None = None,
) -> Entry:
    """Put an entry of these keys on top of the stack, or as number `at` from 0; the entry.

    `files` (keys file, font and mask) are copied into the folder; `strokes` are written there.
    NvdError where something does not fit; then nothing is left behind.
    """
    stack = read_stack(shot)
    said, made = _with_files(shot, said, files or {})
    try:
        if strokes is not None:
            said = said | {"file": _written_strokes(shot, said["name"], strokes, made)}
        entry = entry_of(said, "the new entry")
        entries = list(stack.entries)
        entries.insert(len(entries) if at is None else at, entry)
        _write(shot, Stack(tuple(entries)), entry)
    except BaseException:
        _discard(made)
        raise
    return entry


def add_paint(shot: Shot, sheets: dict[str, np.ndarray], said: dict[str, Any]) -> dict[Path, str]:
    """Put paint, RGBA images by layer, on top of the stack; files, and the entries' names.

    `said` are the keys of each but for kind, layer and file. All entries are written, or none.
    """
    stack = read_stack(shot)
    made: dict[Path, str] = {}
    entries: list[Entry] = []
    try:
        for layer, image in sheets.items():
            name = said["name"] if len(sheets) == 1 else f"{said['name']} {layer}"
            suffix = ".exr" if image.dtype.kind == "f" else ".png"
            relative = free_path(shot, name, suffix)
            keys = said | {"name": name, "layer": layer, "kind": "paint", "file": relative}
            entries.append(entry_of(keys, "the new entry"))
            path = entry_path(shot, relative)
            with written_beside(path, durable=True) as temporary:
                encode_image(temporary, image)
            made[path] = name
        write_stack(shot, Stack((*stack.entries, *entries)))
    except BaseException:
        _discard(list(made))
        raise
    return made


def set_entry(
    shot: Shot, name: str, said: dict[str, Any], files: dict[str, Path] | None = None
) -> Entry:
    """Give the entry `name` these keys, those of None as by default; the entry."""
    stack = read_stack(shot)
    number = stack.number(name)
    old = said_of(stack.entries[number])
    said, made = _with_files(shot, old | said, files or {})
    try:
        entry = entry_of({k: v for k, v in said.items() if v is not None}, "the changed entry")
        entries = list(stack.entries)
        entries[number] = entry
        _write(shot, Stack(tuple(entries)), entry)
    except BaseException:
        _discard(made)
        raise
    return entry


def move_entry(shot: Shot, name: str, to: int) -> list[str]:
    """Make the entry `name` number `to` from the bottom, from 0; the names, bottom to top."""
    stack = read_stack(shot)
    entries = list(stack.entries)
    entries.insert(max(to, 0), entries.pop(stack.number(name)))
    write_stack(shot, Stack(tuple(entries)))
    return [entry.name for entry in entries]


def remove_entries(shot: Shot, names: Sequence[str]) -> list[str]:
    """Take these entries out; the names that are left. Their files stay."""
    stack = read_stack(shot)
    gone = {stack.number(name) for name in names}
    left = tuple(entry for number, entry in enumerate(stack.entries) if number not in gone)
    write_stack(shot, Stack(left))
    return [entry.name for entry in left]


def purge(shot: Shot) -> list[str]:
    """Delete the files below edits/stack/ that no entry names; their paths in the folder."""
    used = set()
    for entry in read_stack(shot).entries:
        for relative in (entry.file, entry.font, entry.mask):
            if relative:
                path = entry_path(shot, relative)
                used |= {path, path.parent} if is_pattern(path) else {path}
    place, gone = inside(shot.folder, PLACE), []
    used.discard(place)  # a pattern that lies there itself keeps but its own files
    patterns = [path for path in used if is_pattern(path)]
    own = {file for pattern in patterns for file in _numbered(pattern)}
    for parent, _folders, files in os.walk(place, topdown=False):
        for name in files:
            path = Path(parent, name)
            if path in used or path in own or Path(parent) in used or is_temporary(name):
                continue
            path.unlink()
            gone.append(path.relative_to(shot.folder).as_posix())
        if Path(parent) != place:
            with suppress(OSError):  # it is not empty
                Path(parent).rmdir()
    return sorted(gone)


def corners_on_frame(shot: Shot, layer: str, t: int, places: np.ndarray) -> tuple[Corners, float]:
    """Where a quad in frame `t` lies on the texture, and by how much that is not exact.

    `places` [4, 2] are pixels, x to the right and y down, 0, 0 the picture's top left corner; of
    the result see `Entry.corners`. It is the homography that best agrees with the layer's maps
    in the quad; the second is the mean distance from them, in texels. NvdError where the layer
    does not show in most of the quad.
    """
    clip, record = shot.manifest.clip, shot.layer(layer)
    shot.check_frame(t)
    size = clip.height, clip.width
    own = read_frame_maps(shot, t).layer(shot.names.index(record.name))
    inner = np.zeros(size, np.uint8)
    cv2.fillPoly(inner, [np.rint((places - 0.5) * 16).astype(np.int32)], 1, shift=4)
    asked = inner > 0
    shows = asked & (own.alpha > SHOWN)
    rows, columns = np.nonzero(shows)
    if len(rows) < 4 or len(rows) < SHOWN * asked.sum():
        raise NvdError(
            f"the layer {record.name} does not show there in frame {t}",
            expected="four corners around pixels of the layer",
            found=f"it shows in {len(rows)} of the quad's {int(asked.sum())} pixels",
            remedy="choose another frame or place, or another layer",
        )
    pixels = np.stack([columns + 0.5, rows + 0.5], -1)
    shares = np.stack([own.u[shows], 1 - own.v[shows]], -1).astype(np.float64)
    found = cv2.findHomography(pixels, shares, 0)[0]
    if found is None or not np.isfinite(found).all():
        raise NvdError(
            f"no place on the texture of {record.name} goes with these corners",
            remedy="choose corners that enclose a larger part of the layer",
        )
    through = cv2.perspectiveTransform(pixels[None], found)[0]
    off = (through - shares) * [record.texture_width, record.texture_height]
    laid = cv2.perspectiveTransform(np.float64(places)[None], found)[0]
    (a, b), (c, d), (e, f), (g, h) = ((float(u), float(v)) for u, v in laid.round(6))
    return ((a, b), (c, d), (e, f), (g, h)), float(np.hypot(*off.T).mean())


def free_path(shot: Shot, name: str, suffix: str) -> str:
    """A path below edits/stack/ that nothing has yet, for a file of the entry `name`.

    With the suffix of a pattern, such as /%05d.png, nothing is in its folder.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_")[:60] or "entry"
    number = 1
    while True:
        tail = "" if number == 1 else f"_{number}"
        relative = f"{PLACE}/{stem}{tail}"
        beside = [f"{relative}{suffix}", relative]
        if not any(there(entry_path(shot, path).exists) for path in beside):
            return beside[0]
        number += 1


def _with_files(
    shot: Shot, said: dict[str, Any], files: dict[str, Path]
) -> tuple[dict[str, Any], list[Path]]:
    """The keys with the files' paths in the folder, and what was copied there."""
    made: list[Path] = []
    try:
        for key, source in files.items():
            of = f"{said['name']}" if key == "file" else f"{said['name']}_{key}"
            movie = key == "file" and said["kind"] == "movie"
            said = said | {key: _copied(shot, of, source, movie, made)}
    except BaseException:
        _discard(made)
        raise
    return said, made


def _written_strokes(shot: Shot, name: str, strokes: tuple[Stroke, ...], made: list[Path]) -> str:
    """Write them into the folder; their path there."""
    relative = free_path(shot, name, STROKES_SUFFIX)
    path = entry_path(shot, relative)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.append(path)
    write_strokes(path, strokes)
    return relative


def _copied(shot: Shot, name: str, source: Path, movie: bool, made: list[Path]) -> str:
    if movie and not is_movie(source):
        return copy_pictures(shot, name, list_frames(source), made)
    if not there(source.is_file):
        raise NvdError(f"there is no file {source}", remedy="check the path for a typing error")
    if movie:
        Movie(source)
    elif source.suffix.lower() in PICTURE_SUFFIXES:
        image_size(source)
    relative = free_path(shot, name, source.suffix.lower())
    target = entry_path(shot, relative)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.append(target)
    copy_file(source, target, durable=True)
    return relative


def copy_pictures(shot: Shot, name: str, pictures: Sequence[Path], made: list[Path]) -> str:
    """Copy a movie's pictures into the folder, numbered from 0; their pattern there.

    Each is noted in `made` before it is written.
    """
    relative = free_path(shot, name, f"/{SEQUENCE}{pictures[0].suffix.lower()}")
    for number, picture in enumerate(pictures):
        target = frame_path(entry_path(shot, relative), number)
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(target)
        copy_file(picture, target)
    return relative


def _write(shot: Shot, stack: Stack, entry: Entry) -> None:
    """Write the stack, once the entry's own files have been looked at."""
    check_stack(shot, stack, "the new stack")
    looked_at = replace(entry, on=True, opacity=1.0, frames=None)
    Sheets(shot, stack=Stack((looked_at,))).check([0], [entry.layer])
    write_stack(shot, stack)


def _discard(made: list[Path]) -> None:
    for path in made:
        with suppress(OSError):
            path.unlink()
    for folder in {path.parent for path in made}:
        with suppress(OSError):  # something else is in it
            folder.rmdir()


def _numbered(pattern: Path) -> list[Path]:
    return list(numbered_files(pattern).values())
