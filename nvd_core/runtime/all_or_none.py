"""Replacing several files as one: where one of them fails, all are as they were.

That holds for a killed process too. Before the first file is renamed, a journal beside the files
says under which names the old ones are kept; it is removed when the last has its name. Who finds a
journal whose writer is dead puts the old files back (`undo_half`): whoever writes into a
decomposition folder, and whoever opens one.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import (
    cannot_write,
    flush_file,
    flush_folder,
    is_temporary,
    remove_temporaries_of,
    written_beside,
)
from nvd_core.runtime.processes import is_alive

JOURNAL = ".nvd.replacing.json"


@contextmanager
def all_or_none(paths: Iterable[Path], durable: bool = False) -> Iterator[list[Path]]:
    """Yield temporary paths beside `paths`, as `written_beside` does; renamed when all are written.

    The files are in one folder. Where a rename fails, those before it are taken back. What is
    `durable` survives a power cut. NvdError where the disk refuses.
    """
    paths = [Path(path) for path in paths]
    (folder,) = {path.parent for path in paths}
    with _put_back(folder, paths, durable), ExitStack() as stack:
        yield [stack.enter_context(written_beside(path, durable)) for path in paths]


def undo_half(folder: Path, alone: bool = False) -> bool:
    """Put back what a killed `all_or_none` left half replaced in `folder`; whether it left any.

    `alone`: nobody else writes there, so that whoever left a journal is dead; otherwise a journal
    is left alone while its writer lives. NvdError where the disk refuses.
    """
    journal = folder / JOURNAL
    if not os.path.lexists(journal):
        return False
    kept, writer = _read(journal)
    if not alone and writer is not None and is_alive(writer):
        return False
    for path, copy in kept.items():
        if not _restore(path, copy):
            raise NvdError(
                f"{path.name} in {folder} was half replaced and cannot be put back",
                found="a disk that refuses",
                remedy=f"make {folder} writable, and run the command again",
            )
    _remove(journal, kept)
    return True


def tidy(paths: Iterable[Path]) -> None:
    """Undo and remove what dead processes left of replacing `paths`, which are in one folder."""
    paths = [Path(path) for path in paths]
    for folder in {path.parent for path in paths}:
        undo_half(folder)
    remove_temporaries_of([*paths, *(path.with_stem(f"{path.stem}.kept") for path in paths)])


@contextmanager
def _put_back(folder: Path, paths: list[Path], durable: bool) -> Iterator[None]:
    """Keep what stands at `paths` under another name, and put it back after an exception."""
    kept: dict[Path, Path | None] = {}
    journal = folder / JOURNAL
    begun = False
    try:
        tidy(paths)
        for path in paths:
            kept[path] = _keep(path, durable)
        _begin(journal, kept, durable)
        begun = True
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
        _remove(journal if begun else None, kept)


def _begin(journal: Path, kept: dict[Path, Path | None], durable: bool) -> None:
    """Write the journal. One that is cut off counts as none: no file was renamed yet."""
    names = {path.name: copy.name if copy else None for path, copy in kept.items()}
    words = {"kept": names, "pid": os.getpid(), "host": socket.gethostname()}
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("x", encoding="utf-8") as file:
            json.dump(words, file)
        if durable:
            flush_file(journal)
            flush_folder(journal.parent)
    except FileExistsError as error:
        raise NvdError(
            f"another process is replacing files in {journal.parent}",
            remedy="wait until it has ended, and run the command again",
        ) from error
    except OSError as error:
        with suppress(OSError):
            journal.unlink()
        raise cannot_write(next(iter(kept)), error) from error  # a name that the user knows


def _read(journal: Path) -> tuple[dict[Path, Path | None], int | None]:
    """What is kept of each file, and the process that wrote that, None if it was another machine's.

    Nothing for a journal that is cut off or names anything but files beside it.
    """
    with suppress(Unreadable, KeyError, TypeError, ValueError, AttributeError):
        words = read_json(journal)
        kept: dict[Path, Path | None] = {}
        for name, copy in words["kept"].items():
            if not _is_plain(name) or not (
                copy is None or (_is_plain(copy) and is_temporary(copy))
            ):
                return {}, None
            kept[journal.parent / name] = None if copy is None else journal.parent / copy
        return kept, int(words["pid"]) if words["host"] == socket.gethostname() else None
    return {}, None


def _is_plain(name: object) -> bool:
    """Whether it is the name of a file beside the journal, and none of the program's own."""
    if not isinstance(name, str) or name in ("", ".", "..") or "\0" in name:
        return False
    return Path(name).name == name and "\\" not in name and ":" not in name and name != JOURNAL


def _remove(journal: Path | None, kept: dict[Path, Path | None]) -> None:
    """Remove the journal, and then the copies: what is in the way is no reason to fail."""
    if journal is not None:
        with suppress(OSError):
            journal.unlink(missing_ok=True)
    for copy in filter(None, kept.values()):
        with suppress(OSError):
            copy.unlink(missing_ok=True)


def _keep(path: Path, durable: bool) -> Path | None:
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
            if durable:
                flush_file(copy)
    except OSError as error:
        with suppress(OSError):
            copy.unlink()
        raise cannot_write(path, error) from error
    return copy


def _restore(path: Path, copy: Path | None) -> bool:
    """Put `copy` back to `path`; whether that went well, or was done before."""
    try:
        if copy is None:
            path.unlink(missing_ok=True)
        elif os.path.lexists(copy) and not (os.path.lexists(path) and _is_same(path, copy)):
            os.replace(copy, path)
    except FileNotFoundError:  # another process was faster
        return True
    except OSError:
        return False
    return True


def _is_same(one: Path, other: Path) -> bool:
    return os.path.samestat(os.lstat(one), os.lstat(other))
