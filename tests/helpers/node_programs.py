"""The few nodes of Nuke, Fusion and Natron that `nvd export` writes, as their manuals have them.

`nuke(path, frame)`, `fusion(path, frame)` and `natron(path, frame)` read a written script and
return every node's picture in it, float64 [H, W, 4] with the TOP row first. Nothing here comes from
the exporter: names of nodes and knobs are the programs' own, and one that is not known is an error.
"""

import re
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:e[-+]?\d+)?)|([A-Za-z_]\w*)|(<=|>=|==|!=|[-+*/?:(),<>]))")
_FUNCTIONS = {"pow": np.power, "max": np.maximum, "min": np.minimum, "floor": np.floor}


class Expression:
    """An expression of C's grammar, evaluated on arrays; `functions` are the program's own."""

    def __init__(self, text: str, names: dict, functions: dict | None = None):
        self._tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            assert match, f"not an expression: {text[at : at + 30]}"
            self._tokens.append(match.group(match.lastindex))
            at = match.end()
        self._at, self._names = 0, names
        self._functions = _FUNCTIONS | (functions or {})

    def value(self):
        with np.errstate(all="ignore"):  # what a branch that is not taken does is of no interest
            value = self._choice()
        assert self._at == len(self._tokens), self._tokens[self._at :]
        return value

    def _next(self, *wanted):
        if self._at < len(self._tokens) and self._tokens[self._at] in wanted:
            self._at += 1
            return self._tokens[self._at - 1]
        return None

    def _choice(self):
        test = self._comparison()
        if not self._next("?"):
            return test
        yes = self._choice()
        assert self._next(":")
        return np.where(test, yes, self._choice())

    def _comparison(self):
        left = self._sum()
        while sign := self._next("<=", ">=", "==", "!=", "<", ">"):
            right = self._sum()
            compare = {
                "<=": np.less_equal,
                ">=": np.greater_equal,
                "==": np.equal,
                "!=": np.not_equal,
                "<": np.less,
                ">": np.greater,
            }[sign]
            left = compare(left, right)
        return left

    def _sum(self):
        left = self._product()
        while sign := self._next("+", "-"):
            right = self._product()
            left = left + right if sign == "+" else left - right
        return left

    def _product(self):
        left = self._single()
        while sign := self._next("*", "/"):
            right = self._single()
            left = left * right if sign == "*" else np.divide(left, right)
        return left

    def _single(self):
        if self._next("-"):
            return -self._single()
        if self._next("("):
            value = self._choice()
            assert self._next(")")
            return value
        token = self._tokens[self._at]
        self._at += 1
        if token[0].isdigit():
            return float(token)
        if not self._next("("):
            return self._names[token]
        arguments = [self._choice()]
        while self._next(","):
            arguments.append(self._choice())
        assert self._next(")")
        return self._functions[token](*arguments)


def read(path) -> np.ndarray:
    """The values as they stand in a file: integers by their largest, no colour space, no alpha."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    image = oiio.ImageInput.open(str(path), config)
    assert image, f"there is no image {path}"
    pixels = image.read_image("float").astype(np.float64)
    image.close()
    if pixels.shape[2] == 3:
        pixels = np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=2)
    assert pixels.shape[2] == 4, path
    return pixels


def _rgba(values, shape) -> np.ndarray:
    return np.stack([np.broadcast_to(np.asarray(v, np.float64), shape) for v in values], axis=2)


def _channels(picture: np.ndarray, pattern: str) -> dict:
    return {pattern.format(c): picture[..., n] for n, c in enumerate("rgba")}


def _nearest(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The pixel at u, v, from the bottom left corner; 0 outside."""
    height, width = image.shape[:2]
    x, y = np.floor(u * width).astype(int), np.floor((1 - v) * height).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return image[y.clip(0, height - 1), x.clip(0, width - 1)] * inside[..., None]


