"""From a clip to a decomposition folder: the stages of `nvd decompose`, in order.

Every stage reads what the stage before wrote and is repeated whole if it was interrupted; the
training alone goes on from its last checkpoint. `job.json` says which stages are done.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nvd_core.at_once import as_first, draft_settings, refine_on
from nvd_core.baking.bake import Baking, bake
from nvd_core.baking.chunks import finish_chunks, shared_layout
from nvd_core.begun import (
    SETTINGS,
    check_free,
    check_same,
    is_begun,
    is_finished,
    is_paintable,
    is_refining,
)
from nvd_core.editing.carry import carry_into
from nvd_core.fields.model import ClipShape, LayeredVideo
from nvd_core.fields.saved_model import copy_architecture, load_model, save_architecture
from nvd_core.job import Device, Job, wanted_class
from nvd_core.job_clip import clip_of
from nvd_core.media.clip import Clip
from nvd_core.media.clip_import import OVERSCAN, import_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.conversion import Conversion, known_in
from nvd_core.media.images import write_image
from nvd_core.media.input_space import Found as NamedSpace
from nvd_core.media.input_space import input_space, says_nothing_new, space_of_file_rules
from nvd_core.media.resizing import resized
from nvd_core.origin import check_origin, note_begun
from nvd_core.priors.cautions import about_doubted, about_lost, find_cautions
from nvd_core.priors.cut_cautions import about_cuts
from nvd_core.priors.cuts import find_cuts
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.found_objects import find_objects, found_names, no_masks
from nvd_core.priors.found_parts import about_parts, search_parts
from nvd_core.priors.garbage import load_garbage, write_garbage
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.mapping_start import StartParts, layer_starts
from nvd_core.priors.mask_margin import doubt_edges
from nvd_core.priors.mask_propagation import propagate_masks
from nvd_core.priors.mask_rcnn import Detector, detect_masks, load_detector
from nvd_core.priors.masks import (
    MaskSource,
    frames_of,
    load_mask,
    load_masks,
    single_frames,
    write_masks,
)
from nvd_core.priors.moving_groups import MOST as MOST_OBJECTS
from nvd_core.priors.part_explained import explain_parts
from nvd_core.priors.part_masks import load_parts, part_names, write_parts
from nvd_core.priors.views import about_views, wanted_views
from nvd_core.result import baking_of, manifest_of
from nvd_core.runtime.devices import choose_device, wants_bfloat16
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, make_durable
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.inside import check_links, inside
from nvd_core.runtime.mapped_arrays import release, streamed
from nvd_core.runtime.parts import check_parts, split_name
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, check_settings, load_settings, save_settings
from nvd_core.shot.manifest import LayerRecord, read_manifest, write_manifest
from nvd_core.shot.map_forms import write_exrs
from nvd_core.shot.shot import Shot
from nvd_core.trained import (
    BACKGROUND,
    FOUND_OBJECT,
    check_size,
    object_names,
    trained,
    unfinished,
)
from nvd_core.training.checkpoint import copy_checkpoint
from nvd_core.training.trainer import Trainer
from nvd_core.work import (
    FRAMES,
    MASK_WEIGHT,
    MASKS,
    MOTION,
    PART_MOTION,
    ClipData,
    motion_facts,
    open_array,
    open_parts,
    remove_work,
    work_folder,
)

DECOMPOSE = "nvd decompose"
NOTHING_MOVES = (
    "nothing moves against the background, so it is decomposed alone; for an object draw it white "
    "on black on one frame, and decompose the clip again with --mask NAME=FILE"
)


def decompose(
    folder: Path, job: Job, settings: Settings, progress: Progress, *, until: str | None = None
) -> dict:
    """Decompose `job.source` into the folder `folder`; returns facts about the result.

    The same job may be given again: finished, it is left as it is; unfinished, it goes on. NvdError
    where the folder holds anything else or another process writes there, or an input is bad (then
    nothing is written). Cancelled: `resume` goes on. `until` "training": it stops before baking,
    which `nvd bake` does then, by several machines; or the same call without it.
    """
    folder = Path(folder)
    check_settings(settings)
    if is_begun(folder):
        check_links(folder)
    if is_finished(folder):
        check_same(folder, job, settings)
        if work_folder(folder).exists():
            return _after_manifest(folder, DECOMPOSE, progress)
        return _finished(folder, progress)
    if is_begun(folder):
        with writing(folder, DECOMPOSE, progress):
            facts = _go_on(folder, job, settings, progress, until)
        return _refined(folder, facts, progress, job.device)
    check_free(folder)
    _check_windows(job, settings)
    _check_parts(job, settings)
    if job.at_once and until:
        raise NvdError("a draft is not baked by parts", remedy="leave out --at-once or --until")
    named = None
    if job.input_space and job.ocio:
        named = input_space(job.ocio, job.input_space, job.hdr_white)
    clip = clip_of(job, named and named.space)
    if named and _is_its_own(clip.info, named.conversion):
        clip.info = replace(clip.info, picture=replace(clip.info.picture, space=None))
    for note in clip.notes:
        progress.message(note)
    masks = load_masks([tuple(mask) for mask in job.masks], clip.info)
    parts = load_parts(job.parts, clip.info)
    garbage = load_garbage(job.garbage, clip.info, [name for name, _ in job.masks])
    _detector(job, settings)
    wants_bfloat16(settings.mixed_precision, choose_device(job.device))
    if settings.flow_method != "dis" and not Path(settings.flow_path).exists():
        raise NvdError(
            f"there is no {settings.flow_path} to take flow from",
            expected="what the setting flow_path names",
            remedy="correct flow_path, or leave out flow_path and flow_method",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with writing(folder, DECOMPOSE, progress):
        if is_begun(folder):  # by another process, while the inputs were looked at
            facts = _go_on(folder, job, settings, progress, until)
        else:
            check_free(folder)
            _begin(folder, job, settings, clip, masks, parts, garbage, named)
            facts = _run(folder, job, settings, progress, until)
    return _refined(folder, facts, progress, job.device)


def _begin(
    folder: Path,
    job: Job,
    settings: Settings,
    clip: Clip,
    masks: list,
    parts: list[MaskSource],
    garbage: MaskSource | None,
    named: NamedSpace | None,
) -> None:
    """Note in the folder what is asked for."""
    job.clip, job.mask_frames = clip.info.to_json(), single_frames(masks)
    job.part_frames = [part.frame for part in parts]
    job.said = [said for mask in (*masks, *parts, garbage) if mask for said in mask.cautions]
    job.said += named.cautions if named else _about_file_rules(job, clip)
    if named and clip.info.picture.space:
        named.conversion.save(folder)
    note_begun(folder, job, settings)
    save_settings(settings, inside(folder, SETTINGS))
    if job.goes_on:
        networks = Shot.open(job.refines).networks
        copy_architecture(networks, folder)
        start = networks / "checkpoint.safetensors"
        copy_checkpoint(start, inside(folder, "checkpoint.safetensors"), start_step(settings))
    job.save(folder)  # last: from here on the folder can be resumed


def _refined(folder: Path, facts: dict, progress: Progress, device: Device | None = None) -> dict:
    """Go on from a draft, where that is asked for; the folder's lock is not held."""
    return facts | refine_on(folder, progress, device) if is_refining(folder) else facts


