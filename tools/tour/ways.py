"""The steps of five_ways.py, in the Blender with a window that it starts.

Every picture is looked at twice: as Blender renders it to a file, and as it stands on the screen in
the Sequencer's preview, enlarged or as large as it is. There it is held against a plain strip of
the frames that `nvd render` writes, so that what Blender itself does to a strip on its way to the
screen is in both.
"""

import json
import math
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.steps import Tour

START, TRIMMED = 11, 2  # where the strip begins on the timeline, and frames cut off before
STROKES = ((0.35, 0.40), (0.5, 0.62), (0.65, 0.45)), ((0.3, 0.3), (0.45, 0.55), (0.7, 0.6))
COLOURS = (0.02, 0.75, 0.05), (0.8, 0.1, 0.6)
BEST = 99.0  # dB that are written for pictures without a difference


class Ways(Tour):
    """`work` holds the extension's zip and shot.nvd."""

    def __init__(self, work: Path, options: str):
        super().__init__(work)
        options = json.loads(options)
        self.views, self.shares = options["views"], options["frames"]
        self.zoom = options["zoom"]  # pixels of the screen for one of the picture
        self.shot = work / "shot.nvd"
        self.manifest = json.loads((self.shot / "manifest.json").read_text("utf-8"))
        self.size = self.manifest["clip"]["width"], self.manifest["clip"]["height"]
        self.count = self.manifest["clip"]["frames"]
        self.rows: list[dict] = []

    def walk(self) -> Generator[float, None, None]:
        yield from self.begin()
        yield from self.paint_layers()
        self.set_values()
        yield from self.lay_stack()
        yield from self.make()
        for view in self.views:
            self.scene.view_settings.view_transform = view
            for frame in self.frames():
                yield from self.compare(view, frame)
        self.say(rows=self.rows, finished=True)

    # What the ways are to show

    def begin(self) -> Generator[float, None, None]:
        """The shot's clip as a trimmed strip that begins at frame START, and the shot opened."""
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        yield 1.0
        yield from self.two_editors(0.62)
        self.scene = scene = bpy.context.scene
        bpy.context.workspace.sequencer_scene = scene
        scene.render.resolution_x, scene.render.resolution_y = self.size
        scene.frame_start, scene.frame_end = START, START + self.count - 1
        images = scene.render.image_settings
        images.file_format, images.color_depth, images.color_mode = "PNG", "16", "RGB"
        files = [f"{number:05d}.png" for number in range(self.count)]
        self.source = self.strip_of_files("clip", self.shot / "frames", files, 1)
        self.source.left_handle_offset = TRIMMED
        scene.frame_set(START + TRIMMED)
        bpy.ops.wm.save_as_mainfile(filepath=str(self.work / "ways.blend"))
        with self.at(self.sequencer):
            bpy.ops.nvd.open_shot(directory=str(self.shot))
        (self.entry,) = scene.nvd_shots
        self.entry.strip = self.source.name
        space = self.sequencer.spaces.active
        space.show_region_ui = space.show_gizmo = False
        yield 1.0

    def strip_of_files(self, name: str, folder: Path, files: list[str], channel: int):
        strip = self.scene.sequence_editor_create().strips.new_image(
            name=name,
            filepath=str(folder / files[0]),
            channel=channel,
            frame_start=START,
            fit_method="ORIGINAL",
        )
        for file in files[1:]:
            strip.elements.append(file)
        strip.select = False
        return strip

    def paint_layers(self) -> Generator[float, None, None]:
        """A stroke with the mouse on the first layer and on the last."""
        area = self.images
        settings = self.scene.tool_settings.image_paint
        own = getattr(settings, "unified_paint_settings", None)
        brush = own or self.scene.tool_settings.unified_paint_settings
        layers = self.entry.layers
        for layer, stroke, colour in zip((layers[0], layers[-1]), STROKES, COLOURS, strict=True):
            with self.at(area):
                bpy.ops.nvd.paint_layer(layer=layer.name)
                bpy.ops.image.view_all(fit_view=True)
            brush.color, brush.size = colour, 60
            yield 1.0
            yield from self.drag(stroke)
            if not layer.edit.is_dirty:
                raise RuntimeError(f"the stroke on {layer.name} left nothing")
        with self.at(area):
            bpy.ops.nvd.save_edits()

    def set_values(self) -> None:
        """The first layer's visibility falls, by keys; the background's relight is another one."""
        first, background = self.entry.layers[0], self.entry.layers[-1]
        values = self.module("layer_values")
        for frame, visibility in ((START + 1, 1.0), (START + self.count - 1, 0.25)):
            first.visibility = visibility
            values.insert_key(self.entry, first, "visibility", frame)
        first.light, background.light, background.visibility = 0.4, 1.7, 0.8
        values.follow(self.entry)

    def lay_stack(self) -> Generator[float, None, None]:
        """A sheet of paint on the first layer and colours of the background, both with fades; then
        Blender by itself brings them to nodes, once they are saved.
        """
        stack, middle = self.module("stack"), self.count // 2
        first, background = self.entry.layers[0], self.entry.layers[-1]
        paint = stack.add_paint(self.entry, first)
        width, height = paint.image.size
        pixels = np.zeros((height, width, 4), np.float32)
        pixels[height // 3 :, width // 4 : width // 2] = 0.1, 0.4, 0.9, 0.8
        paint.image.pixels.foreach_set(pixels.ravel())
        paint.image.update()
        colours = stack.add_plain(self.entry, background, "adjustment", hue=60.0, gain=1.2)
        for item, frames in ((paint, (middle, self.count - 1)), (colours, (0, middle))):
            item.has_range, (item.first, item.last) = True, frames
            item.fade_in = item.fade_out = 2
        bpy.ops.ed.undo_push(message="Stack")
        with self.at(self.sequencer):
            bpy.ops.nvd.save_edits()
        state = self.module("flat_nodes").state
        yield from self.until(lambda: state(self.entry) == "current", 120)

    def make(self) -> Generator[float, None, None]:
        """The engine's frames as a plain strip, and what the four buttons make."""
        with self.at(self.sequencer):
            bpy.ops.nvd.save_edits()
        out = self.work / "engine" / "%05d.png"
        words = ["-m", "nvd_core", "render", self.shot, "--out", out, "--start", "0"]
        engine = subprocess.Popen([self.work / "engine-python", *words])
        yield from self.until(lambda: engine.poll() is not None)
        if engine.returncode:
            raise RuntimeError(f"nvd render ended with {engine.returncode}")
        files = [f"{number:05d}.png" for number in range(self.count)]
        strips = {"nvd render, as a strip": self.strip_of_files("e", out.parent, files, 2)}
        with self.at(self.sequencer):
            bpy.ops.nvd.to_strip(way="render")
        job = self.runner.queue.jobs[-1]
        yield from self.until(lambda: job.ended)
        if job.error is not None:
            raise RuntimeError(job.full_log())
        yield 1.0
        strips["Render to Strip"] = self.newest(strips)
        with self.at(self.sequencer):
            bpy.ops.nvd.to_strip(way="composite")
        strips["Composite Strip"] = self.newest(strips)
        with self.at(self.sequencer):
            bpy.ops.nvd.to_strip(way="modifier")
        self.strips = strips
        (self.modifier,) = self.source.modifiers

    def newest(self, strips: dict):
        """The strip that none of `strips` is, nor the source."""
        known = {strip.name for strip in strips.values()} | {self.source.name}
        (new,) = (s for s in self.scene.sequence_editor.strips if s.name not in known)
        new.select = False
        return new

    def frames(self) -> list[int]:
        """Of the clip: the chosen shares of what the strip shows."""
        shown = self.count - 1 - TRIMMED
        return sorted({TRIMMED + round(share * shown) for share in self.shares})

    # What they show

    def compare(self, view: str, frame: int) -> Generator[float, None, None]:
        """The rows of the table for one frame of the clip."""
        engine = self.read(self.work / "engine" / f"{frame:05d}.png")
        self.scene.frame_set(START + frame)
        reference = None
        for way in (*self.strips, "Strip Modifier", "live preview", "compositor"):
            self.show_only(way)
            yield 1.0
            screen = None
            if way == "live preview":
                yield from self.until(self.preview_ready, 60)
                picture, is_managed = self.of_preview(), True
                screen = yield from self.on_the_screen()
                self.module("preview").stop()
            elif way == "compositor":
                picture, is_managed = self.of_compositor(frame), True
            else:
                picture, is_managed = self.rendered(self.scene), view == "Standard"
                screen = yield from self.on_the_screen()
            if reference is None:
                reference = picture, screen
            against = engine if is_managed else reference[0]
            row = {"view": view, "frame": frame, "way": way, "rendered": self.db(picture, against)}
            row["screen"] = None if screen is None else self.db(screen, reference[1])
            self.rows.append(row)
            self.keep(f"{view}-{frame}-{way}-rendered".replace(" ", "-"), picture)
            if screen is not None:
                self.keep(f"{view}-{frame}-{way}-screen".replace(" ", "-"), screen)
            print(f"ROW {json.dumps(row)}", flush=True)

    def show_only(self, way: str) -> None:
        """Nothing of the other ways is seen; without one, the source as it was shot."""
        for name, strip in self.strips.items():
            strip.mute = name != way
        self.modifier.mute = way != "Strip Modifier"
        if way == "live preview":
            self.module("preview").start(self.entry)
        for area in self.areas:
            area.tag_redraw()

    def preview_ready(self) -> bool:
        preview = self.module("preview").running()
        message = self.module("preview").message()
        if message:
            raise RuntimeError(message)
        return preview is not None and preview.ready and bool(preview.times)

    def of_preview(self) -> np.ndarray:
        """The live preview's picture on the graphics card, in whole 255ths as files have it."""
        picture = self.module("preview").running().render(self.entry).read()
        return np.round(np.clip(picture, 0, 1) * 255) / 255

    def of_compositor(self, frame: int) -> np.ndarray:
        """The shot's own scene, in the window: rendered by name it takes the frame of that one."""
        window = bpy.context.window_manager.windows[0]
        window.scene = self.entry.scene
        self.entry.scene.frame_set(frame + 1)
        picture = self.rendered(self.entry.scene)
        window.scene = self.scene
        return picture

    def rendered(self, scene) -> np.ndarray:
        path = self.work / "rendered.png"
        path.unlink(missing_ok=True)
        scene.render.filepath = str(path)
        images = scene.render.image_settings
        images.file_format, images.color_depth, images.color_mode = "PNG", "16", "RGB"
        bpy.ops.render.render(write_still=True, scene=scene.name)
        return self.read(path)

    def on_the_screen(self) -> Generator[float, None, np.ndarray]:
        """The frame in the Sequencer's preview, `zoom` times as large, as far as it is in sight."""
        area = self.sequencer
        with self.at(area, "PREVIEW"):
            bpy.ops.sequencer.view_all_preview()
            bpy.ops.sequencer.view_zoom_ratio(ratio=self.zoom)
        area.tag_redraw()
        yield 2.0
        region = self.region(area, "PREVIEW")
        left, top, width, height = self.box(region)
        x, y = region.view2d.view_to_region(-self.size[0] / 2, self.size[1] / 2, clip=False)
        x, y = max(x, 0), max(region.height - y, 0)
        wide, high = (side * self.zoom for side in self.size)
        box = left + x, top + y, min(wide, width - x), min(high, height - y)
        return self.screen.pixels(tuple(map(round, box))) / 255

    def keep(self, name: str, picture: np.ndarray) -> None:
        """Write it to seen/NAME.png, for eyes."""
        height, width, _ = picture.shape
        image = bpy.data.images.new(name, width, height)
        pixels = np.ones((height, width, 4), np.float32)
        pixels[..., :3] = picture[::-1]
        image.pixels.foreach_set(pixels.ravel())
        image.filepath_raw, image.file_format = str(self.work / "seen" / f"{name}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)

    @staticmethod
    def read(path: Path) -> np.ndarray:
        """[H, W, 3] of 0..1 as stored, top row first."""
        image = bpy.data.images.load(str(path))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        pixels = pixels.reshape(image.size[1], image.size[0], -1)[::-1, :, :3]
        bpy.data.images.remove(image)
        return pixels

    @staticmethod
    def db(picture: np.ndarray, other: np.ndarray) -> float:
        error = float(np.mean((picture.astype(np.float64) - other) ** 2))
        return BEST if error == 0 else round(min(-10 * math.log10(error), BEST), 1)


if __name__ == "__main__":
    from tour.steps import main

    main(Ways)
