"""Scenes of what has limbs, a face or hair."""

import math

import numpy as np

from scenes.make_sample_clip import BROWN, CREAM, GOLD, NAVY, RED, SKIN, TEAL, Canvas, noise
from scenes.truth.pieces import Limb, Piece, joined
from scenes.truth.surfaces import Camera, Mark, Scene, ball_profile, lathe, turned
from scenes.truth.textures import write
from scenes.truth.usual import LENS, SKY, background, still_camera, sun

TALL = 1024  # texels of a piece's height
LEG = Limb(0.98, [(0, 0.02), (0.03, 0.1), (0.45, 0.072), (0.82, 0.05), (0.9, 0.055), (0.985, 0.04),
                  (1, 0.005)], foot=80)  # fmt: skip
ARM = Limb(0.66, [(0, 0.01), (0.04, 0.062), (0.45, 0.05), (0.82, 0.036), (0.92, 0.045),
                  (0.985, 0.03), (1, 0.004)])  # fmt: skip
BODY = [(0, 0.005, 0), (0.1, 0.0, 0.04), (0.165, 0.03, 0.1), (0.165, 0.14, 0.2),
        (0.135, 0.27, 0.33), (0.175, 0.43, 0.48), (0.18, 0.52, 0.57), (0.07, 0.59, 0.66),
        (0.06, 0.64, 0.7),
        (0.095, 0.68, 0.75), (0.115, 0.77, 0.84), (0.1, 0.87, 0.93), (0.005, 0.92, 1)]  # fmt: skip
"""radius across, height over the hips and v: trunk, neck and head"""


