"""How long the live preview takes for a frame and for a stroke, by the form of the maps.

    .envs/bpy-5.2/bin/python tools/bench/measure_preview.py SHOT [--frames N] [--strokes]

SHOT has its maps in both forms, or with --strokes in any; nothing is written into it. Runs without
a window: where there is no graphics card, Blender's drawing is done by a program. Milliseconds of
the clock, and in brackets of the processor, the middle one of N frames:

- first: of a frame that nothing was read of, as after a jump of the playhead;
- next: of a frame whose maps were read ahead;
- stroke: of the same frame again, painted on.

The last row is of frames that the engine rendered ahead, which are read and drawn as a plate is.

The picture is read back, which waits until it is drawn. `uploaded` is what a frame's maps and its
plate hand to the graphics card.

Last, or with --strokes alone, strokes on a frame that stays: a small one on the first layer and a
large one on the last, with all of the picture drawn and with what they have changed, in turns.
`upload` is all that is done until the texture is on the card, reading and comparing the image's
pixels included, `draw` ends when the first pixel can be read, `read` is the rest of the picture;
`part` is how much of it was drawn. A frame's first stroke is said apart.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_settings = tempfile.TemporaryDirectory(prefix="nvd-measure-")
os.environ["BLENDER_USER_RESOURCES"] = _settings.name  # read when bpy is imported
ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".envs/engine/bin/python"
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402

import blender_addon  # noqa: E402
from blender_addon.paint import (  # noqa: E402
    node_shader,
    plate_texture,
    preview,
    preview_shader,
)
from blender_addon.shot import layer_maps, painting, shots  # noqa: E402

FORMS = {"EXR": (False, False), "compact, processor": (True, False), "compact, card": (True, True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shot", type=Path)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--strokes", action="store_true", help="measure strokes alone")
    arguments = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.render.compositor_device = "CPU"
    blender_addon.register()
    preview_shader.start_in_background()
    print(preview_shader.gpu.platform.renderer_get())
    entry = shots.add_shot(arguments.shot)
    paint(entry)
    if not arguments.strokes:
        measure_forms(entry, arguments.frames)
    measure_strokes(entry, arguments.frames)
    blender_addon.unregister()


def measure_forms(entry, frames: int) -> None:
    print(f"{'maps':<20}{'first':>14}{'next':>14}{'stroke':>14}  kept MB  uploaded MB")
    chunk = layer_maps.chunk
    for name, (compact, by_nodes) in FORMS.items():
        layer_maps.chunk = chunk if compact else lambda *_: None
        measure(name, entry, by_nodes, frames)
    layer_maps.chunk = chunk
    measure_ahead(entry, frames)


def measure_ahead(entry, frames: int) -> None:
    """The same of frames that were rendered ahead, here into a folder of their own."""
    shot = entry.read()
    with tempfile.TemporaryDirectory(prefix="nvd-ahead-") as folder:
        pattern = f"{folder}/%05d.{shot.suffix}"
        words = ["-m", "nvd_core", "render", str(shot.folder), "--out", pattern, "--start", "0"]
        words += ["--ahead", "0"] + (["--quality", "draft"] if shot.suffix == "png" else [])
        subprocess.run([str(ENGINE), *words], check=True, cwd=ROOT, capture_output=True)
        all_frames = plate_texture.Rendered(1, set(range(shot.frames)), pattern)
        plate_texture.rendered.insert(0, lambda *_: all_frames)
        live = preview.Preview(entry)
        times: dict[str, list] = {"first": [], "next": []}
        show(live, entry, 0)
        for n in range(frames):
            t = (3 * n + 1) % (shot.frames - 1)
            times["first"].append(timed(lambda t=t: show(live, entry, t)))
            live.cache.wait()
            times["next"].append(timed(lambda t=t: show(live, entry, t + 1)))
            live.cache.wait()
            live.cache._kept.clear()
        row = [f"{clock:.0f} ({cpu:.0f})" for clock, cpu in map(middle, times.values())] + ["-"]
        plate = f"{4 * shot.width * shot.height / 1e6:.1f}"
        print(
            f"{'rendered ahead':<20}{''.join(f'{one:>14}' for one in row)}  {plate:>7}  {plate:>11}"
        )
        live.close()
        plate_texture.rendered.pop(0)


def paint(entry) -> None:
    """A little of every layer, so that all are shown."""
    for layer in entry.layers:
        pixels = painting.read_pixels(layer.edit)
        pixels[: len(pixels) // 2, :, 0] = 1 - pixels[: len(pixels) // 2, :, 0]
        painting.write_pixels(layer.edit, pixels)


def measure(name: str, entry, by_nodes: bool, frames: int) -> None:
    live = preview.Preview(entry)
    live.by_nodes, live.cache.full = by_nodes, not by_nodes
    times: dict[str, list] = {"first": [], "next": [], "stroke": []}
    show(live, entry, 0)  # shaders and images
    for n in range(frames):
        t = (3 * n + 1) % (live.shot.frames - 1)
        times["first"].append(timed(lambda t=t: show(live, entry, t)))
        live.cache.wait()
        times["next"].append(timed(lambda t=t: show(live, entry, t + 1)))
        paint(entry)
        times["stroke"].append(timed(lambda: live.render(entry).read()))
        live.cache.wait()
        live.cache._kept.clear()
    kept = sum(live.cache.get(1, layer.name).nbytes for layer in entry.layers)
    sent = 32 * live.shot.width * live.shot.height * len(entry.layers)
    if by_nodes:
        found = [live.cache.get(1, layer.name) for layer in entry.layers]
        sent = sum(node_shader.Nodes(maps).nbytes for maps in found)
    shown = "".join(
        f"{f'{clock:.0f} ({cpu:.0f})':>14}" for clock, cpu in map(middle, times.values())
    )
    print(f"{name:<20}{shown}  {kept / 1e6:7.1f}  {sent / 1e6:11.1f}")
    live.close()


PARTS = ("upload", "draw", "read")


def measure_strokes(entry, count: int) -> None:
    """Rows of milliseconds of the clock, and in all of the processor in brackets."""
    lives = {name: preview.Preview(entry) for name in ("all", "changed")}
    for name, live in lives.items():
        live.by_strokes = name == "changed"
        show(live, entry, 1)
    dab(entry.layers[0], 64, 64, 0)
    first, cpu, _part = stroke_parts(lives["changed"], entry)
    print(f"a frame's first stroke: {sum(first):.0f} ({cpu:.0f})")
    head = "".join(f"{name:>9}" for name in (*PARTS, "part"))
    print(f"{'stroke':<20}{'drawn':<9}{'together':>14}{head}")
    sizes = {"small": (entry.layers[0], 0.03, 0.03), "large": (entry.layers[-1], 0.8, 0.15)}
    for size, (layer, wide, high) in sizes.items():
        wide, high = round(wide * layer.edit.size[0]), round(high * layer.edit.size[1])
        rows: dict[str, list] = {name: [] for name in lives}
        for n in range(2 * count):
            name = list(lives)[n % 2]
            dab(layer, wide, high, n)
            rows[name].append(stroke_parts(lives[name], entry))
            for live in lives.values():
                live.render(entry)
        for name, found in rows.items():
            parts, cpu, part = zip(*found, strict=True)
            shown = [statistics.median(values) for values in zip(*parts, strict=True)]
            together = statistics.median(map(sum, parts)), statistics.median(cpu)
            whole = "{:.0f} ({:.0f})".format(*together)
            columns = "".join(f"{value:>9.1f}" for value in shown) + f"{100 * part[-1]:>8.1f}%"
            print(f"{f'{size}, {wide} x {high}':<20}{name:<9}{whole:>14}{columns}")
    for live in lives.values():
        live.close()


def dab(layer, wide: int, high: int, n: int) -> None:
    """Paint a rectangle in the middle of the layer's edit in another colour each time."""
    pixels = painting.read_pixels(layer.edit)
    height, width = pixels.shape[:2]
    x, y = (width - wide) // 2, (height - high) // 2
    pixels[y : y + high, x : x + wide] = 0.1 + 0.08 * (n % 10), 0.5, 0.2, 1
    painting.write_pixels(layer.edit, pixels)


