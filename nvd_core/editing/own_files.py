"""The user's own files, which no output may replace: the clip's source, masks, edits, the folder.

Files are told by what they are on the disk, not by their names: a link, or another spelling on a
disk that does not tell A from a, is the same file.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from nvd_core.editing.flatten import FLAT
from nvd_core.job import INVERTED, Job
from nvd_core.media.clip_import import OVERSCAN
from nvd_core.media.images import IMAGE_SUFFIXES
from nvd_core.media.numbering import as_text, place_of
from nvd_core.media.sequences import frame_path, is_pattern, numbered_files, split_layer
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.shot.finish import HOLDOUTS
from nvd_core.shot.pins import original_path
from nvd_core.shot.shot import REFINED, Shot
from nvd_core.shot.stack import PLACE
from nvd_core.work import work_folder


def files_of_output(out: Path | str, numbers: Iterable[int]) -> list[Path]:
    """The files that frames `numbers` of the movie or pattern `out` are written to.

    NvdError where the pattern names a range, as in `r.1001-1100#.png`, and they lie outside of it.
    """
    if not is_pattern(out):
        return [Path(out)]
    numbers = list(numbers)
    named = place_of(Path(out).name).numbers
    if named is not None and (others := [n for n in numbers if n not in named]):
        raise NvdError(
            f"{Path(out).name} names other frames than are written",
            expected=f"numbers of {as_text(named)}",
            found=as_text(others),
            remedy="leave the range out of the name, choose --frames within it, or the first "
            "number by --start",
        )
    return [frame_path(out, t) for t in numbers]


def named_edits(edits: dict[str, Path] | None) -> dict[str, Path]:
    """Edits given by layer, by what they are."""
    return {f"the edit of {layer}": path for layer, path in (edits or {}).items()}


def check_output(shot: Shot, files: list[Path], given: dict[str, Path | str]) -> None:
    """NvdError where writing `files` would overwrite what the user cannot get back.

    That is the source of the clip, a mask, all that belongs to the decomposition, and what is
    `given`, by what it is ("the edit of dog"). Images written into a folder that is the source or
    a mask are refused too, as they would be taken for a part of it.
    """
    for parent in {file.parent for file in files}:
        if any(_same(parent, own) for own in _own_folders(shot)):
            raise NvdError(
                f"{parent} belongs to the decomposition, whose files would be overwritten",
                remedy="choose another folder for the result",
            )
    near = [(name, path) for name, path in _inputs(shot) if _near(path, files)]
    inputs = [(name, _without_layer(path)) for name, path in near]
    images = {file.parent for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    for name, path in inputs:
        if path.is_dir() and any(_same(parent, path) for parent in images):
            raise NvdError(
                f"{path} is {name}: images written there would replace it or be taken for a part",
                remedy="choose another folder for the result",
            )
    there = {key: file for file in files if (key := _identity(file))}
    if not there:
        return
    inputs += [(name, Path(path)) for name, path in given.items()]
    protected = ((f"a file of {name}", own) for name, path in inputs for own in _files(path))
    of_shot = (("a file of the decomposition", own) for own in _owned(shot))
    for what, own in chain(protected, of_shot):
        if file := there.get(_identity(own)):
            raise NvdError(
                f"{file} is {what} and would be overwritten",
                found=str(own),
                remedy="choose another folder or name for the result",
            )


def check_outside(shot: Shot, out: Path | str) -> None:
    """NvdError where the folder `out` is the decomposition, lies in it, or is no folder."""
    place = Path(os.path.abspath(out))
    if any(_same(parent, shot.folder) for parent in (place, *place.parents)) or Path(
        out
    ).resolve().is_relative_to(shot.folder.resolve()):
        raise NvdError(
            f"{out} lies in the decomposition {shot.folder}",
            expected="a folder of its own",
            remedy="choose another folder for the result",
        )
    if place.exists() and not place.is_dir():
        raise NvdError(
            f"{out} is a file",
            expected="a folder, there or not",
            remedy="choose another folder for the result",
        )


def _own_folders(shot: Shot) -> list[Path]:
    folders = {shot.frame_path(0).parent, shot.map_path(0).parent, work_folder(shot.folder)}
    folders |= {shot.folder / OVERSCAN, original_path(shot, 0).parent}
    for name in shot.names:
        folders |= {shot.texture_path(name).parent, shot.edit_path(name).parent}
        folders.add(shot.mask_path(name, 0).parent)
    states = shot.folder.glob(f"{REFINED}*")  # also those that the manifest does not name now
    places = [inside(shot.folder, place) for place in (PLACE, HOLDOUTS, FLAT)]
    for place in (*places, *states):
        folders |= {place, *(Path(parent) for parent, _, _ in os.walk(place))}
    if shot.manifest.garbage:
        folders.add(inside(shot.folder, shot.manifest.garbage).parent)
    return sorted(folders)


def _owned(shot: Shot) -> Iterator[Path]:
    for folder in _own_folders(shot):
        yield from _files(folder)


def _inputs(shot: Shot) -> list[tuple[str, Path]]:
    """What the decomposition was made of: what it is, and where it was."""
    found = [("the clip's source", shot.manifest.clip.source)]
    with suppress(NvdError, TypeError, ValueError):  # a folder that came without its job.json
        job = Job.load(shot.folder)
        found.append(("the clip's source", job.source))
        found += [(f"the mask of {name}", path.removeprefix(INVERTED)) for name, path in job.masks]
        found.append(("the garbage matte", (job.garbage or "").removeprefix(INVERTED)))
    return [(name, Path(path)) for name, path in found if path and isinstance(path, str)]


def _without_layer(path: Path) -> Path:
    """The files of a source, without the layer that may be named behind them."""
    with suppress(OSError, ValueError):
        return split_layer(path)[0]
    return path


def _near(path: Path, files: list[Path]) -> bool:
    """Whether `path` may be looked at: not another machine's, which only a stranger's folder names.

    On Windows a path such as //machine/share is asked for over the network, with the user's name.
    """
    drive = os.path.splitdrive(path)[0].replace("\\", "/").lower()
    drives = {os.path.splitdrive(os.path.abspath(file))[0] for file in files}
    return not drive.startswith("//") or drive in {d.replace("\\", "/").lower() for d in drives}


def _files(path: Path) -> Iterator[Path]:
    """The files of a movie, image, folder or pattern, those that are there."""
    with suppress(OSError, NvdError):  # none that could be overwritten
        if path.is_dir():
            yield from (Path(entry.path) for entry in os.scandir(path) if entry.is_file())
        elif path.is_file():
            yield path
        elif is_pattern(path):
            yield from numbered_files(path).values()


def _identity(path: Path) -> tuple | None:
    """Equal for two names of one file; None where there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    # some network disks number no files
    return (state.st_dev, state.st_ino) if state.st_ino else (os.path.normcase(path.resolve()),)


def _same(one: Path, other: Path) -> bool:
    identity = _identity(one)
    if identity is None:
        return one.resolve() == other.resolve()
    return identity == _identity(other)
