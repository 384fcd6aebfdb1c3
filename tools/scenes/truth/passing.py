"""Scenes of what turns away and comes back, and of what the camera does to a picture."""

import math
from dataclasses import replace

import numpy as np

from scenes.make_sample_clip import CREAM, GOLD, NAVY, RED, TEAL, Canvas, noise
from scenes.truth.pieces import Piece, joined, post
from scenes.truth.surfaces import FLOOR, WALL, Camera, Mark, Scene, Sheet, turned
from scenes.truth.usual import LIME, SKY, background, ball, standing, still_camera, sun, toy
from scenes.truth.wear import recorded


def turntable() -> Scene:
    """The toy once around, with a word in front and one on its back."""
    thing = toy(lambda s: standing(-0.1, 0.1, 360 * s))
    thing.also = (Mark("HAT", 0.02, 0.4, 0.2, SKY),)
    thing.seen = (0.02, 0.08, 0.98, 0.9)
    says = "a rigid object turns once around, painted in front and behind"
    sheets = [thing, background(10, 1.5, 1.25, 54)]
    return Scene("turntable", says, sheets, still_camera, [sun(3.0)], 0.75, edit_at=0.0,
                 edit_again_at=0.5)  # fmt: skip


def revisit() -> Scene:
    """The toy passes behind a pillar that is part of the room."""
    pillar = (0.3, -1.1, 1.12, 2.9)

    def walks(s: float):
        q = 2 * s - 1  # slower behind the pillar
        x = 0.385 + 1.6 * (0.6 * q**3 + 0.4 * q)
        return standing(x, 0.35, -20 + 34 * s, 5 * math.sin(6 * s))

    room = _room_with([pillar], Mark("TRUTH", 0.5, 0, 0.04, LIME), (-1.0, 2.05), 55)
    says = "an object is hidden by a pillar for a quarter of the clip and comes back"
    return Scene("revisit", says, [toy(walks), room], still_camera, [sun(3.0)], 0.75,
                 edit_at=0.12)  # fmt: skip


def posts() -> Scene:
    """A hand-held camera moves sideways past near posts."""

    def camera(s: float) -> Camera:
        w = 2 * math.pi * s
        shake = 0.02 * np.array([math.sin(3 * w), 0, math.sin(4.1 * w + 1)])
        place = np.array([-0.55 + 1.1 * s, -6.2, 1.4]) + shake
        tilt, roll = 86 + 0.5 * math.sin(2.7 * w), 0.8 * math.sin(1.9 * w)
        yaw = 2.5 - 5 * s + 0.4 * math.sin(3.3 * w + 2)
        return Camera(place, turned(tilt, 0, yaw) @ turned(0, 0, roll), 46.0)

    near = [(x, -2.6, 0.2, 2.4) for x in (-1.25, -0.3, 0.65, 1.5)]
    room = _room_with(near, Mark("TRUTH", 0.5, 0, 0.04, LIME), (-0.9, 1.9), 56)
    thing = toy(lambda s: standing(0.5 - 0.5 * s, 0.7, 12 - 20 * s, 6 * math.sin(7 * s)))
    says = "near posts before a far wall, hand-held"
    return Scene("posts", says, [thing, room], camera, [sun(3.0)], 0.75)


def blur() -> Scene:
    """A ball that swings, to and fro and out of the focus."""

    def swings(s: float):
        w = 2 * math.pi * s
        x, y = 0.95 * math.sin(w - 1), 0.55 * math.cos(w - 1) - 0.3
        return turned(0, 0, 24 * math.sin(w)), np.array([x, y, 1.3 + 0.15 * math.cos(2 * w)])

    says = "motion blur, and a wall that is out of focus"
    sheets = [ball(0.6, swings), background(10, 1.5, 1.25, 57)]
    return Scene("blur", says, sheets, still_camera, [sun(3.0)], 0.75, shutter=0.5,
                 focus=(6.5, 0.3))  # fmt: skip


def grain() -> Scene:
    """A toy that turns, as a small camera records it in the evening."""
    thing = toy(lambda s: standing(-0.25 + 0.3 * s, 0.1, -30 + 60 * s, 4 * math.sin(6 * s)))
    says = "an object turns by 60 degrees; sensor noise and strong compression"
    sheets = [thing, background(10, 1.5, 1.25, 58)]
    return Scene("grain", says, sheets, still_camera, [sun(2.2)], 0.55, worn=recorded)


def _room_with(near: list, mark: Mark, at: tuple[float, float], seed: int) -> Sheet:
    """The room of the other scenes, painted at (x, z) of its wall, with posts (x, y, side, height)
    in it: one background to the artist."""
    wide = 10.0
    plain = background(wide, 0, 0, seed)
    spot = replace(mark, u=0.5 + at[0] / wide, v=(FLOOR + at[1]) / (FLOOR + WALL))
    pieces = [Piece(plain.place, plain.texture, np.linspace(0, 1, 5), marks=[spot])]
    for k, (x, y, side, height) in enumerate(near):
        texture = _post_texture(len(plain.texture), 4 * side / height, k)
        pieces.append(Piece(post(x, y, side, height), texture, np.linspace(0, 1, 5)))
    share = plain.texture.shape[1] / sum(piece.texture.shape[1] for piece in pieces)
    u0, v0, u1, v1 = plain.seen
    seen = (u0 * share, v0, u1 * share, v1)
    return joined("background", pieces, plain.vs, smooth=False, seen=seen)


def _post_texture(tall: int, wide: float, k: int) -> np.ndarray:
    c = Canvas(max(64, round(wide * tall)), tall, (CREAM, GOLD, TEAL, RED)[k % 4])
    for row in range(14):
        v = (row + 0.5) / 14
        for side in range(4):
            u = (side + 0.5) * wide / 4
            reach = min(0.028, wide / 12)
            if (row + side + k) % 3:
                c.diamond(u, v, reach, 0.028, (NAVY, RED, CREAM)[(row + side) % 3])
            else:
                c.star(u, v, reach, NAVY)
        c.band(v + 0.032, v + 0.038, NAVY)
    wear = 1 + 0.06 * noise(c.rgb.shape[1], tall, 20 * wide, 20, 91 + k)
    return np.clip(c.rgb * wear[..., None], 0, 1)
