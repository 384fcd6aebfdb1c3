"""Blender's colour spaces by their primaries, and by the names that others have for them."""

from collections.abc import Sequence

import bpy

from .pixels import LINEAR

CLOSE = 0.002  # in x and y: two writers' roundings of the same primaries, as the engine has it

# x and y of red, green, blue and white; names as Blender's own configuration has them, then those
# of the ACES ones. XYZ's numbers are taken for those under D65, as the engine does.
_SPACES = (
    ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290), (LINEAR, "Linear Rec.709 (sRGB)")),
    ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290), ("Linear Rec.2020",)),
    (
        (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767),
        ("ACEScg", "ACES - ACEScg"),
    ),
    (
        (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767),
        ("ACES2065-1", "ACES - ACES2065-1"),
    ),
    (
        (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
        ("Linear DCI-P3 D65", "Linear P3-D65"),
    ),
    (
        (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290),
        ("Linear Adobe RGB", "Linear AdobeRGB"),
    ),
    ((1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3), ("Linear CIE-XYZ D65", "CIE-XYZ-D65")),
)


_OTHER_NAMES = (
    ("sRGB", "sRGB - Display", "sRGB Encoded Rec.709 (sRGB)", "sRGB - Texture"),
    ("Rec.1886", "Rec.1886 Rec.709 - Display"),
    ("Rec.2100-PQ", "Rec.2100-PQ - Display"),
    ("Rec.2100-HLG", "Rec.2100-HLG - Display"),
)


def space_called(name: str) -> str | None:
    """Blender's name of a colour space that another configuration calls `name`; None without it."""
    known = _known()
    if name in known:
        return name
    alike = (names for names in (*(n for _, n in _SPACES), *_OTHER_NAMES) if name in names)
    return next((one for names in alike for one in names if one in known), None)


def _known() -> list[str]:
    settings = bpy.types.ColorManagedInputColorspaceSettings.bl_rna.properties["name"]
    return [item.identifier for item in settings.enum_items]


def linear_space(primaries: Sequence[float] | None) -> str | None:
    """The name of the linear colour space of these primaries (None: Rec.709), None without one."""
    if primaries is None:
        return LINEAR
    known = _known()
    for numbers, names in _SPACES:
        if all(abs(a - b) < CLOSE for a, b in zip(numbers, primaries, strict=True)):
            return next((name for name in names if name in known), None)
    return None
