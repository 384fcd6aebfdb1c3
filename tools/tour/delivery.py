"""A whole delivery (gui_tour.py --walk delivery), in the Blender with a window that it starts.

A clip is decomposed at half its height, painted on two frames each in a range, given a logo on the
wall, its mask refined, a slip pinned, and delivered at the plate's own size: as ProRes 4444, as an
EXR sequence, and once without its object. Each screen is a picture, delivery-NN-NAME.jpg. What was
delivered is looked at from outside, by check_delivery.py.
"""

import sys
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.steps import PAINT, Tour, main

SIZE = 384, 216  # of the plate
HEIGHT = 108  # lines at which the engine looks at it
SECOND = (0.75, 0.02, 0.55)  # of the second stroke
LOGO = (0.05, 0.35, 0.95)
FIRST_FRAME, SECOND_FRAME = 5, 31  # of the timeline, where is painted
WALL = ((0.04, 0.62), (0.08, 0.74), (0.13, 0.62))  # of the frame, from its bottom left
BODY = ((0.45, 0.44), (0.50, 0.37), (0.56, 0.44))
SPOT = (292, 82)  # of the first frame, pixels from the top left, where the logo goes
# The middle of the flower on the doll, which is held 4 pixels beside where it is
PIN = {19: (164, 141), 37: (216, 139)}
STEPS = 200  # of the refinement


