"""The manifest of a decomposition folder: what is there, checked key by key on reading.

docs/reference/decomposition-folder.md describes every key; a test compares it with the
dataclasses below.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

import nvd_core
from nvd_core.media import primaries
from nvd_core.media.analysis import AnalysisSize
from nvd_core.media.conversion import known_in
from nvd_core.media.numbering import from_text
from nvd_core.media.picture import PLAIN, Picture, as_json
from nvd_core.media.sequences import frame_path
from nvd_core.media.timeline import Timeline
from nvd_core.runtime.declared import JSON, OPTIONAL, Fault, Name, read, within
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.runtime.parts import MOST_PARTS
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES, MOST_LAYERS, rate_fits
from nvd_core.runtime.sizes import MOST_PIXELS as MOST_IN_IMAGE
from nvd_core.runtime.time_windows import Window, covers

SCHEMA = "nvd.decomposition"
VERSION = 6
MANIFEST = "manifest.json"
JOB = "job.json"
FIRST_FRAMES = 2**31 - 1
MOST_TEXT = 1 << 20
"""letters of a clip's numbers"""
MOST_PIXELS = 2**24
"""along a side; texture coordinates are counted in float32"""


def _with_picture(value: dict) -> dict:
    """Version 1 knew opaque, square pixels of Rec.709 only."""
    clip = value.get("clip")
    if not isinstance(clip, dict):
        return value
    return value | {"clip": clip | {"picture": as_json(PLAIN)}}


def _with_numbers(value: dict) -> dict:
    """Version 2 did not know the source's own numbers."""
    clip = value.get("clip")
    return value | {"clip": clip | {"numbers": None}} if isinstance(clip, dict) else value


def _as_it_is(value: dict) -> dict:
    """Version 3 knew no plates that are larger than what was looked at, 4 no windows in time, 5 no
    parts."""
    return value


UPGRADES: dict[int, Callable[[dict], dict]] = {
    1: _with_picture,
    2: _with_numbers,
    3: _as_it_is,
    4: _as_it_is,
    5: _as_it_is,
}
"""by the version that they read: functions from a manifest's JSON to that of the next version"""

Share = Annotated[float, within(0, 1)]
TextureSize = Literal[1, 2, 4]
"""how many times the textures are larger than the size that was looked at asks for"""
_ENCODINGS = {8: "display", 16: "display", "half": "linear", "float": "linear"}
_LONGEST_NAME = 255
_AGAIN = "make the folder again with `nvd decompose`"


@dataclass(frozen=True)
class ClipRecord:
    """The clip as it was decomposed."""

    source: str
    first_frame: Annotated[int, within(0, FIRST_FRAMES)]
    frames: Annotated[int, within(1, MOST_FRAMES)]
    width: Annotated[int, within(1, MOST_PIXELS)]
    height: Annotated[int, within(1, MOST_PIXELS)]
    rate: tuple[int, int]
    bit_depth: int | str
    encoding: str
    picture: Picture = PLAIN
    numbers: Annotated[str, Meta(max_length=MOST_TEXT)] | None = None
    timeline: Timeline | None = field(default=None, metadata=OPTIONAL)
    analysis: AnalysisSize | None = field(default=None, metadata=OPTIONAL)

    @property
    def looked_at(self) -> AnalysisSize:
        """The size that the networks count in: the plate's own, or smaller."""
        return self.analysis or AnalysisSize(self.width, self.height)

    @property
    def analysis_pixel(self) -> float:
        """How many of the plate's pixels are as wide as one that was looked at: 1 or more."""
        return self.height / self.looked_at.height

    @property
    def is_linear(self) -> bool:
        """Whether renderers work on linear floating point: `media.working` makes it of frames."""
        return self.encoding == "linear" or self.picture.space is not None


@dataclass(frozen=True)
class PartRecord:
    """A part of a layer, which moves by itself."""

    name: Name
    box: tuple[Share, Share, Share, Share]
    """left, top, right and bottom of the texture's part that is its own, as shares of 1"""


