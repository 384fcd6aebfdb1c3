"""By which numbers the frames of a shot are asked for, and by which its images are named."""

from collections.abc import Sequence
from pathlib import Path

from nvd_core.media.numbering import as_text, counted_from, from_text, range_of
from nvd_core.media.sequences import is_pattern
from nvd_core.shot.shot import Shot


def output_numbers(shot: Shot, out: Path | str, start: int | str | None) -> Sequence[int]:
    """The number of every frame's image in the pattern `out`; for a movie those from 0.

    `start` is the number of the shot's first frame, or "source" for its own; None: the source's
    own where it has some, otherwise from 0.
    """
    if not is_pattern(out):
        return range(shot.frames)
    return frame_numbers(shot, "source" if start is None and source_numbers(shot) else start)


def numbers_of_output(out: Path | str, named: Sequence[int], frames: range) -> dict[str, str]:
    """What to tell of the images that were written: their numbers."""
    return {"numbers": as_text([named[t] for t in frames])} if is_pattern(out) else {}


def checked_range(
    shot: Shot, frames: tuple[int, int] | None, start: int | str | None = None
) -> tuple[int, int]:
    """First and last frame from 0 of `frames`, or all where None; NvdError if not in the shot.

    `frames` count from 0, or as `start` has it.
    """
    own = shot.manifest.clip.numbers
    named = f"the source's own numbers, {own}" if own else ""
    return range_of(frames, frame_numbers(shot, start), shot.folder, named, start is not None)


def frame_numbers(shot: Shot, start: int | str | None) -> Sequence[int]:
    """The numbers of the shot's frames by which they are asked for, counted as `start` has it."""
    clip = shot.manifest.clip
    return counted_from(start, source_numbers(shot), clip.frames, clip.first_frame)


def source_numbers(shot: Shot) -> list[int] | None:
    """The source's own numbers of the shot's frames, where it has some."""
    clip = shot.manifest.clip
    return None if clip.numbers is None else from_text(clip.numbers, clip.frames)
