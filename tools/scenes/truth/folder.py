"""A truth folder: rendering a scene's frames and writing all that is known of them.

docs/reference/truth-folder.md describes the files; nvd_core/evaluation/truth/folder.py reads them.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from scenes.truth.known import draw_points, flow, seen, track
from scenes.truth.materials import GREY
from scenes.truth.stage import Stage
from scenes.truth.surfaces import Scene
from scenes.truth.writing import write_picture

SCHEMA, VERSION = "nvd.truth", 1
OPTIONAL = ("uv", "flow", "light", "clean", "given")
LIGHT_SCALE = 4.0
"""the light that stands for white in an 8-bit picture of it"""
EXPOSURES, EXPOSED = 8, 64
"""moments of an open shutter whose light is added up, and the least samples of them together"""


@dataclass
class Look:
    """How a scene is rendered and what of it is written."""

    width: int
    height: int
    frames: int
    samples: int
    jpeg: int = 0  # quality of light/; 0 = EXR
    without: tuple[str, ...] = ()


def write_truth(scene: Scene, look: Look, folder: Path, say=print) -> None:
    """Render `scene` into `folder`; truth.json comes last."""
    stage = Stage(scene, look.width, look.height)
    edits = edit_frames(scene, look.frames)
    if "given" not in look.without:
        stage.give(times(look)[edits[0]])
    random = np.random.default_rng(0)
    points = [draw_points(sheet, random) for sheet in scene.sheets]
    size, uvs, tracks = (look.width, look.height), [], []
    for t, s in enumerate(times(look)):
        stage.pose(s)
        uvs.append([stage.uv(sheet.name) for sheet in scene.sheets])
        tracks.append(track(scene, points, s, size, stage.sees))
        _write_pictures(stage, look, folder, t, uvs[-1])
        say(f"{scene.name}: frame {t + 1} of {look.frames}", flush=True)
    _write_tracks(folder, points, tracks)
    if "flow" not in look.without:
        _write_flow(scene, look, folder, uvs)
    stage.close()
    text = json.dumps(_description(scene, look, edits), indent=2)
    (folder / "truth.json").write_text(text + "\n")


def times(look: Look) -> np.ndarray:
    """s of every frame."""
    return np.linspace(0, 1, look.frames)


def edit_frames(scene: Scene, frames: int) -> list[int]:
    """The frames in which the paint is given, the first one first."""
    at = [scene.edit_at] + [scene.edit_again_at] * (scene.edit_again_at is not None)
    return [round(s * (frames - 1)) for s in at]


def _write_pictures(stage: Stage, look: Look, folder: Path, t: int, uvs: list) -> None:
    """Everything of frame t that is a picture."""
    sheets, name = stage.scene.sheets, f"{t:05d}"
    seen = _exposed(stage, look, t)
    lit, edited, worn = seen["lit"], seen["edited"], stage.scene.worn
    if worn:
        lit, edited = worn(lit, t), worn(edited, t)
    write_picture(folder / f"frames/{name}.png", lit)
    covers, painted = seen["covers"], seen["painted"]
    for n, sheet in enumerate(sheets):
        write_picture(folder / f"painted/{sheet.name}/{name}.png", painted[..., n])
        if "given" in seen:
            write_picture(folder / f"given/{sheet.name}/{name}.png", seen["given"][..., n])
        if sheet is not sheets[-1]:
            write_picture(folder / f"alphas/{sheet.name}/{name}.png", covers[..., n])
            mask = (covers[..., n] > 0.5).astype(np.float32)
            write_picture(folder / f"masks/{sheet.name}/{name}.png", mask)
        if "uv" not in look.without:
            write_picture(folder / f"uv/{sheet.name}/{name}.exr", uvs[n])
    changed = (painted.max(-1, keepdims=True) > 1 / 255).astype(np.float32)
    write_picture(folder / f"edited/{name}.png", np.dstack([edited * changed, changed]))
    if "clean" in seen:
        hidden = (covers[..., :-1].max(-1, keepdims=True) > 1 / 255).astype(np.float32)
        write_picture(folder / f"clean/{name}.png", np.dstack([seen["clean"] * hidden, hidden]))
    if "light" in seen:
        if look.jpeg:
            write_picture(folder / f"light/{name}.jpg", seen["light"] / LIGHT_SCALE, look.jpeg)
        else:
            write_picture(folder / f"light/{name}.exr", seen["light"])


def _exposed(stage: Stage, look: Look, t: int) -> dict[str, np.ndarray]:
    """The pictures of frame t while the shutter is open: beauty and light as files hold them,
    shares of layers as they are. Leaves the stage as it is at the frame's own time."""
    moments = _moments(stage.scene, look, t)
    samples = look.samples
    if len(moments) > 1:
        samples = max(samples, EXPOSED) // len(moments)
    summed: dict[str, np.ndarray] = {}
    for k, s in enumerate(moments):
        if len(moments) > 1:
            stage.pose(s)
        seed = t * EXPOSURES + k if len(moments) > 1 else t
        for kind, picture in _rendered(stage, look, seed, samples).items():
            summed[kind] = summed.get(kind, 0) + picture / len(moments)
    for kind in ("lit", "edited", "clean"):
        if kind in summed:
            summed[kind] = encoded(summed[kind]).clip(0, 1)
    if "light" in summed:
        summed["light"] = (encoded(summed["light"]) / encoded(np.array(GREY))).clip(0, LIGHT_SCALE)
    return summed


