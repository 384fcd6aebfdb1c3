"""Writing files so that a crash never leaves half of one, and paths that stay in their folder."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nvd_core.runtime.errors import NvdError


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder (same suffix), renamed to `path` on success.

    On any exception the temporary file is removed and what stood at `path` is untouched.
    A full or read-only disk becomes an NvdError.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BrokenPipeError:  # no disk breaks a pipe: whoever read our progress is gone
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # a disk that refuses this too has refused the write already
            temporary.unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, beside and renamed into place; NvdError where the disk refuses."""
    with written_beside(target) as temporary:
        shutil.copyfile(source, temporary)


def cannot_write(path: Path, error: OSError) -> NvdError:
    """The NvdError for a file that could not be written, with the space left on the disk."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 2**20:.0f} MB free there"
    except OSError:
        free = "the folder is not there"
    return NvdError(
        f"cannot write {path}",
        found=f"{error.strerror or error}, {free}",
        remedy="free some space, or choose a folder you may write to, and run the command again",
    )


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON, beside and renamed into place.

    NvdError where JSON cannot hold it: a number that is not finite (`without_nan` makes those
    null), or a file's name that is not Unicode.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        text.encode("utf-8")
    except ValueError as error:
        raise NvdError(
            f"cannot write {path}: what should stand in it has no form in JSON",
            expected="finite numbers, and names in Unicode",
            found="another name" if isinstance(error, UnicodeError) else "NaN or infinity",
            remedy="rename files whose names are not Unicode; otherwise this is a fault of nvd",
        ) from error
    with written_beside(path) as temporary:
        temporary.write_text(text, "utf-8")


def without_nan(value: Any) -> Any:
    """`value` with None for every number that is not finite: JSON has no word for those."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return value


def inside(folder: Path, relative: str) -> Path:
    """The path of `relative` in `folder`; NvdError where it is absolute or leaves the folder."""
    folder = Path(folder)
    path = folder / relative
    if Path(relative).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
        raise NvdError(
            f"{folder} refers to a file outside itself",
            expected="paths relative to the folder",
            found=relative,
            remedy="do not use this folder unless you trust where it came from; "
            "make it again with `nvd decompose`",
        )
    return path
