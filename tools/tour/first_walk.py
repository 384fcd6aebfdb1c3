"""A first-time user's walk (gui_tour.py --walk first), in the Blender with a window it starts.

Where tour/steps.py goes the straight way, this one looks at every screen that a beginner meets, and
makes the mistakes that a beginner makes: nothing selected, no engine, a file that was never saved,
a strip of the wrong kind, a folder that is none, and one that has been moved. Each screen is a
picture, walk-NN-NAME.jpg, for eyes.
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.steps import PAINT, Tour, main


class FirstWalk(Tour):
    """`work` holds the extension's zip and the clip, and takes the pictures."""

    def __init__(self, work: Path):
        super().__init__(work)
        self.count = 0

    def walk(self) -> Generator[float, None, None]:
        yield from self.preferences()
        yield from self.empty()
        yield from self.mistakes_before()
        yield from self.decompose()
        yield from self.paint()
        yield from self.to_strip()
        yield from self.paint_on_frame()
        yield from self.open_again()
        yield from self.moved()
        self.say(finished=True)

    def see(self, name: str) -> Generator[float, None, None]:
        self.count += 1
        print(f"screen {self.count:02d} {name}", flush=True)
        yield from self.picture(f"walk-{self.count:02d}-{name}")

    def refused(self, name: str, **values) -> None:
        """Press a button that is expected to refuse; what it says is printed."""
        try:
            with self.at(self.sequencer):
                done = getattr(bpy.ops.nvd, name)("EXEC_DEFAULT", True, **values)
            print(f"NOT REFUSED {name}: {done}", flush=True)
        except RuntimeError as error:
            print(f"REFUSED {name}: {str(error).strip()}", flush=True)

    # The screens

    def preferences(self) -> Generator[float, None, None]:
        """The extension's preferences, with no engine anywhere, and with one."""
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        self.engine = os.environ.pop("NVD_PYTHON")
        yield 1.0
        bpy.ops.screen.userpref_show()
        yield 1.0
        window = bpy.context.window_manager.windows[-1]
        bpy.context.preferences.active_section = "ADDONS"
        bpy.context.window_manager.addon_search = "Neural Video Layers"
        with bpy.context.temp_override(window=window):
            bpy.ops.preferences.addon_expand(module=self.package)
        yield 1.5
        yield from self.see("preferences-no-engine")
        with bpy.context.temp_override(window=window):
            bpy.ops.wm.window_close()
        yield 0.5

    def empty(self) -> Generator[float, None, None]:
        """The tab Layers before there is anything."""
        yield from self.two_editors(0.56)
        scene = bpy.context.scene
        bpy.context.workspace.sequencer_scene = scene
        scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 384, 216, 24
        scene.view_settings.view_transform = "Standard"
        for area in (self.sequencer, self.images):
            area.spaces.active.show_region_ui = True
        yield 1.0
        for area in (self.sequencer, self.images):
            self.region(area, "UI").active_panel_category = "Layers"
        yield from self.see("empty")

    def mistakes_before(self) -> Generator[float, None, None]:
        scene, left = bpy.context.scene, self.sequencer
        self.refused("decompose")
        colour = scene.sequence_editor_create().strips.new_effect(
            name="Color", type="COLOR", channel=1, frame_start=1, length=24
        )
        scene.sequence_editor.active_strip = colour
        yield from self.see("a-colour-strip")
        scene.sequence_editor.strips.remove(colour)
        files = sorted(path.name for path in (self.work / "clip").iterdir())[:12]
        with self.at(left):
            bpy.ops.sequencer.image_strip_add(
                directory=f"{self.work / 'clip'}/",
                files=[{"name": name} for name in files],
                frame_start=1,
                channel=1,
                move_strips=False,
            )
        scene.frame_start, scene.frame_end = 1, len(files)
        scene.frame_set(1)
        with self.at(left):
            bpy.ops.sequencer.view_all()
        with self.at(left, "PREVIEW"):
            bpy.ops.sequencer.view_all_preview()
        yield from self.see("no-engine")
        self.refused("decompose")
        os.environ["NVD_PYTHON"] = self.engine
        yield from self.see("not-saved")
        self.refused("decompose")
        self.refused("open_shot", directory=str(self.work / "clip"))
        bpy.ops.wm.save_as_mainfile(filepath=str(self.work / "shot.blend"))
        yield from self.see("ready")

    def decompose(self) -> Generator[float, None, None]:
        scene = bpy.context.scene
        with self.at(self.sequencer):
            bpy.ops.nvd.add_object()
        yield from self.see("an-object-without-a-mask")
        self.refused("decompose")
        yield from self.draw_mask()
        scene.nvd_decompose.device, scene.nvd_decompose.preset = "cpu", "draft"
        yield from self.see("mask")
        with self.at(self.sequencer):
            bpy.ops.nvd.decompose()
        job = self.runner.queue.jobs[-1]
        yield 3.0
        yield from self.see("job-begins")
        yield from self.until(lambda: job.ended or job.log.stage == "training")
        yield 4.0
        yield from self.see("job")
        yield from self.until(lambda: job.ended)
        yield from self.see("job-done")
        if job.error is not None:
            raise RuntimeError(job.full_log())
        self.refused("decompose")
        self.say(cautions=job.log.cautions)
        yield from self.press("Open", self.sequencer, lambda: len(scene.nvd_shots) > 0)
        yield from self.see("opened")

    def paint(self) -> Generator[float, None, None]:
        area, entry = self.images, bpy.context.scene.nvd_shots[0]
        with self.at(area):
            bpy.ops.nvd.paint_layer(layer=entry.layers[0].name)
        settings = bpy.context.scene.tool_settings.image_paint
        own = getattr(settings, "unified_paint_settings", None)
        brush = own or bpy.context.scene.tool_settings.unified_paint_settings
        brush.color, brush.size = PAINT, 36
        yield from self.see("texture")
        yield from self.drag(((0.42, 0.40), (0.50, 0.52), (0.58, 0.40)))
        yield from self.see("stroke-without-preview")
        with self.at(area):
            bpy.ops.nvd.preview()
        yield 2.0
        yield from self.see("stroke-with-preview")
        with self.at(area):
            bpy.ops.nvd.preview()

    def to_strip(self) -> Generator[float, None, None]:
        with self.at(self.sequencer):
            bpy.ops.nvd.to_strip(way="render")
        job = self.runner.queue.jobs[-1]
        yield from self.until(lambda: job.ended)
        yield 1.5
        yield from self.see("render-to-strip")

    def paint_on_frame(self) -> Generator[float, None, None]:
        entry = bpy.context.scene.nvd_shots[0]
        bpy.context.scene.frame_set(30)
        self.refused("paint_frame")
        bpy.context.scene.frame_set(3)
        with self.at(self.images):
            bpy.ops.nvd.paint_frame()
        yield 0.5
        yield from self.see("frame-comes")
        yield from self.until(lambda: entry.canvas is not None, 120)
        yield from self.see("frame")
        yield from self.drag(((0.31, 0.60), (0.36, 0.40), (0.45, 0.33)))
        with self.at(self.images):
            bpy.ops.nvd.canvas_to_layers()
        yield from self.until(lambda: entry.canvas is None, 120)
        yield from self.see("to-layers")

    def open_again(self) -> Generator[float, None, None]:
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
        yield 2.0
        yield from self.see("opened-again")

    def moved(self) -> Generator[float, None, None]:
        """The decomposition is moved on the disk, and found again."""
        folder = bpy.context.scene.nvd_shots[0].path
        bpy.ops.wm.save_mainfile()
        away = self.work / "elsewhere" / folder.name
        away.parent.mkdir()
        folder.rename(away)
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
        yield 2.0
        yield from self.see("moved")
        self.refused("paint_layer")
        self.refused("find_again", directory=str(self.work / "clip"))
        with self.at(self.sequencer):
            bpy.ops.nvd.find_again(directory=str(away))
        yield from self.see("found-again")


if __name__ == "__main__":
    main(FirstWalk)