def stroke_parts(live, entry) -> tuple[list[float], float, float]:
    """Milliseconds of PARTS and of the processor, and the share of the picture that was drawn."""
    marks, cpu = [time.perf_counter()], time.process_time()
    picture = live.render(entry)
    with picture.target.bind():
        framebuffer = preview_shader.gpu.state.active_framebuffer_get()
        framebuffer.read_color(0, 0, 1, 1, 4, 0, "FLOAT")
    marks.append(time.perf_counter())
    picture.read()
    marks.append(time.perf_counter())
    cpu = 1e3 * (time.process_time() - cpu)
    until, read = (1e3 * (after - before) for before, after in itertools.pairwise(marks))
    upload = 1e3 * live.times["upload"]
    drawn = [(0, 0, live.shot.width, live.shot.height)] if live.drawn is None else live.drawn
    pixels = sum((right - left) * (top - low) for left, low, right, top in drawn)
    share = pixels / (live.shot.width * live.shot.height)
    return [upload, until - upload, read], cpu, share


def show(live, entry, t: int) -> None:
    live.prepare(entry, t)
    live.render(entry).read()


def timed(call) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    call()
    return 1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - cpu)


def middle(pairs: list) -> tuple[float, float]:
    return tuple(statistics.median(values) for values in zip(*pairs, strict=True))


if __name__ == "__main__":
    main()
