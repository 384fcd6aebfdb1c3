"""One whole file of every kind that the engine reads, made by the engine itself in seconds."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
import torch

from nvd_core.editing.render import render
from nvd_core.editing.stack_text import own_font
from nvd_core.farm.bake import bake_frames
from nvd_core.job import Job
from nvd_core.media.images import write_image
from nvd_core.media.input_space import input_space
from nvd_core.media.writer import open_writer
from nvd_core.pipeline import decompose, resume
from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress
from nvd_core.settings import fast, save_settings, update_settings
from nvd_core.shot.manifest import write_manifest
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, Stack, write_stack
from nvd_core.shot.strokes import Stroke, write_strokes
from nvd_core.shot.values import Values, write_values

FRAMES, HEIGHT, WIDTH = 4, 32, 48
RATE = 16000  # of sound
SETTINGS = {
    "iterations": 3,
    "points": 100,
    "texture_grid": {"levels": 3, "log2_table": 8},
    "residual_grid": {"levels": 2, "log2_table": 8},
    "alpha_grid": {"levels": 2, "log2_table": 8},
    "mapping": {"grid": {"levels": 2, "log2_table": 8, "base": 4}},
}
TRUTH = Path(__file__).parents[2] / "samples" / "truth" / "turning"
KEYS = "keys: [{frame: 0}, {frame: 3, scale: 1.5, x: 3.0, y: -2, rotation: 10}]\n"
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 36">
<g transform="rotate(9 3 4)">
<path d="M3 3c4 1 5 9 9 4s2 2 8 1A5 4 10 0 1 30 20zM1 2h4v3q2 3 4 4t5 1" stroke="#f80"/>
<circle cx="9" cy="8" r="5" style="stroke: red; opacity: .5"/>
<polygon points="1,2 9,4 3,8" stroke="rgb(10, 20, 30)" stroke-width="2px"
 transform="matrix(1 0 0 2 3 1) scale(.5)"/></g></svg>
"""
RUNS = """
preset: fast
clips:
  one: {source: frames, masks: {disc: masks}, frames: 0-3, height: 32, tracks: tracks.npz}
variants: {default: {}, slow: {iterations: 5, losses: {flow: 0.02}}}
"""


class _UntilTraining(Progress):
    """Cancels when the training begins: work/ and a job that is not done are left."""

    def stage(self, name: str, *arguments, **more) -> None:
        super().stage(name, *arguments, **more)
        if name == "training":
            self.cancel()


def make_base(folder: Path) -> None:
    """Fill the empty `folder`; readers.py says what reads which file."""
    frames = _clip(folder)
    job = Job(str(folder / "frames"), masks=[["disc", str(folder / "masks")]])
    settings = update_settings(fast(), SETTINGS)
    with suppress(Cancelled):
        decompose(folder / "work.nvd", job, settings, _UntilTraining())
    shutil.copytree(folder / "work.nvd", folder / "shot.nvd")
    resume(folder / "shot.nvd", Progress())
    shutil.copytree(folder / "work.nvd", folder / "baked.nvd")
    decompose(folder / "baked.nvd", job, settings, Progress(), until="training")
    bake_frames(folder / "baked.nvd", None, None, Progress())
    shot = _with_all(folder / "shot.nvd")
    render(shot, folder / "out" / "%05d.png")
    save_settings(settings, folder / "settings.yaml")
    (folder / "keys.yaml").write_text(KEYS)
    (folder / "runs.yaml").write_text(RUNS)
    (folder / "drawing.svg").write_text(DRAWING)
    _arrays(folder)
    _pictures(folder, frames)
    _weights(folder / "alexnet.pth")
    for suffix in (".mp4", ".mov", ".mkv"):
        with open_writer(folder / f"movie{suffix}", WIDTH, HEIGHT, Fraction(24)) as writer:
            for t, frame in enumerate(frames):
                writer.write(t, frame)
    _truth(folder / "truth")
    input_space("ocio://studio-config-latest", "ARRI LogC3 (EI800)").conversion.save(folder)
    for codec in ("aac", "pcm_s16le"):
        _sound(folder / f"{codec}.mka", codec)


