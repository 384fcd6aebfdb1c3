"""How well sheets at given motions explain what frames show of an object.

The frames are laid onto the sheets, one a part, and each frame is told from all the others: what a
frame shows nowhere else is told by no sheet. A smooth bend of each frame is allowed, as a mapping
learns one; so a part is no better only because its object bends.
"""

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

BEND = 0.05
"""width over which a bend is smooth, as a share of the object's size"""
ROUNDS = 2
"""how often the bends are measured"""
FAR = 60.0
"""difference of two colours, 0 to 255, from which it counts no more"""
LARGEST = 3.0
"""sides of a sheet, in those of a frame: motions that need more are lost"""
KNOWN = 0.2
"""weight of a sheet's texel from which on it tells a colour"""
MOST_PIXELS = 6_000_000
"""of an object in all frames that are held at once: about 100 bytes each with three parts"""


def evidence_scale(shape: tuple[int, int], longest: int, pixels: int) -> float:
    """By which factor, 1 at most, frames of (h, w) are made smaller to be looked at.

    Their longer side is `longest` then, or less where the object has too many `pixels` in all.
    """
    return min(1.0, longest / max(shape), (MOST_PIXELS / max(pixels, 1)) ** 0.5)


class Sheets:
    """The places of an object's pixels on its sheets, frame by frame."""

    def __init__(
        self,
        frames: np.ndarray,  # uint8 [T, h, w, 3]
        shown: np.ndarray,  # bool [T, h, w]
        labels: np.ndarray,  # uint8 [T, h, w], number of each pixel's part
        motions: np.ndarray,  # float64 [K, T, 3, 3], pixels of a frame to those of a sheet
        check: Callable[[], None] = lambda: None,
        largest: float = LARGEST,
    ) -> None:
        """As many sheets as `motions` has parts, each of `largest` sides of a frame at most.

        `check` is asked often whether to stop.
        """
        self._check, self._largest = check, largest
        self.frames, self.shown, self.motions = frames, shown, motions
        self.pixels = [np.nonzero(one) for one in shown]  # rows, columns
        self.parts = [labels[t][at] for t, at in enumerate(self.pixels)]
        self.colours = [frames[t][at].astype(np.float32) for t, at in enumerate(self.pixels)]
        everything = np.concatenate(self.colours)
        self.mean = everything.mean(0) if len(everything) else np.zeros(3, np.float32)
        sides = [np.ptp(np.stack(at), axis=1).max() for at in self.pixels if len(at[0])]
        self.smooth = max(BEND * float(np.median(sides or [0])), 1.0)
        count = len(motions)
        self.bends = [np.zeros((count, len(at[0]), 2), np.float32) for at in self.pixels]
        """by part, also where a pixel is another's"""
        self.held = [np.ones(len(at[0]), bool) for at in self.pixels]
        """by frame, whether each pixel lay on its part's sheet when that was last told, not beyond
        what of it is kept"""

    def errors(self) -> list[np.ndarray]:
        """By frame, how far off each shown pixel is, 0 to FAR, on its sheet that bends to fit."""
        self.bend()
        every = zip(self.by_part(), self.parts, strict=True)
        return [_own(errors, part) for (errors, _), part in every]

    def bend(self) -> None:
        """Measure the bends of all frames."""
        for _ in range(ROUNDS):
            every = zip(self._told()[0], self.parts, strict=True)
            told = [_own(colours, part) for colours, part in every]
            for t, colours in enumerate(told):
                self._check()
                self._bend(t, colours)

    def by_part(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Frame by frame how far off each shown pixel is on each sheet, [K, n], 0 to FAR; and where
        other frames show anything of the sheet there, bool [K, n].
        """
        for real, told, known in zip(self.colours, *self._told(), strict=True):
            yield np.minimum(np.abs(told - real).mean(-1), FAR), known

    def _places(self, t: int, k: int) -> np.ndarray:  # float64 [n, 2]
        """Where the pixels of frame t lie on sheet k."""
        rows, columns = self.pixels[t]
        at = np.stack([columns, rows], 1) + self.bends[t][k]
        moved = at @ self.motions[k, t, :, :2].T + self.motions[k, t, :, 2]
        return moved[:, :2] / np.maximum(moved[:, 2:], 1e-3)

    def _told(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The colours [K, n, 3] that each sheet has by the other frames, the mean where none; and
        where one has, bool [K, n].
        """
        told = [np.tile(self.mean, (len(self.motions), len(c), 1)) for c in self.colours]
        shown = [np.zeros(colours.shape[:2], bool) for colours in told]
        for k in range(len(self.motions)):
            places = [self._places(t, k) for t in range(len(self.frames))]
            own = [part == k for part in self.parts]
            chosen = [at[mine] for at, mine in zip(places, own, strict=True)]
            if not sum(map(len, chosen)):
                continue
            low, size = _extent(chosen, max(self.frames.shape[1:3]) * self._largest)
            total = np.zeros((*size, 4), np.float32)
            for t, at in enumerate(chosen):
                self._check()
                total += _laid(at - low, self.colours[t][own[t]], size)
            for t, at in enumerate(chosen):
                self._check()
                self.held[t][own[t]] = ((at >= low) & (at < low + size[::-1])).all(1)
                others = total - _laid(at - low, self.colours[t][own[t]], size)
                found = _looked_up(others, places[t] - low)
                known = found[:, 3] > KNOWN
                told[t][k][known], shown[t][k] = found[known, :3] / found[known, 3:], known
        return told, shown

    def _bend(self, t: int, told: np.ndarray) -> None:
        """Bend frame t by what is left between it and what is told of it, [n, 3]."""
        at = self.pixels[t]
        if not len(at[0]):
            return
        other = self.frames[t].copy()
        other[at] = np.rint(told).clip(0, 255).astype(np.uint8)
        first, second = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (self.frames[t], other))
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        flow = dis.calc(first, second, np.zeros((*first.shape, 2), np.float32))
        for k in range(len(self.motions)):
            weight = np.zeros(first.shape, np.float32)
            weight[at] = self.parts[t] == k
            fields = weight, weight * flow[..., 0], weight * flow[..., 1]
            blurred = [cv2.GaussianBlur(one, (0, 0), self.smooth)[at] for one in fields]
            share = np.maximum(blurred[0], 1e-3)
            self.bends[t][k] += np.stack([blurred[1] / share, blurred[2] / share], 1)


