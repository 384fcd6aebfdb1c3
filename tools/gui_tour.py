"""Walk through the extension in a Blender with a window, and take a picture of every step.

    python3 tools/gui_tour.py                         Blender, Xvfb, xdotool and ImageMagick on PATH
    python3 tools/gui_tour.py --chroot /srv/sid       all of them in that chroot (needs root, Linux)

Nobody needs to look on: an X server without a screen (Xvfb) is started. In a new Blender with
factory settings the tour installs the extension's zip, puts samples/tumbler into the Sequencer,
adds the object with its mask files, decomposes it with few steps, opens the result, paints a
stroke with the mouse, and renders to a strip. Buttons are pressed by calling their operators in
the editor where they stand; only the stroke is made with the pointer. The pictures go to
docs/pictures/blender-*.png. Exit code 1 where a step fails or Blender prints an error. The engine
is that of .envs/engine, or NVD_PYTHON.

State: run once, in Blender 5.2 in a chroot. Installing, arranging the editors, the strip and the
object went through without an error; that run ended at the first picture, whose folder was not
visible in the chroot. That is corrected but was not run again, and nothing after it has been run:
the decomposition, the engine from within the chroot, painting, the live preview, the strip.
"""

import argparse
import itertools
import os
import shlex
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "samples" / "tumbler"
WIDTH, HEIGHT = 1400, 800  # of the window
WRONG = ("Traceback", "Error:", "rna_uiItem", "SystemError", "not found in")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chroot", type=Path, help="where Blender and the rest are installed")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--steps", type=int, default=1500, help="of the decomposition's training")
    given = parser.parse_args()
    from build_extension import build

    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nvd-tour-") as folder:
        work = Path(folder)
        package = build(work)
        (work / "settings.yaml").write_text(f"iterations: {given.steps}\npreview_seconds: 3\n")
        python = os.environ.get("NVD_PYTHON", ROOT / ".envs" / "engine" / "bin" / "python")
        inside = (
            f"export HOME={work} NVD_PYTHON={python} LIBGL_ALWAYS_SOFTWARE=1\n"
            f"exec xvfb-run -a -s '-screen 0 {WIDTH}x{HEIGHT}x24' blender --factory-startup "
            f"--window-geometry 0 0 {WIDTH} {HEIGHT} --python {shlex.quote(__file__)} "
            f"-- {package} {work} {given.out.resolve()}\n"
        )
        script = work / "inside.sh"
        if given.chroot:
            engine = work / "engine-python"  # the engine stays outside of the chroot
            engine.write_text(f'#!/bin/sh\nexec chroot /host {python} "$@"\n')
            engine.chmod(0o755)
            inside = f"export NVD_CHROOT=1\n{inside}".replace(str(python), str(engine))
        script.write_text(inside)
        command = ["sh", str(script)]
        if given.chroot:
            command = [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                _enter(given.chroot.resolve(), script, given.out.resolve()),
            ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        finished, wrong = False, []
        for line in process.stdout:
            print(line, end="", flush=True)
            finished |= line.startswith("TOUR FINISHED")
            if any(words in line for words in WRONG):
                wrong.append(line)
        process.wait()
    print(f"{'finished' if finished else 'NOT finished'}, {len(wrong)} lines tell of errors")
    return 0 if finished and not wrong else 1


def _enter(chroot: Path, script: Path, out: Path) -> str:
    """Shell commands: the same paths inside as outside, the outside as /host, then the script."""
    lines = [f"mkdir -p {chroot}/host", f"mount --bind / {chroot}/host"]
    for path in ("/proc", "/dev"):
        lines += [f"mount --bind {path} {chroot}{path}", f"mount --bind {path} {chroot}/host{path}"]
    for path in (ROOT, script.parent, out):
        lines += [f"mkdir -p {chroot}{path}", f"mount --bind {path} {chroot}{path}"]
    return "\n".join([*lines, f"exec chroot {chroot} sh {script}"])


# ---- from here on inside Blender -----------------------------------------------------------------


class Tour:
    """The steps. `walk` yields the seconds that Blender is left alone before it goes on."""

    def __init__(self, package: Path, work: Path, out: Path):
        import bpy

        self.bpy, self.package, self.work, self.out = bpy, package, work, out

    def walk(self) -> Iterator[float]:
        yield from self.install()
        yield from self.arrange()
        yield from self.decompose()
        yield from self.paint()
        yield from self.render()

    def install(self) -> Iterator[float]:
        ops = self.bpy.ops.extensions
        ops.package_install_files(filepath=str(self.package), repo="user_default")
        yield 1.0
        self.say("installed " + ", ".join(a for a in self.addons() if "neural" in a))

    def addons(self) -> list[str]:
        return [addon.module for addon in self.bpy.context.preferences.addons]

    def arrange(self) -> Iterator[float]:
        """The Sequencer on the left, an Image Editor on the right, and nothing else."""
        bpy = self.bpy
        bpy.context.preferences.view.show_statusbar_stats = False
        for kind in ("OUTLINER", "PROPERTIES", "DOPESHEET_EDITOR", "TIMELINE"):
            for area in [area for area in self.screen.areas if area.type == kind]:
                with self.at(area):
                    bpy.ops.screen.area_close()
                yield 0.3
        (area,) = self.screen.areas if len(self.screen.areas) == 1 else self.screen.areas[:1]
        with self.at(area):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=0.5)
        yield 0.5
        left, right = sorted(self.screen.areas, key=lambda area: area.x)[:2]
        left.type, right.type = "SEQUENCE_EDITOR", "IMAGE_EDITOR"
        yield 0.5
        left.spaces.active.view_type = "SEQUENCER_PREVIEW"
        scene = bpy.context.scene
        if hasattr(bpy.context.workspace, "sequencer_scene"):
            bpy.context.workspace.sequencer_scene = scene
        render = scene.render
        render.resolution_x, render.resolution_y, render.fps = 384, 216, 24
        scene.frame_start, scene.frame_end = 1, 48
        scene.view_settings.view_transform = "Standard"
        files = sorted(path.name for path in (CLIP / "frames").iterdir())
        with self.at(left):
            bpy.ops.sequencer.image_strip_add(
                directory=f"{CLIP / 'frames'}/",
                files=[{"name": name} for name in files],
                frame_start=1,
                channel=1,
            )
        scene.frame_set(24)
        for area in (left, right):
            area.spaces.active.show_region_ui = True
        yield 1.0
        for area in (left, right):
            self.region(area, "UI").active_panel_category = "Layers"
        with self.at(left):
            bpy.ops.sequencer.view_all()
        with self.at(left, "PREVIEW"):
            bpy.ops.sequencer.view_all_preview()
        yield 1.0

    def decompose(self) -> Iterator[float]:
        bpy, left = self.bpy, self.sequencer
        settings = bpy.context.scene.nvd_decompose
        with self.at(left):
            bpy.ops.nvd.add_object()
        thing = settings.objects[0]
        thing.name, thing.kind, thing.path = "tumbler", "FILE", f"{CLIP / 'masks'}/"
        settings.out, settings.device = str(self.work / "tumbler.nvd"), "cpu"
        settings.settings = str(self.work / "settings.yaml")
        yield 1.0
        yield from self.picture("decompose")
        with self.at(left):
            self.say(f"decompose: {bpy.ops.nvd.decompose()}")
        job = self.runner.queue.jobs[-1]
        yield from self.until(lambda: job.ended or (job.log.preview and job.log.fraction > 0.3))
        yield from self.picture("job")
        yield from self.until(lambda: job.ended)
        self.say(f"job: {job.state} {job.error or ''}")
        yield 1.0
        with self.at(left):
            self.say(f"open: {bpy.ops.nvd.open_job(job=job.id)}")
        yield 1.0

    def paint(self) -> Iterator[float]:
        bpy, area = self.bpy, self.images
        with self.at(area):
            bpy.ops.nvd.paint_layer(layer="tumbler")
        yield 1.0
        with self.at(area):
            bpy.ops.nvd.preview()
        settings = bpy.context.scene.tool_settings.image_paint
        own = getattr(settings, "unified_paint_settings", None)
        brush = own or bpy.context.scene.tool_settings.unified_paint_settings
        brush.color, brush.size = (0.9, 0.02, 0.05), 40
        with self.at(area):
            bpy.ops.image.view_all(fit_view=True)
        yield 1.5
        yield from self.picture("paint")
        image = area.spaces.active.image
        before = image.pixels[:]
        yield from self.drag(((0.35, 0.35), (0.5, 0.6), (0.65, 0.35)))
        changed = sum(a != b for a, b in zip(before, image.pixels[:], strict=True))
        self.say(f"stroke: {changed} numbers changed, dirty {image.is_dirty}")
        yield 1.5
        yield from self.picture("stroke")

    def render(self) -> Iterator[float]:
        bpy = self.bpy
        with self.at(self.sequencer):
            self.say(f"render: {bpy.ops.nvd.to_strip(way='render')}")
        job = self.runner.queue.jobs[-1]
        yield from self.until(lambda: job.ended)
        self.say(f"job: {job.state} {job.error or ''}")
        with self.at(self.images):
            bpy.ops.nvd.preview()  # off, so that the Sequencer shows the strip itself
        yield 1.5
        self.say("strips: " + ", ".join(s.name for s in bpy.context.scene.sequence_editor.strips))
        yield from self.picture("strip")

    def drag(self, points) -> Iterator[float]:
        """A stroke with the left button along points of the texture, 0 to 1 from bottom left."""
        region = self.region(self.images, "WINDOW")
        where = []
        for x, y in points:
            x, y = region.view2d.view_to_region(x, y, clip=False)
            where.append((region.x + x, HEIGHT - region.y - y))
        words = ["mousemove", *self.words(where[0]), "sleep", "0.3", "mousedown", "1"]
        for (x0, y0), (x1, y1) in itertools.pairwise(where):
            for step in range(1, 13):
                between = x0 + (x1 - x0) * step / 12, y0 + (y1 - y0) * step / 12
                words += ["mousemove", *self.words(between), "sleep", "0.05"]
        process = subprocess.Popen(["xdotool", *words, "sleep", "0.3", "mouseup", "1"])
        yield from self.until(lambda: process.poll() is not None)
        yield 1.0

    @staticmethod
    def words(point) -> list[str]:
        return [str(round(value)) for value in point]

    def picture(self, name: str) -> Iterator[float]:
        for area in self.screen.areas:
            area.tag_redraw()
        yield 1.5
        path = self.out / f"blender-{name}.png"
        subprocess.run(
            ["import", "-window", "root", "-depth", "8", "-dither", "None", "-colors", "255", path],
            check=True,
        )
        self.say(f"{path} ({path.stat().st_size / 1000:.0f} kB)")

    def until(self, done: Callable[[], bool], seconds: float = 900.0) -> Iterator[float]:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"not done in {seconds} s")
            yield 0.2

    def say(self, words: str) -> None:
        print(f"tour: {words}", flush=True)

    @property
    def runner(self):
        name = next(name for name in self.addons() if name.endswith("neural_video_layers"))
        return sys.modules[f"{name}.runner"].runner

    @property
    def screen(self):
        return self.bpy.context.window_manager.windows[0].screen

    @property
    def sequencer(self):
        return next(area for area in self.screen.areas if area.type == "SEQUENCE_EDITOR")

    @property
    def images(self):
        return next(area for area in self.screen.areas if area.type == "IMAGE_EDITOR")

    def region(self, area, kind: str):
        return next(region for region in area.regions if region.type == kind)

    def at(self, area, kind: str = "WINDOW"):
        window = self.bpy.context.window_manager.windows[0]
        return self.bpy.context.temp_override(
            window=window, area=area, region=self.region(area, kind)
        )


def inside() -> None:
    import bpy

    bpy.context.preferences.view.show_splash = False
    steps = Tour(*map(Path, sys.argv[sys.argv.index("--") + 1 :])).walk()

    def step() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            print("TOUR FINISHED", flush=True)
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(step, first_interval=2.0, persistent=True)


if __name__ == "__main__":
    if "bpy" in sys.modules:
        inside()
    else:
        sys.exit(main())
