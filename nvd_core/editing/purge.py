"""What lies in a folder only to be looked at, and can be made again: how large it is, and away.

    flat      the stack flattened for Blender's nodes; `nvd edits flatten` makes it
    render    frames rendered for strips, or ahead of a preview that plays. Other files there stay

Nothing else is safe to remove: edits, textures and states of before hold paint.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from nvd_core.editing.flatten import flat_bytes, remove_flat
from nvd_core.runtime.folder_lock import LOCK, writing_when_free
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.shot.purge_words import PARTS
from nvd_core.shot.shot import Shot

RENDER = "render"
_RENDERED = re.compile(r"\d{5,7}\.(png|exr)|\..{1,200}\.rendered\.json")
_OF_STRIPS = re.compile(r"(without|overlay)_[A-Za-z0-9_-]+")
AHEAD = "ahead"
"""where Blender has frames rendered ahead of a playhead, under a lock of their own"""


def sizes(shot: Shot) -> dict[str, int]:
    """Bytes by part."""
    rendered = sum(path.lstat().st_size for path in _rendered(shot))
    return dict(zip(PARTS, (flat_bytes(shot), rendered), strict=True))


def purge(shot: Shot, parts: list[str], progress: Progress | None = None) -> dict[str, int]:
    """Remove these parts; the bytes that each took. The folder's lock is the caller's to hold.

    Where frames are just being rendered ahead of a playhead, it waits until that has ended.
    """
    found, ahead = sizes(shot), inside(shot.folder, f"{RENDER}/{AHEAD}")
    with ExitStack() as stack:
        if RENDER in parts and ahead in _folders(shot):
            progress = progress or Progress()
            stack.enter_context(writing_when_free(ahead, "nvd purge", progress))
        _remove(shot, parts)
    if RENDER in parts:
        (ahead / LOCK).unlink(missing_ok=True)
        _remove_empty(inside(shot.folder, RENDER))
    return {part: found[part] for part in PARTS if part in parts}


def _remove(shot: Shot, parts: list[str]) -> None:
    if "flat" in parts:
        remove_flat(shot)
    if RENDER in parts:
        for path in list(_rendered(shot)):
            path.unlink(missing_ok=True)


def _remove_empty(place: Path) -> None:
    for parent, _folders, _files in os.walk(place, topdown=False):
        with suppress(OSError):  # somebody's own files are in it
            Path(parent).rmdir()


def _rendered(shot: Shot) -> Iterator[Path]:
    """The files that were rendered; links are no such."""
    for folder in _folders(shot):
        for path in sorted(folder.iterdir()):
            if _RENDERED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield path


def _folders(shot: Shot) -> list[Path]:
    """Where files were rendered; links are no such."""
    place = inside(shot.folder, RENDER)
    found = [place]
    if place.is_dir():
        own = [p for p in place.iterdir() if p.name == AHEAD or _OF_STRIPS.fullmatch(p.name)]
        found += own
    return [folder for folder in found if folder.is_dir() and not folder.is_symlink()]
