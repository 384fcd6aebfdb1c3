"""The shots of a show: the YAML file of `nvd farm run`, and the commands that each one needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from nvd_core.job import AUTO, MOST_HEIGHT, Job, mask_path, wanted_class
from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.declared import Fault, Name, PathText, read, text_like, within
from nvd_core.runtime.documents import Unreadable, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.parts import check_parts
from nvd_core.runtime.shown import shown
from nvd_core.settings import Preset

FOLDER = ".nvd"
"""what a shot's folder ends in, where the list does not name it"""


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
class Task:
    """One command of `nvd`, of one step of one shot."""

    shot: str
    step: str
    words: tuple[str, ...]
    """without the name of the program"""
    frames: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The step and its frames, as a log is called."""
        return self.step if self.frames is None else "{}-{}-{}".format(self.step, *self.frames)


STEPS = ("train", "bake", "fit", "render", "encode")
"""of every shot, one after another; the tasks of a step have no order"""


@dataclass(frozen=True)
class ShotPlan:
    """The commands of one shot."""

    name: str
    folder: Path
    train: tuple[str, ...]
    out: str | None
    movie: str | None
    chunk: int

    def tasks(self, step: str) -> list[Task]:
        """Those of a step; from the second step on the folder has to know its frames."""
        folder = str(self.folder)
        if step == "train":
            return [Task(self.name, step, self.train)]
        if step == "fit":
            return [Task(self.name, step, ("bake", folder, "--finish"))]
        if step == "bake":
            return [
                Task(self.name, step, ("bake", folder, "--frames", "{}-{}".format(*part)), part)
                for part in self._parts()
            ]
        if step == "encode":
            words = "encode", folder, "--images", str(self.out), "--out", str(self.movie)
            return [Task(self.name, step, words)] if self.movie else []
        if self.out is None:
            return []
        render = "render", folder, "--out", self.out
        if not is_pattern(self.out):
            return [Task(self.name, step, render)]
        return [
            Task(self.name, step, (*render, "--frames", "{}-{}".format(*part)), part)
            for part in self._parts()
        ]

    def _parts(self) -> list[tuple[int, int]]:
        clip = Job.load(self.folder).clip
        if clip is None:
            raise NvdError(
                f"{self.folder} does not know its frames",
                remedy="look into the log of its training",
            )
        count = int(clip["frames"])
        return [(t, min(t + self.chunk, count) - 1) for t in range(0, count, self.chunk)]


@dataclass(frozen=True)
class Show:
    """What a list asks for."""

    shots: list[ShotPlan]
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


def _plan(path: Path, base: Path, name: str, entry: ShotEntry, listed: ShotList) -> ShotPlan:
    if entry.preset and entry.settings:
        raise _bad(path, f"a preset or settings for shots.{name}", "both")
    folder = base / (entry.shot or name + FOLDER)
    words = ["decompose", str(base / entry.source), "--out", str(folder), "--until", "training"]
    for layer, mask in entry.masks.items():
        words += ["--mask", f"{layer}={mask if wanted_class(mask) else mask_path(base, mask)}"]
    layers = [*entry.masks, "background"]
    try:
        check_parts([[part, mask] for part, mask in entry.parts.items()], layers)
    except NvdError as error:
        raise _bad(path, f"parts of the layers of shots.{name}", error.problem) from error
    for part, mask in entry.parts.items():
        words += ["--part", f"{part}={mask_path(base, mask)}"]
    if entry.garbage:
        words += ["--garbage", AUTO if entry.garbage == AUTO else mask_path(base, entry.garbage)]
    if entry.frames:
        words += ["--frames", entry.frames]
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
    return ShotPlan(name, folder, tuple(words), out, movie, listed.chunk)


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
