"""Write a small decomposition folder, and what it holds as arrays; run by the engine's Python.

    .envs/engine/bin/python tests/scripts/make_folder.py OUT [--linear] [--other-sizes]

OUT/shot.nvd is the folder. OUT/truth.npz holds what its files hold when read back: `frames`
[T, H, W, 3] as stored, `maps` [T, L, H, W, 6] (u, v, alpha, residual), `texture_<layer>` and
`edit_<layer>` [h, w, 4] between 0 and 1, top row first; `base_<layer>`, the texture at the edit's
size, where that is another one. Nothing of nvd_core is used, so that a
mistake there cannot hide itself here.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio

FRAMES, WIDTH, HEIGHT = 3, 160, 90
LAYERS = {"toy": (96, 64), "leaf-2": (48, 80), "background": (200, 120)}  # width, height
OTHER_SIZES = {"toy": (192, 128), "leaf-2": (31, 47), "background": (170, 301)}  # of the edits


def write(path: Path, pixels: np.ndarray, dtype: str, names=None, kinds=None, compression=None):
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, dtype)
    if names:
        spec.channelnames = names
    if kinds:
        spec.channelformats = kinds
    if compression:
        spec["compression"] = compression
    spec["oiio:UnassociatedAlpha"] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    output = oiio.ImageOutput.create(str(path))
    ok = output and output.open(str(path), spec)
    ok = ok and output.write_image(np.ascontiguousarray(pixels, np.float32)) and output.close()
    if not ok:
        raise SystemExit(f"cannot write {path}: {output.geterror() if output else oiio.geterror()}")


def read(path: Path) -> np.ndarray:
    hint = oiio.ImageSpec()
    hint["oiio:UnassociatedAlpha"] = 1
    source = oiio.ImageInput.open(str(path), hint)
    pixels = source.read_image("float")
    names = source.spec().channelnames
    source.close()
    if "." in names[0]:  # a map: the file may keep its channels in another order
        pixels = pixels[..., [names.index(name) for name in MAP_NAMES + FINE_NAMES]]
        pixels[..., -9:-6] += pixels[..., -3:]  # the last layer's Map and Fine
        pixels = pixels[..., :-3]
    return pixels


MAP_CHANNELS = ("Map.X", "Map.Y", "Map.Z", "Residual.R", "Residual.G", "Residual.B")
MAP_NAMES = [f"{layer}.{channel}" for layer in LAYERS for channel in MAP_CHANNELS]
FINE_NAMES = [f"background.Fine.{channel}" for channel in "XYZ"]


def map_of(layer: int, t: int) -> np.ndarray:
    """u, v, alpha before occlusion, and light [H, W, 6]; u and v reach 0 and 1 exactly."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y = x / (WIDTH - 1), y / (HEIGHT - 1)
    turn = 0.15 * (layer - 1) + 0.08 * t
    u = 0.5 + 1.15 * ((x - 0.5) * np.cos(turn) - (y - 0.5) * np.sin(turn)) + 0.03 * np.sin(9 * y)
    v = 0.5 - 1.1 * ((x - 0.5) * np.sin(turn) + (y - 0.5) * np.cos(turn)) + 0.02 * np.sin(7 * x)
    middle = 0.3 + 0.35 * layer + 0.04 * t
    alpha = np.clip(1.7 - 5 * np.hypot(x - middle, 0.7 * (y - 0.5)), 0, 1)
    light = [1 + 0.45 * np.sin(5 * x + 3 * y + channel + layer + t) for channel in range(3)]
    return np.stack([np.clip(u, 0, 1), np.clip(v, 0, 1), alpha, *light], axis=-1)


def maps_of(t: int) -> np.ndarray:
    """Front to back, occlusion included, as the folder wants them [L, H, W, 6]."""
    maps = np.stack([map_of(layer, t) for layer in range(len(LAYERS))])
    seen = np.ones((HEIGHT, WIDTH))
    for layer in maps[:-1]:
        layer[..., 2] *= seen
        seen = seen - layer[..., 2]
    maps[-1, ..., 2] = seen
    maps[maps[..., 2] < 1 / 1024] = (0, 0, 0, 1, 1, 1)
    return maps


