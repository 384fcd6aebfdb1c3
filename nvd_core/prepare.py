"""What a training needs of a clip: frames, flow, masks, parts and motion, stage by stage."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nvd_core.at_once import draft_settings
from nvd_core.job import Job, wanted_class
from nvd_core.job_clip import clip_of
from nvd_core.media.clip import Clip
from nvd_core.media.clip_import import OVERSCAN, import_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.conversion import known_in
from nvd_core.media.images import write_image
from nvd_core.media.resizing import resized
from nvd_core.priors.cautions import about_doubted, about_lost, find_cautions
from nvd_core.priors.cut_cautions import about_cuts
from nvd_core.priors.cuts import find_cuts
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.found_objects import find_objects, found_names, no_masks
from nvd_core.priors.found_parts import (
    about_missed,
    about_parts,
    about_windows,
    parts_wanted,
    search_parts,
)
from nvd_core.priors.garbage import write_garbage
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.mapping_start import StartParts
from nvd_core.priors.mask_margin import doubt_edges
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.mask_rcnn import Detector, detect_masks, load_detector
from nvd_core.priors.masks import (
    MaskSource,
    frames_of,
    load_mask,
    load_masks,
    write_masks,
)
from nvd_core.priors.moving_groups import MOST as MOST_OBJECTS
from nvd_core.priors.part_explained import explain_parts
from nvd_core.priors.part_masks import load_parts, part_names, write_parts
from nvd_core.priors.righted_flow import about_righted
from nvd_core.priors.views import about_views, wanted_views
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import make_durable
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import release, streamed
from nvd_core.runtime.parts import check_parts, split_name
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings
from nvd_core.trained import (
    BACKGROUND,
    FOUND_OBJECT,
    object_names,
)
from nvd_core.work import (
    FRAMES,
    MASK_WEIGHT,
    MASKS,
    PART_MOTION,
    motion_facts,
    open_array,
    work_folder,
)

DECOMPOSE = "nvd decompose"
NOTHING_MOVES = (
    "nothing moves against the background, so it is decomposed alone; for an object draw it white "
    "on black on one frame, and decompose the clip again with --mask NAME=FILE"
)


class Stages:
    """Runs the stages that are not done, notes them in job.json, and takes their times."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.job = folder, job
        self.seconds: dict[str, float] = {}

    def run(self, name: str, task: Callable[[], object], *written: str) -> None:
        """Do a stage that is not done; `written` are the folders that it writes into."""
        if name in self.job.done:
            return
        begun = time.monotonic()
        task()
        make_durable(*(self.folder / part for part in written))  # before job.json speaks for them
        self.job.done.append(name)
        self.job.save(self.folder)
        self.seconds[name] = round(time.monotonic() - begun, 1)


def prepare(stages: Stages, settings: Settings, progress: Progress) -> tuple[ClipInfo, list[str]]:
    """Frames and priors into work/; returns what is known of the clip, and cautions about it."""
    folder, job = stages.folder, stages.job
    work = work_folder(folder)
    longest = draft_settings(settings).flow_longest if job.at_once else settings.flow_longest
    flow = settings.flow_method, settings.flow_path, job.device, longest
    if "frames" in job.done and job.clip:
        info = ClipInfo.from_json(job.clip | {"source": job.source})  # which is not read any more
    else:
        space = None
        if job.input_space and job.clip:  # the folder has its conversion since it was begun
            space = ClipInfo.from_json(job.clip | {"source": job.source}).picture.space
        if space:
            known_in(folder, space.digest)
        clip = clip_of(job, space)
        info, job.clip = clip.info, clip.info.to_json()
        written = ("frames", OVERSCAN, "work")
        stages.run("frames", lambda: _frames(clip, job, settings, folder, progress), *written)
    aspect = float(info.picture.aspect)
    stages.run("flow", lambda: compute_flow(work, progress, *flow), "work")
    stages.run("masks", lambda: _masks(job, settings, info, folder, progress), "work", "masks")
    stages.run("motion", lambda: _motion(job, settings, work, aspect, progress), "work")
    return info, cautions_of(info, job, work)