def _own(by_part: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Of [K, n, ...] what each pixel's own part, [n], has."""
    return by_part[part, np.arange(len(part))]


def _extent(places: Sequence[np.ndarray], longest: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Lowest place, and height and width of a sheet that has them all, `longest` at most."""
    low, high = np.percentile(np.concatenate(places), [0.5, 99.5], axis=0)
    low, high = np.floor(low - 8), np.ceil(high + 8)
    wide, tall = (int(min(side, longest)) + 2 for side in high - low)
    return low, (tall, wide)


def _corners(at: np.ndarray, size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices and weights of the four texels around places [n, 2] on a sheet (h, w)."""
    floor = np.floor(at).astype(np.int64)
    part = at - floor
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = floor[:, 0] + dx, floor[:, 1] + dy
            weight = (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1])
            inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
            yield np.where(inside, y * size[1] + x, 0), weight * inside


def _laid(at: np.ndarray, colours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Colours [n, 3] laid onto a sheet, float32 [h, w, 4]: sums, and the weight."""
    sheet = np.zeros((size[0] * size[1], 4))
    for index, weight in _corners(at, size):
        for c in range(3):
            sheet[:, c] += np.bincount(index, weight * colours[:, c], len(sheet))
        sheet[:, 3] += np.bincount(index, weight, len(sheet))
    return sheet.reshape(*size, 4).astype(np.float32)


def _looked_up(sheet: np.ndarray, at: np.ndarray) -> np.ndarray:  # float32 [n, 4]
    flat, out = sheet.reshape(-1, 4), np.zeros((len(at), 4), np.float32)
    for index, weight in _corners(at, sheet.shape[:2]):
        out += flat[index] * weight[:, None].astype(np.float32)
    return out
