"""Jobs that decompose a clip, for scripts and for the panel.

job = decompose("/clips/shot.mp4", "/clips/shot.nvd", masks=[("dog", "/clips/dog")])
wait(job)                                   # only in a script: it holds Blender up
open_shot(job.out)
"""

import os
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import bpy

from ..blender.storage import jobs_folder
from ..engine.find import find_engine, probe_command
from ..errors import AddonError
from ..jobs.job import Job, new_name
from ..jobs.process import engine_command
from ..jobs.runner import runner

HDR_WHITE = 203
"""nits that Blender 5 makes 1 of PQ and HLG; before it had no such spaces"""
PRESETS = ("draft", "fast", "fine", "paper")
MISSING = ("error", "hold", "skip")
DEVICES = ("auto", "cpu", "cuda")
TEXTURE_SIZES = (1, 2, 4)


NO_WINDOWS: Mapping[str, int | str] = {}
BACKGROUND = "background"
REST = "rest"
"""what the engine calls the part that the others leave"""


def scene_rate(scene: bpy.types.Scene) -> str:
    """Frames a second of a scene, as `nvd decompose --rate` reads them."""
    render = scene.render
    # Blender keeps the base in single precision: 1.001 comes out as 1.00100004673
    rate = render.fps / Fraction(render.fps_base).limit_denominator(10_000)
    if max(rate.numerator, rate.denominator) > 999_999:  # six digits each
        rate = rate.limit_denominator(1_000)
    return f"{rate.numerator}/{rate.denominator}" if rate.denominator > 1 else f"{rate.numerator}"


def decompose(
    source: str | Path,
    out: str | Path,
    *,
    masks: Sequence[tuple[str, str | Path]] = (),
    parts: Sequence[tuple[str, str | Path]] = (),
    frames: tuple[int, int] | None = None,
    height: int | None = None,
    plate_height: int | None = None,
    texture_size: int = 1,
    mask_margin: int = 0,
    windows: Mapping[str, int | str] = NO_WINDOWS,
    find_parts: bool | Sequence[str] = (),
    preset: str = "fast",
    device: str = "auto",
    settings: str | Path = "",
    rate: str = "",
    count_at: str = "",
    start: str | int | None = None,
    missing: str = "error",
    deinterlace: bool = False,
    garbage: str | Path = "",
    shots: bool = False,
    at_once: bool = False,
    python: Path | None = None,
    space: tuple[str, str | Path] | None = None,
) -> Job:
    """Queue the decomposition of `source` into the new folder `out`; returns its job at once.

    source: movie, folder of images, or pattern such as shot.%04d.exr.
    masks: (name, path) an object, front to back; none: what moves is found by itself.
    parts: (layer.part, path) a part that moves by itself, of an object or the background.
    frames: first and last frame of the source, counted from 0. height: lines at which the clip is
    looked at; all. plate_height: lines of the frames that are kept and rendered; the source's.
    texture_size: 1, 2 or 4 times as wide and high as `height` asks for are the textures.
    mask_margin: pixels by which the masks' outlines may be off; there the picture decides.
    windows: how many views an object that turns has in time, by its name, or by "" all of them; of
        others, and where it is auto, its tracks say.
    find_parts: objects in whose outlines limbs are looked for, to be parts; True: in all.
    space: a colour space and the OpenColorIO configuration (a file) that has it; None: what the
    source says. settings: a YAML file for the training. rate: frames a second, such as 25 or
    30000/1001, where the source names none (`scene_rate`). count_at: the rate at which a movie's
    frames are counted by time, as Blender does (`movie_rate`). start: what `frames` count from, a
    number or "source" for the files' own. missing: "error", "hold" or "skip" where numbers are.
    deinterlace: make whole frames of a movie's fields. garbage: a mask of what is to be ignored, or
    "auto". shots: decompose each shot of the clip, into folders within `out`. at_once: make a draft
    first, which is refined while it is painted on. python: the engine's;
    `find_engine` finds it.
    """
    job = decompose_job(
        source,
        out,
        masks=masks,
        parts=parts,
        frames=frames,
        height=height,
        plate_height=plate_height,
        texture_size=texture_size,
        mask_margin=mask_margin,
        windows=windows,
        find_parts=find_parts,
        preset=preset,
        device=device,
        settings=settings,
        rate=rate,
        count_at=count_at,
        start=start,
        missing=missing,
        deinterlace=deinterlace,
        garbage=garbage,
        shots=shots,
        at_once=at_once,
        python=python,
        space=space,
    )
    return runner.queue_job(job)


