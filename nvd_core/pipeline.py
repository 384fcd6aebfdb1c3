"""From a clip to a decomposition folder: the stages of `nvd decompose`, in order.

Every stage reads what the stage before wrote and is repeated whole if it was interrupted; the
training alone goes on from its last checkpoint. `job.json` says which stages are done.
"""

import os
import time
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
from nvd_core.job import Device, Job
from nvd_core.job_clip import clip_of
from nvd_core.media.clip import Clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.conversion import Conversion
from nvd_core.media.input_space import Found as NamedSpace
from nvd_core.media.input_space import input_space, says_nothing_new, space_of_file_rules
from nvd_core.origin import check_origin, note_begun
from nvd_core.prepare import (
    Stages,
    cautions_of,
    check_wanted_parts,
    check_windows,
    detector_of,
    names_of_parts,
    prepare,
)
from nvd_core.priors.garbage import load_garbage
from nvd_core.priors.mapping_start import StartParts, layer_starts
from nvd_core.priors.masks import (
    MaskSource,
    load_masks,
    single_frames,
)
from nvd_core.priors.part_masks import load_parts
from nvd_core.result import baking_of, manifest_of
from nvd_core.runtime.devices import choose_device, wants_bfloat16
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, make_durable
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.inside import check_links, inside
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, check_settings, load_settings, save_settings
from nvd_core.shot.manifest import LayerRecord, read_manifest, write_manifest
from nvd_core.shot.map_forms import write_exrs
from nvd_core.shot.shot import Shot
from nvd_core.trained import (
    BACKGROUND,
    check_size,
    object_names,
    trained,
    unfinished,
)
from nvd_core.training.checkpoint import copy_checkpoint
from nvd_core.training.trainer import Trainer
from nvd_core.work import (
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
    check_windows(job, settings)
    check_wanted_parts(job, settings)
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
    detector_of(job, settings)
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
    stages = Stages(folder, job)
    info, cautions = prepare(stages, settings, progress)
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
    cautions = cautions_of(info, job, work_folder(folder))
    facts = {"folder": str(folder), "layers": baking.model.names, "cautions": cautions}
    return facts | _complete(job, info, baking, layers, cautions, progress)


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
        parts = StartParts(names_of_parts(job), labels, np.array(open_array(work, PART_MOTION)))
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
