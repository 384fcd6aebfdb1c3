"""The one door to the files of a folder that may be a stranger's: nothing behind it lies outside.

`check_links` looks a whole folder through before a command touches it, `inside` makes every path
in it, and `remove_folder` removes a part of it. A link may stand in a folder where it leads to
something in that folder; one that leads out is refused, whether it is to be read, written or
removed, and so is what is neither a file nor a folder, which might never end. The folder itself
may be named by a link: the user has named it.

Not told are hard links, which are files like any other, and what another process changes
while a command runs.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import shown

DEVICES = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])"
"""what Windows takes for a device under every name and in every folder"""
NAME = rf"(?!{DEVICES}\Z)[A-Za-z0-9_-]{{1,200}}"
"""a regular expression: what can be part of a file's name on any system, and leads nowhere"""

_DISTRUST = "do not use this folder unless you trust where it came from"
_REMEDY = _DISTRUST + "; make it again with `nvd decompose`"
_RESERVED = re.compile(rf"({DEVICES}|(?i:conin|conout)\$) *(\..*)?", re.DOTALL)
_FORBIDDEN = re.compile(r"[\0-\x1f\x7f-\x9f:\\]")  # : a drive or a stream of Windows
_REPARSE = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0x400)


def inside(folder: Path, relative: str | Path) -> Path:
    """The path of `relative` in `folder`, there or not.

    NvdError where it leaves the folder: by `..`, as an absolute path, as a name that leads
    elsewhere on some system, or by a link.
    """
    folder, text = Path(folder), os.fspath(relative)
    if os.sep != "/" and isinstance(relative, Path):
        text = relative.as_posix()
    check_relative(folder, text)
    path = folder / text
    place = folder
    for part in path.parts[len(folder.parts) :]:
        place = place / part
        try:
            state = os.lstat(place)
        except (OSError, ValueError):  # there is nothing, so nothing that leads anywhere
            return path
        if _leads_on(state):
            _check_link(folder, place)
    return path


def check_relative(folder: Path, relative: str) -> None:
    """NvdError where a path that a file names would not lie in `folder` on every system."""
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    windows = PureWindowsPath(relative)
    if (
        not parts
        or windows.anchor
        or _FORBIDDEN.search(relative)
        or any(part != part.rstrip(". ") for part in parts)  # also ..; Windows drops these
        or any(_RESERVED.fullmatch(part) for part in parts)
    ):
        raise NvdError(
            f"{folder} refers to a file outside itself",
            expected="paths relative to the folder",
            found=shown(relative),
            remedy=_REMEDY,
        )


def check_links(folder: Path) -> None:
    """NvdError where a link anywhere in `folder` leads out of it; it names both.

    Also for what is neither a file, a folder nor a link. What is not there is fine.
    """
    folder = Path(folder)
    for entry in _entries(folder):
        try:
            if _entry_leads_on(entry):
                _check_link(folder, Path(entry.path))
            elif not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise NvdError(
                    f"{entry.path} is neither a file nor a folder",
                    found="a pipe, a socket or a device",
                    remedy=f"remove it; {_DISTRUST}",
                )
        except OSError:  # it has just gone, or may not be looked at: then not be read either
            continue


def remove_folder(folder: Path, relative: str) -> None:
    """Remove the folder `relative` in `folder`; what cannot go is left, and no link is followed."""
    shutil.rmtree(inside(folder, relative), ignore_errors=True)


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    """All that lies in a folder and below; links are named, and not entered."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                entries = list(found)
        except OSError:  # not there, or not to be entered
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


def _check_link(folder: Path, link: Path) -> None:
    target = os.path.realpath(link)
    if not Path(target).is_relative_to(os.path.realpath(folder)):
        raise NvdError(
            f"{folder} refers to a file outside itself, by the link {link}",
            expected="files that lie in the folder",
            found=f"it leads to {target}",
            remedy=f"put a copy of it in the link's place where it is your own; {_DISTRUST}",
        )