def _motion(
    job: Job, settings: Settings, work: Path, aspect: float, progress: Progress
) -> np.ndarray:
    names = object_names(job)
    wanted = wanted_views(settings, names, BACKGROUND)
    parts = (
        [max(len(of_layer) - 1, 0) for of_layer in names_of_parts(job)] if _all_parts(job) else []
    )
    of_each = [wanted[name] for name in (*names, BACKGROUND)]
    if parts:  # a layer with parts has one view
        of_each = [1 if count else views for count, views in zip(parts, of_each, strict=True)]
    doubted = _doubted(job)
    source = settings.flow_method
    motions = estimate_global_motion(work, progress, aspect, of_each, parts, doubted, source)
    if parts and not job.goes_on:
        starts = StartParts(names_of_parts(job), None, np.array(open_array(work, PART_MOTION)))
        for n in (n for n, count in enumerate(parts[:-1]) if count):
            explain_parts(work, n, _rows(job, names[n]), starts.of_layer(n, motions[n]), progress)
    for name, fact in zip(names, motion_facts(work), strict=False):
        if fact["evidence"] and fact["windows"]:
            progress.message(about_views(name, fact["evidence"], fact["windows"]))
        if fact["righted"]:
            progress.message(about_righted(name, fact["righted"], motions.shape[1] - 1))
    return motions


def names_of_parts(job: Job) -> list[list[str]]:
    """By layer the names of its parts, the rest first; empty for a layer without."""
    return part_names(_all_parts(job), [*object_names(job), BACKGROUND])


def _rows(job: Job, layer: str) -> list[int]:
    """Where the parts of a layer stand among all parts."""
    return [row for row, (name, _) in enumerate(_all_parts(job)) if split_name(name)[0] == layer]


def _doubted(job: Job) -> dict[tuple[int, int], list[int]]:
    """By layer and number the frames in which a part is in doubt."""
    layers = [*object_names(job), BACKGROUND]
    names = [[f"{layer}.{part}" for part in of_layer] for layer, of_layer in
             zip(layers, names_of_parts(job), strict=True)]  # fmt: skip
    return {
        (n, number): job.needs_eye[name]
        for n, of_layer in enumerate(names[:-1])
        for number, name in enumerate(of_layer)
        if number and name in job.needs_eye
    }


def _all_parts(job: Job) -> list[list[str]]:
    """Name and source of every part that is given, and the names of those that were found."""
    return [*job.parts, *([name, ""] for name in job.found_parts)]


def check_wanted_parts(job: Job, settings: Settings) -> None:
    """NvdError where parts are asked for of a layer that cannot have them."""
    check_parts(job.parts, [*(name for name, _ in job.masks), BACKGROUND])
    by_name = settings.find_parts if isinstance(settings.find_parts, dict) else {}
    named = [name for name, on in by_name.items() if on]
    objects = [name for name, _ in job.masks]
    objects = objects or [FOUND_OBJECT, *found_names(MOST_OBJECTS)]  # more is not known yet
    if unknown := sorted(set(named) - set(objects)):
        raise NvdError(
            "parts are to be found of an object that there is not",
            expected=" or ".join(objects),
            found=", ".join(unknown)[:80],
            remedy="name an object as --mask does",
        )
    if named and job.background_alone:
        raise NvdError(
            "parts are to be found of an object, and the background is decomposed alone",
            found=", ".join(named)[:80],
            remedy="leave out --find-parts-of, or give the object's mask",
        )
    if both := sorted(set(named) & {split_name(name)[0] for name, _ in job.parts}):
        raise NvdError(
            f"{both[0]} has parts that are given, and others are to be found in it",
            expected="one of them for each object",
            remedy=f"leave out --find-parts-of {both[0]}, or the --part of {both[0]}",
        )
    if not (job.parts or named or settings.find_parts is True):
        return
    if settings.mapping.start != "motion":
        raise NvdError(
            "parts need mappings that start at the motion",
            expected="mapping.start motion",
            found=f"mapping.start {settings.mapping.start}",
            remedy="leave out the parts, or the setting",
        )
    wanted = wanted_views(settings, objects, BACKGROUND)
    for layer in sorted({split_name(name)[0] for name, _ in job.parts} | set(named)):
        if (wanted[layer] or 1) > 1:
            raise NvdError(
                f"{layer} is to have parts and windows in time",
                expected="one of them for each layer",
                remedy=f"leave out --windows of {layer}, or its parts",
            )