def resume(folder: Path, progress: Progress, *, yes: bool = False) -> dict:
    """Go on with an interrupted decomposition; NvdError where there is none or it is complete.

    Unconfirmed where it would have to read files outside the folder that this user has not named,
    as a stranger's folder may; `yes` reads them.
    """
    folder = Path(folder)
    if is_finished(folder) and work_folder(folder).exists():
        return _after_manifest(folder, "nvd resume", progress)
    _check_unfinished(folder)
    unfinished(folder, yes)
    with writing(folder, "nvd resume", progress):
        _check_unfinished(folder)  # another process may have finished it
        job, settings = unfinished(folder, yes)
        if yes:
            note_begun(folder, job, settings)
        facts = _run(folder, job, settings, progress)
    return _refined(folder, facts, progress)


def _after_manifest(folder: Path, command: str, progress: Progress) -> dict:
    """What was left to do where a process was killed between the manifest and the end."""
    check_links(folder)
    with writing(folder, command, progress):
        if load_settings(inside(folder, SETTINGS)).maps == "both":
            write_exrs(Shot.open(folder), progress)
        remove_work(folder)
    return _finished(folder, progress)


def _check_unfinished(folder: Path) -> None:
    if is_finished(folder):
        raise NvdError(
            f"{folder} is complete: there is nothing to resume",
            remedy="use `nvd render` or `nvd evaluate` on it",
        )


