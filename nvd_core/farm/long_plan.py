"""The commands of a long clip, which is decomposed in sections (sections.py)."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nvd_core.farm.section_masks import check_serves
from nvd_core.farm.sections import Section, Sections, cut
from nvd_core.farm.tasks import Task, clip_of, parts_of
from nvd_core.media.clip import open_source
from nvd_core.media.numbering import counted_from, range_of


@dataclass(frozen=True)
class LongPlan:
    """The commands of one shot in sections: in each step those of all of them."""

    name: str
    folder: Path
    """of the sections' folders"""
    source: str
    frames: str | None
    """A-B, from 0; None: all"""
    options: tuple[str, ...]
    """of `nvd decompose`"""
    masks: tuple[str, ...]
    """of objects and parts, the paths among the options"""
    out: str | None
    movie: str | None
    chunk: int
    wanted: Sections

    @cached_property
    def sections(self) -> list[Section]:
        """All of them; NvdError where the clip cannot be read, or masks do not serve them all."""
        source = open_source(self.source)
        counted = range(source.frames)
        asked = tuple(map(int, self.frames.split("-"))) if self.frames else None
        frames = (asked[0], asked[1]) if asked else None
        first, last = range_of(frames, counted, self.source, "", False)
        made = cut(last - first + 1, self.wanted, self.folder, first)
        if len(made) > 1:
            for mask in self.masks:
                check_serves(mask, source, last - first + 1)
        return made

    def tasks(self, step: str) -> list[Task]:
        """Those of a step; from the second step on the folders have to know their frames."""
        if step == "encode":
            return self._encode()
        if step == "render" and self.out is None:
            return []
        made = {"train": self._train, "bake": self._bake, "fit": self._fit, "render": self._render}
        return [task for section in self.sections for task in made[step](section)]

    def _task(self, step: str, words: tuple[str, ...], first: int, last: int) -> Task:
        return Task(self.name, step, words, (first, last))

    def _train(self, section: Section) -> list[Task]:
        first, last = section.first, section.last
        words = "decompose", self.source, "--out", str(section.folder), "--until", "training"
        return [
            self._task("train", (*words, "--frames", f"{first}-{last}", *self.options), first, last)
        ]

    def _bake(self, section: Section) -> list[Task]:
        words = "bake", str(section.folder), "--frames"
        return [
            self._task("bake", (*words, f"{a}-{b}"), section.first + a, section.first + b)
            for a, b in parts_of(section.last - section.first + 1, self.chunk)
        ]

    def _fit(self, section: Section) -> list[Task]:
        words = "bake", str(section.folder), "--finish"
        return [self._task("fit", words, section.first, section.last)]

    def _render(self, section: Section) -> list[Task]:
        """Of the frames that no later section has: that one fades over from this one."""
        words = ("render", str(section.folder), "--out", str(self.out), "--start", "source")
        if section.before is not None:
            words += "--after", str(section.before)
        info = clip_of(section.folder)
        numbers = counted_from("source", info.own_numbers, info.frames, info.first_frame)
        return [
            self._task(
                "render",
                (*words, f"--frames={numbers[a]}-{numbers[b]}"),  # which may be below 0
                section.first + a,
                section.first + b,
            )
            for a, b in parts_of(section.own - section.first + 1, self.chunk)
        ]

    def _encode(self) -> list[Task]:
        if self.movie is None:
            return []
        folders = [str(section.folder) for section in self.sections]
        words = "encode", *folders, "--images", str(self.out), "--out", self.movie
        return [Task(self.name, "encode", (*words, "--start", "source", "--source", self.source))]
