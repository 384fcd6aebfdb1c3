"""Changing a shot's pins: what `nvd pins` does. Whoever calls holds the folder's lock."""

from collections.abc import Sequence
from typing import Any

from nvd_core.editing.pin_maps import apply_pins, check_pinned
from nvd_core.editing.pin_places import original_layers, point_at
from nvd_core.runtime.progress import Progress
from nvd_core.shot.edit_document import said_of
from nvd_core.shot.pins import Pin, Pins, check_pins, pin_of, read_pins, write_pins
from nvd_core.shot.shot import Shot


def add_pin(
    shot: Shot,
    said: dict[str, Any],
    seen: tuple[int, float, float] | None = None,
    *,
    later: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Add a pin of these keys (`shot.pins.Pin`), and write the maps unless `later`; facts.

    `seen`: a frame and a pixel in it that shows the point, in place of the key `at`; the point
    stays there. NvdError where the layer does not show at a target, or its texture would fold; then
    nothing is changed.
    """
    pins = read_pins(shot)
    if seen is not None:
        at = point_of(shot, said["layer"], _target(seen))
        said = said | {"at": at, "to": [seen, *said.get("to", [])]}
    said = said | {"to": sorted(_target(target) for target in said.get("to", []))}
    return _changed(shot, Pins((*pins.pins, pin_of(said, "the new pin"))), later, progress)


def set_pin(
    shot: Shot,
    name: str,
    said: dict[str, Any],
    *,
    later: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Give the pin `name` these keys, those of None as by default; facts as of `add_pin`."""
    pins = read_pins(shot)
    number = pins.number(name)
    keys = said_of(pins.pins[number]) | said
    keys["to"] = sorted(_target(target) for target in keys["to"])
    pin = pin_of({k: v for k, v in keys.items() if v is not None}, "the changed pin")
    made = (*pins.pins[:number], pin, *pins.pins[number + 1 :])
    return _changed(shot, Pins(made), later, progress)


def remove_pins(
    shot: Shot,
    names: Sequence[str] | None,
    *,
    later: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Remove the pins `names`, None for all; facts as of `add_pin`."""
    pins = read_pins(shot)
    gone = set(range(len(pins.pins))) if names is None else {pins.number(name) for name in names}
    left = tuple(pin for number, pin in enumerate(pins.pins) if number not in gone)
    return _changed(shot, Pins(left), later, progress)


def point_of(shot: Shot, layer: str, seen: tuple[int, float, float]) -> list[float]:
    """The point of the layer's texture that a pixel (frame, x, y) shows before any pin."""
    t, x, y = seen
    record = shot.layer(layer)
    # the frame and pixel, checked as a pin's are
    check_pins(shot, Pins((Pin("point", record.name, (0.0, 0.0), (seen,)),)), "the new pin")
    maps = original_layers(shot, t)[shot.names.index(record.name)]
    point, _ = point_at(maps, x, y, "the new pin", record.name, t)
    return [min(max(float(share), 0.0), 1.0) for share in point]


def _target(given: Sequence[float]) -> tuple[int, float, float]:
    """A frame and a pixel in plain numbers, as JSON has them, whatever they were."""
    t, x, y = given
    return int(t), float(x), float(y)


def _changed(shot: Shot, pins: Pins, later: bool, progress: Progress | None) -> dict:
    """Write `pins` once they are known to hold, then the maps."""
    check_pins(shot, pins, "the new pins")
    check_pinned(shot, pins)
    write_pins(shot, pins)
    names = [pin.name for pin in pins.pins]
    if later:
        return {"pins": names}
    return {"pins": names} | apply_pins(shot, pins, progress)
