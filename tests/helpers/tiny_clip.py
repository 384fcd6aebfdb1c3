"""A tiny real clip for tests that train: a textured disc moves over a panned wall.

python tests/helpers/tiny_clip.py FOLDER    the clip, small.yaml and endless.yaml
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import write_image

FRAMES, HEIGHT, WIDTH = 8, 48, 80
STEPS = 60
SETTINGS = """
iterations: {steps}
points: 400
texture_grid: {{levels: 6, log2_table: 12}}
residual_grid: {{levels: 4, log2_table: 12}}
alpha_grid: {{levels: 4, log2_table: 12}}
"""


def noise(seed: int, height: int, width: int, grain: float) -> np.ndarray:
    """Smooth colourful texture, float32 [height, width, 3] in 0..1."""
    random = np.random.default_rng(seed).random((height, width, 3), np.float32)
    soft = cv2.GaussianBlur(random, (0, 0), grain)
    return (soft - soft.min()) / (soft.max() - soft.min())


def write(folder: Path, light: bool = True) -> tuple[Path, Path]:
    """Write `folder`/frames and `folder`/masks as PNG sequences; returns both folders."""
    wall, cloth = noise(1, HEIGHT, WIDTH + FRAMES, 2.0), noise(2, 40, 40, 1.5)
    cloth[..., 0] = 0.4 + 0.6 * cloth[..., 0]
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for t in range(FRAMES):
        x, y = 22 + 3.0 * t, 22 + 0.5 * t
        disc = (np.hypot(xs - x, ys - y) < 12).astype(np.float32)[..., None]
        paint = cv2.remap(cloth, xs - x + 20, ys - y + 20, cv2.INTER_LINEAR)
        frame = disc * paint + (1 - disc) * wall[:, t : t + WIDTH]
        if light:
            frame = frame * (0.85 + 0.15 * np.cos(t))
        write_image(folder / "frames" / f"{t:04d}.png", (frame * 255 + 0.5).astype(np.uint8))
        write_image(folder / "masks" / f"{t:04d}.png", (disc * 255).astype(np.uint8))
    return folder / "frames", folder / "masks"


def write_with_settings(folder: Path) -> Path:
    """The clip, `folder`/small.yaml for a decomposition of seconds, and endless.yaml; `folder`."""
    write(folder)
    (folder / "small.yaml").write_text(SETTINGS.format(steps=STEPS))
    (folder / "endless.yaml").write_text(SETTINGS.format(steps=100000))
    return folder


if __name__ == "__main__":
    write_with_settings(Path(sys.argv[1]))
