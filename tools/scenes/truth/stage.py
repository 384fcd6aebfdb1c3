"""A scene in Blender: built once, posed for every frame, rendered as light or as numbers.

Every picture comes out of Cycles as floating point. What is no beauty is an emission whose colour
is the value wanted, so that no pass depends on what a version of Blender calls it.
"""

import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from scenes.truth.materials import channel, image, materials, shining
from scenes.truth.surfaces import SENSOR, Scene, Sheet
from scenes.truth.textures import mark_cover

SHARP = 0.01  # px, Cycles' narrowest filter: a ray through the pixel's centre
FILTER = 1.5  # px, Blender's own


class Stage:
    """`scene` in a fresh Blender file, `width` x `height` pixels."""

    def __init__(self, scene: Scene, width: int, height: int):
        self.scene, self.width, self.height = scene, width, height
        self.denoised = not scene.shutter  # many moments that are added up have no need of it
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._folder = tempfile.TemporaryDirectory(prefix="truth-")
        self.things = {sheet.name: _mesh(sheet) for sheet in scene.sheets}
        self._materials = {
            sheet.name: materials(sheet, n, scene) for n, sheet in enumerate(scene.sheets)
        }
        self._lamps = [_lamp(lamp) for lamp in scene.lamps]
        self._blockers = _blockers(scene.blockers(0.0)) if scene.blockers else None
        self._camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self._camera.data.sensor_width = SENSOR
        if scene.focus:
            lens = self._camera.data.dof
            lens.use_dof, (lens.focus_distance, lens.aperture_fstop) = True, scene.focus
        bpy.context.collection.objects.link(self._camera)
        _settings(self)

    def pose(self, s: float) -> None:
        """Everything at time s."""
        for sheet in self.scene.sheets:
            mesh = self.things[sheet.name].data
            mesh.vertices.foreach_set("co", sheet.vertices(s).astype(np.float32).ravel())
            mesh.update()
        camera = self.scene.camera(s)
        rotation = Matrix(camera.turn.tolist()).to_4x4()
        self._camera.matrix_world = Matrix.Translation(camera.place.tolist()) @ rotation
        self._camera.data.lens = camera.lens
        for lamp, thing in zip(self.scene.lamps, self._lamps, strict=True):
            state = lamp.state(s)
            thing.data.energy, thing.data.color = state["energy"], state["colour"]
            thing.location = state.get("place", (0, 0, 0))
            thing.rotation_euler = Vector(state["aim"]).to_track_quat("-Z", "Y").to_euler()
        if self._blockers:
            quads = self.scene.blockers(s).reshape(-1).astype(np.float32)
            self._blockers.data.vertices.foreach_set("co", quads)
            self._blockers.data.update()

    def lit(self, seed: int, samples: int, edited: bool = False, clean: bool = False) -> np.ndarray:
        """The picture, linear [H, W, 3]; `edited` with paint, `clean` without what is in front.

        What is left out of a clean picture still casts its shadow.
        """
        self._show("edited" if edited else "lit", samples, FILTER, ambient=self.scene.ambient)
        bpy.context.scene.cycles.use_denoising = self.denoised
        bpy.context.scene.cycles.seed = seed
        if clean:
            for sheet in self.scene.sheets[:-1]:
                self.things[sheet.name].visible_camera = False
        picture = self._rendered()
        for thing in self.things.values():
            thing.visible_camera = True
        return picture

    def unlit(self, samples: int) -> np.ndarray:
        """The textures' own colours, linear [H, W, 3]."""
        self._show("unlit", samples, FILTER)
        return self._rendered()

    def light(self, seed: int, samples: int) -> np.ndarray:
        """What the light makes of surfaces that are all GREY, linear [H, W, 3].

        Not the picture by the textures' colours: where these change within a pixel, the two are
        sampled at other places, and their quotient is noise.
        """
        self._show("grey", samples, FILTER, ambient=self.scene.ambient)
        bpy.context.scene.cycles.use_denoising = self.denoised
        bpy.context.scene.cycles.seed = seed
        return self._rendered()

    def covers(self, samples: int) -> np.ndarray:
        """How much of a pixel each layer takes [H, W, L], by the same filter as the picture."""
        self._show("cover", samples, FILTER)
        return self._rendered()[..., : len(self.scene.sheets)].clip(0, 1)

    def painted(self, samples: int, given: bool = False) -> np.ndarray:
        """How much of a pixel is paint of each layer [H, W, L]; only what is `given` (`give`)."""
        self._show("given" if given else "paint", samples, FILTER)
        return self._rendered()[..., : len(self.scene.sheets)].clip(0, 1)

    def give(self, s: float) -> None:
        """Take the paint that the frame at `s` shows for what is given."""
        self.pose(s)
        for n, sheet in enumerate(self.scene.sheets):
            cover = mark_cover((sheet.mark, *sheet.also), sheet.texture)
            given = (cover * self._shown(sheet, cover, s))[..., None] * channel(n)
            shown = image(f"{sheet.name}.given", given, "Non-Color")
            self._materials[sheet.name]["given"] = shining(shown)

    def _shown(self, sheet: Sheet, cover: np.ndarray, s: float) -> np.ndarray:  # [h, w], 0 or 1
        """Which texels of the paint can be seen at time s, in blocks of some texels."""
        height, width = cover.shape
        block = max(1, height // 320)
        padded = np.pad(cover, [(0, -side % block) for side in cover.shape])
        blocks = padded.reshape(-(-height // block), block, -1, block).max((1, 3))
        row, column = np.nonzero(blocks > 0)
        u, v = ((at * block + block / 2) / size for at, size in ((column, width), (row, height)))
        world = sheet.place(u.clip(0, 1), v.clip(0, 1), s)
        pixels = self.scene.camera(s).project(world, self.width, self.height)
        inside = ((pixels > -0.5) & (pixels < (self.width - 0.5, self.height - 0.5))).all(-1)
        blocks = np.zeros_like(blocks)
        blocks[row, column] = inside & self.sees(world)
        return blocks.repeat(block, 0).repeat(block, 1)[:height, :width]

    def uv(self, name: str) -> np.ndarray:
        """(u, v, 1 or 0 where it is not) of the layer `name` alone, at pixel centres [H, W, 3]."""
        self._show("uv", 1, SHARP)
        self._camera.data.dof.use_dof = False
        for other, thing in self.things.items():
            thing.hide_render = other != name
        picture = self._rendered()
        for thing in self.things.values():
            thing.hide_render = False
        self._camera.data.dof.use_dof = self.scene.focus is not None
        return picture

    def sees(self, points: np.ndarray, slack: float = 0.01) -> np.ndarray:  # bool [N]
        """Whether nothing lies between the camera and the world positions [N, 3]."""
        graph = bpy.context.evaluated_depsgraph_get()
        graph.update()
        origin = Vector(self._camera.matrix_world.translation)
        free = []
        for point in points:
            towards = Vector(point) - origin
            far = towards.length
            cast = bpy.context.scene.ray_cast(
                graph, origin, towards.normalized(), distance=far - slack
            )
            free.append(not cast[0])
        return np.array(free, bool)

    def close(self) -> None:
        self._folder.cleanup()

    def _show(self, kind: str, samples: int, filter_width: float, ambient: float = 0.0) -> None:
        for name, thing in self.things.items():
            thing.data.materials[0] = self._materials[name][kind]
        scene = bpy.context.scene
        scene.cycles.samples, scene.cycles.use_denoising = samples, False
        scene.cycles.pixel_filter_type = "BOX" if filter_width == SHARP else "BLACKMAN_HARRIS"
        scene.cycles.filter_width = filter_width
        scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = ambient

    def _rendered(self) -> np.ndarray:
        path = Path(self._folder.name) / "pass.exr"
        settings = bpy.context.scene.render.image_settings
        settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGB", "32"
        bpy.context.scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(self.width * self.height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        return pixels.reshape(self.height, self.width, 4)[::-1, :, :3].copy()


def _settings(stage: Stage) -> None:
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.8, 0.88, 1, 1)
    scene.camera = stage._camera
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = stage.width, stage.height
    render.resolution_percentage, render.dither_intensity = 100, 0
    scene.cycles.device = "CPU"
    scene.cycles.denoiser = "OPENIMAGEDENOISE"
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = 0  # direct light alone: paint changes nothing but where it lies
    scene.view_settings.view_transform, scene.view_settings.look = "Raw", "None"


def _mesh(sheet: Sheet) -> bpy.types.Object:
    columns, rows = len(sheet.us), len(sheet.vs)
    row, column = np.mgrid[0 : rows - 1, 0 : columns - 1]
    first = (row * columns + column).ravel()
    faces = np.stack([first, first + 1, first + columns + 1, first + columns], -1)
    faces = faces[~np.isin(column.ravel(), sheet.cuts)]
    mesh = bpy.data.meshes.new(sheet.name)
    mesh.from_pydata(sheet.vertices(0.0).tolist(), [], faces.tolist())
    u, v = sheet.us[faces % columns], sheet.vs[faces // columns]
    layer = mesh.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", np.stack([u, v], -1).astype(np.float32).ravel())
    mesh.materials.append(None)
    if sheet.smooth:
        mesh.shade_smooth()
    thing = bpy.data.objects.new(sheet.name, mesh)
    bpy.context.collection.objects.link(thing)
    return thing


def _lamp(lamp) -> bpy.types.Object:
    data = bpy.data.lights.new("lamp", lamp.kind)
    if lamp.kind == "SUN":
        data.angle = lamp.softness
    else:
        data.shadow_soft_size, data.spot_size, data.spot_blend = lamp.softness, lamp.cone, 0.35
    thing = bpy.data.objects.new("lamp", data)
    bpy.context.collection.objects.link(thing)
    return thing


def _blockers(quads: np.ndarray) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("blockers")
    faces = np.arange(len(quads) * 4).reshape(-1, 4)
    mesh.from_pydata(quads.reshape(-1, 3).tolist(), [], faces.tolist())
    thing = bpy.data.objects.new("blockers", mesh)
    thing.visible_camera = False
    bpy.context.collection.objects.link(thing)
    return thing
