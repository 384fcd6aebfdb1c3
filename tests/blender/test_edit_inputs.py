"""What is linked to a layer's Edit in the compositor may have any size."""

import bpy
import numpy as np
import pytest

from blender_addon.blender import compat
from blender_addon.scripting import open_shot

LAYER = "background"


def smooth(width: int, height: int) -> np.ndarray:
    """A picture that looks the same at any size, bottom row first, opaque."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5) / width, (y + 0.5) / height
    return np.stack([0.2 + 0.6 * u, 0.8 - 0.5 * v, 0.3 + 0 * u, 1 + 0 * u], -1).astype(np.float32)


def picture(tmp_path, reference, size, t: int = 2) -> np.ndarray:
    """The composite with a smooth picture of that size at the layer's Edit."""
    tree = compat.compositor_tree(bpy.context.scene)
    group = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeGroup")
    image = bpy.data.images.new(f"{size}", *size, alpha=True, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    image.pixels.foreach_set(smooth(*size).ravel())
    image.pack()
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    tree.links.new(node.outputs[0], group.inputs[f"{LAYER} Edit"])
    return reference.render(tmp_path, t)


@pytest.mark.parametrize("share", ["half", "odd", "twice", "wide"])
def test_a_picture_of_any_size_at_an_edit_input(made, tmp_path, reference, share):
    bpy.context.scene.render.dither_intensity = 0
    open_shot(made / "shot.nvd")
    texture = next(i for i in bpy.data.images if i.name.endswith(f"{LAYER} learned"))
    width, height = texture.size
    exact = picture(tmp_path, reference, (width, height))
    size = {
        "half": (width // 2, height // 2),
        "odd": (width // 2 + 1 - width // 2 % 2, height - 1 + height % 2 * 2),
        "twice": (width * 2, height * 2),
        "wide": (width * 3 // 2, height // 3),
    }[share]
    other = picture(tmp_path, reference, size)
    inside = slice(None)
    if not compat.NEW_COMPOSITOR:  # before Blender 5 its outermost pixels fade, of odd sizes 1.5
        truth = reference.Truth(made)
        u, v = truth.arrays["maps"][1, truth.layers.index(LAYER), ..., :2].transpose(2, 0, 1)
        rim = 1.5 / size[0], 1.5 / size[1]
        inside = (u > rim[0]) & (u < 1 - rim[0]) & (v > rim[1]) & (v < 1 - rim[1])
        assert inside.mean() > 0.5
    found = reference.psnr(other[inside], exact[inside])
    print(size, f"{found:.1f} dB")
    assert found > 45


def test_a_picture_of_the_edit_s_size_is_not_touched(made, tmp_path, reference):
    bpy.context.scene.render.dither_intensity = 0
    open_shot(made / "shot.nvd", raw=True)
    wanted = reference.Truth(made).picture(1, "delta").clip(0, 1)
    assert np.abs(reference.render(tmp_path, 2) - wanted).max() < 0.6 / 255
