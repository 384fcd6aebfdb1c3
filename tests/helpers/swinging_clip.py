"""A trunk with a pattern on two legs that swing fast, or stand still: limbs to be found.

python tests/helpers/swinging_clip.py FOLDER    the clip, and small.yaml for its decomposition
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import write_image
from nvd_core.work import FRAMES, MASKS

FRAME = (120, 160)


def canvas(*shapes) -> np.ndarray:
    """Filled polygons, bool [h, w]."""
    picture = np.zeros(FRAME, np.uint8)
    for shape in shapes:
        cv2.fillPoly(picture, [np.rint(shape).astype(int)], 1)
    return picture > 0


def box(x: float, y: float, wide: float, high: float) -> np.ndarray:
    return np.array([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)])


def leg(hip: tuple[float, float], degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    top, foot = np.array(hip), np.array(hip) + 46 * along
    return np.array([top - 5 * across, top + 5 * across, foot + 5 * across, foot - 5 * across])


class Swinging:
    """A trunk with a pattern on two legs that swing fast, or stand still."""

    def __init__(self, swings: bool, frames: int = 9) -> None:
        random = np.random.default_rng(1)
        fine = cv2.resize(random.integers(0, 255, (24, 24, 3), np.uint8), (144, 144))
        wall = np.full((*FRAME, 3), 120, np.uint8)
        self.frames, self.masks = [], []
        for t in range(frames):
            swing = 28 * np.cos(2 * np.pi * t / 8) if swings else 28.0
            x = 46 + 2 * t
            frame, mask = wall.copy(), np.zeros(FRAME, bool)
            for side, tint in ((-1, (220, 90, 40)), (1, (40, 120, 220))):
                hip = (x + 18 + 7 * side, 52)
                own = canvas(leg(hip, side * swing))
                still = cv2.getRotationMatrix2D((72, 72), side * swing, 1)
                still[:, 2] += np.array(hip) - 72
                pattern = cv2.warpAffine(fine, still, FRAME[::-1], borderMode=cv2.BORDER_WRAP)
                frame[own] = (0.5 * pattern[own] + 0.5 * np.array(tint)).astype(np.uint8)
                mask |= own
            trunk = canvas(box(x, 8, 36, 50))
            frame[8:59, x : x + 37] = fine[:51, :37]
            self.frames.append(frame)
            self.masks.append(mask | trunk)

    def write_work(self, work: Path) -> None:
        """The arrays of `work`/ from which parts are found."""
        masks = np.where(self.masks, np.uint8(255), np.uint8(0))[None]
        for name, array in ((FRAMES, np.array(self.frames)), (MASKS, masks)):
            np.save(work / name, array)

    def write(self, folder: Path) -> None:
        """`folder`/frames and `folder`/masks as PNG sequences."""
        for t, (frame, mask) in enumerate(zip(self.frames, self.masks, strict=True)):
            write_image(folder / f"frames/{t:04d}.png", frame)
            one = np.where(mask, np.uint8(255), np.uint8(0))[..., None]
            write_image(folder / f"masks/{t:04d}.png", one)


if __name__ == "__main__":
    Swinging(True).write(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "small.yaml").write_text("iterations: 4\npoints: 100\n")
