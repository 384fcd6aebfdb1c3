"""Which state of a folder is shown: one that is refined in place gets new files now and then.

The engine puts a better state beside the one that is painted on and lets the manifest name it. An
image that Blender has open keeps the file that it was read from, so a shot may be behind what its
folder shows. No bpy here.
"""

import json
import os
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..blender.inside import inside, open_file
from ..errors import AddonError
from .folder import Shot, ShotError, read_shot

FORMER = "former.json"
FORMER_TEXTURES = "textures/former.json"
BRUSH = ".nvd.painting"
"""the engine waits with a refinement while this file is younger than ten seconds"""
_MOST_BYTES = 1 << 24


@dataclass(frozen=True)
class State:
    """What a folder's manifest names now."""

    edits: dict[str, str]
    """the edit's file by layer"""
    stack: str
    """the stack's file, relative to the folder"""
    refinement: tuple[int, int] | None
    """how many refinements are in, and how many are planned; None: no more are to come"""


_known: dict[Path, tuple[tuple[int, int], Shot | None]] = {}


def shown_shot(folder: Path) -> Shot | None:
    """The shot of `folder` for what is drawn; None where it cannot be opened.

    It is read anew where its manifest has changed. Whoever opens or writes its files reads it
    himself, since only that looks for all of them, and at where their links lead.
    """
    try:
        found = os.stat(folder / "manifest.json")
    except (OSError, ValueError):
        return None
    stamp = found.st_mtime_ns, found.st_size
    if folder not in _known or _known[folder][0] != stamp:
        try:
            _known[folder] = stamp, read_shot(folder)
        except AddonError:
            _known[folder] = stamp, None
    return _known[folder][1]


def state_of(folder: Path) -> State | None:
    """The state that `folder` shows; None where it cannot be opened."""
    shot = shown_shot(folder)
    if shot is None:
        return None
    edits = {layer.name: str(layer.edit) for layer in shot.layers}
    return State(edits, shot.stack, shot.refinement)


def is_behind(folder: Path, edits: Iterable[tuple[str, str]]) -> bool:
    """Whether one of these layers' edits, by name and file, is not what `folder` shows by now.

    Only of a folder that is refined in place: after `nvd textures` the shot is opened anew by hand.
    """
    state = state_of(folder)
    if state is None or not has_former(folder):
        return False
    return any(state.edits.get(name, path) != path for name, path in edits)


def has_former(folder: Path) -> bool:
    """Whether there is a state to go back to."""
    return os.path.isfile(folder / FORMER)


@dataclass(frozen=True)
class FormerTexture:
    """The images of a layer before its texture got another size."""

    edit: str
    """in the folder"""
    before: int
    """of the edit's content when its paint was carried over"""


_sizes: dict[Path, tuple[tuple[int, int], dict[str, FormerTexture] | None]] = {}


def former_textures(folder: Path) -> dict[str, FormerTexture] | None:
    """What stood before the size of the textures was changed, by layer; None where that cannot be
    taken back: it was never changed, or they have been made anew since.
    """
    shot = shown_shot(folder)
    try:
        path = inside(folder, FORMER_TEXTURES, ShotError)
        found = os.stat(path)
    except (OSError, ValueError, AddonError):
        return None
    stamp = found.st_mtime_ns, found.st_size
    if folder not in _sizes or _sizes[folder][0] != stamp:
        _sizes[folder] = stamp, _read_textures(path)
    former = _sizes[folder][1]
    if shot is None or former is None:
        return None
    textures = {layer.name: layer.texture for layer in shot.layers}
    fits = {name: folder / one[1] for name, one in former.items()} == textures
    return {name: one[0] for name, one in former.items()} if fits else None


def _read_textures(path: Path) -> dict[str, tuple[FormerTexture, str]] | None:
    """By layer, and the texture that took its place; None where the file is damaged."""
    try:
        with open_file(path) as file:
            layers = json.loads(file.read(_MOST_BYTES))["layers"]
        return {
            str(said["name"]): (
                FormerTexture(str(said["edit"]), int(said["before"])),
                str(said["instead"]),
            )
            for said in layers
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def has_other_size(folder: Path, edits: Iterable[tuple[str, str]]) -> bool:
    """Whether these edits, by layer and file, are those of textures that were replaced by some of
    another size.
    """
    former, state = former_textures(folder), state_of(folder)
    if former is None or state is None:
        return False
    left = [(name, path) for name, path in edits if state.edits.get(name, path) != path]
    return bool(left) and all(
        name in former and path == str(folder / former[name].edit) for name, path in left
    )


def late_on_textures(folder: Path) -> list[str]:
    """The layers whose edit was painted on after its paint was carried to another size."""
    late = []
    for name, one in (former_textures(folder) or {}).items():
        try:
            with open_file(inside(folder, one.edit, ShotError)) as file:
                if zlib.crc32(file.read()) != one.before:
                    late.append(name)
        except (OSError, AddonError):
            continue
    return late


def late_paint(folder: Path) -> list[str]:
    """The layers of the former state that were painted on after it was refined.

    None of them where there is no former state, or what is said of it is damaged.
    """
    try:
        with open_file(folder / FORMER) as file:
            former = json.loads(file.read(_MOST_BYTES))
        edits = {layer["name"]: layer["edit"] for layer in former["manifest"]["layers"]}
        before = former["before"]
        late = []
        for name, relative in edits.items():
            with open_file(inside(folder, relative, ShotError)) as file:
                if zlib.crc32(file.read()) != before[name]:
                    late.append(str(name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, AddonError):
        return []
    return late


def hold_brush(folder: Path) -> None:
    """Let the engine wait: there is paint that the folder does not have. Called every second."""
    path = folder / BRUSH
    try:
        path.touch()
        os.utime(path, (time.time(), time.time()))
    except OSError:
        return  # where nothing may be written, nothing is refined either


def lay_down_brush(folder: Path) -> None:
    """All paint is saved."""
    try:
        (folder / BRUSH).unlink(missing_ok=True)
    except OSError:
        return
