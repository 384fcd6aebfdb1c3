"""A decomposition folder as the extension sees it: its manifest, read and checked.

Plain Python, no bpy, so that it can be read and tested anywhere.
"""

import json
import os
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from ..blender.inside import NAME, check_links, inside, open_file
from ..errors import AddonError, visible

SCHEMA = "nvd.decomposition"
VERSION = 6  # the newest version of the schema that this extension knows
MOST_BYTES = 1 << 24  # of a manifest
MOST_FRAMES = 1_048_574  # the last frame that Blender knows
MOST_SIDE = 1 << 15  # pixels
MOST_PARTS = 16  # of a layer
MOST_LAYERS = 100
LONGEST_NAME = 200
MOST_CAUTIONS, LONGEST_CAUTION = 40, 1000
LONGEST_SPACE = 200
SLOWEST, FASTEST = 0.001, 32767  # frames a second; the latter is Blender's


class ShotError(AddonError):
    """A folder that cannot be opened."""


class CompactOnly(ShotError):
    """A `folder` that has its maps in the engine's compact form, and no EXR yet: for nodes."""

    def __init__(self, folder: Path):
        super().__init__(
            f"{folder} has compact maps alone, and Blender's nodes need EXR maps",
            f"run `nvd maps {folder}`, or press Rebuild Nodes: a job writes them",
        )
        self.folder = folder


AGAIN = "make the folder again with `nvd decompose`"

MOST_ASPECT = 200
"""of a pixel, as Blender's scenes have it"""


@dataclass(frozen=True)
class Layer:
    name: str
    kind: str  # "object" or "background"
    texture: Path
    edit: Path  # may be missing: then nothing is painted yet
    windows: tuple[tuple[int, int], ...] = ()
    """first and last frames that show one part of the texture each; none: all show all of it"""
    parts: tuple[tuple[float, float, float, float], ...] = ()
    """left, top, right and bottom of what each part that moves by itself has of the texture"""
    part_names: tuple[str, ...] = ()
    """what these are called; the first is the rest, which no other part takes"""

    @property
    def views(self) -> int:
        """In time, each with a part of the texture."""
        return max(len(self.windows), 1)


@dataclass(frozen=True)
class Shot:
    """One decomposition folder. Paths are absolute; frames and maps are numbered from 0."""

    folder: Path
    frames: int
    width: int
    height: int
    rate: tuple[int, int]
    encoding: str  # of the frames: "display" or "linear"
    frame_pattern: str
    map_pattern: str
    layers: tuple[Layer, ...]  # front to back
    cautions: tuple[str, ...]
    alpha: str = "none"  # of the frames, or "straight" or "premultiplied"
    primaries: tuple[float, ...] | None = None  # of linear frames; None: Rec.709
    space: str = ""  # the colour space of the frames, whatever else is said of them
    pixel_aspect: tuple[int, int] = (1, 1)  # a pixel's width by its height
    has_garbage: bool = False  # whether there is a matte in which no layer shows
    stack: str = "edits/stack.json"  # the file of the stack of edits, there or not
    texture_size: int = 1  # times as wide and high as the analysis asks for
    refinement: tuple[int, int] | None = None  # refinements that are in, and planned; None: done
    is_compact: bool = False  # whether the EXR maps are missing, which Blender's nodes need
    source: str = ""  # what was decomposed
    first_frame: int = 0  # of the source, from 0, that is frame 0 here
    numbers: tuple[int, ...] = ()  # of the source's own files by frame; none for a movie

    @property
    def is_linear(self) -> bool:
        """Whether Blender hands the frames on as light: it converts them from their space."""
        return self.encoding == "linear" or bool(self.space)

    @property
    def has_alpha(self) -> bool:
        return self.alpha != "none"

    @property
    def name(self) -> str:
        return visible(self.folder.stem)

    @property
    def suffix(self) -> str:
        """Of the image files that are rendered of it."""
        return "exr" if self.encoding == "linear" else "png"

    def frame(self, index: int) -> Path:
        return inside(self.folder, self.frame_pattern % index, ShotError)

    def map(self, index: int) -> Path:
        return inside(self.folder, self.map_pattern % index, ShotError)


