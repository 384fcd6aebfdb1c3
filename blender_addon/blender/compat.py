"""Every difference between Blender 4.2 and 5.2 that the extension meets, and nothing else.

Blender 5.0 gave the compositor the shader editor's Math, Mix and XYZ nodes, a bilinear Map UV,
and a node group in place of the scene's own tree.
"""

from collections.abc import Callable

import bpy

NEW_COMPOSITOR = bpy.app.version >= (5, 0, 0)
_FAMILY = "ShaderNode" if NEW_COMPOSITOR else "CompositorNode"


def compositor_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The tree that composites `scene`; an empty one is made where there is none."""
    if NEW_COMPOSITOR:
        if scene.compositing_node_group is None:
            scene.compositing_node_group = bpy.data.node_groups.new(
                f"{scene.name} Compositing", "CompositorNodeTree"
            )
        return scene.compositing_node_group
    fresh = scene.node_tree is None
    scene.use_nodes = True
    if fresh:  # Blender fills a new tree with the 3D scene's render, which needs a camera
        scene.node_tree.nodes.clear()
    return scene.node_tree


def compositor_nodes(scene: bpy.types.Scene | None) -> list[bpy.types.Node]:
    """The nodes that composite `scene`; changes nothing, so that it may be asked while drawing."""
    name = "compositing_node_group" if NEW_COMPOSITOR else "node_tree"
    tree = getattr(scene, name) if scene else None
    return list(tree.nodes) if tree else []


def compositor_output(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """The socket that receives the finished picture; made where there is none."""
    kind = "NodeGroupOutput" if NEW_COMPOSITOR else "CompositorNodeComposite"
    if NEW_COMPOSITOR and not any(
        item.item_type == "SOCKET" and item.in_out == "OUTPUT" for item in tree.interface.items_tree
    ):
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    node = next((node for node in tree.nodes if node.bl_idname == kind), None)
    return (node or tree.nodes.new(kind)).inputs[0]


def math(tree, operation: str, *values):
    """A Math node over sockets and numbers; returns its output socket."""
    node = tree.nodes.new(_FAMILY + "Math")
    node.operation = operation
    for socket, value in zip(node.inputs, values, strict=False):
        feed(tree, value, socket)
    return node.outputs[0]


def mix(tree, blend: str, a, b, factor=1.0, *, clamp: bool = False):
    """A colour Mix node: MIX, ADD, SUBTRACT or MULTIPLY. Alpha is that of `a`.

    `clamp` keeps the result between 0 and 1.
    """
    if NEW_COMPOSITOR:
        node = tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        node.clamp_factor, node.clamp_result = False, clamp
        sockets = {socket.identifier: socket for socket in node.inputs}
        inputs = sockets["Factor_Float"], sockets["A_Color"], sockets["B_Color"]
        result = next(socket for socket in node.outputs if socket.identifier == "Result_Color")
    else:
        node = tree.nodes.new("CompositorNodeMixRGB")
        node.use_clamp = clamp
        inputs, result = node.inputs[:3], node.outputs[0]
    node.blend_type = blend
    for socket, value in zip(inputs, (factor, a, b), strict=True):
        feed(tree, value, socket)
    return result


def separate_xyz(tree, vector):
    node = tree.nodes.new(_FAMILY + "SeparateXYZ")
    feed(tree, vector, node.inputs[0])
    return node.outputs


def combine_xyz(tree, x, y, z):
    node = tree.nodes.new(_FAMILY + "CombineXYZ")
    for socket, value in zip(node.inputs, (x, y, z), strict=True):
        feed(tree, value, socket)
    return node.outputs[0]


def separate_colour(tree, colour):
    """The sockets of red, green, blue and alpha."""
    node = tree.nodes.new("CompositorNodeSeparateColor")
    feed(tree, colour, node.inputs[0])
    return node.outputs


def fcurves(block: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The keyframes and drivers of a block, of all slots of its action."""
    data = block.animation_data
    if data is None:
        return []
    curves, action = list(data.drivers), data.action
    if action is not None and hasattr(action, "layers"):  # from Blender 4.4
        strips = [strip for layer in action.layers for strip in layer.strips]
        bags = [bag for strip in strips for bag in strip.channelbags]
        return curves + [curve for bag in bags for curve in bag.fcurves]
    return curves + list(action.fcurves if action is not None else ())


def remove_fcurve(block: bpy.types.ID, curve: bpy.types.FCurve) -> None:
    """Delete keyframes of a block, whatever slot of its action has them."""
    action = block.animation_data.action
    if hasattr(action, "layers"):
        strips = [strip for layer in action.layers for strip in layer.strips]
        for bag in [bag for strip in strips for bag in strip.channelbags]:
            if curve in list(bag.fcurves):
                bag.fcurves.remove(curve)
                return
    action.fcurves.remove(curve)


