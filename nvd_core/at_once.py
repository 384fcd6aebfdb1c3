"""A folder that is painted on while it is trained: `nvd decompose --at-once`.

The draft is a finished folder. From it the training goes on in cycles, each with rates that fall
to nearly nothing, as `nvd refine` does it; what a cycle has made is baked beside and put in place
of the state before by `editing/exchange.py`. While it trains, the lock of `work/` is held and not
the folder's: painting, rendering and whatever else writes there goes on.
"""

from dataclasses import replace
from pathlib import Path

from nvd_core.baking.bake import bake
from nvd_core.begun import SETTINGS
from nvd_core.editing.exchange import exchange
from nvd_core.fields.saved_model import copy_architecture, load_model
from nvd_core.job import REFINING, Device, Job
from nvd_core.media.clip_info import ClipInfo
from nvd_core.result import baking_of, manifest_of
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.files import make_durable, remove_temporaries
from nvd_core.runtime.folder_lock import writing, writing_when_free
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.settings import DRAFT_FLOW, Settings, as_draft, load_settings, save_settings
from nvd_core.shot.manifest import Manifest, Refinement
from nvd_core.shot.map_forms import write_exrs
from nvd_core.shot.shot import REFINED, Shot
from nvd_core.training.checkpoint import copy_checkpoint
from nvd_core.training.trainer import Trainer, automatic_steps
from nvd_core.work import ClipData, remove_work, work_folder

COMMAND = "nvd decompose --at-once"
FIRST_STEPS = 120
"""of the draft at the most: fewer than a draft that stays one is given"""
SHARES = (0.25, 0.75)
"""of the steps that the settings ask for, by refinement"""


def draft_settings(settings: Settings) -> Settings:
    """The settings by which the draft of a job with these `settings` is made."""
    draft = as_draft(settings)
    draft.iterations = min(draft.iterations, FIRST_STEPS)
    draft.flow_longest = min(settings.flow_longest, DRAFT_FLOW)
    return draft


def as_first(manifest: Manifest) -> Manifest:
    """The manifest of the draft."""
    return replace(manifest, refinement=Refinement(0, len(SHARES)))


def refine_on(folder: Path, progress: Progress, device: Device | None = None) -> dict:
    """Refine a draft until all refinements are in; returns facts about the last.

    The folder's lock is not held by the caller. NvdError where another process refines it.
    Cancelled: `nvd resume` goes on.
    """
    job, settings = Job.load(folder), load_settings(inside(folder, SETTINGS))
    shot = Shot.open(folder)
    facts: dict = {"folder": str(folder), "layers": shot.names}
    with writing(work_folder(folder), COMMAND, progress):
        for number in range(1, len(SHARES) + 1):
            shot = Shot.open(folder)
            state = shot.manifest.refinement
            if state is None:  # taken back meanwhile
                break
            if state.done >= number:
                continue
            progress.ready(folder, state.done, state.planned)
            made = _refined(shot, job, settings, number, device, progress)
            if not exchange(shot, made, progress, COMMAND):
                break
            facts["refinement"] = number
    with writing_when_free(folder, COMMAND, progress):
        job = Job.load(folder)
        job.done = [*job.done, *([] if REFINING in job.done else [REFINING])]
        job.save(folder)
    remove_work(folder)
    return facts


def cycle_settings(settings: Settings, number: int, pixels: int) -> Settings:
    """The settings of the refinement `number`, from 1: it begins in the middle of its schedule."""
    whole = settings.iterations or round(automatic_steps(pixels) * settings.steps_factor)
    return replace(settings, iterations=2 * max(round(SHARES[number - 1] * whole), 1))


def _refined(
    shot: Shot,
    job: Job,
    settings: Settings,
    number: int,
    device: Device | None,
    progress: Progress,
) -> Manifest:
    """Train and bake a refinement beside what `shot` shows; the manifest that names it."""
    folder, name = shot.folder, f"{REFINED}{number}"
    place = inside(folder, name)
    place.mkdir(exist_ok=True)
    remove_temporaries(place)  # of a run that was killed
    data = ClipData(work_folder(folder))
    frames, height, width = data.shape
    cycle = cycle_settings(settings, number, frames * height * width)
    checkpoint = inside(folder, f"{name}/checkpoint.safetensors")
    if not checkpoint.exists():
        copy_architecture(shot.networks, place)
        save_settings(settings, inside(folder, f"{name}/{SETTINGS}"))
        start = shot.networks / "checkpoint.safetensors"
        copy_checkpoint(start, checkpoint, cycle.iterations // 2)
    chosen = choose_device(device or job.device)
    trainer = Trainer(load_model(place), data, cycle, job.seed, chosen, place)
    trainer.run(progress)
    trainer.restore()
    info = ClipInfo.from_json((job.clip or {}) | {"source": job.source})
    baking = baking_of(folder, info, cycle, trainer.model, data.frames, data.garbage, place)
    layers = bake(baking, progress)
    make_durable(place)
    records = [
        replace(
            record,
            texture=f"{name}/{record.texture}",
            edit=f"edits/{record.name}.r{number}.png",
        )
        for record in layers
    ]
    made = replace(
        manifest_of(info, records, list(shot.manifest.cautions), baking),
        maps=f"{name}/maps/%05d.exr",
        networks=name,
        stack=f"edits/stack.r{number}.json",
        refinement=Refinement(number, len(SHARES)) if number < len(SHARES) else None,
    )
    if baking.wants_exr:
        write_exrs(Shot(folder, made), progress)
    return made
