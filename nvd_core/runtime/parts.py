"""Parts of a layer: what moves by itself within one object, or before a far background.

A layer with parts stays one layer with one texture and one alpha. Each pixel of a frame belongs to
one part, each part has a motion of its own and a cell of the texture square that no other has.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import NAME

REST = "rest"
"""name of part 0: what no other part has"""
MOST_PARTS = 16
"""of a layer, the rest included"""
Given = Sequence[Sequence[str]]
"""[layer.part, path] of each part, front to back"""


@dataclass(frozen=True)
class Part:
    """A part's name, and its cell of the texture square."""

    name: str
    cell: tuple[float, float, float, float]
    """lowest u and v, highest u and v"""


def split_name(text: str) -> tuple[str, str]:
    """`walker.leg` as the layer and its part; ("", "") where it names none."""
    layer, dot, part = text.partition(".")
    return (layer, part) if dot and layer and part and "." not in part else ("", "")


def check_parts(parts: Given, layers: Sequence[str]) -> None:
    """NvdError where parts have names that cannot be, or are of layers that there are not."""
    for name, _ in parts:
        layer, part = split_name(name)
        if layer not in layers:
            raise NvdError(
                f"{name} is no part of a layer that there is",
                expected=f"LAYER.PART, with LAYER one of {', '.join(layers)}",
                found=name,
                remedy="such as --part walker.leg=leg.png, beside --mask walker=walker.png",
            )
        if not re.fullmatch(NAME, part):
            raise NvdError(
                f"{name} cannot be the name of a part",
                expected="letters, digits, _ and -",
                remedy="give the part another name",
            )
        if part.lower() == REST:
            raise NvdError(
                f"no part can be called {REST}: that is what the others leave",
                remedy="give this part another name",
            )
    folded = Counter(name.lower() for name, _ in parts)
    if twice := [name for name, count in folded.items() if count > 1]:
        raise NvdError(f"two parts are called {twice[0]}", remedy="give each a name of its own")
    counts = Counter(split_name(name)[0] for name, _ in parts)
    if counts and max(counts.values()) >= MOST_PARTS:
        layer = counts.most_common(1)[0][0]
        raise NvdError(
            f"{layer} has too many parts",
            expected=f"{MOST_PARTS - 1} at the most",
            found=f"{counts[layer]}",
            remedy="leave small ones to the rest",
        )


def packed(sizes: np.ndarray) -> tuple[np.ndarray, float]:
    """Centres [K, 2] of cells in the square from -1 to 1, and the side in which they were counted.

    sizes: width and height of each, [K, 2] above 0. They stand on shelves, the highest first, in
    the width that makes the square least; scaled by 2 / side none meets another.
    """
    order = np.argsort(-sizes[:, 1], kind="stable")
    widths = np.linspace(sizes[:, 0].max(), sizes[:, 0].sum(), 32)
    corners, side = min((_shelves(sizes, order, w) for w in widths), key=lambda made: made[1])
    return (2 * corners + sizes) / side - 1, side


def _shelves(sizes: np.ndarray, order: np.ndarray, most: float) -> tuple[np.ndarray, float]:
    """Lower corners of cells on shelves `most` wide, and the side of the square around them."""
    corners = np.zeros_like(sizes)
    x = y = high = widest = 0.0
    for k in order:
        width, height = sizes[k]
        if x and x + width > most * (1 + 1e-9):
            x, y, high = 0.0, y + high, 0.0
        corners[k] = x, y
        x, high = x + width, max(high, height)
        widest = max(widest, x)
    return corners, float(max(widest, y + high))
