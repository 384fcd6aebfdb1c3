"""Render the sample clip: a painted roly-poly toy that rocks past a post, with its masks.

    .envs/bpy-4.5/bin/python tools/scenes/make_sample_clip.py --out samples/tumbler

Writes frames/0000.jpg ... and masks/0000.png ... (white where the toy is visible). Everything is
drawn by this file, so the clip has no other source: the textures are numpy, the picture is Cycles
on the CPU: about ten minutes on two cores.

What it holds for a decomposition: paint that moves, turns and rocks; one occlusion, by a post
that belongs to the background; a camera that pans in place, so that the background moves as one;
a lamp that dims and turns from warm to cool; a shadow that follows the toy.
"""

import argparse
import math
from pathlib import Path

import bpy
import numpy as np

FRAMES = 48
WIDTH, HEIGHT = 384, 216
SAMPLES = 24
JPEG_QUALITY = 92

BELLY = 0.62  # radius of the toy's round bottom, and the height of the centre it rocks about
HEAD = 0.36
TOY_HEIGHT = 1.72

CREAM = (0.94, 0.88, 0.74)
RED = (0.76, 0.16, 0.12)
TEAL = (0.05, 0.42, 0.44)
GOLD = (0.95, 0.69, 0.18)
NAVY = (0.09, 0.12, 0.27)
SKIN = (0.96, 0.77, 0.62)
BROWN = (0.27, 0.15, 0.09)


# --- textures: display-encoded float images [H, W, 3], bottom row first as Blender keeps them ---


class Canvas:
    """An image that shapes are painted on, in units where the height is 1 and v points up."""

    def __init__(self, width: int, height: int, colour):
        self.rgb = np.empty((height, width, 3), np.float32)
        self.rgb[:] = colour
        self.pixel = 1.0 / height
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        self.u = (columns + 0.5) * self.pixel
        self.v = (rows + 0.5) * self.pixel

    def around(self, u, v, reach) -> tuple[slice, slice]:
        """The part of the image within `reach` of a point: small shapes should cost little."""
        first = [max(0, int((at - reach) / self.pixel) - 2) for at in (v, u)]
        last = [max(0, int((at + reach) / self.pixel) + 3) for at in (v, u)]
        return slice(first[0], last[0]), slice(first[1], last[1])

    def fill(self, distance: np.ndarray, colour, opacity: float = 1.0, part=np.s_[:, :]) -> None:
        """Paint where the signed `distance` is negative, with an edge one pixel soft."""
        cover = np.clip(0.5 - distance / self.pixel, 0, 1)[..., None] * opacity
        self.rgb[part] += cover * (np.asarray(colour, np.float32) - self.rgb[part])

    def band(self, low: float, high: float, colour) -> None:
        self.fill(np.maximum(low - self.v, self.v - high), colour)

    def box(self, u0: float, v0: float, u1: float, v1: float, colour) -> None:
        part = self.around((u0 + u1) / 2, (v0 + v1) / 2, max(u1 - u0, v1 - v0) / 2)
        u, v = self.u[part], self.v[part]
        across = np.maximum(u0 - u, u - u1)
        self.fill(np.maximum(across, np.maximum(v0 - v, v - v1)), colour, part=part)

    def ellipse(self, u, v, a, b, colour, turn: float = 0.0, opacity: float = 1.0) -> None:
        part = self.around(u, v, max(a, b))
        x, y = self.u[part] - u, self.v[part] - v
        x, y = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        self.fill((np.hypot(x / a, y / b) - 1) * min(a, b), colour, opacity, part)

    def diamond(self, u, v, a, b, colour) -> None:
        part = self.around(u, v, max(a, b))
        inside = np.abs(self.u[part] - u) / a + np.abs(self.v[part] - v) / b - 1
        self.fill(inside * min(a, b), colour, part=part)

    def flower(self, u, v, radius, petals: int, colour, heart) -> None:
        for k in range(petals):
            turn = 2 * math.pi * k / petals + 0.3
            middle = u + 0.62 * radius * math.cos(turn), v + 0.62 * radius * math.sin(turn)
            self.ellipse(*middle, 0.42 * radius, 0.27 * radius, colour, turn)
        self.ellipse(u, v, 0.27 * radius, 0.27 * radius, heart)

    def star(self, u, v, radius, colour) -> None:
        """Five points, one of them up; the notches lie at 0.42 of the radius."""
        part = self.around(u, v, radius)
        x, y = self.u[part] - u, self.v[part] - v
        fifth = 2 * math.pi / 5
        angle = np.abs((np.arctan2(y, x) - math.pi / 2) % fifth - fifth / 2)  # 0 at a notch
        edge = np.array([math.cos(fifth / 2) - 0.42, math.sin(fifth / 2)])
        normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
        reach = np.hypot(x, y)
        along, aside = reach * np.cos(angle) - 0.42 * radius, reach * np.sin(angle)
        self.fill(along * normal[0] + aside * normal[1], colour, part=part)


