"""Where a part stands in a frame: its looks, turned and moved until they fit best.

A limb swings farther from one frame to the next than dense flow follows. As a whole it is found
again all the same: by points of a frame in which it is known, compared with the picture, and by
whether they fall on colours that are the part's. It does not bend in this.
"""

from dataclasses import dataclass

import cv2
import numpy as np

POINTS = 160
"""pixels of a part that are compared"""
SIMILAR = 60.0
"""distance of two colours, 0 to 255 a channel, from which they say nothing of each other"""
BLUR = 1.2
"""pixels by which both pictures are blurred first, since a part bends"""
TURNS = np.radians(np.arange(-50, 51, 10))
"""from the expected pose, what is tried first"""
FAR = 0.12
"""what a match loses at the end of the search"""
TURNED = 0.06
"""what it loses for each radian by which it is turned from what was expected"""
FINER = ((0.5, np.radians(5)), (0.25, np.radians(2.5)))
"""steps of the searches after the first: as shares of its step, and in radians"""


@dataclass
class Look:
    """A part as a frame shows it, and where it is now: its middle, and by how much it turned."""

    mask: np.ndarray  # float32 [h, w]
    middle: np.ndarray  # x, y
    size: float
    points: np.ndarray  # float32 [n, 2], from the middle
    colours: np.ndarray  # float32 [n, 3]
    place: np.ndarray  # x, y
    turn: float = 0.0
    area: float = 0.0

    @classmethod
    def of(cls, picture: np.ndarray, mask: np.ndarray) -> "Look | None":
        """From a frame that is `blurred`, [h, w, 3], and its mask, [h, w]; None: too small."""
        rows, columns = np.nonzero(mask > 0.5)
        if len(rows) < 4:
            return None
        points = np.stack([columns, rows], 1).astype(np.float32)
        middle = points.mean(0)
        size = float(np.hypot(*np.ptp(points, axis=0)))
        # Spread evenly, but always the same: no two runs differ
        chosen = np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int)
        colours = picture[rows[chosen], columns[chosen]]
        at = points[chosen] - middle
        return cls(mask, middle, size, at, colours, middle.copy(), area=float(len(rows)))

    def laid(self) -> np.ndarray:  # float32 [h, w]
        """The mask where the part is now."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
        matrix[:, 2] = self.place - matrix[:, :2] @ self.middle
        height, width = self.mask.shape
        return cv2.warpAffine(self.mask, matrix, (width, height))


def blurred(frame: np.ndarray) -> np.ndarray:  # uint8 [h, w, 3] -> float32
    """A frame as looks are taken from and compared with."""
    return cv2.GaussianBlur(frame.astype(np.float32), (0, 0), BLUR)


def found(
    look: Look,
    picture: np.ndarray,  # float32 [h, w, 3]
    likely: np.ndarray,  # float32 [h, w]
    place: np.ndarray,
    turn: float,
    reach: float,
) -> tuple[float, np.ndarray, float]:
    """Score, place and turn of the best match within `reach` pixels of where it is expected.

    `likely`: how far a pixel's colour is the part's, 0 outside of its object.
    """
    step = max(reach / 4, 1.5)
    away = np.arange(-4, 5) * step
    best, at, turned = -1.0, place, turn
    searches = [(away, away, TURNS)]
    for share, angle in FINER:
        near = np.arange(-1, 2) * step * share
        searches.append((near, near, np.arange(-1, 2) * angle))
    for across, down, turns in searches:
        offsets = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
        middles, around = at + offsets, turned
        for angle in around + turns:
            told = _told(look, picture, likely, middles, angle)
            told = told - FAR * np.hypot(*(middles - place).T) / max(reach, 1.0)
            told = told - TURNED * abs(angle - turn)
            k = int(told.argmax())
            if told[k] > best:
                best, at, turned = float(told[k]), middles[k], float(angle)
    return best, at, turned


def _told(
    look: Look, picture: np.ndarray, likely: np.ndarray, middles: np.ndarray, turn: float
) -> np.ndarray:  # [m]
    """How well the look fits with its middle at each of some places, 0 to 1."""
    cos, sin = np.cos(turn), np.sin(turn)
    turned = look.points @ np.array([[cos, sin], [-sin, cos]], np.float32)
    places = np.rint(middles[:, None] + turned[None]).astype(np.int32)
    height, width = likely.shape
    x, y = places[..., 0], places[..., 1]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    index = y.clip(0, height - 1) * width + x.clip(0, width - 1)
    colour = np.take(likely.ravel(), index)
    apart = np.abs(np.take(picture.reshape(-1, 3), index, axis=0) - look.colours).mean(-1)
    alike = np.clip(1 - apart / SIMILAR, 0, 1) * (colour > 0)
    return ((0.5 * alike + 0.5 * colour) * inside).mean(1)