def decompose_job(
    source: str | Path,
    out: str | Path,
    *,
    masks: Sequence[tuple[str, str | Path]] = (),
    parts: Sequence[tuple[str, str | Path]] = (),
    frames: tuple[int, int] | None = None,
    height: int | None = None,
    plate_height: int | None = None,
    texture_size: int = 1,
    mask_margin: int = 0,
    windows: Mapping[str, int | str] = NO_WINDOWS,
    find_parts: bool | Sequence[str] = (),
    preset: str = "fast",
    device: str = "auto",
    settings: str | Path = "",
    rate: str = "",
    count_at: str = "",
    start: str | int | None = None,
    missing: str = "error",
    deinterlace: bool = False,
    garbage: str | Path = "",
    shots: bool = False,
    at_once: bool = False,
    python: Path | None = None,
    space: tuple[str, str | Path] | None = None,
    before: Sequence[dict] = (),
    copies: Sequence[tuple[str, str]] = (),
    name: str = "",
    about: dict | None = None,
) -> Job:
    """The job of `decompose`, not queued yet. `before` are steps that make its input, `copies`
    files for it, `name` that of its folder, where those go into it, `about` what to keep with it.
    """
    python = python or find_engine().python
    out = Path(os.path.abspath(out))
    if (out / "manifest.json").is_file():
        raise AddonError(
            f"{out} holds a finished decomposition",
            "open it, or choose another folder for the new one",
            "nvd.open_shot",
        )
    chosen = (preset, PRESETS), (device, DEVICES), (missing, MISSING), (texture_size, TEXTURE_SIZES)
    for value, choices in chosen:
        if value not in choices:
            raise ValueError(f"expected one of {choices}, found {value!r}")
    check_parts([part for part, _ in parts], [*dict(masks), BACKGROUND], windows, shots)
    for thing in () if isinstance(find_parts, bool) else find_parts:
        _check_one_kind(thing, windows)
    words = ["decompose", source, "--out", out]
    for mask_name, path in masks:
        words += ["--mask", f"{mask_name}={path}"]
    for part_name, path in parts:
        words += ["--part", f"{part_name}={path}"]
    if frames:  # one word, as a negative number would be taken for an option
        range_ = f"{frames[0]}-{frames[1]}"
        words += [f"--frames={range_}"] if frames[0] < 0 else ["--frames", range_]
    if height:
        words += ["--height", height]
    if plate_height:
        words += ["--plate-height", plate_height]
    if texture_size != 1:
        words += ["--texture-size", texture_size]
    if mask_margin:
        words += ["--mask-margin", mask_margin]
    for thing, count in windows.items():
        words += ["--windows", f"{thing}={count}" if thing else count]
    if isinstance(find_parts, bool):
        words += ["--find-parts"] * find_parts
    else:
        words += [word for thing in find_parts for word in ("--find-parts-of", thing)]
    if space:
        words += ["--input-space", space[0], "--ocio", space[1], "--hdr-white", HDR_WHITE]
    if settings:
        words += ["--settings", settings]
    if rate:
        words += ["--rate", rate]
    if count_at:
        words += ["--count-at", count_at]
    if start is not None:
        words += ["--start", start]
    if missing != "error":
        words += ["--missing", missing]
    if garbage:
        words += ["--garbage", garbage]
    words += ["--deinterlace"] * deinterlace + ["--shots"] * shots + ["--at-once"] * at_once
    if not (settings and names_preset(settings)):  # two that differ are refused
        words += ["--preset", preset]
    words += ["--device", device]
    return making_job(python, out, words, before=before, copies=copies, name=name, about=about)