def noise(width: int, height: int, cells_across: float, cells_up: float, seed: int) -> np.ndarray:
    """Four octaves of smooth noise [H, W], mean 0 and standard deviation 1; u wraps around."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        nx = max(2, round(cells_across * 2**octave))
        ny = max(2, round(cells_up * 2**octave))
        grid = random.standard_normal((ny + 1, nx)).astype(np.float32)
        x = np.arange(width) * nx / width
        y = np.arange(height) * ny / height
        x0, y0 = x.astype(int), y.astype(int)
        fx, fy = (x - x0)[None, :], (y - y0)[:, None]
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        x1 = (x0 + 1) % nx
        low = grid[y0][:, x0] * (1 - fx) + grid[y0][:, x1] * fx
        high = grid[y0 + 1][:, x0] * (1 - fx) + grid[y0 + 1][:, x1] * fx
        total += (low * (1 - fy) + high * fy) * 0.6**octave
    return (total - total.mean()) / total.std()


def toy_texture() -> np.ndarray:
    """Once around the toy is u 0..2 with the front at u = 1; v is the height above the ground."""
    c = Canvas(2048, 1024, TEAL)
    random = np.random.default_rng(1)
    for k in range(16):
        c.diamond(k / 8 + 1 / 16, 0.14, 0.045, 0.07, GOLD if k % 2 else CREAM)
        c.diamond(k / 8 + 1 / 16, 0.14, 0.018, 0.028, RED if k % 2 else NAVY)
    c.band(0.225, 0.245, GOLD)
    c.band(0.245, 0.545, NAVY)
    spots = (0.2, 0.33), (0.47, 0.45), (0.6, 0.31), (1.42, 0.33), (1.57, 0.46)
    for k, (u, v) in enumerate(spots):
        c.flower(u, v, 0.085, 6 + k % 2, (RED, GOLD, CREAM)[k % 3], (GOLD, RED, TEAL)[k % 3])
    c.flower(1.83, 0.4, 0.1, 7, GOLD, RED)
    for _ in range(70):
        u, v = random.uniform(0, 2), random.uniform(0.265, 0.53)
        c.ellipse(u, v, 0.008, 0.009, (CREAM, TEAL, GOLD)[int(random.integers(3))])
    c.ellipse(1, 0.375, 0.275, 0.165, GOLD)  # the apron, with what is painted on it
    c.ellipse(1, 0.375, 0.255, 0.15, CREAM)
    for k in range(20):
        turn = 2 * math.pi * k / 20
        spot = 1 + 0.228 * math.cos(turn), 0.375 + 0.13 * math.sin(turn)
        c.ellipse(*spot, 0.009, 0.01, RED if k % 2 else TEAL)
    c.flower(1, 0.385, 0.095, 8, RED, GOLD)
    for side in (-1, 1):
        c.ellipse(1 + side * 0.13, 0.325, 0.055, 0.02, TEAL, side * 0.5)
        c.star(1 + side * 0.155, 0.42, 0.04, NAVY)
    c.band(0.545, 0.56, GOLD)
    c.band(0.56, 1.0, RED)  # the scarf
    for row, v in enumerate((0.6, 0.66, 0.72, 0.78, 0.84, 0.9)):
        for k in range(14):
            c.ellipse((k + row % 2 / 2) / 7, v, 0.022, 0.012, GOLD if row % 2 else CREAM)
    c.ellipse(1, 0.775, 0.3, 0.135, GOLD)
    c.ellipse(1, 0.775, 0.275, 0.122, BROWN)
    c.ellipse(1, 0.752, 0.235, 0.1, SKIN)
    c.ellipse(0.88, 0.832, 0.14, 0.03, BROWN, 0.22)
    c.ellipse(1.12, 0.832, 0.14, 0.03, BROWN, -0.22)
    for side in (-1, 1):
        c.ellipse(1 + side * 0.095, 0.766, 0.042, 0.027, (0.98, 0.97, 0.95))
        c.ellipse(1 + side * 0.09, 0.765, 0.024, 0.022, NAVY)
        c.ellipse(1 + side * 0.082, 0.773, 0.009, 0.007, (1, 1, 1))
        c.ellipse(1 + side * 0.1, 0.801, 0.045, 0.006, BROWN, -side * 0.1)
        c.ellipse(1 + side * 0.15, 0.727, 0.042, 0.021, (0.9, 0.42, 0.36), opacity=0.7)
    c.ellipse(1, 0.742, 0.013, 0.008, (0.85, 0.58, 0.45))
    c.ellipse(1, 0.71, 0.055, 0.017, RED)
    c.ellipse(1, 0.72, 0.065, 0.014, SKIN)
    for side in (-1, 1):  # the scarf's knot
        c.ellipse(1 + side * 0.07, 0.6, 0.075, 0.026, GOLD, side * 0.3)
        c.ellipse(1 + side * 0.07, 0.6, 0.06, 0.017, RED, side * 0.3)
    c.ellipse(1, 0.605, 0.03, 0.022, GOLD)
    wear = 1 + 0.035 * noise(2048, 1024, 14, 7, 2) + 0.02 * noise(2048, 1024, 160, 12, 3)
    return np.clip(c.rgb * wear[..., None], 0, 1)


def wall_texture() -> np.ndarray:
    """Ten metres by four: wallpaper with leaves, no two alike, a dado, and three pictures."""
    width, height = 2560, 1024
    c = Canvas(width, height, (0.56, 0.66, 0.58))
    random = np.random.default_rng(4)
    for k in range(25):
        c.box(k / 10, 0, k / 10 + 0.05, 1, (0.52, 0.63, 0.56))
    for column in range(25):
        for row in range(7):
            u = column / 10 + 0.025 + 0.05 * (row % 2)
            v = 0.27 + row * 0.1 + random.uniform(-0.008, 0.008)
            shade = random.uniform(-0.05, 0.05)
            leaf = (0.33 + shade, 0.47 + shade, 0.42 + shade)
            lean = random.uniform(-0.25, 0.25)
            for side in (-1, 1):
                c.ellipse(u + side * 0.014, v, 0.021, 0.008, leaf, side * 0.7 + lean)
                c.ellipse(u + side * 0.011, v + 0.022, 0.016, 0.006, leaf, side * 0.8 + lean)
            berry = (0.82, 0.55, 0.32) if random.random() < 0.5 else (0.87, 0.8, 0.62)
            c.ellipse(u, v + 0.036, 0.007, 0.007, berry)
    c.band(0, 0.19, (0.80, 0.76, 0.67))
    c.band(0.19, 0.205, (0.66, 0.60, 0.50))
    c.band(0, 0.035, (0.62, 0.56, 0.47))
    for k in range(18):
        c.box(0.01 + k / 7, 0.055, 0.01 + k / 7 + 0.115, 0.17, (0.74, 0.70, 0.61))
    for u, sky, hill in ((0.72, NAVY, TEAL), (1.22, (0.93, 0.72, 0.5), RED), (1.68, CREAM, NAVY)):
        c.box(u - 0.11, 0.385, u + 0.11, 0.665, BROWN)
        c.box(u - 0.095, 0.4, u + 0.095, 0.65, CREAM)
        c.box(u - 0.075, 0.42, u + 0.075, 0.63, sky)
        c.ellipse(u + 0.025, 0.56, 0.025, 0.025, GOLD)
        slope = 0.5 + 0.03 * np.sin((c.u - u) * 50) + 0.4 * (c.u - u)
        inside = np.maximum(np.abs(c.u - u) - 0.075, 0.42 - c.v)
        c.fill(np.maximum(inside, c.v - slope), hill)
        c.fill(np.maximum(inside, c.v - slope + 0.045), BROWN)
    wear = 1 + 0.04 * noise(width, height, 9, 4, 5) + 0.025 * noise(width, height, 200, 90, 6)
    return np.clip(c.rgb * wear[..., None], 0, 1)


def floor_texture() -> np.ndarray:
    """Ten metres by eight of planks, each with its own colour and grain."""
    width, height, rows = 2560, 2048, 24
    c = Canvas(width, height, BROWN)
    random = np.random.default_rng(7)
    for row in range(rows):
        u = -random.uniform(0, 0.3)
        while u < width / height:
            length = random.uniform(0.18, 0.34)
            tone = random.uniform(0.75, 1.12)
            colour = np.array([0.68, 0.47, 0.30]) * tone + random.uniform(-0.02, 0.02, 3)
            c.box(u + 0.0012, row / rows + 0.0012, u + length, (row + 1) / rows - 0.0012, colour)
            u += length
    grain = 1 + 0.07 * noise(width, height, 20, 160, 8) + 0.04 * noise(width, height, 6, 6, 9)
    return np.clip(c.rgb * grain[..., None], 0, 1)


def post_texture() -> np.ndarray:
    c = Canvas(256, 2048, (0.86, 0.83, 0.76))
    for k in range(12):
        c.band(k / 12, k / 12 + 0.036, (0.20, 0.33, 0.45))
        c.band(k / 12 + 0.036, k / 12 + 0.042, GOLD)
    return np.clip(c.rgb * (1 + 0.05 * noise(256, 2048, 6, 60, 10))[..., None], 0, 1)


# --- the scene ---


def material(name: str, rgb: np.ndarray, roughness: float) -> bpy.types.Material:
    height, width = rgb.shape[:2]
    image = bpy.data.images.new(name, width, height)
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = rgb
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes = made.node_tree.nodes
    texture = nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = roughness
    made.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return made


def mesh_object(name, vertices, faces, uvs, made) -> bpy.types.Object:
    """`uvs` holds one pair a face corner."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    layer = mesh.uv_layers.new()
    layer.data.foreach_set("uv", np.asarray(uvs, np.float32).ravel())
    mesh.materials.append(made)
    mesh.shade_smooth()
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(thing)
    return thing