def _go_on(
    folder: Path, job: Job, settings: Settings, progress: Progress, until: str | None
) -> dict:
    """What `decompose` does in a folder where it was begun: the rest, on the device asked for."""
    known = check_same(folder, job, settings)
    if is_finished(folder):
        return _finished(folder, progress)
    progress.message(f"going on with the unfinished decomposition of the same job in {folder}")
    known.device = job.device
    settings = load_settings(inside(folder, SETTINGS))  # what was begun stays what it was
    note_begun(folder, known, settings)  # this user has just named all that it reads
    return _run(folder, known, settings, progress, until)


def _finished(folder: Path, progress: Progress) -> dict:
    """The facts of a decomposition that is done."""
    manifest = read_manifest(folder)
    progress.message(f"{folder} is finished already, by the same job: nothing to do")
    return {
        "folder": str(folder),
        "layers": manifest.names,
        "seconds": 0.0,
        "cautions": manifest.cautions,
        "finished_before": True,
    }


def _is_its_own(info: ClipInfo, conversion: Conversion) -> bool:
    """Whether the space that was named is what the clip is taken for without it."""
    return says_nothing_new(conversion, info.picture, info.encoding == "linear")


def _about_file_rules(job: Job, clip: Clip) -> list[str]:
    """What the configuration that OCIO names would have said, as other programs go by it.

    It is only said: a render on another machine must not depend on a variable there.
    """
    config = os.environ.get("OCIO")
    try:
        name = space_of_file_rules(config, clip.first_file) if config else None
        if not name or _is_its_own(clip.info, input_space(config, name).conversion):
            return []
    except NvdError:
        return []
    return [
        f"by the file rules of {config} (OCIO) the clip is {name}, and it is not taken for that: "
        f'--input-space "{name}" does'
    ]


class _Stages:
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


def _run(
    folder: Path, job: Job, settings: Settings, progress: Progress, until: str | None = None
) -> dict:
    """All stages, those that are done left out; returns facts about the result.

    Of a job that is painted on at once, only as far as the draft: `_refined` does the rest.
    """
    if job.at_once and is_paintable(folder):
        return {"folder": str(folder), "layers": read_manifest(folder).names}
    facts = _run_stages(folder, job, settings, progress, until)
    if until or job.at_once:
        return facts
    # Out here nothing holds its arrays any more: Windows removes no file that is mapped
    remove_work(folder)
    return facts


def _run_stages(
    folder: Path, job: Job, settings: Settings, progress: Progress, until: str | None
) -> dict:
    started = time.monotonic()
    stages = _Stages(folder, job)
    info, cautions = _prepare(stages, settings, progress)
    for caution in cautions:
        progress.caution(caution)
    used = draft_settings(settings) if job.at_once else settings
    trainer = make_trainer(folder, job, used)
    check_size(folder, info, trainer.data.shape)
    stages.run("training", lambda: trainer.run(progress))
    trainer.restore()
    facts = {
        "folder": str(folder),
        "layers": trainer.model.names,
        "steps": trainer.steps,
        "seconds_by_stage": stages.seconds,
        "cautions": cautions,
    }
    if why := trainer.progression.why:
        facts["stopped_early"] = why
    data = trainer.data
    baking = baking_of(folder, info, used, trainer.model, data.frames, data.garbage)
    if until:
        shared_layout(baking, progress)
        return facts | {"seconds": round(time.monotonic() - started, 1), "frames": info.frames}
    begun = time.monotonic()  # baked anew if it was interrupted: the manifest says that it is done
    layers = bake(baking, progress)
    stages.seconds["baking"] = round(time.monotonic() - begun, 1)
    facts |= _complete(job, info, baking, layers, cautions, progress)
    return facts | {"seconds": round(time.monotonic() - started, 1)}


