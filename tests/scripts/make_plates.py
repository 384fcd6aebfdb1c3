"""Write a shot of a plate with alpha or of other primaries, painted, and what `nvd render` makes of
it; run by the engine's Python.

    .envs/engine/bin/python tests/scripts/make_plates.py OUT KIND

KIND is one of KINDS. OUT/shot.nvd is imported as `nvd decompose` does it, with maps by formula;
OUT/delta and OUT/full hold the rendered frames, and OUT/rendered.npz their values as delta_0,
full_1, ...: [H, W, 3 or 4] as in the files.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.media_files import (
    FRAMES,
    integers,
    named,
    ramp,
    read_channels,
    shot_of,
    write_exr,
    write_png,
)

from nvd_core.editing.render import render
from nvd_core.editing.rendering import MODES
from nvd_core.media import primaries
from nvd_core.media.images import read_image, write_image
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps, read_maps

SPACES = {
    "acescg": "lin_ap1_scene",
    "aces2065": "lin_ap0_scene",
    "rec2020": "lin_rec2020_scene",
    "xyz": "lin_ciexyzd65_scene",
    "p3": "lin_p3d65_scene",
}
CAMERA = (0.7347, 0.2653, 0.11, 0.79, 0.08, -0.03, 0.3127, 0.3290)  # nobody's
KINDS = ("premultiplied", "premultiplied-acescg", "straight8", "straight16", "camera", *SPACES)


def plate(kind: str, t: int) -> np.ndarray:
    """Frame t as the file is to hold it, float [H, W, 3 or 4]."""
    if kind.startswith("straight"):
        return ramp(t, alpha=True)
    if not kind.startswith("premultiplied"):
        return 1.7 * ramp(t) ** 2
    pixels = ramp(t, alpha=True)
    pixels[..., :3] = 1.7 * pixels[..., :3] ** 2 * pixels[..., 3:]
    light = (pixels[..., 3] == 0) & (np.arange(len(pixels))[:, None] % 7 < 3)
    pixels[light, :3] = 0.25, 0.5, 1.5  # a glow without any opacity
    return pixels


def write_source(folder: Path, kind: str) -> Path:
    """The numbered files of the plate; returns their pattern."""
    said = {}
    if kind == "camera":
        said["chromaticities"] = CAMERA
    elif kind.removeprefix("premultiplied-") in SPACES:
        said["chromaticities"] = primaries.IDS[SPACES[kind.removeprefix("premultiplied-")]]
    suffix = "png" if kind.startswith("straight") else "exr"
    for t in range(FRAMES):
        path, pixels = folder / f"in.{t:04d}.{suffix}", plate(kind, t)
        if suffix == "png":
            write_png(path, integers(pixels, "uint8" if kind == "straight8" else "uint16"))
        else:
            write_exr(path, named(pixels, dtype="float32"), **said)
    return folder / f"in.%04d.{suffix}"


def paint(folder: Path, name: str, texels: np.ndarray, colour) -> None:
    path = folder / "edits" / f"{name}.png"
    edit = read_image(path).copy()
    edit[texels] = colour
    write_image(path, edit)


def light_up(folder: Path, layers: list[str]) -> None:
    """Uneven light on the layers, of which the formula has none."""
    for t in range(FRAMES):
        maps = read_maps(folder / f"maps/{t:05d}.exr", layers)
        lit = []
        for n in range(len(layers)):
            one = maps.layer(n)
            wave = 1 + 0.3 * np.sin(np.arange(one.alpha.size) / 50 + t).reshape(one.alpha.shape)
            light = np.where(one.alpha[..., None] > 0, wave[..., None], 1).repeat(3, 2)
            lit.append(LayerMaps(one.u, one.v, one.alpha, light.astype(np.float16)))
        with MapWriter(folder / "maps", layers) as writer:
            writer.write(t, lit)


def main(out: Path, kind: str) -> None:
    shot = shot_of(write_source(out / "source", kind), out / "shot.nvd")
    light_up(shot.folder, shot.names)
    y, x = np.mgrid[0:40, 0:40]
    paint(shot.folder, "dog", (x // 5 + y // 5) % 2 == 0, (250, 20, 30, 255))
    paint(shot.folder, "background", (x + y) % 16 < 8, (20, 90, 240, 150))  # faint: alpha 150
    suffix = "png" if kind.startswith("straight") else "exr"
    values = {}
    for mode in MODES:
        depth = 16 if suffix == "png" else "float"
        render(shot, out / mode / f"%05d.{suffix}", mode=mode, bit_depth=depth, device="cpu")
        for t in range(FRAMES):
            channels = read_channels(out / mode / f"{t:05d}.{suffix}")
            values[f"{mode}_{t}"] = np.stack([channels[c] for c in "RGBA" if c in channels], -1)
    np.savez(out / "rendered.npz", **values)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
