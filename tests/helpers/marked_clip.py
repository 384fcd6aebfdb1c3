"""A tiny clip with bars and a logo burnt in: a disc moves over a wall that is panned, or still."""

from pathlib import Path

import cv2
import numpy as np

from helpers.tiny_clip import noise
from nvd_core.media.images import write_image

FRAMES, HEIGHT, WIDTH = 12, 64, 104
BAR = 8
LOGO = (slice(14, 24), slice(78, 96))
GREEN, PINK = (0, 255, 0), (255, 0, 255)
STEP = 4


def marks() -> np.ndarray:
    """Where the bars and the logo are, bool [H, W]."""
    marked = np.zeros((HEIGHT, WIDTH), bool)
    marked[:BAR], marked[-BAR:], marked[LOGO] = True, True, True
    return marked


def write(folder: Path, pan: int = STEP, marked: bool = True) -> tuple[Path, Path]:
    """Write `folder`/frames and `folder`/masks; the wall moves by `pan` pixels a frame."""
    wall, cloth = noise(1, HEIGHT, WIDTH + STEP * FRAMES, 2.0), noise(2, 40, 40, 1.5)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for t in range(FRAMES):
        x, y = 30 + 2.5 * t, 36
        disc = (np.hypot(xs - x, ys - y) < 11).astype(np.float32)[..., None]
        paint = cv2.remap(cloth, xs - x + 20, ys - y + 20, cv2.INTER_LINEAR)
        frame = disc * paint + (1 - disc) * wall[:, pan * t : pan * t + WIDTH]
        frame = (frame * 255 + 0.5).astype(np.uint8)
        if marked:
            frame[:BAR], frame[-BAR:], frame[LOGO] = 0, 0, GREEN
            frame[17:21, 82:92] = PINK
        write_image(folder / "frames" / f"{t:04d}.png", frame)
        write_image(folder / "masks" / f"{t:04d}.png", (disc * 255).astype(np.uint8))
    return folder / "frames", folder / "masks"
