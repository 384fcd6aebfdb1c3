"""What is measured, how thoroughly, and the decompositions that several parts share."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.parts.commands import Finished, nvd
from bench.parts.machine import ROOT
from nvd_core.job import Job
from nvd_core.media.clip import open_clip
from nvd_core.pipeline import decompose, make_trainer
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.settings import PRESETS, Settings, update_settings
from nvd_core.training.trainer import Trainer

SAMPLE = ROOT / "samples" / "tumbler"
BEARS = [root / "shared" / "clips" / "bear" for root in (ROOT, ROOT.parent)]


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    height: int  # working height, where the clip is not smaller and no other is asked for
    frames: int  # of the clip, at most
    iterations: tuple[int, ...]  # schedules to try; 0 = as many as `nvd decompose` would take
    turns_seconds: float  # training time of each preset in the comparison
    slice_seconds: float  # of a turn
    whole_pretraining: bool  # of the paper's mappings
    steps: int  # timed for the split of an iteration
    sizes: tuple[tuple[int, int], ...]  # rendered, width and height
    layers: tuple[int, ...]  # rendered
    baked_frames: int  # different frames in a folder that is rendered
    rendered_frames: int  # in all


FULL = Plan(
    height=432,
    frames=100,
    iterations=(900, 1700, 0),
    turns_seconds=240,
    slice_seconds=5,
    whole_pretraining=True,
    steps=80,
    sizes=((768, 432), (1920, 1080)),
    layers=(1, 2, 3, 4),
    baked_frames=6,
    rendered_frames=48,
)
QUICK = Plan(
    height=144,
    frames=24,
    iterations=(100, 200, 350),
    turns_seconds=15,
    slice_seconds=3,
    whole_pretraining=False,
    steps=24,
    sizes=((768, 432),),
    layers=(1, 2),
    baked_frames=2,
    rendered_frames=24,
)


@dataclass(frozen=True)
class Subject:
    """The clip, as `nvd decompose` is told of it."""

    source: Path
    masks: list[str]  # NAME=PATH
    frames: tuple[int, int]
    height: int
    device: str
    about: str  # for people

    def words(self) -> list[str]:
        """Arguments of `nvd decompose`."""
        masks = [word for mask in self.masks for word in ("--mask", mask)]
        first, last = self.frames
        size = ["--frames", f"{first}-{last}", "--height", str(self.height)]
        size += ["--plate-height", str(self.height)]  # figures are of one size
        return [str(self.source), *masks, *size, "--device", self.device]

    def job(self) -> Job:
        """The same for the pipeline."""
        masks = [mask.partition("=")[::2] for mask in self.masks]
        return Job(
            source=str(self.source),
            masks=[[name, os.path.abspath(path)] for name, path in masks],
            frames=list(self.frames),
            height=self.height,
            plate_height=self.height,
            device=self.device,
        )


def choose_subject(
    clip: str | None, masks: list[str], height: int | None, device: str, plan: Plan
) -> Subject:
    """The clip given, else bear where it stands beside the repository, else the sample clip."""
    if clip is None:
        folder = next((bear for bear in BEARS if bear.is_dir()), SAMPLE)
        clip, masks = folder / "frames", [f"{folder.name}={folder / 'masks'}"]
    clip = Path(clip).absolute()
    whole = open_clip(clip).info
    height = height or min(plan.height, whole.height)
    last = min(whole.frames, plan.frames) - 1
    info = open_clip(clip, (0, last), height, plate_height=height).info
    name = clip.parent.name if clip.name == "frames" else clip.name
    about = f"{name}, {info.width}x{info.height}, {info.frames} frames"
    if info.frames < whole.frames:
        about += f" of {whole.frames}"
    return Subject(clip, masks, (0, last), info.height, device, about)


@dataclass(frozen=True)
class Decomposed:
    """One run of `nvd decompose` in a process of its own."""

    shot: Path
    finished: Finished

    @property
    def steps(self) -> int:
        """Training steps."""
        return self.finished.result["steps"]

    @property
    def trained_seconds(self) -> float:
        """From the start of the process to the trained model: the first sign of the next stage."""
        stages = [event for event in self.finished.events if event["event"] == "progress"]
        last = max(i for i, event in enumerate(stages) if event["stage"] == "training")
        return next((event["at"] for event in stages[last + 1 :]), self.finished.seconds)


@dataclass
class Bench:
    """The subject, the plan, and what has been made of them so far in `folder`."""

    subject: Subject
    plan: Plan
    folder: Path
    changes: dict  # of the preset fast's settings
    levels: tuple[float, ...] = (27.5, 29.5)  # dB
    runs: dict[int, Decomposed] = field(default_factory=dict)
    curves: dict[str, dict] = field(default_factory=dict)  # PSNR by training time, by preset

    def decomposed(self, iterations: int) -> Decomposed:
        """The clip decomposed with so many iterations, once."""
        if iterations not in self.runs:
            self.runs[iterations] = self._decompose(f"{iterations}", iterations, self.subject)
        return self.runs[iterations]

    def any_decomposed(self) -> Decomposed:
        """One that stands already, or the quickest."""
        return next(iter(self.runs.values()), None) or self.decomposed(
            min(self.plan.iterations, key=lambda count: count or 1 << 30)
        )

    def warm_up(self) -> None:
        """Compile the kernels that Numba keeps on disk, so that no run pays for it."""
        first, last = self.subject.frames
        few = Subject(**{**vars(self.subject), "frames": (first, min(first + 5, last))})
        shutil.rmtree(self._decompose("warm", 6, few).shot)

    def _decompose(self, name: str, iterations: int, subject: Subject) -> Decomposed:
        settings = self.folder / f"{name}.yaml"
        settings.write_text(yaml.safe_dump({**self.changes, "iterations": iterations}), "utf-8")
        shot = self.folder / f"{name}.nvd"
        words = ["--out", str(shot), "--settings", str(settings)]
        return Decomposed(shot, nvd("decompose", *subject.words(), *words))

    def settings(self, preset: str) -> Settings:
        """A preset as it is measured, without the checkpoints and previews in between."""
        settings = PRESETS[preset]()
        if preset == "fast":
            update_settings(settings, {**self.changes, "iterations": 0})
        settings.checkpoint_seconds = settings.preview_seconds = 1e9
        return settings

    def trainer(self, name: str, settings: Settings) -> Trainer:
        """A trainer at its first step, in a new folder of that name."""
        folder = self.folder / name
        folder.mkdir()
        # the arrays are only read, so the folders may share them
        shutil.copytree(self._prepared() / "work", folder / "work", copy_function=os.link)
        return make_trainer(folder, self.subject.job(), settings)

    def _prepared(self) -> Path:
        """A folder with the clip's frames and priors, where training would begin."""
        folder = self.folder / "prepared"
        if not folder.exists():
            with suppress(Cancelled):
                decompose(folder, self.subject.job(), self.settings("fast"), UntilTraining())
        return folder


class UntilTraining(Progress):
    """Stops where training would begin."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        if name == "training":
            self.cancel()
        super().stage(name, total, done)
