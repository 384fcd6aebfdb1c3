"""The Open Job Description of a shot, for farms that take one: shot.yaml, as asked for."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml

from nvd_core.job import MOST_FRAMES
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside

TEMPLATE = "shot.yaml"
OPEN = "Mask"
"""what the parameter of an object's mask is called, its number behind"""


def write_template(
    out: Path, masks: Sequence[str] = (), settings: bool = False, movie: bool = False
) -> dict:
    """Write the template into `out`; returns what it was called, and its parameters.

    Each of the objects `masks` becomes a parameter Mask1, Mask2, ...; `settings` adds one for a
    file of settings, in place of the preset; `movie` one for a movie, and the step that encodes it.
    NvdError where the disk refuses, or names are the same.
    """
    if len(set(masks)) < len(masks):
        raise NvdError("an object is named twice", found=", ".join(masks), remedy="name it once")
    job = yaml.safe_load(resources.files("nvd_core.farm").joinpath(TEMPLATE).read_text("utf-8"))
    parameters, steps = job["parameterDefinitions"], job["steps"]
    train = steps[0]["script"]["actions"]["onRun"]["args"]
    for number, name in enumerate(masks, 1):
        own = f"{OPEN}{number}"
        parameters.append({"name": own, "type": "STRING", "description": f"the mask of {name}"})
        train += ["--mask", f"{name}={{{{Param.{own}}}}}"]
    if settings:
        parameters[:] = [known for known in parameters if known["name"] != "Preset"]
        parameters.append({"name": "Settings", "type": "PATH", "objectType": "FILE"})
        at = train.index("--preset")
        train[at : at + 2] = ["--settings", "{{Param.Settings}}"]
    if movie:
        parameters.append({"name": "Movie", "type": "STRING", "description": "such as out.mov"})
        steps.append(_movie())
    text = yaml.safe_dump(job, sort_keys=False, width=MOST_FRAMES, allow_unicode=True)
    with written_beside(Path(out)) as temporary:
        temporary.write_text(text, "utf-8")
    return {"template": str(out), "parameters": [known["name"] for known in parameters]}


def _movie() -> dict:
    """A movie is one file, so one task makes it, of the images that the step before rendered."""
    run = {
        "command": "{{Param.Nvd}}",
        "args": [
            "encode",
            "{{Param.Shot}}",
            "--images",
            "{{Param.Out}}",
            "--out",
            "{{Param.Movie}}",
        ],
    }
    return {
        "name": "Encode",
        "dependencies": [{"dependsOn": "Render"}],
        "script": {"actions": {"onRun": run}},
    }
