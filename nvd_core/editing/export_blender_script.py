"""The text of the script for Blender; `export_blender.py` puts the shot's own values into it."""

SCRIPT = '''\
"""Builds the compositor nodes of a hand-over. Plain bpy, Blender 4.2 to 5.2.

    blender --python THIS_FILE

or open it in the Text Editor and run it. It sets up the present scene: its size, rate and frames,
view transform Standard, and nodes whose result is scene-linear Rec.709 and premultiplied.
"""

import ast
import os

import bpy

@VALUES@

NEW = bpy.app.version >= (5, 0, 0)  # the shader editor's nodes, and a bilinear Map UV
FAMILY = "ShaderNode" if NEW else "CompositorNode"
SIGNS = {ast.Add: "ADD", ast.Sub: "SUBTRACT", ast.Mult: "MULTIPLY", ast.Div: "DIVIDE"}
CALLS = {"pow": "POWER", "max": "MAXIMUM", "min": "MINIMUM", "floor": "FLOOR"}


def folder():
    """Where this file lies, also when it was opened in the Text Editor."""
    if os.path.isfile(__file__):
        return os.path.dirname(os.path.abspath(__file__))
    for text in bpy.data.texts:
        if text.filepath and text.name == os.path.basename(__file__):
            return os.path.dirname(bpy.path.abspath(text.filepath))
    raise RuntimeError("save this text beside the images that it names, and run it from there")


class Builder:
    """Makes the nodes of one tree."""

    def __init__(self, tree, base):
        self.tree, self.base = tree, base
        self.made = {}  # by name: the sockets of red, green, blue and alpha
        self.pictures = {}  # by name: one socket of all four
        self.x = 0

    def node(self, kind, label=""):
        node = self.tree.nodes.new(kind)
        node.label, node.hide = label, True
        node.location = (self.x % 6000, -60 * (self.x // 6000) * 20)
        self.x += 40
        return node

    def feed(self, value, socket):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def math(self, operation, *values):
        node = self.node(FAMILY + "Math")
        node.operation = operation
        for socket, value in zip(node.inputs, values):
            self.feed(value, socket)
        return node.outputs[0]

    def formula(self, text, names):
        """The socket, or the number, of an expression."""
        return self.part(ast.parse(text, mode="eval").body, names)

    def part(self, tree, names):
        if isinstance(tree, ast.Constant):
            return float(tree.value)
        if isinstance(tree, ast.Name):
            return names[tree.id]
        if isinstance(tree, ast.UnaryOp):
            return self.math("MULTIPLY", self.part(tree.operand, names), -1.0)
        if isinstance(tree, ast.BinOp):
            sides = self.part(tree.left, names), self.part(tree.right, names)
            return self.math(SIGNS[type(tree.op)], *sides)
        parts = [self.part(one, names) for one in tree.args if not isinstance(one, ast.Compare)]
        if tree.func.id != "where":
            return self.math(CALLS[tree.func.id], *parts)
        test = self.test(tree.args[0], names)
        yes, no = parts
        other = self.math("MULTIPLY", no, self.math("SUBTRACT", 1.0, test))
        return self.math("MULTIPLY_ADD", yes, test, other)

    def test(self, tree, names):
        """1 where a comparison holds, else 0."""
        left, right = self.part(tree.left, names), self.part(tree.comparators[0], names)
        if isinstance(tree.ops[0], ast.Eq):
            apart = self.math("ABSOLUTE", self.math("SUBTRACT", left, right))
            return self.math("SUBTRACT", 1.0, self.math("GREATER_THAN", apart, 0.0))
        return self.math("SUBTRACT", 1.0, self.math("GREATER_THAN", left, right))

    def channels(self, name):
        if name not in self.made:
            node = self.node("CompositorNodeSeparateColor", name)
            self.tree.links.new(self.pictures[name], node.inputs[0])
            self.made[name] = list(node.outputs)[:4]
        return self.made[name]

    def picture(self, name):
        if name not in self.pictures:
            node = self.node("CompositorNodeCombineColor", name)
            for value, socket in zip(self.made[name], node.inputs):
                self.feed(value, socket)
            self.pictures[name] = node.outputs[0]
        return self.pictures[name]

    def read(self, name):
        path, moves = READS[name]
        file = os.path.join(self.base, *(path % FIRST if moves else path).split("/"))
        image = bpy.data.images.load(file, check_existing=False)
        image.name = TITLE + " " + name
        image.colorspace_settings.name = "Non-Color"  # values as they stand in the file
        image.alpha_mode = "CHANNEL_PACKED"
        node = self.node("CompositorNodeImage", name)
        node.image = image
        if moves:
            image.source = "SEQUENCE"
            node.frame_start, node.frame_duration = FIRST, LAST - FIRST + 1
            node.frame_offset = FIRST - 1
            node.use_auto_refresh = True
        self.pictures[name] = node.outputs["Image"]

    def compute(self, name):
        inputs, rgba = FORMULAS[name]
        names = {}
        for letter, source in zip("ab", inputs):
            for channel, socket in zip("rgba", self.channels(source)):
                names[letter + channel] = socket
        self.made[name] = [self.formula(text, names) for text in rgba]

    def map_uv(self, image, u, v):
        place = self.node(FAMILY + "CombineXYZ")
        for value, socket in zip((u, v, 1.0), place.inputs):
            self.feed(value, socket)
        node = self.node("CompositorNodeMapUV")
        if NEW:
            node.inputs["Interpolation"].default_value = "Bilinear"
            node.inputs["Extension X"].default_value = "Extend"
            node.inputs["Extension Y"].default_value = "Extend"
        else:
            node.filter_type = "NEAREST"
        self.tree.links.new(image, node.inputs[0])
        self.tree.links.new(place.outputs[0], node.inputs[1])
        return node.outputs[0]

    def lookup(self, name):
        image, place, width, height = LOOKUPS[name]
        image = self.picture(image)
        u, v = self.channels(place)[:2]
        if NEW:
            self.pictures[name] = self.map_uv(image, u, v)
            return
        # Before 5.0 Map UV takes one texel: four of them, weighted. A texel is aimed at a quarter
        # beyond its left and lower edge, since 4.3 rounds where the others cut off.
        taps = [self.taps(u, width), self.taps(v, height)]
        total = None
        for at_v, share_v in taps[1]:
            for at_u, share_u in taps[0]:
                node = self.node("CompositorNodeSeparateColor")
                self.tree.links.new(self.map_uv(image, at_u, at_v), node.inputs[0])
                share = self.math("MULTIPLY", share_u, share_v)
                colours = [self.math("MULTIPLY", c, share) for c in list(node.outputs)[:3]]
                if total is None:
                    total = colours
                else:
                    total = [self.math("ADD", *pair) for pair in zip(total, colours)]
        self.made[name] = total + [1.0]

    def taps(self, place, size):
        """Where to look along one side, and the weight, of the nearer and the further texel."""
        names = {"p": place}
        x = self.formula("max(min(p * %d - 0.5, %d), 0)" % (size, size - 1), names)
        whole = self.math("FLOOR", x)
        part = self.math("SUBTRACT", x, whole)
        after = self.math("MINIMUM", self.math("ADD", whole, 1.0), float(size - 1))
        at = [self.math("DIVIDE", self.math("ADD", t, 0.25), float(size)) for t in (whole, after)]
        return [(at[0], self.math("SUBTRACT", 1.0, part)), (at[1], part)]


def tree_of(scene):
    """An empty compositor tree of the scene, and what makes its output."""
    if NEW:
        tree = bpy.data.node_groups.new(TITLE, "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree, "NodeGroupOutput"
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree, "CompositorNodeComposite"


def set_up(scene):
    """The plate's size, rate and frames, and a view that shows light as sRGB."""
    render = scene.render
    render.resolution_x, render.resolution_y = SIZE
    render.resolution_percentage = 100
    larger = max(ASPECT)
    render.pixel_aspect_x = ASPECT[0] / min(ASPECT) if larger else 1
    render.pixel_aspect_y = ASPECT[1] / min(ASPECT) if larger else 1
    render.fps = max(1, round(RATE[0] / RATE[1]))
    render.fps_base = render.fps * RATE[1] / RATE[0]
    scene.frame_start, scene.frame_end = FIRST, LAST
    scene.frame_current = FIRST
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    render.dither_intensity = 0.0
    render.use_compositing = True


def build(scene):
    """Make all nodes; the last one is the scene's picture."""
    set_up(scene)
    tree, output = tree_of(scene)
    builder = Builder(tree, folder())
    for name in ORDER:
        if name in READS:
            builder.read(name)
        elif name in FORMULAS:
            builder.compute(name)
        else:
            builder.lookup(name)
    alpha = builder.node("CompositorNodeSetAlpha", "alpha")
    if "Type" in alpha.inputs:
        alpha.inputs["Type"].default_value = "Replace Alpha"
    else:
        alpha.mode = "REPLACE_ALPHA"
    colours = builder.node("CompositorNodeCombineColor", "colours")
    for value, socket in zip(builder.made[OUTPUT][:3] + [1.0], colours.inputs):
        builder.feed(value, socket)
    tree.links.new(colours.outputs[0], alpha.inputs[0])
    builder.feed(builder.made[OUTPUT][3], alpha.inputs[1])
    end = builder.node(output)
    tree.links.new(alpha.outputs[0], end.inputs[0])


build(bpy.context.scene)
'''