def check_windows(job: Job, settings: Settings) -> None:
    """NvdError where windows in time are asked for an object that there cannot be."""
    names = [name for name, _ in job.masks]
    names = names or [FOUND_OBJECT, *found_names(MOST_OBJECTS)]  # more is not known yet
    windows = wanted_views(settings, names, BACKGROUND)
    if unknown := set(windows) - {*names, BACKGROUND}:
        raise NvdError(
            "windows are asked for a layer that there is not",
            expected=" or ".join((*names, BACKGROUND)),
            found=", ".join(sorted(unknown))[:80],
            remedy="name an object as --mask does",
        )
    if any(count != 1 for count in windows.values()) and settings.mapping.start != "motion":
        raise NvdError(
            "windows in time need mappings that start at the motion",
            expected="mapping.start motion",
            found=f"mapping.start {settings.mapping.start}",
            remedy="leave out one of the two settings",
        )


def _frames(clip: Clip, job: Job, settings: Settings, folder: Path, progress: Progress) -> None:
    """Import the clip, and look through it for cuts; what is to be said of them is kept."""
    import_clip(clip, folder, progress)
    frames = open_array(work_folder(folder), FRAMES)
    progress.stage("cuts", len(frames))
    cuts = find_cuts(streamed(frames), progress.update)
    job.said = job.said + about_cuts(cuts, job, settings, clip.info, folder)


def detector_of(job: Job, settings: Settings) -> Detector | None:
    """What finds the masks that are given by a class; None where none is."""
    classes = [wanted for _, source in job.masks if (wanted := wanted_class(source))]
    return load_detector(settings.maskrcnn_weights, classes, job.device) if classes else None


def _found(job: Job, work: Path, folder: Path, progress: Progress) -> None:
    """Masks of what moves by itself, where none are given."""
    if job.background_alone:
        no_masks(work)
        job.found = []
        return
    found = find_objects(work, progress)
    job.found = [FOUND_OBJECT] if len(found) == 1 else found_names(len(found))
    named = list(zip(job.found, found, strict=True))
    job.said = job.said + [f"{name} {text}" for name, one in named for text in one.cautions]
    job.needs_eye = {name: one.lost for name, one in named if one.lost}
    if not found:
        job.said = [*job.said, NOTHING_MOVES]
    masks = open_array(work, MASKS)
    for n, name in enumerate(job.found):
        for t in range(masks.shape[1]):
            mask = np.array(masks[n, t])[..., None]
            write_image(inside(folder, f"masks/{name}/{t:05d}.png"), mask)
            release(masks)


