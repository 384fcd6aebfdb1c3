"""What every program is told: images, arithmetic on their pixels, and lookups, as one graph.

The graph composites as `nvd render` does in its mode "delta"
(docs/reference/decomposition-folder.md has the formulas). A program's own file is this graph in its
words, so that there is one place where the arithmetic stands. Formulas are Python expressions over
`ar, ag, ab, aa` (the first image) and `br, bg, bb, ba` (the second), numbers, + - * /, `where`,
comparisons, `pow`, `max` and `min`.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvd_core.media.alpha import NONE, PREMULTIPLIED
from nvd_core.media.primaries import to_rec709
from nvd_core.shot.manifest import ClipRecord, PartRecord

RESULT = "result"
"""the node whose values are those of the files that `nvd render` writes"""
LIGHT = "scene_linear"
"""the node that hands on light, premultiplied: for what is composited on from here"""
PATHS = ("plate", "stmap", "matte", "light")
"""folders of numbered images"""


@dataclass(frozen=True)
class Read:
    """An image of RGB or RGBA whose values are taken as they are stored."""

    name: str
    path: str  # relative to the folder, with %04d where `moves`
    moves: bool = True


@dataclass(frozen=True)
class Formula:
    """Four expressions, of one image or two of the same size."""

    name: str
    inputs: tuple[str, ...]
    rgba: tuple[str, str, str, str]


@dataclass(frozen=True)
class Lookup:
    """`image` looked up bilinearly where `place` says; edges clamp. Its alpha is of no use."""

    name: str
    image: str
    place: str
    width: int  # of `image`, pixels
    height: int


Node = Read | Formula | Lookup


@dataclass(frozen=True)
class Layer:
    """A layer as it was written: the size is that of its edit and its texture."""

    name: str
    texture: str
    edit: str
    width: int
    height: int
    edit_moves: bool = False
    """whether the edit is a sequence: the stack of edits shows different things in it"""
    parts: tuple[PartRecord, ...] = ()


@dataclass(frozen=True)
class HandOver:
    """All that the files of the programs are made of."""

    title: str
    clip: ClipRecord
    plate: str
    result: str
    layers: tuple[Layer, ...]
    numbers: Sequence[int]
    """of the frames that were written, rising"""
    space: str | None = None
    """the colour space that the plate was in before it was made light; None: it is as it was"""
    clean_plate: str | None = None
    """None where there is none"""

    @property
    def first(self) -> int:
        """The first frame's number."""
        return self.numbers[0]

    @property
    def last(self) -> int:
        """The last frame's number."""
        return self.numbers[-1]

    def pattern(self, kind: str, layer: Layer) -> str:
        """The relative path of a layer's images of one of `PATHS`."""
        return f"{kind}/{layer.name}/{layer.name}.%04d.exr"


def graph(over: HandOver) -> list[Node]:
    """The nodes, each behind those that it takes; `RESULT` and `LIGHT` are among them.

    Nothing takes the clean plate: it lies there to be put in the plate's place.
    """
    nodes: list[Node] = [Read("plate", over.plate)]
    if over.clean_plate:
        nodes.append(Read("clean_plate", over.clean_plate))
    total = ""
    for n, layer in enumerate(over.layers):
        # names of layers may begin with a digit or hold a minus, which no program takes
        at = f"layer{n + 1}_{layer.name.replace('-', '_')}"
        nodes += [
            Read(f"{at}_edit", layer.edit, layer.edit_moves),
            Read(f"{at}_texture", layer.texture, False),
            _each(f"{at}_paint", (f"{at}_edit", f"{at}_texture"), "{a} - {b}"),
            Read(f"{at}_stmap", over.pattern("stmap", layer)),
            Lookup(f"{at}_lookup", f"{at}_paint", f"{at}_stmap", layer.width, layer.height),
            Read(f"{at}_light", over.pattern("light", layer)),
            _each(f"{at}_lit", (f"{at}_lookup", f"{at}_light"), "{a} * {b}"),
            Read(f"{at}_matte", over.pattern("matte", layer)),
            _each(f"{at}_change", (f"{at}_lit", f"{at}_matte"), "{a} * {b}"),
        ]
        if total:
            nodes.append(_each(f"{at}_sum", (total, f"{at}_change"), "{a} + {b}"))
        total = nodes[-1].name
    return nodes + (_linear(over.clip, total) if _is_linear(over.clip) else _display(over, total))


def _is_linear(clip: ClipRecord) -> bool:
    return clip.encoding == "linear"


