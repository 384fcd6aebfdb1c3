"""The strokes of an SVG file as lines of short pieces: a subset of SVG, read by expat alone.

Taken are svg, g and a; path, line, polyline, polygon, rect, circle and ellipse; transform; stroke,
stroke-width, stroke-opacity, opacity, display and visibility, as attributes or in `style`. What
would look different without what is not taken (style sheets, use, text, images, gradients, dashes)
is refused. Entities are refused too, and nothing outside of the file is ever looked up.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from PIL import ImageColor

from nvd_core.media.svg_path import SvgPathError, numbers_in, path_lines
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import check_file

SUFFIX = ".svg"
MOST_BYTES = 1 << 23
MOST_DEPTH = 64
MOST_STROKES = 2000
MOST_POINTS = 50_000
PIECES = 96
"""pieces at least that a line as long as the picture's diagonal is cut into"""
_OTHER = "draw it as strokes, or bring the drawing as a picture (PNG)"
_GROUPS = ("svg", "g", "a")
_SHAPES = ("path", "line", "polyline", "polygon", "rect", "circle", "ellipse")
_SIZES = ("x", "y", "width", "height", "cx", "cy", "r", "rx", "ry", "x1", "y1", "x2", "y2")
_SILENT = ("title", "desc", "metadata", "defs", "namedview", "script")
"""what changes nothing of the picture by itself; all in it is left out"""
_INHERITED = ("stroke", "stroke-width", "stroke-opacity", "fill", "visibility")
_STYLED = (*_INHERITED, "opacity", "display", "stroke-dasharray")


@dataclass(frozen=True)
class SvgStroke:
    """One line, in the units of the picture's box: x to the right, y down."""

    points: np.ndarray  # float64 [N, 2], a closed line's first point again at its end
    colour: tuple[float, float, float]  # display-encoded
    opacity: float
    width: float


@dataclass
class SvgPicture:
    """What a file draws with strokes."""

    box: tuple[float, float, float, float]
    """left, top, width, height of what is to be seen"""
    strokes: list[SvgStroke] = field(default_factory=list)
    filled: int = 0
    """shapes with a fill, of which only the outline is drawn, or nothing"""


def read_svg(path: Path) -> SvgPicture:
    """The strokes of `path`; NvdError where it is damaged or has what is not taken."""
    reader = _Reader(path)
    with reading(path, "the drawing", "save it again as plain SVG"):
        check_file(path, MOST_BYTES)
        try:
            reader.parser.Parse(path.read_bytes(), True)
        except expat.ExpatError as error:
            raise ValueError(f"no XML: {error}") from error
        return reader.picture()


