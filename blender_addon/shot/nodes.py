"""The compositor nodes of a shot: one node group that turns frames, edits and maps into a picture.

The arithmetic is that of docs/reference/decomposition-folder.md, on display-encoded values, to
which the colours of textures are brought first. With c the learned texture, e the edit and a its
alpha, the texture a (e - c), or c + a (e - c), is made texel by texel and then looked up at the
layer's place in it:

    delta:  frame + sum of  visibility * alpha * light * lookup(a (e - c))
    full:           sum of  visibility * alpha * light * lookup(c + a (e - c))
    light = 1 + relight * (residual - 1)

The layers' alphas sum to 1, but in a garbage matte, which is no layer's: there full mode adds
frame * (1 - sum of alpha).

Of a plate with alpha, `frame` are its straight colours. The picture is multiplied by that alpha in
the end, which is the group's; before that integers are clamped to 0..1, as their files will be.
Where a premultiplied plate's alpha is 0 the plate passes.

An edit of another size than the texture is compared with the texture brought to that size
(resample.py), and small differences fade out: `set_texture` follows an edit that changes its size.
Whatever else is linked to a layer's Edit, a movie or another picture, is brought to that size.
"""

from collections.abc import Mapping

import bpy

from ..blender import compat
from ..blender.pixels import DISPLAY, LINEAR, is_light
from .folder import AGAIN, ShotError
from .resample import DEAD_ZONE

LOOKUP = "NVD Bilinear"
FADE = "NVD Fade"
ROW = 740  # height given to one layer
COVERED = 1 / 512  # what may be missing from an alpha of 1: the maps round it


def build_group(
    name: str,
    layers: list[str],
    textures: Mapping[str, tuple[bpy.types.Image, bpy.types.Image]],
    maps: bpy.types.Image,
    *,
    frames: int,
    mode: str,
    linear_frames: bool,
    raw: bool,
    alpha: str = "none",
    garbage: bool = False,
) -> bpy.types.NodeTree:
    """The node group of a shot. Inputs: Frame (in delta, and where there is alpha or a matte), then
    Edit, Visibility and Relight of every layer. Output: Image. `textures` are of each layer what
    was learned, as large as the edit, and the edit. `alpha` is that of the frames as their image
    hands them on: "none", "straight" or "premultiplied". With `garbage` there is a matte in which
    full mode shows the frame.

    `raw` leaves the result display-encoded; otherwise it is scene-linear Rec.709. With alpha it is
    premultiplied, as the compositor's pictures are.
    """
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    has_alpha = alpha != "none"
    _interface(tree, layers, mode, mode == "delta" or has_alpha or garbage)
    frame = plate = None
    if has_alpha:
        plate = _Plate(tree, alpha, linear_frames)
        frame = plate.colours
    elif mode == "delta" or garbage:
        (frame,) = _inputs(tree, (1640, 200), "Frame")
        if linear_frames:
            frame = convert(tree, frame, LINEAR, DISPLAY, (1840, 200))
    total = frame if mode == "delta" else None
    column = 2040
    for row, layer in enumerate(layers):
        share = _layer(tree, layer, textures[layer][0], maps, frames, mode, row)
        set_texture(tree, layer, *textures[layer])
        if total is None:
            total = share
        else:
            total = compat.mix(tree, "ADD", total, share)
            _place(total.node, f"Add {layer}", (column, 0))
            column += 200
    if garbage and mode == "full":
        total, column = _over_frame(tree, layers, total, frame, column), column + 400
    if plate:
        total, column = plate.passing(total, column), column + 200
    # Replaced, not applied: full mode sums premultiplied shares, whose alpha is the first layer's
    total = compat.set_alpha(tree, total, 1.0, apply=False)
    _place(total.node, "Opaque", (column, 0))
    if not raw:
        total = convert(tree, total, DISPLAY, LINEAR, (column + 200, 0))
    if plate:
        total, column = plate.under_alpha(total, column + 400), column + 400
    tree.links.new(
        total, _place(tree.nodes.new("NodeGroupOutput"), "", (column + 420, 0)).inputs[0]
    )
    return tree


