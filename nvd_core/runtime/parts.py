"""Parts of a layer: what moves by itself within one object, or before a far background.

A layer with parts stays one layer with one texture and one alpha. Each pixel of a frame belongs to
one part, each part has a motion of its own and a cell of the texture square that no other has.
"""

from dataclasses import dataclass

import numpy as np

REST = "rest"
"""name of part 0: what no other part has"""
MOST_PARTS = 16
"""of a layer, the rest included"""


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