class _Reader:
    """Takes in the elements as the parser meets them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._box: tuple[float, float, float, float] | None = None
        self._lines: list[tuple[list[np.ndarray], tuple]] = []
        self._styles: list[dict[str, str]] = []
        self._places: list[np.ndarray] = []
        self._hidden = 0  # elements deep in what is left out
        self._strokes = self._points = self._filled = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._entity

    def picture(self) -> SvgPicture:
        """All of it, once the file is read."""
        if self._box is None:
            raise self._not_taken("no picture's size", "viewBox, or width and height in pixels")
        made = SvgPicture(self._box, filled=self._filled)
        longest = math.hypot(*self._box[2:]) / PIECES
        for lines, (colour, opacity, width) in self._lines:
            for line in lines:
                self._count(int(_pieces(line, longest).sum()) + 1)
                made.strokes.append(SvgStroke(_cut(line, longest), colour, opacity, width))
        if not made.strokes:
            raise self._not_taken("no strokes", "lines with a stroke that is not none")
        return made

    def _count(self, points: int) -> None:
        self._points += points
        if self._points > MOST_POINTS:
            raise self._not_taken(f"more than {MOST_POINTS} points", "a simpler drawing")

    def _not_taken(self, found: str, expected: str) -> NvdError:
        return NvdError(
            f"{self._path} cannot be taken as strokes",
            expected=expected,
            found=found,
            remedy=_OTHER,
        )

    def _entity(self, name: str, *_: object) -> None:
        raise self._not_taken(f"the entity {shown(name)}", "an SVG without entities")

    def _end(self, _name: str) -> None:
        self._hidden = max(self._hidden - 1, 0)
        self._styles.pop()
        self._places.pop()

    def _start(self, name: str, given: dict[str, str]) -> None:
        kind = name.rsplit(" ", 1)[-1]
        if len(self._styles) >= MOST_DEPTH:
            raise self._not_taken("elements too deep in each other", f"{MOST_DEPTH} at most")
        if not self._styles and kind != "svg":
            raise self._not_taken(f"the element {shown(kind)}", "an SVG file")
        foreign = " " in name and not name.startswith("http://www.w3.org/2000/svg ")
        silent = self._hidden or kind in _SILENT or foreign
        style = {} if silent else self._style(given)
        place = self._places[-1] if self._places else np.eye(3)
        if "transform" in given and not silent:
            place = place @ _transform(given["transform"])
        self._styles.append(style)
        self._places.append(place)
        if silent or style.get("display") == "none":
            self._hidden += 1
        elif kind == "svg" and len(self._styles) == 1:
            self._box = _box(given)
        elif kind in _SHAPES:
            self._shape(kind, given, style, place)
        elif kind not in _GROUPS or kind == "svg":
            raise self._not_taken(f"the element {shown(kind)}", f"{', '.join(_SHAPES)} in groups")

    def _style(self, given: dict[str, str]) -> dict[str, str]:
        above = self._styles[-1] if self._styles else {}
        style = {key: above[key] for key in _INHERITED if key in above}
        named = dict(
            part.split(":", 1) for part in given.get("style", "").split(";") if ":" in part
        )
        plain = {key.strip(): value.strip() for key, value in named.items()}
        for key in _STYLED:
            value = plain.get(key, given.get(key))
            if value is not None and value != "inherit":
                style[key] = value
        # a group's opacity goes to each of its shapes, as nearly everywhere it comes to the same
        whole = float(above.get("whole", 1)) * _share(style.pop("opacity", "1"))
        return style | {"whole": str(whole)}

    def _shape(
        self, kind: str, given: dict[str, str], style: dict[str, str], place: np.ndarray
    ) -> None:
        if style.get("visibility", "visible") != "visible":
            return
        self._filled += style.get("fill", "black") not in ("none", "transparent")
        ink = style.get("stroke", "none")
        if ink in ("none", "transparent"):
            return
        if style.get("stroke-dasharray", "none") not in ("none", "0"):
            raise self._not_taken("a dashed stroke", "strokes that go through")
        scale = math.sqrt(abs(np.linalg.det(place[:2, :2])))
        width = _length(style.get("stroke-width", "1")) * scale
        opacity = _share(style.get("stroke-opacity", "1")) * float(style["whole"])
        if not width or not opacity:
            return
        lines = [line @ place[:2, :2].T + place[:2, 2] for line in _lines_of(kind, given)]
        self._strokes += len(lines)
        if self._strokes > MOST_STROKES:
            raise self._not_taken(f"more than {MOST_STROKES} strokes", "a simpler drawing")
        self._lines.append((lines, (self._colour(ink), opacity, width)))

    def _colour(self, text: str) -> tuple[float, float, float]:
        try:
            rgb = ImageColor.getrgb("black" if text.lower() == "currentcolor" else text)
        except ValueError as error:
            raise self._not_taken(f"the stroke {shown(text)}", "a plain colour") from error
        return rgb[0] / 255, rgb[1] / 255, rgb[2] / 255


def _box(given: dict[str, str]) -> tuple[float, float, float, float] | None:
    if "viewBox" in given:
        numbers = numbers_in(given["viewBox"])
        if len(numbers) != 4 or min(numbers[2:]) <= 0:
            raise SvgPathError(f"the viewBox {shown(given['viewBox'])}")
        return numbers[0], numbers[1], numbers[2], numbers[3]
    if "width" not in given or "height" not in given:
        return None
    width, height = _length(given["width"]), _length(given["height"])
    return (0.0, 0.0, width, height) if width and height else None


def _lines_of(kind: str, given: dict[str, str]) -> list[np.ndarray]:
    """The lines of a shape, float64 [N, 2] each."""
    number = {key: _length(given.get(key, "0")) for key in _SIZES if kind != "path"}
    if kind == "path":
        return path_lines(given.get("d", ""))
    if kind == "line":
        return [np.array([[number["x1"], number["y1"]], [number["x2"], number["y2"]]])]
    if kind in ("polyline", "polygon"):
        flat = numbers_in(given.get("points", ""))
        line = np.array(flat[: len(flat) // 2 * 2]).reshape(-1, 2)
        if len(line) < 2:
            return []
        return [np.vstack([line, line[:1]]) if kind == "polygon" else line]
    if kind == "rect":
        x, y, w, h = (number[key] for key in ("x", "y", "width", "height"))
        round_it = [[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]
        return [np.array(round_it)] if w and h else []
    across = number["r"] if kind == "circle" else number["rx"]
    down = number["r"] if kind == "circle" else number["ry"]
    if not across or not down:
        return []
    turn = np.linspace(0, 2 * np.pi, 65)
    x, y = number["cx"] + across * np.cos(turn), number["cy"] + down * np.sin(turn)
    return [np.stack([x, y], 1)]


def _pieces(line: np.ndarray, longest: float) -> np.ndarray:
    """Into how many pieces each part of the line is cut, float64 [N - 1]."""
    far = np.hypot(*np.diff(line, axis=0).T)
    made: np.ndarray = np.maximum(np.ceil(far / longest), 1)
    return made


def _cut(line: np.ndarray, longest: float) -> np.ndarray:
    """The line with points no farther apart than `longest`."""
    made = [line[:1]]
    for a, b, count in zip(line[:-1], line[1:], _pieces(line, longest), strict=True):
        made.append(a + (b - a) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(made)


def _length(text: str) -> float:
    """A number of the picture's units; other units than px are not known here."""
    match = re.fullmatch(r"\s*([-+]?[0-9.]{1,20}(?:[eE][-+]?[0-9]{1,2})?)\s*(?:px)?\s*", text)
    if not match:
        raise SvgPathError(f"the length {shown(text)}: a number of pixels is taken")
    return float(match[1])


