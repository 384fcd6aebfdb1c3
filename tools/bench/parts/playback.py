"""Frames a second of rendering: the kernel alone, and `nvd render` with decoding and encoding.

The folders that `nvd render` works on are baked from the trained networks of the clip, at the size
and with the number of layers that is asked for. Where that is more than the clip has, its first
object stands several times, side by side.
"""

import shutil
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from bench import bench_render
from bench.parts.commands import nvd
from bench.parts.figures import Figure
from bench.parts.subject import Bench
from nvd_core.baking.bake import TextureFrame
from nvd_core.fields.inference import layers_at
from nvd_core.fields.model import LayeredVideo
from nvd_core.fields.saved_model import load_model, load_texture_boxes
from nvd_core.media.images import read_image, to_float, to_integers, write_image
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

PART = "render"
OUTPUTS = {"H.264": "out.mp4", "PNG": "%05d.png"}


def measure(bench: Bench) -> list[Figure]:
    """Kernel alone and whole command, at each size and number of layers of the plan."""
    figures = []
    shot = Shot.open(bench.any_decomposed().shot)
    for width, height in bench.plan.sizes:
        for layers in bench.plan.layers:
            case = f"kernel alone, {width}x{height}, {label(layers)}"
            for name, _, median, _ in bench_render.cases(
                width, height, layers, bench.subject.device
            ):
                figures.append(
                    Figure(PART, case, name, 1 / median, "fps", "median, maps in memory")
                )
        folders = bake_folders(bench, shot, width, height)
        for layers, folder in folders.items():
            case = f"nvd render, {width}x{height}, {label(layers)}"
            for kind, out in OUTPUTS.items():
                figures.append(rendered(folder, case, kind, folder.parent / kind / out))
                shutil.rmtree(folder.parent / kind)
            shutil.rmtree(folder)
    return figures


def label(layers: int) -> str:
    """So many layers, in words."""
    return f"{layers} layer{'s' if layers > 1 else ''}"


def rendered(folder: Path, case: str, kind: str, out: Path) -> Figure:
    """Frames a second of `nvd render`, by its own clock: the start of Python is not in it."""
    out.parent.mkdir()
    result = nvd("render", folder, "--out", out).result
    fps = result["frames"] / result["seconds"]
    note = f"{result['frames']} frames read, edited, encoded; the start of Python not counted"
    return Figure(PART, case, f"small edit, to {kind}", fps, "fps", note)


def bake_folders(bench: Bench, shot: Shot, width: int, height: int) -> dict[int, Path]:
    """A decomposition folder of that size for each of the plan's numbers of layers."""
    root = bench.folder / f"render-{width}"
    folders = {layers: root / f"{layers}.nvd" for layers in bench.plan.layers}
    model = load_model(shot.folder).to(bench.subject.device)
    layout = texture_frames(shot)
    count = bench.plan.baked_frames
    with ExitStack() as stack:
        writers = {
            layers: stack.enter_context(MapWriter(folder / "maps", names_of(layers)))
            for layers, folder in folders.items()
        }
        for index in range(count):
            t = index * (shot.frames - 1) // max(count - 1, 1)
            learned = evaluate(model, layout, t, width, height)
            frame = cv2.resize(read_image(shot.frame_path(t)), (width, height))
            for layers, folder in folders.items():
                writers[layers].write(index, stacked(learned, layers))
                write_image(folder / "frames" / f"{index:05d}.png", frame)
    for layers, folder in folders.items():
        finish(folder, shot, layers, (width, height), count, bench.plan.rendered_frames)
    return folders


def names_of(layers: int) -> list[str]:
    """Names of the layers, front to back."""
    return [*(f"object{n}" for n in range(1, layers)), "background"]


def texture_frames(shot: Shot) -> list[TextureFrame]:
    """Where each of the shot's textures lies in its networks' coordinates."""
    boxes, layers = load_texture_boxes(shot.folder), shot.manifest.layers
    return [
        TextureFrame(low, high, layer.texture_width, layer.texture_height)
        for (low, high), layer in zip(boxes, layers, strict=True)
    ]


def evaluate(
    model: LayeredVideo, layout: list[TextureFrame], t: int, width: int, height: int
) -> list[LayerMaps]:
    """All layers of frame t from the networks, at any size."""
    xs = (np.arange(width, dtype=np.float32) + 0.5) * (model.shape.width / width) - 0.5
    ys = (np.arange(height, dtype=np.float32) + 0.5) * (model.shape.height / height) - 0.5
    found = layers_at(model, np.stack(np.meshgrid(xs, ys), -1), t)
    maps = []
    for n, frame in enumerate(layout):
        uv = np.where(found.alpha[n][..., None] > 0, frame.to_uv(found.uv[n]), 0)
        maps.append(LayerMaps(uv[..., 0], uv[..., 1], found.alpha[n], found.residual[n]))
    return maps


def stacked(learned: list[LayerMaps], layers: int) -> list[LayerMaps]:
    """The first object `layers` - 1 times, each moved on by a share of the width, and background.

    Each shows as far as those in front of it leave it visible.
    """
    first, background = learned[0], learned[-1]
    left, maps = np.ones_like(background.alpha), []
    for n in range(layers - 1):
        u, v, own, light = (
            np.roll(a, n * a.shape[1] // layers, axis=1)
            for a in (first.u, first.v, first.alpha, first.residual)
        )
        maps.append(LayerMaps(u, v, left * own, light))
        left = left * (1 - own)
    return [*maps, LayerMaps(background.u, background.v, left, background.residual)]


def finish(
    folder: Path, shot: Shot, layers: int, size: tuple[int, int], baked: int, frames: int
) -> None:
    """Repeat the baked frames to `frames`; textures, with a patch painted on each; manifest."""
    for index in range(baked, frames):
        for kind, suffix in (("frames", "png"), ("maps", "exr")):
            source = folder / kind / f"{index % baked:05d}.{suffix}"
            shutil.copyfile(source, folder / kind / f"{index:05d}.{suffix}")
    records = []
    for name in names_of(layers):
        background = name == "background"
        texture = read_image(shot.texture_path(shot.names[-1 if background else 0]))
        record = LayerRecord(
            name=name,
            kind="background" if background else "object",
            texture=f"textures/{name}.png",
            edit=f"edits/{name}.png",
            texture_width=texture.shape[1],
            texture_height=texture.shape[0],
        )
        write_image(folder / record.texture, texture)
        write_image(folder / record.edit, painted(texture))
        records.append(record)
    rate = Fraction(*shot.manifest.clip.rate)
    clip = ClipRecord(
        source=shot.manifest.clip.source,
        first_frame=0,
        frames=frames,
        width=size[0],
        height=size[1],
        rate=[rate.numerator, rate.denominator],
        bit_depth=8,
        encoding="display",
    )
    write_manifest(folder, Manifest(clip=clip, layers=tuple(records)))


def painted(texture: np.ndarray) -> np.ndarray:
    """A texture, mirrored in colour within the patch that the kernel's small edit has."""
    colours = to_float(texture)
    where = bench_render.patch(np.ones((*texture.shape[:2], 1), np.float32)) > 0
    colours[..., :3] = np.where(where, 1 - colours[..., :3], colours[..., :3])
    return to_integers(colours, texture.dtype)
