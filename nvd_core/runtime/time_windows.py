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


def window_of(windows: list[Window], frames: int) -> np.ndarray:  # int64 [frames]
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


def regions(count: int) -> list[tuple[np.ndarray, float]]:
    """Centre [2] and half a side of the part of the texture square that each window has."""
    columns = int(np.ceil(np.sqrt(count)))
    half = 1 / columns
    return [
        (
            np.array([2 * half * (k % columns) + half - 1, 2 * half * (k // columns) + half - 1]),
            half,
        )
        for k in range(count)
    ]