def _share(text: str) -> float:
    percent = text.strip().endswith("%")
    value = _length(text.strip().rstrip("%")) / (100 if percent else 1)
    return min(max(value, 0.0), 1.0)


def _transform(text: str) -> np.ndarray:  # [3, 3]
    total = np.eye(3)
    rest = re.sub(r"[\s,]*(\w+)\s*\(([^()]*)\)[\s,]*", "", text)
    if rest:
        raise SvgPathError(f"the transform {shown(text)}")
    for name, inner in re.findall(r"(\w+)\s*\(([^()]*)\)", text):
        total = total @ _one_transform(name, numbers_in(inner))
    return total


def _one_transform(name: str, n: list[float]) -> np.ndarray:
    made = np.eye(3)
    if name == "matrix" and len(n) == 6:
        made[:2] = np.array(n).reshape(3, 2).T
    elif name == "translate" and len(n) in (1, 2):
        made[:2, 2] = n[0], n[1] if len(n) == 2 else 0
    elif name == "scale" and len(n) in (1, 2):
        made[0, 0], made[1, 1] = n[0], n[-1]
    elif name == "rotate" and len(n) in (1, 3):
        turn = math.radians(n[0])
        centre = np.array(n[1:] or [0.0, 0.0])
        made[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        made[:2, 2] = centre - made[:2, :2] @ centre
    elif name in ("skewX", "skewY") and len(n) == 1:
        made[(0, 1) if name == "skewX" else (1, 0)] = math.tan(math.radians(n[0]))
    else:
        raise SvgPathError(f"the transform {shown(name)}")
    return made
