"""Run as a program: how far each stage's memory rises, for a short and a long clip. Linux only.

Prints one JSON object: `risen`, by stage, MB above where it began, of a short and of a long clip;
their `lengths` in frames, and the frames' `size` (width, height).
"""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from nvd_core.media.clip import open_clip
from nvd_core.media.clip_import import import_clip
from nvd_core.priors.cautions import find_cautions
from nvd_core.priors.flow import compute_flow
from nvd_core.priors.found_objects import find_objects
from nvd_core.priors.global_motion import estimate_global_motion
from nvd_core.priors.masks import load_masks, write_masks
from nvd_core.runtime.progress import Progress
from nvd_core.training.sampling import Sampler
from nvd_core.work import ClipData

HEIGHT, WIDTH = 270, 480
SHORT, LONG = 8, 26


def main() -> None:
    cv2.setNumThreads(1)
    found = [growth_by_stage(count) for count in (3, SHORT, LONG)]  # the first warms up
    risen = {stage: (found[1][stage], found[2][stage]) for stage in found[1]}
    print(json.dumps({"risen": risen, "lengths": (SHORT, LONG), "size": (WIDTH, HEIGHT)}))


def growth_by_stage(count: int) -> dict[str, float]:
    """MB by which each stage raised the resident memory of this process, at its peak."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, source = Path(scratch) / "shot", Path(scratch) / "clip"
        work = folder / "work"
        write_clip(source, count)
        clip = open_clip(source / "frames")
        sources = load_masks([("disc", source / "masks")], clip.info)
        progress = Progress()

        def draw() -> None:
            sampler = Sampler(ClipData(work), 2000, 0.3, 0.5, 0, torch.device("cpu"), 50)
            for step in range(50):
                sampler.draw(step)

        return {
            "frames": rise(lambda: import_clip(clip, folder, progress)),
            "flow": rise(lambda: compute_flow(work, progress)),
            "moving object": rise(lambda: find_objects(work, progress)),
            "masks": rise(lambda: write_masks(sources, folder, count, HEIGHT, WIDTH, progress)),
            "motion": rise(lambda: estimate_global_motion(work, progress)),
            "cautions": rise(lambda: find_cautions(work, [])),
            "points": rise(draw),
        }


def write_clip(folder: Path, count: int) -> None:
    """A textured disc that moves over a texture, and its masks."""
    random = np.random.default_rng(0)
    wall = cv2.GaussianBlur(random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)
    wall = cv2.normalize(wall, None, 0, 255, cv2.NORM_MINMAX)
    for part in ("frames", "masks"):
        (folder / part).mkdir(parents=True)
    for t in range(count):
        centre = (120 + 3 * t, 135)
        disc = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), centre, 50, 255, -1)
        shifted = np.roll(wall[::-1], 3 * t, 1)
        frame = np.where(disc[..., None] > 0, shifted, wall)
        cv2.imwrite(str(folder / f"frames/{t:04d}.png"), frame)
        cv2.imwrite(str(folder / f"masks/{t:04d}.png"), disc)


def rise(stage: Callable[[], object]) -> float:
    """MB from the resident memory before a stage to its peak in it."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what there is
    before = memory("VmRSS")
    stage()
    return round(memory("VmHWM") - before, 1)


def memory(name: str) -> float:
    """A figure of /proc/self/status, MB."""
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