def texture_of(layer: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """What was learned and what is painted, RGBA of 8 bits between 0 and 1."""
    random = np.random.default_rng(layer)
    y, x = np.mgrid[0:height, 0:width] / 10
    waves = [0.5 + 0.35 * np.sin(x * (1 + c) + y * (2 - c) + layer) for c in range(3)]
    learned = np.stack([*waves, np.ones_like(x)], -1)
    learned[..., :3] += random.uniform(-0.15, 0.15, (height, width, 3))
    edit = learned.copy()
    painted = (np.sin(x * 2) + np.cos(y * 1.5)) > 0.3
    edit[painted, :3] = random.uniform(0, 1, (int(painted.sum()), 3))
    edit[..., 3] = np.where(painted, 0.5 + 0.5 * np.cos(x + y), 1)
    edit[: height // 4, : width // 3] = 0  # rubbed out: black and transparent
    return tuple(np.round(np.clip(image, 0, 1) * 255) / 255 for image in (learned, edit))


def edit_of_size(learned: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The learned texture at that size, and an edit of 8 bits made from it by a painting program:
    a little noise of its resampling everywhere, faint and strong paint, and a hole.
    """
    smaller = min(width, learned.shape[1]), min(height, learned.shape[0])
    base = cv2.resize(np.float32(learned), smaller, interpolation=cv2.INTER_AREA)
    base = cv2.resize(base, (width, height), interpolation=cv2.INTER_LINEAR)
    random = np.random.default_rng(width)
    edit = base.copy()
    edit[..., :3] += random.uniform(-3 / 255, 3 / 255, (height, width, 3))
    edit[height // 3 : height // 2, :, :3] += random.uniform(0, 12 / 255, (1, width, 3))
    edit[height // 2 : -height // 4, width // 4 :, :3] = random.uniform(0, 1, 3)
    edit[-height // 4 :, : width // 3] = (1, 0, 1, 0.5)
    edit[: height // 5, : width // 5] = 0
    return base, np.round(np.clip(edit, 0, 1) * 255) / 255


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--linear", action="store_true", help="frames as linear half-float EXR")
    parser.add_argument("--other-sizes", action="store_true", help="edits not as large as textures")
    arguments = parser.parse_args()
    shot = arguments.out / "shot.nvd"
    dtype, suffix = ("half", "exr") if arguments.linear else ("uint8", "png")
    depth = "uint16" if arguments.linear else "uint8"  # of the textures
    truth = {"frames": [], "maps": []}
    for t in range(FRAMES):
        random = np.random.default_rng(100 + t)
        frame = random.uniform(0, 2.5 if arguments.linear else 1, (HEIGHT, WIDTH, 3))
        write(shot / f"frames/{t:05d}.{suffix}", frame, dtype)
        truth["frames"].append(read(shot / f"frames/{t:05d}.{suffix}"))
        maps = np.concatenate(list(maps_of(t)), axis=-1)
        # The last layer's u and v as the sum of two, so coarse that leaving one out would show
        coarse = np.round(maps[..., -6:-4] * 512) / 512
        fine = maps[..., -6:-4] - coarse
        maps[..., -6:-4] = coarse
        maps = np.concatenate([maps, fine, np.zeros_like(fine[..., :1])], axis=-1)
        write(
            shot / f"maps/{t:05d}.exr",
            maps,
            "float",
            MAP_NAMES + FINE_NAMES,
            ("float", "float", "float", "half", "half", "half") * len(LAYERS) + ("half",) * 3,
            "pxr24",
        )
        stored = read(shot / f"maps/{t:05d}.exr").reshape(HEIGHT, WIDTH, len(LAYERS), 6)
        truth["maps"].append(stored.transpose(2, 0, 1, 3))
    for index, (layer, (width, height)) in enumerate(LAYERS.items()):
        images = texture_of(index, width, height)
        for what, image in zip(("texture", "edit"), images, strict=True):
            write(shot / f"{what}s/{layer}.png", image, depth)
            truth[f"{what}_{layer}"] = read(shot / f"{what}s/{layer}.png")
        if arguments.other_sizes:
            base, edit = edit_of_size(truth[f"texture_{layer}"], *OTHER_SIZES[layer])
            write(shot / f"edits/{layer}.png", edit, "uint8")
            truth[f"edit_{layer}"] = read(shot / f"edits/{layer}.png")
            truth[f"base_{layer}"] = base
    manifest = {
        "schema": "nvd.decomposition",
        "version": 1,
        "program": "test",
        "clip": {
            "source": "made up",
            "first_frame": 0,
            "frames": FRAMES,
            "width": WIDTH,
            "height": HEIGHT,
            "rate": [24000, 1001],
            "bit_depth": "half" if arguments.linear else 8,
            "encoding": "linear" if arguments.linear else "display",
        },
        "frames": f"frames/%05d.{suffix}",
        "maps": "maps/%05d.exr",
        "layers": [
            {
                "name": layer,
                "kind": "background" if layer == "background" else "object",
                "texture": f"textures/{layer}.png",
                "edit": f"edits/{layer}.png",
                "texture_width": width,
                "texture_height": height,
            }
            for layer, (width, height) in LAYERS.items()
        ],
        "cautions": [],
    }
    (shot / "manifest.json").write_text(json.dumps(manifest, indent=2))
    np.savez(arguments.out / "truth.npz", **truth)


if __name__ == "__main__":
    main()
