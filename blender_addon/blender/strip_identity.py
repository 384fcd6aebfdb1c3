"""Which strip is which: an identity that stays when a strip is renamed and that no copy shares.

    id = identity(strip)                  # given where it has none yet
    strip = strip_by(scene, id, "name")   # whatever it is called by now

It is a custom property, which Blender copies along with a strip. `settle` takes it off the copies;
one that has to be known for itself is given another then. Beside it stands under which names of
scene and strip it was last seen, by which the original is told from its copies.
"""

import uuid
from collections import defaultdict

import bpy

from . import compat

_ID, _SEEN = "nvd_id", "nvd_seen_as"


def identity(strip) -> str:
    """The strip's identity. Writes: not to be asked while Blender draws."""
    settle()
    if not strip.get(_ID):
        strip[_ID] = uuid.uuid4().hex
        _note(strip)
    return strip[_ID]


def strip_by(scene: bpy.types.Scene, id: str, name: str):
    """The strip of the scene with that identity, else that of that name which has none; or None.

    A name alone does for what older files and scripts say. May be asked while Blender draws.
    """
    strips = compat.strips(scene)
    if id:
        found = [strip for strip in strips if strip.get(_ID) == id]
        if found:
            return min(found, key=_originality)
    of_name = next((strip for strip in strips if strip.name == name), None)
    return None if of_name is not None and id and of_name.get(_ID) else of_name


def settle() -> None:
    """Take the identity off every copy of a strip that has one, and note what that is called."""
    known = defaultdict(list)
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            if strip.get(_ID):
                known[strip[_ID]].append(strip)
    for strips in known.values():
        original, *copies = sorted(strips, key=_originality)
        forget(copies)
        if list(original.get(_SEEN, ())) != _names(original):
            _note(original)


def forget(strips) -> None:
    """Take the identity off `strips`."""
    for strip in strips:
        for key in (_ID, _SEEN):
            if key in strip:
                del strip[key]


def _note(strip) -> None:
    strip[_SEEN] = _names(strip)


def _names(strip) -> list[str]:
    return [strip.id_data.name, strip.name]


def _originality(strip) -> tuple:
    """The lowest is the original: seen by these names last, or named with the least added."""
    scene, name = _names(strip)
    seen = list(strip.get(_SEEN, ("", "")))
    return seen != [scene, name], seen[0] != scene, len(name), name, len(scene), scene