def read_shot(folder: str | Path) -> Shot:
    """Read and check `folder`; ShotError where it cannot be opened."""
    folder = _resolved(folder)
    manifest = _Manifest(_read_json(inside(folder, "manifest.json", ShotError)))
    _check_schema(manifest)
    shot = Shot(
        folder=folder,
        frames=manifest.positive("clip.frames", MOST_FRAMES),
        width=manifest.positive("clip.width", MOST_SIDE),
        height=manifest.positive("clip.height", MOST_SIDE),
        rate=_rate(manifest),
        encoding=manifest.choice("clip.encoding", ("display", "linear")),
        frame_pattern=_pattern(manifest, "frames", folder),
        map_pattern=_pattern(manifest, "maps", folder),
        layers=_layers(manifest, folder),
        cautions=_cautions(manifest),
        has_garbage=manifest.values.get("garbage") is not None,
        stack=_stack(manifest, folder),
        texture_size=_texture_size(manifest),
        refinement=_refinement(manifest),
        **_source(manifest),
        **_picture(manifest),
    )
    check_links(folder, ShotError)
    return replace(shot, is_compact=_check_files(shot))


def _stack(manifest: "_Manifest", folder: Path) -> str:
    if manifest.values.get("stack") is None:
        return Shot.stack
    relative = manifest.get("stack", str)
    if not (relative.startswith("edits/") and relative.endswith(".json")):
        raise ShotError(f"manifest.json: `stack` is {_shown(relative)}", AGAIN)
    inside(folder, relative, ShotError)
    return relative


def _texture_size(manifest: "_Manifest") -> int:
    found = manifest.values.get("texture_size", 1)
    if found not in (1, 2, 4) or isinstance(found, bool):
        raise ShotError(f"manifest.json: `texture_size` is {_shown(found)}", AGAIN)
    return found


def _refinement(manifest: "_Manifest") -> tuple[int, int] | None:
    if manifest.values.get("refinement") is None:
        return None
    done, planned = (manifest.get(f"refinement.{name}", int) for name in ("done", "planned"))
    return done, planned


def _source(manifest: "_Manifest") -> dict:
    """Where the frames come from. Numbers that are not one for each frame are none."""
    clip = manifest.values["clip"]
    source, first, text = (clip.get(key) for key in ("source", "first_frame", "numbers"))
    known = {
        "source": source if isinstance(source, str) else "",
        "first_frame": first if type(first) is int and 0 <= first < 2**31 else 0,
    }
    if not isinstance(text, str):
        return known
    numbers: list[int] = []
    frames = manifest.positive("clip.frames", MOST_FRAMES)
    for part in text.split(","):
        match = re.fullmatch(r"(-?\d{1,10})(?:-(-?\d{1,10})(?:x(\d{1,10}))?)?", part)
        if match is None:
            return known
        first, step = int(match[1]), int(match[3] or 1)
        last = int(match[2] or first)
        if step < 1 or (last - first) // step + 1 > frames - len(numbers):
            return known
        numbers += range(first, last + 1, step)
    return known | ({"numbers": tuple(numbers)} if len(numbers) == frames else {})


def _resolved(folder: str | Path) -> Path:
    """The folder's own path, as Blender can keep it."""
    try:
        path = Path(folder).resolve()
        str(path).encode("utf-8")
        os.lstat(path)
    except (ValueError, OSError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError):  # told with its manifest
            return path
        reason = getattr(error, "strerror", None) or "its name is not Unicode"
        raise ShotError(
            f"{str(folder)[:200]!r} cannot be opened ({reason})",
            "choose another folder, or give it a name in Unicode",
        ) from error
    return path


def _cautions(manifest: "_Manifest") -> tuple[str, ...]:
    lines = manifest.optional_list("cautions")[:MOST_CAUTIONS]
    return tuple(visible(line[:LONGEST_CAUTION]) for line in lines if isinstance(line, str))


class _Manifest:
    """The JSON object, with typed access that names the key at fault."""

    def __init__(self, values: dict, prefix: str = ""):
        self.values = values
        self.prefix = prefix

    def get(self, key: str, kind: type):
        value = self.values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted = {str: "text", int: "a whole number", list: "a list"}[kind]
            raise ShotError(
                f"manifest.json: `{self.prefix}{key}` should be {wanted}, but is {_shown(value)}",
                AGAIN,
            )
        return value

    def positive(self, key: str, most: int) -> int:
        value = self.get(key, int)
        if not 1 <= value <= most:
            raise ShotError(
                f"manifest.json: `{self.prefix}{key}` should be from 1 to {most}, but is "
                f"{_shown(value)}",
                AGAIN,
            )
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.get(key, str)
        if value not in choices:
            wanted = " or ".join(choices)
            raise ShotError(
                f"manifest.json: `{self.prefix}{key}` should be {wanted}, but is {_shown(value)}",
                AGAIN,
            )
        return value

    def optional_list(self, key: str) -> list:
        return self.get(key, list) if key in self.values else []


