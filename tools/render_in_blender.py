"""Render an edited shot through Blender's compositor; run by a Python that has bpy:

    .envs/bpy-4.5/bin/python tools/render_in_blender.py SHOT.nvd EDITS OUT

EDITS holds <layer>.png; OUT gets 16-bit PNGs numbered from 0, as `nvd render --bits 16` writes.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="nvd-blender-"))

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from blender_addon.scripting import image_of, open_shot


def main(shot: Path, edits: Path, out: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.compositor_device = "CPU"
    open_shot(shot, raw=True)
    for path in sorted(edits.glob("*.png")):
        image = image_of(shot / "edits" / path.name)
        image.filepath = str(path)
        image.reload()
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "16"
    settings.compression = 15
    scene.render.dither_intensity = 0
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        scene.render.filepath = str(out / f"{frame - scene.frame_start:05d}.png")
        bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(*(Path(word).resolve() for word in sys.argv[1:]))
