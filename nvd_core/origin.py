"""Who began an unfinished decomposition: this user, here, or perhaps a stranger.

`nvd resume` reads what job.json and settings.yaml name, and a stranger's may name any file of
the user's. So `nvd decompose` gives every folder an id, and keeps a record under that id where the
user's programs keep their state, outside the folder. The record holds a digest of what may be read:
an id that a stranger has seen is of no use with other paths. A folder may be moved.
"""

import hashlib
import json
import os
import re
import sys
import uuid
from contextlib import suppress
from pathlib import Path, PurePath

from nvd_core.job import AUTO, DETECTED, INVERTED, Job
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError, Unconfirmed
from nvd_core.runtime.files import write_json
from nvd_core.settings import Settings

SCHEMA, VERSION = "nvd.begun", 1
MOST_RECORDS = 4096
"""the oldest ones go; their folders ask, if they were never finished"""
_ID = re.compile(r"[0-9a-f]{32}")


def note_begun(folder: Path, job: Job, settings: Settings) -> None:
    """Remember that this user began `job`, which is given an id where it has none.

    Where the user's state cannot be written, as on many a farm, nothing is remembered.
    """
    if job.id is None:
        job.id = uuid.uuid4().hex
    record = {"schema": SCHEMA, "version": VERSION, "folder": os.path.abspath(folder)}
    with suppress(NvdError, OSError):
        records = _records()
        _forget_oldest(records)
        write_json(records / f"{job.id}.json", record | {"reads": _digest(job, settings)})


def check_origin(
    folder: Path, job: Job, settings: Settings, command: str = "nvd resume --yes"
) -> None:
    """Unconfirmed where files outside `folder` are to be read, and this user did not name them.

    The error says which `command` reads them.
    """
    reads = reads_outside(folder, job, settings)
    if not reads or _is_ours(job, settings):
        return
    raise Unconfirmed(
        f"{folder} was not begun by you on this machine, and to go on it wants to read files "
        "outside itself",
        found="; ".join(reads),
        remedy=f"look at these paths; if they may be read: {command} {folder}",
        reads=reads,
    )


def reads_outside(folder: Path, job: Job, settings: Settings) -> tuple[str, ...]:
    """What the stages that are not done read outside `folder`: what it is, and its path."""
    reads: dict[str, str | None] = {}
    detects = [name for name, source in job.masks if source.startswith(DETECTED)]
    if "frames" not in job.done or not job.clip:
        reads["the source"] = job.source
    if "flow" not in job.done and settings.flow_method != "dis":
        reads["optical flow"] = settings.flow_path
    if "masks" not in job.done:
        known = job.mask_frames or []
        known = known if len(known) == len(job.masks) else [None] * len(job.masks)
        for (name, source), frame in zip(job.masks, known, strict=True):
            if name not in detects:
                reads[f"the mask of {name}"] = source.removeprefix(INVERTED)
                if frame is None:  # its frame may be told by the names of the source's files
                    reads["the source"] = job.source
        for name, source in job.parts:
            reads[f"the mask of {name}"] = source.removeprefix(INVERTED)
        told = job.part_frames or []
        if job.parts and (len(told) != len(job.parts) or None in told):
            reads["the source"] = job.source
        if job.garbage and job.garbage != AUTO:
            reads["the garbage matte"] = job.garbage.removeprefix(INVERTED)
        if detects:
            reads["Mask R-CNN"] = settings.maskrcnn_weights
    reads["the paint of"] = job.refines
    return tuple(
        f"{what} {path}" for what, path in reads.items() if path and not _lies_in(folder, path)
    )


def _lies_in(folder: Path, path: str) -> bool:
    """Whether a path lies in the folder by its letters; links in it have been checked.

    The disk is not asked: a path may name another machine, which would be told the user's name.
    """
    if ".." in PurePath(path).parts:
        return False
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _is_ours(job: Job, settings: Settings) -> bool:
    if job.id is None or not _ID.fullmatch(job.id):
        return False
    try:
        record = read_json(_records() / f"{job.id}.json")
    except (Unreadable, OSError):
        return False
    return isinstance(record, dict) and record.get("reads") == _digest(job, settings)


def _digest(job: Job, settings: Settings) -> str:
    """Of everything that a resumed decomposition may read."""
    named = [job.source, job.masks, settings.flow_method, settings.flow_path]
    named += [job.garbage] if job.garbage else []  # records without one stay what they were
    named += [job.refines] if job.refines else []
    named += [job.parts] if job.parts else []
    text = json.dumps([*named, settings.maskrcnn_weights])
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _records() -> Path:
    """Where the user's programs keep what is neither settings nor worth a backup."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        state = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        state = home / "Library" / "Application Support"
    else:
        state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    if not state.is_absolute():  # a user without a home: never the folder that one stands in
        raise OSError("no home")
    return state / "nvd" / "begun"


def _forget_oldest(records: Path) -> None:
    """Keep MOST_RECORDS at the most."""
    if not records.is_dir():
        return
    found = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(records)]
    for _, path in sorted(found)[: max(len(found) - MOST_RECORDS + 1, 0)]:
        os.unlink(path)
