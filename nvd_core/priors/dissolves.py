"""Dissolves: frames that are mixed of the shot before and the one behind.

Between a frame A of one shot and B of the other every frame is (1 - w) A + w B, with w rising from
0 to 1, and around them the shots stay what they are. A camera that moves shows neither: what lies
between two of its frames is no mixture of them, nor does it stand still before and behind.
"""

from collections.abc import Iterable

import cv2
import numpy as np

_ACROSS = 40
"""pixels along the longer side: so small, motion within a shot counts for little"""
_LENGTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""frames from A to B that are tried"""
_CHANGE = 8.0
"""root mean square difference of A and B, in 1/255, below which there is nothing to see"""
_LEFT = 0.03
"""share of that difference, squared, which the mixture leaves unexplained at most"""
_STILL = 0.1
"""how far w may be from 0 before A, and from 1 behind B"""
_ALIKE = 0.5
"""correlation of A and B, above which they are of one shot"""
_FEWEST = 2
"""frames that are clearly mixed"""


def find_mixed(lumas: Iterable[np.ndarray]) -> list[tuple[int, int]]:
    """First and last of the frames that may be mixed of two shots; `lumas` are uint8 [h, w]."""
    small = [_small(luma) for luma in lumas]
    if len(small) < _LENGTHS[0] + 3:
        return []
    frames = np.stack(small)
    found: list[tuple[int, int]] = []
    for length in _LENGTHS:
        around = max(2, length // 4)
        for a in range(around, len(frames) - length - around):
            if any(first <= a + length and a <= last for first, last in found):
                continue
            if mixed := _mixed(frames[a - around : a + length + around + 1], around):
                found.append((a - around + mixed[0], a - around + mixed[1]))
    return sorted(found)


def _small(luma: np.ndarray) -> np.ndarray:
    """Float32 [h w], as small as `_ACROSS` has it."""
    factor = _ACROSS / max(luma.shape)
    size = [max(round(side * factor), 1) for side in luma.shape[::-1]]
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if factor < 1 else luma
    return small.astype(np.float32).ravel()


def _mixed(frames: np.ndarray, around: int) -> tuple[int, int] | None:
    """Which of the frames [T, P] are mixed of those `around` from either end; None: not so."""
    one, other = frames[around], frames[-around - 1]
    change = other - one
    power = float(change @ change)
    if power < _CHANGE**2 * len(change) or min(one.std(), other.std()) < 1:
        return None  # the same, or from or to an even colour
    share = (frames - one) @ change / power
    if (
        np.abs(share[: around + 1]).max() > _STILL
        or np.abs(share[-around - 1 :] - 1).max() > _STILL
    ):
        return None
    left = frames - one - share[:, None] * change
    if (left * left).sum(axis=1).max() > _LEFT * power or (np.diff(share) < -_STILL).any():
        return None
    if ((share > 0.2) & (share < 0.8)).sum() < _FEWEST or np.corrcoef(one, other)[0, 1] > _ALIKE:
        return None
    between = np.flatnonzero((share > 0.03) & (share < 0.97))
    return int(between[0]), int(between[-1])