def _moments(scene: Scene, look: Look, t: int) -> np.ndarray:
    """s at which frame t is rendered: its own, or EXPOSURES of them around it."""
    s = times(look)[t]
    if not scene.shutter:
        return np.array([s])
    share = (np.arange(EXPOSURES) + 0.5) / EXPOSURES - 0.5
    return s + scene.shutter * share / (look.frames - 1)


def _rendered(stage: Stage, look: Look, seed: int, samples: int) -> dict[str, np.ndarray]:
    """Linear pictures of the moment that the stage is posed at."""
    pictures = {
        "lit": stage.lit(seed, samples),
        "covers": stage.covers(2 * samples),
        "painted": stage.painted(2 * samples),
        "edited": stage.lit(seed, samples, edited=True),
    }
    if "given" not in look.without:
        pictures["given"] = stage.painted(2 * samples, given=True)
    if "clean" not in look.without:
        pictures["clean"] = stage.lit(seed, samples, clean=True)
    if "light" not in look.without:
        pictures["light"] = stage.light(seed, samples)
    return pictures


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear values by the sRGB curve, continued above 1."""
    curve = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve)


def _write_tracks(folder: Path, points: list[np.ndarray], tracks: list) -> None:
    pixels, occluded = (np.stack(values, 1) for values in zip(*tracks, strict=True))
    layer = np.repeat(np.arange(len(points)), [len(p) for p in points])
    ever = (~occluded).sum(1) >= 2
    np.savez_compressed(
        folder / "tracks.npz",
        points=pixels[ever].astype(np.float32),
        occluded=occluded[ever],
        layer=layer[ever].astype(np.int32),
    )


def _write_flow(scene: Scene, look: Look, folder: Path, uvs: list) -> None:
    moments = times(look)
    views = [seen(scene, layers, s) for layers, s in zip(uvs, moments, strict=True)]
    forward, backward, ok = [], [], []
    for t in range(look.frames - 1):
        there, free = flow(scene, views[t], moments[t + 1], views[t + 1])
        back, free_back = flow(scene, views[t + 1], moments[t], views[t])
        forward.append(there.astype(np.float16))
        backward.append(back.astype(np.float16))
        ok.append((free, free_back))
    (folder / "flow").mkdir(parents=True, exist_ok=True)
    np.save(folder / "flow/forward.npy", np.stack(forward))
    np.save(folder / "flow/backward.npy", np.stack(backward))
    np.save(folder / "flow/ok.npy", np.array(ok).astype(np.uint8).swapaxes(0, 1))


def _description(scene: Scene, look: Look, edits: list[int]) -> dict:
    files = {
        "frames": "frames/%05d.png",
        "masks": "masks/<layer>/%05d.png",
        "alphas": "alphas/<layer>/%05d.png",
        "painted": "painted/<layer>/%05d.png",
        "edited": "edited/%05d.png",
        "tracks": "tracks.npz",
        "uv": "uv/<layer>/%05d.exr",
        "flow": "flow",
        "light": f"light/%05d.{'jpg' if look.jpeg else 'exr'}",
        "clean": "clean/%05d.png",
        "given": "given/<layer>/%05d.png",
    }
    last = scene.sheets[-1]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "program": f"Blender {bpy.app.version_string}",
        "scene": scene.name,
        "says": scene.says,
        "frames": look.frames,
        "width": look.width,
        "height": look.height,
        "layers": [
            {
                "name": sheet.name,
                "kind": "background" if sheet is last else "object",
                "paint": [round(float(value), 4) for value in sheet.mark.colour],
            }
            for sheet in scene.sheets
        ],
        "edit_frame": edits[0],
        "edit_frames": edits,
        "light_scale": LIGHT_SCALE if look.jpeg else 1.0,
        "files": {name: path for name, path in files.items() if name not in look.without},
    }
