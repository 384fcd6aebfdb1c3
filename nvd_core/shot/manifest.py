"""The manifest of a decomposition folder: what is there, checked key by key on reading.

docs/decomposition-folder.md describes every key; a test compares it with the dataclasses below.
"""

import dataclasses
import json
import re
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Union, get_args, get_origin, get_type_hints

import nvd_core
from nvd_core.media.sequences import frame_path
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import inside, write_json

SCHEMA = "nvd.decomposition"
VERSION = 1
MANIFEST = "manifest.json"
JOB = "job.json"

UPGRADES: dict[int, Callable[[dict], dict]] = {}
"""by the version that they read: functions from a manifest's JSON to that of the next version"""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ENCODINGS = {8: "display", 16: "display", "half": "linear", "float": "linear"}
_AGAIN = "make the folder again with `nvd decompose`"


@dataclass(frozen=True)
class ClipRecord:
    """The clip as it was decomposed."""

    source: str
    first_frame: int
    frames: int
    width: int
    height: int
    rate: tuple[int, int]
    bit_depth: int | str
    encoding: str


@dataclass(frozen=True)
class LayerRecord:
    """One layer: its name and its images."""

    name: str
    kind: str
    texture: str
    edit: str
    texture_width: int
    texture_height: int


@dataclass(frozen=True)
class Manifest:
    """All that `manifest.json` says."""

    clip: ClipRecord
    layers: tuple[LayerRecord, ...]
    cautions: tuple[str, ...] = ()
    frames: str = "frames/%05d.png"
    maps: str = "maps/%05d.exr"
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
            found=repr(value.get("schema")) if isinstance(value, dict) else "something else",
            remedy="give a folder that `nvd decompose` wrote",
        )
    manifest = _from_json(Manifest, _upgraded(value, folder), f"{folder / MANIFEST}", "")
    _check(manifest, folder)
    return manifest


def write_manifest(folder: Path | str, manifest: Manifest) -> None:
    """Check `manifest` as a reader would, then write it into `folder`."""
    folder = Path(folder)
    first = ("schema", "version", "program", "clip", "frames", "maps")  # easier to read this way
    value = dict.fromkeys(first) | dataclasses.asdict(manifest)
    _check(_from_json(Manifest, json.loads(json.dumps(value)), "the new manifest", ""), folder)
    write_json(folder / MANIFEST, value, durable=True)


def _read_json(folder: Path) -> Any:
    if not folder.is_dir():
        raise NvdError(
            f"there is no folder {folder}",
            found="a file" if folder.exists() else "",
            remedy="give the folder that `nvd decompose` wrote, such as shot.nvd",
        )
    path = folder / MANIFEST
    if not path.is_file() and (folder / JOB).is_file():
        raise NvdError(
            f"the decomposition in {folder} is not finished",
            remedy=f"finish it with: nvd resume {folder}",
        )
    if not path.is_file():
        raise NvdError(
            f"{folder} is not a decomposition folder",
            expected=f"a file {MANIFEST} in it",
            remedy="give the folder that `nvd decompose` wrote, such as shot.nvd",
        )
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NvdError(f"cannot read {path}", found=str(error), remedy=_AGAIN) from error


def _upgraded(value: dict, folder: Path) -> dict:
    """The manifest's JSON brought from its own version to VERSION."""
    version = value.get("version")
    if type(version) is not int or version < 1:
        raise NvdError(
            f"{folder / MANIFEST} has no valid version",
            expected=f"a whole number from 1 to {VERSION}",
            found=repr(version),
            remedy=_AGAIN,
        )
    if version > VERSION:
        raise NvdError(
            f"{folder} was written by a newer program",
            expected=f"{SCHEMA} of version {VERSION} or older",
            found=f"version {version}, written by nvd {value.get('program', 'unknown')}",
            remedy="update this program, or " + _AGAIN,
        )
    while value["version"] < VERSION:
        value = UPGRADES[value["version"]](value) | {"version": value["version"] + 1}
    return value