def set_alpha(tree, colour, alpha, *, apply: bool):
    """`colour` with another alpha; to `apply` it multiplies all four channels by it."""
    node = tree.nodes.new("CompositorNodeSetAlpha")
    if "Type" in node.inputs:  # a menu from Blender 5.0
        node.inputs["Type"].default_value = "Apply Mask" if apply else "Replace Alpha"
    else:
        node.mode = "APPLY" if apply else "REPLACE_ALPHA"
    feed(tree, colour, node.inputs[0])
    feed(tree, alpha, node.inputs[1])
    return node.outputs[0]


def straight(tree, colour):
    """Straight colours of premultiplied ones; where alpha is 0 they stay as they are."""
    node = tree.nodes.new("CompositorNodePremulKey")
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "To Straight"
    else:
        node.mapping = "PREMUL_TO_STRAIGHT"
    feed(tree, colour, node.inputs[0])
    return node.outputs[0]


def scale_to_size(tree, image):
    """`image` brought to the size that the node's X and Y say, pixels; of that size it is kept."""
    node = _scale(tree, image)
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "Absolute"
    else:
        node.space = "ABSOLUTE"
    return node.outputs[0]


def scale_to_fill(tree, image):
    """`image` stretched to all of the picture that is composited."""
    node = _scale(tree, image)
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "Render Size"
        node.inputs["Frame Type"].default_value = "Stretch"
    else:
        node.space, node.frame_method = "RENDER_SIZE", "STRETCH"
    return node.outputs[0]


def _scale(tree, image) -> bpy.types.Node:
    """A scale node for `image`, which goes on beyond its border as it ends there."""
    node = tree.nodes.new("CompositorNodeScale")
    for side in ("Extension X", "Extension Y"):
        if side in node.inputs:
            node.inputs[side].default_value = "Extend"
    feed(tree, image, node.inputs[0])
    return node


def map_uv(tree, image, vector):
    """Look `image` up at `vector`, and multiply by its third value.

    Bilinear with clamped edges from Blender 5.0; before, the texel itself.
    """
    node = tree.nodes.new("CompositorNodeMapUV")
    if NEW_COMPOSITOR:
        node.inputs["Interpolation"].default_value = "Bilinear"
        node.inputs["Extension X"].default_value = "Extend"
        node.inputs["Extension Y"].default_value = "Extend"
    else:
        node.filter_type = "NEAREST"
    feed(tree, image, node.inputs[0])
    feed(tree, vector, node.inputs[1])
    return node.outputs[0]


def erode(tree, value, pixels: int):
    """The least `value` within a disc of so many pixels."""
    node = tree.nodes.new("CompositorNodeDilateErode")
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "Distance"
    else:
        node.mode = "DISTANCE"
    if "Size" in node.inputs:
        node.inputs["Size"].default_value = -pixels
    else:
        node.distance = -pixels
    feed(tree, value, node.inputs[0])
    return node.outputs[0]


