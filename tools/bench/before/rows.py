"""What is measured of both states: one function a row, and the clips and folders that they share.

A row does its work once with one state and says what that took. Folders that rows only read are
made by the earlier state, which the later one can open; what is rendered or evaluated of them is
judged by one meter, the later state's.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import yaml

from bench.before.trees import Ran, Tree, nvd, tool
from bench.parts.machine import ROOT
from bench.parts.measures import alike
from bench.parts.subject import SAMPLE
from nvd_core.media.images import read_image, write_image
from nvd_core.shot.shot import Shot

SCENE = ROOT / "samples" / "truth" / "turning"
TOOLS = ROOT / "tools" / "bench"
LONG = 12
"""frames of a movie from which on its start is left out of the time; else it would be all noise"""


@dataclass(frozen=True)
class Plan:
    """How large and how long what is measured is."""

    frames_folder: Path
    masks_folder: Path
    lines: int  # of the large clip
    frames: int  # of the large clip
    steps: int  # of its training; 0: as many as `nvd decompose` would take
    small_lines: int  # at which the clip is trained to a quality
    small_frames: int
    small_steps: int
    scene_steps: int
    baked: int  # frames of which baking is measured
    rendered: int  # frames of a movie
    settings: dict = field(default_factory=dict)  # changes to the preset fast
    threads: int = 1


@dataclass(frozen=True)
class Taken:
    """What one row took once; `value` is compared, in `unit`."""

    value: float
    unit: str
    clock: float | None = None  # the same by the clock, where `value` is the processor's
    quality: dict[str, float] = field(default_factory=dict)
    more_is_better: bool = False


@dataclass
class Bench:
    """The plan, and what has been made of it in `folder`."""

    plan: Plan
    before: Tree
    now: Tree
    folder: Path
    kept: dict[str, Path] = field(default_factory=dict)  # by state: the large clip, decomposed
    _made: int = 0

    def new(self, name: str) -> Path:
        """A path that is not there yet."""
        self._made += 1
        return self.folder / f"{self._made}-{name}"

    @cached_property
    def large(self) -> list[str]:
        """Arguments of `nvd decompose` of the large clip, which is made."""
        return self._scaled(self.plan.lines, self.plan.frames, "large")

    @cached_property
    def small(self) -> list[str]:
        """Of the clip at which a quality is to be reached."""
        words = self._scaled(None, self.plan.small_frames, "small")
        return [*words, "--height", str(self.plan.small_lines)]

    def _scaled(self, lines: int | None, frames: int, name: str) -> list[str]:
        folder = self.folder / name
        for kind, source in (
            ("frames", self.plan.frames_folder),
            ("masks", self.plan.masks_folder),
        ):
            (folder / kind).mkdir(parents=True)
            files = sorted(p for p in source.iterdir() if p.is_file())
            for index in range(frames):
                there_and_back = [*range(len(files)), *range(len(files) - 2, 0, -1)] or [0]
                path = files[there_and_back[index % len(there_and_back)]]
                image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                if lines and image.shape[0] != lines:
                    width = 2 * round(image.shape[1] * lines / image.shape[0] / 2)
                    how = cv2.INTER_LANCZOS4 if kind == "frames" else cv2.INTER_LINEAR
                    image = cv2.resize(image, (width, lines), interpolation=how)
                cv2.imwrite(str(folder / kind / f"{index:05d}.png"), image)
        return [str(folder / "frames"), "--mask", f"object={folder / 'masks'}"]

    def settings(self, steps: int) -> Path:
        """A file of settings with so many steps."""
        path = self.folder / f"steps-{steps}.yaml"
        changes = {**self.plan.settings, **({"iterations": steps} if steps else {})}
        path.write_text(yaml.safe_dump(changes), "utf-8")
        return path

    def decompose(self, tree: Tree, clip: list[str], steps: int, *more: str) -> tuple[Path, Ran]:
        """The folder, and what it took."""
        shot = self.new("shot.nvd")
        words = [*clip, "--out", shot, "--settings", self.settings(steps), "--device", "cpu", *more]
        return shot, nvd(tree, "decompose", *words, threads=self.plan.threads)

    def good(self, shot: Path, *more: object) -> dict[str, float]:
        """PSNR of a folder."""
        said = nvd(self.now, "evaluate", shot, *more).result
        return {
            "PSNR": said["psnr"],
            "without light": said["psnr_without_residual"],
            **({"edit": said["truth"]["edit_psnr"]} if "truth" in said else {}),
        }

    @cached_property
    def trained(self) -> Path:
        """The large clip, trained and not baked."""
        return self.decompose(self.before, self.large, self.plan.steps, "--until", "training")[0]

    @cached_property
    def painted(self) -> Path:
        """The large clip, finished and painted everywhere."""
        folder = self.new("painted.nvd")
        shutil.copytree(self.trained, folder, copy_function=os.link)
        nvd(self.before, "bake", folder)
        nvd(self.before, "bake", folder, "--finish")
        shot = Shot.open(folder)
        for name in shot.names:
            image = read_image(shot.texture_path(name))
            rows, columns = np.indices(image.shape[:2]) // 40
            checks = ((rows + columns) % 2)[..., None]
            image[..., :3] = np.where(checks, image[..., :3] // 2, image[..., :3])
            write_image(shot.edit_path(name), image)
        return folder

    @cached_property
    def reference(self) -> Path:
        """The movie of it that the earlier state makes, in its best quality."""
        return self.movie(self.before, "fine", self.plan.rendered)[0]

    def movie(self, tree: Tree, quality: str, frames: int) -> tuple[Path, Ran]:
        """A movie of so many of the painted folder's first frames."""
        out = self.new(f"{quality}.mp4")
        words = [self.painted, "--out", out, "--frames", f"0-{frames - 1}", "--quality", quality]
        return out, nvd(tree, "render", *words, threads=self.plan.threads)