def _complete(
    job: Job,
    info: ClipInfo,
    baking: Baking,
    layers: list[LayerRecord],
    cautions: list[str],
    progress: Progress,
) -> dict:
    """Carry paint over where that was asked for, and write the manifest: then it is finished."""
    folder = baking.folder
    make_durable(*(folder / part for part in ("maps", "textures", "edits")))
    manifest = manifest_of(info, layers, cautions, baking)
    if job.at_once:
        manifest = as_first(manifest)
    carried = carry_into(job.refines, Shot(folder, manifest), progress) if job.refines else {}
    write_manifest(folder, manifest)
    if baking.wants_exr:  # by now the folder can be painted and rendered
        write_exrs(Shot(folder, manifest), progress)
    return carried


def finish(folder: Path, progress: Progress) -> dict:
    """Make textures and manifest of frames that were baked apart; work/ goes. NvdError: not all.

    Whoever calls holds the folder's lock.
    """
    started = time.monotonic()
    facts = _finish(folder, progress)
    remove_work(folder)
    return facts | {"seconds": round(time.monotonic() - started, 1)}


def _finish(folder: Path, progress: Progress) -> dict:
    info, job, baking = trained(folder)
    if job.refines:  # the paint lies outside
        check_origin(folder, job, baking.settings)
    layers = finish_chunks(baking, progress)
    cautions = _cautions(info, job, work_folder(folder))
    facts = {"folder": str(folder), "layers": baking.model.names, "cautions": cautions}
    return facts | _complete(job, info, baking, layers, cautions, progress)


def _cautions(info: ClipInfo, job: Job, work: Path) -> list[str]:
    """What has to be said of the clip, of what was asked, and of the priors."""
    return [*info.cautions, *job.said, *find_cautions(work, motion_facts(work))]


def _prepare(stages: _Stages, settings: Settings, progress: Progress) -> tuple[ClipInfo, list[str]]:
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
    return info, _cautions(info, job, work)


def _motion(
    job: Job, settings: Settings, work: Path, aspect: float, progress: Progress
) -> np.ndarray:
    names = object_names(job)
    wanted = wanted_views(settings, names, BACKGROUND)
    parts = [max(len(of_layer) - 1, 0) for of_layer in _part_names(job)] if _all_parts(job) else []
    of_each = [wanted[name] for name in (*names, BACKGROUND)]
    if parts:  # a layer with parts has one view
        of_each = [1 if count else views for count, views in zip(parts, of_each, strict=True)]
    doubted = _doubted(job)
    motions = estimate_global_motion(work, progress, aspect, of_each, parts, doubted)
    if parts and not job.goes_on:
        starts = StartParts(_part_names(job), None, np.array(open_array(work, PART_MOTION)))
        for n in (n for n, count in enumerate(parts[:-1]) if count):
            explain_parts(work, n, _rows(job, names[n]), starts.of_layer(n, motions[n]), progress)
    for name, fact in zip(names, motion_facts(work), strict=False):
        if fact["evidence"] and fact["windows"]:
            progress.message(about_views(name, fact["evidence"], fact["windows"]))
    return motions


def _part_names(job: Job) -> list[list[str]]:
    """By layer the names of its parts, the rest first; empty for a layer without."""
    return part_names(_all_parts(job), [*object_names(job), BACKGROUND])


def _rows(job: Job, layer: str) -> list[int]:
    """Where the parts of a layer stand among all parts."""
    return [row for row, (name, _) in enumerate(_all_parts(job)) if split_name(name)[0] == layer]


def _doubted(job: Job) -> dict[tuple[int, int], list[int]]:
    """By layer and number the frames in which a part is in doubt."""
    layers = [*object_names(job), BACKGROUND]
    names = [[f"{layer}.{part}" for part in of_layer] for layer, of_layer in
             zip(layers, _part_names(job), strict=True)]  # fmt: skip
    return {
        (n, number): job.needs_eye[name]
        for n, of_layer in enumerate(names[:-1])
        for number, name in enumerate(of_layer)
        if number and name in job.needs_eye
    }


def _all_parts(job: Job) -> list[list[str]]:
    """Name and source of every part that is given, and the names of those that were found."""
    return [*job.parts, *([name, ""] for name in job.found_parts)]


