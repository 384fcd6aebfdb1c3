"""A shot's group in a scene's compositor: placed once, and exchanged without loss when built again.

What an artist has made of the group's node stays when the group is built again: the values of its
inputs, their keyframes and drivers, what is linked to them and where the picture goes. Only what
is missing is put in.
"""

import re
from pathlib import Path

import bpy

from ..blender import compat
from . import nodes
from .folder import Shot

_INPUT = re.compile(r"(nodes\[\"(?:[^\"\\]|\\.)*\"\]\.inputs\[)(\d+)(\].*)")


def place(
    shot: Shot,
    scene: bpy.types.Scene,
    group: bpy.types.NodeTree,
    images: dict[Path, bpy.types.Image],
) -> bpy.types.Node:
    """Let the scene's compositor use `group`, in the node of the one before where there is one;
    returns that node.
    """
    tree = compat.compositor_tree(scene)
    node = next((n for n in _made_for(tree, shot) if getattr(n, "node_tree", None)), None)
    fresh = node is None
    if fresh:
        for stray in _made_for(tree, shot):
            tree.nodes.remove(stray)
        node = _new_node(tree, group)
    else:
        _exchange(tree, node, group)
    made = _feed(shot, tree, node, images)
    if fresh:
        made = [node, *made, nodes.frame_around(tree, group.name, [node, *made])]
        output = compat.compositor_output(tree)
        tree.links.new(node.outputs[0], output)
        output.node.location = (700, node.location.y)
    for part in (*made, *_wire_viewer(tree)):
        part["nvd_folder"] = str(shot.folder)
    for old in list(bpy.data.node_groups):
        if old.get("nvd_folder") == str(shot.folder) and old.users == 0:
            bpy.data.node_groups.remove(old)
    return node


def _made_for(tree: bpy.types.NodeTree, shot: Shot) -> list[bpy.types.Node]:
    return [node for node in tree.nodes if node.get("nvd_folder") == str(shot.folder)]


def _new_node(tree: bpy.types.NodeTree, group: bpy.types.NodeTree) -> bpy.types.Node:
    output = compat.compositor_output(tree).node
    others = [node for node in tree.nodes if node != output and node.parent is None]
    top = min((node.location.y for node in others), default=500.0) - 500
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = group
    node.label, node.location, node.width = group.name, (320, top), 240
    return node


def _feed(shot: Shot, tree, node, images) -> list[bpy.types.Node]:
    """Link the frames and the edits to those inputs that nothing is linked to; the nodes made."""
    made = []
    left, top = node.location.x - 320, node.location.y
    if "Frame" in node.inputs and not node.inputs["Frame"].is_linked:
        plate = images[shot.frame(0)]
        made.append(nodes.image_node(tree, plate, "Frames", (left, top), frames=shot.frames))
        tree.links.new(made[-1].outputs["Image"], node.inputs["Frame"])
    for row, layer in enumerate(shot.layers, start=1):
        socket = node.inputs[f"{layer.name} Edit"]
        if not socket.is_linked:
            at = left, top - 260 * row
            made.append(nodes.image_node(tree, images[layer.edit], f"{layer.name} edit", at))
            tree.links.new(made[-1].outputs["Image"], socket)
    return made


def _exchange(tree: bpy.types.NodeTree, node: bpy.types.Node, group: bpy.types.NodeTree) -> None:
    """Let the node use another group; inputs go by their names, whatever their order is now."""
    values = {s.name: _value(s) for s in node.inputs if not s.is_linked}
    sources = {s.name: s.links[0].from_socket for s in node.inputs if s.is_linked}
    targets = [(s.name, link.to_socket) for s in node.outputs for link in s.links]
    _follow_keys(tree, node, group)
    node.node_tree = group
    for socket in node.inputs:  # Blender goes by their numbers, which are others in another mode
        for link in socket.links:
            tree.links.remove(link)
        if socket.name in sources:
            tree.links.new(sources[socket.name], socket)
        elif socket.name in values:
            socket.default_value = values[socket.name]
    for name, target in targets:
        for link in target.links:  # outputs go by their numbers too
            tree.links.remove(link)
        source = next((socket for socket in node.outputs if socket.name == name), None)
        if source is not None:
            tree.links.new(source, target)


def _wire_viewer(tree: bpy.types.NodeTree) -> list[bpy.types.Node]:
    """Let a Viewer show the finished picture, where the tree has none; what was made."""
    output = compat.compositor_output(tree)
    if not output.is_linked or any(n.bl_idname == "CompositorNodeViewer" for n in tree.nodes):
        return []
    viewer = tree.nodes.new("CompositorNodeViewer")
    viewer.location = output.node.location.x, output.node.location.y + 180
    tree.links.new(output.links[0].from_socket, viewer.inputs[0])
    return [viewer]


def has_others(scene: bpy.types.Scene | None, folder: str) -> bool:
    """Whether an artist's nodes change the picture that the shot's group makes of its own images.

    They stand behind the group, or feed another frame or edit into it.
    """
    found = compat.compositor_nodes(scene)
    node = next((n for n in found if n.get("nvd_folder") == folder and _is_group(n)), None)
    if node is None:
        return False
    kinds = ("NodeGroupOutput", "CompositorNodeComposite")
    ends = [n.inputs[0] for n in found if n.bl_idname in kinds and len(n.inputs)]
    direct = any(link.from_socket == node.outputs[0] for end in ends for link in end.links)
    fed = [link.from_node for socket in node.inputs for link in socket.links]
    return not direct or any(source.get("nvd_folder") != folder for source in fed)


def _is_group(node: bpy.types.Node) -> bool:
    return getattr(node, "node_tree", None) is not None


def _follow_keys(tree, node, group) -> None:
    """Let keyframes and drivers of the node's inputs mean the inputs of these names in `group`.

    Beforehand, for Blender 5.2 deletes those of an input that goes.
    """
    before = [socket.name for socket in node.inputs]
    items = group.interface.items_tree
    after = [i.name for i in items if i.item_type == "SOCKET" and i.in_out == "INPUT"]
    for curve in compat.fcurves(tree):
        found = _INPUT.fullmatch(curve.data_path)
        if found and tree.path_resolve(found[1].removesuffix(".inputs[")) == node:
            name = before[int(found[2])] if int(found[2]) < len(before) else ""
            if name in after:
                curve.data_path = f"{found[1]}{after.index(name)}{found[3]}"


def _value(socket: bpy.types.NodeSocket):
    value = socket.default_value
    return value if isinstance(value, float) else tuple(value)
