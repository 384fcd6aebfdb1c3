"""The edited shot in the sequencer by Blender's compositor: live, without a rendering.

    add_scene_strip(entry, scene)      # a strip of the scene that composites the shot
    add_modifier(entry, scene)         # the same, on the strip itself (5.1)

Both show what the layers show now, whenever the sequencer asks.
"""

import bpy

from ..blender import compat
from ..shot import flat_nodes, layer_values, nodes
from ..shot.folder import CompactOnly, ShotError
from ..shot.shots import NVD_PG_shot, strip_of
from .strip_look import take_look
from .strips import AGAIN, alignment, free_channel, made_before, mute_below, sign
from .timing import check_kind, is_plain


def add_scene_strip(entry: NVD_PG_shot, scene: bpy.types.Scene):
    """Add the scene that composites the shot as a strip above the source: always up to date.

    Where the shot has such a strip already, that is brought to its place.
    """
    shot, source = entry.read(), strip_of(scene, entry)
    if entry.scene is None:
        raise ShotError(f"the scene that composites {entry.name} was deleted", AGAIN)
    if shot.is_compact:
        raise CompactOnly(shot.folder)
    start, shown = scene.frame_current, [0, shot.frames]
    if source is not None:
        _check_plain(source)
        start, shown, _ = alignment(entry, shot, source)
    made, fresh = made_before(entry, scene, "SCENE"), False
    if made is None:
        fresh = True
        channel = free_channel(scene, source, start + shown[0], shown[1])
        mute_below(scene, source, shot)
        made = compat.make_strips(scene).new_scene(
            name=f"{entry.name} composite", scene=entry.scene, channel=channel, frame_start=start
        )
    elif source is None:
        start = round(compat.strip_start(made))
    compat.trim(made, 0, 0)
    made.scene = entry.scene
    compat.move(made, start - round(compat.strip_start(made)))
    compat.trim(made, shown[0], shot.frames - shown[0] - shown[1])
    sign(made, entry)
    if source is not None and fresh:
        take_look(made, source, shot)
    return made


def add_modifier(entry: NVD_PG_shot, scene: bpy.types.Scene):
    """Composite the shot on the source strip itself, by a strip modifier of Blender 5.1 and later.

    The edits show live in the sequencer, whatever the layers show just now. One that the strip has
    of the shot already is built anew. ShotError where this
    Blender has none, and where the shot's nodes are not as they were opened.
    """
    if not compat.STRIP_COMPOSITOR:
        raise ShotError("this Blender has no compositor for strips", "use Composite Strip")
    shot, source = entry.read(), strip_of(scene, entry)
    if source is None:
        raise ShotError("the strip of the shot is not in this scene", "choose it in the panel")
    if shot.is_compact:
        raise CompactOnly(shot.folder)
    _check_plain(source)
    start, _shown, _pictures = alignment(entry, shot, source)
    old = entry.group_node()
    if old is None:
        raise ShotError(f"the compositor has no node of the shot {entry.name}", AGAIN)
    images = _images(entry, old)
    tree = bpy.data.node_groups.new(f"{old.node_tree.name} strip", "CompositorNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Image", in_out=way, socket_type="NodeSocketColor")
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = old.node_tree.copy()
    node.location = (320, 0)
    for socket in old.inputs:
        image = images.get(socket.name)
        if image is None:
            node.inputs[socket.name].default_value = socket.default_value
            continue
        frames = image.get("nvd_count", shot.frames) if image.source == "SEQUENCE" else 0
        made = nodes.image_node(
            tree, image, socket.name, (0, -260 * len(tree.nodes)), frames=frames
        )
        tree.links.new(made.outputs["Image"], node.inputs[socket.name])
    for part in (*tree.nodes, *node.node_tree.nodes):
        if part.bl_idname == "CompositorNodeImage" and part.image.source == "SEQUENCE":
            part.frame_start = start + part.image.get("nvd_first", 0)
    output = tree.nodes.new("NodeGroupOutput")
    output.location = (640, 0)
    filling = compat.scale_to_fill(tree, node.outputs[0])  # the shot may be smaller than the source
    filling.node.location = (480, 0)
    tree.links.new(filling, output.inputs[0])
    modifier = next((known for known in source.modifiers if _is_of(known, entry)), None)
    if modifier is None:
        modifier = source.modifiers.new("Painted", "COMPOSITOR")
    before, modifier.node_group = modifier.node_group, tree
    if before is not None and not before.users:
        bpy.data.node_groups.remove(before)
    layer_values.follow(entry)
    for layer in entry.layers:  # the scene may show another image of it
        flat_nodes.feed(entry, layer, anew=True)
    return modifier


def _is_of(modifier, entry: NVD_PG_shot) -> bool:
    """Whether a strip's modifier composites the shot."""
    tree = getattr(modifier, "node_group", None)
    groups = [getattr(node, "node_tree", None) for node in tree.nodes] if tree else []
    return any(group and group.get("nvd_folder") == str(entry.path) for group in groups)


def _images(entry: NVD_PG_shot, node) -> dict[str, bpy.types.Image]:
    """The images at the inputs of the shot's node: a layer's edit, with the stack where that is
    flattened, though another one may show.
    """
    images = {}
    for socket in node.inputs:
        if not socket.links:
            continue
        feeds = socket.links[0].from_node
        while feeds.bl_idname == "NodeReroute" and feeds.inputs[0].links:
            feeds = feeds.inputs[0].links[0].from_node
        if feeds.bl_idname != "CompositorNodeImage":
            raise ShotError(
                f"{feeds.name} feeds {socket.name} in the shot's compositor, and a strip's has no "
                "place for it",
                "use Composite Strip, or link the image itself",
            )
        images[socket.name] = feeds.image
    for layer in entry.layers:
        if f"{layer.name} Edit" in images:
            images[f"{layer.name} Edit"] = layer.flat or layer.edit
    gone = next((name for name, image in images.items() if image is None), None)
    if gone is not None:
        raise ShotError(f"the image of {gone} was deleted", AGAIN)
    return images


def _check_plain(source) -> None:
    check_kind(source)
    if not is_plain(source):
        raise ShotError(f"{source.name} does not play at normal speed", "use Render to Strip")
