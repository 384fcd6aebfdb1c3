"""How far the live preview's motion blur is from `nvd render`, in Blender as a module.

    .envs/bpy-5.2/bin/python tools/bench/measure_blur_preview.py SHOT --shutter 0.5 --frames 10 26

SHOT is a decomposition folder of integers; a copy of it is painted all over with lines. Prints for
each frame dB of the preview's picture against a 16-bit PNG of the same, how large the largest
difference is, and the dB of the preview without blur. NVD_PYTHON is the engine's Python, by itself
.envs/engine/bin/python.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
_settings = tempfile.TemporaryDirectory(prefix="nvd-blender-")
os.environ["BLENDER_USER_RESOURCES"] = _settings.name  # read when bpy is imported
os.environ.setdefault("NVD_PYTHON", str(ROOT / ".envs/engine/bin/python"))

import bpy  # noqa: E402
import numpy as np  # noqa: E402

import blender_addon  # noqa: E402
from blender_addon.paint import preview, preview_shader  # noqa: E402
from blender_addon.shot import painting, shots  # noqa: E402

COLOURS = (0.95, 0.85, 0.1, 1), (0.1, 0.3, 0.9, 1)  # of objects and of the background


def paint(entry) -> None:
    """Lines all over every layer."""
    for layer in entry.layers:
        pixels = painting.read_pixels(layer.edit)
        height, width = pixels.shape[:2]
        y, x = np.mgrid[:height, :width]
        lines = (x // max(width // 40, 1)) % 3 == 0
        lines |= (y // max(height // 40, 1)) % 4 == 0
        pixels[lines] = COLOURS[layer == entry.layers[-1]]
        painting.write_pixels(layer.edit, pixels)


def shown(entry, frames: list[int]) -> list[np.ndarray]:
    """What the preview shows, [H, W, 3] of 0..1."""
    live, pictures = preview.Preview(entry), []
    for t in frames:
        live.prepare(entry, t)
        pictures.append(live.render(entry).read().clip(0, 1))
    live.close()
    return pictures


def rendered(folder: Path, t: int, out: Path) -> np.ndarray:
    """Frame `t` of `nvd render`, [H, W, 3] of 0..1."""
    words = ["render", folder, "--out", out / "%05d.png", "--bits", "16", "--frames", f"{t}-{t}"]
    command = [os.environ["NVD_PYTHON"], "-m", "nvd_core", *words, "--threads", "1"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    image = bpy.data.images.load(str(next(out.glob(f"*{t:05d}.png"))))
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    return round(float(-10 * np.log10(np.mean((one - other) ** 2) + 1e-14)), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--shutter", type=float, default=0.5)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--frames", type=int, nargs="+", default=[1])
    given = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.compositor_device = "CPU"
    blender_addon.register()
    preview_shader.start_in_background()
    with tempfile.TemporaryDirectory(prefix="nvd-blur-") as work:
        folder = Path(work) / "shot.nvd"
        shutil.copytree(given.shot, folder)
        entry = shots.add_shot(folder)
        paint(entry)
        entry.motion_blur, entry.shutter = True, given.shutter
        entry.blur_samples = given.samples
        painting.save_edits(entry)
        blurred = shown(entry, given.frames)
        entry.motion_blur = False
        sharp = shown(entry, given.frames)
        for t, ours, without in zip(given.frames, blurred, sharp, strict=True):
            theirs = rendered(folder, t, Path(work) / "out")
            most = round(float(np.abs(ours - theirs).max()), 5)
            print(f"frame {t}: {decibels(ours, theirs)} dB, at the most {most};", end=" ")
            print(f"without blur {decibels(without, theirs)} dB", flush=True)


if __name__ == "__main__":
    main()
