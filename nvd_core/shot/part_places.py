"""Which part of a layer a place of its texture belongs to."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from nvd_core.shot.manifest import PartRecord
from nvd_core.shot.maps import LayerMaps


def part_numbers(parts: Sequence[PartRecord], u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The number of the part that has each place, uint8 of the shape of `u`; 0 without parts.

    u to the right, v UP, both 0 to 1 in the texture. A place beside all boxes counts to the
    nearest.
    """
    numbers = np.zeros(u.shape, np.uint8)
    least = np.full(u.shape, np.inf)
    for number, part in enumerate(parts):
        left, top, right, bottom = part.box
        beside = np.maximum(left - u, u - right).clip(0)
        above = np.maximum(top - (1 - v), (1 - v) - bottom).clip(0)
        far = beside**2 + above**2
        nearer = far < least
        numbers[nearer], least[nearer] = number, far[nearer]
    return numbers


def pieces_of(maps: LayerMaps, numbers: np.ndarray) -> Generator[tuple[int, LayerMaps], None, None]:
    """Each number in `numbers` [H, W] with maps that show the layer only where it stands."""
    for number in np.unique(numbers[maps.alpha > 0]):
        yield int(number), replace(maps, alpha=np.where(numbers == number, maps.alpha, 0))


def part_borders(numbers: np.ndarray) -> np.ndarray:
    """Pixels, bool [H, W], beside which on the right or below another part begins, or before."""
    right, below = numbers[:, 1:] != numbers[:, :-1], numbers[1:] != numbers[:-1]
    borders = np.zeros(numbers.shape, bool)
    borders[:, 1:] |= right
    borders[:, :-1] |= right
    borders[1:] |= below
    borders[:-1] |= below
    return borders