def _from_json(kind: Any, value: Any, source: str, key: str) -> Any:
    """`value` as the annotation `kind`; NvdError with the key where it is something else."""
    if dataclasses.is_dataclass(kind):
        return _record(kind, value, source, key)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        if type(value) in arguments:
            return value
    elif origin is tuple and type(value) is list:
        if arguments[-1] is ...:
            arguments = arguments[:1] * len(value)
        if len(arguments) == len(value):
            pairs = enumerate(zip(arguments, value, strict=True))
            return tuple(_from_json(k, v, source, f"{key}[{i}]") for i, (k, v) in pairs)
    elif type(value) is kind:  # not isinstance: true is no integer here
        return value
    raise NvdError(
        f"{source}: {key or 'the whole'} has the wrong type",
        expected=_described(kind),
        found=json.dumps(value)[:60],
        remedy=_AGAIN,
    )


def _record(kind: type, value: Any, source: str, key: str) -> Any:
    if type(value) is not dict:
        raise NvdError(
            f"{source}: {key or 'the whole'} has the wrong type",
            expected="an object",
            found=json.dumps(value)[:60],
            remedy=_AGAIN,
        )
    hints = get_type_hints(kind)
    missing = [name for name in hints if name not in value]
    unknown = [name for name in value if name not in hints]
    for names, what in ((missing, "misses"), (unknown, "has unknown")):
        if names:
            raise NvdError(
                f"{source} {what} keys",
                found=", ".join(f"{key}.{name}".lstrip(".") for name in names[:8]),
                remedy=_AGAIN,
            )
    parts = {n: _from_json(h, value[n], source, f"{key}.{n}".lstrip(".")) for n, h in hints.items()}
    return kind(**parts)


def _described(kind: Any) -> str:
    names = {int: "an integer", str: "a string"}
    if get_origin(kind) is tuple:
        arguments = get_args(kind)
        return "a list" if arguments[-1] is ... else f"a list of {len(arguments)} integers"
    return names.get(kind) or " or ".join(names[k] for k in get_args(kind))


def _check(manifest: Manifest, folder: Path) -> None:
    """What types alone do not say."""
    clip = manifest.clip
    positive = {
        "clip.frames": clip.frames,
        "clip.width": clip.width,
        "clip.height": clip.height,
        "clip.rate": min(clip.rate),
    }
    for layer in manifest.layers:
        positive[f"layers {layer.name} texture_width"] = layer.texture_width
        positive[f"layers {layer.name} texture_height"] = layer.texture_height
    for key, value in positive.items():
        _require(value > 0, folder, key, "a number above 0", value)
    _require(clip.first_frame >= 0, folder, "clip.first_frame", "0 or more", clip.first_frame)
    depths = "8, 16, half or float"
    _require(clip.bit_depth in _ENCODINGS, folder, "clip.bit_depth", depths, clip.bit_depth)
    encoding = _ENCODINGS[clip.bit_depth]
    _require(clip.encoding == encoding, folder, "clip.encoding", encoding, clip.encoding)
    _check_layers(manifest, folder)
    for pattern in (manifest.frames, manifest.maps):
        frame_path(inside(folder, _safe(folder, pattern)), 0)
    for layer in manifest.layers:
        inside(folder, _safe(folder, layer.texture))
        inside(folder, _safe(folder, layer.edit))


def _check_layers(manifest: Manifest, folder: Path) -> None:
    for name in manifest.names:
        good = _NAME.fullmatch(name) is not None
        _require(good, folder, "a layer's name", "letters, digits, _ and - only", name)
    # Windows and macOS take `Dog` and `dog` for one file.
    folded = [name.lower() for name in manifest.names]
    _require(len(set(folded)) == len(folded), folder, "layers", "different names", manifest.names)
    kinds = [layer.kind for layer in manifest.layers]
    wanted = ["object"] * (len(kinds) - 1) + ["background"]
    _require(kinds == wanted, folder, "layers[].kind", "objects, then one background", kinds)


def _safe(folder: Path, relative: str) -> str:
    """`relative` as it is; NvdError where it is empty or leaves the folder on any system."""
    windows = PureWindowsPath(relative)
    if not relative or "\0" in relative or windows.anchor or ".." in windows.parts:
        raise NvdError(
            f"{folder} refers to a file outside itself",
            expected="paths relative to the folder",
            found=repr(relative),
            remedy="do not use this folder unless you trust where it came from; " + _AGAIN,
        )
    return relative


def _require(condition: bool, folder: Path, key: str, expected: str, found: object) -> None:
    if not condition:
        raise NvdError(
            f"{folder / MANIFEST}: {key} is not valid",
            expected=expected,
            found=str(found)[:80],
            remedy=_AGAIN,
        )
