"""Fusion's composition (.comp): Loader, Custom Tool, Saver; for Fusion and for DaVinci Resolve.

The lookup is a Custom Tool that reads four texels of its second image at their centres and weighs
them, so that it is bilinear whatever the tool does between pixels.
"""

from nvd_core.editing.export_graph import (
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
from nvd_core.media.sequences import frame_path

_WORDS = Words("if({test}, {yes}, {no})")
_OUTPUTS = ("Red", "Green", "Blue", "Alpha")
_FORMATS = {"png": "PNGFormat", "exr": "OpenEXRFormat"}


def fusion_comp(over: HandOver) -> str:
    """The text of the composition; `Comp:` stands for the folder that it lies in."""
    clip = over.clip
    depth = 4  # floating point, 32 bits
    aspect = clip.picture.pixel_aspect
    tools = "".join(_tool(node, over, n, depth) for n, node in enumerate(graph(over)))
    saved = frame_path(over.result.replace("result/", "from_fusion/"), over.first).as_posix()
    form = _FORMATS[saved.rpartition(".")[2]]
    clip_text = f'Value = Clip {{ Filename = "Comp:/{saved}", FormatID = "{form}" }}'
    saver = _block("save_result", "Saver", {"Clip": clip_text, "Input": _link(RESULT)}, 999)
    span = f"{{ {over.first}, {over.last} }}"
    return (
        "Composition {\n"
        f"\tCurrentTime = {over.first},\n"
        f"\tRenderRange = {span},\n"
        f"\tGlobalRange = {span},\n"
        f"\tTools = {{\n{tools}{saver}\t}},\n"
        "\tPrefs = { Comp = { FrameFormat = { "
        f"Width = {clip.width}, Height = {clip.height}, Rate = {clip.rate[0] / clip.rate[1]:.6g}, "
        f"AspectX = {aspect[0]}, AspectY = {aspect[1]}, DepthFull = {depth}, DepthLock = true "
        "} } }\n}\n"
    )


def _tool(node: Node, over: HandOver, at: int, depth: int) -> str:
    match node:
        case Read(name, path, moves):
            return _loader(name, path, moves, over, at, depth)
        case Formula(name, inputs, rgba):
            names = channels("{}1", "{}2")
            expressions = [_WORDS.write(formula, names) for formula in rgba]
            return _custom(name, inputs, expressions, {}, at)
        case Lookup():
            return _lookup(node, at)


def _loader(name: str, path: str, moves: bool, over: HandOver, at: int, depth: int) -> str:
    first, last = (over.first, over.last) if moves else (over.first, over.first)
    file = frame_path(path, first).as_posix() if moves else path
    form = _FORMATS[file.rpartition(".")[2]]
    length = last - first
    clip = (
        f'\t\t\tClips = {{ Clip {{ ID = "Clip1", Filename = "Comp:/{file}", FormatID = "{form}", '
        f"StartFrame = {first if moves else -1}, LengthSetManually = true, "
        f"TrimIn = 0, TrimOut = {length}, ExtendFirst = 0, ExtendLast = 0, "
        f"Loop = {0 if moves else 1}, AspectMode = 0, Depth = {depth}, TimeCode = 0, "
        f"GlobalStart = {over.first}, GlobalEnd = {over.last} }} }},\n"
    )
    # no curve of a colour space, no multiplication by an alpha; a gap shows the frame before it
    inputs = {
        "PostMultiplyByAlpha": "Value = 0",
        "MissingFrames": "Value = 1",
        "Loop": f"Value = {0 if moves else 1}",
        '["Clip1.OpenEXRFormat.RedName"]': 'Value = FuID { "R" }',
        '["Clip1.OpenEXRFormat.GreenName"]': 'Value = FuID { "G" }',
        '["Clip1.OpenEXRFormat.BlueName"]': 'Value = FuID { "B" }',
    }
    if form != "OpenEXRFormat":
        inputs = {k: v for k, v in inputs.items() if "OpenEXR" not in k}
    return _block(name, "Loader", inputs, at, clip)


def _custom(
    name: str, images: tuple[str, ...], rgba: list[str], more: dict[str, str], at: int
) -> str:
    inputs = {key: f'Value = "{text}"' for key, text in more.items()}
    for output, text in zip(_OUTPUTS, rgba, strict=True):
        inputs[f"{output}Expression"] = f'Value = "{text}"'
    inputs |= {f"Image{n + 1}": _link(image) for n, image in enumerate(images)}
    return _block(name, "Custom", inputs, at)


def _lookup(node: Lookup, at: int) -> str:
    """Image 1 is the map, which gives the size; image 2 is looked up."""
    width, height = node.width, node.height
    more = {
        # the place in texels; then the centre of the texel to the left of it and below it, 0 to 1
        "Setup1": f"1 / {width}",
        "Setup2": f"1 / {height}",
        "Intermediate1": f"max(min(r1 * {width} - 0.5, {width - 1}), 0)",
        "Intermediate2": f"max(min(g1 * {height} - 0.5, {height - 1}), 0)",
        "Intermediate3": "(floor(i1) + 0.5) * s1",
        "Intermediate4": "(floor(i2) + 0.5) * s2",
    }
    rgba = []
    for c in "rgb":
        rows = [
            f"(get{c}2d(i3, {y}) * (1 - i1 + floor(i1))"
            f" + get{c}2d(i3 + s1, {y}) * (i1 - floor(i1)))"
            for y in ("i4", "i4 + s2")
        ]
        rgba.append(f"{rows[0]} * (1 - i2 + floor(i2)) + {rows[1]} * (i2 - floor(i2))")
    return _custom(node.name, (node.place, node.image), [*rgba, "1"], more, at)


def _link(name: str) -> str:
    return f'SourceOp = "{name}", Source = "Output"'


def _block(name: str, kind: str, inputs: dict[str, str], at: int, more: str = "") -> str:
    lines = "".join(f"\t\t\t\t{key} = Input {{ {value}, }},\n" for key, value in inputs.items())
    place = f"{{ {110 * (at % 9)}, {40 * (at // 9) + 10 * (at % 9)} }}"
    return (
        f"\t\t{name} = {kind} {{\n{more}\t\t\tInputs = {{\n{lines}\t\t\t}},\n"
        f"\t\t\tViewInfo = OperatorInfo {{ Pos = {place} }},\n\t\t}},\n"
    )
