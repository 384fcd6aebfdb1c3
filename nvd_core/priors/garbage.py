"""The garbage matte: what is stuck to the lens or burnt into the picture, and belongs to no layer.

It is a mask like those of objects, or found by `garbage_search`. One picture is for all frames; of
a sequence with gaps a frame has the matte before it. Whatever reads `work/` leaves out what lies
within: no point is drawn there, no flow trusted, no motion measured, and no layer shows.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from nvd_core.job import AUTO, wanted_class
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import write_image
from nvd_core.media.resizing import resized
from nvd_core.priors.flow_size import at_flow_size, flow_scale, pixel_grid
from nvd_core.priors.garbage_search import Found, find_garbage
from nvd_core.priors.masks import MaskSource, load_masks
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import new_array, release
from nvd_core.runtime.progress import Progress
from nvd_core.work import (
    FLOW_BACKWARD,
    FLOW_FORWARD,
    FLOW_OK,
    GARBAGE,
    open_array,
    open_garbage,
    work_folder,
)

NAME = "garbage"
STILL, MOVING = "masks/garbage.png", "masks/garbage/%05d.png"
"""where a folder keeps the matte: one for all frames, or one a frame"""
NEAR_GARBAGE = 4
"""pixels of the flow around the matte in which flow and motion are not trusted: a patch of it
reaches in"""
MOST = 0.9
"""share of the picture, over all frames, that may be left out"""


def load_garbage(
    given: str | None, info: ClipInfo, objects: Iterable[str] = ()
) -> MaskSource | None:
    """Open the matte that was given for the clip `info`; None where none was, or it is found.

    NvdError where it does not fit, or cannot be read, and where one of the `objects` has its name.
    """
    if given and any(name.lower() == NAME for name in objects):
        raise NvdError(
            f"an object is called {NAME}, as the matte of what is to be left out",
            expected="another name beside --garbage",
            remedy="rename the object, or leave out --garbage",
        )
    if given in (None, AUTO):
        return None
    if wanted_class(given):
        raise NvdError(
            "a garbage matte is not detected by a class",
            expected="images, a movie, or auto",
            found=given,
            remedy="draw it white on black, or give --garbage auto",
        )
    return load_masks([(NAME, given)], info, [0])[0]


def write_garbage(given: str | None, info: ClipInfo, folder: Path, progress: Progress) -> list[str]:
    """Write the matte into `folder`/work and `folder`/masks, and take the trust off the flow there.

    Returns what is to be said: of the matte, or of what was found where none was given. Without a
    matte nothing is written.
    """
    work = work_folder(folder)
    found, cautions = None, []
    if given in (None, AUTO):
        found = find_garbage(work, progress)
        cautions = [_about(found, given)] if found or given else []
        if found is None or given is None:
            return cautions
    source = load_garbage(given, info)
    _write(source, found, folder, info, progress)
    _check(work)
    _distrust_flow(work)
    return cautions


def _about(found: Found | None, given: str | None) -> str:
    if found is None:
        return (
            "--garbage auto found nothing that stays while the picture moves: nothing is left out"
        )
    if given == AUTO:
        return f"left out as garbage: {found.words}"
    return (
        f"this does not change while the picture around it moves: {found.words}. If it is burnt in "
        "or stuck to the lens, it spoils the background's texture: --garbage auto leaves out what "
        "was found, --garbage PATH what you have drawn"
    )


def _write(
    source: MaskSource | None, found: Found | None, folder: Path, info: ClipInfo, progress: Progress
) -> None:
    """Fill `work/garbage.npy`, and keep the matte as it was given under masks/."""
    work = work_folder(folder)
    is_still = source is None or source.single
    count = 1 if is_still else info.frames
    progress.stage("garbage matte", count)
    with written_beside(work / GARBAGE) as path:
        size = info.looked_at
        matte = new_array(path, (count, size.height, size.width))
        for t in range(count):
            if source is None:
                matte[t], plate = found.matte, resized(found.matte, info.width, info.height)
            else:
                before = [given for given in source.given if given <= t]
                own = 0 if is_still else before[-1] if before else source.given[0]
                matte[t], plate = source.read_both(own)
            name = STILL if is_still else MOVING % t
            write_image(inside(folder, name), np.ascontiguousarray(plate)[..., None])
            release(matte)
            progress.update(t + 1)
        matte.flush()
        del matte  # Windows renames no file that is still mapped


def _check(work: Path) -> None:
    """NvdError where the matte leaves too little of the picture."""
    garbage = open_garbage(work)
    shares = []
    for matte in garbage:
        shares.append(np.count_nonzero(matte) / matte.size)
        release(garbage)
    if (share := float(np.mean(shares))) > MOST:
        raise NvdError(
            "the garbage matte covers nearly the whole picture",
            expected=f"{MOST:.0%} of it at the most",
            found=f"{share:.0%}",
            remedy="paint white what is to be left out, or give the matte as !PATH",
        )


def manifest_path(garbage: np.ndarray | None) -> str | None:
    """Where the folder of a matte [1 or T, H, W] keeps it, as its manifest says."""
    return None if garbage is None else STILL if len(garbage) == 1 else MOVING


def near_garbage(matte: np.ndarray, around: int, size: tuple[int, int]) -> np.ndarray:
    """The flow's pixels, bool [h, w] = `size`, at most `around` of them from a matte [H, W]."""
    touched = (at_flow_size((matte > 0).astype(np.uint8) * 255, size) > 0).astype(np.uint8)
    return cv2.dilate(touched, np.ones((2 * around + 1, 2 * around + 1), np.uint8)) > 0


def _distrust_flow(work: Path) -> None:
    """Set `flow_ok` to 0 where flow begins or ends in the matte, or near to it."""
    garbage, ok = open_garbage(work), open_array(work, FLOW_OK, "r+")
    flows = open_array(work, FLOW_FORWARD), open_array(work, FLOW_BACKWARD)
    size = ok.shape[2:]
    scale = flow_scale(garbage.shape[1:], size)
    grid = pixel_grid(*size)
    near = near_garbage(garbage[0], NEAR_GARBAGE, size)
    for t in range(ok.shape[1]):
        ends = near, near
        if len(garbage) > 1:
            ends = near, near_garbage(garbage[t + 1], NEAR_GARBAGE, size)
        for way, (start, end) in enumerate((ends, ends[::-1])):
            there = grid + flows[way][t].astype(np.float32) / scale
            reached = cv2.remap(end.astype(np.uint8), there, None, cv2.INTER_NEAREST)
            ok[way, t][start | (reached > 0)] = 0
        near = ends[1]
        release(garbage, ok, *flows)
    ok.flush()
