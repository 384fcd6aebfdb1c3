"""Nuke's script (.nk): Read, Expression, MergeExpression, STMap.

STMap has no bilinear filter. It is put together of four lookups with the filter "Impulse", each
aimed at the centre of a texel and weighted: texel by texel, and without any rule for the edges.
"""

from nvd_core.editing.export_graph import (
    LIGHT,
    RESULT,
    Formula,
    HandOver,
    Lookup,
    Node,
    Read,
    Words,
    channels,
    graph,
)

_WORDS = Words()
_FOLDER = r"\[file dirname \[value root.name]]"  # of the script, as Nuke itself writes it


def nuke_script(over: HandOver) -> str:
    """The text of the script, whose paths are relative to its own place."""
    clip = over.clip
    aspect = clip.picture.pixel_aspect[0] / clip.picture.pixel_aspect[1]
    text = _Text()
    text.node(
        "Root",
        inputs=0,
        first_frame=over.first,
        last_frame=over.last,
        fps=f"{clip.rate[0] / clip.rate[1]:.6g}",
        format=f'"{clip.width} {clip.height} 0 0 {clip.width} {clip.height} {aspect:.6g} plate"',
        lock_range="true",
    )
    for node in graph(over):
        _write(text, node, over)
    text.column = 0
    text.push(RESULT)
    suffix = over.result.rpartition(".")[2]
    more = {"datatype": f'"{clip.bit_depth} bit"'} if suffix == "png" else {}
    text.node(
        "Write",
        file=_path(over.result.replace("result/", "from_nuke/")),
        file_type=suffix,
        channels="rgb" if clip.picture.alpha == "none" else "rgba",
        raw="true",
        create_directories="true",
        **more,
        name="write_result",
    )
    text.push(LIGHT)
    text.node("Viewer", name="Viewer1")
    return text.done()


class _Text:
    """The script as it grows, and where its nodes lie."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.row = self.column = 0

    def push(self, *names: str) -> None:
        """The inputs of the next node; Nuke takes the last pushed for its first."""
        self._lines += [f"push $N_{name}" for name in reversed(names)]

    def node(self, kind: str, **knobs: object) -> None:
        """A node; one that has a name may be pushed."""
        if kind != "Root":
            knobs |= {"xpos": self.column * 110, "ypos": self.row * 60}
            self.row += 1
        lines = [f" {knob} {value}" for knob, value in knobs.items()]
        self._lines += [f"{kind} {{", *lines, "}"]
        if name := knobs.get("name"):
            self._lines.append(f"set N_{name} [stack 0]")

    def done(self) -> str:
        return "\n".join(self._lines) + "\n"


def _path(relative: str) -> str:
    return f'"{_FOLDER}/{relative}"'


def _write(text: _Text, node: Node, over: HandOver) -> None:
    match node:
        case Read(name, path, moves):
            text.column, text.row = text.column + 1, 0
            first, last = (over.first, over.last) if moves else (over.first, over.first)
            text.node(
                "Read",
                inputs=0,
                file=_path(path),
                first=first,
                last=last,
                origfirst=first,
                origlast=last,
                before="hold",
                after="hold",
                on_error='"nearest frame"',
                raw="true",
                name=name,
            )
        case Formula(name, inputs, rgba):
            _expression(text, name, inputs, rgba)
        case Lookup():
            _lookup(text, node)


def _expression(text: _Text, name: str, inputs: tuple[str, ...], rgba: tuple[str, ...]) -> None:
    # Of MergeExpression the first input is B and the second A
    text.push(*reversed(inputs))
    names = channels("{}") if len(inputs) == 1 else channels("A{}", "B{}")
    expressions = {f"expr{n}": f'"{_WORDS.write(rgba[n], names)}"' for n in range(4)}
    if len(inputs) == 1:
        text.node("Expression", **expressions, name=name)
    else:
        text.node("MergeExpression", inputs=2, **expressions, name=name)


def _lookup(text: _Text, node: Lookup) -> None:
    total = ""
    for down in (0, 1):
        for right in (0, 1):
            at = f"{node.name}_{right}{down}"
            u, u_weight = _tap("r", node.width, right)
            v, v_weight = _tap("g", node.height, down)
            _expression(text, f"{at}_place", (node.place,), (_in_a(u), _in_a(v), "0", "1"))
            text.push(node.image, f"{at}_place")
            text.node("STMap", inputs=2, channels="rgb", uv="rgb", filter="Impulse", name=at)
            share = f"({u_weight}) * ({v_weight})"
            weighted = tuple(f"b{c} * {share}" for c in "rgb")
            _expression(text, f"{at}_share", (node.place, at), (*map(_in_a, weighted), "1"))
            if total:
                sums = tuple(f"a{c} + b{c}" for c in "rgb")
                last = right == down == 1
                name = node.name if last else f"{at}_sum"
                _expression(text, name, (total, f"{at}_share"), (*sums, "1"))
                total = name
            else:
                total = f"{at}_share"


def _tap(channel: str, size: int, step: int) -> tuple[str, str]:
    """Along one side of the texture: where to look, and the weight of what is there."""
    place = f"max(min(@{channel} * {size} - 0.5, {size - 1}), 0)"
    texel = f"min(floor({place}) + {step}, {size - 1})"
    part = f"({place} - floor({place}))"
    return f"({texel} + 0.5) / {size}", part if step else f"1 - {part}"


def _in_a(formula: str) -> str:
    """`formula` with the map, which is the first image, for @."""
    return formula.replace("@", "a")
