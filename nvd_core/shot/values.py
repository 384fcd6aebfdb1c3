"""How much of each layer shows, and how much of the shot's light falls on it: edits/values.json.

The one place for both. Each is a constant or has keys at frames of the clip, counted from 0:

    {"schema": "nvd.values", "version": 1,
     "layers": {"bear": {"visibility": 0,
                         "light": {"keys": [[0, 1.0], [24, 0.4]], "interpolation": "linear"}}}}

What is not named is 1, and so is everything where there is no such file. `lay_on_maps` brings the
values of a frame into its maps, before any renderer sees them, so that all of them obey.
docs/reference/decomposition-folder.md describes every key.
"""

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from nvd_core.runtime.declared import OPTIONAL, Name
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.runtime.sizes import MOST_LAYERS
from nvd_core.shot.edit_document import EditDocument, Frame, write_edit
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.shot import Shot

SCHEMA = "nvd.values"
VERSION = 1
VALUES = "edits/values.json"
MOST_LIGHT = 100.0
MOST_VALUE = {"visibility": 1.0, "light": MOST_LIGHT}
"""the largest value of each; the least is 0"""
MOST_KEYS = 1_000_000
"""of all layers together"""
_FILE = EditDocument(
    SCHEMA,
    VERSION,
    "the values of layers",
    f"correct {VALUES}, or remove it: then everything shows in the light that it was shot in",
)

Key = tuple[Frame, float]
Interpolation = Literal["linear", "constant"]


@dataclass(frozen=True)
class Keys:
    """A value that moves. Before the first key and behind the last it stays as it is there."""

    keys: Annotated[tuple[Key, ...], Meta(min_length=1, max_length=MOST_KEYS)]
    """[frame, value], the frames rising"""
    interpolation: Interpolation = field(default="linear", metadata=OPTIONAL)
    """constant: each key's value stays until the next"""

    def at(self, t: int) -> float:
        """The value in frame `t`."""
        after = bisect_right(self.keys, t, key=lambda key: key[0])
        if after == 0:
            return float(self.keys[0][1])
        (first, low) = self.keys[after - 1]
        if after == len(self.keys) or self.interpolation == "constant" or first == t:
            return float(low)
        (last, high) = self.keys[after]
        return float(low + (high - low) * (t - first) / (last - first))


Value = float | Keys


@dataclass(frozen=True)
class LayerValues:
    """The values of one layer."""

    visibility: bool | Value = field(default=1.0, metadata=OPTIONAL)
    """0 to 1: how much of its paint shows; of the layer itself where it is composed in full"""
    light: Value = field(default=1.0, metadata=OPTIONAL)
    """0 to 100: how much of the shot's changing light falls on it"""


@dataclass(frozen=True)
class Values:
    """The values of all layers that have any of their own."""

    layers: Annotated[dict[Name, LayerValues], Meta(max_length=MOST_LAYERS)] = field(
        default_factory=dict
    )
    schema: str = SCHEMA
    version: int = VERSION

    def at(self, name: str, t: int) -> tuple[float, float]:
        """Visibility and light of the layer `name` in frame `t`."""
        own = self.layers.get(name)
        return (_at(own.visibility, t), _at(own.light, t)) if own else (1.0, 1.0)

    def with_value(
        self,
        name: str,
        what: str,
        value: float,
        key: int | None = None,
        interpolation: Interpolation | None = None,
    ) -> "Values":
        """These, but for one: a constant, or with `key` the value in that frame of the clip.

        A constant that gets its first key holds until there. `what` is visibility or light.
        """
        own = self.layers.get(name, LayerValues())
        now: bool | Value = getattr(own, what)
        made: Value = float(value)
        if key is not None:
            old = dict(now.keys) if isinstance(now, Keys) else {0: float(now)} if key else {}
            moves = interpolation or (now.interpolation if isinstance(now, Keys) else "linear")
            made = Keys(tuple(sorted((old | {key: float(value)}).items())), moves)
        return replace(self, layers=self.layers | {name: replace(own, **{what: made})})

    def without(self, name: str) -> "Values":
        """These, but for the layer `name`, which is back to 1."""
        return replace(self, layers={n: own for n, own in self.layers.items() if n != name})


