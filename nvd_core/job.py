"""What was asked of `nvd decompose`, kept in `job.json` so that `nvd resume` can go on with it."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from nvd_core.runtime.declared import (
    JSON,
    Declared,
    Fault,
    Name,
    PathText,
    read,
    text_like,
    within,
)
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.runtime.parts import split_name
from nvd_core.runtime.shown import shown

SCHEMA = "nvd.job"
VERSION = 1
MOST_FRAMES = 2**31 - 1
MOST_HEIGHT = 16384
MOST_SEED = 2**63 - 1
INVERTED = "!"
"""what a mask begins with whose white is all but the object; a path follows"""
DETECTED = "maskrcnn:"
"""what a mask begins with that is no path but a class, to be found"""
AUTO = "auto"
"""the garbage matte that is no path: what `priors.garbage_search` finds"""


def wanted_class(source: Path | str) -> str | None:
    """The class of a mask source `maskrcnn:CLASS`; None for any other."""
    text = str(source)
    return text.removeprefix(DETECTED) if text.startswith(DETECTED) else None


def mask_path(folder: Path, given: str) -> str:
    """The path of a mask, made absolute from `folder`, behind the ! that may stand before it."""
    if given.startswith(INVERTED) and not (folder / given).exists():
        return INVERTED + str(folder / given.removeprefix(INVERTED))
    return str(folder / given)


Frame = Annotated[int, within(-MOST_FRAMES, MOST_FRAMES)]
Device = Literal["auto", "cpu", "cuda"]
REFINING = "refining"
"""the stage of a job that is painted on at once"""
Stage = Literal["frames", "flow", "masks", "motion", "training", "refining"]


@dataclass
class Job(Declared):
    """One decomposition: its inputs, and the stages that are done."""

    source: PathText
    """absolute path of the movie, folder or pattern"""
    masks: list[Annotated[list[str], Meta(min_length=2, max_length=2)]] = field(
        default_factory=list
    )
    """[name, absolute path or maskrcnn:CLASS] an object, front to back; none: found by motion"""
    frames: Annotated[list[Frame], Meta(min_length=2, max_length=2)] | None = None
    """first and last source frame, counted from `start`; None: all"""
    height: Annotated[int, within(1, MOST_HEIGHT)] | None = None
    """height in pixels at which the clip is looked at; None: the plate's"""
    device: Device = "auto"
    """auto, cpu or cuda"""
    seed: Annotated[int, within(0, MOST_SEED)] = 0
    """decides every random number"""
    done: list[Stage] = field(default_factory=list)
    """stages that are finished"""
    clip: dict | None = None
    """a `media.clip_info.ClipInfo`, so that imported frames are enough; older files lack it"""
    mask_frames: list[int | None] | None = None
    """the working frame of each mask that is one image, None for others; older files lack it"""
    missing: Literal["error", "hold", "skip"] = "error"
    """what is done where the source's numbers have gaps; older files lack it"""
    rate: tuple[int, int] | None = None
    """frames a second as a fraction; None: the source's, or 24; older files lack it"""
    count_at: tuple[int, int] | None = None
    """steps a second by which a movie's frames are counted, as a fraction; None: its pictures are
    counted; older files lack it"""
    start: int | Literal["source"] | None = None
    """what frames count from; None: 0; older files lack it"""
    deinterlace: bool = False
    """whether whole frames are made of a movie's fields; older files lack it"""
    input_space: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """name of the source's colour space; None: as the source says; older files lack it"""
    ocio: PathText | None = None
    """the OpenColorIO configuration that has it, absolute path or ocio://; older files lack it"""
    hdr_white: Annotated[float, within(1, 10000)] | None = None
    """nits that are 1 of a space of HDR displays; None: OpenColorIO's 100; older files lack it"""
    plate_height: Annotated[int, within(1, MOST_HEIGHT)] | None = None
    """height of the frames that are kept and delivered; None: the source's; older files lack it:
    there `height` is meant"""
    garbage: PathText | None = None
    """absolute path of the garbage matte, or auto; None: none; lacking where there is none"""
    refines: PathText | None = None
    """absolute path of the folder whose edits are carried over; lacking where there is none"""
    goes_on: bool = False
    """whether training starts from the networks of `refines`; lacking where it does not"""
    at_once: bool = False
    """whether a draft is made first, which is refined while it is painted on; lacking where not"""
    parts: list[Annotated[list[str], Meta(min_length=2, max_length=2)]] = field(
        default_factory=list
    )
    """[layer.part, absolute path of its mask] a part, front to back; lacking without parts"""
    part_frames: list[int | None] | None = None
    """as `mask_frames`, of the parts; lacking where there are none"""
    found_parts: list[str] = field(default_factory=list)
    """layer.part of each part that was found by itself, front to back; lacking where there are
    none"""
    found: list[Name] | None = None
    """names of the objects that were found by their motion, front to back, once that is done;
    lacking where masks are given, and in older files: there it is one, called object"""
    background_alone: bool = False
    """whether no object is looked for where no mask is given; lacking where not"""
    needs_eye: dict[str, list[int]] = field(default_factory=dict)
    """by an object's name the frames, counted from 0, in which its carried mask was lost and looked
    for; lacking where there are none"""
    said: list[str] = field(default_factory=list)
    """what is to be said of masks, cuts and colour space, in words; older files lack it"""
    id: Annotated[str, text_like("[0-9a-f]{32}", "32 digits, 0 to f")] | None = None
    """what the user who began it knows it by (origin.py); older files lack it"""

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read `folder`/job.json; NvdError where it is not one of ours, whole and in range."""
        try:
            values = read_json(inside(folder, "job.json"))
            if not isinstance(values, dict):
                raise Unreadable(shown(values))
            written = values.pop("schema", None), values.pop("version", None)
            if written != (SCHEMA, VERSION):
                raise Unreadable(f"schema {shown(written[0], 40)} version {shown(written[1], 40)}")
            values.setdefault("plate_height", values.get("height"))
            job = read(cls, values, JSON)
            _check(job)
            return job
        except Unreadable as error:
            expected = f"schema {SCHEMA} version {VERSION}"
            raise _refusal(folder, expected, str(error)) from error
        except Fault as fault:
            words = {"unknown": "no other keys than its own", "missing": f"the key {fault.key}"}
            expected = words.get(fault.what, f"{fault.key} as {fault.expected}")
            found = fault.key if fault.what == "unknown" else fault.found
            raise _refusal(folder, expected, found) from fault

    def save(self, folder: Path) -> None:
        """Write `folder`/job.json."""
        values = dataclasses.asdict(self)
        for name in (
            "id",
            "garbage",
            "refines",
            "goes_on",
            "at_once",
            "background_alone",
            "needs_eye",
            "parts",
            "part_frames",
            "found_parts",
        ):
            if not values[name]:
                del values[name]
        if self.found is None:
            del values["found"]
        write_json(
            inside(folder, "job.json"),
            {"schema": SCHEMA, "version": VERSION} | values,
            durable=True,
        )


def _check(job: Job) -> None:
    """Fault for what the types alone do not say: names become names of folders."""
    for number, (name, source) in enumerate(job.masks):
        read(Name, name, JSON, f"masks[{number}][0]")
        read(PathText, source, JSON, f"masks[{number}][1]")
    for number, (name, source) in enumerate(job.parts):
        for word in split_name(name):
            read(Name, word, JSON, f"parts[{number}][0]")
        read(PathText, source, JSON, f"parts[{number}][1]")
    for number, name in enumerate(job.found_parts):
        for word in split_name(name):
            read(Name, word, JSON, f"found_parts[{number}]")
    names = [name.lower() for name in (*(name for name, _ in job.masks), *(job.found or ()))]
    if len(set(names)) < len(names) or "background" in names:
        raise Fault("masks", "range", "objects of different names, none background", names)
    if job.garbage and "garbage" in names:
        raise Fault("masks", "range", "no object called garbage beside a garbage matte", names)
    if job.goes_on and not job.refines:
        raise Fault("goes_on", "range", "the folder that it goes on from, as refines", "none")
    if job.frames and job.frames[0] > job.frames[1]:
        raise Fault("frames", "range", "the first frame, then the last", job.frames)
    if len(set(job.done)) < len(job.done):
        raise Fault("done", "range", "each stage once", job.done)


def _refusal(folder: Path, expected: str, found: str) -> NvdError:
    return NvdError(
        f"{folder} holds no decomposition that could be resumed",
        expected=f"a job.json with {expected}",
        found=found,
        remedy="give the folder that `nvd decompose --out` named",
    )