def warm_up(bench: Bench, tree: Tree) -> None:
    """Have a state compile the kernels that Numba keeps on disk, so that no row pays for it."""
    clip = [str(SAMPLE / "frames"), "--mask", f"toy={SAMPLE / 'masks'}", "--frames", "0-5"]
    shot, _ = bench.decompose(tree, [*clip, "--height", "64"], 6)
    edit = next((shot / "edits").glob("*.png"))
    write_image(edit, 255 - read_image(edit))
    for quality in ("fine", "draft"):
        nvd(tree, "render", shot, "--out", shot / f"{quality}.mp4", "--quality", quality)
    shutil.rmtree(shot)


def baking(bench: Bench, tree: Tree) -> Taken:
    """A frame's maps, from the trained networks to packed bytes."""
    script = TOOLS / "measure_baking.py"
    words = [bench.trained, "--frames", bench.plan.baked, "--times", 2, "--json"]
    (found,) = (v for v in tool(tree, script, *words).result.values() if isinstance(v, dict))
    off = {
        f"{kind} off 99.9 %": max(of[kind]["p99.9"] for of in found["off"].values() if kind in of)
        for kind in ("place", "light")
    }
    return Taken(found["ms"]["frame"], "ms", None, off)


def decompose(bench: Bench, tree: Tree) -> Taken:
    """The large clip, whole."""
    shot, ran = bench.decompose(tree, bench.large, bench.plan.steps)
    if tree.name in bench.kept:
        shutil.rmtree(bench.kept[tree.name])
    bench.kept[tree.name] = shot
    return Taken(ran.cpu, "s", ran.seconds, bench.good(shot))