class Delivery(Tour):
    """`work` holds the extension's zip, the clip and better masks, and takes the pictures."""

    def __init__(self, work: Path):
        super().__init__(work)
        self.count = 0

    def walk(self) -> Generator[float, None, None]:
        yield from self.install()
        yield from self.arrange()
        yield from self.see("import")
        yield from self.decompose()
        yield from self.paint_on(FIRST_FRAME, WALL, PAINT, (1, 24), (0, 6))
        yield from self.paint_on(SECOND_FRAME, BODY, SECOND, (20, 48), (6, 0))
        yield from self.place_logo()
        yield from self.remove_object()
        yield from self.refine()
        yield from self.pin()
        yield from self.to_strip()
        yield from self.deliver()
        self.say(finished=True)

    def see(self, name: str) -> Generator[float, None, None]:
        self.count += 1
        print(f"screen {self.count:02d} {name}", flush=True)
        yield from self.picture(f"delivery-{self.count:02d}-{name}")

    # The steps

    def install(self) -> Generator[float, None, None]:
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        yield 1.0

    def decompose(self) -> Generator[float, None, None]:
        scene = bpy.context.scene
        settings = scene.nvd_decompose
        with self.at(self.sequencer):
            bpy.ops.nvd.add_object()
        strip = scene.sequence_editor.active_strip
        strip.nvd_decompose.objects[0].name = "tumbler"
        yield 0.5
        yield from self.draw_mask()
        settings.device, settings.settings = "cpu", str(self.work / "settings.yaml")
        settings.height, settings.preset = HEIGHT, "draft"
        yield from self.press("Size and Device", self.sequencer, lambda: True)
        yield from self.see("decompose-small")
        yield from self.press(
            "Decompose", self.sequencer, lambda: self.runner.queue.jobs, last=True
        )
        job = self.runner.queue.jobs[-1]
        yield from self.done(job)
        yield from self.see("decomposed")
        yield from self.press("Open", self.sequencer, lambda: len(scene.nvd_shots) > 0)
        shot = self.entry.read()
        self.say(opened={"plate": [shot.width, shot.height], "frames": shot.frames})

    def paint_on(self, frame, points, colour, span, fades) -> Generator[float, None, None]:
        """Paint on a frame, and take it to the stack in a range with fades."""
        area, entry = self.images, self.entry
        bpy.context.scene.frame_set(frame)
        yield from self.press("Paint on Frame", area, lambda: entry.canvas is not None, within=60)
        self.take_brush(colour)
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield 1.5
        yield from self.drag(points)
        yield from self.see(f"frame-{frame}")
        before = len(entry.stack)
        yield from self.press("To the Stack", area, lambda: True, last=True)
        yield 1.0
        yield from self.see(f"to-the-stack-{frame}")
        yield from self.wait(self.screen.press_key("Return"))
        yield from self.until(lambda: len(entry.stack) > before and entry.canvas is None, 120)
        yield 1.0
        for item in list(entry.stack)[before:]:
            item.has_range = True
            item.from_frame, item.to_frame = span
            item.come, item.go = fades
        yield from self.see(f"stack-{frame}")

    def place_logo(self) -> Generator[float, None, None]:
        entry, area = self.entry, self.images
        placement = self.module("placement")
        bpy.context.scene.frame_set(1)
        background = entry.layers[-1].name
        self.choose_layer(background)
        with self.at(area):
            bpy.ops.nvd.stack_file(layer=background, kind="picture", filepath=self.logo())
        yield 1.0
        yield from self.press("Place on Frame", area, lambda: placement.current is not None)
        yield from self.see("place-begins")
        for _turn in range(9):
            yield from self.wait(self.screen.turn_wheel(self.on_preview(192, 108), -1, "ctrl"))
        yield from self.drag_on_preview((192, 108), SPOT)
        left, top = placement.current.places[0]
        yield from self.drag_on_preview((left, top), (left - 3, top - 4))
        yield from self.see("place")
        said = [list(map(float, corner)) for corner in placement.current.places]
        yield from self.wait(self.screen.press_key("Return"))
        yield from self.until(lambda: placement.job_of(entry) is not None, 10)
        yield from self.done(placement.job_of(entry), 120)
        yield 1.5
        item = entry.stack[entry.active_entry]
        self.say(logo={"at": said, "pinned": item.has_corners, "corners": [
            list(getattr(item, name)) for name in
            ("top_left", "top_right", "bottom_right", "bottom_left")
        ]})  # fmt: skip
        yield from self.press("Live Preview", area, self.previews)
        yield 2.0
        yield from self.see("placed")
        yield from self.press("Live Preview", area, lambda: not self.previews())

    def remove_object(self) -> Generator[float, None, None]:
        self.choose_layer("tumbler")
        jobs = self.runner.queue.jobs
        known = len(jobs)
        yield from self.press("Remove to Strip", self.images, lambda: len(jobs) > known)
        yield from self.done(jobs[-1])
        yield 1.5
        yield from self.see("removed")
        strips = bpy.context.scene.sequence_editor.strips
        next(strip for strip in strips if strip.channel > 1).mute = True

    def refine(self) -> Generator[float, None, None]:
        scene, jobs = bpy.context.scene, self.runner.queue.jobs
        yield from self.press("Refine", self.images, lambda: True)
        yield 1.0
        yield from self.see("refine-dialog")
        yield from self.wait(self.screen.press_key("Escape"))
        known = len(jobs)
        with self.at(self.images):
            bpy.ops.nvd.refine(mask=str(self.work / "masks"), steps=STEPS)
        yield from self.until(lambda: len(jobs) > known, 10)
        yield from self.done(jobs[-1])
        yield from self.see("refined")
        yield from self.press("Open", self.sequencer, lambda: len(scene.nvd_shots) > 1)
        yield 1.0
        self.say(refined={"folder": self.entry.path.name, "stack": len(self.entry.stack),
                          "cautions": jobs[-1].log.cautions})  # fmt: skip

    def pin(self) -> Generator[float, None, None]:
        entry, pins = self.entry, self.module("pins")
        self.choose_layer("tumbler")
        for number, (frame, place) in enumerate(PIN.items(), start=1):
            bpy.context.scene.frame_set(frame)
            yield from self.press("Place Pin", self.images, lambda: True)
            yield 0.5
            yield from self.wait(self.screen.click(self.on_preview(*place)))
            yield from self.until(lambda number=number: len(entry.pin_targets) == number, 10)
        yield from self.see("pins")
        yield from self.press("Apply Pins", self.images, lambda: True)
        yield 1.0
        yield from self.see("apply-pins")
        yield from self.wait(self.screen.press_key("Return"))
        yield from self.until(lambda: pins.job_of(entry) is not None, 10)
        yield from self.done(pins.job_of(entry))
        yield 1.5
        yield from self.see("pinned")
        self.say(pins=pins.job_of(entry).log.result)

    def to_strip(self) -> Generator[float, None, None]:
        jobs = self.runner.queue.jobs
        known = len(jobs)
        yield from self.press("Render to Strip", self.images, lambda: len(jobs) > known)
        yield from self.done(jobs[-1])
        yield 1.5
        yield from self.see("strip")

    def deliver(self) -> Generator[float, None, None]:
        entry, out = self.entry, self.work / "out"
        entry.delivery.path = str(out / "shot.mov")
        yield from self.press("Deliver", self.images, lambda: True)
        yield from self.scroll(self.images, -40)
        yield from self.see("deliver")
        yield from self.deliver_now("prores", entry.delivery)
        yield from self.see("delivered")
        entry.delivery.form, entry.delivery.path = "exr-half", str(out / "exr" / "shot.####.exr")
        yield from self.deliver_now("exr", entry.delivery)
        entry.delivery.without, entry.delivery.path = "tumbler", str(out / "clean" / "clean.exr")
        yield from self.see("deliver-clean")
        yield from self.deliver_now("clean", entry.delivery)
        yield from self.see("all-delivered")
        self.say(shot=str(entry.path))

    def deliver_now(self, name: str, settings) -> Generator[float, None, None]:
        jobs = self.runner.queue.jobs
        known = len(jobs)
        yield from self.press("Deliver", self.images, lambda: len(jobs) > known, last=True)
        yield from self.done(jobs[-1])
        self.say(**{f"delivered_{name}": {
            "form": settings.form, "state": jobs[-1].state, "result": jobs[-1].log.result,
            "cautions": jobs[-1].log.cautions,
        }})  # fmt: skip

    # What a person does

    def done(self, job, seconds: float = 900.0) -> Generator[float, None, None]:
        yield from self.until(lambda: job.ended, seconds)
        if job.error is not None:
            raise RuntimeError(f"{job.title}: {job.error}\n{job.full_log()}")

    def take_brush(self, colour) -> None:
        settings = bpy.context.scene.tool_settings
        own = getattr(settings.image_paint, "unified_paint_settings", None)
        brush = own or settings.unified_paint_settings
        brush.color, brush.size = colour, 30

    def choose_layer(self, name: str) -> None:
        names = [layer.name for layer in self.entry.layers]
        self.entry.active_layer = names.index(name)

    def on_preview(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the shot is on the screen, in the Sequencer's preview."""
        region = self.region(self.sequencer, "PREVIEW")
        return self.on_screen(region, x - SIZE[0] / 2, SIZE[1] / 2 - y)

    def drag_on_preview(self, start, end) -> Generator[float, None, None]:
        points = [self.on_preview(*start), self.on_preview(*end)]
        yield from self.wait(self.screen.drag(points))
        yield 0.7

    def logo(self) -> str:
        """A round badge with a star of four points."""
        side = 160
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        pixels = np.zeros((side, side, 4), np.float32)
        radius, star = np.hypot(x, y), np.abs(x) ** 0.5 + np.abs(y) ** 0.5
        pixels[radius < 0.98] = (1, 1, 1, 1)
        pixels[radius < 0.86] = (*LOGO, 1)
        pixels[star < 0.85] = (1, 1, 1, 1)
        image = bpy.data.images.new("logo", side, side, alpha=True)
        image.pixels.foreach_set(pixels.ravel())
        path = self.work / "logo.png"
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
        bpy.data.images.remove(image)
        return str(path)

    @property
    def entry(self):
        scene = bpy.context.scene
        return scene.nvd_shots[scene.nvd_shot]


if __name__ == "__main__":
    main(Delivery)
