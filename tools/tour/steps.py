"""The steps of the tour (gui_tour.py), in the Blender with a window that it starts.

`Tour.walk` is a generator that Blender's timer advances: it yields the seconds for which Blender is
left alone. Blender has no list of its buttons, so they are found as a person finds them: by what is
written on the screen.
"""

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.screen import Screen

FRAME = 1  # of the timeline, where the mask is drawn and the stroke is painted
PAINT = (0.02, 0.75, 0.05)  # greener than anything in the clip
PLACES = ((0.08, 0.09), (0.30, 0.55), (0.45, 0.06))  # of a frame, even in colour
# The tumbler in the clip's first frame, pixels from the upper left of 384 x 216. Points far apart,
# because Blender puts a point that is clicked near a line into that line.
OUTLINE = """
152,40 131,51 124,75 104,106 96,133 108,169 142,188 184,176 203,140 200,116 184,92 186,72 178,52
"""


class Tour:
    """One walk. `work` holds the extension's zip and the clip, and takes the pictures."""

    def __init__(self, work: Path):
        self.work = work
        self.screen = Screen(work)
        self.held = {}
        self.shooting = False

    def walk(self) -> Generator[float, None, None]:
        yield from self.install()
        yield from self.arrange()
        yield from self.decompose()
        yield from self.paint()
        yield from self.to_strip()
        yield from self.modifier()
        yield from self.paint_on_frame()
        self.say(finished=True)

    # The steps

    def install(self) -> Generator[float, None, None]:
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        yield 1.0
        bpy.ops.screen.userpref_show()
        yield 1.0
        preferences = bpy.context.window_manager.windows[-1]
        bpy.context.preferences.active_section = "ADDONS"
        bpy.context.window_manager.addon_search = "Neural Video Layers"
        with bpy.context.temp_override(window=preferences):
            bpy.ops.preferences.addon_expand(module=self.package)
        yield 1.5
        area = preferences.screen.areas[0]
        yield from self.press("Test Engine", area, lambda: self.runner.tools.jobs)
        yield from self.until(lambda: self.runner.tools.jobs[-1].ended)
        self.say(engine=self.runner.tools.jobs[-1].log.result)
        yield from self.picture("install")
        yield from self.press("Install Engine", area, lambda: True)
        yield 1.0
        yield from self.picture("install-dialog")
        yield from self.wait(self.screen.press_key("Escape"))
        yield 0.5
        with bpy.context.temp_override(window=preferences):
            bpy.ops.wm.window_close()
        yield 0.5

    def arrange(self) -> Generator[float, None, None]:
        """The Sequencer on the left with the clip as a strip, an Image Editor on the right."""
        yield from self.two_editors(0.56)
        scene = bpy.context.scene
        bpy.context.workspace.sequencer_scene = scene
        scene.render.resolution_x, scene.render.resolution_y, scene.render.fps = 384, 216, 24
        scene.frame_start, scene.frame_end = 1, 48
        scene.view_settings.view_transform = "Standard"
        files = sorted(path.name for path in (self.work / "clip").iterdir())
        left = self.sequencer
        with self.at(left):
            bpy.ops.sequencer.image_strip_add(
                directory=f"{self.work / 'clip'}/",
                files=[{"name": name} for name in files],
                frame_start=1,
                channel=1,
                move_strips=False,  # else the strip hangs on the mouse
            )
        scene.frame_set(FRAME)
        bpy.ops.wm.save_as_mainfile(filepath=str(self.work / "shot.blend"))
        for area in (left, self.images):
            area.spaces.active.show_region_ui = True
        yield 1.0
        for area in (left, self.images):
            self.region(area, "UI").active_panel_category = "Layers"
        with self.at(left):
            bpy.ops.sequencer.view_all()
        with self.at(left, "PREVIEW"):
            bpy.ops.sequencer.view_all_preview()
        yield 1.0

    def two_editors(self, left_share: float) -> Generator[float, None, None]:
        """Nothing but the Sequencer with its preview, and an Image Editor on its right."""
        for kind in ("OUTLINER", "PROPERTIES", "DOPESHEET_EDITOR", "TIMELINE"):
            for area in [area for area in self.areas if area.type == kind]:
                with self.at(area):
                    bpy.ops.screen.area_close()
                yield 0.3
        with self.at(self.areas[0]):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=left_share)
        yield 0.5
        left, right = sorted(self.areas, key=lambda area: area.x)
        left.type, right.type = "SEQUENCE_EDITOR", "IMAGE_EDITOR"
        left.spaces.active.view_type = "SEQUENCER_PREVIEW"
        left.spaces.active.preview_overlay.show_metadata = False
        yield 0.5

    def decompose(self) -> Generator[float, None, None]:
        settings = bpy.context.scene.nvd_decompose
        with self.at(self.sequencer):
            bpy.ops.nvd.add_object()
        thing = bpy.context.scene.sequence_editor.active_strip.nvd_decompose.objects[0]
        thing.name = "tumbler"
        yield 0.5
        yield from self.draw_mask()
        settings.device, settings.settings = "cpu", str(self.work / "settings.yaml")
        yield 1.0
        yield from self.picture("decompose")
        yield from self.press(
            "Decompose", self.sequencer, lambda: self.runner.queue.jobs, last=True
        )
        job = self.runner.queue.jobs[-1]
        began = time.monotonic()
        self.watch_main_thread()
        yield from self.until(
            lambda: job.ended or (job.log.stage == "training" and job.log.fraction > 0.6)
        )
        yield from self.picture("job")
        yield from self.until(lambda: job.ended)
        self.say(
            decompose={
                "state": job.state,
                "error": str(job.error or ""),
                "seconds": round(time.monotonic() - began),
                "longest_tick_ms": round(self.runner.longest_tick * 1000, 1),
                "longest_hold_ms": {k: round(v * 1000, 1) for k, v in self.held.items()},
            }
        )
        if job.error is not None:
            raise RuntimeError(job.full_log())
        yield from self.press("Open", self.sequencer, lambda: len(bpy.context.scene.nvd_shots) > 0)

    def paint(self) -> Generator[float, None, None]:
        area = self.images
        yield 1.0
        yield from self.press(
            "tumbler", area, lambda: area.spaces.active.image is not None, right=True
        )
        yield from self.press("Live Preview", area, self.previews)
        settings = bpy.context.scene.tool_settings.image_paint
        own = getattr(settings, "unified_paint_settings", None)
        brush = own or bpy.context.scene.tool_settings.unified_paint_settings
        brush.color, brush.size = PAINT, 36
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield 1.5
        yield from self.picture("paint")
        image = area.spaces.active.image
        before, shown = np.array(image.pixels), self.painted()
        yield from self.drag(((0.42, 0.40), (0.50, 0.52), (0.58, 0.40)))
        after = np.array(image.pixels)
        changed = (after != before).reshape(-1, 4).any(1)
        most = np.median(after.reshape(-1, 4)[changed, :3], 0)
        preview = self.module("preview").running()
        yield from self.picture("stroke")
        self.say(
            stroke={
                "texels": int(changed.sum()),
                "colour": [round(float(value), 3) for value in most],
                "unsaved": image.is_dirty,
                "painted_pixels_before": shown,
                "painted_pixels_after": self.painted(),
                "milliseconds": {k: round(v * 1000, 1) for k, v in preview.times.items()},
            }
        )

    def to_strip(self) -> Generator[float, None, None]:
        live = self.look()
        yield from self.press("Live Preview", self.images, lambda: not self.previews())
        self.say(painted_pixels_without_preview=self.painted()["SEQUENCE_EDITOR"])
        yield from self.press(
            "Render to Strip", self.images, lambda: self.runner.queue.jobs[-1].kind == "strip"
        )
        job = self.runner.queue.jobs[-1]
        yield from self.until(lambda: job.ended)
        yield 1.5
        strips = bpy.context.scene.sequence_editor.strips
        yield from self.picture("strip")
        self.say(
            strip={
                "state": job.state,
                "error": str(job.error or ""),
                "strips": [[strip.name, strip.channel, strip.type] for strip in strips],
                "painted_pixels": self.painted()["SEQUENCE_EDITOR"],
                "differs_from_live_preview": self.difference(live, self.look()),
            }
        )

    def modifier(self) -> Generator[float, None, None]:
        strips = bpy.context.scene.sequence_editor.strips
        rendered = self.look()
        next(strip for strip in strips if strip.channel > 1).mute = True
        yield from self.press("Strip Modifier", self.images, lambda: len(strips[0].modifiers) > 0)
        yield 2.0
        yield from self.picture("modifier")
        self.say(
            modifier={
                "modifiers": [modifier.type for modifier in strips[0].modifiers],
                "painted_pixels": self.painted()["SEQUENCE_EDITOR"],
                "differs_from_rendered": self.difference(rendered, self.look()),
            }
        )

    def paint_on_frame(self) -> Generator[float, None, None]:
        """Two frames after the one painted before, with the strip's modifier showing the edits."""
        scene, area = bpy.context.scene, self.images
        scene.frame_set(FRAME + 2)
        yield 2.0
        before = self.painted()["SEQUENCE_EDITOR"]
        (entry,) = scene.nvd_shots
        yield from self.press(
            "Paint on Frame", area, lambda: entry.canvas == area.spaces.active.image
        )
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield from self.wait(self.screen.point_at(self.on_picture(0.1, 0.9)))
        yield 1.5
        canvas = {"differs_from_sequencer": self.canvas_differs(PLACES)}
        yield from self.drag(((0.31, 0.60), (0.36, 0.40), (0.45, 0.33)))  # down the tumbler
        yield from self.picture("frame")
        canvas |= {"size": list(entry.canvas.size), "unsaved": entry.canvas.is_dirty}
        job_of = self.module("frame_canvas").job_of
        earlier = job_of(entry)  # the one that made the canvas
        yield from self.press("To Layers", area, lambda: job_of(entry) is not earlier)
        job = job_of(entry)
        yield from self.until(lambda: job.ended, 120)
        yield 2.0
        yield from self.picture("to-layers")
        self.say(
            frame={
                "canvas": canvas,
                "state": job.state,
                "error": str(job.error or ""),
                "closed": entry.canvas is None,
                "painted_pixels_before": before,
                "painted_pixels_after": self.painted()["SEQUENCE_EDITOR"],
            }
        )

    # What a person does

    def draw_mask(self) -> Generator[float, None, None]:
        """Press Draw, and click along the outline with Ctrl held, as Blender's masks are drawn."""
        area = self.images
        yield from self.press("Draw", self.sequencer, lambda: area.spaces.active.ui_mode == "MASK")
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield 1.0
        corners = [tuple(map(int, pair.split(","))) for pair in OUTLINE.split()]
        places = [self.on_picture(x / 384, 1 - y / 216) for x, y in corners]
        yield from self.wait(self.screen.click_along(places, "ctrl"))
        yield 0.5
        with self.at(area):
            bpy.ops.mask.cyclic_toggle()

    def press(
        self, text: str, area, seen: Callable[[], bool], *, within: float = 15, **where
    ) -> Generator[float, None, None]:
        """Press the button on which `text` is written, in the sidebar of `area`.

        seen: whether it did what it does. On a busy machine Blender draws late, and what is pressed
        too early is lost: then it is pressed again, as a person would.
        """
        kind = "UI" if area.type != "PREFERENCES" else "WINDOW"
        region = self.region(area, kind)
        found = False
        for turns in (0, 0, 5, 5, 5, -40, 0):  # a panel may be longer than its sidebar
            if turns and kind == "UI":
                yield from self.scroll(area, -turns)
            region.tag_redraw()
            yield 1.0
            place = self.screen.find(text, self.box(region), **where)
            if place is None:
                continue
            found = True
            yield from self.wait(self.screen.click(place))
            yield 0.7
            try:
                yield from self.until(seen, within)
            except TimeoutError:
                print(f"{text!r} was pressed, and nothing came of it", flush=True)
                continue
            return
        where = f"the sidebar of {area.type}"
        raise LookupError(f"{text!r} in {where}: {'no effect' if found else 'not written there'}")

    def scroll(self, area, turns: int) -> Generator[float, None, None]:
        """Turn the wheel over the sidebar of `area`, down with less than 0."""
        left, top, width, height = self.box(self.region(area, "UI"))
        middle = left + width // 2, top + height // 2
        yield from self.wait(self.screen.turn_wheel(middle, turns))
        yield 1.0

    def previews(self) -> bool:
        return self.module("preview").running() is not None

    def drag(self, points) -> Generator[float, None, None]:
        """A stroke with the left button along points of the texture, 0 to 1 from bottom left."""
        yield from self.wait(self.screen.drag([self.on_picture(*point) for point in points]))
        yield 1.5

    def on_picture(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the Image Editor's picture is on the screen, 0 to 1 from bottom left."""
        return self.on_screen(self.region(self.images, "WINDOW"), x, y)

    def on_screen(self, region, x: float, y: float) -> tuple[float, float]:
        x, y = region.view2d.view_to_region(x, y, clip=False)
        return region.x + x, self.height - region.y - y

    def picture(self, name: str) -> Generator[float, None, None]:
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        yield 1.5
        self.shooting = True
        yield from self.wait(self.screen.shoot(f"blender-{name}"))
        yield 0.2
        self.shooting = False

    def wait(self, process: subprocess.Popen) -> Generator[float, None, None]:
        yield from self.until(lambda: process.poll() is not None, 30)

    def until(
        self, done: Callable[[], bool], seconds: float = 900.0
    ) -> Generator[float, None, None]:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"not done in {seconds} s")
            yield 0.2

    def watch_main_thread(self) -> None:
        """From now on note the longest time for which Blender did not come back to its timers.

        "processor" counts only what Blender's main thread itself computed, drawing included. While
        a picture is taken nothing counts: ImageMagick holds the screen.
        """
        clocks = {"wall": time.perf_counter, "processor": time.thread_time}
        last = {name: clock() for name, clock in clocks.items()}
        self.held = dict.fromkeys(clocks, 0.0)

        def beat() -> float | None:
            for name, clock in clocks.items():
                now = clock()
                if not self.shooting:
                    self.held[name] = max(self.held[name], now - last[name])
                last[name] = now
            return 0.01 if self.runner.queue.busy else None

        bpy.app.timers.register(beat)

    # What is on the screen

    def look(self) -> np.ndarray:
        """The Sequencer's preview as it is on the screen, [h, w, 3] of 0..255."""
        return self.screen.pixels(self.box(self.region(self.sequencer, "PREVIEW")))

    def painted(self) -> dict[str, int]:
        """How many pixels of the Sequencer's preview and the Image Editor are green as paint."""
        counts = {}
        for area, kind in ((self.sequencer, "PREVIEW"), (self.images, "WINDOW")):
            red, green, blue = np.moveaxis(
                self.screen.pixels(self.box(self.region(area, kind))).astype(int), -1, 0
            )
            paint = (green > 70) & (green > 1.7 * red) & (green > 1.7 * blue)
            counts[area.type] = int(np.count_nonzero(paint))
        return counts

    def canvas_differs(self, places) -> float:
        """How far colours in the Image Editor are from the Sequencer's at places of the frame, mean
        values around each, of 255; the most of all.
        """
        preview, apart = self.region(self.sequencer, "PREVIEW"), []
        for x, y in places:
            there = self.on_screen(preview, 384 * (x - 0.5), 216 * (y - 0.5))
            spots = [
                (round(left) - 3, round(top) - 3, 7, 7)
                for left, top in (self.on_picture(x, y), there)
            ]
            ours, theirs = (self.screen.pixels(spot).mean((0, 1)) for spot in spots)
            apart.append(np.abs(ours - theirs).max())
        return round(float(max(apart)), 1)

    @staticmethod
    def difference(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
        """The largest difference, and the share of values that differ by more than 2 of 255."""
        apart = np.abs(a.astype(int) - b)
        return {"largest": int(apart.max()), "share": round(float((apart > 2).mean()), 5)}

    def say(self, **facts) -> None:
        print(f"TOUR {json.dumps(facts)}", flush=True)

    # Where things are

    @property
    def package(self) -> str:
        addons = (addon.module for addon in bpy.context.preferences.addons)
        return next(name for name in addons if name.endswith("neural_video_layers"))

    def module(self, name: str):
        (found,) = (
            module
            for known, module in sys.modules.items()
            if known.startswith(f"{self.package}.") and known.endswith(f".{name}")
        )
        return found

    @property
    def runner(self):
        return self.module("runner").runner

    @property
    def areas(self):
        return list(bpy.context.window_manager.windows[0].screen.areas)

    @property
    def height(self) -> int:
        return bpy.context.window_manager.windows[0].height

    @property
    def sequencer(self):
        return next(area for area in self.areas if area.type == "SEQUENCE_EDITOR")

    @property
    def images(self):
        return next(area for area in self.areas if area.type == "IMAGE_EDITOR")

    def region(self, area, kind: str):
        return next(region for region in area.regions if region.type == kind)

    def box(self, region) -> tuple[int, int, int, int]:
        """Left, top, width and height of a region on the screen; windows begin at its top."""
        window = next(
            window
            for window in bpy.context.window_manager.windows
            if any(region in list(area.regions) for area in window.screen.areas)
        )
        top = window.height - region.y - region.height
        return window.x + region.x, top, region.width, region.height

    def at(self, area, kind: str = "WINDOW"):
        window = bpy.context.window_manager.windows[0]
        return bpy.context.temp_override(window=window, area=area, region=self.region(area, kind))


def main(kind: type[Tour] = Tour) -> None:
    """Let Blender's timer walk, with what is behind `--`, and end Blender after it."""
    bpy.context.preferences.view.show_splash = False
    work, *words = sys.argv[sys.argv.index("--") + 1 :]
    tour = kind(Path(work), *words)
    steps = tour.walk()

    def step() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            pass
        except Exception:
            traceback.print_exc()
            tour.screen.shoot("failed").wait()
        sys.stderr.flush()
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=2.0, persistent=True)


if __name__ == "__main__":
    main()
