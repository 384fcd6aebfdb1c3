"""The command `nvd objects`: what moves by itself in a clip, before anything is trained.

Writes a folder to look through and to decide on (`object_folder`), at a small size: it takes about
a second a frame.
"""

import dataclasses
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from nvd_core.job import Job
from nvd_core.job_clip import clip_of
from nvd_core.media.clip import Clip
from nvd_core.media.clip_import import import_clip
from nvd_core.media.clip_info import ClipInfo
from nvd_core.media.images import write_image
from nvd_core.object_folder import (
    MASK_FILES,
    OBJECTS,
    THUMBNAILS,
    FoundObject,
    Objects,
    facts,
)
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.found_objects import Found, find_objects, found_names
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, is_temporary, write_json
from nvd_core.runtime.folder_lock import LOCK, OWNER, writing
from nvd_core.runtime.inside import inside
from nvd_core.runtime.mapped_arrays import release
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import there
from nvd_core.work import FRAMES, MASKS, open_array, work_folder

LONGEST = 480
"""Pixels along the longer side at which objects are looked for."""
THUMBNAIL = 192
"""Pixels along the longer side of a thumbnail."""
SCRATCH = ".nvd-"
"""What the name of the scratch folder begins with."""


def objects_of(job: Job, folder: Path, progress: Progress) -> dict:
    """Find what moves by itself in the clip of `job` and write it into the new `folder`; facts.

    NvdError where the clip cannot be read or the folder holds anything else. Nothing that moves is
    no error: the list is empty then, and a decomposition of the background alone can be made.
    """
    started = time.monotonic()
    clip = _small_clip(job)
    _check_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with writing(folder, "nvd objects", progress):
        _check_free(folder)
        with tempfile.TemporaryDirectory("", SCRATCH, folder, ignore_cleanup_errors=True) as name:
            scratch = Path(name)
            import_clip(clip, scratch, progress)
            work = work_folder(scratch)
            compute_flow(work, progress)
            found = find_objects(work, progress, near=True)
            known = _write(folder, clip.info, found, work)
        write_json(inside(folder, OBJECTS), dataclasses.asdict(known))
    return facts(folder, known) | {"seconds": round(time.monotonic() - started, 1)}


def _small_clip(job: Job) -> Clip:
    """The clip of a job, as large as objects are looked for."""
    whole = dataclasses.replace(job, height=None, plate_height=None)
    clip = clip_of(whole)
    longest = max(clip.info.width, clip.info.height)
    if longest <= LONGEST:
        return clip
    height = max(16, round(clip.info.height * LONGEST / longest))
    return clip_of(dataclasses.replace(whole, height=height))


def frame_numbers(info: ClipInfo) -> list[int]:
    """How the masks of a clip's frames are numbered: as the source is, else from 0."""
    return info.own_numbers or list(range(info.first_frame, info.first_frame + info.frames))


def _write(folder: Path, info: ClipInfo, found: list[Found], work: Path) -> Objects:
    """Masks and thumbnails of what was found; returns what objects.json is to say."""
    numbers = frame_numbers(info)
    names = found_names(len(found))
    masks, frames = open_array(work, MASKS), open_array(work, FRAMES)
    objects = []
    for n, (name, one) in enumerate(zip(names, found, strict=True)):
        areas = []
        for t, number in enumerate(numbers):
            mask = np.array(masks[n, t])
            areas.append(float((mask > 127).mean()))
            write_image(inside(folder, f"{MASK_FILES}/{name}/{number:05d}.png"), mask[..., None])
            release(masks)
        _thumbnail(folder, name, frames, masks[n], areas)
        seen = [area for area in areas if area > 0]
        objects.append(
            FoundObject(
                name=name,
                seen=[numbers[t] for t in one.seen],
                moves=[numbers[t] for t in one.moves],
                needs_eye=[numbers[t] for t in one.lost],
                confidence=one.confidence,
                area=round(float(np.mean(seen)), 5) if seen else 0.0,
                in_front_of=[names[k] for k in one.in_front_of],
                cautions=one.cautions,
            )
        )
    height, width = frames.shape[1:3]
    return Objects(str(Path(info.source).absolute()), len(numbers), width, height, objects)


def _thumbnail(
    folder: Path, name: str, frames: np.ndarray, masks: np.ndarray, areas: list[float]
) -> None:
    """The frame in which most of an object is seen, what is around it darkened."""
    t = int(np.argmax(areas))
    inside_it = (np.array(masks[t]) > 127)[..., None]
    picture = np.where(inside_it, frames[t], frames[t] // 4)
    left, top, wide, high = cv2.boundingRect(inside_it[..., 0].astype(np.uint8))
    margin = round(0.25 * max(wide, high)) + 2
    part = picture[max(top - margin, 0) : top + high + margin]
    part = part[:, max(left - margin, 0) : left + wide + margin]
    scale = THUMBNAIL / max(part.shape[:2])
    size = max(round(part.shape[1] * scale), 1), max(round(part.shape[0] * scale), 1)
    small = cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_AREA)
    write_image(inside(folder, f"{THUMBNAILS}/{name}.png"), small)


def _check_free(folder: Path) -> None:
    if not there(folder.exists):
        return
    if not there(folder.is_dir):
        raise NvdError(f"{folder} is a file", remedy="choose another name for --out")
    names = {path.name for path in folder.iterdir() if not is_temporary(path.name)}
    names = {name for name in names - {LOCK, OWNER} if not name.startswith(SCRATCH)}
    if names:
        raise NvdError(
            f"{folder} is not empty",
            found=f"{min(names)} in it",
            remedy="choose another --out, or remove the folder yourself",
        )
