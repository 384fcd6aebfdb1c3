"""Writes a decomposition folder of any size, made by formula: a disc before a ground, both lit.

    .envs/engine/bin/python tools/bench/formula_shot.py OUT [--size 1920x1080] [--texture 2048]

For what is timed on a folder and does not ask how it was learned. Frames are grey. The maps are
EXR; `nvd maps OUT --compact` and then `nvd maps OUT` give it both forms.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nvd_core.media.images import write_image
from nvd_core.shot.manifest import (
    ClipRecord,
    LayerRecord,
    Manifest,
    write_manifest,
)
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps

NAMES = ("disc", "ground")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--texture", type=int, default=2048, help="texels along a side")
    parser.add_argument("--frames", type=int, default=3)
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    folder, frames = arguments.out, arguments.frames
    with MapWriter(folder / "maps", NAMES) as writer:
        for t in range(frames):
            writer.write(t, layers_of(t, width, height))
            write_image(folder / f"frames/{t:05d}.png", np.full((height, width, 3), 90, np.uint8))
    records = tuple(textures(folder, name, arguments.texture) for name in NAMES)
    clip = ClipRecord(
        source="made by formula",
        first_frame=0,
        frames=frames,
        width=width,
        height=height,
        rate=(24, 1),
        bit_depth=8,
        encoding="display",
    )
    write_manifest(folder, Manifest(clip=clip, layers=records, frames="frames/%05d.png"))


def layers_of(t: int, width: int, height: int) -> list[LayerMaps]:
    """The disc has a third of the picture's height as its radius, and goes to the right."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = (1 + 0.2 * np.stack([np.sin(x / 90), np.cos(y / 70), np.sin(y / 50)], -1)).astype("f2")
    radius = height / 3
    dx, dy = x - width / 2 - 4 * t, y - height / 2
    alpha = np.clip((radius - np.hypot(dx, dy)) / 3, 0, 1)
    disc = 0.5 + dx / (2.2 * radius), 0.5 - dy / (2.2 * radius)
    ground = (x + 4 * t) / (width + 40), 1 - (y + 4 * np.sin(x / 60) + 5) / (height + 10)
    found = []
    for (u, v), own in ((disc, alpha), (ground, 1 - alpha)):
        hidden = own < 1 / 1024
        u, v, own = (np.where(hidden, 0, part).astype(np.float32) for part in (u, v, own))
        lit = np.where(hidden[..., None], np.float16(1), light)
        found.append(LayerMaps(u.clip(0, 1), v.clip(0, 1), own, lit))
    return found


def textures(folder: Path, name: str, side: int) -> LayerRecord:
    """Write what was learned of a layer, and the edit."""
    image = np.full((side, side, 4), 255, np.uint8)
    image[..., :3] = np.random.default_rng(0).integers(0, 256, (1, side, 3))
    for kind in ("textures", "edits"):
        write_image(folder / f"{kind}/{name}.png", image)
    return LayerRecord(
        name=name,
        kind="background" if name == NAMES[-1] else "object",
        texture=f"textures/{name}.png",
        edit=f"edits/{name}.png",
        texture_width=side,
        texture_height=side,
    )


if __name__ == "__main__":
    main()
