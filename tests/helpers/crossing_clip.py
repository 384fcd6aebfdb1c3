"""A clip of three layers: a disc and a box cross before a panned wall, the disc in front."""

from pathlib import Path

import cv2
import numpy as np

from helpers.tiny_clip import noise
from nvd_core.media.images import write_image

FRAMES, HEIGHT, WIDTH = 20, 72, 128


def places(t: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Middles (x, y) of the disc and of the box in frame t; they meet in frame 10."""
    return (34 + 3.0 * t, 40.0), (94 - 3.0 * t, 30 + 0.3 * t)


def true_masks(t: int) -> tuple[np.ndarray, np.ndarray]:
    """What is seen of disc and box, bool [HEIGHT, WIDTH]."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    (disc_x, disc_y), (box_x, box_y) = places(t)
    disc = np.hypot(xs - disc_x, ys - disc_y) < 13
    box = (np.abs(xs - box_x) < 15) & (np.abs(ys - box_y) < 17)
    return disc, box & ~disc


def write(folder: Path) -> None:
    """Write `folder`/frames, `folder`/disc and `folder`/box as PNG sequences."""
    wall = noise(1, HEIGHT, WIDTH + FRAMES, 2.0)
    disc_cloth, box_cloth = noise(2, 60, 60, 1.5), noise(3, 60, 60, 1.5)
    disc_cloth[..., 0] = 0.5 + 0.5 * disc_cloth[..., 0]
    box_cloth[..., 2] = 0.5 + 0.5 * box_cloth[..., 2]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for t in range(FRAMES):
        frame = wall[:, t : t + WIDTH].copy()
        masks = true_masks(t)
        for mask, cloth, (x, y) in zip(
            masks[::-1], (box_cloth, disc_cloth), places(t)[::-1], strict=True
        ):
            paint = cv2.remap(cloth, xs - x + 30, ys - y + 30, cv2.INTER_LINEAR)
            frame[mask] = paint[mask]
        write_image(folder / "frames" / f"{t:04d}.png", (frame * 255 + 0.5).astype(np.uint8))
        for name, mask in zip(("disc", "box"), masks, strict=True):
            write_image(folder / name / f"{t:04d}.png", mask.astype(np.uint8) * 255)