@dataclass(frozen=True)
class LayerRecord:
    """One layer: its name and its images."""

    name: Name
    kind: str
    texture: str
    edit: str
    texture_width: Annotated[int, within(1, MOST_PIXELS)]
    texture_height: Annotated[int, within(1, MOST_PIXELS)]
    windows: tuple[Window, ...] = field(default=(), metadata=OPTIONAL)
    """first and last frames that share a part of the texture; none: all share it"""
    parts: Annotated[tuple[PartRecord, ...], Meta(max_length=MOST_PARTS)] = field(
        default=(), metadata=OPTIONAL
    )
    """what moves by itself, the rest first; none: the layer moves as one"""


@dataclass(frozen=True)
class Refinement:
    """Which refinement of a draft the folder shows, while more are to come."""

    done: Annotated[int, within(0, 1000)]
    """0: the draft"""
    planned: Annotated[int, within(1, 1000)]


@dataclass(frozen=True)
class Manifest:
    """All that `manifest.json` says."""

    clip: ClipRecord
    layers: tuple[LayerRecord, ...]
    cautions: tuple[str, ...] = ()
    frames: str = "frames/%05d.png"
    maps: str = "maps/%05d.exr"
    garbage: str | None = field(default=None, metadata=OPTIONAL)
    texture_size: TextureSize = field(default=1, metadata=OPTIONAL)
    networks: str | None = field(default=None, metadata=OPTIONAL)
    """folder of the networks that were baked; None: the folder itself"""
    stack: str | None = field(default=None, metadata=OPTIONAL)
    """file of the stack of edits; None: edits/stack.json"""
    refinement: Refinement | None = field(default=None, metadata=OPTIONAL)
    """None: no more are to come"""
    program: str = field(default_factory=lambda: nvd_core.__version__)
    schema: str = SCHEMA
    version: int = VERSION

    @property
    def names(self) -> list[str]:
        """The layers' names, front to back."""
        return [layer.name for layer in self.layers]


def read_manifest(folder: Path | str) -> Manifest:
    """Read and check `folder`/manifest.json; NvdError for all that is not as documented."""
    folder = Path(folder)
    value = _read_json(folder)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise NvdError(
            f"{folder / MANIFEST} does not describe a decomposition",
            expected=f"the schema {SCHEMA}",
            found=shown(value.get("schema")) if isinstance(value, dict) else "something else",
            remedy="give a folder that `nvd decompose` wrote",
        )
    with reading(folder / MANIFEST, "the manifest", _AGAIN):
        manifest = _read(_upgraded(value, folder), f"{folder / MANIFEST}")
        _check(manifest, folder)
    if manifest.clip.picture.space:
        known_in(folder, manifest.clip.picture.space.digest)
    return manifest


def write_manifest(folder: Path | str, manifest: Manifest) -> None:
    """Check `manifest` as a reader would, then write it into `folder`."""
    folder = Path(folder)
    write_json(inside(folder, MANIFEST), as_written(folder, manifest), durable=True)


def as_written(folder: Path, manifest: Manifest) -> dict:
    """The JSON of a manifest, checked as a reader of `folder` would."""
    first = ("schema", "version", "program", "clip", "frames", "maps")  # easier to read this way
    value = dict.fromkeys(first) | dataclasses.asdict(manifest)
    value["clip"]["picture"] = as_json(manifest.clip.picture)
    if manifest.clip.timeline is None:
        del value["clip"]["timeline"]
    if manifest.clip.analysis is None:
        del value["clip"]["analysis"]
    for layer in value["layers"]:
        if not layer["windows"]:
            del layer["windows"]
        if not layer["parts"]:
            del layer["parts"]
    for name in ("garbage", "networks", "stack", "refinement"):
        if value[name] is None:
            del value[name]
    if manifest.texture_size == 1:
        del value["texture_size"]
    _check(_read(value, "the new manifest"), folder)
    return value


