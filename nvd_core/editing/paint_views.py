"""What is painted on one view of a layer's texture, in its other views too: `nvd across`.

A layer with windows in time has a part of its texture for each (runtime/time_windows.py). Paint on
a frame goes on by itself; paint on the texture stays in the part where it was put. This takes it
into the parts that show the same surface, as an entry of the stack of edits: the painted sheet
stays as it is, and the entry can be hidden, removed, and made anew.
"""

from collections.abc import Sequence
from contextlib import suppress

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
    Texels that were painted by hand stay as they are. Done again, it is made anew. Returns
    `crossed`, the share of the texture that came, and `entries`, their names, by layer. NvdError
    where no layer has several views, or none of them is painted.
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
        if not painted:
            raise NvdError(
                f"nothing is painted on {' or '.join(names)}",
                expected="an edit that differs from its texture",
                remedy="paint on the layer's texture and save it first",
            )
        progress.stage("across", sum(len(shot.layer(name).windows) for name in painted))
        found, done = {}, 0
        for name in painted:
            paint = paint_of(sheets.of_paint(name))
            found[name] = came_across(shot, name, paint, progress, done)
            done += len(shot.layer(name).windows)
            progress.update(done)
        stack = read_stack(shot)  # Blender saves it without the lock, while this takes its time
        entries = _write(shot, stack, found, names)
    for caution in _not_taken(stack, painted):
        progress.caution(caution)
    shares = {name: round(float((came[..., 3] > 0.5).mean()), 5) for name, came in found.items()}
    return {"crossed": shares, "entries": entries}


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
        came = under(came, new_pieces(further, under(paint, came)))
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
) -> dict[str, str]:
    """Replace the layers' entries by these; new ones go under all others. Their names by layer."""
    entries, made = list(stack.entries), []
    stale = {entry_name(name) for name in names if name not in found or not found[name].any()}
    entries = [entry for entry in entries if entry.name not in stale]
    written = {}
    try:
        for name, came in found.items():
            if not came.any():
                continue
            title = entry_name(name)
            relative = free_path(shot, title, ".png")
            path = entry_path(shot, relative)
            with written_beside(path, durable=True) as temporary:
                encode_image(temporary, to_integers(came.clip(0, 1), np.uint16))
            made.append(path)
            keys = {"name": title, "layer": name, "kind": "paint", "file": relative}
            entries = _put(entries, entry_of(keys, "the new entry"))
            written[name] = title
        write_stack(shot, Stack(tuple(entries)))
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise
    return written


def _put(entries: list[Entry], entry: Entry) -> list[Entry]:
    """`entry` in the place of its namesake, or at the bottom."""
    if any(old.name == entry.name for old in entries):
        return [entry if old.name == entry.name else old for old in entries]
    return [entry, *entries]


def _take_back(shot: Shot, names: Sequence[str]) -> dict:
    """Remove the layers' entries; their files stay, as with `nvd edits remove`."""
    gone = {entry_name(name) for name in names}
    stack = read_stack(shot)
    left = tuple(entry for entry in stack.entries if entry.name not in gone)
    removed = [entry.name for entry in stack.entries if entry.name in gone]
    if removed:
        write_stack(shot, Stack(left))
    return {"removed": removed}


def _not_taken(stack: Stack, painted: Sequence[str]) -> list[str]:
    """What of the stack lies on these layers and stays in the view where it was put."""
    own = {entry_name(name) for name in painted}
    staying = [
        entry.name
        for entry in stack.entries
        if entry.layer in painted and entry.name not in own and entry.kind != "adjustment"
    ]
    if not staying:
        return []
    return [
        f"only the painted texture goes into other views: {', '.join(staying)} of the stack of "
        "edits stay where they were put"
    ]
