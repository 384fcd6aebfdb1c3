"""Plates in a colour space of an OpenColorIO configuration; run by the engine's Python.

    make_space_plates.py files OUT CONFIG SPACE SUFFIX     numbered files, 8 of them, in that space
    make_space_plates.py shot OUT CONFIG SPACE SUFFIX      a shot of them, painted, and rendered.npz
    make_space_plates.py colours FOLDER OUT.npz            working colours of a finished folder

SUFFIX is exr, png (16 bits) or png8. rendered.npz has what `nvd render` shows, linear Rec.709, as
delta_0, full_1, ...
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import media_files

from nvd_core.editing.render import render_frames
from nvd_core.editing.rendering import MODES
from nvd_core.media.clip import Reading
from nvd_core.media.images import write_image
from nvd_core.media.input_space import input_space
from nvd_core.shot.shot import Shot


def light(t: int) -> np.ndarray:
    """Frame t, linear Rec.709, float32 [H, W, 3], brighter than 1 in places."""
    return (1.7 * media_files.ramp(t) ** 2).astype(np.float32)


def write_files(out: Path, config: str, space: str, suffix: str) -> Path:
    conversion = input_space(config, space, 203).conversion
    for t in range(8):
        values = conversion.from_linear(light(t))
        path = out / f"in.{t:04d}.{suffix[:3]}"
        if suffix == "exr":
            media_files.write_exr(path, media_files.named(values, dtype="float32"))
        else:
            dtype = "uint8" if suffix == "png8" else "uint16"
            out.mkdir(parents=True, exist_ok=True)
            write_image(path, media_files.integers(values.clip(0, 1), dtype))
        y, x = np.mgrid[0 : media_files.HEIGHT, 0 : media_files.WIDTH]
        disc = np.hypot(x - 24, y - 16)[..., None] < 9
        write_image(out / "masks" / f"{t:04d}.png", (255 * disc).astype(np.uint8))
    return out / f"in.%04d.{suffix[:3]}"


def make_shot(out: Path, config: str, space: str, suffix: str) -> None:
    found = input_space(config, space, 203)  # nits, as Blender has it
    source = write_files(out / "source", config, space, suffix)
    found.conversion.save(out / "shot.nvd")
    reading = Reading(named=True, space=found.space)
    shot = media_files.shot_of(source, out / "shot.nvd", reading=reading)
    media_files.paint_dog(shot)
    save(shot, out / "rendered.npz", 2)


def save(shot: Shot, path: Path, count: int) -> None:
    values = {}
    for mode in MODES:
        frames = render_frames(shot, mode=mode, frames=(0, count - 1), device="cpu")
        values |= {f"{mode}_{t}": frame for t, frame in enumerate(frames)}
    np.savez(path, **values)


if __name__ == "__main__":
    if sys.argv[1] == "colours":
        save(Shot.open(sys.argv[2]), Path(sys.argv[3]), 2)
    else:
        make = write_files if sys.argv[1] == "files" else make_shot
        make(Path(sys.argv[2]), *sys.argv[3:])
