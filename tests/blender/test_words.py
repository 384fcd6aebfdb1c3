"""The interface in other languages: complete, with the same values, and shown by Blender."""

import string
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon.blender.words import languages, translated

ROOT = Path(blender_addon.__file__).parent
SAME = {"CPU", "CUDA", "PyTorch"} | {"ProRes 4444", "ProRes 422 HQ", "DNxHR HQX"}
SAME |= {"H.264", "HEVC", "VP9", "FFV1"}
"""what has no other name"""


@pytest.fixture
def german(extension):
    view = bpy.context.preferences.view
    before = view.language, view.use_translate_interface, view.use_translate_tooltips
    try:
        view.language = "de_DE"
    except TypeError:
        pytest.skip("this bpy knows no languages; tests/test_real_blender.py has one that does")
    view.use_translate_interface = view.use_translate_tooltips = True
    yield
    view.language, view.use_translate_interface, view.use_translate_tooltips = before


@pytest.mark.once
@pytest.mark.parametrize("language", sorted(languages()))
def test_everything_that_is_shown_is_translated(interface, language):
    words = languages()[language]
    texts = interface.texts(ROOT)
    missing = {text: where for text, where in texts.items() if text not in words}
    assert not missing
    assert not set(words) - set(texts) - {"Visibility", "Relight"}


@pytest.mark.once
def test_nothing_is_put_together_past_the_translation(interface):
    assert interface.composed(ROOT) == []


@pytest.mark.once
@pytest.mark.parametrize("language", sorted(languages()))
def test_translations_have_the_same_values_and_say_something(language):
    for text, said in languages()[language].items():
        fields = [
            sorted(f for _, f, _, _ in string.Formatter().parse(t) if f) for t in (text, said)
        ]
        assert fields[0] == fields[1], text
        assert said.strip() and (said != text or text in SAME or language == "de_DE"), text


def _fields(text):
    return sorted(field for _, field, _, _ in string.Formatter().parse(text) if field)


def test_blender_shows_them(german):
    interface = bpy.app.translations.pgettext_iface
    assert interface("Save Paint", "Operator") == "Farbe sichern"
    assert interface("Painted Shots") == "Bemalte Einstellungen"
    tip = "Stop the job; it can be resumed"
    assert bpy.app.translations.pgettext_tip(tip).startswith("Den Auftrag anhalten")
    said = translated("{strip}: {count} frames from {start}", strip="{clip}", count=8, start=11)
    assert said == "{clip}: 8 Bilder ab 11"


def test_without_a_translation_it_is_english(extension):
    assert translated("{count} lines of its log were not understood", count=2).startswith("2 lines")


@pytest.mark.parametrize(
    ("operator", "name"), [("NVD_OT_to_strip", "way"), ("NVD_OT_show_layer", "what")]
)
def test_each_button_of_one_operator_has_its_own_tooltip(extension, operator, name):
    identifier = getattr(bpy.types, operator).bl_idname
    properties = bpy.context.window_manager.operator_properties_last(identifier)
    tips = set()
    choices = properties.bl_rna.properties[name].enum_items
    for choice in choices:
        setattr(properties, name, choice.identifier)
        tips.add(getattr(bpy.types, operator).description(bpy.context, properties))
    assert len(tips) == len(choices) and all(len(tip) > 20 for tip in tips)
