"""What `nvd render` would make of a shot now: whether its folder has it all, and a value that
changes with everything that can change a frame.

Paint that is not saved, in Blender or by another program, makes another state, so what was rendered
of an older one is known to be old at once, without looking at a pixel.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..errors import AddonError
from ..shot import finish, layer_values, painting, stack, stack_file, values_file
from ..shot.finish_file import finish_path
from ..shot.folder import Shot
from ..shot.pins_file import PINS
from ..shot.shots import NVD_PG_shot


@dataclass(frozen=True)
class State:
    """is_saved: whether the folder has all of it. marks: equal where every frame is."""

    is_saved: bool
    marks: tuple


def state_of(entry: NVD_PG_shot, shot: Shot, mode: str) -> State | None:
    """The state of the shot, which is `shot`, as it is composited in `mode`.

    None where the engine would not render what is shown here: a pattern is looked at in place of
    the paint, a refinement has come in, the strip's speed is not known, or the shot is linked.
    """
    if entry.missing or entry.id_data.library is not None:  # what is linked cannot be saved
        return None
    if any(layer.shown is not None for layer in entry.layers):
        return None
    images = [layer.edit for layer in entry.layers] + list(stack.images(entry))
    if any(image is None for image in images[: len(entry.layers)]) or painting.is_behind(entry):
        return None
    try:
        values = values_file.digest(layer_values.values_of(entry))
    except AddonError:
        return None
    stacked = stack_file.digest(stack.entries_of(entry))
    finished = finish.finish_of(entry).digest
    unsaved = [painting.has_unsaved(image) for image in _painted(entry)]
    is_saved = (
        not any(unsaved)
        and values == (entry.values_saved or values_file.ONES)
        and not stack.has_unsaved(entry)
        and finished == entry.finish_saved
    )
    files = [str(image.get("nvd_path", "")) for image in images]
    named = *files, *(str(path) for path in _documents(entry, shot))
    told = str(shot.folder), mode, values, stacked, finished, tuple(unsaved)
    return State(is_saved, (*told, tuple((path, _facts(path)) for path in named)))


def _painted(entry: NVD_PG_shot) -> list[bpy.types.Image]:
    return [layer.edit for layer in entry.layers] + list(stack.painted_images(entry))


def _documents(entry: NVD_PG_shot, shot: Shot) -> Iterator[Path]:
    """The files beside the images that say how a frame is rendered."""
    yield shot.folder / "manifest.json"
    yield values_file.values_path(entry.path)
    yield stack_file.stack_path(shot)
    yield finish_path(entry.path)
    yield entry.path / PINS
    yield entry.path / stack_file.PLACE  # folders change with what is put into them
    yield shot.map(0).with_name("tiles.npz")
    for layer in entry.layers:
        if layer.holdout:
            yield (entry.path / layer.holdout).parent


def _facts(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path) if path else None
    except (OSError, ValueError):
        found = None
    return (found.st_mtime_ns, found.st_size) if found else (0, 0)
