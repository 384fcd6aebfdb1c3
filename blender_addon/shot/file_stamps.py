"""What an image's file was when Blender last read or wrote it, to tell when another program has.

A file counts as changed where its content is another, not where only its date is: folders are
copied and synchronised. What is noted is kept in the .blend with paint that the file does not have.
"""

import hashlib
import os
from dataclasses import dataclass

import bpy

from ..blender.inside import open_file

_KEY = "nvd_read"  # of an image, in the .blend: the digest of the file that its paint lies on


@dataclass(frozen=True)
class _Stamp:
    when: int  # ns
    size: int
    digest: str


_read: dict[str, _Stamp] = {}
"""by the path of the file"""


def note(image: bpy.types.Image) -> None:
    """The image's file is now as Blender has it."""
    stamp = _stamp(image["nvd_path"])
    if stamp is None:
        _read.pop(image["nvd_path"], None)
    else:
        _read[image["nvd_path"]] = stamp


def note_if_new(image: bpy.types.Image, has_unsaved: bool) -> None:
    """`note` for an image that is met for the first time: opened, or come with a .blend.

    With paint that its file does not have, the file may have changed since that was saved.
    """
    path = image["nvd_path"]
    if path in _read:
        return
    if has_unsaved and image.get(_KEY):
        _read[path] = _Stamp(0, 0, str(image[_KEY]))
    else:
        note(image)


def known(image: bpy.types.Image) -> str:
    """Another text each time that the image's file was read or written; "" for others."""
    stamp = _read.get(image.get("nvd_path", ""))
    return "" if stamp is None else f"{stamp.when} {stamp.size} {stamp.digest}"


def moved(old: str, new: str) -> None:
    """A file is under another name now."""
    if old in _read:
        _read[new] = _read.pop(old)


def remember(image: bpy.types.Image) -> None:
    """Let the .blend that is about to be saved know what is noted."""
    stamp = _read.get(image["nvd_path"])
    if stamp is not None and image.get(_KEY) != stamp.digest:
        image[_KEY] = stamp.digest


def forget_all() -> None:
    """Another .blend is opened, with other copies of the same files."""
    _read.clear()


def changed_elsewhere(image: bpy.types.Image) -> bool:
    """Whether the file's content is not any more what was noted; no for a file that has gone."""
    path = image["nvd_path"]
    known = _read.get(path)
    if known is None:
        return False
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    if (found.st_mtime_ns, found.st_size) == (known.when, known.size):
        return False
    stamp = _stamp(path)
    if stamp is None or stamp.digest != known.digest:
        return stamp is not None
    _read[path] = stamp
    return False


def _stamp(path: str) -> _Stamp | None:
    """None for a file that is not there, or cannot be read."""
    try:
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
            found = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, digest)
