"""Pins carried to another decomposition of the clip.

A pin's point goes where the paint on it goes, and belongs to the same pixels. It is written and not
applied: whether the new maps still slip there is to be looked at first.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nvd_core.editing.carried_places import Places
from nvd_core.editing.carry_stack import MovedPoints
from nvd_core.shot.pins import Pin, Pins, read_pins, write_pins
from nvd_core.shot.shot import Shot


def pinned_layers(old: Shot, new: Shot) -> list[str]:
    """The layers of both that have pins in `old`."""
    return [name for name in new.names if any(pin.layer == name for pin in read_pins(old).pins)]


def carry_pins(old: Shot, new: Shot, places: Mapping[str, Places | None]) -> list[str]:
    """Write the pins of `old` into `new`, which has none, not applied; what has to be said.

    Those on the layers whose `places` are given.
    """
    pins = [pin for pin in read_pins(old).pins if pin.layer in places]
    if not pins:
        return []
    if read_pins(new).pins:
        return [f"the pins of {old.folder.name} were not carried over: there are some already"]
    in_parts = [pin.name for pin in pins if new.layer(pin.layer).parts]
    pins = [pin for pin in pins if pin.name not in in_parts]
    made = {pin.name: _carried(old, new, pin, places[pin.layer]) for pin in pins}
    kept = tuple(pin for pin in made.values() if pin is not None)
    said = []
    if kept:
        write_pins(new, Pins(kept))
        names = ", ".join(pin.name for pin in kept)
        said.append(
            f"the pins {names} are carried over and not applied: look whether the new maps still "
            f"slip there, then `nvd pins apply {new.folder}`, or `nvd pins remove`"
        )
    if in_parts:
        said.append(
            f"the pins {', '.join(in_parts)} were not carried over: a layer with parts takes none"
        )
    if lost := [name for name, pin in made.items() if pin is None]:
        said.append(f"the pins {', '.join(lost)} have no place here and were not carried over")
    return said


def _carried(old: Shot, new: Shot, pin: Pin, places: Places | None) -> Pin | None:
    """The pin on the new texture; None where no frame shows its point in both."""
    if places is None:
        return None
    (point,), (known,) = MovedPoints(places)(np.array([pin.at], np.float64))
    apart = new.manifest.clip.first_frame - old.manifest.clip.first_frame
    targets = tuple((t - apart, x, y) for t, x, y in pin.to if 0 <= t - apart < new.frames)
    if not (known and targets and (point >= 0).all() and (point <= 1).all()):
        return None
    return replace(pin, at=tuple(map(float, point.round(7))), to=targets)
