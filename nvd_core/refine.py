"""A decomposition made better without starting over: the command `nvd refine`.

It goes on from the networks of a finished folder, with a corrected mask or simply for longer, and
writes a folder of its own, so that the old one stays as it was. Paint and values are carried over.
"""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from nvd_core.begun import SETTINGS
from nvd_core.editing.edits import display_colours
from nvd_core.editing.render import render_frames
from nvd_core.editing.shared_frames import shared_frames
from nvd_core.job import Device, Job
from nvd_core.media.images import to_integers, write_image
from nvd_core.origin import check_origin
from nvd_core.pipeline import decompose
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.runtime.parts import check_parts, split_name
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, load_settings
from nvd_core.shot.shot import Shot
from nvd_core.training.trainer import automatic_steps

SHOWN = 3
"""frames in the picture of what changed"""
AMPLIFIED = 4
PICTURE = "report/refined.png"


def refine(
    folder: Path,
    out: Path | None = None,
    *,
    masks: dict[str, str] | None = None,
    parts: dict[str, str] | None = None,
    steps: int | None = None,
    frames: tuple[int, int] | None = None,
    device: Device = "auto",
    yes: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Decompose the clip of `folder` again, from its networks on, into `out`; facts about it.

    `masks` replaces some of its objects' masks, as `nvd decompose --mask` reads them; where the
    object was found by its motion, it is given one. `steps` are trained, by itself half as many as
    the clip had. With other `frames` the networks know nothing of time, and training begins anew.
    `parts`, by layer.part, replaces masks of parts or adds some, behind those that there are: the
    layer moves otherwise then, and training begins anew as well.
    `out`: by itself the next version beside `folder`, shot.nvd, shot_v2.nvd. `PICTURE` in it shows
    frames before and after. NvdError where the folder is not finished, or its source has gone;
    Unconfirmed where it is somebody else's and names files outside itself, unless `yes`.
    """
    progress = progress or Progress()
    folder = Path(folder)
    old = Shot.open(folder)
    known, settings = Job.load(folder), load_settings(inside(folder, SETTINGS))
    if not yes:
        check_origin(folder, replace(known, done=[]), settings, "nvd refine --yes")
    job = refined(old, known, settings, masks or {}, steps, frames, parts or {})
    job.device = device
    out = next_version(folder) if out is None else Path(out)
    facts = decompose(out, job, settings, progress)
    if not facts.get("finished_before"):
        write_change(old, Shot.open(out), inside(out, PICTURE))
    return facts


def refined(
    old: Shot,
    known: Job,
    settings: Settings,
    masks: dict[str, str],
    steps: int | None,
    frames: tuple[int, int] | None,
    parts: dict[str, str] | None = None,
) -> Job:
    """The job by which `refine` decomposes what `known` made; its `settings` are set for that."""
    named = _masks(known, old, masks)
    if parts:
        given = _parts(old, dict(named), {name: source for name, source in known.parts} | parts)
        known = replace(known, parts=given, part_frames=None)
    job = replace(
        known,
        done=[],
        clip=None,
        mask_frames=None,
        found=None,
        found_parts=[],
        needs_eye={},
        said=[],
        id=None,
        at_once=False,
        masks=[list(mask) for mask in named],
        frames=list(frames) if frames else known.frames,
        refines=str(old.folder.absolute()),
        goes_on=(not frames or list(frames) == known.frames) and not parts,
    )
    if not job.goes_on:
        settings.iterations = steps or settings.iterations
        return job
    size = old.manifest.clip.looked_at
    pixels = old.frames * size.height * size.width
    whole = automatic_steps(pixels) * settings.steps_factor
    before = settings.iterations or round(whole)
    steps = steps or max(before // 2, 1)
    settings.iterations = 2 * steps  # begins in their middle: pipeline.start_step
    if masks:  # a corrected mask is enforced in the first half of what is trained
        settings.bootstrap_share = 0.75
    return job


def _masks(known: Job, old: Shot, masks: dict[str, str]) -> list[tuple[str, str]]:
    """Name and source of every object, front to back."""
    objects = old.names[:-1]
    for name in masks:
        if name not in objects:
            raise NvdError(
                f"{old.folder} has no object {name}",
                expected=f"one of {', '.join(objects)}",
                found=name,
                remedy="another object needs networks of its own: decompose the clip again",
            )
    given = {name: source for name, source in known.masks}
    if not given and masks and len(objects) > 1:  # the others keep what was found of them
        given = {name: str(inside(old.folder, f"masks/{name}").absolute()) for name in objects}
    return list((given | masks).items())


def _parts(old: Shot, masks: dict[str, str], parts: dict[str, str]) -> list[list[str]]:
    """Name and source of every part, front to back; NvdError where one has no layer, or one that
    may be called otherwise when it is found again.
    """
    given = [[name, source] for name, source in parts.items()]
    check_parts(given, old.names)
    for layer, _ in (split_name(name) for name in parts):
        if layer not in (*masks, old.names[-1]):
            raise NvdError(
                f"{layer} was found by its motion: it has parts only with a mask of its own",
                remedy=f"give that too, as --mask {layer}=MASK",
            )
    return given


def next_version(folder: Path) -> Path:
    """The name of the next version that is free: shot.nvd, shot_v2.nvd, shot_v3.nvd."""
    stem, number = folder.stem, 1
    if match := re.fullmatch(r"(.+)_v(\d{1,6})", stem):
        stem, number = match[1], int(match[2])
    while True:
        number += 1
        path = folder.absolute().with_name(f"{stem}_v{number}{folder.suffix}")
        if not path.exists():
            return path


def write_change(old: Shot, new: Shot, path: Path) -> None:
    """Frames as they were painted, as they are now, and the difference, four times as strong."""
    shared = shared_frames(old, new)
    rows = []
    for number in np.linspace(0, len(shared) - 1, min(SHOWN, len(shared))).round().astype(int):
        pictures = [_shown(shot, t) for shot, t in zip((old, new), shared[number], strict=True)]
        if pictures[0].shape != pictures[1].shape:
            return
        apart = np.abs(pictures[1] - pictures[0]) * AMPLIFIED
        rows.append(np.hstack([*pictures, apart.clip(0, 1)]))
    write_image(path, to_integers(np.vstack(rows).clip(0, 1), np.dtype(np.uint8)))


def _shown(shot: Shot, frame: int) -> np.ndarray:
    """The frame with its paint, display-encoded [H, W, 3]."""
    with closing(render_frames(shot, frames=(frame, frame))) as frames:
        return display_colours(next(frames))[0]