def manifest_in(folder: Path, value: Any, source: str) -> Manifest:
    """The manifest that `value`, read from a file `source` of `folder`, says; NvdError."""
    if not isinstance(value, dict):
        raise NvdError(f"{source} holds no manifest", found=shown(value), remedy=_AGAIN)
    manifest = _read(_upgraded(value, folder), source)
    _check(manifest, folder)
    return manifest


def _read_json(folder: Path) -> Any:
    if not there(folder.is_dir):
        raise NvdError(
            f"there is no folder {folder}",
            found="a file" if there(folder.exists) else "",
            remedy="give the folder that `nvd decompose` wrote, such as shot.nvd",
        )
    path = inside(folder, MANIFEST)
    if not there(path.exists) and there((folder / JOB).is_file):
        raise NvdError(
            f"the decomposition in {folder} is not finished",
            remedy=f"finish it with: nvd resume {folder}",
        )
    if not there(path.exists):
        raise NvdError(
            f"{folder} is not a decomposition folder",
            expected=f"a file {MANIFEST} in it",
            remedy="give the folder that `nvd decompose` wrote, such as shot.nvd",
        )
    try:
        return read_json(path)
    except Unreadable as error:
        raise NvdError(f"cannot read {path}", found=str(error), remedy=_AGAIN) from error


def _upgraded(value: dict, folder: Path) -> dict:
    """The manifest's JSON brought from its own version to VERSION."""
    version = value.get("version")
    if type(version) is not int or version < 1:
        raise NvdError(
            f"{folder / MANIFEST} has no valid version",
            expected=f"a whole number from 1 to {VERSION}",
            found=shown(version),
            remedy=_AGAIN,
        )
    if version > VERSION:
        raise NvdError(
            f"{folder} was written by a newer program",
            expected=f"{SCHEMA} of version {VERSION} or older",
            found=f"version {shown(version, 20)}, written by nvd {shown(value.get('program'), 40)}",
            remedy="update this program, or " + _AGAIN,
        )
    while value["version"] < VERSION:
        value = UPGRADES[value["version"]](value) | {"version": value["version"] + 1}
    return value


def _read(value: Any, source: str) -> Manifest:
    """`value` as a manifest with every key; NvdError with the key where it is something else."""
    try:
        return read(Manifest, value, JSON, complete=True)
    except Fault as fault:
        key = fault.key or "the whole"
        if fault.what in ("missing", "unknown"):
            what = "misses keys" if fault.what == "missing" else "has unknown keys"
            raise NvdError(f"{source} {what}", found=key, remedy=_AGAIN) from fault
        what = "has the wrong type" if fault.what == "type" else "is not valid"
        raise NvdError(
            f"{source}: {key} {what}",
            expected=fault.expected,
            found=fault.found,
            remedy=_AGAIN,
        ) from fault