def _shown(value: object) -> str:
    """A value for a message, short whatever it is."""
    if isinstance(value, str):
        return repr(value[:80])
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    if isinstance(value, list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)


def _read_json(path: Path) -> dict:
    try:
        with open_file(path) as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ShotError(
            f"{path.parent} holds no manifest.json",
            "choose a folder that `nvd decompose` has finished; its name ends in .nvd",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ShotError(f"cannot read {path} ({reason})", "see to its permissions") from error
    if len(data) > MOST_BYTES:
        raise ShotError(f"{path} is larger than {MOST_BYTES >> 20} MiB", AGAIN)
    try:
        values = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ShotError(f"{path} is damaged ({str(error)[:200]})", AGAIN) from error
    if not isinstance(values, dict):
        raise ShotError(f"{path} is not a manifest", AGAIN)
    return values


def _check_schema(manifest: _Manifest) -> None:
    schema = manifest.get("schema", str)
    if schema != SCHEMA:
        raise ShotError(
            f"manifest.json describes {_shown(schema)}, not {SCHEMA!r}",
            "choose a folder that `nvd decompose` has made",
        )
    version = manifest.positive("version", 2**31)
    if version > VERSION:
        raise ShotError(
            f"the folder has version {version}; this extension knows up to {VERSION}",
            "update the extension",
        )


def _rate(manifest: _Manifest) -> tuple[int, int]:
    what = f"frames in so many seconds, of {SLOWEST} to {FASTEST} frames a second"
    return _fraction(manifest, "clip.rate", (SLOWEST, FASTEST), what)


def _pixel_aspect(manifest: _Manifest) -> tuple[int, int]:
    bounds = Fraction(1, MOST_ASPECT), MOST_ASPECT
    what = f"of which one is at most {MOST_ASPECT} times the other"
    return _fraction(manifest, "clip.picture.pixel_aspect", bounds, what)


def _fraction(
    manifest: _Manifest, key: str, bounds: tuple[float | Fraction, int], what: str
) -> tuple[int, int]:
    """Two whole numbers whose ratio lies within the bounds; ShotError says that they are `what`."""
    parts = manifest.get(key, list)
    whole = len(parts) == 2 and all(type(part) is int and 0 < part < 2**31 for part in parts)
    if not (whole and bounds[0] * parts[1] <= parts[0] <= bounds[1] * parts[1]):
        shown = ", ".join(map(_shown, parts[:3]))
        raise ShotError(
            f"manifest.json: `{key}` should be two whole numbers, {what}, is {shown}", AGAIN
        )
    return parts[0], parts[1]


def _picture(manifest: _Manifest) -> dict:
    """Alpha and primaries of the frames, as far as `nodes.py` can do with them."""
    if manifest.values["version"] < 2:  # opaque Rec.709
        return {}
    alpha = manifest.choice("clip.picture.alpha", ("none", "straight", "premultiplied"))
    picture = manifest.values["clip"]["picture"]
    known = {"alpha": alpha, "pixel_aspect": _pixel_aspect(manifest)}
    if picture.get("space") is not None:
        known["space"] = manifest.get("clip.picture.space.name", str)[:LONGEST_SPACE]
    if manifest.get("clip.encoding", str) == "display":
        if alpha == "premultiplied":
            raise ShotError("manifest.json: integer frames are said to be premultiplied", AGAIN)
        return known
    if picture.get("primaries") is None:
        return known
    values = manifest.get("clip.picture.primaries", list)
    if len(values) != 8 or not all(map(_is_coordinate, values)):
        shown = ", ".join(map(_shown, values[:8]))
        raise ShotError(
            f"manifest.json: `clip.picture.primaries` should be 8 numbers, is {shown}", AGAIN
        )
    return known | {"primaries": tuple(map(float, values))}


def _is_coordinate(value: object) -> bool:
    """Whether it is a number that x or y of a colour can be."""
    return type(value) in (int, float) and -10 <= value <= 10


def _pattern(manifest: _Manifest, key: str, folder: Path) -> str:
    pattern = manifest.get(key, str)
    if not re.fullmatch(r"[^%]*%0\dd[^%]*", pattern):
        raise ShotError(
            f"manifest.json: `{key}` should be a pattern such as {key}/%05d.exr, is "
            f"{_shown(pattern)}",
            AGAIN,
        )
    inside(folder, pattern % 0, ShotError)
    return pattern


def _layers(manifest: _Manifest, folder: Path) -> tuple[Layer, ...]:
    layers = []
    listed = manifest.get("layers", list)
    if len(listed) > MOST_LAYERS:
        raise ShotError(f"manifest.json lists {len(listed)} layers", AGAIN)
    for index, values in enumerate(listed):
        entry = _Manifest(values, f"layers[{index}].")
        name = entry.get("name", str)
        twice = name in [layer.name for layer in layers]
        if len(name) > LONGEST_NAME or not re.fullmatch(NAME, name) or twice:
            raise ShotError(
                f"manifest.json: {_shown(name)} is no name for a layer, or names two of them", AGAIN
            )
        layers.append(
            Layer(
                name=name,
                kind=entry.choice("kind", ("object", "background")),
                texture=inside(folder, entry.get("texture", str), ShotError),
                edit=inside(folder, entry.get("edit", str), ShotError),
                windows=_windows(entry),
                parts=_parts(entry),
                part_names=_part_names(entry),
            )
        )
    if not layers:
        raise ShotError("manifest.json lists no layers", AGAIN)
    return tuple(layers)


def _windows(entry: _Manifest) -> tuple[tuple[int, int], ...]:
    """A layer's windows in time, one after the other from frame 0 on."""
    found, after = entry.optional_list("windows"), 0
    for window in found:
        fits = isinstance(window, list) and [type(n) for n in window] == [int, int]
        if not fits or window[0] != after or window[1] < after:
            what = f"manifest.json: `{entry.prefix}windows` are no windows in time"
            raise ShotError(f"{what}: {_shown(window)}", AGAIN)
        after = window[1] + 1
    return tuple((first, last) for first, last in found)


def _parts(entry: _Manifest) -> tuple[tuple[float, float, float, float], ...]:
    """The boxes of a layer's parts, as shares of its texture."""
    found = entry.optional_list("parts")[:MOST_PARTS]
    boxes = [part.get("box") if isinstance(part, dict) else None for part in found]
    for box in boxes:
        if not (
            isinstance(box, list)
            and len(box) == 4
            and all(type(side) in (int, float) and 0 <= side <= 1 for side in box)
        ):
            what = f"manifest.json: `{entry.prefix}parts` are no parts of a texture"
            raise ShotError(f"{what}: {_shown(box)}", AGAIN)
    return tuple(tuple(map(float, box)) for box in boxes)


def _part_names(entry: _Manifest) -> tuple[str, ...]:
    found = entry.optional_list("parts")[:MOST_PARTS]
    names = [part.get("name") if isinstance(part, dict) else None for part in found]
    for name in names:
        if not (isinstance(name, str) and len(name) <= LONGEST_NAME and re.fullmatch(NAME, name)):
            what = f"manifest.json: {_shown(name)} is no name for a part of {entry.prefix}"
            raise ShotError(what.rstrip("."), AGAIN)
    return tuple(names)


def _check_files(shot: Shot) -> bool:
    """Whether maps are there in compact form alone; ShotError where a file is missing."""
    is_compact = False
    for layer in shot.layers:
        if not is_file(layer.texture):
            raise ShotError(f"{layer.texture} is missing", AGAIN)
    for what, pattern in (("frame", shot.frame_pattern), ("map", shot.map_pattern)):
        there = _files_in(inside(shot.folder, pattern % 0, ShotError).parent)
        name = pattern.rpartition("/")[2]
        missing = [index for index in range(shot.frames) if name % index not in there]
        if missing and what == "map" and _is_compact(missing, there):
            is_compact = True
        elif missing:
            raise ShotError(
                f"{len(missing)} of {shot.frames} {what}s are missing, "
                f"the first is {Path(shot.folder, pattern % missing[0])}",
                "copy the whole folder again, or " + AGAIN,
            )
    return is_compact


def _is_compact(missing: list[int], there: set[str]) -> bool:
    """Whether all `missing` maps lie in the engine's files, of sixteen frames each."""
    return all(f"{index // 16 * 16:05d}.nodes" in there for index in missing)


def _files_in(folder: Path) -> set[str]:
    """The names of the files in a folder; none where it may not be looked at."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):
        return set()


def is_file(path: Path) -> bool:
    """Whether there is a file; also of a path that no file could have."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long
        return False
