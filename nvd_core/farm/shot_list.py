"""The shots of a show: the YAML file of `nvd farm run`, and the commands that each one needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from nvd_core.farm.long_plan import LongPlan
from nvd_core.farm.sections import Sections, fault_of
from nvd_core.farm.tasks import Plan, ShotPlan
from nvd_core.job import AUTO, MOST_HEIGHT, mask_path, wanted_class
from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.declared import Fault, Name, PathText, read, text_like, within
from nvd_core.runtime.documents import Unreadable, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.parts import check_parts
from nvd_core.runtime.shown import shown
from nvd_core.settings import Preset

FOLDER = ".nvd"
"""what a shot's folder ends in, where the list does not name it"""
SECTIONS = ".sections"
"""what the folder of a shot's sections ends in"""


@dataclass(frozen=True)
class ShotEntry:
    """What the list says of a shot. Paths are relative to the list."""

    source: PathText
    masks: dict[str, PathText] = field(default_factory=dict)
    """a mask sequence, movie, image or maskrcnn:CLASS an object, front to back"""
    parts: dict[str, PathText] = field(default_factory=dict)
    """the mask of a part, by LAYER.PART, what is in front first"""
    garbage: PathText | None = None
    """as a mask, or auto"""
    frames: Annotated[str, text_like(r"\d{1,9}-\d{1,9}", "A-B")] | None = None
    height: Annotated[int, within(1, MOST_HEIGHT)] | None = None
    preset: Preset | None = None
    settings: PathText | None = None
    """a file of settings, in place of a preset"""
    shot: PathText | None = None
    """the decomposition folder; NAME.nvd beside the list"""
    out: PathText | None = None
    """a pattern of images, which are rendered in chunks, or a movie, which one task renders"""
    movie: PathText | None = None
    """made of the images of `out` in the end"""
    sections: Sections | None = None
    """a long clip, decomposed in sections of their own"""


@dataclass(frozen=True)
class ShotList:
    """The whole file."""

    shots: dict[Name, ShotEntry]
    preset: Preset = "fast"
    chunk: Annotated[int, within(1, 1_000_000)] = 20
    """frames a task"""
    retries: Annotated[int, within(0, 100)] = 2
    """times that a task is tried again before its shot has failed"""
    logs: PathText | None = None
    """folder; beside the list, under its name with .logs"""


@dataclass(frozen=True)
class Show:
    """What a list asks for."""

    shots: list[Plan]
    retries: int
    logs: Path


def load_shots(path: Path | str) -> Show:
    """The file `path`. NvdError for anything unknown or out of range, before any task is begun.

    Whether a shot's paths lead anywhere is left to its tasks: a bad shot stops no other.
    """
    path = Path(path)
    try:
        listed = read(ShotList, read_yaml(path))
    except Unreadable as error:
        raise _bad(path, "a YAML file of shots", str(error)) from error
    except Fault as fault:
        wanted = f"{fault.key or 'the file'} as {fault.expected}"
        raise _bad(path, wanted, shown(fault.found)) from fault
    if not listed.shots:
        raise _bad(path, "shots: and under it a name for each", "none")
    base = path.parent.resolve()
    plans = [_plan(path, base, name, entry, listed) for name, entry in listed.shots.items()]
    _check_apart(path, [(plan.name, plan.name.lower()) for plan in plans], "names")
    _check_apart(path, [(plan.name, str(plan.folder)) for plan in plans], "folders")
    outputs = [(p.name, out) for p in plans for out in (p.out, p.movie) if out]
    _check_apart(path, outputs, "outputs")
    logs = base / (listed.logs or f"{path.stem}.logs")
    return Show(plans, listed.retries, logs)


def _plan(path: Path, base: Path, name: str, entry: ShotEntry, listed: ShotList) -> Plan:
    if entry.preset and entry.settings:
        raise _bad(path, f"a preset or settings for shots.{name}", "both")
    folder = base / (entry.shot or name + (SECTIONS if entry.sections else FOLDER))
    source = str(base / entry.source)
    words: list[str] = []
    masks: list[str] = []
    for layer, mask in entry.masks.items():
        masks.append(mask if wanted_class(mask) else mask_path(base, mask))
        words += ["--mask", f"{layer}={masks[-1]}"]
    layers = [*entry.masks, "background"]
    try:
        check_parts([[part, mask] for part, mask in entry.parts.items()], layers)
    except NvdError as error:
        raise _bad(path, f"parts of the layers of shots.{name}", error.problem) from error
    for part, mask in entry.parts.items():
        masks.append(mask_path(base, mask))
        words += ["--part", f"{part}={masks[-1]}"]
    if entry.garbage:
        words += ["--garbage", AUTO if entry.garbage == AUTO else mask_path(base, entry.garbage)]
    if entry.height:
        words += ["--height", str(entry.height)]
    if entry.settings:
        words += ["--settings", str(base / entry.settings)]
    else:
        words += ["--preset", entry.preset or listed.preset]
    if entry.movie and not (entry.out and is_pattern(entry.out)):
        expected = f"images to make the movie of, shots.{name}.out: a pattern such as out/%05d.png"
        raise _bad(path, expected, entry.out or "none")
    out = None if entry.out is None else str(base / entry.out)
    movie = None if entry.movie is None else str(base / entry.movie)
    if entry.sections:
        if out is not None and not is_pattern(out):
            raise _bad(path, f"a pattern such as out/%05d.png as shots.{name}.out", out)
        if fault := fault_of(entry.sections):
            raise _bad(path, f"shots.{name}.sections with {fault}", str(entry.sections.overlap))
        return LongPlan(
            name,
            folder,
            source,
            entry.frames,
            tuple(words),
            tuple(masks),
            out,
            movie,
            listed.chunk,
            entry.sections,
        )
    train = ["decompose", source, "--out", str(folder), "--until", "training", *words]
    if entry.frames:
        train += ["--frames", entry.frames]
    return ShotPlan(name, folder, tuple(train), out, movie, listed.chunk)


def _check_apart(path: Path, named: Sequence[tuple[str, str]], what: str) -> None:
    first: dict[str, str] = {}
    for name, value in named:
        if value in first:
            raise _bad(path, f"{what} that are each one shot's", f"{first[value]} and {name}")
        first[value] = name


def _bad(path: Path, expected: str, found: str) -> NvdError:
    return NvdError(
        f"cannot use the list {path}",
        expected=expected,
        found=found,
        remedy="correct the file; docs/guide/farm.md describes it",
    )
