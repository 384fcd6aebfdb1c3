"""A decomposition folder as the extension sees it: its manifest, read and checked.

Plain Python, no bpy, so that it can be read and tested anywhere.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ..blender.inside import NAME, check_links, inside
from ..errors import AddonError, visible

SCHEMA = "nvd.decomposition"
VERSION = 2  # the newest version of the schema that this extension knows


class ShotError(AddonError):
    """A folder that cannot be opened."""


AGAIN = "make the folder again with `nvd decompose`"


@dataclass(frozen=True)
class Layer:
    name: str
    kind: str  # "object" or "background"
    texture: Path
    edit: Path  # may be missing: then nothing is painted yet


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
    folder = Path(folder).resolve()
    manifest = _Manifest(_read_json(inside(folder, "manifest.json", ShotError)))
    _check_schema(manifest)
    shot = Shot(
        folder=folder,
        frames=manifest.positive("clip.frames"),
        width=manifest.positive("clip.width"),
        height=manifest.positive("clip.height"),
        rate=_rate(manifest),
        encoding=manifest.choice("clip.encoding", ("display", "linear")),
        frame_pattern=_pattern(manifest, "frames", folder),
        map_pattern=_pattern(manifest, "maps", folder),
        layers=_layers(manifest, folder),
        cautions=tuple(str(line) for line in manifest.optional_list("cautions")),
        **_picture(manifest),
    )
    check_links(folder, ShotError)
    _check_files(shot)
    return shot


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
                f"manifest.json: `{self.prefix}{key}` should be {wanted}, but is {value!r}", AGAIN
            )
        return value

    def positive(self, key: str) -> int:
        value = self.get(key, int)
        if value < 1:
            raise ShotError(f"manifest.json: `{self.prefix}{key}` is {value}", AGAIN)
        return value

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.get(key, str)
        if value not in choices:
            wanted = " or ".join(choices)
            raise ShotError(
                f"manifest.json: `{self.prefix}{key}` should be {wanted}, but is {value!r}", AGAIN
            )
        return value

    def optional_list(self, key: str) -> list:
        return self.get(key, list) if key in self.values else []


def _read_json(path: Path) -> dict:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ShotError(
            f"{path.parent} holds no manifest.json",
            "choose a folder that `nvd decompose` has finished; its name ends in .nvd",
        ) from None
    except OSError as error:
        raise ShotError(
            f"cannot read {path} ({error.strerror})", "see to its permissions"
        ) from error
    except ValueError as error:
        raise ShotError(f"{path} is damaged ({error})", AGAIN) from error
    if not isinstance(values, dict):
        raise ShotError(f"{path} is not a manifest", AGAIN)
    return values


def _check_schema(manifest: _Manifest) -> None:
    schema = manifest.get("schema", str)
    if schema != SCHEMA:
        raise ShotError(
            f"manifest.json describes {schema!r}, not {SCHEMA!r}",
            "choose a folder that `nvd decompose` has made",
        )
    version = manifest.positive("version")
    if version > VERSION:
        raise ShotError(
            f"the folder has version {version}; this extension knows up to {VERSION}",
            "update the extension",
        )


def _rate(manifest: _Manifest) -> tuple[int, int]:
    rate = manifest.get("clip.rate", list)
    whole = len(rate) == 2 and all(isinstance(part, int) and part > 0 for part in rate)
    if not whole:
        raise ShotError(f"manifest.json: `clip.rate` should be two whole numbers, is {rate}", AGAIN)
    return rate[0], rate[1]


def _picture(manifest: _Manifest) -> dict:
    """Alpha and primaries of the frames, as far as `nodes.py` can do with them."""
    if manifest.positive("version") < 2:  # opaque Rec.709
        return {}
    alpha = manifest.choice("clip.picture.alpha", ("none", "straight", "premultiplied"))
    picture = manifest.values["clip"]["picture"]
    if manifest.get("clip.encoding", str) == "display":
        if alpha == "premultiplied":
            raise ShotError("manifest.json: integer frames are said to be premultiplied", AGAIN)
        return {"alpha": alpha}
    if picture.get("primaries") is None:
        return {"alpha": alpha}
    values = manifest.get("clip.picture.primaries", list)
    if len(values) != 8 or not all(type(value) in (int, float) for value in values):
        raise ShotError(
            f"manifest.json: `clip.picture.primaries` should be 8 numbers, is {values}", AGAIN
        )
    return {"alpha": alpha, "primaries": tuple(map(float, values))}


def _pattern(manifest: _Manifest, key: str, folder: Path) -> str:
    pattern = manifest.get(key, str)
    if not re.fullmatch(r"[^%]*%0\dd[^%]*", pattern):
        raise ShotError(
            f"manifest.json: `{key}` should be a pattern such as {key}/%05d.exr, is {pattern!r}",
            AGAIN,
        )
    inside(folder, pattern % 0, ShotError)
    return pattern


def _layers(manifest: _Manifest, folder: Path) -> tuple[Layer, ...]:
    layers = []
    for index, values in enumerate(manifest.get("layers", list)):
        entry = _Manifest(values, f"layers[{index}].")
        name = entry.get("name", str)
        if not re.fullmatch(NAME, name) or name in [layer.name for layer in layers]:
            raise ShotError(
                f"manifest.json: {name!r} is no name for a layer, or names two of them", AGAIN
            )
        layers.append(
            Layer(
                name=name,
                kind=entry.choice("kind", ("object", "background")),
                texture=inside(folder, entry.get("texture", str), ShotError),
                edit=inside(folder, entry.get("edit", str), ShotError),
            )
        )
    if not layers:
        raise ShotError("manifest.json lists no layers", AGAIN)
    return tuple(layers)


def _check_files(shot: Shot) -> None:
    for layer in shot.layers:
        if not layer.texture.is_file():
            raise ShotError(f"{layer.texture} is missing", AGAIN)
    for what, path_of in (("frame", shot.frame), ("map", shot.map)):
        missing = [index for index in range(shot.frames) if not path_of(index).is_file()]
        if missing:
            raise ShotError(
                f"{len(missing)} of {shot.frames} {what}s are missing, "
                f"the first is {path_of(missing[0])}",
                "copy the whole folder again, or " + AGAIN,
            )
