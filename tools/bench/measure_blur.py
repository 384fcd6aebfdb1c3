"""Measure motion blur of paint against a board that was rendered with paint and blur.

    .envs/bpy-4.5/bin/python tools/scenes/make_blur_scene.py --out /tmp/blur --shutter 0.5
    .envs/engine/bin/python tools/bench/measure_blur.py /tmp/blur

Makes OUT/shot.nvd, a decomposition with the scene's own coordinates, mattes and texture, paints the
board as the scene did, and renders it with and without motion blur. PSNR is of the pixels that the
paint changes in the scene, in display values.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

from nvd_core.editing.render import render_frames
from nvd_core.media.images import read_image, to_float, write_image
from nvd_core.shot.finish import Finish, MotionBlur
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--samples", type=int, nargs="+", default=[4, 8, 16, 32])
    arguments = parser.parse_args()
    known = json.loads((arguments.scene / "scene.json").read_text())
    shot = decomposition(arguments.scene, known)
    print(f"motion: {motion(known):.1f} pixels a frame in the mean, shutter {known['shutter']:g}")
    print(f"off          {psnr(shot, arguments.scene, 0, 2):.2f} dB")
    for samples in arguments.samples:
        print(
            f"{samples:3} samples  {psnr(shot, arguments.scene, known['shutter'], samples):.2f} dB"
        )


def psnr(shot: Shot, scene: Path, shutter: float, samples: int) -> float:
    """Of the edited region of all frames but the first and last, which lack a neighbour."""
    errors = []
    finish = Finish(motion_blur=MotionBlur(shutter, samples))
    for t, frame in enumerate(render_frames(shot, finish=finish)):
        plain, edited = (
            to_float(read_image(scene / folder / f"{t:05d}.png"))[..., :3]
            for folder in ("frames", "edited")
        )
        where = np.abs(plain - edited).max(2) > 2 / 255
        if 0 < t < shot.frames - 1:
            errors.append((to_float(frame) - edited)[where] ** 2)
    return float(-10 * np.log10(np.concatenate(errors).mean()))


def motion(known: dict) -> float:
    steps = np.diff(np.array(known["poses"])[:, :2], axis=0)
    return float(np.hypot(*steps.T).mean() * known["width"] / known["scale"])


def decomposition(scene: Path, known: dict) -> Shot:
    folder, names = scene / "shot.nvd", ["board", "background"]
    shutil.rmtree(folder, ignore_errors=True)
    width, height, frames = known["width"], known["height"], known["frames"]
    light = np.ones((height, width, 3), np.float16)
    with MapWriter(folder / "maps", names) as writer:
        for t in range(frames):
            alpha = to_float(read_image(scene / f"alphas/{t:05d}.png"))[..., 0]
            alpha = ((alpha + 0.055) / 1.055) ** 2.4 * (alpha > 0.02)  # stored as display values
            u, v = places(known, t)
            hidden = alpha == 0
            board = LayerMaps(np.where(hidden, 0, u), np.where(hidden, 0, v), alpha, light)
            y, x = np.mgrid[0:height, 0:width].astype(np.float32)
            u, v = (x + 0.5) / width, 0.5 + (height / 2 - y - 0.5) / width
            hidden = alpha >= 1
            rest = LayerMaps(np.where(hidden, 0, u), np.where(hidden, 0, v), 1 - alpha, light)
            writer.write(t, [as_floats(board), as_floats(rest)])
            write_image(
                folder / f"frames/{t:05d}.png", read_image(scene / f"frames/{t:05d}.png")[..., :3]
            )
    records = []
    for name, learned, edit in (("board", "texture", "painted"), ("background",) * 3):
        image = read_image(scene / f"{learned}.png")[..., :3]
        write_image(folder / f"textures/{name}.png", image)
        write_image(folder / f"edits/{name}.png", read_image(scene / f"{edit}.png")[..., :3])
        kind = "object" if name == "board" else "background"
        size = {"texture_width": image.shape[1], "texture_height": image.shape[0]}
        records.append(LayerRecord(name, kind, f"textures/{name}.png", f"edits/{name}.png", **size))
    clip = ClipRecord("a rendered board", 0, frames, width, height, (24, 1), 16, "display")
    write_manifest(folder, Manifest(clip=clip, layers=tuple(records)))
    return Shot.open(folder)


def as_floats(maps: LayerMaps) -> LayerMaps:
    u, v, alpha = (np.asarray(a, np.float32) for a in (maps.u, maps.v, maps.alpha))
    return LayerMaps(u, v, alpha, maps.residual)


def places(known: dict, t: int) -> tuple[np.ndarray, np.ndarray]:
    """u and v of the board at the pixels' centres in frame t."""
    width, height = known["width"], known["height"]
    y, x = np.mgrid[0:height, 0:width]
    unit = known["scale"] / width
    across, up = (x + 0.5 - width / 2) * unit, (height / 2 - y - 0.5) * unit
    px, py, angle = known["poses"][t]
    dx, dy = across - px, up - py
    cos, sin = np.cos(angle), np.sin(angle)
    return 0.5 + (cos * dx + sin * dy) / known["side"], 0.5 + (cos * dy - sin * dx) / known["side"]


if __name__ == "__main__":
    main()
