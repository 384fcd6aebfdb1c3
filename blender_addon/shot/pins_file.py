"""A shot's edits/pins.json as the extension shows it: which pins there are, and whether the maps
have them.

The engine writes it (`nvd pins`). Plain Python, no bpy; the folder may be anybody's, so all is
checked.
"""

from dataclasses import dataclass
from pathlib import Path

from ..blender.inside import inside
from .edit_document import read_document, require
from .folder import Shot, ShotError

SCHEMA = "nvd.pins"
VERSION = 1
PINS = "edits/pins.json"
APPLIED = "pins.json"
MOST_BYTES = 1 << 22
MOST_PINS = 200
_AGAIN = f"correct {PINS}, or remove it and run `nvd pins apply`"


@dataclass(frozen=True)
class Pin:
    """One pin: the pixels (frame from 0, x right, y down) where its point belongs."""

    name: str
    layer: str
    to: tuple[tuple[int, float, float], ...]
    on: bool


@dataclass(frozen=True)
class Pins:
    """What the folder says."""

    pins: tuple[Pin, ...]
    applied: bool
    """whether the maps have them"""


_known: dict[Path, tuple[object, Pins]] = {}


def read_pins(shot: Shot) -> Pins:
    """The pins of a shot; ShotError where they are damaged. Read anew where a file has changed."""
    paths = inside(shot.folder, PINS, ShotError), shot.map(0).parent / APPLIED
    stamps = tuple(map(_stamp, paths))
    known = _known.get(shot.folder)
    if known is None or known[0] != stamps:
        wanted, written = (
            read_document(path, lambda found: _checked(found, shot), MOST_BYTES, _AGAIN)
            for path in paths
        )
        shown = [said for said, pin in wanted or () if pin.on]
        pins = tuple(pin for _said, pin in wanted or ())
        applied = shown == [said for said, _pin in written or ()]
        known = _known[shot.folder] = stamps, Pins(pins, applied)
    return known[1]


def _checked(found: object, shot: Shot) -> list[tuple[dict, Pin]]:
    require(isinstance(found, dict) and found.get("schema") == SCHEMA, f"it is no {SCHEMA}")
    require(type(found.get("version")) is int, "it has no version")
    require(found["version"] <= VERSION, "a newer program wrote it: update the extension")
    pins = found.get("pins")
    require(isinstance(pins, list) and len(pins) <= MOST_PINS, "it has no pins")
    names = [layer.name for layer in shot.layers]
    return [(said, _pin(said, names, shot)) for said in pins]


def _pin(said: object, names: list[str], shot: Shot) -> Pin:
    require(isinstance(said, dict), "a pin is no object")
    name, layer, to, on = (said.get(key) for key in ("name", "layer", "to", "on"))
    require(isinstance(name, str) and 0 < len(name) <= 60, "a pin has no name")
    require(layer in names, f"{name} is on no layer of the shot")
    require(isinstance(to, list) and to, f"{name} belongs nowhere")
    require(on in (None, True, False), f"{name} is neither on nor off")
    return Pin(name, layer, tuple(_target(target, name, shot) for target in to), on is not False)


def _target(target: list, name: str, shot: Shot) -> tuple[int, float, float]:
    require(isinstance(target, list) and len(target) == 3, f"a target of {name} is no triple")
    t, x, y = target
    require(type(t) is int and 0 <= t < shot.frames, f"{name} belongs in no frame")
    for value, most in ((x, shot.width), (y, shot.height)):
        require(type(value) in (int, float) and 0 <= value <= most, f"{name} is out of the picture")
    return t, float(x), float(y)


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size
