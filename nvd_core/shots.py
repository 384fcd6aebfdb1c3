"""Several shots in one clip: each is decomposed into a folder of its own.

`shots.json` beside these folders says which frames are which shot, so that the same command goes on
where it was stopped without looking for cuts again.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from nvd_core.begun import is_begun
from nvd_core.job import Frame, Job
from nvd_core.job_clip import clip_of
from nvd_core.media.numbering import counted_from
from nvd_core.pipeline import DECOMPOSE, decompose
from nvd_core.priors.cuts import find_cuts, shots_between
from nvd_core.priors.masks import MaskSource, load_masks
from nvd_core.runtime.declared import JSON, Fault, read
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write, is_temporary, write_json
from nvd_core.runtime.folder_lock import LOCK, OWNER, writing
from nvd_core.runtime.inside import inside
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import there
from nvd_core.settings import Settings, check_settings

SHOTS = "shots.json"
SCHEMA, VERSION = "nvd.shots", 1
_SAME = ("source", "frames", "start", "missing", "deinterlace")
"""what decides where the cuts are"""


@dataclass(frozen=True)
class _Shot:
    name: str
    first: Frame
    """first frame, counted as --frames counts"""
    last: Frame
    masks: list[Annotated[list[str], Meta(min_length=2, max_length=2)]] = field(
        default_factory=list
    )
    """those of the job's masks that have something of this shot"""


def decompose_shots(folder: Path, job: Job, settings: Settings, progress: Progress) -> dict:
    """Decompose every shot of `job.source` into `folder`/shot-01.nvd and so on.

    The same job again goes on where it stopped. A shot that is refused does not keep the others
    from being made; NvdError in the end. NvdError at once where the folder holds anything else.
    """
    started = time.monotonic()
    folder = Path(folder)
    check_settings(settings)
    _check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with writing(folder, f"{DECOMPOSE} --shots", progress):
        _check_folder(folder)
        shots = _known(folder, job)
        if shots is None:
            shots = _find(job, progress)
            _note(folder, job, shots)
        found, failed = _decompose_each(folder, job, settings, shots, progress)
    if failed:
        raise NvdError(
            f"{len(failed)} of {len(shots)} shots could not be decomposed",
            found=", ".join(failed),
            remedy="see what was said of them, and run the command again; the others are done",
        )
    return {
        "folder": str(folder),
        "shots": {shot.name: f"{shot.first}-{shot.last}" for shot in shots},
        "seconds": round(time.monotonic() - started, 1),
        "cautions": found,
    }


def _decompose_each(
    folder: Path, job: Job, settings: Settings, shots: Sequence[_Shot], progress: Progress
) -> tuple[list[str], list[str]]:
    """The cautions about all shots, and the names of those that were refused."""
    cautions, failed = [], []
    for shot in shots:
        with progress.of_shot(shot.name):
            own = replace(job, frames=[shot.first, shot.last], masks=shot.masks)
            if job.masks and not shot.masks:
                progress.message("no mask is of this shot: what moves is found by itself")
            try:
                facts = decompose(folder / f"{shot.name}.nvd", own, settings, progress)
            except NvdError as error:
                progress.caution(f"refused: {error}. What to do: {error.remedy}")
                failed.append(shot.name)
                continue
            cautions += [f"{shot.name}: {text}" for text in facts["cautions"]]
    return cautions, failed


def _find(job: Job, progress: Progress) -> list[_Shot]:
    """Look through the clip for its shots."""
    clip = clip_of(job)
    for note in clip.notes:
        progress.message(note)
    info = clip.info
    masks = load_masks([(name, path) for name, path in job.masks], info)
    progress.stage("cuts", info.frames)
    with closing(clip.stored()) as stored:
        frames = (clip.looked_at(frame) for frame in stored)
        cuts = find_cuts(frames, progress.update)
    number = counted_from(job.start, clip.source_numbers, info.source_frames)
    found = shots_between(cuts, info.frames)
    long = [shot for shot in found if shot[0] < shot[1]]
    for first, last in found:
        if first == last:
            at = number[info.first_frame + first]
            progress.caution(f"frame {at} is a shot by itself: it is left out, as nothing moves")
    digits = max(2, len(str(len(long))))
    shots = []
    for n, (first, last) in enumerate(long):
        ends = [number[info.first_frame + t] for t in (first, last)]
        own = _masks_of(job, masks, first, last)
        shots.append(_Shot(f"shot-{n + 1:0{digits}d}", ends[0], ends[1], own))
        _check_masks(replace(job, frames=ends, masks=own), masks, job, first)
    several = f"{len(shots)} shots" if len(shots) > 1 else "one shot, without a cut"
    listed = ", ".join(f"{shot.first}-{shot.last}" for shot in shots)
    progress.message(f"{several}: {listed}")
    return shots


