"""Reading and writing the JSON files in a shot's edits/, and what lies beside them."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from .folder import ShotError, open_file

Found = TypeVar("Found")


def read_document(
    path: Path, checked: Callable[[object], Found], most: int, again: str
) -> Found | None:
    """What `checked` makes of the file's JSON, None where there is no file.

    ShotError where it is damaged, longer than `most` bytes, or `checked` raises a ValueError;
    `again` is what to do then.
    """
    try:
        with open_file(path) as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ShotError(f"cannot read {path} ({reason})", "see to its permissions") from error
    if len(data) > most:
        raise ShotError(f"{path} is larger than {most >> 20} MiB", again)
    try:
        return checked(json.loads(data.decode("utf-8-sig")))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ShotError(f"{path} is damaged ({str(error)[:300]})", again) from error


def write_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file beside `path`, see it on the disk, and rename it.

    ShotError where the disk refuses; what was there is kept then.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise ShotError(
            f"{path} could not be written ({error.strerror})",
            "make room, or see to the folder's permissions, and save again",
        ) from error


def require(condition: object, otherwise: str) -> None:
    """ValueError with these words, unless it is so."""
    if not condition:
        raise ValueError(otherwise)
