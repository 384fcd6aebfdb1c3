"""The parts in the panel's list: of the object that is chosen, or of the background.

    part = add_part(strip)          # then it gets a mask, as an object does
    thing = chosen(strip, part=True)

What its clicks and its lost frames are kept by is its name behind that of its layer: walker.leg.
"""

from ..errors import AddonError
from .job import BACKGROUND
from .properties import NVD_PG_object, NVD_PG_part, NVD_PG_strip


def owner(strip) -> NVD_PG_object | NVD_PG_strip | None:
    """Whose parts the panel lists; None: of an object, and none is chosen."""
    own = strip.nvd_decompose
    if own.parts_of == BACKGROUND.upper():
        return own
    return own.objects[own.active] if 0 <= own.active < len(own.objects) else None


def chosen(strip, part: bool = False) -> NVD_PG_object | NVD_PG_part:
    """The active object of the strip's list, or the active one of the listed parts.

    AddonError where there is none.
    """
    whole = owner(strip) if part else strip.nvd_decompose
    things = () if whole is None else whole.parts if part else whole.objects
    number = getattr(whole, "active_part" if part else "active", -1)
    if not 0 <= number < len(things):
        if part:
            raise AddonError("there is no part", "add one to the list of parts")
        raise AddonError("there is no object", "add one to the list, or find what moves")
    return things[number]


def add_part(strip) -> NVD_PG_part:
    """A new part at the back of the list, with a name that is free."""
    whole = owner(strip)
    if whole is None:
        raise AddonError("there is no object to have parts", "add it to the list of objects")
    taken = {part.name for part in whole.parts}
    part = whole.parts.add()
    names = ["part", *(f"part{number}" for number in range(2, len(taken) + 2))]
    part.name = next(name for name in names if name not in taken)
    part.frame = strip.id_data.frame_current
    whole.active_part = len(whole.parts) - 1
    return part


def remove_part(strip) -> None:
    """Take the active part off the list; its mask stays in the file until nobody uses it."""
    part, whole = chosen(strip, part=True), owner(strip)
    whole.parts.remove(list(whole.parts).index(part))
    whole.active_part = max(0, min(whole.active_part, len(whole.parts) - 1))


def move_part(strip, by: int) -> None:
    """Move the active part towards the front or the back, as far as there is room."""
    whole = owner(strip)
    to = whole.active_part + by if whole is not None else -1
    if whole is not None and 0 <= to < len(whole.parts):
        whole.parts.move(whole.active_part, to)
        whole.active_part = to


def full_name(strip, thing: NVD_PG_object | NVD_PG_part) -> str:
    """What an object or part of the strip is called: a part behind its layer, walker.leg."""
    return next((name for name, one in named(strip) if one == thing), thing.name)


def named(strip) -> list[tuple[str, NVD_PG_object | NVD_PG_part]]:
    """All objects and parts of a strip by their full names, objects first."""
    own = strip.nvd_decompose
    found = [(thing.name, thing) for thing in own.objects]
    found += [(f"{thing.name}.{part.name}", part) for thing in own.objects for part in thing.parts]
    return found + [(f"{BACKGROUND}.{part.name}", part) for part in own.parts]


def trouble(strip) -> str:
    """With what parts that are listed or to be found cannot be decomposed, "shots" or "windows";
    empty: they can.
    """
    own, whole = strip.nvd_decompose, owner(strip)
    if whole is None or not (len(whole.parts) or getattr(whole, "find_parts", False)):
        return ""
    if own.shots and len(whole.parts):  # those that are found are each shot's own
        return "shots"
    if getattr(whole, "windows", 0) > 1:
        return "windows"
    return ""