def _over_frame(tree, layers, total, frame, column: int):
    """`total` and, where no layer covers the frame, the frame."""
    rest = 1.0
    for row, layer in enumerate(layers):
        place = compat.separate_xyz(tree, tree.nodes[f"{layer} maps"].outputs["Map"])
        _place(place[2].node, f"Alpha {layer}", (1000, -ROW * row - 600))
        rest = compat.math(tree, "SUBTRACT", rest, place[2])
        _place(rest.node, "Not covered", (1200, -ROW * row - 600))
    shows = compat.math(tree, "GREATER_THAN", rest, COVERED)
    _place(shows.node, "More than rounding", (column, 400))
    rest = compat.math(tree, "MULTIPLY", rest, shows)
    _place(rest.node, "Left to the frame", (column, 600))
    share = compat.mix(tree, "MULTIPLY", frame, rest)
    _place(share.node, "Frame in the matte", (column + 200, 400))
    total = compat.mix(tree, "ADD", total, share)
    _place(total.node, "Add the frame", (column + 200, 0))
    return total


class _Plate:
    """The nodes of a frame with alpha: its straight, display-encoded colours, and back."""

    def __init__(self, tree, kind: str, linear: bool):
        self._tree, self._is_premultiplied = tree, kind == "premultiplied"
        self._is_clamped = not linear
        (frame,) = _inputs(tree, (840, 300), "Frame")
        self._alpha = self._step(compat.separate_colour(tree, frame)["Alpha"], "Alpha", 1040, 500)
        colours = frame
        if self._is_premultiplied:
            colours = self._step(compat.straight(tree, frame), "Straight", 1240, 300)
        # else the conversion divides by the alpha
        colours = compat.set_alpha(tree, colours, 1.0, apply=False)
        self.colours = self._step(colours, "Straight, opaque", 1440, 300)
        if linear:
            self.colours = convert(tree, colours, LINEAR, DISPLAY, (1640, 300))
        if self._is_premultiplied:
            size = compat.math(tree, "ABSOLUTE", self._alpha)
            self._step(size, "Size of alpha", 1240, 500)
            shows = compat.math(tree, "GREATER_THAN", size, 0.0)
            self._shows = self._step(shows, "Is not 0", 1440, 500)
            passes = self._step(compat.math(tree, "SUBTRACT", 1.0, shows), "Is 0", 1640, 500)
            factor = compat.math(tree, "ADD", self._alpha, passes)
            self._factor = self._step(factor, "Alpha, 1 for 0", 1840, 500)

    def passing(self, total, column: int):
        """`total`, but the plate where paint does not show; opaque, and clamped as files are."""
        if self._is_premultiplied:
            total = compat.mix(self._tree, "MIX", self.colours, total, self._shows)
            self._step(total, "Plate where alpha is 0", column, 200)
        if self._is_clamped:
            total = compat.mix(self._tree, "ADD", total, (0, 0, 0, 0), clamp=True)
            self._step(total, "0 to 1", column, 400)
        opaque = compat.set_alpha(self._tree, total, 1.0, apply=False)
        return self._step(opaque, "Alpha 1", column, 0)

    def under_alpha(self, total, column: int):
        """`total` premultiplied by the plate's alpha."""
        if not self._is_premultiplied:
            total = compat.set_alpha(self._tree, total, self._alpha, apply=True)
            return self._step(total, "x plate's alpha", column, 0)
        total = compat.mix(self._tree, "MULTIPLY", total, self._factor)
        self._step(total, "x plate's alpha", column, 200)
        total = compat.set_alpha(self._tree, total, self._alpha, apply=False)
        return self._step(total, "Plate's alpha", column, 0)

    def _step(self, socket, label: str, x: int, y: int):
        _place(socket.node, label, (x, y))
        return socket


