"""A painting on several layers that was killed in between is taken back before it is shown.

`nvd paint` replaces all layers' edits or none. Where it was killed between two of them, a journal
beside the edits says under which names the old ones are kept. The engine does
the same when it opens a folder (nvd_core/runtime/all_or_none.py). No bpy here.
"""

import json
import os
import re
import socket
import sys
import time
from pathlib import Path

from ..blender.inside import open_file
from .folder import Shot, ShotError

JOURNAL = ".nvd.replacing.json"
STALE = 60.0
"""seconds"""
_MOST_BYTES = 1 << 20
_KEPT = re.compile(r"\.[^/\\:\0]+\.\d+\.tmp(\.[^/\\:\0]+)?")
_NAME = re.compile(r"[^./\\:\0][^/\\:\0]*")


def mend(shot: Shot) -> None:
    """Put back the edits of a painting that was killed; ShotError where the disk refuses."""
    for folder in sorted({shot.map(0).parent, *(layer.edit.parent for layer in shot.layers)}):
        journal = folder / JOURNAL
        if not os.path.lexists(journal):
            continue
        kept, writer = _read(journal)
        if writer and _is_alive(writer, journal):  # it is painting just now
            continue
        try:
            for name, copy in kept.items():
                _restore(folder / name, folder / copy if copy else None)
            journal.unlink(missing_ok=True)
            for copy in filter(None, kept.values()):
                (folder / copy).unlink(missing_ok=True)
        except OSError as error:
            raise ShotError(
                f"a painting in {folder} was interrupted and cannot be taken back "
                f"({error.strerror})",
                "copy the folder to where you may write, and open it there",
            ) from error


def _read(journal: Path) -> tuple[dict[str, str | None], int]:
    """What is kept under which name, and who wrote that, 0 for nobody of this machine.

    Nothing for a journal that is cut off, before any file was replaced, or is a stranger's.
    """
    try:
        with open_file(journal) as file:
            words = json.loads(file.read(_MOST_BYTES))
        kept = dict(words["kept"])
        for name, copy in kept.items():
            f"{name}{copy}".encode()  # ValueError for what no file is called
            if not _NAME.fullmatch(name) or not (copy is None or _KEPT.fullmatch(copy)):
                return {}, 0
        writer = words["pid"] if words["host"] == socket.gethostname() else 0
        return kept, writer if type(writer) is int and 0 < writer < 2**31 else 0
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, 0


def _restore(path: Path, copy: Path | None) -> None:
    if copy is None:
        path.unlink(missing_ok=True)
    elif os.path.lexists(copy):
        same = os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(copy))
        if not same:
            os.replace(copy, path)


def _is_alive(pid: int, journal: Path) -> bool:
    """Whether the writer of the journal may still be at work, which takes it less than a second."""
    if sys.platform == "win32":  # os.kill would end it there
        return time.time() - journal.stat().st_mtime < STALE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
