"""The folder of `nvd objects`: masks and thumbnails of what was found in a clip, and objects.json.

Objects can be renamed, merged and dropped in it; `nvd decompose --objects` takes what is left.
"""

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from nvd_core import __version__
from nvd_core.media.images import read_stored, write_image
from nvd_core.runtime.declared import JSON, Declared, Fault, Name, read, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.progress import Progress

OBJECTS = "objects.json"
MASK_FILES, THUMBNAILS = "masks", "thumbnails"
Share = Annotated[float, within(0, 1)]


@dataclass
class FoundObject(Declared):
    """An object in objects.json. Frames are counted as its masks are numbered."""

    name: Name
    seen: list[int]
    """frames in which it has a mask that is not empty"""
    moves: list[int]
    """those in which it moves by itself; in the others its mask was carried"""
    needs_eye: list[int]
    """those in which the carried mask was lost and looked for"""
    confidence: Share
    area: Share
    """mean share of the frame that it covers where it is seen"""
    in_front_of: list[Name] = field(default_factory=list)
    """objects that were seen to go behind it"""
    cautions: list[str] = field(default_factory=list)


@dataclass
class Objects(Declared):
    """What objects.json holds: the objects, front to back."""

    source: str
    """the clip, absolute path"""
    frames: int
    width: int
    """of the masks, pixels"""
    height: int
    objects: list[FoundObject]
    program: str = f"nvd {__version__}"
    schema: Literal["nvd.objects"] = "nvd.objects"
    version: Literal[1] = 1

    @property
    def names(self) -> list[str]:
        """Names, front to back."""
        return [found.name for found in self.objects]


def load_objects(folder: Path) -> Objects:
    """What a folder of `nvd objects` holds; NvdError where it is none, or damaged."""
    path = inside(Path(folder), OBJECTS)
    try:
        known = read(Objects, read_json(path), JSON)
        names = [name.lower() for name in known.names]
        if len(set(names)) < len(names) or "background" in names:
            raise Fault("objects", "range", "objects of different names, none background", names)
        return known
    except (Unreadable, Fault) as error:
        raise NvdError(
            f"{folder} holds no objects that were found",
            expected=f"an {OBJECTS} of schema {Objects.schema} version {Objects.version}",
            found=str(error)[:200],
            remedy="make the folder with: nvd objects CLIP --out FOLDER",
        ) from error


def masks_of(folder: Path) -> list[list[str]]:
    """Name and absolute path of the masks of each object that is kept, front to back."""
    return [
        [name, str(inside(Path(folder), f"{MASK_FILES}/{name}").absolute())]
        for name in load_objects(folder).names
    ]


def facts(folder: Path, known: Objects) -> dict:
    """What the command says of a folder."""
    said = [f"{found.name} {text}" for found in known.objects for text in found.cautions]
    if not known.objects:
        said = ["nothing moves against the background: it can be decomposed alone"]
    return {
        "folder": str(folder),
        "objects": {found.name: _short(found, known) for found in known.objects},
        "cautions": said,
    }


def _short(found: FoundObject, known: Objects) -> str:
    front = f", in front of {' and '.join(found.in_front_of)}" if found.in_front_of else ""
    return (
        f"{found.area:.1%} of the frame, seen in {len(found.seen)} of {known.frames} frames, "
        f"moves in {len(found.moves)}, confidence {found.confidence:.2f}{front}"
    )


def change(
    folder: Path,
    *,
    merge: Sequence[Sequence[str]] = (),
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    rename: Sequence[tuple[str, str]] = (),
    progress: Progress,
) -> dict:
    """Merge objects into the first of each list, drop some, or keep only some; facts.

    `rename` are pairs of an old and a new name. NvdError where an object is not there; then nothing
    is changed.
    """
    folder = Path(folder)
    with writing(folder, "nvd objects", progress):
        known = load_objects(folder)
        merged = [name for names in merge for name in names]
        asked = [*merged, *drop, *keep, *(old for old, _ in rename)]
        for name in asked:
            if name not in known.names:
                raise NvdError(
                    f"{folder} has no object {name}",
                    expected=", ".join(known.names) or "none: nothing was found",
                    found=name,
                    remedy="name one of these",
                )
        _check_new_names(known, [new for _, new in rename])
        gone = [name for names in merge for name in names[1:]] + list(drop)
        gone += [name for name in known.names if keep and name not in keep]
        for names in merge:
            _merge(folder, known, names)
        known.objects = [found for found in known.objects if found.name not in gone]
        for old, new in rename:
            _rename(folder, known, old, new)
        for found in known.objects:
            found.in_front_of = [name for name in found.in_front_of if name in known.names]
        write_json(inside(folder, OBJECTS), dataclasses.asdict(known))
        for name in gone:
            remove_folder(folder, f"{MASK_FILES}/{name}")
            inside(folder, f"{THUMBNAILS}/{name}.png").unlink(missing_ok=True)
    return facts(folder, known)


def _check_new_names(known: Objects, new: Sequence[str]) -> None:
    """NvdError where a new name is taken, before anything is changed; also by one that goes."""
    taken = {"background", *(name.lower() for name in known.names)}
    for name in new:
        if name.lower() in taken:
            raise NvdError(
                f"an object cannot be called {name}",
                found="that name is taken",
                remedy="choose another name",
            )
        taken.add(name.lower())


def _merge(folder: Path, known: Objects, names: Sequence[str]) -> None:
    """Make one object of several: the first takes the others' masks in."""
    parts = [found for found in known.objects if found.name in names]
    into = next(found for found in parts if found.name == names[0])
    paths = sorted(inside(folder, f"{MASK_FILES}/{names[0]}").glob("*.png"))
    shares = []
    for path in paths:
        both = [
            read_stored(inside(folder, f"{MASK_FILES}/{name}/{path.name}")).pixels for name in names
        ]
        mask = np.maximum.reduce(both)
        shares.append(float((mask > 127).mean()))
        write_image(path, mask)
    into.seen = sorted(set().union(*(part.seen for part in parts)))
    into.moves = sorted(set().union(*(part.moves for part in parts)))
    into.needs_eye = sorted(set().union(*(part.needs_eye for part in parts)))
    into.confidence = max(part.confidence for part in parts)
    seen = [share for share in shares if share > 0]
    into.area = round(float(np.mean(seen)), 5) if seen else 0.0
    front = set().union(*(part.in_front_of for part in parts)) - set(names)
    into.in_front_of = [name for name in known.names if name in front]
    into.cautions = [*into.cautions, f"was merged of {', '.join(names)}"]
    foremost = min(known.objects.index(part) for part in parts)
    known.objects.remove(into)
    known.objects.insert(foremost, into)


def _rename(folder: Path, known: Objects, old: str, new: str) -> None:
    """Give an object another name, and its files with it."""
    masks = inside(folder, f"{MASK_FILES}/{new}")
    shutil.move(inside(folder, f"{MASK_FILES}/{old}"), masks)
    shutil.move(
        inside(folder, f"{THUMBNAILS}/{old}.png"), inside(folder, f"{THUMBNAILS}/{new}.png")
    )
    for found in known.objects:
        found.name = new if found.name == old else found.name
        found.in_front_of = [new if name == old else name for name in found.in_front_of]