def set_texture(
    tree: bpy.types.NodeTree, layer: str, texture: bpy.types.Image, edit: bpy.types.Image
) -> None:
    """Compare `edit`, the image at the layer's input, with `texture`, what was learned in its size.

    Both as their colour spaces have it.
    """
    tree.nodes[f"{layer} learned"].image = texture
    for what, image in (("learned", texture), ("edit", edit)):  # muted, colours go through
        tree.nodes[f"{layer} {what} encoded"].mute = not is_light(image)
    # Muted, the paint goes through: of a flattened stack the engine has let it fade in already
    tree.nodes[f"{layer} fade"].mute = "nvd_base" not in texture or "nvd_flat" in edit
    called = f"{layer} look up", f"{layer} pass look up"
    for lookup in [node for node in tree.nodes if node.name.partition(".")[0] in called]:
        for side, value in zip(("Width", "Height"), texture.size, strict=True):
            if side in lookup.inputs:
                lookup.inputs[side].default_value = value
    fit = tree.nodes.get(f"{layer} fit")  # groups of older versions have none
    if fit is not None:
        fit.inputs["X"].default_value, fit.inputs["Y"].default_value = texture.size


def image_node(tree, image, label: str, at, *, frames: int = 0, layer: str = ""):
    """An Image node. With `frames`, a sequence whose file 0 is scene frame 1; with `layer`, that
    layer of a multi-layer file.
    """
    node = _place(tree.nodes.new("CompositorNodeImage"), label, at)
    node.image = image
    if frames:
        node.frame_start = 1
        node.frame_duration = frames
        node.frame_offset = -1
        node.use_auto_refresh = True
    if layer:
        try:
            node.layer = layer
        except TypeError as error:  # the file's layers are the values it takes
            raise ShotError(f"{image.filepath} holds no layer {layer!r}", AGAIN) from error
    return node


def frame_around(tree, label: str, nodes) -> bpy.types.Node:
    frame = tree.nodes.new("NodeFrame")
    frame.label = frame.name = label
    for node in nodes:
        node.parent = frame
    return frame


def _interface(tree, layers, mode, has_frame: bool) -> None:
    """Declare the group's sockets."""

    def declare(name, kind, default, description):
        made = tree.interface.new_socket(name, in_out="INPUT", socket_type=kind)
        made.default_value = default
        made.description = description
        if kind == "NodeSocketFloat":
            made.min_value = 0.0

    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    if has_frame:
        declare("Frame", "NodeSocketColor", (0, 0, 0, 1), "The clip as shot")
    for layer in layers:
        painted = "What is painted; where transparent, as learned"
        declare(f"{layer} Edit", "NodeSocketColor", (0, 0, 0, 0), painted)
        shows = "How much of the layer shows" if mode == "full" else "How much of the paint shows"
        declare(f"{layer} Visibility", "NodeSocketFloat", 1.0, shows)
        falls = "How much of the shot's changing light falls on the layer"
        declare(f"{layer} Relight", "NodeSocketFloat", 1.0, falls)


def _place_socket(socket, label: str, at):
    _place(socket.node, label, at)
    return socket


def _inputs(tree, at, *names):
    """A Group Input node that shows only the sockets `names`, which are returned."""
    node = _place(tree.nodes.new("NodeGroupInput"), "", at)
    for output in node.outputs:
        output.hide = output.name not in names
    return [node.outputs[name] for name in names]


