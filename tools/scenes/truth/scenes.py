"""The family of scenes: each holds one difficulty of a decomposition, alone as far as it can be."""

import math

import numpy as np

from scenes.truth.passing import blur, grain, posts, revisit, turntable
from scenes.truth.people import hair, head, walker
from scenes.truth.surfaces import BACK, Camera, Lamp, Mark, Scene, Sheet, banner, turned
from scenes.truth.textures import banner_texture
from scenes.truth.usual import LENS, WHITE, background, ball, standing, still_camera, sun, toy


def turning() -> Scene:
    thing = toy(lambda s: standing(-0.1, 0.1, -34 + 68 * s))
    says = "a rigid object that turns by 68 degrees before a still camera"
    sheets = [thing, background(10, 1.5, 1.25, 41)]
    return Scene("turning", says, sheets, still_camera, [sun(3.0)], 0.75)


def bending() -> Scene:
    place = banner(2.3, 1.45, lambda s: np.array([-1.25 + 0.25 * s, 0.2, 0.72]))
    mark = Mark("PAINT", 0.45, 0.72, 0.17, WHITE)
    us, vs = np.linspace(0, 1, 121), np.linspace(0, 1, 41)
    seen = (0.04, 0.06, 0.96, 0.94)
    cloth = Sheet("banner", place, us, vs, banner_texture(), mark, seen=seen)
    says = "a cloth that bends in waves"
    sheets = [cloth, background(10, -0.4, 0.34, 42)]
    return Scene("bending", says, sheets, still_camera, [sun(2.8)], 0.8)


def crossing() -> Scene:
    radius = 0.52

    def rolls(s: float):
        x = -1.45 + 2.6 * s
        return turned(0, math.degrees(x / radius) * 0.6, 0), np.array([x, -0.9, radius])

    def walks(s: float):
        rock = 7 * math.sin(5 * s)
        return standing(1.25 - 2.3 * s, 0.5, -12 + 20 * s, rock)

    says = "a rolling ball passes in front of an object that goes the other way"
    sheets = [ball(radius, rolls), toy(walks), background(10, -1.45, 1.3, 43)]
    return Scene("crossing", says, sheets, still_camera, [sun(3.0)], 0.75, edit_at=0.15)


def shadow() -> Scene:
    towards = np.array([0.45, 0.8, -0.55])
    aim = towards / np.linalg.norm(towards)

    def bars(s: float) -> np.ndarray:
        """Two posts and a beam, far towards the sun; their shadow sweeps to the right."""
        middle = np.array([-2.2 + 3.6 * s, BACK, 1.3]) - 9 * aim
        shapes = [(-0.9, -0.55, -4, 4), (0.35, 0.8, -4, 4), (-3.5, 3.5, 0.75, 1.0)]
        corners = [
            [(x, 0, z) for x, z in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))]
            for x0, x1, z0, z1 in shapes
        ]
        return middle + np.array(corners)

    thing = toy(lambda s: standing(-0.35 + 0.5 * s, 0.1, -10 + 16 * s))
    sheets = [thing, background(10, 1.5, 1.25, 44)]
    says = "the hard shadow of a frame sweeps over an object and the wall"
    lamps = [sun(3.6, tuple(towards), 0.004)]
    return Scene("shadow", says, sheets, still_camera, lamps, 0.5, blockers=bars)


def disco() -> Scene:
    thing = ball(0.75, lambda s: (turned(0, 0, -24 + 48 * s), np.array([-0.15, 0.1, 1.3])))
    says = "spots of coloured light flicker and sweep over an object and the room"
    lamps = [sun(0.9)]
    for k, colour in enumerate(((1, 0.2, 0.25), (0.25, 0.9, 0.35), (0.3, 0.4, 1))):

        def state(s: float, k=k, colour=colour) -> dict:
            swing = math.sin(2 * math.pi * (0.9 * s + k / 3))
            flicker = 0.55 + 0.45 * math.sin(2 * math.pi * ((3.1 + k) * s + k / 3))
            place = np.array([-2.4 + 2.4 * k, -4.2, 3.6])
            target = np.array([-0.2 + 1.5 * swing, 1.0, 1.2 + 0.4 * math.cos(5 * s + k)])
            return {"place": place, "aim": target - place, "energy": 2400 * flicker,
                    "colour": colour}  # fmt: skip

        lamps.append(Lamp("SPOT", 0.1, state, cone=math.radians(28)))
    sheets = [thing, background(10, 1.55, 0.75, 45)]
    return Scene("disco", says, sheets, still_camera, lamps, 0.28, gloss=0.15)


def pan() -> Scene:
    def camera(s: float) -> Camera:
        return Camera(np.array([0, -6.2, 1.35]), turned(86.3, 0, 22 - 44 * s), LENS)

    def walks(s: float):
        rock = 8 * math.sin(9 * s)
        return standing(-2.5 + 5 * s, 0.3, 16 - 32 * s, rock)

    sheets = [toy(walks), background(20, 1.5, 1.2, 46, reach=4.0)]
    says = "the camera pans by 44 degrees after a rocking object"
    return Scene("pan", says, sheets, camera, [sun(3.0)], 0.75)


def handheld() -> Scene:
    def camera(s: float) -> Camera:
        w = 2 * math.pi * s
        shake = 0.05 * np.array([math.sin(3 * w), 0, math.sin(4.1 * w + 1)])
        place = np.array([-0.35 + 0.7 * s, -6.3 + 0.7 * s, 1.4]) + shake
        tilt = 86 + 0.9 * math.sin(2.7 * w) + 0.5 * math.sin(5.3 * w)
        roll, yaw = 1.3 * math.sin(1.9 * w), 4 - 6 * s + 1.0 * math.sin(3.3 * w + 2)
        return Camera(place, turned(tilt, 0, yaw) @ turned(0, 0, roll), 46.0)

    thing = toy(lambda s: standing(-0.5 + 0.8 * s, 0.0, -16 + 26 * s, 6 * math.sin(7 * s)))
    sheets = [thing, background(10, 1.5, 1.25, 47)]
    says = "a hand-held camera walks towards a rocking object"
    return Scene("handheld", says, sheets, camera, [sun(3.0)], 0.75)


OLD = turning, bending, crossing, shadow, disco, pan, handheld
NEW = walker, turntable, head, revisit, posts, blur, hair, grain
SCENES = {f.__name__: f for f in (*OLD, *NEW)}
