"""By which numbers the frames of a shot are asked for, and by which its images are named."""

from collections.abc import Sequence
from pathlib import Path

from nvd_core.media.clip import counted_from
from nvd_core.media.numbering import as_text, from_text
from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.shot import Shot


def output_numbers(shot: Shot, out: Path | str, start: int | str | None) -> Sequence[int]:
    """The number of every frame's image in the pattern `out`; for a movie those from 0.

    `start` is the number of the shot's first frame, or "source" for its own; None: the source's
    own where it has some, otherwise from 0.
    """
    clip = shot.manifest.clip
    own = None if clip.numbers is None else from_text(clip.numbers, clip.frames)
    if not is_pattern(out):
        return range(clip.frames)
    start = "source" if start is None and own else start
    return counted_from(start, own, clip.frames, clip.first_frame)


def numbers_of_output(out: Path | str, named: Sequence[int], frames: range) -> dict[str, str]:
    """What to tell of the images that were written: their numbers."""
    return {"numbers": as_text([named[t] for t in frames])} if is_pattern(out) else {}


def checked_range(
    shot: Shot, frames: tuple[int, int] | None, start: int | str | None = None
) -> tuple[int, int]:
    """First and last frame from 0 of `frames`, or all where None; NvdError if not in the shot.

    `frames` count from 0, or as `start` has it.
    """
    if frames is None:
        return 0, shot.frames - 1
    clip = shot.manifest.clip
    own = None if clip.numbers is None else from_text(clip.numbers, clip.frames)
    counted = counted_from(start, own, clip.frames, clip.first_frame)
    known = {number: t for t, number in enumerate(counted)}
    if frames[0] <= frames[1] and frames[0] in known and frames[1] in known:
        return known[frames[0]], known[frames[1]]
    remedy = "choose first and last frame within the clip, counted from 0"
    if start is not None:
        remedy = f"choose first and last frame within {as_text(counted)}"
    elif clip.numbers:
        remedy += f", or by the source's own numbers, {clip.numbers}, with --start source"
    raise NvdError(
        f"frames {frames[0]}-{frames[1]} are not in {shot.folder}",
        expected=f"a range within {counted[0]}-{counted[-1]}",
        found=f"{frames[0]}-{frames[1]}",
        remedy=remedy,
    )
