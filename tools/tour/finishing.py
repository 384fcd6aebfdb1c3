"""What a shot wants at its end (gui_tour.py --walk finishing), in the Blender with a window.

A finished decomposition is opened. A better mask of its object is drawn, begun with the outline
that is there; paint is blurred in the live preview and held against `nvd render`; a picture is
dragged from Blender's File Browser onto the sidebar. Each screen is a picture,
finishing-NN-NAME.jpg.
"""

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.delivery import Delivery
from tour.steps import PAINT, main

MASK_FRAME, BLUR_FRAME = 20, 30  # of the timeline
PULLED = 14  # pixels of the screen by which a point of the mask is pulled
SHUTTER = 1.0
ICON = 12  # pixels from a file's name to the middle of its icon


class Finishing(Delivery):
    """`work` holds the extension's zip, the clip and shot.nvd, and takes the pictures."""

    def walk(self) -> Generator[float, None, None]:
        yield from self.install()
        yield from self.arrange()
        yield from self.open()
        yield from self.better_mask()
        yield from self.blur()
        yield from self.drop()
        self.say(finished=True)

    def see(self, name: str) -> Generator[float, None, None]:
        self.count += 1
        print(f"screen {self.count:02d} {name}", flush=True)
        yield from self.picture(f"finishing-{self.count:02d}-{name}")

    def open(self) -> Generator[float, None, None]:
        with self.at(self.sequencer):
            bpy.ops.nvd.open_shot(directory=str(self.work / "shot.nvd"))
        self.entry.strip = bpy.context.scene.sequence_editor.active_strip.name
        yield 1.0

    def better_mask(self) -> Generator[float, None, None]:
        area, entry = self.images, self.entry
        self.choose_layer("tumbler")
        bpy.context.scene.frame_set(MASK_FRAME)
        yield from self.press("Draw Better Mask", area, lambda: len(entry.better_masks) > 0)
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield 1.5
        yield from self.see("better-mask")
        (drawn,) = entry.better_masks
        spline = max(drawn.mask.layers[0].splines, key=lambda spline: len(spline.points))
        number = min(range(len(spline.points)), key=lambda n: spline.points[n].co.x)
        before = tuple(spline.points[number].co)
        x, y = self.on_picture(before[0], 0.5 + (before[1] - 0.5) * self.size[0] / self.size[1])
        yield from self.wait(self.screen.drag([(x, y), (x - PULLED, y)]))
        yield 1.5
        drawn = self.entry.better_masks[0]
        spline = max(drawn.mask.layers[0].splines, key=lambda spline: len(spline.points))
        after = tuple(spline.points[number].co)
        yield from self.see("better-mask-pulled")
        self.say(better_mask={
            "frame": drawn.frame, "points": len(spline.points), "area": area.spaces.active.ui_mode,
            "pulled": [round(b - a, 4) for a, b in zip(before, after, strict=True)],
        })  # fmt: skip
        yield from self.press("Refine", area, lambda: True)
        yield 1.0
        yield from self.see("refine-with-drawn-mask")
        yield from self.wait(self.screen.press_key("Escape"))

    def blur(self) -> Generator[float, None, None]:
        area, entry = self.images, self.entry
        scene = bpy.context.scene
        with self.at(area):
            bpy.ops.nvd.paint_layer(layer="tumbler")
            bpy.ops.image.view_all(fit_view=True)
        self.take_brush(PAINT)
        scene.frame_set(BLUR_FRAME)
        yield 1.5
        yield from self.drag(((0.35, 0.4), (0.5, 0.6), (0.65, 0.4)))
        yield from self.press("Live Preview", area, self.previews)
        entry.motion_blur, entry.shutter = True, SHUTTER
        yield 2.0
        with self.at(area):
            bpy.ops.nvd.save_edits()
        yield 1.5
        yield from self.see("blurred-preview")
        live = self.module("preview").running()
        ours = live.render(entry).read()[..., :3].clip(0, 1)
        out, t = self.work / "engine" / "%05d.png", BLUR_FRAME - 1
        words = ["-m", "nvd_core", "render", entry.path, "--out", out, "--frames", f"{t}-{t}"]
        words += ["--bits", "16"]
        engine = self.module("find").find_engine().python
        rendering = subprocess.Popen([str(word) for word in (engine, *words)])
        yield from self.until(lambda: rendering.poll() is not None, 300)
        image = bpy.data.images.load(str(next(out.parent.glob("0*.png"))))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.zeros(image.size[0] * image.size[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        theirs = pixels.reshape(image.size[1], image.size[0], 4)[::-1, :, :3]
        apart = ours - theirs
        entry.motion_blur = False
        sharp = live.render(entry).read()[..., :3].clip(0, 1)
        self.say(blur={
            "db": round(float(-10 * np.log10(np.mean(apart**2) + 1e-12)), 1),
            "largest": round(float(np.abs(apart).max()), 4),
            "blurred_pixels": int((np.abs(ours - sharp).max(-1) > 8 / 255).sum()),
            "milliseconds": {k: round(v * 1000, 1) for k, v in live.times.items()},
        })  # fmt: skip
        yield from self.press("Live Preview", area, lambda: not self.previews())

    def drop(self) -> Generator[float, None, None]:
        """From Blender's File Browser onto the Image Editor's sidebar."""
        folder, entry = self.work / "pictures", self.entry
        folder.mkdir()
        Path(self.logo()).rename(folder / "emblem.png")
        with self.at(self.images):
            bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.4)
        yield 1.0
        browser = min((a for a in self.areas if a.type == "IMAGE_EDITOR"), key=lambda a: a.y)
        browser.type = "FILE_BROWSER"
        yield 1.5
        params = browser.spaces.active.params
        params.directory, params.display_type = str(folder).encode(), "LIST_VERTICAL"
        yield 2.0
        self.choose_layer(entry.layers[-1].name)
        held = self.icon_of("emblem.png", browser)
        left, top, width, height = self.box(self.region(self.images, "UI"))
        there = left + width // 2, top + height // 2
        beside = held[0] + 60, held[1] + 120  # a file that is chosen already is not taken up
        known = len(entry.stack)
        for _try in range(3):  # on a busy machine Blender may miss where it was let go
            yield from self.wait(self.screen.click(beside))
            yield 1.5
            yield from self.wait(self.screen.carry(held, there))
            yield 2.0
            if len(entry.stack) > known:
                break
        yield from self.see("dropped")
        job = self.module("placement").job_of(entry)
        yield from self.until(lambda: job.ended, 300)
        yield 1.5
        yield from self.see("placed")
        self.say(dropped={
            "entries": len(entry.stack) - known, "job": job.state,
            "pinned": entry.stack[-1].has_corners,
        })  # fmt: skip

    def icon_of(self, name: str, browser) -> tuple[int, int]:
        """The icon before a file's name, by which it is dragged."""
        words = self.screen.words(self.box(self.region(browser, "WINDOW")))
        (left, top, _width, height) = next(box for word, box in words if name in word)
        return left - ICON, top + height // 2

    @property
    def size(self) -> tuple[int, int]:
        shot = self.entry.read()
        return shot.width, shot.height


if __name__ == "__main__":
    main(Finishing)