def _masks(job: Job, settings: Settings, info: ClipInfo, folder: Path, progress: Progress) -> None:
    """Fill work/masks.npy; keep the masks as they were given in masks/<name>/.

    The garbage matte comes first: where there is one, no motion is seen.
    """
    work = work_folder(folder)
    job.said = job.said + write_garbage(job.garbage, info, folder, progress)
    if not job.masks:
        _found(job, work, folder, progress)
        _parts(job, settings, info, folder, progress)
        return
    sources = load_masks([(name, path) for name, path in job.masks], info, job.mask_frames)
    size = info.looked_at
    write_masks(sources, folder, info.frames, size.height, size.width, progress)
    detector = detector_of(job, settings)
    if detector:
        wanted = {n: wanted_class(s) for n, (_, s) in enumerate(job.masks) if sources[n] is None}
        detect_masks(work, wanted, detector, progress)
    keys = {n: source.given for n, source in enumerate(sources) if source and source.partial}
    if keys:
        lost = propagate_masks(work, keys, progress)
        job.needs_eye = {job.masks[n][0]: frames for n, frames in lost.items() if frames}
        job.said = job.said + about_lost(job.needs_eye)
    masks = open_array(work, MASKS)
    weights = open_array(work, MASK_WEIGHT)
    for n, (name, _) in enumerate(job.masks):
        detected = [] if sources[n] else [t for t in range(info.frames) if weights[n, t].any()]
        for t in detected or frames_of(sources[n], info.frames):
            if detected or info.analysis is None:
                mask = resized(np.array(masks[n, t]), info.width, info.height)
            else:
                mask = sources[n].read_both(t)[1]
            write_image(inside(folder, f"masks/{name}/{t:05d}.png"), mask[..., None])
            release(masks, weights)
    _parts(job, settings, info, folder, progress)
    if settings.mask_margin > 0:
        doubt_edges(work, settings.mask_margin, float(info.picture.aspect))


def _parts(job: Job, settings: Settings, info: ClipInfo, folder: Path, progress: Progress) -> None:
    """Fill work/parts.npy, where a layer has parts."""
    found = []
    there = object_names(job)
    wanted = parts_wanted(settings, there)
    by_name = settings.find_parts if isinstance(settings.find_parts, dict) else {}
    missed = sorted(name for name, on in by_name.items() if on and name not in there)
    job.said = job.said + [about_missed(name, there) for name in missed]
    if wanted and not job.goes_on:  # then the networks know their parts
        found = _find_parts(job, settings, info, folder, progress)
    parts = _all_parts(job)
    if not parts:
        return
    own = load_parts(job.parts, info, job.part_frames) + found
    layers = [*object_names(job), BACKGROUND]
    lost = write_parts(own, parts, layers, folder, progress)
    job.needs_eye = job.needs_eye | lost
    job.said = job.said + about_doubted(lost)


def _find_parts(
    job: Job, settings: Settings, info: ClipInfo, folder: Path, progress: Progress
) -> list[MaskSource]:
    """Look for parts of the objects that have none; what is found, and what is said of it, goes
    into `job`, and the masks into masks/.
    """
    names, size = object_names(job), info.looked_at
    wanted = wanted_views(settings, names, BACKGROUND)
    taken = {split_name(name)[0] for name, _ in job.parts}
    asked = [name for name in parts_wanted(settings, names) if name not in taken]
    in_windows = [name for name in asked if wanted[name] not in (None, 1)]
    job.said = job.said + [about_windows(name) for name in in_windows]
    alone = [names.index(name) for name in asked if name not in in_windows]
    sources, job.found_parts = [], []
    searched = search_parts(work_folder(folder), alone, progress) if alone else {}
    for n, found in searched.items():
        said = about_parts(names[n], found)
        progress.message(said)
        job.said = [*job.said, said]
        if not found:
            continue
        for part, mask in found.named():
            name = f"{names[n]}.{part}"
            job.found_parts.append(name)
            path = inside(folder, f"masks/{name}/{found.frame:05d}.png")
            write_image(path, resized(mask, size.width, size.height)[..., None])
            sources.append(load_mask(name, path, info, found.frame))
    return sources


def cautions_of(info: ClipInfo, job: Job, work: Path) -> list[str]:
    """What has to be said of the clip, of what was asked, and of the priors."""
    return [*info.cautions, *job.said, *find_cautions(work, motion_facts(work))]
