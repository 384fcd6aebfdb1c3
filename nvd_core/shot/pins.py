"""Where points of the layers' textures belong in frames whose maps have slipped: edits/pins.json.

A pin holds one point of one layer's texture at a pixel of one frame or more:

    {"schema": "nvd.pins", "version": 1,
     "pins": [{"name": "ear", "layer": "bear", "at": [0.31, 0.22],
               "to": [[10, 320.5, 200.5], [25, 331.0, 204.0]]}]}

The file says what is wanted. `editing/pin_maps.py` writes the maps accordingly, and notes beside
them which pins they have. docs/reference/decomposition-folder.md describes every key.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from nvd_core.runtime.declared import OPTIONAL, Name, within
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.runtime.shown import shown
from nvd_core.shot.edit_document import (
    EditDocument,
    EditName,
    Fade,
    Frame,
    Share,
    said_of,
    write_edit,
)
from nvd_core.shot.manifest import MOST_PIXELS
from nvd_core.shot.map_files import map_files
from nvd_core.shot.shot import Shot

SCHEMA = "nvd.pins"
VERSION = 1
PINS = "edits/pins.json"
APPLIED = "pins.json"
"""beside the maps: the pins that they have"""
MOST_PINS = 200
MOST_TARGETS = 1000
"""of a pin"""
LEAST_RADIUS = 0.005

Pixel = Annotated[float, within(0, MOST_PIXELS)]
Target = tuple[Frame, Pixel, Pixel]
"""frame, and the pixel in it: x right, y down, 0, 0 the picture's top left corner"""


@dataclass(frozen=True)
class Pin:
    """A point of a layer's texture, and where it belongs."""

    name: EditName
    layer: Name
    at: tuple[Share, Share]
    """the point, in shares of the texture from its top left"""
    to: Annotated[tuple[Target, ...], Meta(min_length=1, max_length=MOST_TARGETS)]
    """where it belongs, frames rising"""
    radius: Annotated[float, within(LEAST_RADIUS, 10)] | None = field(
        default=None, metadata=OPTIONAL
    )
    """how far the texture bends with it, as a share of its longer side; None: by itself"""
    fade: tuple[Fade, Fade] | None = field(default=None, metadata=OPTIONAL)
    """frames before the first target and behind the last in which it comes and goes; None: it holds
    to the ends of the clip"""
    on: bool = field(default=True, metadata=OPTIONAL)


@dataclass(frozen=True)
class Pins:
    """All pins of a shot."""

    pins: Annotated[tuple[Pin, ...], Meta(max_length=MOST_PINS)] = ()
    schema: str = SCHEMA
    version: int = VERSION

    def number(self, name: str) -> int:
        """Where the pin `name` stands, from 0; NvdError that lists them where there is none."""
        for number, pin in enumerate(self.pins):
            if pin.name.casefold() == name.casefold():
                return number
        names = ", ".join(pin.name for pin in self.pins)
        raise NvdError(
            f"there is no pin {name}",
            expected=f"one of {names}" if names else "a shot with pins",
            found=shown(name),
            remedy="see `nvd pins list`",
        )

    def shown(self) -> tuple[Pin, ...]:
        """Those that are switched on."""
        return tuple(pin for pin in self.pins if pin.on)


NONE = Pins()
_FILE = EditDocument(
    SCHEMA,
    VERSION,
    "pins",
    f"correct {PINS}, or remove it and run `nvd pins apply`: then the maps are as they were",
)
_BESIDE = EditDocument(
    SCHEMA, VERSION, "pins", "run `nvd pins apply`, which writes the maps and this file again"
)


def pins_path(shot: Shot) -> Path:
    """Where the pins of `shot` are, or would be."""
    return inside(shot.folder, PINS)


def applied_path(shot: Shot) -> Path:
    """Where it is noted which pins the maps have."""
    return shot.map_path(0).parent / APPLIED


def original_path(shot: Shot, t: int) -> Path:
    """Where the maps of frame `t` are kept as they were before any pin."""
    return map_files(shot).original(t)


def read_pins(shot: Shot) -> Pins:
    """The pins that are wanted; NONE where there are none. NvdError where they are damaged."""
    return _read(shot, pins_path(shot), _FILE)


def read_applied(shot: Shot) -> Pins:
    """The pins that the maps have; NONE for maps as they were baked."""
    return _read(shot, applied_path(shot), _BESIDE)


def is_applied(shot: Shot) -> bool:
    """Whether the maps have the pins that are wanted."""
    return read_pins(shot).shown() == read_applied(shot).shown()


def write_pins(shot: Shot, pins: Pins) -> Path:
    """Check `pins` as a reader would, then write them into the folder; the file."""
    source = "the new pins"
    written = as_json(pins)
    check_pins(shot, _FILE.read(Pins, written, source), source)
    return write_edit(pins_path(shot), written)


def as_json(pins: Pins) -> dict:
    """What the file holds."""
    return {
        "schema": pins.schema,
        "version": pins.version,
        "pins": [said_of(pin) for pin in pins.pins],
    }


def pin_of(said: dict[str, Any], source: str) -> Pin:
    """A pin of such keys and values; NvdError, which names `source`."""
    made: Pin = _FILE.read(Pin, said, source)
    return made


def check_pins(shot: Shot, pins: Pins, source: str, document: EditDocument = _FILE) -> None:
    """What types alone do not say: NvdError for layers, names, frames and pixels that cannot be."""
    clip, names = shot.manifest.clip, set()
    for number, pin in enumerate(pins.pins):
        key = f"pins[{number}]"
        if pin.layer not in shot.names:
            known = f"one of {', '.join(shot.names)}"
            raise document.not_valid(source, f"{key}.layer", known, pin.layer)
        if pin.name.casefold() in names:
            raise document.not_valid(source, f"{key}.name", "names that differ", pin.name)
        names.add(pin.name.casefold())
        if shot.layer(pin.layer).parts:
            whole = "a layer without parts: a bend would reach from one into the next"
            raise document.not_valid(source, f"{key}.layer", whole, pin.layer)
        frames = [t for t, _x, _y in pin.to]
        if frames != sorted(set(frames)):
            raise document.not_valid(source, f"{key}.to", "frames that rise", frames[:10])
        if frames[-1] >= clip.frames:
            last = f"frames of the clip, 0 to {clip.frames - 1}"
            raise document.not_valid(source, f"{key}.to", last, frames[-1])
        for t, x, y in pin.to:
            if x > clip.width or y > clip.height:
                size = f"pixels within {clip.width} x {clip.height}"
                raise document.not_valid(source, f"{key}.to", size, [t, x, y])


def _read(shot: Shot, path: Path, document: EditDocument) -> Pins:
    if not there(path.exists):
        return NONE
    pins: Pins = document.read_file(path, Pins, "pins")
    check_pins(shot, pins, str(path), document)
    return pins
