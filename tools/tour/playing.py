"""Playing what was rendered ahead (gui_tour.py --walk playing), in the Blender with a window.

A painted shot is played without and with *Draft Ahead*. Every frame that is drawn is held against
`nvd render` of the paint as it is saved; the screen against what the preview makes of that frame.
A stroke, and its undo, are played at once: no frame that was rendered before may be shown.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tour.steps import PAINT, Tour, main

STROKES = ((0.42, 0.40), (0.50, 0.52), (0.58, 0.40)), ((0.40, 0.55), (0.50, 0.45), (0.60, 0.55))
SECONDS = 6.0  # of playing
STILL = 12  # frame of the timeline that is looked at on the screen
BEST = 99.0  # dB that are written for pictures without a difference


class Playing(Tour):
    """`work` holds the extension's zip, the clip and shot.nvd, and takes the pictures."""

    def __init__(self, work: Path):
        super().__init__(work)
        self.shot = work / "shot.nvd"
        self.drawn: dict[int, np.ndarray] = {}  # of the shot's frames that were rendered ahead
        self.old = 0  # frames drawn as rendered ahead that were of another state

    def walk(self) -> Generator[float, None, None]:
        yield from self.begin()
        yield from self.stroke(0)
        without = yield from self.play()
        self.scene.nvd_inset.draft_ahead = True
        began = time.monotonic()
        yield from self.until_ready()
        ready = round(time.monotonic() - began, 1)
        yield from self.picture("ahead")
        yield from self.render(1)
        with_ = yield from self.play()
        self.say(playing={"without": without, "with": with_, "ready_after": ready})
        self.say(frames=self.compared(1))
        yield from self.on_screen_too()
        yield from self.another_stroke()
        yield from self.undone()
        yield from self.saved()
        self.say(old=self.old, finished=True)

    # The steps

    def begin(self) -> Generator[float, None, None]:
        (package,) = self.work.glob("*.zip")
        bpy.ops.extensions.package_install_files(filepath=str(package), repo="user_default")
        yield 1.0
        yield from self.arrange()
        self.scene = scene = bpy.context.scene
        with self.at(self.sequencer):
            bpy.ops.nvd.open_shot(directory=str(self.shot))
        (self.entry,) = scene.nvd_shots
        self.entry.strip = scene.sequence_editor.strips[0].name
        with self.at(self.images):
            bpy.ops.nvd.paint_layer(layer=self.entry.layers[0].name)
            bpy.ops.nvd.preview()
            bpy.ops.image.view_all(fit_view=True)
        self.sequencer.spaces.active.show_gizmo = False
        yield 2.0
        self.watch_drawing()

    def watch_drawing(self) -> None:
        """Keep what the preview draws of frames that were rendered ahead."""
        live, ahead = self.module("preview").running(), self.module("ahead")
        render = live.render

        def watched(entry):
            picture = render(entry)
            if live.was_rendered:
                self.old += ahead.ready_frames(entry, live.shot, live.mode) is None
                if live._frame not in self.drawn:
                    self.drawn[live._frame] = picture.read()
            return picture

        live.render = watched

    def stroke(self, number: int) -> Generator[float, None, None]:
        settings = self.scene.tool_settings.image_paint
        own = getattr(settings, "unified_paint_settings", None)
        brush = own or self.scene.tool_settings.unified_paint_settings
        brush.color, brush.size = PAINT if number == 0 else (0.8, 0.1, 0.6), 40
        yield from self.drag(STROKES[number])

    def play(self, seconds: float = SECONDS) -> Generator[float, None, dict]:
        """Press play, and stop; what the preview counted."""
        with self.at(self.sequencer):
            bpy.ops.screen.animation_play()
        yield seconds
        with self.at(self.sequencer):
            bpy.ops.screen.animation_cancel(restore_frame=False)
        yield 0.5
        count = self.module("playback").count()
        return {
            "shown": count.shown,
            "dropped": count.dropped,
            "ahead": count.ahead,
            "a_second": round(count.shown_a_second, 2),
        }

    def until_ready(self) -> Generator[float, None, None]:
        ahead = self.module("ahead")
        yield 1.0  # the change was seen by then
        whole = self.entry.frames
        yield from self.until(
            lambda: ahead.problem() or (len(ahead._ahead.ready) == whole and not ahead.running())
        )
        if ahead.problem():
            raise RuntimeError(str(ahead.problem()))

    def render(self, number: int) -> Generator[float, None, None]:
        """`nvd render` of the paint as it is saved."""
        out = self.work / f"fine{number}" / "%05d.png"
        words = ["-m", "nvd_core", "render", self.shot, "--out", out, "--start", "0"]
        process = subprocess.Popen([os.environ["NVD_PYTHON"], *map(str, words), "--threads", "1"])
        yield from self.until(lambda: process.poll() is not None)

    def another_stroke(self) -> Generator[float, None, None]:
        """It is played at once, before and while its frames are rendered."""
        self.drawn.clear()
        yield from self.stroke(1)
        at_once = yield from self.play(1.0)
        yield from self.until_ready()
        yield from self.render(2)
        yield from self.play()
        dirty = self.entry.layers[0].edit.is_dirty
        self.say(stroke={"at_once": at_once, "unsaved": dirty, "frames": self.compared(2)})

    def undone(self) -> Generator[float, None, None]:
        """The undo of a stroke that was saved meanwhile takes away its paint, and its frames."""
        edit = self.entry.layers[0].edit
        before = np.array(edit.pixels)
        with self.at(self.images):
            bpy.ops.ed.undo()
        yield 1.0
        edit = self.entry.layers[0].edit
        changed = int((np.array(edit.pixels) != before).reshape(-1, 4).any(1).sum())
        self.drawn.clear()
        at_once = yield from self.play(1.0)
        yield from self.until_ready()
        yield from self.render(3)
        yield from self.play()
        first, third = ((self.work / f"fine{n}" / "00012.png").read_bytes() for n in (1, 3))
        undone = {"texels": changed, "as_before": first == third, "at_once": at_once}
        self.say(undone={**undone, "frames": self.compared(3)})

    def on_screen_too(self) -> Generator[float, None, None]:
        """One frame is played for ever, and looked at; then as the preview makes it."""
        scene = self.scene
        scene.frame_start = scene.frame_end = STILL
        scene.frame_set(STILL)
        yield from self.until_ready_still()
        with self.at(self.sequencer):
            bpy.ops.screen.animation_play()
        yield 3.0
        was_rendered, ahead = self.module("preview").running().was_rendered, self.look_inside()
        yield from self.picture("ahead-playing")
        with self.at(self.sequencer):
            bpy.ops.screen.animation_cancel(restore_frame=False)
        yield 2.0
        live = self.look_inside()
        scene.frame_start, scene.frame_end = 1, self.entry.frames
        yield from self.until_ready()
        differs = self.difference(ahead, live)
        self.say(screen={"was_rendered": was_rendered, "differs_from_live": differs})

    def until_ready_still(self) -> Generator[float, None, None]:
        yield 2.0
        ahead = self.module("ahead")
        yield from self.until(lambda: not ahead.running() and STILL - 1 in ahead._ahead.ready)

    def saved(self) -> Generator[float, None, None]:
        """A .blend saved while it plays, opened again."""
        with self.at(self.sequencer):
            bpy.ops.screen.animation_play()
        yield 1.0
        bpy.ops.wm.save_mainfile()
        with self.at(self.sequencer):
            bpy.ops.screen.animation_cancel(restore_frame=False)
        bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
        yield 2.0
        ahead = self.module("ahead")
        self.say(
            opened={
                "jobs": sum(len(scene.nvd_jobs) for scene in bpy.data.scenes),
                "running": ahead.running() is not None,
                "images": [image.name for image in bpy.data.images if "ahead" in image.filepath],
                "sync": bpy.context.scene.sync_mode,
            }
        )

    def look_inside(self) -> np.ndarray:
        """The middle of the picture as it is on the screen, without what Blender writes around."""
        region = self.region(self.sequencer, "PREVIEW")
        (left, top), (right, bottom) = (
            self.on_screen(region, x * 0.4 * 384, y * 0.4 * 216) for x, y in ((-1, 1), (1, -1))
        )
        corner = round(left), round(top)
        return self.screen.pixels((*corner, round(right) - corner[0], round(bottom) - corner[1]))

    # What was drawn

    def compared(self, number: int) -> dict:
        """How near what was drawn is to what `nvd render` has written, at its worst."""
        shot = self.module("preview").running().shot
        size = shot.width, shot.height
        read, found = self.module("plate_file").read_plain, []
        for t, picture in self.drawn.items():
            pixels = read(self.work / f"fine{number}" / f"{t:05d}.png", size)
            if pixels is not None:
                found.append(self.db(np.clip(picture, 0, 1) * 255, pixels))
        return {"drawn": len(self.drawn), "compared": len(found), "db": min(found, default=0.0)}

    @staticmethod
    def db(a: np.ndarray, b: np.ndarray) -> float:
        error = float(np.mean((np.round(a).astype(float) - b) ** 2))
        return BEST if error == 0 else round(min(BEST, 10 * math.log10(255**2 / error)), 1)


if __name__ == "__main__":
    main(Playing)
