"""Blender's script (.py): plain bpy for Blender 4.2 to 5.2, without the extension."""

from nvd_core.editing.export_blender_script import SCRIPT
from nvd_core.editing.export_graph import LIGHT, Formula, HandOver, Lookup, Read, graph


def blender_script(over: HandOver) -> str:
    """The text of the script, whose paths are relative to its own place."""
    reads, formulas, lookups, order = {}, {}, {}, []
    for node in graph(over):
        order.append(node.name)
        match node:
            case Read(name, path, moves):
                reads[name] = path, moves
            case Formula(name, inputs, rgba):
                formulas[name] = inputs, rgba
            case Lookup(name, image, place, width, height):
                lookups[name] = image, place, width, height
    clip = over.clip
    values = {
        "TITLE": over.title,
        "SIZE": (clip.width, clip.height),
        "ASPECT": tuple(clip.picture.pixel_aspect),
        "RATE": tuple(clip.rate),
        "FIRST": over.first,
        "LAST": over.last,
        "READS": reads,
        "FORMULAS": formulas,
        "LOOKUPS": lookups,
        "ORDER": order,
        "OUTPUT": LIGHT,
    }
    told = "\n".join(f"{name} = {_shown(value)}" for name, value in values.items())
    return SCRIPT.replace("@VALUES@", told)


def _shown(value: object) -> str:
    """A literal; of lists and dictionaries one entry a line."""
    if isinstance(value, list):
        return "[\n" + "".join(f"    {entry!r},\n" for entry in value) + "]"
    if isinstance(value, dict):
        return "{\n" + "".join(f"    {key!r}: {entry!r},\n" for key, entry in value.items()) + "}"
    return repr(value)
