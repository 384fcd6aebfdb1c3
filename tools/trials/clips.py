"""Clips to be stopped and killed on: tiny ones, and long ones of 64 x 36."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import yaml

from nvd_core.media.images import write_image
from nvd_core.media.writer import open_writer

HEIGHT, WIDTH = 36, 64
SETTINGS = """
iterations: {steps}
points: 200
texture_grid: {{levels: 4, log2_table: 10}}
mapping: {{grid: {{levels: 4, log2_table: 10}}}}
residual_grid: {{levels: 3, log2_table: 10}}
alpha_grid: {{levels: 3, log2_table: 10}}
checkpoint_seconds: 1
preview_seconds: 1
"""


def write_clip(folder: Path, frames: int, steps: int) -> None:
    """`folder`/clip.mkv, mask.mkv, settings.yaml and paint.png: a disc moves over a panned wall."""
    wall = _texture(4 * HEIGHT, 4 * WIDTH, 1)
    cloth = _texture(HEIGHT, HEIGHT, 2)
    cloth[..., 0] |= 128
    ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        open_writer(folder / "clip.mkv", WIDTH, HEIGHT, Fraction(25)) as clip,
        open_writer(folder / "mask.mkv", WIDTH, HEIGHT, Fraction(25)) as masks,
    ):
        for t in range(frames):
            x = np.float32(WIDTH / 2 + 20 * np.sin(t / 13))
            y = np.float32(HEIGHT / 2 + 8 * np.sin(t / 9))
            left, top = (int(span * (1 + np.sin(t / 40)) / 2) for span in (3 * WIDTH, 3 * HEIGHT))
            disc = (np.hypot(xs - x, ys - y) < 9)[..., None]
            paint = cv2.remap(cloth, xs - x + HEIGHT / 2, ys - y + HEIGHT / 2, cv2.INTER_LINEAR)
            frame = np.where(disc, paint, wall[top : top + HEIGHT, left : left + WIDTH])
            clip.write(t, frame)
            masks.write(t, np.repeat(disc * np.uint8(255), 3, -1))
    (folder / "settings.yaml").write_text(SETTINGS.format(steps=steps))
    paint = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    paint[4:-4, 8:-8] = 200, 90, 60, 255
    write_image(folder / "paint.png", paint)
    runs = {
        "clips": {"disc": {"source": "clip.mkv", "masks": {"disc": "mask.mkv"}}},
        "variants": {"small": yaml.safe_load(SETTINGS.format(steps=steps))},
    }
    (folder / "runs.yaml").write_text(yaml.safe_dump(runs))


def _texture(height: int, width: int, seed: int) -> np.ndarray:  # uint8 [h, w, 3]
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    image = sum(size * cv2.GaussianBlur(noise, (0, 0), size) for size in (1, 2, 4))
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)