def _bilinear(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Between pixel centres at (i + 0.5) / size; the edges go on."""
    height, width = image.shape[:2]
    x, y = (u * width - 0.5).clip(0, width - 1), ((1 - v) * height - 0.5).clip(0, height - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    upper = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    return upper * (1 - fy) + (image[y1, x0] * (1 - fx) + image[y1, x1] * fx) * fy


# ---- Nuke: a list of nodes and a stack


def nuke(path: Path, frame: int) -> dict[str, np.ndarray]:
    """A .nk: nodes take their inputs from the stack, the first of them from its top."""
    text = path.read_text("utf-8")
    stack, variables, made = [], {}, {}
    place = re.compile(
        r"\s*(?:push \$(?P<push>\w+)|set (?P<set>\w+) \[stack 0\]"
        r"|(?P<kind>\w+) \{\n(?P<body>.*?)\n\})\n",
        re.DOTALL,
    )
    at = 0
    while at < len(text.rstrip()):
        match = place.match(text, at)
        assert match, text[at : at + 80]
        at = match.end()
        if match["push"]:
            stack.append(variables[match["push"]])
        elif match["set"]:
            variables[match["set"]] = stack[-1]
        else:
            knobs = dict(line.strip().split(" ", 1) for line in match["body"].splitlines())
            if match["kind"] == "Root":
                made["Root"] = knobs
                continue
            inputs = [stack.pop() for _ in range(int(knobs.get("inputs", 1)))]
            picture = _nuke_node(match["kind"], knobs, inputs, path.parent, frame)
            stack.append(picture)
            made[knobs["name"]] = picture
    return made


def _nuke_node(kind, knobs, inputs, folder, frame):
    if kind in ("Write", "Viewer"):
        return inputs[0]
    if kind == "Read":
        assert knobs["raw"] == "true"
        # TCL: \[ is a bracket in a quoted string, which is evaluated when the knob is read
        file = knobs["file"].strip('"').replace(r"\[", "[")
        file = file.replace("[file dirname [value root.name]]", str(folder))
        number = min(max(frame, int(knobs["first"])), int(knobs["last"]))
        return read(file % number if "%" in file else file)
    if kind == "STMap":
        source, place = inputs
        assert knobs["uv"] == "rgb" and knobs["filter"] == "Impulse"
        return _nearest(source, place[..., 0], place[..., 1])
    if kind == "Expression":
        names = _channels(inputs[0], "{}")
    else:
        assert kind == "MergeExpression", kind
        names = _channels(inputs[0], "B{}") | _channels(inputs[1], "A{}")
    values = [Expression(knobs[f"expr{n}"].strip('"'), names).value() for n in range(4)]
    return _rgba(values, inputs[0].shape[:2])


# ---- Fusion: a table of Lua


def fusion(path: Path, frame: int) -> dict[str, np.ndarray]:
    """A .comp: tools in a table, joined by SourceOp."""
    comp, _ = _lua(path.read_text("utf-8"), 0)
    tools, made = comp["Tools"], {}

    def picture(name: str) -> np.ndarray:
        if name not in made:
            made[name] = _fusion_tool(tools[name], path.parent, frame, picture)
        return made[name]

    for name in tools:
        if tools[name][""] != "Saver":
            picture(name)
    return made | {"comp": comp}


def _lua(text: str, at: int):
    """A value at `at`, and where it ends. A table's own name is kept under the key ""."""
    at = _blank(text, at)
    if text[at] == '"':
        end = re.compile(r'"((?:[^"\\]|\\.)*)"').match(text, at)
        return end[1], end.end()
    word = re.compile(r"[-\w.]+").match(text, at)
    kind = ""
    if word:
        at = _blank(text, word.end())
        if at >= len(text) or text[at] != "{":
            value = word[0]
            return (float(value) if re.fullmatch(r"-?[\d.]+", value) else value), word.end()
        kind = word[0]
    assert text[at] == "{", text[at : at + 40]
    table, at = {"": kind} if kind else {}, _blank(text, at + 1)
    while text[at] != "}":
        key = re.compile(r'(?:\["([^"]+)"\]|(\w+))\s*=\s*').match(text, at)
        value, at = _lua(text, key.end() if key else at)
        table[(key[1] or key[2]) if key else len(table)] = value
        at = _blank(text, at)
        at = _blank(text, at + 1) if text[at] == "," else at
    return table, at + 1


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _fusion_tool(tool, folder, frame, picture):
    inputs = tool["Inputs"]
    if tool[""] == "Loader":
        (clip,) = (v for v in tool["Clips"].values() if isinstance(v, dict))
        assert inputs["PostMultiplyByAlpha"]["Value"] == 0
        file = clip["Filename"].replace("Comp:", str(folder))
        if clip["StartFrame"] >= 0:  # the numbers of a sequence stand at the end of its name
            offset = int(min(max(frame, clip["GlobalStart"]), clip["GlobalEnd"]))
            offset = offset - int(clip["GlobalStart"]) + int(clip["TrimIn"])
            first = re.search(r"(\d+)(\.\w+)$", file)
            number = f"{int(first[1]) + offset:0{len(first[1])}d}"
            file = file[: first.start()] + number + first[2]
        return read(file)
    assert tool[""] == "Custom", tool[""]
    images = {n: picture(inputs[f"Image{n}"]["SourceOp"]) for n in (1, 2) if f"Image{n}" in inputs}
    names, functions = {}, {"if": np.where}
    for n, image in images.items():
        names |= _channels(image, f"{{}}{n}")
        for k, c in enumerate("rgba"):
            functions[f"get{c}{n}d"] = _getter(image[..., k])
    for letter, stage in (("s", "Setup"), ("i", "Intermediate")):
        for n in range(1, 5):
            if f"{stage}{n}" in inputs:
                # an intermediate expression sees those before it
                text = inputs[f"{stage}{n}"]["Value"]
                names[f"{letter}{n}"] = Expression(text, names, functions).value()
    values = [
        Expression(inputs[f"{c}Expression"]["Value"], names, functions).value()
        for c in ("Red", "Green", "Blue", "Alpha")
    ]
    return _rgba(values, images[1].shape[:2])


def _getter(channel: np.ndarray):
    """get[ch][#]d(x, y): the pixel there, or at the edge; 0 to 1 from the bottom left."""
    height, width = channel.shape

    def get(x, y):
        column = np.floor(x * width).astype(int).clip(0, width - 1)
        row = np.floor((1 - y) * height).astype(int).clip(0, height - 1)
        return channel[row, column]

    return get


# ---- Natron: its Python API


def natron(path: Path, frame: int) -> dict[str, np.ndarray]:
    """A script that makes nodes with `app`."""
    app = _NatronApp()
    script = {"app": app, "__name__": "natron", "__file__": str(path)}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), script)
    made = {node.name: node.picture(frame) for node in app.nodes if node.name != "write_result"}
    return made | {"project": app.project}