def rectangle(name, corners, made) -> bpy.types.Object:
    return mesh_object(name, corners, [(0, 1, 2, 3)], [(0, 0), (1, 0), (1, 1), (0, 1)], made)


def lathe(name, profile, made, around: int = 128) -> bpy.types.Object:
    """Turn `profile`, a list of (radius, z, v), about z; u = 0.5 faces the camera at -y."""
    vertices, faces, uvs = [], [], []
    for radius, z, _ in profile:
        for k in range(around):
            turn = 2 * math.pi * (k / around - 0.5) - math.pi / 2
            vertices.append((radius * math.cos(turn), radius * math.sin(turn), z))
    for ring in range(len(profile) - 1):
        low, high = profile[ring][2], profile[ring + 1][2]
        for k in range(around):
            a, b = ring * around + k, ring * around + (k + 1) % around
            faces.append((a, b, b + around, a + around))
            left, right = k / around, (k + 1) / around
            uvs += [(left, low), (right, low), (right, high), (left, high)]
    return mesh_object(name, vertices, faces, uvs, made)


def toy_profile(steps: int = 160) -> list[tuple[float, float, float]]:
    """A round belly and a round head with a soft neck, z measured from the belly's centre."""
    profile = []
    for k in range(steps + 1):
        z = TOY_HEIGHT * (0.5 - 0.5 * math.cos(math.pi * k / steps))
        belly = math.sqrt(max(0.0, BELLY**2 - (z - BELLY) ** 2))
        head = math.sqrt(max(0.0, HEAD**2 - (z - TOY_HEIGHT + HEAD) ** 2))
        larger, smaller = max(belly, head), min(belly, head)
        blend = max(0.0, 1 - (larger - smaller) / 0.22) if smaller > 0 else 0.0
        profile.append((larger + 0.055 * blend**2, z - BELLY, z / TOY_HEIGHT))
    return profile


