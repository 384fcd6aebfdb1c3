"""Colours of what is painted on: shown and taken by Blender as the shot will have them."""

import bpy
import numpy as np
import pytest

from blender_addon.blender.pixels import decode, read_pixels, read_raw, write_pixels
from blender_addon.headless.compositing import replace_edits
from blender_addon.shot.scripting import image_of, open_shot


def textures(folder):
    """The texture and the edit of the layer toy."""
    return [image_of(folder / "shot.nvd" / part / "toy.png") for part in ("textures", "edits")]


def test_eight_bits_are_colour_managed(made):
    """As the artist's own images are: the editors show, and brushes take, what is stored."""
    open_shot(made / "shot.nvd")
    for image in textures(made):
        assert not image.is_float and image.colorspace_settings.name == "sRGB"


def test_deep_images_outlive_being_packed(made_linear, reference):
    """In sRGB they would come back too dark."""
    open_shot(made_linear / "shot.nvd")
    _, edit = textures(made_linear)
    assert edit.is_float
    pixels = read_pixels(edit)
    stored = reference.Truth(made_linear).arrays["edit_toy"][::-1]
    assert np.abs(pixels - stored).max() < 1e-6
    pixels[5:9, 5:9] = (0.2, 0.5, 0.7, 1)
    write_pixels(edit, pixels)
    edit.pack()
    edit.buffers_free()
    assert np.abs(read_pixels(edit) - pixels).max() < 1e-6


def test_paint_of_an_older_version_stays(made):
    """Then images were Non-Color, whatever their depth."""
    open_shot(made / "shot.nvd")
    _, edit = textures(made)
    edit.colorspace_settings.name = "Non-Color"
    pixels = read_pixels(edit)
    pixels[5:9, 5:9] = (0.2, 0.4, 0.6, 1)
    write_pixels(edit, pixels)
    open_shot(made / "shot.nvd")
    assert edit.colorspace_settings.name == "sRGB"
    assert np.abs(read_pixels(edit) - pixels).max() < 0.1 / 255


def test_light_and_back(reference):
    colours = np.linspace(-0.1, 3, 1001, dtype=np.float32)
    assert np.abs(reference.encode(decode(colours)) - colours).max() < 1e-6
    image = bpy.data.images.new("light", 4, 4, float_buffer=True)
    image.colorspace_settings.name = "Linear Rec.709"
    pixels = np.random.default_rng(0).random((4, 4, 4), np.float32)
    write_pixels(image, pixels)
    assert np.abs(reference.encode(read_raw(image)[..., :3]) - pixels[..., :3]).max() < 1e-6
    assert np.abs(read_pixels(image) - pixels).max() < 1e-6


@pytest.mark.parametrize("name", ["deep.png", "light.exr"])
def test_an_edit_of_another_depth(made, tmp_path, name, engine, reference):
    """16 bits, and light in an EXR, on a texture of 8 bits: as `nvd render` takes them."""
    edit = tmp_path / name
    code = "import sys, numpy as np; from pathlib import Path; "
    code += "from nvd_core.media.images import read_image, write_image, decode_srgb; "
    code += "image = read_image(Path(sys.argv[1])); out = Path(sys.argv[2]); "
    code += "colours = image[..., :3] / np.float32(255); "
    code += "deep = (image.astype(np.uint16) * 257); "
    code += "light = decode_srgb(colours).astype(np.float32); "
    code += "write_image(out, deep if out.suffix == '.png' else light)"
    engine.run("-c", code, made / "shot.nvd/edits/toy.png", edit)
    shot, out = made / "shot.nvd", tmp_path / "engine/%05d.png"
    engine.run("-m", "nvd_core", "render", shot, "--out", out, "--edit", f"toy={edit}")
    replace_edits(open_shot(shot), [("toy", str(edit))])
    picture = np.round(reference.render(tmp_path, 1) * 255) / 255
    assert reference.psnr(reference.load(tmp_path / "engine/00000.png"), picture) > 50
