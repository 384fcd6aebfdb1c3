"""The compositor nodes of a shot: one node group that turns frames, edits and maps into a picture.

The arithmetic is that of docs/decomposition-folder.md, on display-encoded values. With c the
learned texture, e the edit and a its alpha, each looked up at the layer's place in the texture:

    delta:  frame + sum of  visibility * alpha * light * a (e - c)
    full:           sum of  visibility * alpha * light * (c + a (e - c))
    light = 1 + relight * (residual - 1)
"""

from collections.abc import Mapping

import bpy

from . import compat

LOOKUP = "NVD Lookup"
ROW = 620  # height given to one layer


def build_group(
    name: str,
    layers: list[str],
    textures: Mapping[str, bpy.types.Image],
    maps: bpy.types.Image,
    *,
    frames: int,
    mode: str,
    linear_frames: bool,
    raw: bool,
) -> bpy.types.NodeTree:
    """The node group of a shot. Inputs: Frame (delta only), then Edit, Visibility and Relight of
    every layer, and the edit's size before Blender 5.0. Output: Image.

    `raw` leaves the result display-encoded; otherwise it is scene-linear Rec.709.
    """
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    inputs = _interface(tree, layers, textures, mode)
    if mode == "delta":
        total = inputs["Frame"]
        if linear_frames:
            total = _convert(tree, total, "Linear Rec.709", "sRGB", (420, 260))
    else:
        total = None
    for row, layer in enumerate(layers):
        share = _layer(tree, layer, inputs, textures[layer], maps, frames, mode, row)
        if total is None:
            total = share
        else:
            total = compat.mix(tree, "ADD", total, share)
            _place(total.node, f"Add {layer}", (1640, -ROW * row))
    alpha = tree.nodes.new("CompositorNodeSetAlpha")
    compat.feed(tree, total, alpha.inputs[0])
    total = _place(alpha, "Opaque", (1860, 0)).outputs[0]
    if not raw:
        total = _convert(tree, total, "sRGB", "Linear Rec.709", (2060, 0))
    tree.links.new(total, _place(tree.nodes.new("NodeGroupOutput"), "", (2280, 0)).inputs[0])
    return tree


def image_node(tree, image, label: str, at, *, frames: int = 0, layer: str = ""):
    """An Image node; with `frames`, a sequence from file 0 whose first frame is scene frame 1."""
    node = _place(tree.nodes.new("CompositorNodeImage"), label, at)
    node.image = image
    if frames:
        node.frame_start = 1
        node.frame_duration = frames
        node.frame_offset = -1
        node.use_auto_refresh = True
    if layer:
        node.layer = layer
    return node


def frame_around(tree, label: str, nodes) -> bpy.types.Node:
    frame = tree.nodes.new("NodeFrame")
    frame.label = frame.name = label
    for node in nodes:
        node.parent = frame
    return frame


def _interface(tree, layers, textures, mode) -> dict[str, bpy.types.NodeSocket]:
    """Declare the group's sockets; the Group Input node's outputs by name."""

    def socket(name, kind, default, minimum=None):
        made = tree.interface.new_socket(name, in_out="INPUT", socket_type=kind)
        made.default_value = default
        if minimum is not None:
            made.min_value = minimum
        return made

    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    if mode == "delta":
        socket("Frame", "NodeSocketColor", (0, 0, 0, 1)).description = "The clip as shot"
    for layer in layers:
        socket(
            f"{layer} Edit", "NodeSocketColor", (0, 0, 0, 0)
        ).description = (
            "What is painted, straight alpha: where it is transparent the layer stays as learned"
        )
        visibility = socket(f"{layer} Visibility", "NodeSocketFloat", 1.0, 0.0)
        visibility.description = "How much of the paint (delta) or of the layer (full) shows"
        relight = socket(f"{layer} Relight", "NodeSocketFloat", 1.0, 0.0)
        relight.description = "How much of the shot's changing light falls on the layer"
        if not compat.NEW_COMPOSITOR:
            for side, size in zip(("Width", "Height"), textures[layer].size, strict=True):
                made = socket(f"{layer} Edit {side}", "NodeSocketFloat", float(size), 1.0)
                made.description = "Of the edit image, in pixels"
    node = _place(tree.nodes.new("NodeGroupInput"), "", (-260, 0))
    return {output.name: output for output in node.outputs if output.name}


