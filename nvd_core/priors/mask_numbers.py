"""Which mask belongs to which frame: by number, where clip and masks are numbered."""

from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.movies import Movie
from nvd_core.media.numbering import as_text
from nvd_core.media.sequences import ImageSequence
from nvd_core.runtime.errors import NvdError


def matched(
    name: str, path: str, source: Movie | ImageSequence, info: ClipInfo
) -> tuple[dict[int, int], tuple[str, ...]]:
    """By the working frame, the frame of the mask's `source`; and what is to be said of it.

    Numbered masks of a numbered clip count by number; others by their order, where there are as
    many as in the source or as are decomposed. NvdError where neither fits.
    """
    own, numbers = info.own_numbers, getattr(source, "numbers", None)
    if own and numbers and not _numbered_anew(numbers, own, info):
        index = {number: i for i, number in enumerate(numbers)}
        frames = {t: index[number] for t, number in enumerate(own) if number in index}
        if frames:
            return frames, _about_numbers(name, own, numbers, frames)
    if numbers and not own and source.frames not in (info.source_frames, info.frames):
        frames = _by_counting(numbers, info)
        if frames:
            return frames, (
                f"the masks of {name} are taken for frames {as_text(numbers)}, counted from 0",
            )
    if source.frames in (info.source_frames, info.frames):
        whole = source.frames == info.source_frames
        offset = info.first_frame if whole else 0
        said = ()
        if own and numbers and numbers[offset : offset + info.frames] != own:
            said = (
                f"the masks of {name} are numbered {as_text(numbers)}, the frames {info.numbers}: "
                "they are taken in order",
            )
        return {t: offset + t for t in range(info.frames)}, said
    raise _unmatched(name, path, source, info, numbers)


def _numbered_anew(numbers: list[int], own: list[int], info: ClipInfo) -> bool:
    """Whether masks are those of a part of the clip, counted from 0 or 1 again."""
    part = len(numbers) == info.frames < info.source_frames
    return part and numbers[0] in (0, 1) and numbers != own


def _by_counting(numbers: list[int], info: ClipInfo) -> dict[int, int]:
    """Masks of some frames of a movie, numbered from 0."""
    if not 0 <= numbers[0] <= numbers[-1] < info.source_frames:
        return {}
    places = ((number - info.first_frame, i) for i, number in enumerate(numbers))
    return {t: i for t, i in places if 0 <= t < info.frames}


def _about_numbers(
    name: str, own: list[int], numbers: list[int], frames: dict[int, int]
) -> tuple[str, ...]:
    """What is missing, and is carried from the masks that are there."""
    without = [number for t, number in enumerate(own) if t not in frames]
    if not without:
        return ()
    return (
        f"the masks of {name} are those of frames {_short([own[t] for t in frames])}: "
        f"{_short(without)} are carried from them",
    )


def _short(numbers: list[int]) -> str:
    text = as_text(numbers)
    return text if len(text) <= 80 else text[:80].rpartition(",")[0] + ", ..."


def _unmatched(
    name: str,
    path: str,
    source: Movie | ImageSequence,
    info: ClipInfo,
    numbers: list[int] | None,
) -> NvdError:
    if info.numbers and numbers:
        return NvdError(
            f"the masks of {name} are of other frames than the clip",
            expected=f"numbers within {info.numbers}",
            found=f"{_short(numbers)} in {path}",
            remedy="give masks that are numbered as the clip's frames are",
        )
    part = "" if info.frames == info.source_frames else f", or {info.frames} as decomposed"
    return NvdError(
        f"the mask of {name} has another number of frames than the clip",
        expected=f"{info.source_frames} frames{part}, or one image",
        found=f"{source.frames} in {path}",
        remedy="give a mask for every frame, or the mask of one frame only",
    )