class _Param:
    def __init__(self, value=None, options=()):
        self.value, self.options = value, options

    def get(self):
        return self.value

    def set(self, *value):
        self.value = value if len(value) > 1 else value[0]

    def getNumOptions(self):
        return len(self.options)

    def getOption(self, index):
        return self.options[index]


class _NatronNode:
    def __init__(self, kind, **params):
        self.kind, self.name, self.inputs, self.params = kind, "", {}, params

    def setScriptName(self, name):
        self.name = name
        return True

    def getParam(self, name):
        return self.params.get(name)

    def connectInput(self, index, node):
        self.inputs[index] = node
        return True

    def picture(self, frame):
        inputs = [self.inputs[n].picture(frame) for n in sorted(self.inputs)]
        if self.kind == "reader":
            p = self.params
            assert p["ocioInputSpace"].get() == p["ocioOutputSpace"].get()
            assert p["filePremult"].get() == p["outputPremult"].get()
            file = p["filename"].get()
            return read(file % frame if "%" in file else file)
        if self.kind == "net.sf.openfx.STMap":
            source, place = inputs
            filter_ = self.params["filter"]
            assert filter_.options[filter_.get()] == "Bilinear"
            assert self.params["black_outside"].get() is False
            return _bilinear(source, place[..., 0], place[..., 1])
        names = _channels(inputs[0], "{}")
        if len(inputs) > 1:
            names |= _channels(inputs[1], "{}2")
        values = [Expression(self.params[f"{c}Expr"].get(), names).value() for c in "rgba"]
        return _rgba(values, inputs[0].shape[:2])


class _NatronApp:
    def __init__(self):
        self.nodes, self.project = [], {"frameRange": _Param()}

    def getProjectParam(self, name):
        return self.project[name]

    def _add(self, node):
        self.nodes.append(node)
        return node

    def createReader(self, filename):
        spaces = {"ocioInputSpace": _Param("sRGB"), "ocioOutputSpace": _Param("Linear")}
        alphas = {"filePremult": _Param(2), "outputPremult": _Param(1)}
        more = {"filename": _Param(filename), "onMissingFrame": _Param(1)}
        return self._add(_NatronNode("reader", **spaces, **alphas, **more))

    def createWriter(self, filename):
        spaces = {"ocioInputSpace": _Param("Linear"), "ocioOutputSpace": _Param("sRGB")}
        return self._add(_NatronNode("writer", filename=_Param(filename), **spaces))

    def createNode(self, kind):
        if kind == "net.sf.openfx.STMap":
            filters = _Param(2, ("Impulse", "Bilinear", "Cubic", "Keys"))
            return self._add(_NatronNode(kind, filter=filters, black_outside=_Param(True)))
        assert kind == "fr.inria.openfx.SeExprSimple", kind
        return self._add(_NatronNode(kind, **{f"{c}Expr": _Param("") for c in "rgba"}))