def _layer(tree, layer, inputs, texture, maps, frames, mode, row):
    """The nodes of one layer; returns the socket with its share of the picture."""
    before = set(tree.nodes)
    top = -ROW * row
    map_node = image_node(tree, maps, f"{layer} maps", (0, top), frames=frames, layer=layer)
    place, residual = map_node.outputs["Map"], map_node.outputs["Residual"]
    learned_node = image_node(tree, texture, f"{layer} learned", (0, top - 300))
    learned = _lookup(tree, learned_node.outputs["Image"], place, texture.size, (240, top - 300))
    size = [inputs.get(f"{layer} Edit {side}") for side in ("Width", "Height")]
    edit = _lookup(tree, inputs[f"{layer} Edit"], place, size, (240, top - 100))
    learned[0].node.label, edit[0].node.label = "Look up learned", "Look up edit"

    def step(socket, label, column, down):
        _place(socket.node, label, (460 + 190 * column, top - down))
        return socket

    paint = step(compat.mix(tree, "SUBTRACT", edit[0], learned[0]), "Edit - learned", 0, 200)
    paint = step(compat.mix(tree, "MULTIPLY", paint, edit[1]), "x edit's alpha", 1, 200)
    if mode == "full":
        paint = step(compat.mix(tree, "ADD", learned[0], paint), "Learned + paint", 2, 200)
    light = step(compat.mix(tree, "SUBTRACT", residual, (1, 1, 1, 1)), "Residual - 1", 0, 0)
    relight = inputs[f"{layer} Relight"]
    light = step(compat.mix(tree, "MULTIPLY", light, relight), "x relight", 1, 0)
    light = step(compat.mix(tree, "ADD", light, (1, 1, 1, 1)), "Light", 2, 0)
    alpha = step(compat.separate_xyz(tree, place)[2], "Layer's alpha", 2, 400)
    shown = compat.math(tree, "MULTIPLY", alpha, inputs[f"{layer} Visibility"])
    step(shown, "x visibility", 3, 400)
    share = step(compat.mix(tree, "MULTIPLY", paint, light), "x light", 4, 100)
    share = step(compat.mix(tree, "MULTIPLY", share, shown), "x alpha", 5, 100)
    frame_around(tree, f"Layer {layer}", set(tree.nodes) - before)
    return share


def _lookup(tree, image, place, size, at):
    """`image` looked up bilinearly: its colour and alpha sockets."""
    node = _place(tree.nodes.new("CompositorNodeGroup"), "Look up", at)
    node.node_tree = lookup_group()
    compat.feed(tree, image, node.inputs["Image"])
    compat.feed(tree, place, node.inputs["Map"])
    if not compat.NEW_COMPOSITOR:
        compat.feed(tree, size[0], node.inputs["Width"])
        compat.feed(tree, size[1], node.inputs["Height"])
    return node.outputs["Image"], node.outputs["Alpha"]


def lookup_group() -> bpy.types.NodeTree:
    """The shared group that looks an image up bilinearly with clamped edges, straight alpha."""
    tree = bpy.data.node_groups.get(LOOKUP)
    if tree is not None:
        return tree
    tree = bpy.data.node_groups.new(LOOKUP, "CompositorNodeTree")
    interface = tree.interface
    interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    interface.new_socket("Alpha", in_out="OUTPUT", socket_type="NodeSocketFloat")
    interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    interface.new_socket("Map", in_out="INPUT", socket_type="NodeSocketVector")
    if not compat.NEW_COMPOSITOR:
        for side in ("Width", "Height"):
            made = interface.new_socket(side, in_out="INPUT", socket_type="NodeSocketFloat")
            made.default_value = made.min_value = 1.0
    group_input = _place(tree.nodes.new("NodeGroupInput"), "", (0, 0))
    inputs = {output.name: output for output in group_input.outputs if output.name}
    u, v, _ = compat.separate_xyz(tree, inputs["Map"])
    _place(u.node, "Place in texture", (200, -200))
    if compat.NEW_COMPOSITOR:
        vector = compat.combine_xyz(tree, u, v, 1.0)  # the third value would scale the colour
        _place(vector.node, "", (400, -200))
        colour = compat.map_uv(tree, inputs["Image"], vector)
        _place(colour.node, "", (600, 0))
        alpha = _alpha(tree, colour)
        _place(alpha.node, "", (800, -200))
    else:
        colour, alpha = _four_taps(tree, inputs, u, v)
    output = _place(tree.nodes.new("NodeGroupOutput"), "", (2600, 0))
    if compat.NEW_COMPOSITOR:
        output.location.x = 1000
    compat.feed(tree, colour, output.inputs["Image"])
    compat.feed(tree, alpha, output.inputs["Alpha"])
    return tree


