"""Textures rich enough to be followed, and the words painted on them; bottom row first."""

import math

import numpy as np

from scenes.make_sample_clip import BROWN, CREAM, GOLD, NAVY, RED, TEAL, Canvas, noise
from scenes.truth.surfaces import FLOOR, WALL, Mark

LETTERS = {
    "A": (" # ", "# #", "###", "# #", "# #"), "D": ("## ", "# #", "# #", "# #", "## "),
    "E": ("###", "#  ", "## ", "#  ", "###"), "H": ("# #", "# #", "###", "# #", "# #"),
    "I": ("###", " # ", " # ", " # ", "###"), "L": ("#  ", "#  ", "#  ", "#  ", "###"),
    "N": ("# #", "###", "###", "# #", "# #"), "O": ("###", "# #", "# #", "# #", "###"),
    "P": ("###", "# #", "###", "#  ", "#  "), "R": ("###", "# #", "## ", "# #", "# #"),
    "S": ("###", "#  ", "###", "  #", "###"), "T": ("###", " # ", " # ", " # ", " # "),
    "U": ("# #", "# #", "# #", "# #", "###"), "V": ("# #", "# #", "# #", "# #", " # "),
}  # fmt: skip
DENSITY = 128  # texels a metre of the room


def write(canvas: Canvas, word: str, u: float, v: float, height: float, colour) -> None:
    """Letters of 3 by 5 squares around (u, v), in the canvas's units."""
    cell = height / 5
    left = u - cell * (4 * len(word) - 1) / 2
    for letter in word:
        for row, line in enumerate(LETTERS[letter]):
            top = v + height / 2 - row * cell
            for column in range(3):
                if line[column] == "#":
                    at = left + column * cell
                    canvas.box(at, top - cell, at + cell, top, colour)
        left += 4 * cell


def mark_cover(marks: tuple[Mark, ...], texture: np.ndarray) -> np.ndarray:  # float32 [h, w]
    """How opaque the paint of `marks` is on every texel: each a word, with a bar below."""
    height, width = texture.shape[:2]
    canvas = Canvas(width, height, (0, 0, 0))
    for mark in marks:
        u, cell = mark.u * width / height, mark.height / 5
        write(canvas, mark.word, u, mark.v, mark.height, (1, 1, 1))
        reach = cell * (4 * len(mark.word) - 1) / 2
        low = mark.v - mark.height / 2 - 2.2 * cell
        canvas.box(u - reach, low, u + reach, low + 1.2 * cell, (1, 1, 1))
    return canvas.rgb[..., 0]


def room_texture(width: float, seed: int) -> np.ndarray:
    """A tiled floor below a brick wall with posters, no two alike."""
    metre = 1 / (FLOOR + WALL)
    columns, rows = round(width * DENSITY), round((FLOOR + WALL) * DENSITY)
    c = Canvas(columns, rows, (0.42, 0.40, 0.38))
    random = np.random.default_rng(seed)
    _tiles(c, width, metre, random)
    _bricks(c, width, metre, random)
    for k in range(round(width / 1.7)):
        _poster(c, (0.9 + 1.7 * k) * metre, (FLOOR + random.uniform(1.5, 2.3)) * metre, k, random)
    wear = 1 + 0.06 * noise(columns, rows, 2 * width, 20, seed)
    wear += 0.04 * noise(columns, rows, 15 * width, 160, seed + 1)
    return np.clip(c.rgb * wear[..., None], 0, 1)


def _tiles(c: Canvas, width: float, metre: float, random: np.random.Generator) -> None:
    size, gap = 0.5 * metre, 0.008 * metre
    for column in range(math.ceil(width / 0.5)):
        for row in range(round(FLOOR / 0.5)):
            u, v = column * size, row * size
            tone = 0.62 if (row + column) % 2 else 0.46
            colour = np.array([tone, tone * 0.9, tone * 0.78]) + random.uniform(-0.07, 0.07, 3)
            c.box(u + gap, v + gap, u + size - gap, v + size - gap, colour)
            if random.random() < 0.35:
                spot = u + random.uniform(0.3, 0.7) * size, v + random.uniform(0.3, 0.7) * size
                c.diamond(*spot, 0.16 * size, 0.16 * size, (TEAL, RED, NAVY)[random.integers(3)])


