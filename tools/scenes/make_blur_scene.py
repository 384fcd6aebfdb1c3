"""Render a painted board that slides and turns, with motion blur: what blurred paint should be.

    .envs/bpy-4.5/bin/python tools/scenes/make_blur_scene.py --out /tmp/blur --shutter 0.5

Writes into OUT, for tools/bench/measure_blur.py: frames/ (the clip as shot), edited/ (the same with
the board painted), alphas/ (the board white before black), each blurred as the shutter says;
texture.png and painted.png of the board, background.png; and scene.json with what is needed to
know u and v of every pixel. The board shines by itself, so that nothing differs but the paint.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import bpy
import numpy as np

WIDTH, HEIGHT = 320, 180
SCALE = 8.0  # world units that the picture is wide
SIDE = 3.2  # of the board
TEXELS = 512


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--shutter", type=float, default=0.5)
    parser.add_argument("--samples", type=int, default=96)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    learned, painted = textures()
    scene = stage(arguments)
    board, behind = plane("board", SIDE, SIDE, 0.5), plane("behind", SCALE, SCALE, 0.0)
    images = {
        "texture": image("texture", learned, out),
        "painted": image("painted", painted, out),
        "background": image("background", backdrop(), out),
        "white": image("white", np.ones((4, 4, 3)), out),
        "black": image("black", np.zeros((4, 4, 3)), out),
    }
    move(board, arguments.frames)
    looks = {
        "frames": ("texture", "background"),
        "edited": ("painted", "background"),
        "alphas": ("white", "black"),
    }
    for folder, (front, back) in looks.items():
        shine(board, images[front])
        shine(behind, images[back])
        for t in range(arguments.frames):
            scene.frame_set(t + 1)
            scene.render.filepath = str(out / folder / f"{t:05d}.png")
            bpy.ops.render.render(write_still=True)
    known = {
        "width": WIDTH, "height": HEIGHT, "frames": arguments.frames, "scale": SCALE, "side": SIDE,
        "shutter": arguments.shutter,
        "poses": [pose(t) for t in range(arguments.frames)],
    }  # fmt: skip
    (out / "scene.json").write_text(json.dumps(known, indent=1))
    return 0


def pose(t: float) -> tuple[float, float, float]:
    """Where the board is at frame `t`: x, y and the angle, steady so that Blender's is the same."""
    return -2.0 + 0.55 * t, -0.3 + 0.09 * t, 0.1 + 0.06 * t


def textures() -> tuple[np.ndarray, np.ndarray]:
    """The board without and with its paint, display-encoded [h, w, 3], top row first."""
    y, x = np.mgrid[0:TEXELS, 0:TEXELS] / TEXELS
    random = np.random.default_rng(3)
    waves = sum(
        np.sin(2 * math.pi * (random.uniform(-9, 9) * x + random.uniform(-9, 9) * y) + k)
        for k in range(8)
    )
    grey = 0.45 + 0.05 * waves
    learned = np.stack([grey, grey * 0.9, grey * 0.75], -1).clip(0, 1)
    painted = learned.copy()
    painted[(np.hypot(x - 0.5, y - 0.5) < 0.36) & ((x * 10).astype(int) % 2 == 0)] = 0.95, 0.8, 0.1
    painted[(abs(x - 0.5) < 0.3) & (abs(y - 0.5) < 0.05)] = 0.1, 0.2, 0.7
    return learned, painted


def backdrop() -> np.ndarray:
    y, x = np.mgrid[0:256, 0:256]
    return np.stack([0.3 + 0.1 * np.sin(x / 5), 0.4 + 0.1 * np.sin(y / 7), 0.35 + 0 * x], -1)


def stage(arguments) -> bpy.types.Scene:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", SCALE
    camera.location = 0, 0, 10
    bpy.context.collection.objects.link(camera)
    scene.camera = camera
    render = scene.render
    render.engine, scene.cycles.device = "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = arguments.samples, False
    scene.cycles.use_adaptive_sampling, scene.cycles.max_bounces = False, 0
    scene.cycles.filter_width = 1.0
    scene.cycles.pixel_filter_type = "BOX"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.use_motion_blur, render.motion_blur_shutter = arguments.shutter > 0, arguments.shutter
    render.motion_blur_position = "CENTER"
    render.dither_intensity = 0
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    render.image_settings.file_format, render.image_settings.color_depth = "PNG", "16"
    return scene


def plane(name: str, width: float, height: float, z: float) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    mesh.from_pydata([(x * width, y * height, 0) for x, y in corners], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", np.float32([(x + 0.5, y + 0.5) for x, y in corners]).ravel())
    thing = bpy.data.objects.new(name, mesh)
    thing.location = 0, 0, z
    bpy.context.collection.objects.link(thing)
    return thing


def move(thing: bpy.types.Object, frames: int) -> None:
    """Key the board far before and after the clip: between, it moves evenly."""
    for t in (-10, frames + 10):
        x, y, angle = pose(t)
        thing.location, thing.rotation_euler = (x, y, 0.5), (0, 0, angle)
        thing.keyframe_insert("location", frame=t + 1)
        thing.keyframe_insert("rotation_euler", frame=t + 1)
    action = thing.animation_data.action
    for curve in action.fcurves:
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"


def image(name: str, display: np.ndarray, out: Path) -> bpy.types.Image:
    height, width = display.shape[:2]
    made = bpy.data.images.new(name, width, height)
    pixels = np.ones((height, width, 4), np.float32)
    pixels[..., :3] = display[::-1]
    made.pixels.foreach_set(pixels.ravel())
    made.filepath_raw, made.file_format = str(out / f"{name}.png"), "PNG"
    made.save()
    return bpy.data.images.load(str(out / f"{name}.png"))


def shine(thing: bpy.types.Object, picture: bpy.types.Image) -> None:
    material = bpy.data.materials.new(picture.name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, light = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    texture.image = picture
    links.new(texture.outputs["Color"], light.inputs["Color"])
    links.new(light.outputs[0], output.inputs["Surface"])
    thing.data.materials.clear()
    thing.data.materials.append(material)


if __name__ == "__main__":
    sys.exit(main())