def _display(over: HandOver, change: str) -> list[Node]:
    """Integers: the change is added as it is, and clamped as it will be in the file."""
    cover = "ba" if over.clip.picture.alpha != NONE else "1"
    added = _each(RESULT, (change, "plate"), "max(min({b} + {a}, 1), 0)", cover)
    light = _each(LIGHT, (RESULT,), f"({decoded('{a}')}) * aa", "aa")
    return [added, light]


def _linear(clip: ClipRecord, change: str) -> list[Node]:
    """Light: display-encoded, changed, decoded; where nothing changes the plate passes."""
    picture = clip.picture
    premultiplied = picture.alpha == PREMULTIPLIED
    there = np.eye(3) if picture.is_rec709 else to_rec709(picture.primaries)
    plate = [f"a{c}" for c in "rgb"]
    if premultiplied:
        plate = [f"where(aa == 0, {c}, {c} / where(aa == 0, 1, aa))" for c in plate]
    straight = _through(there, plate)
    encode = Formula("encoded", ("plate",), (*(encoded(c) for c in straight), "aa"))
    sums = [f"b{c} + a{c}" for c in "rgb"]
    changed = "where(ar == 0, where(ag == 0, where(ab == 0, 0, 1), 1), 1)"
    if premultiplied:
        changed = f"where(ba == 0, 0, {changed})"
    paint = Formula("changed", (change, "encoded"), (*(decoded(c) for c in sums), changed))
    back = _through(np.linalg.inv(there), [f"a{c}" for c in "rgb"])
    cover = " * ba" if premultiplied else ""
    colours = (f"where(aa == 0, b{c}, ({new}){cover})" for c, new in zip("rgb", back, strict=True))
    alpha = "ba" if picture.alpha != NONE else "1"
    result = Formula(RESULT, ("changed", "plate"), (*colours, alpha))
    light = _through(there, [f"a{c}" for c in "rgb"])
    return [encode, paint, result, Formula(LIGHT, (RESULT,), (*light, "aa"))]


def encoded(c: str) -> str:
    """The curve of sRGB, continued above 1, of the expression `c`."""
    power = f"1.055 * pow(max({c}, 0), {1 / 2.4!r}) - 0.055"
    return f"where({c} <= 0.0031308, {c} * 12.92, {power})"


def decoded(c: str) -> str:
    """The inverse of `encoded`."""
    power = f"pow((max({c}, 0) + 0.055) / 1.055, 2.4)"
    return f"where({c} <= 0.04045, ({c}) / 12.92, {power})"


def _through(matrix: np.ndarray, colours: list[str]) -> list[str]:
    if np.array_equal(matrix, np.eye(3)):
        return colours
    return [
        "(" + " + ".join(f"{m!r} * ({c})" for m, c in zip(row, colours, strict=True)) + ")"
        for row in matrix.tolist()
    ]


def _each(name: str, inputs: tuple[str, ...], formula: str, alpha: str = "1") -> Formula:
    """One formula for red, green and blue, with {a} and {b} for the channel of either image."""
    r, g, b = (formula.replace("{a}", f"a{c}").replace("{b}", f"b{c}") for c in "rgb")
    return Formula(name, inputs, (r, g, b, alpha))


@dataclass(frozen=True)
class Words:
    """How a program writes expressions."""

    where: str = "({test} ? {yes} : {no})"

    def write(self, formula: str, names: dict[str, str]) -> str:
        """`formula` in the program's words, its channels called as in `names`."""
        return self._write(ast.parse(formula, mode="eval").body, names)

    def _write(self, node: ast.expr, names: dict[str, str]) -> str:
        def write(part: ast.expr) -> str:
            return self._write(part, names)

        match node:
            case ast.Constant(value=value):
                return f"{value!r}"
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(operand=operand):
                return f"(-{write(operand)})"
            case ast.BinOp(left=left, op=op, right=right):
                return f"({write(left)} {_SIGNS[type(op)]} {write(right)})"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"{write(left)} {_SIGNS[type(op)]} {write(right)}"
            case ast.Call(func=ast.Name(id="where"), args=[test, yes, no]):
                return self.where.format(test=write(test), yes=write(yes), no=write(no))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return f"{name}({', '.join(map(write, arguments))})"
        raise ValueError(f"not a formula: {ast.dump(node)}")


_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.LtE: "<=", ast.Eq: "=="}


def channels(first: str, second: str = "{}") -> dict[str, str]:
    """What a program calls the channels, by patterns such as `A{}` and `B{}`."""
    names = {f"a{c}": first.format(c) for c in "rgba"}
    return names | {f"b{c}": second.format(c) for c in "rgba"}