def _bricks(c: Canvas, width: float, metre: float, random: np.random.Generator) -> None:
    long, high, gap = 0.4 * metre, 0.16 * metre, 0.01 * metre
    for row in range(math.ceil(WALL / 0.16)):
        v = FLOOR * metre + row * high
        for column in range(math.ceil(width / 0.4) + 1):
            u = column * long - (row % 2) * long / 2
            tone = random.uniform(0.72, 1.2)
            colour = np.array([0.62, 0.40, 0.31]) * tone + random.uniform(-0.03, 0.03, 3)
            c.box(u + gap, v + gap, u + long - gap, v + high - gap, colour)


def _poster(c: Canvas, u: float, v: float, k: int, random: np.random.Generator) -> None:
    metre = 1 / (FLOOR + WALL)
    wide, high = random.uniform(0.34, 0.46) * metre, random.uniform(0.42, 0.6) * metre
    paper, ink = ((CREAM, NAVY), (NAVY, GOLD), (GOLD, RED), (TEAL, CREAM))[k % 4]
    c.box(u - wide, v - high, u + wide, v + high, BROWN)
    c.box(u - 0.93 * wide, v - 0.94 * high, u + 0.93 * wide, v + 0.94 * high, paper)
    word = ("SEA", "TEN", "HAT", "LOUD", "VEIN", "ROSE")[k % 6]
    write(c, word, u, v - 0.55 * high, 0.4 * high, ink)
    if k % 2:
        c.star(u, v + 0.3 * high, 0.45 * high, ink)
    else:
        c.flower(u, v + 0.3 * high, 0.45 * high, 5 + k % 3, ink, RED)


def ball_texture() -> np.ndarray:
    """Panels once around, with a letter on each."""
    c = Canvas(1536, 768, CREAM)
    for k in range(8):
        colour = (RED, CREAM, TEAL, GOLD)[k % 4]
        c.box(k / 4, 0, k / 4 + 0.25, 1, colour)
        ink = CREAM if k % 4 != 1 else NAVY
        write(c, "PSDRTHUL"[k], k / 4 + 0.125, 0.62, 0.12, ink)
        c.star(k / 4 + 0.125, 0.4, 0.06, NAVY if k % 2 else GOLD)
        for v in (0.2, 0.3, 0.74, 0.84):
            c.diamond(k / 4 + 0.07 + 0.1 * (k % 2), v, 0.03, 0.025, ink)
    c.band(0.49, 0.52, NAVY)
    wear = 1 + 0.07 * noise(1536, 768, 20, 10, 21) + 0.05 * noise(1536, 768, 90, 45, 22)
    return np.clip(c.rgb * wear[..., None], 0, 1)


def banner_texture() -> np.ndarray:
    """A flag of diamonds, letters and a rosette, woven."""
    c = Canvas(1280, 832, TEAL)
    wide = 1280 / 832
    for column in range(10):
        for row in range(7):
            at = (column + 0.5) * wide / 10, (row + 0.5) / 7
            c.diamond(*at, 0.05, 0.055, (GOLD, CREAM, RED, NAVY)[(3 * column + row) % 4])
    c.band(0, 0.05, RED)
    c.band(0.95, 1, RED)
    c.band(0.4, 0.6, CREAM)
    write(c, "STRIPES", wide * 0.5, 0.5, 0.13, NAVY)
    c.flower(wide * 0.2, 0.78, 0.12, 8, CREAM, RED)
    c.star(wide * 0.8, 0.22, 0.12, CREAM)
    weave = 1 + 0.06 * noise(1280, 832, 18, 12, 31) + 0.05 * noise(1280, 832, 120, 80, 32)
    return np.clip(c.rgb * weave[..., None], 0, 1)
