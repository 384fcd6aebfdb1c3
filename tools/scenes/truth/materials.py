"""What the surfaces of a scene are made of: to be lit, or to shine by a value that is wanted."""

import bpy
import numpy as np

from scenes.truth.surfaces import Scene, Sheet
from scenes.truth.textures import mark_cover

GREY = 0.18  # linear


def materials(sheet: Sheet, n: int, scene: Scene) -> dict[str, bpy.types.Material]:
    """Those of layer n, by what they show; `given` comes with `Stage.give`."""
    cover = mark_cover((sheet.mark, *sheet.also), sheet.texture)[..., None]
    painted = sheet.texture + cover * (np.array(sheet.mark.colour, np.float32) - sheet.texture)
    plain = image(f"{sheet.name}.texture", sheet.texture, "sRGB")
    edited = image(f"{sheet.name}.edited", painted, "sRGB")
    return {
        "lit": _surface(plain, scene),
        "edited": _surface(edited, scene),
        "unlit": shining(plain),
        "grey": _surface(GREY, scene),
        "paint": shining(image(f"{sheet.name}.paint", cover * channel(n), "Non-Color")),
        "cover": shining(channel(n)),
        "uv": shining(None),
    }


def channel(n: int) -> np.ndarray:  # [3]
    """The colour that stands for layer n."""
    return np.eye(3, dtype=np.float32)[n]


def image(name: str, rgb: np.ndarray, space: str) -> bpy.types.Image:
    """An image of Blender, packed, of values [h, w, 3], bottom row first."""
    height, width = rgb.shape[:2]
    made = bpy.data.images.new(name, width, height)
    made.colorspace_settings.name = space
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = rgb
    made.pixels.foreach_set(rgba.ravel())
    made.update()
    made.pack()
    return made


def _surface(colour: bpy.types.Image | float, scene: Scene) -> bpy.types.Material:
    """What light falls on: an image, or one grey."""
    made, nodes = _nodes()
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    shader.inputs["Roughness"].default_value = scene.roughness
    shader.inputs["Specular IOR Level"].default_value = scene.gloss
    if isinstance(colour, float):
        shader.inputs["Base Color"].default_value = (colour, colour, colour, 1)
    else:
        made.node_tree.links.new(_lookup(made, colour), shader.inputs["Base Color"])
    return _finished(made, shader)


def shining(what) -> bpy.types.Material:
    """Emission of an image, of a colour, or (None) of the surface's (u, v, 1)."""
    made, nodes = _nodes()
    shader = nodes.new("ShaderNodeEmission")
    if isinstance(what, bpy.types.Image):
        made.node_tree.links.new(_lookup(made, what), shader.inputs["Color"])
    elif what is None:
        place, add = nodes.new("ShaderNodeUVMap"), nodes.new("ShaderNodeVectorMath")
        add.inputs[1].default_value = (0, 0, 1)
        made.node_tree.links.new(place.outputs["UV"], add.inputs[0])
        made.node_tree.links.new(add.outputs["Vector"], shader.inputs["Color"])
    else:
        shader.inputs["Color"].default_value = (*what.tolist(), 1)
    return _finished(made, shader)


def _nodes():
    made = bpy.data.materials.new("material")
    made.use_nodes = True
    made.node_tree.nodes.clear()
    return made, made.node_tree.nodes


def _lookup(made: bpy.types.Material, picture: bpy.types.Image) -> bpy.types.NodeSocket:
    texture = made.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image, texture.extension = picture, "EXTEND"
    return texture.outputs["Color"]


def _finished(made: bpy.types.Material, shader: bpy.types.Node) -> bpy.types.Material:
    output = made.node_tree.nodes.new("ShaderNodeOutputMaterial")
    made.node_tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return made
