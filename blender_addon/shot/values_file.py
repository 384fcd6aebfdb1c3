"""A shot's edits/values.json: how much of each layer shows, and how much light falls on it.

Values are kept by (layer, "visibility" or "light"): a number, or one for every frame of the clip.
What is 1 is left out. Plain Python, no bpy; the folder may be anybody's, so all is checked.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ..blender.inside import inside
from .edit_document import read_document, require, write_beside
from .folder import Shot, ShotError

SCHEMA = "nvd.values"
VERSION = 1
VALUES = "edits/values.json"
MOST = {"visibility": 1.0, "light": 100.0}
"""the largest value of each; the least is 0"""
MOST_BYTES = 1 << 26
EXACT = 1e-5
"""what counts as no difference: Blender's values are of single precision"""
_AGAIN = f"correct {VALUES}, or remove it and open the shot again"

Value = float | list[float]
Values = Mapping[tuple[str, str], Value]


def values_path(folder: Path) -> Path:
    return inside(folder, VALUES, ShotError)


def read_values(shot: Shot) -> dict[tuple[str, str], Value] | None:
    """What the folder says, None where it has no such file; ShotError where it is damaged."""
    path = values_path(shot.folder)
    return read_document(path, lambda found: _checked(found, shot), MOST_BYTES, _AGAIN)


def _checked(found: object, shot: Shot) -> dict[tuple[str, str], Value]:
    require(isinstance(found, dict) and found.get("schema") == SCHEMA, f"it is no {SCHEMA}")
    require(type(found.get("version")) is int, "it has no version")
    require(found["version"] <= VERSION, "a newer program wrote it: update the extension")
    layers = found.get("layers")
    require(isinstance(layers, dict), "it has no layers")
    names, values = [layer.name for layer in shot.layers], {}
    for name, own in layers.items():
        require(name in names, f"there is no layer {name[:60]!r}")
        require(isinstance(own, dict) and set(own) <= set(MOST), f"{name} has unknown keys")
        for what, value in own.items():
            where = f"{name}.{what}"
            if isinstance(value, dict):
                values[name, what] = _expanded(value, shot.frames, MOST[what], where)
            else:
                values[name, what] = _number(value, MOST[what], where, what == "visibility")
    return without_ones(values)


def _number(value: object, most: float, where: str, may_be_bool: bool = False) -> float:
    kinds = (int, float, bool) if may_be_bool else (int, float)
    fits = type(value) in kinds and 0 <= value <= most  # NaN is neither
    require(fits, f"{where} should be a number from 0 to {most:g}")
    return float(value)


def _expanded(moving: dict, frames: int, most: float, where: str) -> list[float]:
    """The value of every frame, out of keys."""
    keys, kind = moving.get("keys"), moving.get("interpolation", "linear")
    require(set(moving) <= {"keys", "interpolation"}, f"{where} has unknown keys")
    require(kind in ("linear", "constant"), f"{where} is neither linear nor constant")
    require(isinstance(keys, list) and 0 < len(keys) <= frames, f"{where} has no keys")
    pairs = []
    for key in keys:
        require(isinstance(key, list) and len(key) == 2, f"a key of {where} is no pair")
        t, value = key
        rises = type(t) is int and (pairs[-1][0] if pairs else -1) < t < frames
        require(rises, f"the frames of {where} should rise from 0 to {frames - 1} at the most")
        pairs.append((t, _number(value, most, where)))
    return expanded(pairs, frames, kind)


def expanded(keys: Sequence[tuple[int, float]], frames: int, interpolation: str) -> list[float]:
    """The value of every frame of a clip, out of keys at rising frames."""
    values = [keys[0][1]] * frames
    for (first, low), (last, high) in pairwise([*keys, (frames, keys[-1][1])]):
        moves = interpolation == "linear" and last < frames
        for t in range(first, last):
            values[t] = low + (high - low) * (t - first) / (last - first) if moves else low
    return values


def as_keys(values: list[float]) -> tuple[list[tuple[int, float]], str]:
    """The fewest keys that give these values, and their interpolation."""
    last = len(values) - 1
    steps = [b - a for a, b in pairwise(values)]
    bends = [t + 1 for t, (a, b) in enumerate(pairwise(steps)) if abs(a - b) > EXACT / 2]
    linear = [(t, values[t]) for t in sorted({0, *bends, last})]
    constant = [(t, v) for t, v in enumerate(values) if t == 0 or v != values[t - 1]]
    near = zip(expanded(linear, len(values), "linear"), values, strict=True)
    if len(linear) < len(constant) and all(abs(a - b) <= EXACT for a, b in near):
        return linear, "linear"
    return constant, "constant"


def without_ones(values: Values) -> dict[tuple[str, str], Value]:
    """The values that say something: those that do not move as numbers, and none that is 1."""
    said = {}
    for key, value in values.items():
        if isinstance(value, list) and max(value) - min(value) <= EXACT:
            value = value[0]
        if isinstance(value, list) or abs(value - 1) > EXACT:
            said[key] = value
    return said


def digest(values: Values | None) -> str:
    """Equal for values that are equal in every frame; "" for none at all."""
    if values is None:
        return ""
    said = without_ones(values)
    numbers = {
        " ".join(key): [round(v, 4) for v in (value if isinstance(value, list) else [value])]
        for key, value in said.items()
    }
    return hashlib.sha1(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


ONES = digest({})


def write_values(folder: Path, values: Values) -> Path:
    """Write the values beside and rename; ShotError where the disk refuses."""
    layers: dict[str, dict] = {}
    for (name, what), value in without_ones(values).items():
        said: object = round(value, 6) if not isinstance(value, list) else None
        if said is None:
            keys, interpolation = as_keys(value)
            keys = [[t, round(v, 6)] for t, v in keys]
            said = {"keys": keys, "interpolation": interpolation}
        layers.setdefault(name, {})[what] = said
    text = json.dumps({"schema": SCHEMA, "version": VERSION, "layers": layers}, indent=1)
    path = values_path(folder)
    write_beside(path, lambda beside: beside.write_text(text + "\n", "utf-8"))
    return path