def _check(manifest: Manifest, folder: Path) -> None:
    """What types alone do not say."""
    clip = manifest.clip
    _require(min(clip.rate) > 0, folder, "clip.rate", "numbers above 0", clip.rate)
    _require(rate_fits(*clip.rate), folder, "clip.rate", "frames a second of a clip", clip.rate)
    size = clip.width * clip.height
    most = f"a size of {MOST_IN_IMAGE} pixels at the most"
    _require(size <= MOST_IN_IMAGE, folder, "clip.width", most, size)
    small = clip.looked_at
    fits = small.width <= clip.width and small.height <= clip.height
    _require(fits, folder, "clip.analysis", "a size within the clip's", small)
    for n, layer in enumerate(manifest.layers):
        size = layer.texture_width * layer.texture_height
        _require(size <= MOST_IN_IMAGE, folder, f"layers[{n}].texture_width", most, size)
        names = [part.name.lower() for part in layer.parts]
        fits = len(names) != 1 and len(set(names)) == len(names)
        several = "two or more of different names"
        _require(fits, folder, f"layers[{n}].parts", several, names)
        fits = covers(layer.windows, clip.frames)
        windows = f"frames 0 to {clip.frames - 1}, one window after the other"
        _require(fits, folder, f"layers[{n}].windows", windows, layer.windows[:3])
    depths = "8, 16, half or float"
    _require(clip.bit_depth in _ENCODINGS, folder, "clip.bit_depth", depths, clip.bit_depth)
    encoding = _ENCODINGS[clip.bit_depth]
    _require(clip.encoding == encoding, folder, "clip.encoding", encoding, clip.encoding)
    named = clip.numbers is None or from_text(clip.numbers, clip.frames) is not None
    _require(named, folder, "clip.numbers", f"{clip.frames} numbers, rising", clip.numbers)
    known = clip.picture.primaries
    fits = known is None or primaries.sensible(known)
    _require(fits, folder, "clip.picture.primaries", "primaries that span a plane", known)
    _check_timeline(manifest, folder)
    _check_layers(manifest, folder)
    for n, layer in enumerate(manifest.layers):
        for key in ("texture", "edit"):
            _check_short(folder, f"layers[{n}].{key}", getattr(layer, key))
    for key in ("frames", "maps"):
        _check_short(folder, key, getattr(manifest, key))
    if manifest.garbage is not None:
        _check_short(folder, "garbage", manifest.garbage)
        _check_garbage(manifest.garbage, folder)
    for key in ("networks", "stack"):
        if (relative := getattr(manifest, key)) is not None:
            _check_short(folder, key, relative)
            inside(folder, relative)
    stack = manifest.stack
    fits = stack is None or (stack.startswith("edits/") and stack.endswith(".json"))
    _require(fits, folder, "stack", "a name edits/... that ends in .json", stack)
    for pattern in (manifest.frames, manifest.maps):
        frame_path(inside(folder, pattern), 0)
    for layer in manifest.layers:
        inside(folder, layer.texture)
        inside(folder, layer.edit)


def _check_garbage(garbage: str, folder: Path) -> None:
    if "%" in garbage:
        frame_path(inside(folder, garbage), 0)
        return
    _require(garbage.endswith(".png"), folder, "garbage", "a name that ends in .png", garbage)
    inside(folder, garbage)


def _check_timeline(manifest: Manifest, folder: Path) -> None:
    line = manifest.clip.timeline
    if line is None:
        return
    fits = line.fits(manifest.clip.frames)
    times = f"{manifest.clip.frames + 1} rising numbers from 0, with a unit"
    _require(fits, folder, "clip.timeline.at", times, line.at and line.at[:3])
    if line.audio is not None:
        fits = line.audio.endswith(".mka")
        _require(fits, folder, "clip.timeline.audio", "a name that ends in .mka", line.audio)
        _check_short(folder, "clip.timeline.audio", line.audio)
        inside(folder, line.audio)


def _check_layers(manifest: Manifest, folder: Path) -> None:
    count = len(manifest.layers)
    _require(count <= MOST_LAYERS, folder, "layers", f"{MOST_LAYERS} at the most", count)
    # Windows and macOS take `Dog` and `dog` for one file.
    folded = [name.lower() for name in manifest.names]
    _require(len(set(folded)) == len(folded), folder, "layers", "different names", manifest.names)
    kinds = [layer.kind for layer in manifest.layers]
    wanted = ["object"] * (len(kinds) - 1) + ["background"]
    _require(kinds == wanted, folder, "layers[].kind", "objects, then one background", kinds)


def _check_short(folder: Path, key: str, relative: str) -> None:
    longest = max(len(part.encode("utf-8", "replace")) for part in relative.split("/"))
    fits = longest <= _LONGEST_NAME
    _require(fits, folder, key, f"names of {_LONGEST_NAME} bytes at the most", relative)


def _require(condition: bool, folder: Path, key: str, expected: str, found: object) -> None:
    if not condition:
        raise NvdError(
            f"{folder / MANIFEST}: {key} is not valid",
            expected=expected,
            found=shown(found),
            remedy=_AGAIN,
        )
