"""What a shot of a list needs: commands of `nvd`, step by step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nvd_core.job import Job
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.errors import NvdError

STEPS = ("train", "bake", "fit", "render", "encode")
"""of every shot, one after another; the tasks of a step have no order"""


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


class Plan(Protocol):
    """The commands of one shot."""

    @property
    def name(self) -> str:
        """Of the shot, in the list."""

    @property
    def folder(self) -> Path:
        """Where its decomposition is, or the sections of it."""

    @property
    def out(self) -> str | None:
        """Where it is rendered to."""

    @property
    def movie(self) -> str | None:
        """The movie of the images in `out`."""

    def tasks(self, step: str) -> list[Task]:
        """Those of a step; from the second step on the folder has to know its frames."""


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
                for part in parts_of(clip_of(self.folder).frames, self.chunk)
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
            for part in parts_of(clip_of(self.folder).frames, self.chunk)
        ]


def clip_of(folder: Path) -> ClipInfo:
    """The clip of a folder that was begun; NvdError where it does not know it."""
    clip = Job.load(folder).clip
    if clip is None:
        raise NvdError(
            f"{folder} does not know its frames", remedy="look into the log of its training"
        )
    return ClipInfo.from_json(clip)


def parts_of(count: int, chunk: int, first: int = 0) -> list[tuple[int, int]]:
    """First and last of every `chunk` of `count` frames, from `first` on."""
    stop = first + count
    return [(t, min(t + chunk, stop) - 1) for t in range(first, stop, chunk)]