def _layer(tree, layer, texture, maps, frames, mode, row):
    """The nodes of one layer; returns the socket with its share of the picture."""
    before = set(tree.nodes)
    top = -ROW * row

    def step(socket, label, column, down):
        _place(socket.node, label, (200 * column, top - down))
        return socket

    learned_node = image_node(tree, texture, f"{layer} learned", (-600, top))
    learned_node.name = f"{layer} learned"
    map_node = image_node(tree, maps, f"{layer} maps", (600, top - 260), frames=frames, layer=layer)
    map_node.name = f"{layer} maps"
    learned = _encoded(tree, learned_node.outputs["Image"], f"{layer} learned", (-400, top))
    (edit,) = _inputs(tree, (-600, top - 260), f"{layer} Edit")
    names = f"{layer} Visibility", f"{layer} Relight"
    visibility, relight = _inputs(tree, (800, top - 440), *names)
    edit = _place_socket(
        compat.scale_to_size(tree, edit), "To the texture's size", (-500, top - 360)
    )
    edit.node.name = f"{layer} fit"
    painted = step(compat.separate_colour(tree, edit)["Alpha"], "Edit's alpha", 1, 260)
    painted.node.name = f"{layer} painted"
    edit = _encoded(tree, edit, f"{layer} edit", (-400, top - 260))
    # In this order the size is that of what was learned, to the pixel, whatever is linked
    less = _place_socket(compat.mix(tree, "SUBTRACT", learned, edit), "Learned - edit", (0, top))
    paint = step(compat.mix(tree, "SUBTRACT", (0, 0, 0, 1), less), "Edit - learned", 1, 0)
    fade = tree.nodes.new("CompositorNodeGroup")
    fade.node_tree, fade.name = _fade_group(), f"{layer} fade"
    compat.feed(tree, paint, fade.inputs[0])
    paint = step(fade.outputs[0], "Fade in", 2, 0)
    fade.name = f"{layer} fade"
    paint = step(compat.mix(tree, "MULTIPLY", paint, painted), "x edit's alpha", 3, 0)
    if mode == "full":
        paint = step(compat.mix(tree, "ADD", learned, paint), "Learned + paint", 4, 0)
    residual = map_node.outputs["Residual"]
    light = step(compat.mix(tree, "SUBTRACT", residual, (1, 1, 1, 1)), "Residual - 1", 5, 260)
    light = step(compat.mix(tree, "MULTIPLY", light, relight), "x relight", 6, 260)
    light = step(compat.mix(tree, "ADD", light, (1, 1, 1, 1)), "Light", 7, 260)
    light.node.name, visibility.node.name = f"{layer} light", f"{layer} visibility"
    place = map_node.outputs["Map"]
    if "Fine" in map_node.outputs:  # what Map is too coarse for, where the texture is large
        place = step(compat.mix(tree, "ADD", place, map_node.outputs["Fine"]), "Map + fine", 4, 130)
        place.node.name = f"{layer} exact place"
    stop = tree.nodes.new("NodeReroute")  # before which edge_nodes.py puts the edges of paint
    stop.name, stop.location = f"{layer} place", (1150, top - 60)
    stop["nvd_source"], outputs = place.node.name, list(place.node.outputs)
    stop["nvd_output"] = outputs.index(place)
    tree.links.new(place, stop.inputs[0])
    share = step(looked_up(tree, paint, stop.outputs[0]), "Look up, x alpha", 5, 0)
    share.node.name = f"{layer} look up"
    share = step(compat.mix(tree, "MULTIPLY", share, visibility), "x visibility", 6, 0)
    share = step(compat.mix(tree, "MULTIPLY", share, light), "x light", 8, 0)
    frame_around(tree, f"Layer {layer}", set(tree.nodes) - before)
    return share


def _encoded(tree, image, name: str, at):
    """The colours of `image`, which Blender hands on as light, display-encoded and opaque."""
    opaque = compat.mix(tree, "ADD", (0, 0, 0, 1), image)  # else they are divided by the alpha
    _place(opaque.node, "Opaque", at)
    encoded = convert(tree, opaque, LINEAR, DISPLAY, (at[0] + 200, at[1]))
    encoded.node.name = f"{name} encoded"
    return encoded


def looked_up(tree, image, place):
    """`image` looked up bilinearly, times the third value of `place`, the layer's alpha."""
    if compat.NEW_COMPOSITOR:
        return compat.map_uv(tree, image, place)
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = _bilinear_group()
    compat.feed(tree, image, node.inputs["Image"])
    compat.feed(tree, place, node.inputs["Map"])
    return node.outputs[0]


