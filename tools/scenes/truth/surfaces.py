"""Surfaces that move, as functions of their own (u, v) and of time, and the camera that sees them.

Everything that is known of a scene follows from `Sheet.place`: the mesh that Blender renders is a
grid of it, and flow, tracks and distances are the same function projected at another time. World
units are metres, z up; s runs from 0 at the first frame to 1 at the last.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SENSOR = 36.0  # mm, the width of the picture


@dataclass
class Mark:
    """What is painted on a sheet: a word around (u, v)."""

    word: str
    u: float
    v: float
    height: float  # share of v that the letters take
    colour: tuple[float, float, float]  # display-encoded


@dataclass
class Sheet:
    """One layer: a surface in one piece with one texture."""

    name: str
    place: Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # u, v, s -> world [..., 3]
    us: np.ndarray  # where the mesh has vertices
    vs: np.ndarray
    texture: np.ndarray  # display-encoded float [h, w, 3], bottom row first
    mark: Mark
    smooth: bool = True
    seen: tuple[float, float, float, float] = (0, 0, 1, 1)
    """u0, v0, u1, v1: where points to track are drawn"""
    also: tuple[Mark, ...] = ()
    """more words, in the colour of `mark`"""
    cuts: tuple[int, ...] = ()
    """columns of the mesh, each from us[k] to us[k + 1], that are left out"""

    def vertices(self, s: float) -> np.ndarray:  # [V * U, 3]
        v, u = np.meshgrid(self.vs, self.us, indexing="ij")
        return self.place(u.ravel(), v.ravel(), s)


@dataclass
class Camera:
    """A pinhole; its picture's pixel centres lie at whole numbers, x right, y down."""

    place: np.ndarray  # [3]
    turn: np.ndarray  # [3, 3], columns are the camera's x (right), y (up), z (backward) axes
    lens: float  # mm

    def project(self, world: np.ndarray, width: int, height: int) -> np.ndarray:
        """World positions [..., 3] to pixels (x, y) [..., 2]; NaN behind the camera."""
        local = (world - self.place) @ self.turn
        depth = np.where(local[..., 2] < -1e-6, -local[..., 2], np.nan)
        scale = self.lens / SENSOR * width / depth
        x = local[..., 0] * scale + (width - 1) / 2
        y = -local[..., 1] * scale + (height - 1) / 2
        return np.stack([x, y], -1)


@dataclass
class Lamp:
    """A light; `state` gives what changes: aim (towards), energy, and optionally place, colour."""

    kind: str  # SUN or SPOT
    softness: float  # SUN: angle in radians; SPOT: radius in metres
    state: Callable[[float], dict]
    cone: float = 0.0  # SPOT: opening angle in radians


@dataclass
class Scene:
    """All of a scene; layers front to back, the background last."""

    name: str
    says: str
    sheets: list[Sheet]
    camera: Callable[[float], Camera]
    lamps: list[Lamp]
    ambient: float  # strength of the world's light
    blockers: Callable[[float], np.ndarray] | None = None
    """s -> quads [Q, 4, 3] that cast shadows and are not seen"""
    gloss: float = 0.0
    edit_at: float = 0.5
    """s of the frame in which the paint is given"""
    edit_again_at: float | None = None
    """s of the frame in which the paint is given that the first one does not show"""
    roughness: float = 0.55
    shutter: float = 0.0
    """how long a frame is exposed, as a share of the time between two"""
    focus: tuple[float, float] | None = None
    """metres to what is sharp, and the aperture's f-number"""
    worn: Callable[[np.ndarray, int], np.ndarray] | None = None
    """what the recording makes of a display-encoded picture [H, W, 3] of a frame"""


def turned(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    """Rotation matrix: about x, then y, then z, in degrees (Blender's Euler XYZ)."""
    a, b, c = (math.radians(angle) for angle in (x, y, z))
    rx = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    ry = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    rz = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def lathe(profile: list[tuple[float, float, float]], motion: Callable):
    """A surface turned about z from (radius, z, v); u = 0.5 faces -y before it moves.

    `motion` gives rotation [3, 3] and place [3] at s.
    """
    radii, heights, vs = np.array(profile).T

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        radius, z = np.interp(v, vs, radii), np.interp(v, vs, heights)
        around = 2 * math.pi * (u - 0.5) - math.pi / 2
        local = np.stack([radius * np.cos(around), radius * np.sin(around), z], -1)
        rotation, at = motion(s)
        return local @ rotation.T + at

    return place, vs


def ball_profile(radius: float, steps: int = 64) -> list[tuple[float, float, float]]:
    angles = np.linspace(-math.pi / 2, math.pi / 2, steps + 1)
    return [
        (radius * max(math.cos(a), 0.0), radius * math.sin(a), k / steps)
        for k, a in enumerate(angles)
    ]


FLOOR, WALL, BACK = 6.0, 4.5, 2.0  # metres of floor and of wall along v, and where the wall stands


def room(width: float):
    """A floor and the wall behind it as one sheet, `width` metres wide; it does not move."""

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        along = v * (FLOOR + WALL)
        y = BACK - FLOOR + np.minimum(along, FLOOR)
        return np.stack([(u - 0.5) * width, y, np.maximum(along - FLOOR, 0)], -1)

    return place


def banner(width: float, height: float, at: Callable):
    """A cloth held at its left edge; waves run along it and grow, and its foot swings."""

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        swing = u * (0.35 + 0.65 * u)
        phase = 2 * math.pi * (1.15 * u - 1.6 * s)
        y = 0.26 * swing * np.sin(phase) + 0.1 * (1 - v) * u * math.sin(2 * math.pi * s)
        x = u * width * (1 - 0.06 * swing * (1 + np.sin(phase + 1)))
        z = v * height - 0.12 * swing * (1 + 0.7 * math.sin(2 * math.pi * (0.9 * s + 0.2)))
        return np.stack([x, y, z + 0.05 * swing * np.cos(phase)], -1) + at(s)

    return place
