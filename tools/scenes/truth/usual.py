"""What the scenes are put together from: the toy, the ball, the room, a camera, a sun."""

from collections.abc import Callable

import numpy as np

from scenes.make_sample_clip import BELLY, toy_profile, toy_texture
from scenes.truth.surfaces import (
    FLOOR,
    WALL,
    Camera,
    Lamp,
    Mark,
    Sheet,
    ball_profile,
    lathe,
    room,
    turned,
)
from scenes.truth.textures import ball_texture, room_texture

LENS = 52.0
WHITE, SKY, LIME = (0.95, 0.95, 0.92), (0.35, 0.75, 0.98), (0.62, 0.9, 0.25)


def toy(motion: Callable) -> Sheet:
    """The roly-poly of the sample clip; its front is at u = 0.5."""
    place, vs = lathe(toy_profile(96), motion)
    mark = Mark("NVD", 0.5, 0.4, 0.2, SKY)
    front = (0.3, 0.08, 0.7, 0.9)
    return Sheet("toy", place, np.linspace(0, 1, 97), vs, toy_texture()[::2, ::2], mark, seen=front)


def ball(radius: float, motion: Callable) -> Sheet:
    place, vs = lathe(ball_profile(radius), motion)
    mark = Mark("SUN", 0.5, 0.5, 0.15, WHITE)
    front = (0.33, 0.2, 0.67, 0.8)
    return Sheet("ball", place, np.linspace(0, 1, 97), vs, ball_texture(), mark, seen=front)


def background(width: float, x: float, z: float, seed: int, reach: float = 3.0) -> Sheet:
    """The room, painted at (x, z) of its wall; points are drawn within `reach` of x = 0."""
    mark = Mark("TRUTH", 0.5 + x / width, (FLOOR + z) / (FLOOR + WALL), 0.04, LIME)
    seen = (0.5 - reach / width, 0.45, 0.5 + reach / width, 0.85)
    ends = np.array([0, FLOOR / (FLOOR + WALL), 1])
    texture = room_texture(width, seed)
    us = np.linspace(0, 1, 5)
    return Sheet("background", room(width), us, ends, texture, mark, smooth=False, seen=seen)


def still_camera(s: float) -> Camera:
    return Camera(np.array([0, -6.2, 1.35]), turned(86.3), LENS)


def sun(strength: float, towards=(0.45, 0.8, -0.6), softness: float = 0.12) -> Lamp:
    state = {"aim": towards, "energy": strength, "colour": (1.0, 0.95, 0.88)}
    return Lamp("SUN", softness, lambda s: state)


def standing(x: float, y: float, yaw: float = 0, rock: float = 0):
    """Rotation and place of the toy on the floor."""
    return turned(0, rock, 0) @ turned(0, 0, yaw), np.array([x, y, BELLY])