PLAIN = Values()
"""every layer as it was learned, in the light that it was shot in"""


def _at(value: bool | Value, t: int) -> float:
    return value.at(t) if isinstance(value, Keys) else float(value)


def lay_on_maps(maps: FrameMaps, names: Sequence[str], values: Values, t: int) -> FrameMaps:
    """The maps of the layers `names` of frame `t` with these values in them, in place.

    Alpha times visibility, and the residual r becomes 1 + light (r - 1). What is 1 changes no bit.
    """
    for n, name in enumerate(names):
        visibility, light = values.at(name, t)
        if visibility != 1:
            maps.uva[n, ..., 2] *= visibility
        relight(maps.residual[n], light)
    return maps


def relight(residual: np.ndarray, light: float) -> None:
    """The residual r becomes 1 + light (r - 1), in place; a light of 1 changes no bit."""
    if light != 1:
        residual -= 1
        residual *= light
        residual += 1


def values_path(shot: Shot) -> Path:
    """Where the values of `shot` are, or would be."""
    return inside(shot.folder, VALUES)


def read_values(shot: Shot) -> Values:
    """The values of `shot`; PLAIN where it has none. NvdError where they are damaged."""
    path = values_path(shot)
    if not there(path.exists):
        return PLAIN
    values: Values = _FILE.read(Values, _FILE.load(path), str(path), complete=True)
    check_values(shot, values, str(path))
    return values


def write_values(shot: Shot, values: Values) -> Path:
    """Check `values` as a reader would, then write them into the folder; the file."""
    source = "the new values"
    written = _as_json(values)
    check_values(shot, _FILE.read(Values, written, source, complete=True), source)
    return write_edit(values_path(shot), written)


def check_values(shot: Shot, values: Values, source: str) -> None:
    """What types alone do not say: NvdError for layers, frames and values that cannot be."""
    count = 0
    for name, own in values.layers.items():
        if name not in shot.names:
            raise _FILE.not_valid(source, f"layers.{name}", f"one of {', '.join(shot.names)}", name)
        for what, most in MOST_VALUE.items():
            value, key = getattr(own, what), f"layers.{name}.{what}"
            keys = value.keys if isinstance(value, Keys) else ((0, value),)
            count += len(keys)
            wrong = next((v for _t, v in keys if not 0 <= v <= most), None)
            if wrong is not None:
                raise _FILE.not_valid(source, key, f"a number from 0 to {most:g}", wrong)
            frames = [t for t, _v in keys]
            if frames != sorted(set(frames)):
                raise _FILE.not_valid(source, f"{key}.keys", "frames that rise", frames[:10])
            if frames[-1] >= shot.frames:
                last = f"frames of the clip, 0 to {shot.frames - 1}"
                raise _FILE.not_valid(source, f"{key}.keys", last, frames[-1])
    if count > MOST_KEYS:
        raise _FILE.not_valid(source, "layers", f"{MOST_KEYS} keys at the most", count)


def _as_json(values: Values) -> dict:
    """What the file holds."""
    return {
        "schema": values.schema,
        "version": values.version,
        "layers": said_by_layer(values),
    }


def said_by_layer(values: Values) -> dict[str, dict]:
    """What `layers` says in the file: values of 1, which go without saying, are left out."""
    layers = {}
    for name, own in values.layers.items():
        said = {what: getattr(own, what) for what in MOST_VALUE}
        said = {w: dataclasses.asdict(v) if isinstance(v, Keys) else v for w, v in said.items()}
        layers[name] = {what: v for what, v in said.items() if isinstance(v, dict) or v != 1}
    return {name: said for name, said in layers.items() if said}
