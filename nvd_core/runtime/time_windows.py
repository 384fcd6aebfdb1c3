"""Windows in time: an object that turns is seen anew, and each of its views has a place of its own.

One sheet cannot show front and back at one place. An object with windows still has one texture: the
frames of each window are mapped to a part of the texture square that is theirs alone.
"""

from collections.abc import Sequence

import numpy as np

Window = tuple[int, int]
"""first and last frame"""


def split_windows(areas: np.ndarray, count: int) -> list[Window]:
    """`count` windows that cover all frames, each with as many of those that show the object.

    areas: pixels of the object, int [T]. There are fewer where fewer than two frames a window
    show it; frames that do not show it go with those before.
    """
    shown = np.flatnonzero(areas)
    count = max(min(count, len(shown) // 2), 1)
    parts = np.array_split(shown, count)
    firsts = [0, *(int(part[0]) for part in parts[1:])]
    return list(zip(firsts, [*(first - 1 for first in firsts[1:]), len(areas) - 1], strict=True))


def window_of(windows: Sequence[Window], frames: int) -> np.ndarray:  # int64 [frames]
    """The number of each frame's window; 0 everywhere without windows."""
    numbers = np.zeros(frames, np.int64)
    for number, (first, last) in enumerate(windows):
        numbers[first : last + 1] = number
    return numbers


def covers(windows: Sequence[Window], frames: int) -> bool:
    """Whether they are windows of a clip of so many frames; none are, too."""
    after = 0
    for first, last in windows:
        if first != after or last < first:
            return False
        after = last + 1
    return not windows or after == frames


def regions(count: int, size: np.ndarray) -> tuple[np.ndarray, float]:
    """Centres [count, 2] of parts of the texture square, and the side in which they were counted.

    Each part is `size` wide and high; all are packed as tightly as rows of equally many can be, and
    scaled by 2 / side they fill the square from -1 to 1.
    """
    width, height = size
    columns = min(range(1, count + 1), key=lambda c: max(c * width, -(-count // c) * height))
    rows = -(-count // columns)
    side = max(columns * width, rows * height)
    numbers = np.arange(count)
    place = np.column_stack([numbers % columns, numbers // columns])
    centres = (2 * place + 1 - np.array([columns, rows])) * size / side
    return centres, float(side)
