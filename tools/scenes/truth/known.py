"""What follows from the surfaces alone: what is seen where, optical flow, points to track."""

from dataclasses import dataclass

import numpy as np

from scenes.truth.surfaces import Scene, Sheet

POINTS = 48  # to track, a layer
FAR = 1e6


@dataclass
class Seen:
    """What lies at the centre of every pixel of one frame."""

    layer: np.ndarray  # int [H, W], -1 where there is nothing
    uv: np.ndarray  # [H, W, 2] of that layer
    distance: np.ndarray  # [H, W] metres from the camera


def seen(scene: Scene, uvs: list[np.ndarray], s: float) -> Seen:
    """The nearest of the layers; `uvs` holds (u, v, there or not) [H, W, 3] of each."""
    place = scene.camera(s).place
    distances = []
    for sheet, uv in zip(scene.sheets, uvs, strict=True):
        away = np.linalg.norm(sheet.place(uv[..., 0], uv[..., 1], s) - place, axis=-1)
        distances.append(np.where(uv[..., 2] > 0.5, away, FAR))
    nearest = np.argmin(distances, 0)
    distance = np.min(distances, 0)
    uv = np.take_along_axis(np.stack(uvs), nearest[None, ..., None], 0)[0, ..., :2]
    return Seen(np.where(distance < FAR, nearest, -1), uv, distance)


def flow(scene: Scene, here: Seen, s: float, there: Seen) -> tuple[np.ndarray, np.ndarray]:
    """Flow [H, W, 2] in pixels from the frame `here` to the frame `there` at time `s`, and where
    the same point is seen there, bool [H, W]. Flow is 0 where there is nothing to see."""
    height, width = here.layer.shape
    camera = scene.camera(s)
    target = np.full((height, width, 2), np.nan)
    away = np.full((height, width), FAR)
    for n, sheet in enumerate(scene.sheets):
        at = here.layer == n
        world = sheet.place(here.uv[at][:, 0], here.uv[at][:, 1], s)
        target[at] = camera.project(world, width, height)
        away[at] = np.linalg.norm(world - camera.place, axis=-1)
    y, x = np.mgrid[0:height, 0:width]
    inside = np.isfinite(target).all(-1)
    column, row = (np.rint(np.nan_to_num(target[..., c], nan=-9)).astype(int) for c in (0, 1))
    inside &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = column.clip(0, width - 1), row.clip(0, height - 1)
    free = inside & (there.layer[row, column] == here.layer)
    free &= away <= there.distance[row, column] * 1.02
    return np.nan_to_num(target - np.stack([x, y], -1)), free


def draw_points(sheet: Sheet, random: np.random.Generator) -> np.ndarray:  # [N, 2] u, v
    """Points of the part of the sheet that is meant to be seen."""
    u0, v0, u1, v1 = sheet.seen
    return np.stack([random.uniform(u0, u1, POINTS), random.uniform(v0, v1, POINTS)], -1)


def track(scene: Scene, points: list[np.ndarray], s: float, size: tuple[int, int], sees):
    """Pixels [N, 2] and occluded or not [N] of the points of all layers at time s.

    `sees` says of world positions whether they can be seen; what is outside the picture cannot.
    """
    camera, (width, height) = scene.camera(s), size
    world = np.concatenate(
        [sheet.place(p[:, 0], p[:, 1], s) for sheet, p in zip(scene.sheets, points, strict=True)]
    )
    pixels = np.nan_to_num(camera.project(world, width, height), nan=-1e4)
    inside = (pixels > -0.5).all(-1) & (pixels < (width - 0.5, height - 0.5)).all(-1)
    return pixels, ~(inside & sees(world))