def _fade_group() -> bpy.types.NodeTree:
    """Paint times a weight that rises from 0 to 1 as its largest channel does from DEAD_ZONE to
    twice of it.
    """
    tree = bpy.data.node_groups.get(FADE)
    if tree is not None:
        return tree
    tree = bpy.data.node_groups.new(FADE, "CompositorNodeTree")
    tree.interface.new_socket("Paint", in_out="OUTPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("Paint", in_out="INPUT", socket_type="NodeSocketColor")
    paint = _place(tree.nodes.new("NodeGroupInput"), "", (0, 0)).outputs[0]
    channels = compat.separate_colour(tree, paint)[:3]
    _place(channels[0].node, "Channels", (200, -200))
    sizes = [compat.math(tree, "ABSOLUTE", channel) for channel in channels]
    for row, size in enumerate(sizes):
        _place(size.node, "Size", (400, -200 * row))
    largest = compat.math(tree, "MAXIMUM", *sizes[:2])
    _place(largest.node, "Larger", (600, -200))
    largest = compat.math(tree, "MAXIMUM", largest, sizes[2])
    _place(largest.node, "Largest", (800, -200))
    weight = compat.math(tree, "MULTIPLY_ADD", largest, 1 / DEAD_ZONE, -1.0)
    _place(weight.node, "Weight", (1000, -200)).use_clamp = True
    faded = compat.mix(tree, "MULTIPLY", paint, weight)
    _place(faded.node, "x weight", (1200, 0))
    output = _place(tree.nodes.new("NodeGroupOutput"), "", (1400, 0))
    compat.feed(tree, faded, output.inputs[0])
    return tree


def _bilinear_group() -> bpy.types.NodeTree:
    """Bilinear from four exact texels, for the Map UV node before Blender 5.0; edges clamp.

    A texel is aimed at a quarter beyond its left and lower edge, because Blender 4.3 rounds where
    the others cut off; both then find the same texel.
    """
    tree = bpy.data.node_groups.get(LOOKUP)
    if tree is not None:
        return tree
    tree = bpy.data.node_groups.new(LOOKUP, "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("Map", in_out="INPUT", socket_type="NodeSocketVector")
    for side in ("Width", "Height"):
        tree.interface.new_socket(side, in_out="INPUT", socket_type="NodeSocketFloat")
    group_input = _place(tree.nodes.new("NodeGroupInput"), "", (0, 0))
    image, place, width, height, _ = group_input.outputs
    u, v, alpha = compat.separate_xyz(tree, place)
    _place(u.node, "Place in texture", (200, -100))
    across, x = _taps(tree, u, width, "Across", (480, 300))
    up, y = _taps(tree, v, height, "Up", (480, -300))
    rows = []
    for j in (0, 1):
        texels = []
        for i in (0, 1):
            down = 300 - 200 * (2 * j + i)
            vector = compat.combine_xyz(tree, across[i], up[j], alpha)
            _place(vector.node, "", (1720, down))
            texels.append(compat.map_uv(tree, image, vector))
            _place(texels[i].node, f"Texel {i} {j}", (1900, down))
        rows.append(compat.mix(tree, "MIX", *texels, x))
        _place(rows[j].node, "Between columns", (2100, 200 - 400 * j))
    colour = compat.mix(tree, "MIX", *rows, y)
    _place(colour.node, "Between rows", (2300, 0))
    output = _place(tree.nodes.new("NodeGroupOutput"), "", (2500, 0))
    compat.feed(tree, colour, output.inputs[0])
    return tree


def _taps(tree, at, size, label, corner):
    """The places of the two texels around `at` along one axis, and the weight of the second."""
    before = set(tree.nodes)

    def step(operation, values, name, column, down):
        socket = compat.math(tree, operation, *values)
        _place(socket.node, name, (corner[0] + 180 * column, corner[1] - down))
        return socket

    texel = step("MULTIPLY_ADD", (at, size, -0.5), "In texels", 0, 0)
    first = step("FLOOR", (texel,), "First texel", 1, 0)
    weight = step("SUBTRACT", (texel, first), "Weight", 2, 340)
    last = step("SUBTRACT", (size, 1.0), "Last texel", 0, 200)
    taps = []
    for k in (0, 1):
        tap = step("ADD", (first, float(k)), f"Texel {k}", 2, 170 * k)
        tap = step("MAXIMUM", (tap, 0.0), "Not below", 3, 170 * k)
        tap = step("MINIMUM", (tap, last), "Not above", 4, 170 * k)
        tap = step("ADD", (tap, 0.25), "Well inside", 5, 170 * k)
        taps.append(step("DIVIDE", (tap, size), "Of the width", 6, 170 * k))
    frame_around(tree, label, set(tree.nodes) - before)
    return taps, weight


def convert(tree, colour, source: str, target: str, at):
    node = _place(tree.nodes.new("CompositorNodeConvertColorSpace"), f"{source} to {target}", at)
    node.from_color_space, node.to_color_space = source, target
    tree.links.new(colour, node.inputs[0])
    return node.outputs[0]


def _place(node, label: str, at):
    node.location = at
    if label:
        node.label = label
    return node
