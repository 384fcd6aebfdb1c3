"""Replacing several files as one: where one of them fails, all are as they were."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, written_beside


@contextmanager
def all_or_none(paths: Iterable[Path], durable: bool = False) -> Iterator[list[Path]]:
    """Yield temporary paths beside `paths`, as `written_beside` does; renamed when all are written.

    Where a rename fails, those before it are taken back. What is `durable` survives a power cut.
    NvdError where the disk refuses.
    """
    paths = [Path(path) for path in paths]
    with _put_back(paths), ExitStack() as stack:
        yield [stack.enter_context(written_beside(path, durable)) for path in paths]


@contextmanager
def _put_back(paths: list[Path]) -> Iterator[None]:
    """Keep what stands at `paths` under another name, and put it back after an exception."""
    kept: dict[Path, Path | None] = {}
    try:
        for path in paths:
            kept[path] = _keep(path)
        yield
    except BaseException as error:
        lost = [path for path, copy in kept.items() if not _restore(path, copy)]
        if lost:
            copies = ", ".join(str(copy) for path in lost if (copy := kept.pop(path)))
            raise NvdError(
                f"cannot put back {', '.join(map(str, lost))}",
                found=f"a disk that refuses, after: {error}",
                remedy=f"what stood there is kept as {copies or 'nothing'}: rename it yourself",
            ) from error
        raise
    finally:
        for copy in filter(None, kept.values()):
            with suppress(OSError):  # a name too many is no reason to fail
                copy.unlink()


def _keep(path: Path) -> Path | None:
    """Another name for the file at `path`, or a copy of it; None where there is no file."""
    copy = path.with_name(f".{path.stem}.kept.{os.getpid()}.tmp{path.suffix}")
    try:
        if not os.path.lexists(path):
            return None
        copy.unlink(missing_ok=True)
        try:
            os.link(path, copy, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a disk without links
            shutil.copy2(path, copy)
    except OSError as error:
        with suppress(OSError):
            copy.unlink()
        raise cannot_write(path, error) from error
    return copy


def _restore(path: Path, copy: Path | None) -> bool:
    """Put `copy` back to `path`; whether that went well."""
    try:
        if copy is None:
            path.unlink(missing_ok=True)
        elif not (os.path.lexists(path) and _is_same(path, copy)):
            os.replace(copy, path)
    except OSError:
        return False
    return True


def _is_same(one: Path, other: Path) -> bool:
    return os.path.samestat(os.lstat(one), os.lstat(other))