def until_trained(bench: Bench, tree: Tree) -> Taken:
    """The small clip, from the start of Python to the end of its training."""
    shot, ran = bench.decompose(tree, bench.small, bench.plan.small_steps)
    stages = [line for line in ran.lines if line["event"] == "progress"]
    last = max(i for i, line in enumerate(stages) if line["stage"] == "training")
    quality = bench.good(shot)
    shutil.rmtree(shot)
    return Taken(stages[last]["cpu"], "s", stages[last]["at"], quality)


def first_paintable(bench: Bench, tree: Tree) -> Taken:
    """The small clip, until its draft can be painted on."""
    shot, ran = bench.decompose(tree, bench.small, 0, "--draft")
    quality = bench.good(shot)
    shutil.rmtree(shot)
    return Taken(ran.cpu, "s", ran.seconds, quality)


def edit(bench: Bench, tree: Tree) -> Taken:
    """A scene whose truth is known: does paint stay where it was put?"""
    names = sorted(path.name for path in (SCENE / "masks").iterdir())
    masks = [word for name in names for word in ("--mask", f"{name}={SCENE / 'masks' / name}")]
    clip = [str(SCENE / "frames"), *masks]
    shot, ran = bench.decompose(tree, clip, bench.plan.scene_steps)
    quality = bench.good(shot, "--truth", SCENE)
    shutil.rmtree(shot)
    return Taken(ran.cpu, "s", ran.seconds, quality)


def render_fine(bench: Bench, tree: Tree) -> Taken:
    """A frame of `nvd render` into H.264, all layers painted everywhere."""
    return _rendered(bench, tree, "fine")


def render_draft(bench: Bench, tree: Tree) -> Taken:
    """The same with `--quality draft`."""
    return _rendered(bench, tree, "draft")


def _rendered(bench: Bench, tree: Tree, quality: str) -> Taken:
    reference = bench.reference
    out, ran = bench.movie(tree, quality, bench.plan.rendered)
    cpu, clock, count = ran.cpu, ran.seconds, bench.plan.rendered
    if count >= LONG:  # the difference leaves out what comes but once
        _, short = bench.movie(tree, quality, 2)
        cpu, clock, count = cpu - short.cpu, clock - short.seconds, count - 2
    near = {"PSNR to the fine one before": alike(reference, out)}
    return Taken(1000 * cpu / count, "ms", 1000 * clock / count, near)


def disk(bench: Bench, tree: Tree) -> Taken:
    """Maps of a frame: what the engine reads, and beside it the EXR for compositors."""
    if tree.name not in bench.kept:
        decompose(bench, tree)
    shot = Shot.open(bench.kept[tree.name])
    sizes = {
        kind: sum(p.stat().st_size for p in (shot.folder / "maps").glob(kind)) / shot.frames / 1e6
        for kind in ("*.nodes", "*.exr")
    }
    return Taken(sizes["*.nodes"], "MB", None, {"EXR, MB": sizes["*.exr"]})


def workers_bake(bench: Bench, tree: Tree) -> Taken:
    """Two processes that bake half of the frames each, against one that bakes all."""
    return _workers(bench, tree, "bake", "--trained", bench.trained)


def workers_render(bench: Bench, tree: Tree) -> Taken:
    """The same with `nvd render` into images."""
    return _workers(bench, tree, "render", "--painted", bench.painted)


def _workers(bench: Bench, tree: Tree, name: str, *words: object) -> Taken:
    script = TOOLS / "measure_workers.py"
    found = tool(tree, script, *words, "--turns", 1, "--json").result[name]
    quality = {"by the clock": found["by the clock"], "start, s": found["start"]["cpu s"]}
    return Taken(found["by the processor"], "x", None, quality, more_is_better=True)


ROWS: dict[str, Callable[[Bench, Tree], Taken]] = {
    "baking": baking,
    "decompose": decompose,
    "until-trained": until_trained,
    "first-paintable": first_paintable,
    "edit": edit,
    "render-fine": render_fine,
    "render-draft": render_draft,
    "disk": disk,
    "workers-bake": workers_bake,
    "workers-render": workers_render,
}
