"""Writing files so that a crash never leaves half of one, and paths that stay in their folder."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.whole_files import check_whole


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder (same suffix), renamed to `path` on success.

    On any exception the temporary file is removed and what stood at `path` is untouched.
    A full or read-only disk becomes an NvdError, also where the library that wrote the file did
    not notice: a file that is not whole (`check_whole`) is never renamed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        check_whole(temporary)
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
    """The NvdError for a file that could not be written: the space left, and what was kept."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 2**20:.0f} MB free there"
    except OSError:
        free = "the folder is not there"
    kept = "; the file that stood there is kept as it was" if os.path.isfile(path) else ""
    return NvdError(
        f"cannot write {path}",
        found=f"{error.strerror or error}, {free}{kept}",
        remedy="free some space, or choose a folder you may write to, and run the command again",
    )


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented UTF-8 JSON, beside and renamed into place."""
    with written_beside(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


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
