"""A folder in which the training has ended, as whoever bakes a part of its frames opens it.

Apart from the pipeline, whose priors and training take longer to import than a frame to bake.
"""

from pathlib import Path

from nvd_core.baking.bake import Baking
from nvd_core.begun import SETTINGS
from nvd_core.fields.saved_model import load_model
from nvd_core.job import Job
from nvd_core.media.clip_info import ClipInfo
from nvd_core.origin import check_origin
from nvd_core.result import baking_of
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import check_links, inside
from nvd_core.settings import Settings, load_settings
from nvd_core.work import FRAMES, open_array, open_garbage, work_folder

BACKGROUND = "background"
FOUND_OBJECT = "object"
"""name of an object that is found alone from the motion where no mask is given"""


def trained(folder: Path) -> tuple[ClipInfo, Job, Baking]:
    """What `decompose` left that stopped after its training; NvdError where it did not get there.

    Reads only what lies in the folder, and writes nothing.
    """
    job, settings = unfinished(folder, yes=True)  # by now no file outside is read
    if job.at_once:
        raise NvdError(
            f"{folder} is painted on at once, and not baked by parts",
            remedy=f"finish it with: nvd resume {folder}",
        )
    if "training" not in job.done or not job.clip:
        raise NvdError(
            f"{folder} is not trained yet",
            expected="a folder in which `nvd decompose --until training` has ended",
            found=f"done: {', '.join(job.done) or 'nothing'}",
            remedy="run that, or `nvd resume`, first",
        )
    info = ClipInfo.from_json(job.clip | {"source": job.source})
    frames, garbage = open_array(work_folder(folder), FRAMES), open_garbage(work_folder(folder))
    check_size(folder, info, frames.shape[:3])
    model = load_model(folder)
    shape = model.shape.frames, model.shape.height, model.shape.width
    names = [*object_names(job), BACKGROUND]
    if shape != frames.shape[:3] or model.names != names:
        raise NvdError(
            f"{folder / 'checkpoint.json'} and {work_folder(folder)} are of two different jobs",
            expected=f"{', '.join(names)}, {frames.shape[0]} frames"[:200],
            found=f"{', '.join(model.names)}, {shape[0]} frames"[:200],
            remedy="remove the folder and run `nvd decompose` again",
        )
    model.to(choose_device(job.device))
    return info, job, baking_of(folder, info, settings, model, frames, garbage)


def unfinished(folder: Path, yes: bool) -> tuple[Job, Settings]:
    """What is asked for in a folder, and may be done."""
    check_links(folder)
    job, settings = Job.load(folder), load_settings(inside(folder, SETTINGS))
    if not yes:
        check_origin(folder, job, settings)
    return job, settings


def check_size(folder: Path, info: ClipInfo, shape: tuple[int, int, int]) -> None:
    """NvdError where the arrays of work/ have another shape than the job's clip."""
    size = info.looked_at
    if shape != (info.frames, size.height, size.width):
        raise NvdError(
            f"{folder / 'job.json'} and {work_folder(folder)} are of two different clips",
            expected=f"{info.frames} frames of {size.width} x {size.height}",
            found="{0} frames of {2} x {1}".format(*shape),
            remedy="remove the folder and run `nvd decompose` again",
        )


def object_names(job: Job) -> list[str]:
    """Names of the objects of a job whose masks are made, front to back."""
    if job.masks:
        return [name for name, _ in job.masks]
    return [FOUND_OBJECT] if job.found is None else list(job.found)
