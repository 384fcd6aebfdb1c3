"""What stands in the folder that `nvd decompose` is to write: nothing, the same job, or another's.

The same command may be given again: a finished decomposition is left as it is, an unfinished one
goes on. That holds only where clip, masks and settings are the same; the device may differ.
"""

from pathlib import Path

from nvd_core.job import REFINING, Job
from nvd_core.runtime.documents import read_json, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import is_temporary
from nvd_core.runtime.folder_lock import LOCK, OWNER
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import reading, there
from nvd_core.settings import BEFORE, PRESETS, Settings, load_settings, to_dict

JOB, SETTINGS, MANIFEST = "job.json", "settings.yaml", "manifest.json"
ERROR_LOG, COLOUR = "nvd-error.log", "colour"
_SAME = (
    *("source", "masks", "frames", "height", "plate_height", "seed"),
    *("missing", "rate", "count_at", "start", "deinterlace", "garbage"),
    *("input_space", "ocio", "hdr_white", "refines", "goes_on", "at_once", "background_alone"),
    "parts",
)
"""what two jobs must have in common to be the same, beside the settings"""
_MOST_NAMED = 5
_LONGEST = 80


def is_begun(folder: Path) -> bool:
    """Whether `folder` holds a decomposition, finished or not."""
    return any(there((folder / name).exists) for name in (JOB, MANIFEST))


def is_paintable(folder: Path) -> bool:
    """Whether the decomposition in `folder` can be opened: it is finished, or refined further."""
    return there((folder / MANIFEST).exists)


def is_refining(folder: Path) -> bool:
    """Whether `folder` can be painted on, and its job is to make it better still."""
    if not is_paintable(folder) or not there((folder / JOB).is_file):
        return False
    try:
        job = Job.load(folder)
    except NvdError:  # what is painted on does not depend on it
        return False
    return job.at_once and REFINING not in job.done


def is_finished(folder: Path) -> bool:
    """Whether the decomposition in `folder` is complete."""
    return is_paintable(folder) and not is_refining(folder)


def check_free(folder: Path) -> None:
    """NvdError where a folder without a decomposition holds what is not ours.

    What a run leaves that was killed before it noted its job counts as nothing: the lock, the
    settings, a colour space's conversion, and files half written. settings.yaml alone, without our
    lock, is somebody else's.
    """
    if not there(folder.exists):
        return
    if not there(folder.is_dir):
        raise NvdError(f"{folder} is a file", remedy="choose another name for --out")
    with reading(folder, "the folder", "choose another --out, or one that you may read"):
        names = {path.name for path in folder.iterdir() if not is_temporary(path.name)}
    if LOCK in names:
        names -= {LOCK, OWNER, SETTINGS, ERROR_LOG, COLOUR}
    if names:
        raise NvdError(
            f"{folder} is not empty",
            found=f"{min(names)} in it",
            remedy="choose another --out, or empty it",
        )


def check_same(folder: Path, job: Job, settings: Settings) -> Job:
    """The job of the decomposition in `folder`; NvdError where it is not `job` with `settings`.

    The error names what differs, with both values.
    """
    known = Job.load(folder)
    standing = _comparable(known, load_settings(inside(folder, SETTINGS)))
    asked = _comparable(job, settings)
    height = (known.clip or {}).get("source_height")
    for values in (standing, asked):  # the source's own height is the same as none
        if values["plate_height"] == height:
            values["plate_height"] = None
    if job.plate_height is None and "plate_height" not in read_json(inside(folder, JOB)):
        # begun when there was one height: the same command is the same job, and stays what it was
        asked["plate_height"] = standing["plate_height"]
    if standing.get("windows") == 1 and asked.get("windows") == "auto":
        # one was the default before they were found by themselves; what was begun stays what it was
        asked["windows"] = 1
    own = to_dict(PRESETS[settings.preset]())
    for name in BEFORE.keys() - (read_yaml(inside(folder, SETTINGS)) or {}).keys():
        if asked[name] == own[name]:  # begun before there was a choice
            asked[name] = standing[name]
    differing = [k for k in standing | asked if standing.get(k) != asked.get(k)]
    if not differing:
        return known
    state = "a finished" if is_finished(folder) else "an unfinished"
    go_on = "" if is_finished(folder) else f"go on with it by `nvd resume {folder}`, "
    named = [_shown(k, standing.get(k), asked.get(k)) for k in differing[:_MOST_NAMED]]
    more = [f"{len(differing) - len(named)} more"] if len(differing) > len(named) else []
    raise NvdError(
        f"{folder} holds {state} decomposition, of another job",
        expected="the same source, masks, frames, height, seed and settings",
        found="; ".join(named + more),
        remedy=f"{go_on}choose another --out, or remove the folder yourself",
    )


def _comparable(job: Job, settings: Settings) -> dict:
    """What makes a job, by dotted names."""
    values = {name: getattr(job, name) for name in _SAME}
    for kind in ("masks", "parts"):
        values[kind] = [f"{name}={source}" for name, source in getattr(job, kind)]
    return values | _flat(to_dict(settings))


def _flat(values: dict, prefix: str = "") -> dict:
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _shown(name: str, there: object, asked: object) -> str:
    """Both values of a name, cut."""
    there, asked = (
        ", ".join(v) if isinstance(v, list) and name in ("masks", "parts") else v
        for v in (there, asked)
    )
    return f"{name}: {_cut(there)} there, {_cut(asked)} asked for"


def _cut(value: object) -> str:
    """The end of long values tells paths apart."""
    text = "none" if value is None or value == "" else str(value)
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"
