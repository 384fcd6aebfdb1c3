"""A list of clips and settings to run: the YAML file of `nvd reproduce`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nvd_core.job import AUTO, MOST_HEIGHT, MOST_SEED, Job, mask_path, wanted_class
from nvd_core.runtime.declared import Fault, Name, PathText, kinds_of, read, text_like, within
from nvd_core.runtime.documents import Unreadable, read_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.shown import shown
from nvd_core.settings import Preset, Settings, settings_from


@dataclass(frozen=True)
class ClipEntry:
    """What a list says of a clip."""

    source: PathText
    masks: dict[str, PathText] | None = None
    """a mask sequence, movie, image or maskrcnn:CLASS an object, front to back"""
    garbage: PathText | None = None
    """as a mask, or auto: what is stuck to the lens or burnt in"""
    frames: Annotated[str, text_like(r"\d{1,9}-\d{1,9}", "A-B with A < B")] | None = None
    height: Annotated[int, within(1, MOST_HEIGHT)] | None = None
    truth: PathText | None = None
    tracks: PathText | None = None


@dataclass(frozen=True)
class RunList:
    """The whole file; a variant's settings are checked by `settings`."""

    clips: dict[Name, ClipEntry]
    variants: dict[Name, dict | None] | None = None
    preset: Preset = "fast"
    seed: Annotated[int, within(0, MOST_SEED)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    lpips: PathText | None = None


@dataclass(frozen=True)
class Run:
    """One clip with one variant of the settings."""

    clip: str
    variant: str
    job: Job
    settings: Settings
    against: dict[str, Path]
    """what `evaluate` is given besides the shot: truth, tracks, lpips"""


def load_run_list(path: Path | str) -> list[Run]:
    """Every clip with every variant, clip by clip, of the file `path`.

    Paths in it are relative to it. Whether they lead anywhere is left to the runs: one bad clip
    does not keep the others. NvdError for anything unknown or out of range, settings included.
    """
    path = Path(path)
    try:
        listed = read(RunList, read_yaml(path))
    except Unreadable as error:
        raise _bad(path, "a YAML file of clips and variants", str(error)) from error
    except Fault as fault:
        raise _bad(path, _wanted(fault), fault.found) from fault
    variants = listed.variants or {"default": None}
    for what, names in (("clips", list(listed.clips)), ("variants", list(variants))):
        if not names:
            raise _bad(path, f"{what}: and under it a name for each", "none")
        if len({name.lower() for name in names}) < len(names):
            expected = f"names in {what} that differ in more than upper and lower case"
            raise _bad(path, expected, shown(names))
    folder = path.parent.resolve()
    lpips = {"lpips": folder / listed.lpips} if listed.lpips else {}
    runs = []
    for clip, entry in listed.clips.items():
        job = _job(path, clip, entry, listed)
        given = {"truth": entry.truth, "tracks": entry.tracks}
        against = {name: folder / place for name, place in given.items() if place} | lpips
        for variant, changes in variants.items():
            place = f"variants.{variant} of {path}"
            settings = settings_from(changes or {}, listed.preset, place)
            runs.append(Run(clip, variant, job, settings, against))
    return runs


def _wanted(fault: Fault) -> str:
    """What the list should have had, in words."""
    outer = fault.key.rpartition(".")[0]
    if fault.what not in ("missing", "unknown"):
        return f"{fault.key or 'the file'} as {fault.expected}"
    if not outer:
        return f"only {', '.join(sorted(kinds_of(RunList)))}, clips in any case"
    near = f", such as {fault.expected}" if fault.what == "unknown" and fault.expected else ""
    others = sorted(kinds_of(ClipEntry).keys() - {"source"})
    return f"{outer} with a source, and of {', '.join(others)}{near}"


def _job(path: Path, clip: str, entry: ClipEntry, listed: RunList) -> Job:
    frames = [int(number) for number in entry.frames.split("-")] if entry.frames else None
    if frames and frames[0] >= frames[1]:
        raise _bad(path, f"clips.{clip}.frames as A-B with A < B", entry.frames)
    folder = path.parent.resolve()
    return Job(
        source=str(folder / entry.source),
        masks=[
            [name, mask if wanted_class(mask) else mask_path(folder, mask)]
            for name, mask in (entry.masks or {}).items()
        ],
        garbage=_garbage(folder, entry.garbage),
        frames=frames,
        height=entry.height,
        plate_height=entry.height,  # figures are of the size they are told for
        device=listed.device,
        seed=listed.seed,
    )


def _garbage(folder: Path, given: str | None) -> str | None:
    return given if given in (None, AUTO) else mask_path(folder, given)


def _bad(path: Path, expected: str, found: str) -> NvdError:
    return NvdError(
        f"cannot use the list {path}",
        expected=expected,
        found=found,
        remedy="correct the file; docs/reference/reproduce.md describes it",
    )