def _with_all(folder: Path) -> Shot:
    """The shot with what is in a folder only where somebody wanted it."""
    shot = Shot.open(folder)
    write_image(folder / "masks" / "garbage.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    write_manifest(folder, replace(shot.manifest, garbage="masks/garbage.png"))
    values = Values().with_value("disc", "light", 0.5, key=1).with_value("disc", "visibility", 0.5)
    write_values(shot, values.with_value("disc", "light", 2.0, key=3))
    _stack(shot)
    return Shot.open(folder)


def _stack(shot: Shot) -> None:
    """Entries of every kind, with their files."""
    place = shot.folder / "edits" / "stack"
    image = np.full((8, 12, 4), 200, np.uint8)
    write_image(place / "paint.png", image)
    write_image(place / "mask.png", image[..., 0])
    write_image(place / "m" / "00000.exr", (image / 255).astype(np.float16))
    with open_writer(place / "movie.mp4", WIDTH, HEIGHT, Fraction(24)) as writer:
        for t in range(2):
            writer.write(t, np.full((HEIGHT, WIDTH, 3), 90 * t, np.uint8))
    own = own_font()
    if own:
        shutil.copy(own, place / "font.ttf")
    line = Stroke(((0.2, 0.3), (0.6, 0.4), (0.7, 0.9)), (1.0, 0.5, 0.0), width=3.0, share=0.05)
    write_strokes(place / "s.strokes", (line, line))
    quad = ((0.1, 0.2), (0.9, 0.1), (0.8, 0.9), (0.2, 0.8))
    where = "edits/stack/"
    font = f"{where}font.ttf" if own else None
    entries = (
        Entry("p", "disc", "paint", file=f"{where}paint.png", frames=(0, 2), fade_in=1),
        Entry("q", "disc", "picture", file=f"{where}paint.png", corners=quad, blend="overlay"),
        Entry("m", "disc", "movie", file=f"{where}m/%05d.exr", start=1, after="loop"),
        Entry("f", "background", "movie", file=f"{where}movie.mp4", corners=quad),
        Entry("t", "background", "text", text="Some words", font=font, colour=(1.0, 0.5, 0.0)),
        Entry("s", "background", "strokes", file=f"{where}s.strokes"),
        Entry("k", "disc", "strokes", file=f"{where}s.strokes", keep_width=True, pixels=5.0),
        Entry("a", "background", "adjustment", hue=30.0, gamma=0.8, mask=f"{where}mask.png"),
    )
    write_stack(shot, Stack(entries))


def _sound(path: Path, codec: str) -> None:
    tone = (8000 * np.sin(np.arange(3 * RATE) / 20)).astype(np.int16)
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=RATE)
        for start in range(0, len(tone), 1024):
            part = np.ascontiguousarray(tone[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _clip(folder: Path) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    wall = random.integers(60, 200, (HEIGHT, WIDTH + FRAMES, 3), np.uint8)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for t in range(FRAMES):
        disc = (np.hypot(xs - 18 - 2 * t, ys - 16) < 9)[..., None]
        frame = np.where(disc, np.uint8([250, 80, 20]), wall[:, t : t + WIDTH])
        write_image(folder / "frames" / f"{t:04d}.png", frame)
        write_image(folder / "masks" / f"{t:04d}.png", disc.astype(np.uint8) * 255)
        frames.append(frame)
    return frames


def _arrays(folder: Path) -> None:
    flow = np.full((FRAMES - 1, HEIGHT, WIDTH, 2), 1.5, np.float32)
    for name in ("forward", "backward"):
        (folder / "flow").mkdir(exist_ok=True)
        np.save(folder / "flow" / f"{name}.npy", flow)
        (folder / "flo" / name).mkdir(parents=True)
        for t in range(FRAMES - 1):
            size = np.array([WIDTH, HEIGHT], "<i4").tobytes()
            data = b"PIEH" + size + flow[t].tobytes()
            (folder / "flo" / name / f"{t:03d}.flo").write_bytes(data)
    points = np.full((3, FRAMES, 2), 10.0)
    hidden = np.zeros((3, FRAMES), bool)
    layer, size = np.array([0, 1, 1]), np.array([WIDTH, HEIGHT])
    np.savez(folder / "tracks.npz", points=points, occluded=hidden, layer=layer, size=size)


def _pictures(folder: Path, frames: list[np.ndarray]) -> None:
    colour = frames[0]
    (folder / "images").mkdir()
    for suffix in ("dpx", "bmp", "tga", "hdr", "sgi", "webp", "gif", "ppm", "jp2", "iff"):
        path = str(folder / "images" / f"image.{suffix}")
        output = oiio.ImageOutput.create(path)
        if output and output.open(path, oiio.ImageSpec(WIDTH, HEIGHT, 3, "uint8")):
            output.write_image(colour)
            output.close()
    alpha = np.full((HEIGHT, WIDTH, 1), 128, np.uint8)
    alpha[:8] = 0
    rgba = np.dstack([colour, alpha])
    for suffix in ("png", "tif", "jpg"):
        write_image(folder / "images" / f"image.{suffix}", colour if suffix == "jpg" else rgba)
    write_image(folder / "images" / "image.exr", (rgba / 255).astype(np.float16))
    write_image(folder / "paint.png", rgba)


def _weights(path: Path) -> None:
    shapes = (
        (64, 3, 11, 11),
        (192, 64, 5, 5),
        (384, 192, 3, 3),
        (256, 384, 3, 3),
        (256, 256, 3, 3),
    )
    state = {}
    for number, shape in zip((0, 3, 6, 8, 10), shapes, strict=True):
        state[f"features.{number}.weight"] = torch.full(shape, 0.01)
        state[f"features.{number}.bias"] = torch.zeros(shape[0])
    torch.save(state, path)


def _truth(folder: Path) -> None:
    shutil.copytree(TRUTH, folder)
    path = folder / "truth.json"
    said = json.loads(path.read_text())
    said["files"]["flow"] = "flow"
    path.write_text(json.dumps(said))
    (folder / "flow").mkdir()
    pairs = said["frames"] - 1, said["height"], said["width"]
    np.save(folder / "flow" / "forward.npy", np.zeros((*pairs, 2), np.float16))
    np.save(folder / "flow" / "ok.npy", np.ones((2, *pairs), np.uint8))
