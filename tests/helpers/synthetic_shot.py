"""A small decomposition folder made by formula, whose full render reproduces its frames."""

from pathlib import Path

import numpy as np

from nvd_core.editing.kernel_torch import composed, to_device
from nvd_core.media.images import decode_srgb, to_float, to_integers, write_image
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.shot import Shot

NAMES = ["dog", "cat", "background"]
_SIZES = {"dog": (41, 37), "cat": (23, 30), "background": (90, 56)}
_DTYPES = {8: np.uint8, 16: np.uint16, "half": np.float16, "float": np.float32}


def make_shot(
    folder: Path,
    frames: int = 3,
    width: int = 48,
    height: int = 36,
    bit_depth: int | str = 8,
    texture_depth: int = 8,
) -> Shot:
    """Two soft objects that move and overlap before a panning background, lit unevenly.

    Places reach beyond the textures' edges, alpha is partial at the objects' edges, and frames
    are composed from the textures and maps as they stand in the files.
    """
    folder = Path(folder)
    records = [_write_textures(folder, name, texture_depth) for name in NAMES]
    with MapWriter(folder / "maps", NAMES) as writer:
        for t in range(frames):
            writer.write(t, frame_maps(t, width, height))
    textures = {n: to_float(texture(name, texture_depth))[..., :3] for n, name in enumerate(NAMES)}
    suffix = "png" if bit_depth in (8, 16) else "exr"
    for t in range(frames):
        maps = read_maps(folder / f"maps/{t:05d}.exr", NAMES)
        display = composed(maps, to_device(textures, "cpu")).numpy()
        if suffix == "png":
            frame = to_integers(display, _DTYPES[bit_depth])
        else:
            frame = decode_srgb(display).astype(_DTYPES[bit_depth])
        write_image(folder / f"frames/{t:05d}.{suffix}", frame)
    clip = ClipRecord(
        source="made by formula",
        first_frame=0,
        frames=frames,
        width=width,
        height=height,
        rate=(25, 1),
        bit_depth=bit_depth,
        encoding="display" if suffix == "png" else "linear",
    )
    write_manifest(
        folder, Manifest(clip=clip, layers=tuple(records), frames=f"frames/%05d.{suffix}")
    )
    return Shot.open(folder)


def frame_maps(t: int, width: int, height: int) -> list[LayerMaps]:
    """The maps of frame `t` of the layers NAMES."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.stack([np.sin(x / 9 + t), np.cos(y / 7), np.sin((x + y) / 11 - t)], -1)
    light = (0.9 + 0.15 * light).astype(np.float32)
    left = np.ones((height, width), np.float32)
    layers = []
    for n, centre in enumerate([(width * 0.4 + t, height * 0.5), (width * 0.6 - t, height * 0.45)]):
        dx, dy = x - centre[0], y - centre[1]
        radius = height * 0.3
        own = np.clip((radius - np.hypot(dx, dy)) / 3, 0, 1)
        # wider than the object's texture, so that some places lie outside and are clamped
        u = 0.5 + dx / (1.8 * radius) + 0.02 * np.sin(y / 5)
        v = 0.5 - dy / (1.8 * radius)
        layers.append(_layer(u, v, left * own, light * (1 - 0.2 * n)))
        left = left * (1 - own)
    u, v = (x + 3 * t + 1) / (width + 12), 1 - (y + 0.5 + 0.3 * np.sin(x / 6)) / height
    return [*layers, _layer(u, v, left, light)]


def texture(name: str, depth: int = 8) -> np.ndarray:
    """The learned texture of a layer, RGBA uint8 or uint16."""
    width, height = _SIZES[name]
    y, x = np.mgrid[0:height, 0:width]
    phase = NAMES.index(name)
    colour = np.stack([np.sin(x / 5 + phase), np.cos(y / 6 - phase), np.sin((x - y) / 8)], -1)
    rgba = np.dstack([0.5 + 0.3 * colour, np.ones((height, width))])
    rgba[:3, :, 3] = 0  # never seen
    return to_integers(rgba, _DTYPES[depth])


def _layer(u: np.ndarray, v: np.ndarray, alpha: np.ndarray, light: np.ndarray) -> LayerMaps:
    hidden = alpha < 1 / 1024
    u, v, alpha = (np.where(hidden, 0, a).astype(np.float32) for a in (u, v, alpha))
    residual = np.where(hidden[..., None], 1, light).astype(np.float16)
    return LayerMaps(u.clip(0, 1), v.clip(0, 1), alpha, residual)


def _write_textures(folder: Path, name: str, depth: int) -> LayerRecord:
    image = texture(name, depth)
    for kind in ("textures", "edits"):
        write_image(folder / f"{kind}/{name}.png", image)
    return LayerRecord(
        name=name,
        kind="background" if name == "background" else "object",
        texture=f"textures/{name}.png",
        edit=f"edits/{name}.png",
        texture_width=image.shape[1],
        texture_height=image.shape[0],
    )
