"""`nvd bake`: a part of a shot's frames, beside other processes; then what needs all of them."""

import time
from pathlib import Path

from nvd_core.baking.chunks import bake_chunk, shared_layout
from nvd_core.begun import is_finished
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.numbering import counted_from, from_text, range_of
from nvd_core.runtime.folder_lock import writing, writing_part
from nvd_core.runtime.progress import Progress
from nvd_core.trained import trained
from nvd_core.work import remove_work, work_folder

COMMAND = "nvd bake"


def bake_frames(
    folder: Path, frames: tuple[int, int] | None, start: int | str | None, progress: Progress
) -> dict:
    """Bake those of `frames` (first and last; None: all) that are not baked; counted by `start`.

    Returns how many `frames` were asked for, and how many were `baked`. A folder that is finished
    is left as it is. NvdError where it is not trained, or another process has one of the frames.
    """
    begun = time.monotonic()
    folder = Path(folder)
    if is_finished(folder):
        return _nothing(folder, progress)
    info, _, baking = trained(folder)
    first, last = _range(folder, info, frames, start)
    with writing_part(folder, first, last, f"{COMMAND} of frames {first}-{last}", progress):
        if is_finished(folder):  # since it was looked at
            return _nothing(folder, progress)
        layout = shared_layout(baking, progress)
        numbers = range(first, last + 1)
        baked = bake_chunk(baking, layout, numbers, progress)
    return {
        "folder": str(folder),
        "frames": len(numbers),
        "baked": baked,
        "seconds": round(time.monotonic() - begun, 1),
    }


def finish_bake(folder: Path, progress: Progress) -> dict:
    """Make textures and manifest once all frames are baked; NvdError where some are not."""
    folder = Path(folder)
    if is_finished(folder) and not work_folder(folder).exists():
        return _nothing(folder, progress)
    with writing(folder, f"{COMMAND} --finish", progress):
        if is_finished(folder):
            if work_folder(folder).exists():  # killed between the manifest and its removal
                remove_work(folder)
            return _nothing(folder, progress)
        from nvd_core.pipeline import finish  # takes seconds to import, which parts do without

        return finish(folder, progress)


def _nothing(folder: Path, progress: Progress) -> dict:
    progress.message(f"{folder} is finished already: nothing to do")
    return {"folder": str(folder), "baked": 0, "finished_before": True}


def _range(
    folder: Path, info: ClipInfo, frames: tuple[int, int] | None, start: int | str | None
) -> tuple[int, int]:
    """First and last frame from 0; NvdError where the shot has not all of them."""
    own = None if info.numbers is None else from_text(info.numbers, info.frames)
    counted = counted_from(start, own, info.frames, info.first_frame)
    named = f"the source's own numbers, {info.numbers}" if info.numbers else ""
    return range_of(frames, counted, folder, named, start is not None)
