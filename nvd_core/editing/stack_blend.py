"""How an entry of the stack is laid over the sheet below it; all values are display-encoded."""

from collections.abc import Callable

import numpy as np

from nvd_core.shot.stack import Entry

Blending = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _overlay(e: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.where(e <= 0.5, 2 * e * s, 1 - 2 * (1 - e) * (1 - s))


def _soft_light(e: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Pegtop's formula, which Blender has too: without the break of others at 0.5."""
    return (1 - 2 * s) * e * e + 2 * s * e


BLENDS: dict[str, Blending] = {
    "normal": lambda e, s: s,
    "multiply": lambda e, s: e * s,
    "screen": lambda e, s: 1 - (1 - e) * (1 - s),
    "overlay": _overlay,
    "soft_light": _soft_light,
    "add": lambda e, s: e + s,
    "subtract": lambda e, s: e - s,
    "darken": np.minimum,
    "lighten": np.maximum,
}
"""what is shown of an opaque colour s [..., 3] over e [..., 3]"""


def adjusted(colours: np.ndarray, entry: Entry) -> np.ndarray:
    """`colours` [..., 3] with the entry's hue, saturation, gain and gamma, in that order.

    What is as it is by default changes no bit.
    """
    if entry.hue or entry.saturation != 1:
        colours = _turned(colours, entry.hue, entry.saturation)
    if entry.gain != 1:
        colours = colours * np.float32(entry.gain)
    if entry.gamma != 1:
        colours = np.maximum(colours, 0) ** np.float32(1 / entry.gamma)
    return colours


def _turned(colours: np.ndarray, hue: float, saturation: float) -> np.ndarray:
    """Hue turned by so many degrees and saturation multiplied, up to 1, in HSV; float32.

    HSV knows no negative values: they are taken as 0. Those above 1 stay.
    """
    rgb = np.maximum(colours, 0)
    value = rgb.max(-1)
    chroma = value - rgb.min(-1)
    wide = np.where(chroma > 0, chroma, 1)
    red, green, blue = (rgb[..., n] for n in range(3))
    sixth = np.where(
        value == red,
        ((green - blue) / wide) % 6,
        np.where(value == green, (blue - red) / wide + 2, (red - green) / wide + 4),
    )
    sixth = sixth + np.float32(hue / 60)
    bright = np.where(value > 0, value, 1)
    chroma = value * (chroma / bright * np.float32(saturation)).clip(0, 1)
    channels = []
    for n in (5, 3, 1):
        k = (n + sixth) % 6
        channels.append(value - chroma * np.minimum(k, 4 - k).clip(0, 1))
    return np.stack(channels, -1).astype(np.float32)
