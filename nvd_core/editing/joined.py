"""The sections of a long clip as one shot, of which a movie of rendered images is made."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from nvd_core.editing.cross_fade import about_sections, shared_with
from nvd_core.editing.output_numbers import source_numbers
from nvd_core.editing.own_files import check_output
from nvd_core.job import Job
from nvd_core.job_clip import clip_of
from nvd_core.media.numbering import as_text
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import JOB
from nvd_core.shot.shot import Shot


@contextmanager
def joined(
    sections: Sequence[Shot], source: Path | str | None, out: Path | str, progress: Progress
) -> Generator[Shot, None, None]:
    """A shot of all frames of `sections`, of which `encode` makes the movie `out`.

    It has neither maps nor frames, but for the first. Its rate, tags and time code are the first
    section's; sound and uneven times are read from `source`, the whole clip, and without it there
    are none. One section is itself. NvdError where they are no sections of one clip that follow one
    another, `out` would overwrite something of theirs, or the source cannot be read.
    """
    first = sections[0]
    if len(sections) == 1:
        if source is not None:
            raise NvdError(
                "--source is of several sections", remedy="leave it out: the folder has its sound"
            )
        yield first
        return
    check_output(first, [Path(out)], {})
    for before, after in pairwise(sections):
        shared_with(after, before)
        check_output(after, [Path(out)], {})
        for caution in about_sections(before, after):
            progress.caution(caution)
    clip = first.manifest.clip
    whole = replace(clip, numbers=_numbers(sections), frames=_frames(sections))
    with tempfile.TemporaryDirectory(prefix="nvd-joined-") as scratch:
        if source is None:
            if clip.timeline:
                line = replace(clip.timeline, audio=None, unit=None, at=None)
                whole = replace(whole, timeline=line)
            progress.caution("without --source the movie has no sound and no uneven times")
        else:
            frames = [clip.first_frame, clip.first_frame + whole.frames - 1]
            begun = (first.folder / JOB).is_file()  # or it came without, which says how it is read
            job = Job.load(first.folder) if begun else Job(str(source))
            opened = clip_of(replace(job, source=str(source), frames=frames, start=None))
            opened.copy_sound(Path(scratch), progress)
            whole = replace(whole, timeline=opened.info.timeline)
        shot = Shot(Path(scratch), replace(first.manifest, clip=whole))
        shot.frame_path(0).parent.mkdir(exist_ok=True)
        copy_file(first.frame_path(0), shot.frame_path(0))  # which has the files' tags
        yield shot


def _frames(sections: Sequence[Shot]) -> int:
    """How many frames they have together."""
    first, last = sections[0].manifest.clip, sections[-1].manifest.clip
    return last.first_frame + last.frames - first.first_frame


def _numbers(sections: Sequence[Shot]) -> str | None:
    """The source's own numbers of all of them, where it has some."""
    found = [source_numbers(section) for section in sections]
    return as_text(sorted({n for own in found if own for n in own})) if all(found) else None
