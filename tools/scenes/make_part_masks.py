"""Masks of the parts of a scene with a known truth, from its true coordinates.

    .envs/bpy-4.5/bin/python tools/scenes/make_part_masks.py TRUTH/walker
    .envs/bpy-4.5/bin/python tools/scenes/make_part_masks.py TRUTH/posts

Writes TRUTH/<scene>/parts/<part>/%05d.png, white where a frame shows the part. The scene was made
with `uv`: pieces of a sheet lie side by side along u (truth/pieces.py).
"""

import argparse
import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenes.truth.pieces import GAP
from scenes.truth.scenes import SCENES
from scenes.truth.writing import write_picture

PARTS = {
    "walker": ("walker", ("", "leg_near", "leg_far", "arm_near", "arm_far")),
    "posts": ("background", ("", "post_1", "post_2", "post_3", "post_4")),
}
"""by scene the layer, and the names of its pieces from u = 0 on; no name: the rest"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path, help=f"folder of {' or '.join(PARTS)}")
    folder = parser.parse_args().truth
    scene = SCENES[folder.resolve().name]()
    layer, names = PARTS[scene.name]
    (sheet,) = (sheet for sheet in scene.sheets if sheet.name == layer)
    ends = ends_of(np.asarray(sheet.us))
    if len(ends) + 1 != len(names):
        parser.error(f"{len(ends) + 1} pieces, not {len(names)}")
    for path in sorted((folder / "uv" / layer).glob("*.exr")):
        u, _, shown = np.moveaxis(_picture(path)[..., :3], -1, 0)
        number = np.searchsorted(ends, u, side="right")
        for k, name in enumerate(names):
            if name:
                own = (number == k) & (shown > 0.5)
                write_picture(folder / f"parts/{name}/{path.stem}.png", own.astype(np.float32))
    return 0


def _picture(path: Path) -> np.ndarray:
    """The values of an EXR, float32 [H, W, 4]."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def ends_of(us: np.ndarray) -> np.ndarray:
    """The borders between the pieces, by the columns `us` of their joined mesh."""
    steps = np.diff(us)
    return us[:-1][np.isclose(steps, 2 * GAP, rtol=0.05)] + GAP


if __name__ == "__main__":
    sys.exit(main())