def _four_taps(tree, inputs, u, v):
    """Bilinear from four exact texels, for the Map UV node before Blender 5.0.

    A texel is aimed at a quarter beyond its left and lower edge, because Blender 4.3 rounds where
    the others cut off; both then find the same texel.
    """

    def axis(at, size, row):
        """The two taps' places along one axis, and the weight of the second."""
        nodes = []

        def step(operation, *values):
            nodes.append(compat.math(tree, operation, *values))
            _place(nodes[-1].node, "", (400 + 160 * len(nodes), row - 40 * (len(nodes) % 2)))
            return nodes[-1]

        texel = step("MULTIPLY_ADD", at, size, -0.5)
        first = step("FLOOR", texel)
        weight = step("SUBTRACT", texel, first)
        last = step("SUBTRACT", size, 1.0)
        taps = []
        for k in (0.0, 1.0):
            tap = step("MINIMUM", step("MAXIMUM", step("ADD", first, k), 0.0), last)
            taps.append(step("DIVIDE", step("ADD", tap, 0.25), size))
        frame_around(tree, "Across" if row > -400 else "Up", [socket.node for socket in nodes])
        return taps, weight

    across, x = axis(u, inputs["Width"], -100)
    up, y = axis(v, inputs["Height"], -500)
    colours, alphas = [], []
    for j in (0, 1):
        row_colours, row_alphas = [], []
        for i in (0, 1):
            down = 300 - 320 * (2 * j + i)
            vector = compat.combine_xyz(tree, across[i], up[j], 1.0)
            _place(vector.node, "", (1700, down - 100))
            texel = compat.map_uv(tree, inputs["Image"], vector)
            _place(texel.node, f"Texel {i} {j}", (1860, down))
            row_colours.append(texel)
            row_alphas.append(_alpha(tree, texel))
            _place(row_alphas[-1].node, "", (2020, down - 100))
        colours.append(compat.mix(tree, "MIX", *row_colours, x))
        alphas.append(_between(tree, *row_alphas, x))
        _place(colours[-1].node, "", (2200, 300 - 640 * j))
    colour = compat.mix(tree, "MIX", *colours, y)
    _place(colour.node, "", (2400, 0))
    return colour, _between(tree, *alphas, y)


def _alpha(tree, colour):
    node = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(colour, node.inputs[0])
    return node.outputs["Alpha"]


def _between(tree, a, b, weight):
    """a + weight (b - a); the colour Mix node would leave alpha as it is in a."""
    difference = compat.math(tree, "SUBTRACT", b, a)
    result = compat.math(tree, "MULTIPLY_ADD", weight, difference, a)
    column = 2200 + 100 * sum(socket.node.bl_idname.endswith("Math") for socket in (a, b))
    down = a.node.location.y - 200
    _place(difference.node, "", (column, down))
    _place(result.node, "", (column, down - 60))
    return result


def _convert(tree, colour, source: str, target: str, at):
    node = _place(tree.nodes.new("CompositorNodeConvertColorSpace"), f"{source} to {target}", at)
    node.from_color_space, node.to_color_space = source, target
    tree.links.new(colour, node.inputs[0])
    return node.outputs[0]


def _place(node, label: str, at):
    node.location = at
    if label:
        node.label = label
    return node