def build() -> dict[str, bpy.types.Object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    wall = material("wall", wall_texture(), 0.9)
    floor = material("floor", floor_texture(), 0.6)
    rectangle("wall", [(-5, 2.0, 0), (5, 2.0, 0), (5, 2.0, 4), (-5, 2.0, 4)], wall)
    rectangle("floor", [(-5, -6, 0), (5, -6, 0), (5, 2.0, 0), (-5, 2.0, 0)], floor)
    toy = lathe("toy", toy_profile(), material("toy", toy_texture(), 0.42))
    post = lathe("post", [(0.05, 0, 0), (0.05, 3, 1)], material("post", post_texture(), 0.5), 48)
    post.location = (-0.12, -1.5, 0)

    lamp = bpy.data.objects.new("lamp", bpy.data.lights.new("lamp", "AREA"))
    lamp.data.size = 0.7
    lamp.location = (-2.6, -3.4, 3.9)
    fill = bpy.data.objects.new("fill", bpy.data.lights.new("fill", "AREA"))
    fill.data.size = 3
    fill.data.energy = 75
    fill.location = (3.2, -4.4, 3.2)
    for light, target in ((lamp, (0.2, 0.3, 0.7)), (fill, (0, 0.5, 1))):
        aim(light, target)
        bpy.context.collection.objects.link(light)

    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens = 52
    camera.location = (0, -6.2, 1.35)
    bpy.context.collection.objects.link(camera)

    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.75, 0.85, 1.0, 1)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.22

    scene = bpy.context.scene
    scene.world = world
    scene.camera = camera
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.use_persistent_data = True
    render.dither_intensity = 0
    scene.cycles.device = "CPU"
    scene.cycles.max_bounces = 4
    scene.cycles.use_adaptive_sampling = False
    scene.view_settings.look = "None"
    return {"toy": toy, "lamp": lamp, "camera": camera}


