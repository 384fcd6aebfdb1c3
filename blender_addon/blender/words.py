"""What the interface says in other languages, for Blender to choose by its preferences.

A language is a file of JSON in words/, named as Blender names it (de_DE, ja_JP): what the
code says in English, and what stands in its place. Blender itself translates names and tooltips of
operators and properties, and the texts of a layout; text with values in it is `translated` here.
"""

import json
from pathlib import Path

import bpy

CONTEXTS = ("*", "Operator")
"""buttons ask in the second, everything else in the first"""


def languages() -> dict[str, dict[str, str]]:
    """By the language's name: English to translation."""
    folder = Path(__file__).parents[1] / "words"
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


def translated(text: str, **values: object) -> str:
    """`text` in the language of the interface, with `values` in its braces."""
    return bpy.app.translations.pgettext_iface(text).format(**values)


def tip_of(properties: bpy.types.OperatorProperties, name: str) -> str:
    """The tooltip of a button whose operator has the choice `name`: that of what is chosen."""
    choice = properties.bl_rna.properties[name].enum_items[getattr(properties, name)]
    return bpy.app.translations.pgettext_tip(choice.description)


def register():
    words = {
        language: {(context, text): said for text, said in pairs.items() for context in CONTEXTS}
        for language, pairs in languages().items()
    }
    bpy.app.translations.register(__name__, words)


def unregister():
    bpy.app.translations.unregister(__name__)
