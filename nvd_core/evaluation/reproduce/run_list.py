"""A list of clips and settings to run: the YAML file of `nvd reproduce`."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from nvd_core.job import Job
from nvd_core.priors.mask_rcnn import wanted_class
from nvd_core.runtime.devices import DEVICES
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import Settings, settings_from

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LIST = {"clips", "variants", "preset", "seed", "device", "lpips"}
_CLIP = {"source", "masks", "frames", "height", "truth", "tracks"}


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
    does not keep the others. NvdError for anything unknown or mistyped, unknown settings included.
    """
    path = Path(path)
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _bad(path, "a YAML file of clips and variants", str(error).splitlines()[0]) from error
    if not isinstance(value, dict) or not set(value) <= _LIST:
        raise _bad(path, f"only {', '.join(sorted(_LIST))}", value)
    clips = _named(path, "clips", value.get("clips"))
    variants = _named(path, "variants", value.get("variants", {"default": {}}))
    seed, device = value.get("seed", 0), value.get("device", "auto")
    if type(seed) is not int or seed < 0:
        raise _bad(path, "a seed of 0 or more", seed)
    if device not in DEVICES:
        raise _bad(path, f"a device of {', '.join(DEVICES)}", device)
    lpips = _against(path, "", value, "lpips")
    runs = []
    for clip, entry in clips.items():
        job = _job(path, clip, entry, seed, device)
        against = _against(path, f"clips.{clip}.", entry, "truth", "tracks") | lpips
        for variant, changes in variants.items():
            settings = settings_from(changes, value.get("preset", "fast"))
            runs.append(Run(clip, variant, job, settings, against))
    return runs


def _named(path: Path, what: str, value: object) -> dict[str, dict]:
    """A dictionary of dictionaries whose keys can name a folder; None stands for an empty one."""
    if not isinstance(value, dict) or not value:
        raise _bad(path, f"{what}: and under it a name for each", value)
    for name, entry in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _bad(path, f"names in {what} of letters, digits, _ and - only", name)
        if not isinstance(entry, dict | None):
            raise _bad(path, f"name: value lines under {what}.{name}", entry)
    if len({name.lower() for name in value}) < len(value):
        raise _bad(
            path, f"names in {what} that differ in more than upper and lower case", list(value)
        )
    return {name: entry or {} for name, entry in value.items()}


def _against(path: Path, prefix: str, entry: dict, *names: str) -> dict[str, Path]:
    """Those of the `names` that the entry has, as paths."""
    given = {name: entry[name] for name in names if entry.get(name) is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            raise _bad(path, f"{prefix}{name} as a path", value)
    return {name: path.parent.resolve() / value for name, value in given.items()}


def _job(path: Path, clip: str, entry: dict, seed: int, device: str) -> Job:
    if not isinstance(entry.get("source"), str) or not set(entry) <= _CLIP:
        raise _bad(
            path,
            f"clips.{clip} with a source, and of {', '.join(sorted(_CLIP - {'source'}))}",
            entry,
        )
    masks = entry.get("masks") or {}
    if not isinstance(masks, dict) or not all(isinstance(v, str) for v in masks.values()):
        raise _bad(path, f"clips.{clip}.masks as NAME: PATH lines, front to back", masks)
    frames, height = entry.get("frames"), entry.get("height")
    match = re.fullmatch(r"(\d+)-(\d+)", frames) if isinstance(frames, str) else None
    if frames is not None and not (match and int(match[1]) < int(match[2])):
        raise _bad(path, f"clips.{clip}.frames as A-B with A < B", frames)
    if height is not None and type(height) is not int:
        raise _bad(path, f"a whole number for clips.{clip}.height", height)
    folder = path.parent.resolve()
    return Job(
        source=str(folder / entry["source"]),
        masks=[
            [str(name), mask if wanted_class(mask) else str(folder / mask)]
            for name, mask in masks.items()
        ],
        frames=[int(match[1]), int(match[2])] if match else None,
        height=height,
        device=device,
        seed=seed,
    )


def _bad(path: Path, expected: str, found: object) -> NvdError:
    return NvdError(
        f"cannot use the list {path}",
        expected=expected,
        found=str(found)[:80],
        remedy="correct the file; docs/reference/reproduce.md describes it",
    )
