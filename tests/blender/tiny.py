"""The tiny clip of the engine's tests, and helpers to run jobs on it by hand."""

import os
import time
from pathlib import Path

from engine import PYTHON, ROOT, run_engine

STEPS = 60
SETTINGS = """
iterations: {steps}
points: 400
texture_grid: {{levels: 6, log2_table: 12}}
residual_grid: {{levels: 4, log2_table: 12}}
alpha_grid: {{levels: 4, log2_table: 12}}
"""


def make_clip(folder: Path) -> Path:
    """folder/frames and folder/masks (8 frames, 80 x 48), small.yaml and endless.yaml."""
    code = "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import tiny_clip; "
    code += "tiny_clip.write_tiny_clip(pathlib.Path(sys.argv[2]))"
    run_engine("-c", code, ROOT / "tests", folder)
    (folder / "small.yaml").write_text(SETTINGS.format(steps=STEPS))
    (folder / "endless.yaml").write_text(SETTINGS.format(steps=100000))
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
