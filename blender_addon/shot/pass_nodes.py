"""The passes of a shot's node group: what an artist needs to grade a layer or work on its edges.

Behind the picture the group hands out of every layer, in this order,

    Matte   the layer's matte
    UV      where each pixel lies on its texture, and the matte
    Light   what its paint is multiplied with, on display-encoded values; with the relight input
    Paint   the paint alone, with alpha: premultiplied, in the colours of the picture

Blender computes what is linked and nothing else, so they cost nothing until they are used. The
engine writes the same by `nvd render --passes` (nvd_core/editing/passes.py).
"""

import bpy

from ..blender import compat
from ..blender.pixels import DISPLAY, LINEAR
from . import nodes

PASSES = {
    "Matte": "NodeSocketFloat",
    "UV": "NodeSocketVector",
    "Light": "NodeSocketColor",
    "Paint": "NodeSocketColor",
}
"""by what an output is called behind its layer: its kind"""
LIES = 1e-4
"""difference from the learned texture, 0 to 1, that counts as paint"""


def add_outputs(tree: bpy.types.NodeTree, layers: list[str], raw: bool) -> None:
    """Give the group of `build_group` an output for each pass of each of the `layers`.

    `raw` leaves paint display-encoded, as the picture is.
    """
    output = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
    for row, layer in enumerate(layers):
        before = set(tree.nodes)
        look_up = tree.nodes[f"{layer} look up"]
        place = look_up.inputs[1].links[0].from_socket
        light = tree.nodes[f"{layer} light"].outputs
        made = {
            "Matte": compat.separate_xyz(tree, place)[2],
            "UV": place,
            "Light": next(socket for socket in light if socket.is_linked),
            "Paint": _paint(tree, layer, place, raw),
        }
        for name, kind in PASSES.items():
            title = f"{layer} {name}"
            tree.interface.new_socket(title, in_out="OUTPUT", socket_type=kind)
            target = next(socket for socket in output.inputs if socket.name == title)
            tree.links.new(made[name], target)
        new = sorted(set(tree.nodes) - before, key=lambda node: node.name)
        for column, node in enumerate(new):
            node.location = (2200 + 200 * column, -nodes.ROW * row - 900)
        nodes.frame_around(tree, f"Passes {layer}", new)


def _paint(tree, layer: str, place, raw: bool):
    """The socket with the paint alone, premultiplied, with its opacity as alpha."""
    learned = tree.nodes[f"{layer} learned encoded"].outputs[0]
    change = _only(tree.nodes[f"{layer} fade"])
    opacity = compat.math(
        tree, "MULTIPLY", _cover(tree, change), _only(tree.nodes[f"{layer} painted"], "Alpha")
    )
    below = compat.mix(tree, "MULTIPLY", learned, opacity)
    over = compat.mix(tree, "ADD", compat.mix(tree, "MULTIPLY", change, opacity), below)
    colours = _looked_up(tree, layer, over, place)
    covers = _looked_up(tree, layer, compat.mix(tree, "MULTIPLY", (1, 1, 1, 1), opacity), place)
    shows = tree.nodes[f"{layer} visibility"].outputs[f"{layer} Visibility"]
    colours = compat.mix(tree, "MULTIPLY", colours, shows)
    lit = next(s for s in tree.nodes[f"{layer} light"].outputs if s.is_linked)
    colours = compat.mix(tree, "MULTIPLY", colours, lit)
    alpha = compat.math(tree, "MULTIPLY", compat.separate_colour(tree, covers)[0], shows)
    result = compat.set_alpha(tree, colours, alpha, apply=False)
    if raw:
        return result
    result = compat.set_alpha(tree, compat.straight(tree, result), 1.0, apply=False)
    result = nodes.convert(tree, result, DISPLAY, LINEAR, (0, 0))
    return compat.set_alpha(tree, result, alpha, apply=True)


def _looked_up(tree, layer: str, image, place):
    """`image` at the layer's place in it, as the layer's own share is looked up."""
    found = nodes.looked_up(tree, image, place)
    own = tree.nodes[f"{layer} look up"]
    for side in ("Width", "Height"):
        if side in found.node.inputs:
            found.node.inputs[side].default_value = own.inputs[side].default_value
    found.node.name = f"{layer} pass look up"
    return found


def _only(node, name: str = ""):
    """The output of that name of a node, or the one that is used."""
    if name in node.outputs:
        return node.outputs[name]
    return next(socket for socket in node.outputs if socket.is_linked)


def _cover(tree, change):
    """1 where there is any paint, else 0."""
    channels = compat.separate_colour(tree, change)[:3]
    sizes = [compat.math(tree, "ABSOLUTE", channel) for channel in channels]
    largest = compat.math(tree, "MAXIMUM", *sizes[:2])
    largest = compat.math(tree, "MAXIMUM", largest, sizes[2])
    return compat.math(tree, "GREATER_THAN", largest, LIES)