def _masks_of(
    job: Job, masks: Sequence[MaskSource | None], first: int, last: int
) -> list[list[str]]:
    """The job's masks that are of frames `first` to `last`, or of no file (to be detected)."""
    return [
        [name, path]
        for (name, path), mask in zip(job.masks, masks, strict=True)
        if mask is None or any(first <= t <= last for t in mask.given)
    ]


def _check_masks(own: Job, whole: Sequence[MaskSource | None], job: Job, first: int) -> None:
    """NvdError where a shot by itself would take other masks for its frames than the whole does."""
    opened = load_masks([(name, path) for name, path in own.masks], clip_of(own).info)
    by_name = {name: mask for (name, _), mask in zip(job.masks, whole, strict=True)}
    for (name, path), mask in zip(own.masks, opened, strict=True):
        of_all = by_name[name]
        if mask is None or of_all is None:
            continue
        if any(mask.index_of(t) != of_all.index_of(first + t) for t in mask.given):
            raise NvdError(
                f"the masks of {name} cannot be told apart by shot",
                found=path,
                remedy="number the masks as the clip's frames are, or give one for every frame of "
                "the source",
            )


def _check_folder(folder: Path) -> None:
    """NvdError where the folder holds anything but shots that were begun here."""
    if not there(folder.exists):
        return
    if not there(folder.is_dir):
        raise NvdError(f"{folder} is a file", remedy="choose another name for --out")
    if is_begun(folder):
        raise NvdError(
            f"{folder} is a decomposition of one shot",
            expected="a folder for the decompositions of several",
            remedy="choose another --out, or leave out --shots",
        )
    names = {path.name for path in folder.iterdir() if not is_temporary(path.name)}
    if not names - {LOCK, OWNER} or SHOTS in names:
        return
    raise NvdError(
        f"{folder} is not empty",
        found=f"{min(names)} in it",
        remedy="choose another --out, or empty it",
    )


def _asked(job: Job) -> dict:
    values = {name: getattr(job, name) for name in _SAME}
    if job.count_at:  # older files lack it
        values["count_at"] = list(job.count_at)
    return values | {"masks": [list(mask) for mask in job.masks]}


def _note(folder: Path, job: Job, shots: Sequence[_Shot]) -> None:
    noted = {"schema": SCHEMA, "version": VERSION, "of": _asked(job)}
    write_json(
        inside(folder, SHOTS), noted | {"shots": [asdict(shot) for shot in shots]}, durable=True
    )


def _known(folder: Path, job: Job) -> list[_Shot] | None:
    """The shots that an earlier run found; None where there was none. NvdError: another clip's."""
    path = inside(folder, SHOTS)
    if not there(path.exists):
        return None
    try:
        noted = read_json(path)
        if not isinstance(noted, dict) or (noted.get("schema"), noted.get("version")) != (
            SCHEMA,
            VERSION,
        ):
            raise Unreadable("no list of shots")
        shots = read(list[_Shot], noted.get("shots"), JSON)
    except (Unreadable, Fault) as error:
        raise NvdError(
            f"{path} is damaged",
            found=str(error),
            remedy="remove it, and run the command again: the clip is looked through anew",
        ) from error
    asked, known = _asked(job), noted.get("of")
    if known != asked:
        differ = [k for k in asked if not isinstance(known, dict) or known.get(k) != asked[k]]
        raise NvdError(
            f"{folder} holds the shots of another job",
            expected="the same source, frames and masks",
            found=f"other {', '.join(differ)}",
            remedy="choose another --out, or remove the folder yourself",
        )
    return shots
