"""The outline of a matte as lines that an artist can pull at. numpy only.

outlines(alpha)               # closed lines through pixels, holes among them
simplified(line, 0.7)         # the same with few points
"""

import numpy as np

LEAST_AREA = 9.0
"""square pixels of an outline that is no speck"""

# By which corners are inside, of top left 1, top right 2, bottom right 4 and bottom left 8: from
# which side of the cell to which the outline goes, what is inside on its left
_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
_WAYS = {
    1: [(_LEFT, _TOP)],
    2: [(_TOP, _RIGHT)],
    3: [(_LEFT, _RIGHT)],
    4: [(_RIGHT, _BOTTOM)],
    5: [(_LEFT, _TOP), (_RIGHT, _BOTTOM)],
    6: [(_TOP, _BOTTOM)],
    7: [(_LEFT, _BOTTOM)],
    8: [(_BOTTOM, _LEFT)],
    9: [(_BOTTOM, _TOP)],
    10: [(_TOP, _RIGHT), (_BOTTOM, _LEFT)],
    11: [(_BOTTOM, _RIGHT)],
    12: [(_RIGHT, _LEFT)],
    13: [(_RIGHT, _TOP)],
    14: [(_TOP, _LEFT)],
}


def outlines(alpha: np.ndarray, level: float = 0.5) -> list[np.ndarray]:
    """The closed lines [n, 2] on which `alpha` [H, W] is `level`, the largest area first.

    In pixels, x to the right and y down, pixel centres at whole numbers; specks are left out.
    Beyond the picture alpha is 0.
    """
    padded = np.pad(np.asarray(alpha, np.float64), 1)
    inside = padded >= level
    cells = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    onwards: dict[tuple, tuple] = {}
    for y, x in zip(*np.nonzero((cells > 0) & (cells < 15)), strict=True):
        for start, end in _WAYS[int(cells[y, x])]:
            onwards[_side(int(y), int(x), start)] = _side(int(y), int(x), end)
    found = []
    while onwards:
        first = at = next(iter(onwards))
        line = []
        while at in onwards:
            line.append(_crossing(padded, at, level))
            at = onwards.pop(at)
        if at == first and abs(area(np.array(line))) >= LEAST_AREA:
            found.append(np.array(line) - 1)
    return sorted(found, key=lambda line: -abs(area(line)))


def _side(y: int, x: int, side: int) -> tuple[int, int, bool]:
    """A side between two pixels, the same from both cells: its first pixel, and whether it goes
    down.
    """
    if side in (_TOP, _BOTTOM):
        return y + (side == _BOTTOM), x, False
    return y, x + (side == _RIGHT), True


def _crossing(alpha: np.ndarray, side: tuple[int, int, bool], level: float) -> tuple:
    """Where on a side alpha passes the level: x and y."""
    y, x, down = side
    a, b = alpha[y, x], alpha[y + down, x + (not down)]
    part = (level - a) / (b - a)
    return (x, y + part) if down else (x + part, y)


def area(line: np.ndarray) -> float:
    """Of a closed line; its sign says which way it goes."""
    x, y = line.T
    return 0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def simplified(line: np.ndarray, within: float) -> np.ndarray:
    """Those of a closed line's points that keep it `within` so many pixels: Douglas and Peucker."""
    far = int(np.argmax(np.hypot(*(line - line[0]).T)))
    if far == 0:
        return line
    closed = np.vstack([line, line[:1]])
    kept = {0, far}
    todo = [(0, far), (far, len(line))]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        apart = _from_chord(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(apart))
        if apart[worst] > within:
            at = first + 1 + worst
            kept.add(at)
            todo += [(first, at), (at, last)]
    return line[sorted(kept)]


def _from_chord(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """How far points are from the piece of a straight line."""
    way = end - start
    long = float(way @ way)
    along = ((points - start) @ way / long).clip(0, 1) if long else np.zeros(len(points))
    return np.hypot(*(points - start - along[:, None] * way).T)
