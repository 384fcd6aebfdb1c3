"""A decomposition folder made by formula: an upright drum that turns, with views in time."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from helpers.moving_clips import texture
from nvd_core.media.images import write_image
from nvd_core.runtime.time_windows import Window, window_of
from nvd_core.shot.manifest import ClipRecord, LayerRecord, Manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot

HEIGHT, WIDTH = 128, 176
HALF, TOP, BOTTOM = 56, 12, 116
SPAN = 240.0
"""degrees of the surface that a window has room for"""
AROUND = 720
"""pixels of the drum's picture, twice one for each degree"""
NAMES = ["drum", "background"]


def surface(degrees: float) -> np.ndarray:  # float64 [H, W]
    """Which place around the drum each pixel shows, -180 to 180, turned so far; NaN beside it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    side = (x - WIDTH / 2) / HALF
    shown = (np.abs(side) < 1) & (y >= TOP) & (y < BOTTOM)
    around = np.degrees(np.arcsin(np.where(shown, side, 0))) - degrees
    return np.where(shown, (around + 180) % 360 - 180, np.nan)


def picture(degrees: float) -> np.ndarray:  # uint8 [H, W, 3]
    """A frame of it."""
    around = surface(degrees)
    shown = np.isfinite(around)
    middle = np.where(shown, around, 0)[TOP]
    drum = _of_skin(middle, np.arange(HEIGHT) - TOP)
    return np.where(shown[..., None], drum, texture(HEIGHT, WIDTH, 1))


def make_shot(folder: Path, angles: Sequence[float], windows: Sequence[Window]) -> Shot:
    """The drum turned to one of `angles`, in degrees, in each frame; `windows` are its views."""
    numbers = window_of(windows, len(angles))
    size = 3 * 120 * len(windows), 140
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ones = np.ones((HEIGHT, WIDTH, 3), np.float16)
    with MapWriter(folder / "maps", NAMES) as writer:
        for t, degrees in enumerate(angles):
            shown = np.isfinite(surface(degrees))
            here = angles[windows[numbers[t]][0]]
            side = np.where(shown, (x - WIDTH / 2) / HALF, 0).clip(-1, 1)
            local = np.degrees(np.arcsin(side)) - (degrees - here)
            u = (numbers[t] + (local / SPAN + 0.5).clip(0, 1)) / len(windows)
            v = 1 - (y - TOP + 18) / 140
            drum = LayerMaps(
                *(np.where(shown, a, 0).astype(np.float32) for a in (u, v, np.ones_like(u))), ones
            )
            back = LayerMaps(
                ((x + 0.5) / WIDTH).astype(np.float32),
                (1 - (y + 0.5) / HEIGHT).astype(np.float32),
                (~shown).astype(np.float32),
                ones,
            )
            writer.write(t, [drum, back])
            write_image(folder / f"frames/{t:05d}.png", picture(degrees))
    images = [_texture([angles[first] for first, _ in windows], size), texture(HEIGHT, WIDTH, 1)]
    records = []
    for name, image in zip(NAMES, images, strict=True):
        for kind in ("textures", "edits"):
            write_image(folder / f"{kind}/{name}.png", image)
        paths = f"textures/{name}.png", f"edits/{name}.png"
        own = {"windows": tuple(windows)} if name == "drum" else {}
        kind = "object" if name == "drum" else "background"
        records.append(LayerRecord(name, kind, *paths, image.shape[1], image.shape[0], **own))
    clip = ClipRecord("a drum", 0, len(angles), WIDTH, HEIGHT, (25, 1), 8, "display")
    write_manifest(folder, Manifest(clip=clip, layers=tuple(records)))
    return Shot.open(folder)


def _texture(starts: Sequence[float], size: tuple[int, int]) -> np.ndarray:  # uint8 [h, w, 3]
    """What each window, which begins at an angle, has on its part."""
    wide = size[0] // len(starts)
    local = ((np.arange(wide) + 0.5) / wide - 0.5) * SPAN
    rows = (np.arange(size[1]) + 0.5 - 18).clip(0, BOTTOM - TOP - 1)
    return np.hstack([_of_skin(local - start, rows) for start in starts])


def _of_skin(around: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The drum's picture at places around it, in degrees, and down it."""
    skin = texture(BOTTOM - TOP, AROUND, 2)
    columns, rows = np.broadcast_arrays((around + 180) % 360 / 360 * AROUND, rows[:, None])
    places = [np.ascontiguousarray(part, np.float32) for part in (columns, rows)]
    skin = np.concatenate([skin, skin[:, :1]], 1)
    return cv2.remap(skin, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def painted(degrees: float, places: tuple[float, float]) -> np.ndarray:  # bool [H, W]
    """Where a mark from one place around the drum to another shows, at that angle."""
    around = surface(degrees)
    rows = np.mgrid[:HEIGHT, :WIDTH][0]
    with np.errstate(invalid="ignore"):
        return (around > places[0]) & (around < places[1]) & (rows > 40) & (rows < 88)