def check_parts(
    parts: Sequence[str],
    layers: Sequence[str],
    windows: Mapping[str, int | str],
    shots: bool = False,
) -> None:
    """AddonError where parts, named layer.part, cannot be: said before anything is computed."""
    if parts and shots:
        raise AddonError("parts are of one shot", "switch Several Shots off, or remove the parts")
    for name in parts:
        layer, _, part = name.partition(".")
        if layer not in layers:
            raise AddonError(
                f"{name} is a part of {layer or 'no layer'}, which there is not",
                f"name it after one of {', '.join(layers)}, as LAYER.PART",
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]+", part):
            raise AddonError(
                f"{part!r} cannot be the name of a part of {layer}",
                "use letters, digits, _ and - only, such as leg or left_arm",
            )
        if part.lower() == REST:
            raise AddonError(
                f"no part can be called {REST}: that is what the others leave",
                "give the part another name",
            )
        if [other.lower() for other in parts].count(name.lower()) > 1:
            raise AddonError(f"two parts are called {name}", "give each a name of its own")
        _check_one_kind(layer, windows)


def _check_one_kind(layer: str, windows: Mapping[str, int | str]) -> None:
    """AddonError where a layer that has parts, or may get some, is to have views in time too."""
    views = windows.get(layer, 0 if layer == BACKGROUND else windows.get("", 0))
    if isinstance(views, int) and views > 1:
        raise AddonError(
            f"{layer} is to have parts and views in time",
            "set its Views in Time to 0 or 1, or remove its parts and Find Parts",
        )


def making_job(
    python: Path,
    out: Path,
    words: Sequence,
    *,
    before: Sequence[dict] = (),
    copies: Sequence[tuple[str, str]] = (),
    name: str = "",
    about: dict | None = None,
) -> Job:
    """The job of an engine's command that makes the decomposition `out`, not queued yet; the rest
    as of `decompose_job`. Begun before, it goes on by `nvd resume`.
    """
    probe = {"title": "engine", "command": probe_command(python)}
    command = engine_command(python, *words)
    resume = engine_command(python, "resume", out)  # of several shots it is the same command again
    return Job.create(
        jobs_folder(),
        title=out.stem,
        kind="decompose",
        python=python,
        steps=[probe, *before, {"title": "starting", "command": command}],
        resume_steps=[probe, {"title": "starting", "command": resume}],
        copies=copies,
        out=out,
        name=name or new_name(),
        about=about,
    )


def names_preset(settings: str | Path) -> bool:
    """Whether a settings file says itself which preset it starts from."""
    try:
        with open(settings, encoding="utf-8", errors="replace") as file:
            return re.search(r"^preset\s*:", file.read(1 << 20), re.MULTILINE) is not None
    except OSError:  # the engine says what is wrong with it
        return False


def resume_folder(out: str | Path, python: Path | None = None, *, yes: bool = False) -> Job:
    """Queue what is left of an unfinished decomposition folder, whoever began it.

    A folder from elsewhere may name any file as its source: the job fails and says which, unless
    `yes` lets it read them.
    """
    out = Path(os.path.abspath(out))
    known = next((job for job in runner.queue.jobs if Path(job.out) == out), None)
    if known is not None:
        (known.resume_anyway if yes else known.queue_again)()
        return runner.queue_job(known)
    if not (out / "job.json").is_file():
        raise AddonError(
            f"{out} holds no unfinished decomposition", "choose the folder that was being made"
        )
    python = python or find_engine().python
    command = engine_command(python, "resume", out, *["--yes"] * yes)
    job = Job.create(
        jobs_folder(),
        title=out.stem,
        kind="decompose",
        python=python,
        steps=[
            {"title": "engine", "command": probe_command(python)},
            {"title": "starting", "command": command},
        ],
        out=out,
    )
    return runner.queue_job(job)