def aim(thing: bpy.types.Object, target) -> None:
    from mathutils import Vector

    towards = Vector(target) - thing.location
    thing.rotation_euler = towards.to_track_quat("-Z", "Y").to_euler()


def pose(things: dict[str, bpy.types.Object], frame: int) -> None:
    """Everything that changes over time, as functions of s from 0 to 1."""
    s = frame / (FRAMES - 1)
    glide = s + 0.06 * math.sin(2 * math.pi * s)
    rock = math.radians(13) * math.sin(3.2 * math.pi * s + 0.4)
    nod = math.radians(5) * math.sin(2.3 * math.pi * s)
    yaw = math.radians(-24 + 46 * s)
    toy = things["toy"]
    toy.location = (-1.05 + 1.85 * glide + BELLY * rock, 0.15 - 0.25 * s, BELLY)
    toy.rotation_mode = "ZXY"  # turns about itself first, then nods, then rocks
    toy.rotation_euler = (nod, rock, yaw)

    pan = math.radians(4.6 - 9.0 * s + 0.9 * math.sin(2 * math.pi * s))
    tilt = math.radians(86.3 + 0.5 * math.sin(3 * math.pi * s))
    things["camera"].rotation_euler = (tilt, 0, pan)

    lamp = things["lamp"].data
    lamp.energy = 560 * (0.78 + 0.22 * math.cos(2.6 * math.pi * s))
    warm, cool = np.array([1.0, 0.76, 0.52]), np.array([0.78, 0.88, 1.0])
    mix = 0.5 - 0.5 * math.cos(math.pi * min(1.0, 1.15 * s))
    lamp.color = warm * (1 - mix) + cool * mix


def render_to(path: Path) -> None:
    scene = bpy.context.scene
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def render_frames(things, folder: Path, frames: list[int]) -> None:
    scene = bpy.context.scene
    scene.cycles.samples = SAMPLES
    scene.cycles.use_denoising = True
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.quality = "JPEG", "RGB", JPEG_QUALITY
    for frame in frames:
        pose(things, frame)
        scene.cycles.seed = frame
        render_to(folder / f"{frame:04d}.jpg")


def render_masks(things, folder: Path, frames: list[int]) -> None:
    """The toy shines white, all else is black: the same rays then give its exact coverage."""
    scene = bpy.context.scene
    for made in bpy.data.materials:
        made.node_tree.nodes.clear()
        output = made.node_tree.nodes.new("ShaderNodeOutputMaterial")
        shine = made.node_tree.nodes.new("ShaderNodeEmission")
        white = 1.0 if made.name == "toy" else 0.0
        shine.inputs["Color"].default_value = (white, white, white, 1)
        made.node_tree.links.new(shine.outputs[0], output.inputs[0])
    for thing in list(bpy.data.objects):
        if thing.type == "LIGHT":
            bpy.data.objects.remove(thing)
    scene.world = None
    scene.cycles.samples = 32
    scene.cycles.use_denoising = False
    scene.view_settings.view_transform = "Raw"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "BW", "8"
    settings.compression = 100
    for frame in frames:
        pose({**things, "lamp": _Unlit}, frame)
        render_to(folder / f"{frame:04d}.png")


class _Unlit:
    """Stands for the lamp where there is none: takes what `pose` sets."""

    class data:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for frames/ and masks/")
    parser.add_argument("--only", type=int, nargs="*", help="these frames alone, for a look")
    arguments = parser.parse_args()
    frames = list(range(FRAMES)) if arguments.only is None else arguments.only
    things = build()
    render_frames(things, arguments.out.resolve() / "frames", frames)
    render_masks(things, arguments.out.resolve() / "masks", frames)


if __name__ == "__main__":
    main()
