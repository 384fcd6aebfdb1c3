"""Make a decomposition folder whose coordinates, alphas and light are the truth's own.

    .envs/engine/bin/python tools/bench/truth_shot.py samples/truth/turning /tmp/turning.nvd

The best that a decomposition can be, to see what `nvd evaluate --truth` gives it: less than full
marks, since textures have texels and tracks end at whole pixels. The truth must have uv and light.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from nvd_core.editing.back_projection import paint_to_texture
from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import read_image, to_integers, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

TEXELS_PER_PIXEL = 1.25
LIGHT = 0.1, 4.0  # where the light is taken from; beyond lies the noise of dark colours


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    try:
        shot_of_truth(arguments.out, Truth.open(arguments.truth))
    except NvdError as error:
        sys.exit(f"{error}\n{error.remedy}")
    return 0


def shot_of_truth(folder: Path, truth: Truth) -> Shot:
    """Write the folder; its textures are gathered from all frames."""
    if not (truth.has("uv") and truth.has("light")):
        raise NvdError(
            f"{truth.folder} has no uv or no light",
            remedy="render it with tools/scenes/make_truth_scenes.py, with all parts",
        )
    sizes = [texture_size(truth, name) for name in truth.names]
    summed = [np.zeros((height, width, 4)) for width, height in sizes]
    with MapWriter(folder / "maps", truth.names) as writer:
        for t in range(truth.frames):
            layers = true_maps(truth, t)
            frame = np.dstack([truth.frame(t), np.ones((truth.height, truth.width), np.float32)])
            for total, maps, size in zip(summed, layers, sizes, strict=True):
                seen = paint_to_texture(frame, maps, size, maps.residual)
                total += np.dstack([seen[..., :3] * seen[..., 3:], seen[..., 3]])
            writer.write(t, layers)
            write_image(folder / f"frames/{t:05d}.png", read_image(truth.path("frames", t)))
    records = [
        write_texture(folder, name, total, name == truth.names[-1])
        for name, total in zip(truth.names, summed, strict=True)
    ]
    source = f"the truth {truth.scene}"
    clip = ClipRecord(source, 0, truth.frames, truth.width, truth.height, (25, 1), 8, "display")
    write_manifest(folder, Manifest(clip=clip, layers=tuple(records)))
    return Shot.open(folder)


def texture_size(truth: Truth, name: str) -> tuple[int, int]:
    """Width and height for TEXELS_PER_PIXEL at the layer's typical pixel in the edit frame."""
    uv = read_image(truth.path("uv", truth.edit_frame, name))
    there = uv[..., 2] > 0.5
    there = there[:-1, :-1] & there[:-1, 1:] & there[1:, :-1]
    right, below = np.diff(uv[:-1], axis=1)[there], np.diff(uv[:, :-1], axis=0)[there]
    steps = np.median(np.hypot(right[:, :2], below[:, :2]), axis=0)
    width, height = np.ceil(TEXELS_PER_PIXEL / steps).astype(int).clip(16, 4096)
    return int(width), int(height)


def true_maps(truth: Truth, t: int) -> list[LayerMaps]:
    """The truth of frame t as a decomposition stores it."""
    light = truth.light(t).clip(*LIGHT)
    layers = []
    for name, alpha in zip(truth.names, truth.alpha(t), strict=True):
        uv = read_image(truth.path("uv", t, name))
        alpha = np.where(uv[..., 2] > 0.5, alpha, 0)
        shown = alpha >= 1 / 1024
        u, v, alpha = (np.where(shown, a, 0) for a in (uv[..., 0], uv[..., 1], alpha))
        layers.append(LayerMaps(u, v, alpha.astype(np.float32), light))
    return layers


def write_texture(folder: Path, name: str, summed: np.ndarray, background: bool) -> LayerRecord:
    """The mean of what was gathered [h, w, 4], where anything was."""
    height, width = summed.shape[:2]
    seen = summed[..., 3:] > 0
    colour = np.divide(summed[..., :3], summed[..., 3:], out=summed[..., :3] * 0, where=seen)
    image = to_integers(np.dstack([colour, seen]), np.uint8)
    for kind in ("textures", "edits"):
        write_image(folder / f"{kind}/{name}.png", image)
    kind = "background" if background else "object"
    return LayerRecord(name, kind, f"textures/{name}.png", f"edits/{name}.png", width, height)


if __name__ == "__main__":
    sys.exit(main())
