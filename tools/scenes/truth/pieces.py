"""Several pieces of surface as one sheet: side by side along u, with nothing between them.

What an artist takes for one object may consist of pieces that move by themselves, the limbs of a
figure. They share a texture, piece beside piece, and a mesh that is cut between them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from scenes.truth.surfaces import Mark, Sheet

GAP = 1e-4  # of u, left out on either side of a cut


@dataclass
class Piece:
    """A surface over its own (u, v), both 0 to 1."""

    place: Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # u, v, s -> world [..., 3]
    texture: np.ndarray  # [h, w, 3], as high as those of the other pieces, bottom row first
    us: np.ndarray  # where the mesh has vertices
    cuts: list[int] = field(default_factory=list)  # columns of the mesh that are left out
    marks: list[Mark] = field(default_factory=list)


def joined(name: str, pieces: list[Piece], vs: np.ndarray, **more) -> Sheet:
    """One sheet of the pieces; its first mark gives the colour of all."""
    widths = np.array([piece.texture.shape[1] for piece in pieces])
    ends = np.concatenate([[0], np.cumsum(widths)]) / widths.sum()
    spans = [(a + GAP, b - GAP) for a, b in pairwise(ends)]
    us, cuts, marks = [], [], []
    for piece, (a, b) in zip(pieces, spans, strict=True):
        cuts += [len(us) + cut for cut in piece.cuts]
        us += (a + (b - a) * piece.us).tolist()
        cuts.append(len(us) - 1)
        marks += [replace(mark, u=a + (b - a) * mark.u) for mark in piece.marks]

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        which = np.clip(np.searchsorted(ends, u, side="right") - 1, 0, len(pieces) - 1)
        world = np.empty((*u.shape, 3))
        for n, (piece, (a, b)) in enumerate(zip(pieces, spans, strict=True)):
            own = which == n
            if own.any():
                world[own] = piece.place(((u[own] - a) / (b - a)).clip(0, 1), v[own], s)
        return world

    texture = np.concatenate([piece.texture for piece in pieces], 1)
    sheet = Sheet(name, place, np.array(us), vs, texture, marks[0], **more)
    sheet.cuts, sheet.also = tuple(cuts[:-1]), tuple(marks[1:])
    return sheet


@dataclass
class Limb:
    """A tube that bends in a plane along x and z: a leg with its foot, or an arm."""

    length: float
    radii: list[tuple[float, float]]  # (share of the length from the top, radius)
    joint: float = 0.45  # share of the length at which it bends
    foot: float = 0.0  # degrees by which its end points forward

    def angles(self, upper: float, lower: float, t: np.ndarray) -> np.ndarray:
        """Degrees forward of straight down, at shares t of the length."""
        bend = _smooth((t - self.joint + 0.08) / 0.16)
        return upper + (lower - upper) * bend + self.foot * _smooth((t - 0.86) / 0.06)

    def line(self, upper: float, lower: float) -> tuple[np.ndarray, np.ndarray]:
        """The tube's middle (x, z) [129, 2] from the top down, and its angles in radians [129]."""
        t = np.linspace(0, 1, 129)
        angle = np.radians(self.angles(upper, lower, t))
        step = np.stack([np.sin(angle), -np.cos(angle)], -1) * self.length / 128
        return np.concatenate([np.zeros((1, 2)), np.cumsum(step[:-1], 0)]), angle

    def place(self, u, v, upper: float, lower: float) -> np.ndarray:
        """Points [..., 3] around the top, which v = 1 is; u = 0.5 faces -y."""
        t = 1 - v
        (line, angle), grid = self.line(upper, lower), np.linspace(0, 1, 129)
        x, z, turn = (np.interp(t, grid, values) for values in (*line.T, angle))
        radius = np.interp(t, *np.array(self.radii).T)
        around = 2 * math.pi * (u - 0.5) - math.pi / 2
        aside = radius * np.cos(around)
        return np.stack(
            [x + aside * np.cos(turn), radius * np.sin(around), z + aside * np.sin(turn)], -1
        )


def _smooth(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def post(x: float, y: float, side: float, height: float):
    """A square post on the floor, its front at u = 0.375."""

    def place(u: np.ndarray, v: np.ndarray, s: float) -> np.ndarray:
        corner = np.array([[-1, 1], [-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2
        at = u * 4
        across, along = (np.interp(at, np.arange(5), corner[:, c]) for c in (0, 1))
        return np.stack([x + across, y + along, v * height], -1)

    return place
