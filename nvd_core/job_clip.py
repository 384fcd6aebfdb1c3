"""The clip that a job is about."""

from fractions import Fraction

from nvd_core.job import Job
from nvd_core.media.clip import Clip, Reading, open_clip
from nvd_core.media.picture import InputSpace


def clip_of(job: Job, space: InputSpace | None = None) -> Clip:
    """The clip that a job is about, opened in a `space`; NvdError where it cannot be read."""
    frames = (job.frames[0], job.frames[1]) if job.frames else None
    return open_clip(job.source, frames, job.height, reading_of(job, space), job.plate_height)


def reading_of(job: Job, space: InputSpace | None = None) -> Reading:
    """How a job wants its source to be read."""
    rate, steps = (Fraction(*two) if two else None for two in (job.rate, job.count_at))
    named = job.input_space is not None
    return Reading(job.missing, rate, steps, job.start, job.deinterlace, named, space)
