"""What is painted on one view of a layer's texture, in its other views too: `nvd across`.

A layer with windows in time has a part of its texture for each (runtime/time_windows.py). Paint on
a frame goes on by itself; paint on the texture stays in the part where it was put. This takes it
into the parts that show the same surface, as an entry of the stack of edits: the painted sheet
stays as it is, and the entry can be hidden, removed, and made anew.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from nvd_core.editing.across_windows import Spread, new_pieces, under
from nvd_core.editing.back_projection import LEAST_OPACITY, OPAQUE
from nvd_core.editing.edits import DEAD_ZONE
from nvd_core.editing.stack_edit import free_path
from nvd_core.editing.stack_sheets import Sheet, Sheets
from nvd_core.editing.window_bridges import LayerFrames
from nvd_core.media.images import encode_image, to_integers
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.time_windows import Window
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, entry_of, entry_path, read_stack, write_stack

LONGEST_NAME = 60
LOOKED_AT = 5
"""frames of a window in which its paint is looked for"""


def entry_name(layer: str) -> str:
    """The name of the entry that holds what came from the layer's other views."""
    return f"{layer[: LONGEST_NAME - 7].rstrip(' .')} across"


def paint_across(
    shot: Shot, layers: Sequence[str] = (), *, back: bool = False, progress: Progress | None = None
) -> dict:
    """Take the paint on the texture into the views that show the same surface; facts about it.

    `layers` restricts it to some of those with several views; `back` takes away what came so.
    Texels that were painted by hand stay as they are. Done again, it is made anew, and keeps what
    was set on its entry; where nothing comes any more the entry goes. Returns `crossed`, the share
    of the texture that came, and `entries`, their names, by layer; `removed`, names of those that
    went. NvdError where no layer has several views, or none of them is painted nor was.
    """
    progress = progress or Progress()
    chosen = [shot.layer(name).name for name in layers or shot.names]
    names = [name for name in chosen if shot.layer(name).windows]
    if not names:
        raise NvdError(
            f"{' and '.join(layers) or 'no layer'} has {'one view' if layers else 'several views'}",
            expected="a layer with several views in time",
            remedy="paint on one view shows in all frames already; `nvd decompose --windows` "
            "gives a layer that turns several",
        )
    with writing(shot.folder, "nvd across", progress):
        if back:
            return _take_back(shot, names)
        sheets, stack = Sheets(shot, stack=Stack(())), read_stack(shot)
        painted = [name for name in names if sheets.has_paint(name)]
        if not painted and not any(_number_of(stack.entries, name) is not None for name in names):
            raise NvdError(
                f"nothing is painted on {' or '.join(names)}",
                expected="an edit that differs from its texture",
                remedy="paint on the layer's texture and save it first",
            )
        steps = sum(len(shot.layer(name).windows) for name in painted)
        progress.stage("across", max(steps, 1))
        found, done = {}, 0
        for name in painted:
            paint = paint_of(sheets.of_paint(name))
            found[name] = came_across(shot, name, paint, progress, done)
            done += len(shot.layer(name).windows)
            progress.update(done)
        stack = read_stack(shot)  # Blender saves it without the lock, while this takes its time
        entries, gone = _write(shot, stack, found, names)
    for name in gone:
        progress.message(f"nothing comes into other views any more: {name} is taken away")
    for caution in _not_taken(stack, painted):
        progress.caution(caution)
    shares = {name: round(float((came[..., 3] > 0.5).mean()), 5) for name, came in found.items()}
    return {"crossed": shares, "entries": entries, "removed": gone}


def paint_of(sheet: Sheet) -> np.ndarray:  # float32 [h, w, 4], straight alpha
    """What was painted on the sheet, taken to hide what is below it where it differs."""
    differs = np.abs(sheet.delta).max(2, keepdims=True)
    opacity = ((differs - DEAD_ZONE) / DEAD_ZONE).clip(0, 1)
    opacity[opacity < LEAST_OPACITY] = 0
    return np.dstack([sheet.full, opacity]).astype(np.float32)


def came_across(
    shot: Shot, name: str, paint: np.ndarray, progress: Progress | None = None, done: int = 0
) -> np.ndarray:  # float32 [h, w, 4], straight alpha
    """What comes of `paint` [h, w, 4], put on the layer's texture, into other views, without it.

    From each window that was painted into all others; what several bring adds up. The windows are
    steps of the stage of `progress`, of which `done` were done before.
    """
    progress = progress or Progress()
    windows, frames = shot.layer(name).windows, LayerFrames(shot, name)
    spread, came = Spread(frames, windows, progress.check), np.zeros_like(paint)
    painted = _frames_with_paint(shot, name, paint, windows)
    for number in range(len(windows)):
        progress.update(done + number)
        if number not in painted:
            continue
        further = spread.came_of(painted[number], paint)
        came = under(came, new_pieces(further, under(paint, came)[..., 3] > 0.5))
    came[..., 3:] *= 1 - paint[..., 3:]
    came[came[..., 3] < LEAST_OPACITY] = 0
    return came