def blur(tree, value, pixels: float):
    """`value` softened by a Gaussian of standard deviation pixels / 3 that ends at `pixels`."""
    node = tree.nodes.new("CompositorNodeBlur")
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "Gaussian"
    else:
        node.filter_type = "GAUSS"
    size = node.inputs["Size"]
    if size.type == "VECTOR":
        for side in (0, 1):
            size.default_value[side] = pixels
    else:
        node.size_x = node.size_y = int(-(-pixels // 1))
        size.default_value = pixels / node.size_x
    feed(tree, value, node.inputs[0])
    return node.outputs[0]


def feed(tree, value, socket) -> None:
    """Link `value` where it is a socket, otherwise set it."""
    if isinstance(value, bpy.types.NodeSocket):
        tree.links.new(value, socket)
    else:
        socket.default_value = value


def sequencer_scene(context) -> bpy.types.Scene:
    """The scene that the Sequencer shows: from Blender 5.0 not always the window's."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(scene: bpy.types.Scene):
    """The scene's own strips, those in meta strips not among them; empty where there are none."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def after_import(call: Callable) -> tuple:
    """What has `call` called once data of another .blend was appended or linked: from 4.3 on."""
    handlers = getattr(bpy.app.handlers, "blend_import_post", None)
    return () if handlers is None else ((handlers, call),)


def all_strips(scene: bpy.types.Scene):
    """The scene's strips, those in meta strips too; empty where there are none."""
    editor = scene.sequence_editor
    return () if editor is None else getattr(editor, STRIPS)


def strip_span(strip) -> tuple[int, int]:
    """The timeline's frame where a strip begins to show, and for how many it does."""
    if hasattr(strip, "left_handle"):
        return strip.left_handle, strip.duration
    return strip.frame_final_start, strip.frame_final_duration


def strip_content(strip) -> tuple[float, float, int]:
    """How many frames of the timeline are cut off before and after, and how many pictures the
    strip holds in all.
    """
    if hasattr(strip, "left_handle"):
        return strip.left_handle_offset, strip.right_handle_offset, strip.content_duration
    return strip.frame_offset_start, strip.frame_offset_end, strip.frame_duration


def strip_skipped(strip) -> int:
    """How many pictures at its file's start a strip leaves out for good."""
    if hasattr(strip, "content_trim_start"):
        return strip.content_trim_start
    return getattr(strip, "animation_offset_start", 0)


def retiming_frames(strip) -> list[int]:
    """The timeline's frames of the strip's retiming keys; 4.2 has them on movies only."""
    return [key.timeline_frame for key in getattr(strip, "retiming_keys", ())]


def strip_start(strip) -> float:
    """The timeline's frame of the strip's first picture, shown or cut off."""
    return strip.content_start if hasattr(strip, "content_start") else strip.frame_start


def move(strip, by: int) -> None:
    """Move a strip along the timeline, with all that it shows."""
    if hasattr(strip, "content_start"):
        strip.content_start += by
    else:
        strip.frame_start += by


def output_kind(settings: bpy.types.ImageFormatSettings, kind: str) -> None:
    """Set the file format of pictures, or "FFMPEG" for a movie."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO" if kind == "FFMPEG" else "IMAGE"
    settings.file_format = kind


# How the Sequencer takes what is drawn over its picture to the screen: by a power of 2.2 as the
# Image Editor does, or by the curve of sRGB. Measured in windows of 4.3 and 5.2.
SEQUENCER_POWER = NEW_COMPOSITOR


def start_gpu() -> None:
    """Make the gpu module work without a window: before 5.2 a GPU composite wakes it up."""
    import gpu

    if not bpy.app.background:
        return
    if hasattr(gpu, "init"):
        gpu.init()
        return
    scene = bpy.data.scenes.new("NVD wakes the GPU")
    tree = compositor_tree(scene)
    feed(tree, tree.nodes.new("CompositorNodeRGB").outputs[0], compositor_output(tree))
    scene.render.resolution_x = scene.render.resolution_y = 8
    scene.render.compositor_device = "GPU"
    bpy.ops.render.render(scene=scene.name)
    bpy.data.scenes.remove(scene)


# 5.0.1 has the modifier too, but crashes without a window
STRIP_COMPOSITOR = bpy.app.version >= (5, 1, 0)


def modifier_trees(scene: bpy.types.Scene) -> list[bpy.types.NodeTree]:
    """The node trees of the scene's strip modifiers."""
    strips = all_strips(scene) if STRIP_COMPOSITOR else ()
    trees = [getattr(m, "node_group", None) for strip in strips for m in strip.modifiers]
    return [tree for tree in trees if tree is not None]


def make_strips(scene: bpy.types.Scene):
    """The scene's strips, to add to; a sequencer is made where there is none."""
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def trim(strip, before: int, after: int) -> None:
    """Cut frames off a strip's start and end without moving what it shows."""
    if hasattr(strip, "left_handle_offset"):
        strip.left_handle_offset, strip.right_handle_offset = before, after
    else:
        strip.frame_offset_start, strip.frame_offset_end = before, after


# Of a property that is a path: it may be relative to the .blend, which from 4.5 on has to be said
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()

# Draws a texture, which holds linear light, as it looks; before 5.0 none does, and it is darker
IMAGE_SHADER = "IMAGE_SCENE_LINEAR_TO_REC709_SRGB" if bpy.app.version >= (5, 0, 0) else "IMAGE"

# What strips are to Python, and what the sequencer's data calls them
STRIP = bpy.types.Strip if bpy.app.version >= (4, 4, 0) else bpy.types.Sequence
STRIPS = "strips_all" if bpy.app.version >= (4, 4, 0) else "sequences_all"


def save_copy(image: bpy.types.Image, path: str) -> None:
    """Write `image` to `path`; the image goes on standing for its own file."""
    if "save_copy" in image.bl_rna.functions["save"].parameters:
        image.save(filepath=path, save_copy=True)
        return
    own = image.filepath_raw  # 4.2 moves the image to what it wrote
    try:
        image.save(filepath=path)
    finally:
        image.filepath_raw = own


GREASE_PENCIL = ("GPENCIL", "GREASEPENCIL")
"""types of an object with strokes: before and from 4.3 on"""


def drawn_lines(thing: bpy.types.Object):
    """The strokes that a Grease Pencil object shows in this frame: points (x, y, z) in the world,
    whether the line is closed, and the number of its material.
    """
    for layer in thing.data.layers:
        if layer.hide:
            continue
        if thing.type == "GPENCIL":
            now = bpy.context.scene.frame_current
            frames = [frame for frame in layer.frames if frame.frame_number <= now]
            frame = max(frames, key=lambda one: one.frame_number, default=None)
            strokes, place = frame.strokes if frame else (), thing.matrix_world @ layer.matrix_layer
        else:
            frame, place = layer.current_frame(), thing.matrix_world @ layer.matrix_local
            strokes = frame.drawing.strokes if frame and frame.drawing else ()
        for stroke in strokes:
            points = [p.co if thing.type == "GPENCIL" else p.position for p in stroke.points]
            closed = stroke.use_cyclic if thing.type == "GPENCIL" else stroke.cyclic
            yield [place @ point for point in points], closed, stroke.material_index
