"""What is said of cuts inside a clip: where they are, and the commands that take it apart."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nvd_core.job import Job
from nvd_core.media.clip_info import ClipInfo
from nvd_core.priors.cuts import Cut, shots_between
from nvd_core.settings import PRESETS, Settings, to_dict

_MOST_COMMANDS = 4
"""shots for which a command each is named"""
_MOST_CUTS = 12


def about_cuts(
    cuts: Sequence[Cut], job: Job, settings: Settings, info: ClipInfo, folder: Path
) -> list[str]:
    """Cautions about the cuts of the clip `info`, which `folder` is made of; none without cuts."""
    if not cuts:
        return []
    number = clip_numbers(job, info)
    places = [_place(cut, number) for cut in cuts[:_MOST_CUTS]]
    more = f", and {len(cuts) - _MOST_CUTS} more" if len(cuts) > _MOST_CUTS else ""
    apart = folder.with_name(f"{folder.stem}-shots")
    all_of_them = _command(job, settings, folder, _range(job), apart, shots=True)
    shots = [shot for shot in shots_between(cuts, info.frames) if shot[0] < shot[1]]
    single = ""
    if len(shots) <= _MOST_COMMANDS:
        words = [
            _command(
                job,
                settings,
                folder,
                (number[first], number[last]),
                folder.with_name(f"{folder.stem}-{n + 1:02d}{folder.suffix}"),
            )
            for n, (first, last) in enumerate(shots)
        ]
        single = f"; or one by one: {'; '.join(words)}"
    return [
        f"{'; '.join(places)}{more}: shots have nothing in common, and layers that are to hold "
        f"several of them come out smeared. Decompose them apart: {all_of_them}{single}"
    ]


def clip_numbers(job: Job, info: ClipInfo) -> Sequence[int]:
    """The number of each frame of the clip: as asked for, else the source's own, else from 0."""
    if isinstance(job.start, int):
        first = job.start + info.first_frame
        return range(first, first + info.frames)
    return info.own_numbers or range(info.first_frame, info.first_frame + info.frames)


def _place(cut: Cut, number: Sequence[int]) -> str:
    if cut.even:
        first, last = (number[t] for t in cut.even)
        what = f"frames {first}-{last} are" if first < last else f"frame {first} is"
        if cut.kind == "dissolve":
            return f"a dissolve between two shots ({what} mixed of both)"
        return f"a fade between two shots ({what} of one colour)"
    return f"a cut between {number[cut.frame - 1]} and {number[cut.frame]}"


def _range(job: Job) -> tuple[int, int] | None:
    return (job.frames[0], job.frames[1]) if job.frames else None


def _command(
    job: Job,
    settings: Settings,
    folder: Path,
    frames: tuple[int, int] | None,
    out: Path,
    shots: bool = False,
) -> str:
    """The command that does as `job`, with other frames and into another folder."""
    words = ["nvd", "decompose", job.source]
    start = job.start
    if shots:
        words.append("--shots")
    elif start is None and frames is not None:
        start = "source"  # the numbers of `clip_numbers`; of a movie they count from 0
    if frames:
        negative = frames[0] < 0
        words += [f"--frames={frames[0]}-{frames[1]}"] if negative else ["--frames", _dash(frames)]
    if start is not None:
        words += [f"--start={start}"]
    for name, path in job.masks:
        words += ["--mask", f"{name}={path}"]
    if job.height:
        words += ["--height", f"{job.height}"]
    if job.missing != "error":
        words += ["--missing", job.missing]
    if job.rate:
        words += ["--rate", "/".join(map(str, job.rate)) if job.rate[1] > 1 else f"{job.rate[0]}"]
    if job.count_at:
        words += ["--count-at", "/".join(map(str, job.count_at))]
    if job.plate_height:
        words += ["--plate-height", f"{job.plate_height}"]
    for option, value in (
        ("--garbage", job.garbage),
        ("--input-space", job.input_space),
        ("--ocio", job.ocio),
        ("--hdr-white", job.hdr_white and f"{job.hdr_white:g}"),
        ("--device", None if job.device == "auto" else job.device),
    ):
        words += [option, value] if value else []
    words += ["--deinterlace"] * job.deinterlace
    words += ["--seed", f"{job.seed}"] if job.seed else []
    words += _settings(settings, folder)
    words += ["--out", os.path.abspath(out)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _dash(frames: tuple[int, int]) -> str:
    return f"{frames[0]}-{frames[1]}"


def _settings(settings: Settings, folder: Path) -> list[str]:
    """The preset, where the settings are one's; else the file in the folder."""
    wanted = to_dict(settings)
    for name, preset in PRESETS.items():
        if to_dict(preset()) == wanted:
            return [] if name == "fast" else ["--preset", name]
    return ["--settings", os.path.abspath(folder / "settings.yaml")]