def _frames_with_paint(
    shot: Shot, name: str, paint: np.ndarray, windows: Sequence[Window]
) -> dict[int, int]:
    """Of each window whose frames show some of the paint, by number: the frame with most of it."""
    found = {}
    for number, (first, last) in enumerate(windows):
        most = 0
        for t in np.unique(np.linspace(first, last, LOOKED_AT).round().astype(int)):
            shown = _pixels_painted(paint, read_frame_maps(shot, int(t), [name]).layer(0))
            if shown > most:
                most, found[number] = shown, int(t)
    return found


def _pixels_painted(paint: np.ndarray, own: LayerMaps) -> int:
    """How many pixels of the frame with these maps show some of the paint."""
    height, width = paint.shape[:2]
    column = (own.u * width).astype(int).clip(0, width - 1)
    row = ((1 - own.v) * height).astype(int).clip(0, height - 1)
    return int(((paint[row, column, 3] > LEAST_OPACITY) & (own.alpha > OPAQUE)).sum())


def _write(
    shot: Shot, stack: Stack, found: dict[str, np.ndarray], names: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Replace the layers' entries by these; new ones go under all others.

    Their names by layer, and the names of those that were removed, as nothing comes any more.
    """
    stale = [name for name in names if name not in found or not found[name].any()]
    entries, removed = _without(stack.entries, stale)
    made: list[Path] = []
    written = {}
    try:
        for name, came in found.items():
            if not came.any():
                continue
            relative = free_path(shot, entry_name(name), ".png")
            path = entry_path(shot, relative)
            with written_beside(path, durable=True) as temporary:
                encode_image(temporary, to_integers(came.clip(0, 1), np.uint16))
            made.append(path)
            entries, written[name] = _put(entries, name, relative)
        if written or removed:
            write_stack(shot, Stack(tuple(entries)))
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise
    return written, removed


def _number_of(entries: Sequence[Entry], layer: str) -> int | None:
    """Where the entry stands that holds what came from the layer's other views; None: nowhere.

    An artist's own of that name is on another layer, or of another kind.
    """
    mine = re.compile(re.escape(entry_name(layer)) + r"( \d+)?")
    for number, entry in enumerate(entries):
        if (entry.layer, entry.kind) == (layer, "paint") and mine.fullmatch(entry.name):
            return number
    return None


def _put(entries: list[Entry], layer: str, file: str) -> tuple[list[Entry], str]:
    """The entries with this file as the layer's, and its entry's name.

    One that is there keeps its place and what was set on it; a new one goes to the bottom.
    """
    number = _number_of(entries, layer)
    if number is not None:
        kept = replace(entries[number], file=file)
        return [*entries[:number], kept, *entries[number + 1 :]], kept.name
    taken = {entry.name.casefold() for entry in entries}
    names = (f"{entry_name(layer)}{f' {n}' if n > 1 else ''}" for n in count(1))
    name = next(name for name in names if name.casefold() not in taken)
    keys = {"name": name, "layer": layer, "kind": "paint", "file": file}
    return [entry_of(keys, "the new entry"), *entries], name


def _without(entries: Sequence[Entry], layers: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """The entries without those of these layers, and the names of these."""
    gone = {_number_of(entries, layer) for layer in layers} - {None}
    left = [entry for number, entry in enumerate(entries) if number not in gone]
    return left, [entry.name for number, entry in enumerate(entries) if number in gone]


def _take_back(shot: Shot, names: Sequence[str]) -> dict:
    """Remove the layers' entries; their files stay, as with `nvd edits remove`."""
    left, removed = _without(read_stack(shot).entries, names)
    if removed:
        write_stack(shot, Stack(tuple(left)))
    return {"removed": removed}


def _not_taken(stack: Stack, painted: Sequence[str]) -> list[str]:
    """What of the stack lies on these layers and stays in the view where it was put."""
    staying = [
        entry.name
        for entry in _without(stack.entries, painted)[0]
        if entry.layer in painted and entry.kind != "adjustment"
    ]
    if not staying:
        return []
    return [
        f"only the painted texture goes into other views: {', '.join(staying)} of the stack of "
        "edits stay where they were put"
    ]
