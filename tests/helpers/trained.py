"""Decompositions of the tiny clip that several modules look at: each is trained once a session.

Workers of pytest-xdist share them through the folder that holds all of theirs.
"""

import json
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock

from helpers import tiny_clip
from nvd_core.job import Job
from nvd_core.pipeline import decompose
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, update_settings
from nvd_core.shot.shot import Shot

SMALL = {
    "iterations": 300,  # after 200 the light wavers, by 0.5 to 1.1 % as seed and processor have it
    "points": 400,
    "texture_grid": {"levels": 6, "log2_table": 12},
    "residual_grid": {"levels": 4, "log2_table": 12},
    "alpha_grid": {"levels": 4, "log2_table": 12},
}


class Trained:
    """Call it with whether the clip's light changes, and with settings other than SMALL."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, light: bool = True, **changes) -> Shot:
        """The finished folder. Not to be changed by a test: copy it."""
        settings = update_settings(fast(), SMALL | changes)
        kept = asdict(update_settings(fast(), SMALL))  # what is asked for by name may be so anyway
        told = {key: value for key, value in changes.items() if asdict(settings)[key] != kept[key]}
        said = json.dumps([light, told], sort_keys=True)
        name = "".join(letter if letter.isalnum() else "-" for letter in said).strip("-")
        folder = self.root / f"trained-{name}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "shot.nvd" / "manifest.json").is_file():
                frames, masks = tiny_clip.write(folder, light)
                job = Job(str(frames), masks=[["disc", str(masks)]])
                decompose(folder / "shot.nvd", job, settings, Progress())
        return Shot.open(folder / "shot.nvd")
