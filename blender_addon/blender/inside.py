"""The one door to the files of a folder that may be a stranger's: nothing behind it lies outside.

A small copy of the engine's nvd_core/runtime/inside.py, which says more. Plain Python, no bpy.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from ..errors import AddonError

DEVICES = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])"
NAME = rf"(?!{DEVICES}\Z)[A-Za-z0-9_-]+"
"""a regular expression: what can be part of a file's name on any system, and leads nowhere"""

_DISTRUST = "do not use this folder unless you trust where it came from"
_RESERVED = re.compile(rf"({DEVICES}|(?i:conin|conout)\$) *(\..*)?", re.DOTALL)
_FORBIDDEN = re.compile(r"[\0-\x1f\x7f-\x9f:\\]")
_REPARSE = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400)


def inside(folder: Path, relative: str, error: type[AddonError] = AddonError) -> Path:
    """The path of `relative` in `folder`, there or not; `error` where it leaves the folder."""
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    if (
        not parts
        or PureWindowsPath(relative).anchor
        or _FORBIDDEN.search(relative)
        or any(part != part.rstrip(". ") or _RESERVED.fullmatch(part) for part in parts)
    ):
        raise error(f"the folder refers to a file outside itself, {relative[:200]!r}", _DISTRUST)
    place = Path(folder)
    for part in parts:
        place = place / part
        try:
            state = os.lstat(place)
        except (OSError, ValueError):
            break
        if _leads_on(state):
            _check_link(folder, place, error)
    return Path(folder, *parts)


def inside_path(folder: Path, path: Path, error: type[AddonError] = AddonError) -> Path:
    """`path`, which is absolute; `error` where it does not lie in `folder`."""
    if not path.is_relative_to(folder):
        raise error(f"{path} does not lie in the folder {folder}", "open the folder again")
    return inside(folder, path.relative_to(folder).as_posix(), error)


def open_file(path: Path) -> BinaryIO:
    """`path` opened for reading; OSError where it is no file: a pipe would be waited for."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        kind = errno.EISDIR if Path(path).is_dir() else errno.EINVAL
        raise OSError(kind, "it is no file", os.fspath(path))
    return Path(path).open("rb")


def check_links(folder: Path, error: type[AddonError] = AddonError) -> None:
    """`error` where a link anywhere in `folder` leads out of it, and for pipes and devices."""
    for entry in _entries(folder):
        try:
            if _entry_leads_on(entry):
                _check_link(folder, Path(entry.path), error)
            elif not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise error(
                    f"{entry.path} is neither a file nor a folder", f"remove it; {_DISTRUST}"
                )
        except OSError:  # it has just gone, or may not be looked at
            continue


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    """All that lies in a folder and below; links are named, and not entered."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
        except OSError:
            continue
        for entry in entries:
            yield entry
            try:
                if entry.is_dir(follow_symlinks=False) and not _entry_leads_on(entry):
                    waiting.append(entry.path)
            except OSError:
                continue


def _entry_leads_on(entry: os.DirEntry) -> bool:
    if entry.is_symlink():
        return True
    return os.name == "nt" and _leads_on(entry.stat(follow_symlinks=False))


def _leads_on(state: os.stat_result) -> bool:
    """Whether a file's own state is that of a link, or of a junction of Windows."""
    return stat.S_ISLNK(state.st_mode) or bool(getattr(state, "st_file_attributes", 0) & _REPARSE)


def _check_link(folder: Path, link: Path, error: type[AddonError]) -> None:
    target = os.path.realpath(link)
    if not Path(target).is_relative_to(os.path.realpath(folder)):
        raise error(
            f"the folder refers to a file outside itself: {link} is a link to {target}",
            f"put a copy in the link's place where it is your own; {_DISTRUST}",
        )
