"""Decompositions made from a truth, as good as they can be or spoilt in a known way."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nvd_core.decomposition.folder import Shot
from nvd_core.decomposition.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.decomposition.maps import LayerMaps, MapWriter, read_maps, write_maps
from nvd_core.editing.frame_paint import paint_to_texture
from nvd_core.evaluation.truth import Truth
from nvd_core.media.images import read_image, to_integers, write_image

TURNING = Path(__file__).parents[1] / "samples" / "truth" / "turning"
SIZES = {"toy": (260, 130), "background": (560, 588)}
"""texels, for about one a pixel of the clip"""


def shot_of_truth(folder: Path, truth: Truth) -> Shot:
    """A shot whose coordinates, alphas and light are the truth's own, its textures gathered."""
    pictures = {name: np.zeros((SIZES[name][1], SIZES[name][0], 4)) for name in truth.names}
    with MapWriter(folder / "maps", truth.names) as writer:
        for t in range(truth.frames):
            layers = true_maps(truth, t)
            frame = np.dstack([truth.frame(t), np.ones((truth.height, truth.width))])
            for name, maps in zip(truth.names, layers, strict=True):
                seen = paint_to_texture(frame.astype(np.float32), maps, SIZES[name], maps.residual)
                seen[..., :3] *= seen[..., 3:]
                pictures[name] += seen
            writer.write(t, layers)
            write_image(folder / f"frames/{t:05d}.png", read_image(truth.path("frames", t)))
    records = [_write_texture(folder, truth, name, pictures[name]) for name in truth.names]
    clip = ClipRecord("truth", 0, truth.frames, truth.width, truth.height, (25, 1), 8, "display")
    write_manifest(folder, Manifest(clip=clip, layers=tuple(records)))
    return Shot.open(folder)


def spoilt(shot: Shot, folder: Path, change: Callable[[int, LayerMaps], None]) -> Shot:
    """A copy of `shot` with the maps of its first layer changed in place by `change`(t, maps)."""
    shutil.copytree(shot.folder, folder)
    shutil.rmtree(folder / "report", ignore_errors=True)
    copy = Shot.open(folder)
    for t in range(shot.frames):
        maps = read_maps(copy.map_path(t), copy.names)
        change(t, maps.layer(0))
        write_maps(copy.map_path(t), copy.names, [maps.layer(n) for n in range(len(copy.names))])
    return copy


def true_maps(truth: Truth, t: int) -> list[LayerMaps]:
    """The truth of frame t as maps of a decomposition; residuals clamped to a likely range."""
    light = truth.light(t).clip(0.1, 4)
    layers = []
    for name, alpha in zip(truth.names, truth.alpha(t), strict=True):
        uv = read_image(truth.path("uv", t, name))
        alpha = np.where(uv[..., 2] > 0.5, alpha, 0)
        shown = alpha >= 1 / 1024
        u, v, alpha = (np.where(shown, a, 0) for a in (uv[..., 0], uv[..., 1], alpha))
        layers.append(LayerMaps(u, v, alpha.astype(np.float32), light))
    return layers


def _write_texture(folder: Path, truth: Truth, name: str, summed: np.ndarray) -> LayerRecord:
    seen = summed[..., 3:] > 0
    colour = np.divide(summed[..., :3], summed[..., 3:], out=summed[..., :3] * 0, where=seen)
    image = to_integers(np.dstack([colour, seen]), np.uint8)
    for kind in ("textures", "edits"):
        write_image(folder / f"{kind}/{name}.png", image)
    kind = "background" if name == truth.names[-1] else "object"
    return LayerRecord(name, kind, f"textures/{name}.png", f"edits/{name}.png", *SIZES[name])