def walker() -> Scene:
    """A figure on its way to the right and towards the camera; three steps."""
    strides, heading = 1.5, turned(0, 0, -28)

    def gait(s: float):
        """Angles (upper, lower) of both legs and both arms, near side first, and the hips."""
        phase = 2 * math.pi * strides * s + 0.6
        swings = [math.sin(phase + side) for side in (0, math.pi)]
        lifts = [max(math.cos(phase + side), 0) ** 1.5 for side in (0, math.pi)]
        legs = [(27 * a, 27 * a - 8 - 48 * b) for a, b in zip(swings, lifts, strict=True)]
        arms = [(-26 * a, -26 * a + 28) for a in swings]
        low = min(LEG.line(*leg)[0][:, 1].min() for leg in legs)
        walked = heading @ np.array([-1.35 + 2.4 * s, 0, 0])
        return legs, arms, walked + np.array([0.1, 0.35, 0.045 - low])

    def limb(kind: Limb, which: int, side: int, at: tuple[float, float]):
        def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
            posed = gait(s)
            local = kind.place(u, v, *posed[which][side])
            local += np.array([0, (-1, 1)[side] * at[0], at[1]])
            return local @ heading.T + posed[2]

        return place

    def trunk(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        radii, heights, vs = np.array(BODY).T
        radius, z = np.interp(v, vs, radii), np.interp(v, vs, heights)
        around = 2 * math.pi * (u - 0.5) - math.pi / 2
        deep = np.where(z < 0.6, 0.72, 1.0)
        local = np.stack([deep * radius * np.cos(around), radius * np.sin(around), z], -1)
        return local @ heading.T + gait(s)[2]

    us = np.linspace(0, 1, 49)
    word = Mark("RUN", 0.64, 0.41, 0.095, SKY)
    pieces = [
        Piece(trunk, _shirt(), us, marks=[word]),
        Piece(limb(LEG, 0, 0, (0.09, 0.02)), _leg(NAVY, GOLD, CREAM, 61), us,
              marks=[Mark("UP", 0.6, 0.72, 0.075, SKY)]),
        Piece(limb(LEG, 0, 1, (0.09, 0.02)), _leg(TEAL, RED, GOLD, 62), us,
              marks=[Mark("ON", 0.6, 0.72, 0.075, SKY)]),
        Piece(limb(ARM, 1, 0, (0.23, 0.5)), _sleeve(GOLD, NAVY, 63), us),
        Piece(limb(ARM, 1, 1, (0.23, 0.5)), _sleeve(RED, CREAM, 64), us),
    ]  # fmt: skip
    figure = joined("walker", pieces, np.linspace(0, 1, 97), seen=(0, 0.06, 1, 0.95))
    says = "a figure walks: legs cross, arms swing in front of the body"

    def camera(s: float) -> Camera:
        return Camera(np.array([0, -5.1, 1.05]), turned(88.5), LENS)

    back = background(10, 1.2, 1.25, 51)
    return Scene("walker", says, [figure, back], camera, [sun(3.0)], 0.8)


def head() -> Scene:
    """A head on its shoulders, near the camera."""
    profile = [(0.005, -0.42, 0), (0.11, -0.4, 0.03), (0.17, -0.36, 0.08), (0.22, -0.27, 0.17),
               (0.265, -0.12, 0.32), (0.285, 0.05, 0.5), (0.285, 0.16, 0.62), (0.25, 0.28, 0.76),
               (0.16, 0.37, 0.89), (0.005, 0.41, 1)]  # fmt: skip
    radii, heights, vs = np.array(profile).T

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        """An egg with a nose and a chin; its face looks to -y."""
        radius, z = np.interp(v, vs, radii), np.interp(v, vs, heights)
        away = (u - 0.5) * 2 * math.pi
        radius = radius + 0.085 * np.exp(-((away / 0.16) ** 2) - ((v - 0.42 - 0.1) / 0.09) ** 2)
        radius = radius + 0.03 * np.exp(-((away / 0.5) ** 2) - ((v - 0.12) / 0.08) ** 2)
        around = away - math.pi / 2
        local = np.stack([radius * np.cos(around), 1.12 * radius * np.sin(around), z], -1)
        yaw = -60 + 60 * (1 - math.cos(2 * math.pi * s))
        return local @ turned(0, 0, yaw).T + np.array([0, 0, 1.62])

    bust, _ = lathe([(0.6, 0, 0), (0.58, 0.42, 0.3), (0.5, 0.7, 0.5), (0.2, 0.84, 0.68),
                     (0.125, 0.92, 0.75), (0.12, 1.3, 1)],
                    lambda s: (np.diag([1, 0.6, 1.0]), np.array([0, 0.05, 0.36])))  # fmt: skip
    us = np.linspace(0, 1, 97)
    marks = [Mark("HERO", 0.5, 0.76, 0.11, SKY), Mark("A", 0.405, 0.36, 0.11, SKY),
             Mark("UP", 0.66, 0.4, 0.1, SKY)]  # fmt: skip
    pieces = [Piece(place, _face(), us, marks=marks), Piece(bust, _jumper(), us)]
    sheet = joined("head", pieces, np.linspace(0, 1, 97), seen=(0.1, 0.05, 0.55, 0.95))
    says = "a head turns by 120 degrees and back, with a specular spot"
    back = background(8, 1.05, 1.75, 52)

    def camera(s: float) -> Camera:
        return Camera(np.array([0, -3.4, 1.62]), turned(88), LENS)

    scene = Scene("head", says, [sheet, back], camera, [sun(2.6)], 0.75, gloss=0.8, edit_at=0.25)
    scene.roughness = 0.22
    return scene


STRANDS = 420


def hair() -> Scene:
    """A ball with long hair in the wind."""
    random = np.random.default_rng(7)
    turn, rise = random.uniform(0, 2 * math.pi, STRANDS), random.uniform(0.05, 1, STRANDS)
    flat = np.sqrt(1 - rise**2)
    root = np.stack([flat * np.cos(turn), flat * np.sin(turn), rise], -1)
    length = random.uniform(0.45, 0.95, STRANDS)
    phase, sway = random.uniform(0, 2 * math.pi, (2, STRANDS))
    radius, middle = 0.46, lambda s: np.array([-0.25 + 0.5 * s, 0.0, 1.35])

    def strand(k: np.ndarray, t: np.ndarray, s: float) -> np.ndarray:
        """Where strand k is at share t of its length."""
        out = root[k] * (radius - 0.01 + 0.55 * length[k] * t)[..., None]
        blown = np.sin(2 * math.pi * 1.3 * s + 0.5 * phase[k]) + 0.4 * np.sin(9 * s + sway[k])
        bent = np.stack([0.16 * blown, 0.05 * np.cos(sway[k]), -0.62 * length[k]], -1)
        return out + bent * (t**2)[..., None] + middle(s)

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        """Ribbons that face the camera, a strand in every STRANDS-th of u; v = 0 is the root."""
        k = np.minimum((u * STRANDS).astype(int), STRANDS - 1)
        along = strand(k, v + 0.01, s) - strand(k, v - 0.01, s)
        aside = np.stack([along[..., 2], 0 * along[..., 0], -along[..., 0]], -1)
        aside /= np.maximum(np.linalg.norm(aside, axis=-1, keepdims=True), 1e-9)
        wide = 0.011 * (1 - 0.75 * v) * (2 * (u * STRANDS - k) - 1)
        return strand(k, v, s) + aside * wide[..., None]

    ball, vs = lathe(ball_profile(radius), lambda s: (turned(0, 0, -10 + 20 * s), middle(s)))
    edges = np.stack([np.arange(STRANDS) + 0.02, np.arange(STRANDS) + 0.98], -1).ravel() / STRANDS
    pieces = [
        Piece(ball, _doll(), np.linspace(0, 1, 65), marks=[Mark("OLD", 0.5, 0.42, 0.12, SKY)]),
        Piece(place, _strands(), edges, cuts=list(range(1, 2 * STRANDS - 1, 2))),
    ]
    sheet = joined("doll", pieces, vs, seen=(0.13, 0.2, 0.27, 0.6))
    says = "hair in the wind: a soft, thin edge"
    return Scene("hair", says, [sheet, background(10, 1.5, 1.25, 53)], still_camera, [sun(3.0)],
                 0.8)  # fmt: skip


def _woven(c: Canvas, seed: int, strength: float = 0.05) -> np.ndarray:
    """The canvas's picture with the unevenness of cloth."""
    high, wide = c.rgb.shape[:2]
    around = wide / high
    cloth = 1 + strength * noise(wide, high, 14 * around, 14, seed)
    cloth += strength * noise(wide, high, 80 * around, 80, seed + 1)
    return np.clip(c.rgb * cloth[..., None], 0, 1)


def _shirt() -> np.ndarray:
    wide = 1.1
    c = Canvas(round(wide * TALL), TALL, RED)
    for k in range(9):
        c.band(0.2 + 0.05 * k, 0.222 + 0.05 * k, (CREAM, GOLD)[k % 2])
    c.band(0, 0.17, NAVY)
    c.band(0.6, 0.705, CREAM)
    for k in range(8):
        u = (k + 0.5) * wide / 8
        write(c, "PSDRTHUL"[k], u, 0.3, 0.06, NAVY)
        c.star(u + 0.06, 0.52, 0.034, NAVY if k % 2 else TEAL)
        c.diamond(u, 0.1, 0.022, 0.03, GOLD)
    c.band(0.71, 1, SKIN)
    for u0, u1 in ((0, 0.5 * wide), (wide * 0.97, wide)):  # hair behind and beside the face
        c.box(u0, 0.78, u1, 1, BROWN)
    c.band(0.91, 1, BROWN)
    for aside in (-0.07, 0.07):
        c.ellipse(0.75 * wide + aside, 0.86, 0.025, 0.014, CREAM)
        c.ellipse(0.75 * wide + aside, 0.86, 0.012, 0.013, NAVY)
    c.ellipse(0.75 * wide, 0.785, 0.04, 0.009, RED)
    return _woven(c, 71)


def _leg(ground, figure, trim, seed: int) -> np.ndarray:
    wide = 0.5
    c = Canvas(round(wide * TALL), TALL, ground)
    for row in range(9):
        for column in range(4):
            at = (column + 0.5 * (row % 2) + 0.25) * wide / 4, 0.22 + 0.085 * row
            if row % 3 == 2:
                write(c, "NSHEDOLI"[(row + column) % 8], *at, 0.045, trim)
            else:
                c.diamond(*at, 0.035, 0.03, (figure, trim)[(row + column) % 2])
    c.band(0.17, 0.19, trim)
    c.band(0, 0.14, BROWN)
    c.band(0.05, 0.065, CREAM)
    return _woven(c, seed, 0.06)


def _sleeve(ground, figure, seed: int) -> np.ndarray:
    wide = 0.45
    c = Canvas(round(wide * TALL), TALL, ground)
    for k in range(12):
        c.band(0.2 + 0.07 * k, 0.225 + 0.07 * k, figure)
    for k in range(3):
        c.star((k + 0.5) * wide / 3, 0.55, 0.06, CREAM)
    c.band(0, 0.17, SKIN)
    return _woven(c, seed)


def _face() -> np.ndarray:
    wide = 2.1
    c = Canvas(round(wide * TALL), TALL, SKIN)
    middle = wide / 2
    for u0, u1 in ((0, 0.22 * wide), (0.78 * wide, wide)):
        c.box(u0, 0.2, u1, 1, BROWN)
    c.band(0.86, 1, BROWN)
    for k in range(70):  # locks
        u = k * wide / 70
        c.ellipse(u, 0.9 if 15 < k < 55 else 0.6, 0.006, 0.16 if 15 < k < 55 else 0.4,
                  (GOLD, (0.4, 0.24, 0.12))[k % 2], 0.05 * math.sin(k), 0.7)  # fmt: skip
    for side in (-1, 1):
        at = middle + side * 0.17
        c.ellipse(at, 0.6, 0.075, 0.035, CREAM)
        c.ellipse(at, 0.6, 0.034, 0.034, TEAL)
        c.ellipse(at, 0.6, 0.015, 0.015, (0.05, 0.05, 0.05))
        c.ellipse(at, 0.67, 0.09, 0.014, BROWN, -0.12 * side)
        c.ellipse(at + side * 0.08, 0.42, 0.07, 0.05, (0.93, 0.6, 0.5), opacity=0.7)
        c.ellipse(middle + side * 0.03, 0.44, 0.012, 0.01, (0.6, 0.35, 0.28))
        c.ellipse(middle + side * 0.53, 0.53, 0.045, 0.09, (0.88, 0.62, 0.48))
    c.ellipse(middle, 0.28, 0.12, 0.03, RED)
    c.ellipse(middle, 0.283, 0.1, 0.006, (0.4, 0.05, 0.06))
    random = np.random.default_rng(81)
    for _ in range(90):  # freckles
        u, v = random.normal(middle, 0.26), random.uniform(0.33, 0.56)
        c.ellipse(u, v, 0.007, 0.006, (0.72, 0.48, 0.34), opacity=0.8)
    return _woven(c, 82, 0.025)


def _jumper() -> np.ndarray:
    wide = 2.4
    c = Canvas(round(wide * TALL), TALL, TEAL)
    for k in range(24):
        u = (k + 0.5) * wide / 24
        c.diamond(u, 0.25, 0.04, 0.09, (CREAM, GOLD, RED)[k % 3])
        c.star(u, 0.55, 0.04, CREAM)
    c.band(0.62, 0.68, NAVY)
    c.band(0.72, 1, SKIN)
    return _woven(c, 83)


def _doll() -> np.ndarray:
    c = Canvas(2 * TALL, TALL, SKIN)
    for k in range(12):
        c.star((k + 0.5) / 6, 0.26, 0.05, (RED, NAVY)[k % 2])
        c.diamond((k + 0.5) / 6, 0.12, 0.05, 0.03, TEAL)
        c.ellipse((k + 0.1) / 6, 0.55, 0.035, 0.05, (GOLD, RED, TEAL)[k % 3])
    c.band(0.68, 1, (0.24, 0.14, 0.08))
    return _woven(c, 84, 0.04)


def _strands() -> np.ndarray:
    """A colour for each strand, darker at the root."""
    random = np.random.default_rng(85)
    wide = 2 * TALL
    tones = np.array(
        [(0.2, 0.11, 0.05), (0.33, 0.19, 0.09), (0.52, 0.33, 0.16), (0.68, 0.47, 0.24)]
    )
    colour = tones[random.integers(0, 4, STRANDS)]
    column = np.minimum(np.arange(wide) * STRANDS // wide, STRANDS - 1)
    shade = 0.75 + 0.35 * np.linspace(0, 1, TALL)[:, None, None]
    return (colour[column][None] * shade).clip(0, 1).astype(np.float32)
