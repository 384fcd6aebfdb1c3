"""What lies in a folder only to be looked at, and can be made again: how large it is, and away.

    flat      the stack flattened for Blender's nodes; `nvd edits flatten` makes it
    render    frames rendered for strips; Render to Strip makes them. Other files there stay

Nothing else is safe to remove: edits, textures and states of before hold paint.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nvd_core.editing.flatten import flat_bytes, remove_flat
from nvd_core.runtime.inside import inside
from nvd_core.shot.purge_words import PARTS
from nvd_core.shot.shot import Shot

RENDER = "render"
_RENDERED = re.compile(r"\d{5,7}\.(png|exr)|\..{1,200}\.rendered\.json")
_OF_STRIPS = re.compile(r"(without|overlay)_[A-Za-z0-9_-]+")


def sizes(shot: Shot) -> dict[str, int]:
    """Bytes by part."""
    rendered = sum(path.lstat().st_size for path in _rendered(shot))
    return dict(zip(PARTS, (flat_bytes(shot), rendered), strict=True))


def purge(shot: Shot, parts: list[str]) -> dict[str, int]:
    """Remove these parts; the bytes that each took. The folder's lock is the caller's to hold."""
    found = sizes(shot)
    if "flat" in parts:
        remove_flat(shot)
    if RENDER in parts:
        for path in list(_rendered(shot)):
            path.unlink(missing_ok=True)
        place = inside(shot.folder, RENDER)
        for parent, _folders, _files in os.walk(place, topdown=False):
            with suppress(OSError):  # somebody's own files are in it
                Path(parent).rmdir()
    return {part: found[part] for part in PARTS if part in parts}


def _rendered(shot: Shot) -> Iterator[Path]:
    """The files that were rendered for strips; links are no such."""
    place = inside(shot.folder, RENDER)
    folders = [place]
    if place.is_dir():
        folders += [p for p in place.iterdir() if p.is_dir() and _OF_STRIPS.fullmatch(p.name)]
    for folder in folders:
        if folder.is_symlink() or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if _RENDERED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                yield path
