"""A shot's edits/finish.json: the edges of the layers' paint, holdouts, and motion blur.

Plain Python, no bpy; the folder may be anybody's, so all is checked.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..blender.inside import inside
from .edit_document import read_document, require, write_beside
from .folder import Shot, ShotError

SCHEMA = "nvd.finish"
VERSION = 1
FINISH = "edits/finish.json"
MOST = {"choke": 32.0, "feather": 64.0, "spill": 1.0}
"""the largest value of each; the least is 0, of choke as much below it"""
MOST_SHUTTER, LEAST_SAMPLES, MOST_SAMPLES = 2.0, 2, 128
SHUTTER, SAMPLES = 0.5, 16
"""when motion blur is switched on"""
MOST_BYTES = 1 << 22
HOLDOUT = re.compile(r"edits/holdout/[A-Za-z0-9_-]+(/%05d)?\.png")
_AGAIN = f"correct {FINISH}, or remove it and open the shot again"


@dataclass
class Finish:
    """What the file says. What is 0, or no holdout, is left out."""

    edges: dict[tuple[str, str], float] = field(default_factory=dict)
    """by layer and choke, feather or spill"""
    holdouts: dict[str, str] = field(default_factory=dict)
    """by layer the path of a matte in the folder"""
    shutter: float = 0.0
    samples: int = SAMPLES

    @property
    def digest(self) -> str:
        """Equal for what is rendered alike; "" for nothing at all."""
        edges = {" ".join(key): round(v, 4) for key, v in self.edges.items() if abs(v) > 1e-5}
        blur = [round(self.shutter, 4), self.samples] if self.shutter else []
        said = [edges, self.holdouts, blur]
        if not any(said):
            return ""
        return hashlib.sha1(json.dumps(said, sort_keys=True).encode()).hexdigest()


def finish_path(folder: Path) -> Path:
    return inside(folder, FINISH, ShotError)


def read_finish(shot: Shot) -> Finish:
    """What the folder says, nothing where it has no such file; ShotError where it is damaged."""
    path = finish_path(shot.folder)
    found = read_document(path, lambda value: _checked(value, shot), MOST_BYTES, _AGAIN)
    return found or Finish()


def _checked(found: object, shot: Shot) -> Finish:
    require(isinstance(found, dict) and found.get("schema") == SCHEMA, f"it is no {SCHEMA}")
    require(type(found.get("version")) is int, "it has no version")
    require(found["version"] <= VERSION, "a newer program wrote it: update the extension")
    known = {"schema", "version", "layers", "motion_blur"}
    require(set(found) <= known, "it has unknown keys")
    layers, finish = found.get("layers"), Finish()
    require(isinstance(layers, dict), "it has no layers")
    names = [layer.name for layer in shot.layers]
    for name, own in layers.items():
        require(name in names, f"there is no layer {name[:60]!r}")
        known = {*MOST, "holdout"}
        require(isinstance(own, dict) and set(own) <= known, f"{name} has unknown keys")
        for what, value in own.items():
            if what == "holdout":
                fits = isinstance(value, str) and HOLDOUT.fullmatch(value)
                require(value is None or fits, f"the holdout of {name} lies elsewhere")
                if value:
                    finish.holdouts[name] = value
                continue
            least = -MOST[what] if what == "choke" else 0.0
            fits = type(value) in (int, float) and least <= value <= MOST[what]
            require(fits, f"{name}.{what} should be a number from {least:g} to {MOST[what]:g}")
            finish.edges[name, what] = float(value)
    _take_blur(found.get("motion_blur", {}), finish)
    return finish


def _take_blur(blur: object, finish: Finish) -> None:
    known = {"shutter", "samples"}
    require(isinstance(blur, dict) and set(blur) <= known, "motion_blur has unknown keys")
    shutter, samples = blur.get("shutter", 0.0), blur.get("samples", SAMPLES)
    fits = type(shutter) in (int, float) and 0 <= shutter <= MOST_SHUTTER
    require(fits, f"the shutter should be a number from 0 to {MOST_SHUTTER:g}")
    fits = type(samples) is int and LEAST_SAMPLES <= samples <= MOST_SAMPLES
    require(fits, f"samples should be a whole number from {LEAST_SAMPLES} to {MOST_SAMPLES}")
    finish.shutter, finish.samples = float(shutter), samples


def write_finish(folder: Path, finish: Finish) -> Path:
    """Write it beside and rename; ShotError where the disk refuses."""
    layers: dict[str, dict] = {}
    for (name, what), value in finish.edges.items():
        if value:
            layers.setdefault(name, {})[what] = round(value, 6)
    for name, holdout in finish.holdouts.items():
        layers.setdefault(name, {})["holdout"] = holdout
    said = {"schema": SCHEMA, "version": VERSION, "layers": layers}
    if finish.shutter:
        said["motion_blur"] = {"shutter": round(finish.shutter, 6), "samples": finish.samples}
    path = finish_path(folder)
    write_beside(path, lambda beside: beside.write_text(json.dumps(said, indent=1) + "\n", "utf-8"))
    return path