def _check_parts(job: Job, settings: Settings) -> None:
    """NvdError where parts are asked for of a layer that cannot have them."""
    check_parts(job.parts, [*(name for name, _ in job.masks), BACKGROUND])
    if not (job.parts or settings.find_parts):
        return
    if settings.mapping.start != "motion":
        raise NvdError(
            "parts need mappings that start at the motion",
            expected="mapping.start motion",
            found=f"mapping.start {settings.mapping.start}",
            remedy="leave out the parts, or the setting",
        )
    wanted = wanted_views(settings, object_names(job), BACKGROUND)
    for layer in sorted({split_name(name)[0] for name, _ in job.parts}):
        if (wanted[layer] or 1) > 1:
            raise NvdError(
                f"{layer} is to have parts and windows in time",
                expected="one of them for each layer",
                remedy=f"leave out --windows or --part of {layer}",
            )


def _check_windows(job: Job, settings: Settings) -> None:
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


def make_trainer(folder: Path, job: Job, settings: Settings) -> Trainer:
    """The networks at their start, and what trains them; `folder`/work holds what they need.

    Their architecture is noted in the folder.
    """
    work = work_folder(folder)
    data = ClipData(work)
    names = object_names(job)
    names.append(BACKGROUND)
    torch.manual_seed(job.seed)
    if job.goes_on:
        return _going_on(folder, job, settings, data, names)
    facts = motion_facts(work)
    projective = [fact["model"] == "homography" for fact in facts]
    windows = [fact["windows"] for fact in facts]
    hold = settings.mapping.start == "motion" and settings.mapping.hold_background
    motion, labels = np.array(open_array(work, MOTION)), open_parts(work)
    parts = None
    if labels is not None:
        parts = StartParts(_part_names(job), labels, np.array(open_array(work, PART_MOTION)))
    starts = layer_starts(data, motion, projective, hold, windows, parts)
    shape = ClipShape(*data.shape)
    if len(starts) != len(names) or len(data.masks) != len(names) - 1:
        raise NvdError(
            f"{folder / 'job.json'} and {work} are of two different jobs",
            expected=f"{len(names)} layers: {', '.join(names)}"[:200],
            found=f"motion of {len(starts)}, {len(data.masks)} masks",
            remedy="remove the folder and run `nvd decompose` again",
        )
    model = LayeredVideo(shape, names, settings, starts)
    save_architecture(folder, shape, names, starts)
    return Trainer(model, data, settings, job.seed, choose_device(job.device), folder)


def start_step(settings: Settings) -> int:
    """The step at which a training starts that goes on: in the middle, its rates are lower."""
    return settings.iterations // 2


def _going_on(
    folder: Path, job: Job, settings: Settings, data: ClipData, names: list[str]
) -> Trainer:
    """The networks of another training of the same frames, which `decompose` copied there."""
    model = load_model(folder)
    shape = model.shape.frames, model.shape.height, model.shape.width
    if shape != data.shape or model.names != names:
        raise NvdError(
            f"{folder} cannot go on from the networks of {job.refines}",
            expected=f"{shape[0]} frames of {shape[2]} x {shape[1]}, {', '.join(model.names)}",
            found="{0} frames of {2} x {1}, ".format(*data.shape) + ", ".join(names),
            remedy="remove the folder, and refine with the same frames, height and layers",
        )
    return Trainer(model, data, settings, job.seed, choose_device(job.device), folder)


def _detector(job: Job, settings: Settings) -> Detector | None:
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
    sources = load_masks([tuple(mask) for mask in job.masks], info, job.mask_frames)
    size = info.looked_at
    write_masks(sources, folder, info.frames, size.height, size.width, progress)
    detector = _detector(job, settings)
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
    if settings.find_parts and not job.goes_on:  # then the networks know their parts
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
    alone = [n for n, name in enumerate(names) if name not in taken and wanted[name] in (None, 1)]
    sources, job.found_parts = [], []
    for n, found in search_parts(work_folder(folder), alone, progress).items():
        said = about_parts(names[n], found)
        progress.message(said)
        if not found:
            continue
        job.said = [*job.said, said]
        for part, mask in found.named():
            name = f"{names[n]}.{part}"
            job.found_parts.append(name)
            path = inside(folder, f"masks/{name}/{found.frame:05d}.png")
            write_image(path, resized(mask, size.width, size.height)[..., None])
            sources.append(load_mask(name, path, info, found.frame))
    return sources
