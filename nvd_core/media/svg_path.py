"""The path data of SVG as lines of points: every command, curves cut into straight pieces."""

import math
import re

import numpy as np

from nvd_core.runtime.shown import shown

CURVE = 24
"""pieces of a curve"""
MOST_NUMBERS = 60_000
FARTHEST = 1e7
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_TOKEN = re.compile(rf"\s*,?\s*(?:([A-Za-z])|({_NUMBER}))")
_TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


class SvgPathError(ValueError):
    """What is written there cannot be; the text says what."""


def numbers_in(text: str) -> list[float]:
    """All numbers of a list with spaces or commas between; SvgPathError for anything else."""
    found = re.findall(_NUMBER, text)
    if re.sub(rf"{_NUMBER}|[\s,]", "", text) or len(found) > MOST_NUMBERS:
        raise SvgPathError(f"the numbers {shown(text)}")
    return [_checked(float(one)) for one in found]


def path_lines(text: str) -> list[np.ndarray]:
    """The subpaths of `text`, float64 [N, 2] each; those of a single point are left out."""
    pen = _Pen()
    for command, numbers in _commands(text):
        pen.draw(command, numbers)
    return [np.array(line) for line in pen.lines if len(line) > 1]


def _commands(text: str) -> list[tuple[str, list[float]]]:
    """Commands with the numbers of one step each."""
    found: list[tuple[str, list[float]]] = []
    at, letter = 0, ""
    numbers: list[float] = []

    def close() -> None:
        takes = _TAKES.get(letter.upper()) if letter else None
        if letter and takes is None:
            raise SvgPathError(f"the path command {letter}")
        if not letter:
            return
        steps = [numbers[n : n + takes] for n in range(0, len(numbers), takes)] if takes else [[]]
        if not steps or (takes and len(steps[-1]) != takes) or (not takes and numbers):
            raise SvgPathError(f"{len(numbers)} numbers behind {letter} in a path")
        for count, step in enumerate(steps):
            again = {"M": "L", "m": "l"}.get(letter, letter) if count else letter
            found.append((again, step))

    text = text.rstrip()
    while at < len(text):
        match = _flag(text, at, letter, numbers) or _TOKEN.match(text, at)
        if not match or len(numbers) > MOST_NUMBERS:
            raise SvgPathError(f"a path that goes on with {shown(text[at : at + 20])}")
        at = match.end()
        if match[1]:
            close()
            letter, numbers = match[1], []
        elif not letter:
            raise SvgPathError("a path that begins with a number")
        else:
            numbers.append(_checked(float(match[2])))
    close()
    if found and found[0][0] not in "Mm":
        raise SvgPathError("a path that does not begin with M")
    return found


_FLAG = re.compile(r"\s*,?\s*()([01])")


def _flag(text: str, at: int, letter: str, numbers: list[float]) -> re.Match | None:
    """An arc's flags are one digit each, and may have no space behind them."""
    if letter in ("A", "a") and len(numbers) % 7 in (3, 4):
        return _FLAG.match(text, at)
    return None


def _checked(value: float) -> float:
    if not abs(value) <= FARTHEST:
        raise SvgPathError(f"the number {value}")
    return value


class _Pen:
    def __init__(self) -> None:
        self.lines: list[list[np.ndarray]] = []
        self._at = self._begin = np.zeros(2)
        self._before = ""
        self._handle = np.zeros(2)

    def draw(self, command: str, numbers: list[float]) -> None:
        """One step of a command."""
        kind, from_here = command.upper(), self._at if command.islower() else np.zeros(2)
        points = [np.array(numbers[n : n + 2]) + from_here for n in range(0, len(numbers) - 1, 2)]
        if kind == "M":
            self._at = self._begin = points[0]
            self.lines.append([self._at])
        elif kind == "Z":
            self._go([self._begin])
        elif kind == "L":
            self._go(points)
        elif kind == "H":
            self._go([np.array([numbers[0] + from_here[0], self._at[1]])])
        elif kind == "V":
            self._go([np.array([self._at[0], numbers[0] + from_here[1]])])
        elif kind == "A":
            self._go(arc(self._at, numbers, np.array(numbers[5:]) + from_here))
        else:
            self._curve(kind, points)
        self._before = kind

    def _go(self, points: list[np.ndarray]) -> None:
        if self._before == "Z":  # a subpath that begins where the last one closed
            self.lines.append([self._at])
        self.lines[-1].extend(points)
        self._at = points[-1]

    def _curve(self, kind: str, points: list[np.ndarray]) -> None:
        smooth = {"S": "CS", "T": "QT"}.get(kind)
        if smooth:  # the first handle mirrors the last one
            mirrors = bool(self._before) and self._before in smooth
            points = [2 * self._at - self._handle if mirrors else self._at, *points]
        self._handle = points[-2]
        self._go(bezier([self._at, *points]))


def bezier(points: list[np.ndarray]) -> list[np.ndarray]:
    """Points on the Bézier curve of these, the first left out."""
    share = (np.arange(1, CURVE + 1) / CURVE)[:, None]
    degree = len(points) - 1
    total = sum(
        math.comb(degree, k) * share**k * (1 - share) ** (degree - k) * point
        for k, point in enumerate(points)
    )
    return list(total)


def arc(start: np.ndarray, numbers: list[float], end: np.ndarray) -> list[np.ndarray]:
    """Points on an elliptic arc as SVG 1.1, appendix F.6 has it, the first left out."""
    rx, ry, tilt, large, sweep = abs(numbers[0]), abs(numbers[1]), *numbers[2:5]
    if not rx or not ry or np.array_equal(start, end):
        return [end]
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    turn = np.array([[cos, sin], [-sin, cos]])
    x, y = turn @ (start - end) / 2
    grow = math.sqrt(max((x / rx) ** 2 + (y / ry) ** 2, 1.0))
    rx, ry = rx * grow, ry * grow
    below = (rx * y) ** 2 + (ry * x) ** 2
    root = math.sqrt(max((rx * ry) ** 2 - below, 0.0) / below)
    root = root if bool(large) != bool(sweep) else -root
    centre = np.array([root * rx * y / ry, -root * ry * x / rx])
    first = math.atan2((y - centre[1]) / ry, (x - centre[0]) / rx)
    last = math.atan2((-y - centre[1]) / ry, (-x - centre[0]) / rx)
    if sweep and last < first:
        last += 2 * math.pi
    if not sweep and last > first:
        last -= 2 * math.pi
    angles = np.linspace(first, last, CURVE + 1)[1:]
    ring = np.stack([rx * np.cos(angles), ry * np.sin(angles)], 1) + centre
    made = list(ring @ turn + (start + end) / 2)
    made[-1] = end
    return made
