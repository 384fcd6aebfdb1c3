"""The tiny clip of the engine's tests, and helpers to run jobs on it by hand."""

import os
import time
from pathlib import Path

from helpers.blender.engine import PYTHON, ROOT, run


def make_clip(folder: Path) -> Path:
    """folder/frames and folder/masks (8 frames, 80 x 48), small.yaml and endless.yaml."""
    run(ROOT / "tests" / "helpers" / "tiny_clip.py", folder)
    return folder


def make_swinging(folder: Path) -> Path:
    """folder/frames and folder/masks of someone whose legs swing, and small.yaml."""
    run(ROOT / "tests" / "helpers" / "swinging_clip.py", folder)
    return folder


def options(clip: Path, endless: bool = False) -> dict:
    """What `decompose` is given for the clip, besides source and out."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return {
        "masks": [("disc", clip / "masks")],
        "settings": clip / ("endless.yaml" if endless else "small.yaml"),
        "python": PYTHON,
    }


def tick_until(condition, tick, seconds: float = 300.0) -> None:
    """Call `tick` as Blender's timer would until `condition`."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited too long"
        tick()
        time.sleep(0.05)
